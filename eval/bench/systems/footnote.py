"""Footnote itself, by the functions that its faces call.  A variant is a precision of the model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from protocol import POSITIONS, Hit, Job

IMPORTS = """
import rag
"""


class Footnote:
    """One engine; the model is loaded once, as in a process that has been at work for a while."""

    reads = POSITIONS

    def __init__(self, job: Job) -> None:
        from rag import engine
        from rag.settings import ModelSettings, Settings

        groups: dict[str, Any] = {"search": {"retriever": {"hybrid": "fused"}.get(job.mode, job.mode)}}
        if "precision" in ModelSettings.model_fields:
            groups["model"] = {"precision": job.variant}
        self.settings = Settings.load(**groups)
        self.embedder: Any = None
        self.texts: list[str] | None = [] if job.counts else None
        self.chars = job.chars
        self.make = engine.Model
        engine.Model = self._once  # type: ignore[assignment, misc]

    def load(self) -> None:
        """Load the model and the tokenizer by using them as ingest does."""
        from tempfile import TemporaryDirectory

        import rag

        article = rag.Article(id="warm", title="Warm", text="A sentence to warm up with.")
        with TemporaryDirectory() as folder:
            rag.ingest([article], index=folder, settings=self.settings)
        if self.texts:
            self.texts.clear()

    def embed(self, texts: list[str]) -> Any:
        return [v for some in self.embedder.passages(texts) for v in some]

    def index(self, corpus: Path, where: Path) -> Iterable[str]:
        import rag

        if self.texts:
            self.texts.clear()
        report = rag.ingest(corpus, index=where, settings=self.settings)
        if report.failed:
            raise ValueError(f"{len(report.failed)} articles were not read: {report.failed[0]}")
        return self.texts or []

    def open(self, where: Path) -> None:
        import rag

        self.engine = rag.open(where, settings=self.settings)

    def search(self, question: str, k: int) -> list[Hit]:
        return [Hit(h.article.id, h.passage.text, h.score) for h in self.engine.search(question, k=k)]

    def _once(self, *args: Any, **options: Any) -> Any:
        """Return the one model, whoever asks for one, and note what it embeds."""
        if self.embedder is None:
            self.embedder = self.make(*args, **options)
            whole = self.embedder.passages

            def passages(texts: Iterable[str]) -> Any:
                return whole(self._noted(texts))

            self.embedder.passages = passages
        return self.embedder

    def _noted(self, texts: Iterable[str]) -> Iterator[str]:
        """Yield texts as they are to be embedded, and keep them where they are to be counted."""
        for text in texts:
            if self.texts is not None:
                self.texts.append(text)
            yield text[: self.chars] if self.chars else text


def make(job: Job) -> Footnote:
    """Return the system that a job asks for."""
    return Footnote(job)
