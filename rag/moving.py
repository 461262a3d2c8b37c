"""An index brought to another place, or held against one.  Nothing is embedded.

Both go through what every store can do, so an index of any kind can be moved to any other kind, and back.  Views are
taken for a batch of articles at a time, since no store has to keep an old state for hours.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from rag.errors import IndexMismatch, StoreError
from rag.handover import Kept, Scored
from rag.protocols import Store, Transaction, View
from rag.settings import Settings
from rag.store import places
from rag.store.faults import OnSteps, Pace
from rag.types import ArticleHead, Fingerprint, Report

TOGETHER = 512
"""Passages that are read at a time, but for those of one article."""

COMMIT_SECONDS = 5.0
"""Work that becomes visible at once, at most."""

PASSES = 10
"""Times that an index is gone through while others write it."""

PROBES = 100
"""Passages that two indexes are asked for."""

NEAREST = 10
"""What they are to find of each."""

ROUNDED = 1e-3
"""Numbers of a vector may differ by as much: a store may keep them as halves."""


def copy(
    source: str | Path,
    target: str | Path,
    settings: Settings,
    *,
    prune: bool = False,
    on_progress: OnSteps | None = None,
) -> Report:
    """Bring all articles of one index into another, made if there is none, and return what was done.

    What the target has as it is in the source is left alone, so an interrupted copy goes on from there.  With `prune`
    articles go that only the target has; without, they are a reason to refuse.

    Raises NoIndex for a source that is none, IndexMismatch for a target built otherwise, IndexLocked and StoreError.
    """
    began = time.monotonic()
    here, there = _two(source, target, settings)
    with closing(here.open()) as held, closing(there.create(held.fingerprint)) as store:
        _check_same(held.fingerprint, store.fingerprint, here.name, there.name)
        with store.writer() as transaction:
            only = transaction.ids() - _heads(held).keys()
            if only and not prune:
                raise StoreError(
                    f"{there.name} holds {len(only):,} articles that {here.name} lacks, {min(only)!r} for one:"
                    " take them out with --prune, or name another place"
                )
            copying = _Copying(held, transaction, Pace(on_progress))
            try:
                copying.run(here.name)
            except KeyboardInterrupt:
                if transaction.whole:
                    transaction.commit()
                raise
        with store.view() as now:
            stats = now.stats()
    return Report(
        added=len(copying.added),
        changed=len(copying.changed),
        removed=copying.removed,
        unchanged=stats.articles - len(copying.added | copying.changed),
        articles=stats.articles,
        passages=stats.passages,
        reused=copying.passages,
        seconds=round(time.monotonic() - began, 3),
    )


class _Copying:
    """One run of a copy, and what it has done."""

    def __init__(self, held: Store, target: Transaction, pace: Pace) -> None:
        self._held, self._target, self._pace = held, target, pace
        self._committed = time.monotonic()
        self.added: set[str] = set()
        self.changed: set[str] = set()
        self.removed = self.passages = 0

    def run(self, name: str) -> None:
        """Go through the source until nothing has changed meanwhile."""
        for _ in range(PASSES):
            with self._held.view() as view:
                before, listed = view.generation, view.articles()
            for id in sorted(self._target.ids() - {head.id for head, _ in listed}):
                self._target.remove(id)
                self.removed += 1
            self._pace.begin("copying", len(listed), "articles")
            known = self._target.ids()
            for heads in _batches(listed):
                self._take(heads, known)
                self._pace.on(len(heads))
                if time.monotonic() - self._committed > COMMIT_SECONDS:
                    self._target.commit()
                    self._committed = time.monotonic()
            with self._held.view() as view:
                if view.generation == before:
                    return
        raise StoreError(f"{name} changes faster than it is copied: run it again when nobody writes there")

    def _take(self, heads: Sequence[ArticleHead], known: set[str]) -> None:
        """Bring over those of some articles that the target has not got as they are."""
        with self._held.view() as view:
            wanted = []
            for head in heads:
                revision = view.current(head.id)
                there = head.id in known and self._target.known(head.id) == revision
                # What an article is filed under is no part of its revision.
                if revision and not (there and self._target.source(head.id) == head.source):
                    wanted.append(head.id)
            taken = view.kept(wanted)
        vectors = {p.key: vector for kept in taken for p, vector in zip(kept.passages, kept.vectors, strict=True)}
        lacking = sorted(vectors.keys() - self._target.cached(list(vectors)))
        if lacking:
            self._target.remember(lacking, np.stack([vectors[key] for key in lacking]))
        for kept in taken:
            self._add(kept, known)

    def _add(self, kept: Kept, known: set[str]) -> None:
        id = kept.article.id
        if id not in known:
            # Their texts, which citations of old answers point into.
            for former in kept.former:
                self._target.add(former, (), kept.origin)
        self._target.add(kept.article, kept.passages, kept.origin)
        (self.changed if id in known and id not in self.added else self.added).add(id)
        self.passages += len(kept.passages)


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
    here, there = _two(one, other, settings)
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
            _check_same(self._one.fingerprint, self._other.fingerprint, *self._names)
        except IndexMismatch as error:
            return Compared(0, 0, 0.0, 0, 0.0, 0.0, (str(error),))
        before = self._generations()
        ours, theirs = _heads(self._one), _heads(self._other)
        for missing, name in (
            (ours.keys() - theirs.keys(), self._names[1]),
            (theirs.keys() - ours.keys(), self._names[0]),
        ):
            differences += [f"{name} lacks article {id!r}" for id in sorted(missing)]
        both = [(head, passages) for id, (head, passages) in ours.items() if id in theirs]
        self._pace.begin("comparing", len(both), "articles")
        for heads in _batches(both):
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


def _two(one: str | Path, other: str | Path, settings: Settings) -> tuple[places.Place, places.Place]:
    found = places.at(one, settings.store), places.at(other, settings.store)
    if found[0].name == found[1].name:
        raise StoreError(f"{found[0].name} is named twice: name two places")
    return found


def _check_same(one: Fingerprint, other: Fingerprint, here: str, there: str) -> None:
    """Raise IndexMismatch naming the first thing in which two indexes were built otherwise."""
    for name, says in asdict(one).items():
        if says != asdict(other)[name]:
            raise IndexMismatch(
                f"{here} was built with {name}={says!r} and {there} with {asdict(other)[name]!r}: name another place"
            )


def _heads(store: Store) -> dict[str, tuple[ArticleHead, int]]:
    with store.view() as view:
        return {head.id: (head, passages) for head, passages in view.articles()}


def _batches(listed: Sequence[tuple[ArticleHead, int]]) -> Iterator[list[ArticleHead]]:
    """Yield articles that have TOGETHER passages at most, or one that has more."""
    batch: list[ArticleHead] = []
    held = 0
    for head, passages in listed:
        if batch and held + passages > TOGETHER:
            yield batch
            batch, held = [], 0
        batch.append(head)
        held += max(passages, 1)
    if batch:
        yield batch
