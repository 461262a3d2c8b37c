"""txtai, dense and hybrid, with content so that hits have their texts.

quick: the introduction (whole articles, cut by the embedder at 512 tokens; `hybrid=True` for hybrid).  tuned: pieces
by its segmentation pipeline and the model's tokenizer, the title in front of each, `maxlength` 256, the batch that a
trial found best.  onnx: tuned, with its ONNX Runtime vectors.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from protocol import POSITIONS, Hit, Job, articles, shorten, titled

IMPORTS = """
from txtai import Embeddings
"""

PIECE, OVERLAP = 220, 30
"""Tokens of a tuned piece, less what titles and special tokens need."""

MARK = "\t"
"""Stands between an article's id and the number of its piece."""


class Txtai:
    """One Embeddings database."""

    def __init__(self, job: Job) -> None:
        self.job, self.tuned = job, job.variant != "quick"
        self.reads = POSITIONS if self.tuned else 512
        self.database: Any = None

    def load(self) -> None:
        from txtai import Embeddings

        self._shorten()
        options: dict[str, Any] = {"path": self.job.model, "content": True}
        if self.job.mode == "hybrid":
            options["hybrid"] = True
        if self.tuned:
            options |= {"maxlength": POSITIONS, "encodebatch": self.job.batch}
        if self.job.variant == "onnx":
            options |= {"path": f"{self.job.onnx}/onnx/model.onnx", "method": "onnx"}
        self.database = Embeddings(**options)

    def embed(self, texts: list[str]) -> Any:
        return self.database.batchtransform(texts)

    def index(self, corpus: Path, where: Path) -> Iterable[str]:
        pieces: list[str] = []

        def stream() -> Iterator[tuple[str, str, None]]:
            for id, text in self._pieces(corpus):
                if self.job.counts:
                    pieces.append(text)
                yield id, text, None

        self.database.index(stream())
        self.database.save(str(where))
        return pieces

    def open(self, where: Path) -> None:
        from txtai import Embeddings

        self.database = Embeddings()
        self.database.load(str(where))

    def search(self, question: str, k: int) -> list[Hit]:
        found = self.database.search(question, k)
        return [Hit(f["id"].partition(MARK)[0], f["text"], float(f["score"])) for f in found]

    def _pieces(self, corpus: Path) -> Iterator[tuple[str, str]]:
        if not self.tuned:
            yield from ((a.id, titled(a.title, a.text)) for a in articles(corpus))
            return
        from tokenizers import Tokenizer
        from txtai.pipeline import Segmentation

        tokenizer = Tokenizer.from_file(f"{self.job.model}/tokenizer.json")
        tokenizer.no_truncation()
        tokenizer.no_padding()
        cut = Segmentation(chunker="sentence", tokenizer=tokenizer, chunk_size=PIECE, chunk_overlap=OVERLAP)
        for a in articles(corpus):
            for n, piece in enumerate(cut(a.text)):
                yield f"{a.id}{MARK}{n}", titled(a.title, piece)

    def _shorten(self) -> None:
        if self.job.chars is None:
            return
        from txtai.models.pooling import Pooling
        from txtai.vectors.dense.onnx import ONNX

        shorten(ONNX if self.job.variant == "onnx" else Pooling, "encode", self.job.chars)


def make(job: Job) -> Txtai:
    """Return the system that a job asks for."""
    return Txtai(job)
