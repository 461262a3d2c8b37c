"""Chroma.

quick: getting started (whole articles, its default embedding function: this very model in ONNX, every text padded to
256 tokens).  tuned: pieces that fit the model with the title in front, its sentence-transformers function with
normalised vectors, cosine.  onnx: the pieces of tuned, with one instance of its ONNX function kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from protocol import POSITIONS, Hit, Job, articles, shorten, titled

IMPORTS = """
import chromadb
"""

PIECE, OVERLAP = 220, 30
"""Tokens of a tuned piece, less what titles and special tokens need."""

NAME = "articles"


class Chroma:
    """One collection in a persistent client."""

    reads = POSITIONS

    def __init__(self, job: Job) -> None:
        self.job, self.tuned = job, job.variant != "quick"
        self.function: Any = None

    def load(self) -> None:
        from chromadb.utils import embedding_functions as functions

        # Its own download, replaced by the same weights: nothing is fetched while measuring.
        functions.ONNXMiniLM_L6_V2.DOWNLOAD_PATH = Path(self.job.onnx)
        if self.job.variant == "tuned":
            made = functions.SentenceTransformerEmbeddingFunction(self.job.model, normalize_embeddings=True)
            shorten(functions.SentenceTransformerEmbeddingFunction, "__call__", self.job.chars)
        else:
            one = functions.ONNXMiniLM_L6_V2
            made = one() if self.job.variant == "onnx" else functions.DefaultEmbeddingFunction()
            shorten(one, "__call__", self.job.chars)
        self.function = self.function or made

    def embed(self, texts: list[str]) -> Any:
        return self.function(texts)

    def index(self, corpus: Path, where: Path) -> Iterable[str]:
        import chromadb

        client = chromadb.PersistentClient(path=str(where))
        collection = client.create_collection(NAME, **self._options())
        found = self._pieces(corpus)
        for at in range(0, len(found), client.get_max_batch_size()):
            some = found[at : at + client.get_max_batch_size()]
            collection.add(
                ids=[id for id, _, _ in some],
                documents=[text for _, _, text in some],
                metadatas=[{"article": article} for _, article, _ in some],
            )
        return (text for _, _, text in found)

    def open(self, where: Path) -> None:
        import chromadb

        self.load()
        client = chromadb.PersistentClient(path=str(where))
        self.collection = client.get_collection(NAME, **({"embedding_function": self.function} if self.tuned else {}))

    def search(self, question: str, k: int) -> list[Hit]:
        found = self.collection.query(query_texts=[question], n_results=min(k, self.collection.count()))
        rows = zip(found["metadatas"][0], found["documents"][0], found["distances"][0], strict=True)
        return [Hit(str(meta["article"]), text, -distance) for meta, text, distance in rows]

    def _options(self) -> dict[str, Any]:
        if not self.tuned:
            return {}
        return {"embedding_function": self.function, "configuration": {"hnsw": {"space": "cosine"}}}

    def _pieces(self, corpus: Path) -> list[tuple[str, str, str]]:
        if not self.tuned:
            return [(a.id, a.id, titled(a.title, a.text)) for a in articles(corpus)]
        from langchain_text_splitters import RecursiveCharacterTextSplitter
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(f"{self.job.model}/tokenizer.json")
        tokenizer.no_truncation()
        tokenizer.no_padding()
        splitter = RecursiveCharacterTextSplitter(
            chunk_size=PIECE,
            chunk_overlap=OVERLAP,
            length_function=lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids),
        )
        return [
            (f"{a.id}\t{n}", a.id, titled(a.title, piece))
            for a in articles(corpus)
            for n, piece in enumerate(splitter.split_text(a.text))
        ]


def make(job: Job) -> Chroma:
    """Return the system that a job asks for."""
    return Chroma(job)
