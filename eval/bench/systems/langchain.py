"""LangChain with its FAISS store.

quick: the semantic search tutorial (pieces of 1,000 characters, 200 repeated) over the FAISS page's flat L2 index.
tuned: pieces measured by the model's own tokenizer so that none is cut, the title in front of each, normalised
vectors, an inner-product index, the batch that a trial found best.  onnx: tuned, with the ONNX backend
that `model_kwargs` hands on.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from protocol import OPTIMISED, POSITIONS, Hit, Job, articles, shorten, titled

IMPORTS = """
from langchain_community.docstore.in_memory import InMemoryDocstore
from langchain_community.vectorstores import FAISS
from langchain_core.documents import Document
from langchain_huggingface import HuggingFaceEmbeddings
from langchain_text_splitters import RecursiveCharacterTextSplitter
import faiss
"""

PIECE, OVERLAP = 220, 30
"""Tokens of a tuned piece, less what titles and special tokens need."""


class LangChain:
    """A FAISS store and an embedder."""

    reads = POSITIONS

    def __init__(self, job: Job) -> None:
        self.job, self.tuned = job, job.variant != "quick"
        self.embedder: Any = None

    def load(self) -> None:
        from langchain_huggingface import HuggingFaceEmbeddings

        folder, options = self.job.model, {}
        if self.job.variant == "onnx":
            folder = self.job.optimised
            options = {"backend": "onnx", "model_kwargs": {"file_name": OPTIMISED}}
        self.embedder = self.embedder or HuggingFaceEmbeddings(
            model_name=folder,
            model_kwargs=options,
            encode_kwargs={"normalize_embeddings": True, "batch_size": self.job.batch} if self.tuned else {},
        )
        shorten(HuggingFaceEmbeddings, "embed_documents", self.job.chars)

    def embed(self, texts: list[str]) -> Any:
        return self.embedder.embed_documents(texts)

    def index(self, corpus: Path, where: Path) -> Iterable[str]:
        import faiss
        from langchain_community.docstore.in_memory import InMemoryDocstore
        from langchain_community.vectorstores import FAISS
        from langchain_community.vectorstores.utils import DistanceStrategy

        pieces = self._pieces(corpus)
        dim = len(self.embedder.embed_query("hello world"))
        store = FAISS(
            embedding_function=self.embedder,
            index=faiss.IndexFlatIP(dim) if self.tuned else faiss.IndexFlatL2(dim),
            docstore=InMemoryDocstore(),
            index_to_docstore_id={},
            distance_strategy=(
                DistanceStrategy.MAX_INNER_PRODUCT if self.tuned else DistanceStrategy.EUCLIDEAN_DISTANCE
            ),
        )
        store.add_documents(documents=pieces)
        store.save_local(str(where))
        return (p.page_content for p in pieces)

    def open(self, where: Path) -> None:
        from langchain_community.vectorstores import FAISS

        self.load()
        self.store = FAISS.load_local(str(where), self.embedder, allow_dangerous_deserialization=True)

    def search(self, question: str, k: int) -> list[Hit]:
        found = self.store.similarity_search_with_score(question, k=k)
        return [Hit(d.metadata["id"], d.page_content, float(score)) for d, score in found]

    def _pieces(self, corpus: Path) -> list[Any]:
        from langchain_core.documents import Document
        from langchain_text_splitters import RecursiveCharacterTextSplitter

        if not self.tuned:
            splitter = RecursiveCharacterTextSplitter(chunk_size=1000, chunk_overlap=200, add_start_index=True)
            whole = [Document(titled(a.title, a.text), metadata={"id": a.id}) for a in articles(corpus)]
            return splitter.split_documents(whole)
        from transformers import AutoTokenizer

        splitter = RecursiveCharacterTextSplitter.from_huggingface_tokenizer(
            AutoTokenizer.from_pretrained(self.job.model), chunk_size=PIECE, chunk_overlap=OVERLAP
        )
        return [
            Document(titled(a.title, piece), metadata={"id": a.id})
            for a in articles(corpus)
            for piece in splitter.split_text(a.text)
        ]


def make(job: Job) -> LangChain:
    """Return the system that a job asks for."""
    return LangChain(job)
