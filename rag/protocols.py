"""The protocols that the stages meet at: whoever keeps one can take a stage's place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from rag.handover import Evidence, Kept, NewPassage, PairReading, Scored, TokenStates, Vector, Vectors, Written
from rag.types import Article, ArticleHead, Filter, Fingerprint, Hit, Passage, Stats


@runtime_checkable
class Embedder(Protocol):
    """Text to vectors.  Never cuts a text silently: the caller keeps texts within `max_tokens`."""

    @property
    def name(self) -> str: ...
    @property
    def digest(self) -> str:
        """Changes whenever the same text may get another vector."""
        ...

    @property
    def dim(self) -> int: ...
    @property
    def max_tokens(self) -> int: ...
    def count(self, texts: Sequence[str]) -> list[int]:
        """Return how many tokens each text costs, the model's own special tokens included."""
        ...

    def passages(self, texts: Iterable[str]) -> Iterator[Vectors]:
        """Yield the vectors of the texts in order, some at a time.

        Takes texts as it needs them, a few ahead, so that whoever makes them works at the same time.
        Raises TextTooLong.
        """
        ...

    def vectors(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of a few passages, shape (n, dim), as exact as a question's.  Raises TextTooLong."""
        ...

    def query(self, text: str) -> Vector:
        """Return the vector of a question; one longer than the model reads is embedded by its beginning."""
        ...

    def queries(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of many questions, shape (n, dim), each the one that `query` gives."""
        ...


@runtime_checkable
class TokenReader(Protocol):
    """An Embedder that tells what it makes of single tokens, and of two texts read together."""

    @property
    def digest(self) -> str: ...
    def tokens(self, texts: Sequence[str]) -> list[TokenStates]:
        """Return the tokens of some texts and their states; a text longer than the model reads ends where it must."""
        ...

    def pairs(self, question: TokenStates, passages: Sequence[TokenStates]) -> list[PairReading]:
        """Return what is made of a question and each of some passages."""
        ...


class View(Protocol):
    """One unchanging state of a store.  Rows are the store's own passage numbers, never reused."""

    @property
    def generation(self) -> int: ...
    @property
    def fingerprint(self) -> Fingerprint: ...
    def dense(self, vector: Vector, k: int, where: Filter | None = None) -> Scored:
        """Return min(k, matches) rows by inner product."""
        ...

    def dense_many(self, vectors: Vectors, k: int, where: Filter | None = None) -> list[Scored]:
        """Return what `dense` returns for each of some vectors, shape (n, dim), reading the store's once."""
        ...

    def lexical(self, text: str, k: int, where: Filter | None = None) -> Scored:
        """Return up to k rows that share a content word with the text, by BM25."""
        ...

    def both(
        self, texts: Sequence[str], vectors: Vectors, k: int, where: Filter | None = None
    ) -> list[tuple[Scored, Scored]]:
        """Return what `dense` and what `lexical` return for each of some questions, given as texts and as vectors.

        A store may look for both at once.
        """
        ...

    def similar(self, vector: Vector, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Return the inner product of the vector with each of the rows, shape (n,)."""
        ...

    def passages(self, rows: Sequence[int]) -> list[tuple[Passage, ArticleHead]]:
        """Return the passages of these rows, in their order.  Raises KeyError for an unknown row."""
        ...

    def article(self, id: str, revision: str | None = None) -> Article:
        """Return an article; without a revision the current one.  Raises UnknownArticle."""
        ...

    def twins(self, ids: Sequence[str]) -> Mapping[str, tuple[ArticleHead, ...]]:
        """Return the current articles that some current ones are directly linked with, by id, ordered by their ids.

        Articles without a twin may be absent.  Links are mutual and do not chain (see `rag.intake.twins`).
        """
        ...

    def current(self, id: str) -> str | None:
        """Return the current revision of an article, or None where there is none (any more)."""
        ...

    def articles(self, where: Filter | None = None) -> list[tuple[ArticleHead, int]]:
        """Return the current articles and their numbers of passages, ordered by id."""
        ...

    def cut(self, id: str) -> list[Passage]:
        """Return the passages of a current article, in their order.  Raises UnknownArticle."""
        ...

    def kept(self, ids: Sequence[str]) -> list[Kept]:
        """Return some current articles with all that goes with them, in this order.

        Raises UnknownArticle, and StoreError where what belongs to one has been removed since the view began.
        """
        ...

    def sections(self) -> list[str]:
        """Return the names of sections that current passages have, sorted, each once however it is written."""
        ...

    def stats(self) -> Stats: ...


class Transaction(Protocol):
    """Changes to a store that become visible together, or not at all."""

    @property
    def whole(self) -> bool:
        """False once a change was broken off half way; such a transaction cannot be committed any more."""
        ...

    def known(self, id: str) -> str | None:
        """Return the current revision of an article, or None."""
        ...

    def cached(self, keys: Sequence[bytes]) -> set[bytes]:
        """Return those keys whose vectors are stored already."""
        ...

    def remember(self, keys: Sequence[bytes], vectors: Vectors) -> None:
        """Store vectors under their keys."""
        ...

    def add(self, article: Article, passages: Sequence[NewPassage], origin: str = "") -> None:
        """Add an article, replacing the current revision of the same id.  Its vectors must be remembered.

        `origin` is the path or address that it was ingested from.  Raises KeyError for an unknown vector.
        """
        ...

    def move(self, id: str, origin: str) -> None:
        """Note that a current article, otherwise unchanged, comes from somewhere else now."""
        ...

    def remove(self, id: str) -> None:
        """Remove an article.  Raises UnknownArticle."""
        ...

    def twinned(self, ids: Sequence[str]) -> int:
        """Return how many of these articles are current and have a twin."""
        ...

    def origin(self, id: str) -> str:
        """Return where the current revision of an article came from.  Raises UnknownArticle."""
        ...

    def source(self, id: str) -> str:
        """Return the source that the current revision of an article names.  Raises UnknownArticle."""
        ...

    def ids(self, origin: str | None = None) -> set[str]:
        """Return the ids of all current articles, or of those that came from one origin or from within it."""
        ...

    def commit(self) -> None:
        """Make everything so far durable and visible, and go on.  Raises StoreError when it is not `whole`."""
        ...


class Store(Protocol):
    """Articles, their passages and vectors: one writer, any number of readers in any process."""

    @property
    def fingerprint(self) -> Fingerprint:
        """What the index was built with when the store was opened; a view tells its own."""
        ...

    def view(self) -> AbstractContextManager[View]:
        """Return the newest state, for use in one `with` block on one thread."""
        ...

    def writer(self, restart: Fingerprint | None = None) -> AbstractContextManager[Transaction]:
        """Return a transaction; leaving the block commits, an exception rolls back to the last commit.

        With `restart` it begins by dropping every article and taking that fingerprint.

        Raises IndexLocked while another writer is at work.
        """
        ...

    def close(self) -> None: ...


class Retriever(Protocol):
    """The seam at which search, the page, the API and evaluation meet."""

    def search(self, view: View, query: str, k: int, where: Filter | None = None) -> list[Hit]:
        """Return up to k hits, best first, equal scores ordered by passage id."""
        ...

    def search_many(self, view: View, queries: Sequence[str], k: int, where: Filter | None = None) -> list[list[Hit]]:
        """Return what `search` returns for each of some questions, in less time."""
        ...


class Scorer(Protocol):
    """Reads a question and a text together."""

    def scores(self, question: str, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return how well each text answers the question, shape (texts,)."""
        ...


class Writer(Protocol):
    """Turns evidence into an answer's text.  Marks may point only at hits it was given.

    A sentence is the text up to its marks, or to an End if it has none; text after that begins the next one.
    """

    def write(self, evidence: Evidence) -> Iterable[Written]: ...
