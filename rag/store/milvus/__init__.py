"""The store in a Milvus server, or in a file of Milvus Lite: a replica that serves needs no local state."""

from rag.store.milvus.store import MilvusStore

__all__ = ["MilvusStore"]
