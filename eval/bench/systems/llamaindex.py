"""LlamaIndex with its FAISS store.

quick: the Faiss page (flat L2 index, `from_documents`, the default splitter of 1,024 tokens of another tokenizer).
tuned: the splitter counts with the model's tokenizer and takes the embedded metadata into account, an inner-product
index, the batch that a trial found best.  onnx: tuned, with the ONNX backend that the embeddings page shows.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from protocol import OPTIMISED, POSITIONS, Hit, Job, articles, shorten

IMPORTS = """
from llama_index.core import Document, StorageContext, VectorStoreIndex, load_index_from_storage
from llama_index.embeddings.huggingface import HuggingFaceEmbedding
from llama_index.vector_stores.faiss import FaissVectorStore
import faiss
"""


class LlamaIndex:
    """A vector store index and an embedder."""

    reads = POSITIONS

    def __init__(self, job: Job) -> None:
        self.job, self.tuned = job, job.variant != "quick"
        self.embedder: Any = None
        self.retrievers: dict[int, Any] = {}

    def load(self) -> None:
        from llama_index.embeddings.huggingface import HuggingFaceEmbedding

        folder, options = self.job.model, {}
        if self.tuned:
            options["embed_batch_size"] = self.job.batch
        if self.job.variant == "onnx":
            folder = self.job.optimised
            options |= {"backend": "onnx", "model_kwargs": {"file_name": OPTIMISED}}
        self.embedder = self.embedder or HuggingFaceEmbedding(model_name=folder, device="cpu", **options)
        shorten(HuggingFaceEmbedding, "_embed", self.job.chars)

    def embed(self, texts: list[str]) -> Any:
        return self.embedder.get_text_embedding_batch(texts)

    def index(self, corpus: Path, where: Path) -> Iterable[str]:
        import faiss
        from llama_index.core import Document, StorageContext, VectorStoreIndex
        from llama_index.core.schema import MetadataMode
        from llama_index.vector_stores.faiss import FaissVectorStore

        dim = len(self.embedder.get_text_embedding("hello world"))
        store = FaissVectorStore(faiss_index=faiss.IndexFlatIP(dim) if self.tuned else faiss.IndexFlatL2(dim))
        index = VectorStoreIndex.from_documents(
            [Document(doc_id=a.id, text=a.text, metadata={"title": a.title}) for a in articles(corpus)],
            storage_context=StorageContext.from_defaults(vector_store=store),
            embed_model=self.embedder,
            transformations=[self._splitter()] if self.tuned else None,
        )
        index.storage_context.persist(persist_dir=str(where))
        return (node.get_content(metadata_mode=MetadataMode.EMBED) for node in index.docstore.docs.values())

    def open(self, where: Path) -> None:
        from llama_index.core import StorageContext, load_index_from_storage
        from llama_index.vector_stores.faiss import FaissVectorStore

        self.load()
        store = FaissVectorStore.from_persist_dir(str(where))
        context = StorageContext.from_defaults(vector_store=store, persist_dir=str(where))
        self.opened = load_index_from_storage(context, embed_model=self.embedder)

    def search(self, question: str, k: int) -> list[Hit]:
        if k not in self.retrievers:
            self.retrievers[k] = self.opened.as_retriever(similarity_top_k=k)
        found = self.retrievers[k].retrieve(question)
        return [Hit(n.node.ref_doc_id, n.node.get_content(), float(n.score)) for n in found]

    def _splitter(self) -> Any:
        from llama_index.core.node_parser import SentenceSplitter
        from transformers import AutoTokenizer

        # Two positions go to the special tokens.
        tokenize = AutoTokenizer.from_pretrained(self.job.model).tokenize
        return SentenceSplitter(chunk_size=POSITIONS - 2, chunk_overlap=30, tokenizer=tokenize)


def make(job: Job) -> LlamaIndex:
    """Return the system that a job asks for."""
    return LlamaIndex(job)
