"""An index brought to another place.  Nothing is embedded.

It goes through what every store can do, so an index of any kind can be moved to any other kind, and back.  Views are
taken for a batch of articles at a time, since no store has to keep an old state for hours.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import numpy as np

from rag.errors import IndexMismatch, StoreError
from rag.handover import Kept
from rag.protocols import Store, Transaction
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
    here, there = two_places(source, target, settings)
    with closing(here.open()) as held, closing(there.create(held.fingerprint)) as store:
        check_alike(held.fingerprint, store.fingerprint, here.name, there.name)
        with store.writer() as transaction:
            only = transaction.ids() - heads_of(held).keys()
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
            for heads in batches(listed):
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


def two_places(one: str | Path, other: str | Path, settings: Settings) -> tuple[places.Place, places.Place]:
    """Return two places, each a folder or an address.  Raises StoreError for one that is named twice."""
    found = places.at(one, settings.store), places.at(other, settings.store)
    if found[0].name == found[1].name:
        raise StoreError(f"{found[0].name} is named twice: name two places")
    return found


def check_alike(one: Fingerprint, other: Fingerprint, here: str, there: str) -> None:
    """Raise IndexMismatch naming the first thing in which two indexes were built otherwise."""
    for name, says in asdict(one).items():
        if says != asdict(other)[name]:
            raise IndexMismatch(
                f"{here} was built with {name}={says!r} and {there} with {asdict(other)[name]!r}: name another place"
            )


def heads_of(store: Store) -> dict[str, tuple[ArticleHead, int]]:
    """Return the current articles of a store and their numbers of passages, by id."""
    with store.view() as view:
        return {head.id: (head, passages) for head, passages in view.articles()}


def batches(listed: Sequence[tuple[ArticleHead, int]]) -> Iterator[list[ArticleHead]]:
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
