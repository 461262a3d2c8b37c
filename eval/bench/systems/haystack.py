"""Haystack with its in-memory store, dense and hybrid.

quick: the tutorials (pieces of 150 words, 50 repeated; hybrid joins both retrievers by concatenation, here without
the tutorial's ranker, which is another model).  tuned: pieces that fit the model, titles embedded by
`meta_fields_to_embed`, normalised vectors, reciprocal rank fusion, the batch that
a trial found best.  onnx: tuned, with `backend="onnx"`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from protocol import OPTIMISED, POSITIONS, Hit, Job, articles, shorten, titled

IMPORTS = """
from haystack import Document, Pipeline
from haystack.components.joiners import DocumentJoiner
from haystack.components.preprocessors import DocumentSplitter
from haystack.components.retrievers.in_memory import InMemoryBM25Retriever, InMemoryEmbeddingRetriever
from haystack.components.writers import DocumentWriter
from haystack.document_stores.in_memory import InMemoryDocumentStore
from haystack_integrations.components.embedders.sentence_transformers import (
    SentenceTransformersDocumentEmbedder,
    SentenceTransformersTextEmbedder,
)
"""

QUICK = {"split_by": "word", "split_length": 150, "split_overlap": 50}
TUNED = {"split_by": "word", "split_length": 120, "split_overlap": 20}
"""120 words and a title rarely come to 256 tokens; what they do come to is counted."""


class Haystack:
    """One indexing pipeline and one query pipeline over a store that is written to disk as JSON."""

    reads = POSITIONS

    def __init__(self, job: Job) -> None:
        self.job, self.tuned = job, job.variant != "quick"
        self.documents: Any = None
        self.texts: Any = None

    def load(self) -> None:
        from haystack_integrations.components.embedders.sentence_transformers import (
            SentenceTransformersDocumentEmbedder,
        )
        from haystack_integrations.components.embedders.sentence_transformers.embedding_backend import backend

        shorten(backend._SentenceTransformersEmbeddingBackend, "embed", self.job.chars)
        extra = {"meta_fields_to_embed": ["title"]} if self.tuned else {}
        self.documents = SentenceTransformersDocumentEmbedder(**self._options(), **extra)
        self.documents.warm_up()

    def embed(self, texts: list[str]) -> Any:
        from haystack import Document

        done = self.documents.run(documents=[Document(content=t) for t in texts])["documents"]
        return [d.embedding for d in done]

    def index(self, corpus: Path, where: Path) -> Iterable[str]:
        from haystack import Document, Pipeline
        from haystack.components.preprocessors import DocumentSplitter
        from haystack.components.writers import DocumentWriter
        from haystack.document_stores.in_memory import InMemoryDocumentStore

        store = InMemoryDocumentStore(embedding_similarity_function="cosine")
        work = Pipeline()
        work.add_component("splitter", DocumentSplitter(**(TUNED if self.tuned else QUICK)))
        work.add_component("embedder", self.documents)
        work.add_component("writer", DocumentWriter(document_store=store))
        work.connect("splitter", "embedder")
        work.connect("embedder", "writer")
        # What is split again must carry the title either in its text or beside it, not both.
        whole = [
            Document(
                content=a.text if self.tuned else titled(a.title, a.text),
                meta={"article": a.id, "title": a.title if self.tuned else ""},
            )
            for a in articles(corpus)
        ]
        work.run({"splitter": {"documents": whole}})
        where.mkdir(parents=True, exist_ok=True)
        store.save_to_disk(str(where / "store.json"))
        return (titled(d.meta["title"], d.content) for d in store.filter_documents())

    def open(self, where: Path) -> None:
        from haystack import Pipeline
        from haystack.components.retrievers.in_memory import InMemoryEmbeddingRetriever
        from haystack.document_stores.in_memory import InMemoryDocumentStore
        from haystack_integrations.components.embedders.sentence_transformers import SentenceTransformersTextEmbedder

        self.store = InMemoryDocumentStore.load_from_disk(str(where / "store.json"))
        self.asking = Pipeline()
        self.asking.add_component("embedder", SentenceTransformersTextEmbedder(**self._options()))
        self.asking.add_component("dense", InMemoryEmbeddingRetriever(document_store=self.store))
        self.asking.connect("embedder.embedding", "dense.query_embedding")
        if self.job.mode == "hybrid":
            self._add_words()

    def search(self, question: str, k: int) -> list[Hit]:
        given: dict[str, Any] = {"embedder": {"text": question}, "dense": {"top_k": k}}
        last = "dense"
        if self.job.mode == "hybrid":
            given |= {"words": {"query": question, "top_k": k}, "joiner": {"top_k": k}}
            last = "joiner"
        found = self.asking.run(given)[last]["documents"]
        return [Hit(d.meta["article"], d.content, float(d.score)) for d in found]

    def _add_words(self) -> None:
        from haystack.components.joiners import DocumentJoiner
        from haystack.components.retrievers.in_memory import InMemoryBM25Retriever

        joiner = DocumentJoiner(join_mode="reciprocal_rank_fusion") if self.tuned else DocumentJoiner()
        self.asking.add_component("words", InMemoryBM25Retriever(document_store=self.store))
        self.asking.add_component("joiner", joiner)
        self.asking.connect("words", "joiner")
        self.asking.connect("dense", "joiner")

    def _options(self) -> dict[str, Any]:
        from haystack.utils import ComponentDevice

        options: dict[str, Any] = {
            "model": self.job.model,
            "device": ComponentDevice.from_str("cpu"),
            "progress_bar": False,
            "normalize_embeddings": self.tuned,
            "local_files_only": True,
            **({"batch_size": self.job.batch} if self.tuned else {}),
        }
        if self.job.variant == "onnx":
            options |= {"backend": "onnx", "model": self.job.optimised}
            options["model_kwargs"] = {"file_name": OPTIMISED}
        return options


def make(job: Job) -> Haystack:
    """Return the system that a job asks for."""
    return Haystack(job)
