"""Two indexes held against each other, article by article, whatever stores they are in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from rag.errors import IndexMismatch, StoreError
from rag.handover import Kept, Scored
from rag.moving import batches, check_alike, heads_of, two_places
from rag.protocols import Store, View
from rag.settings import Settings
from rag.store.faults import OnSteps, Pace
from rag.types import ArticleHead

PROBES = 100
"""Passages that two indexes are asked for."""

NEAREST = 10
"""What they are to find of each."""

ROUNDED = 1e-3
"""Numbers of a vector may differ by as much: a store may keep them as halves."""


@dataclass(frozen=True, slots=True)
class Compared:
    """What two indexes have in common, and each thing in which they differ, in a line.

    `vectors` is the largest difference of two numbers of their vectors; `meaning` and `words` are the shares of the ten
    best passages, of so many `probes`, that both find.
    """

    articles: int
    passages: int
    vectors: float
    probes: int
    meaning: float
    words: float
    differences: tuple[str, ...]


def compare(one: str | Path, other: str | Path, settings: Settings, *, on_progress: OnSteps | None = None) -> Compared:
    """Hold two indexes against each other, article by article.  Raises what opening them raises, and StoreError."""
    here, there = two_places(one, other, settings)
    with closing(here.open()) as a, closing(there.open()) as b:
        return _Comparing(a, b, here.name, there.name, Pace(on_progress)).run()


class _Comparing:
    """One comparison of two stores."""

    def __init__(self, one: Store, other: Store, one_name: str, other_name: str, pace: Pace) -> None:
        self._one, self._other, self._pace = one, other, pace
        self._names = one_name, other_name
        self._articles = self._passages = 0
        self._apart = 0.0

    def run(self) -> Compared:
        """Return what was found."""
        differences = []
        try:
            check_alike(self._one.fingerprint, self._other.fingerprint, *self._names)
        except IndexMismatch as error:
            return Compared(0, 0, 0.0, 0, 0.0, 0.0, (str(error),))
        before = self._generations()
        ours, theirs = heads_of(self._one), heads_of(self._other)
        for missing, name in (
            (ours.keys() - theirs.keys(), self._names[1]),
            (theirs.keys() - ours.keys(), self._names[0]),
        ):
            differences += [f"{name} lacks article {id!r}" for id in sorted(missing)]
        both = [(head, passages) for id, (head, passages) in ours.items() if id in theirs]
        self._pace.begin("comparing", len(both), "articles")
        for heads in batches(both):
            ids = [head.id for head in heads]
            with self._one.view() as a, self._other.view() as b:
                for mine, yours in zip(a.kept(ids), b.kept(ids), strict=True):
                    differences += [f"article {mine.article.id!r}: {what}" for what in self._apart_in(mine, yours)]
            self._pace.on(len(heads))
        probes, meaning, words = self._agreement(both)
        if self._generations() != before:
            raise StoreError("one of the two was written meanwhile: compare them when nobody writes")
        return Compared(
            self._articles,
            self._passages,
            round(self._apart, 6),
            probes,
            round(meaning, 4),
            round(words, 4),
            tuple(differences),
        )

    def _generations(self) -> tuple[int, int]:
        with self._one.view() as a, self._other.view() as b:
            return a.generation, b.generation

    def _apart_in(self, mine: Kept, yours: Kept) -> Iterator[str]:
        """Yield in what an article differs."""
        self._articles += 1
        self._passages += len(mine.passages)
        if mine.article.revision != yours.article.revision:
            yield f"its text is another, revision {mine.article.revision} and {yours.article.revision}"
            return
        for name, said in asdict(mine.article).items():
            if said != asdict(yours.article)[name]:
                yield f"its {name} is {said!r:.80} and {asdict(yours.article)[name]!r:.80}"
        if mine.origin != yours.origin:
            yield f"it came from {mine.origin!r:.80} and {yours.origin!r:.80}"
        if mine.passages != yours.passages:
            yield "its passages are others"
            return
        if {f.revision for f in mine.former} != {f.revision for f in yours.former}:
            yield f"{len(mine.former)} and {len(yours.former)} earlier revisions of it are kept"
        apart = float(np.abs(mine.vectors - yours.vectors).max(initial=0.0))
        self._apart = max(self._apart, apart)
        if apart > ROUNDED:
            yield f"its vectors differ by up to {apart:.4f}"

    def _agreement(self, listed: Sequence[tuple[ArticleHead, int]]) -> tuple[int, float, float]:
        """Return how many passages both were asked for, and what share of the best ten of each both found."""
        some = [head.id for head, passages in listed if passages]
        some = some[:: max(1, -(-len(some) // PROBES))]
        self._pace.begin("asking both", len(some), "passages")
        meaning, words = [], []
        for id in some:
            with self._one.view() as a, self._other.view() as b:
                (kept,) = a.kept([id])
                first, vector = kept.passages[0], kept.vectors[0]
                text = kept.article.text[first.start : first.end]
                meaning.append(_shared(a, b, *(v.dense(vector, 2 * NEAREST) for v in (a, b))))
                words.append(_shared(a, b, *(v.lexical(text, 2 * NEAREST) for v in (a, b))))
            self._pace.on()
        return len(some), float(np.mean(meaning or [1.0])), float(np.mean(words or [1.0]))


def _shared(one: View, other: View, mine: Scored, yours: Scored) -> float:
    """Return the share of the best that both have; what scores as the last of them counts among them."""
    best, others = _best(one, mine), _best(other, yours)
    wanted = min(NEAREST, len(mine.rows))
    return min(len(best & others) / wanted, 1.0) if wanted else float(not others)


def _best(view: View, found: Scored) -> set[str]:
    if not len(found.rows):
        return set()
    last = found.scores[min(NEAREST, len(found.rows)) - 1]
    rows = found.rows[found.scores >= last - ROUNDED * max(abs(float(last)), 1.0)]
    return {passage.id for passage, _ in view.passages(rows.tolist())}
