"""The steps of an ingest that take time: raw pages -> articles -> passages, texts -> vectors.

Each is a function of values and the model alone, so it gives the same wherever it is done: here, or by workers
elsewhere (`rag.spread`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from rag.errors import RagError
from rag.handover import NewPassage, Vectors
from rag.intake.chunk import chunk, short_title
from rag.intake.readers import parsed
from rag.intake.sources import Raw
from rag.intake.text import embedded_text
from rag.protocols import Embedder
from rag.settings import PassageSettings
from rag.types import Article, Failure

Unread = Raw | Article | Failure
"""What is to be read; an article that was handed over and a page that cannot be opened are read already."""


@dataclass(frozen=True, slots=True)
class Cut:
    """The passages of an article, and the title that they are embedded below."""

    title: str
    passages: list[NewPassage]

    def text(self, article: Article, passage: NewPassage) -> str:
        """Return what the model reads for a passage."""
        return embedded_text(self.title, article.text[passage.start : passage.end])


class Work(Protocol):
    """Does the steps of an ingest.  Each takes what it is given as it needs it, some ahead, and gives results in order.

    A Failure takes the place of what cannot be done.  `on_wait` is called now and then while results are waited for;
    what it raises ends the ingest.
    """

    on_wait: Callable[[], None]

    def read(self, given: Iterable[Unread]) -> Iterator[Sequence[Article | Failure]]:
        """Yield the articles of each."""
        ...

    def cut(self, articles: Iterable[Article]) -> Iterator[Cut | Failure]:
        """Yield each article's passages; a Failure names its id."""
        ...

    def embed(self, texts: Iterable[str]) -> Iterator[Vectors | Failure]:
        """Yield the vectors of some texts at a time; a Failure stands for one text."""
        ...


class Here:
    """Work done in this process."""

    def __init__(self, embedder: Embedder, passages: PassageSettings) -> None:
        self._embedder, self._passages = embedder, passages
        self.on_wait: Callable[[], None] = lambda: None  # results come one by one

    def read(self, given: Iterable[Unread]) -> Iterator[Sequence[Article | Failure]]:
        for one in given:
            yield read(one)

    def cut(self, articles: Iterable[Article]) -> Iterator[Cut | Failure]:
        for article in articles:
            yield cut(article, self._embedder, self._passages)

    def embed(self, texts: Iterable[str]) -> Iterator[Vectors]:
        yield from self._embedder.passages(texts)


def read(given: Unread) -> Sequence[Article | Failure]:
    """Return the articles of a raw page in order, and what is read already as it is."""
    return parsed(given) if isinstance(given, Raw) else [given]


def cut(article: Article, embedder: Embedder, settings: PassageSettings) -> Cut | Failure:
    """Return an article's passages, or why it cannot be cut."""
    try:
        title = short_title(article.title, embedder, settings.tokens) if settings.title else ""
        passages = chunk(article, embedder, tokens=settings.tokens, overlap=settings.overlap, title=title)
    except RagError as error:
        return Failure(article.id, str(error))
    digest = embedder.digest
    return Cut(
        title,
        [NewPassage(p.start, p.end, p.section, key(digest, embedded_text(title, p.text))) for p in passages],
    )


def key(model_digest: str, text: str) -> bytes:
    """Return the key of a text's vector: the same model and text have the same."""
    return hashlib.sha256(f"{model_digest}\n{text}".encode()).digest()[:16]
