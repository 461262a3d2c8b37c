"""The one write path: read, skip what is known, cut, embed, store, report.

Reading, cutting and embedding are done by whoever does the steps (`steps.py`): this process, or workers on several
machines.  What is decided, and what is stored, is decided and stored here, in the order of reading.

Articles are committed in groups, each article whole; a vector is durable as soon as it is computed.
So a run that is interrupted has lost nothing, and the next one embeds only what is still missing.
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rag.errors import ClusterError, DuplicateId, RagError
from rag.files import shown
from rag.handover import NewPassage, Vectors
from rag.intake.items import Item, records
from rag.intake.readers import opened
from rag.intake.sources import Page
from rag.intake.steps import Cut, Here, Unread, Work
from rag.protocols import Embedder, Transaction
from rag.settings import LimitSettings, Settings
from rag.types import Article, Failure, Progress, Report

GROUP_TEXTS = 256
"""Texts looked up together: whether their vectors are known."""

KEEP_SECONDS = 1.0
"""Computed vectors that a crash may lose, at most."""

QUEUED = 256
"""Articles that wait to be stored, at most: when nothing is left to embed, they come quickly."""

COMMIT_SECONDS = 5.0
"""Work that becomes visible at once, at most."""

OnProgress = Callable[[Progress], None]


@dataclass(slots=True)
class _Found:
    """An article that the store lacks, in this revision or at all, and the pages read until it is there."""

    article: Article
    origin: str
    is_new: bool
    pages: int


@dataclass(slots=True)
class _Queued:
    """An article cut up, which can be stored once so many texts of the run are embedded."""

    found: _Found
    cut: Cut
    texts: int = 0


@dataclass(slots=True)
class _Tally:
    added: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0
    embedded: int = 0
    reused: int = 0
    failed: list[Failure] = field(default_factory=list)


def ingest(
    items: Sequence[Item],
    transaction: Transaction | None,
    embedder: Embedder,
    settings: Settings,
    *,
    prune: bool = False,
    all_or_nothing: bool = False,
    dry_run: bool = False,
    on_progress: OnProgress | None = None,
    work: Work | None = None,
) -> Report:
    """Bring what was found (see items.py) into a store and return what was done.

    The embedder does the steps in this process, unless they are the `work` of others.

    What is complete is committed every few seconds and when the run is interrupted, unless
    `all_or_nothing`.  A dry run writes and embeds nothing; it needs a transaction only to know what
    is there.
    """
    began = time.monotonic()
    work = work or Here(embedder, settings.passages)
    run = _Run(None if dry_run else transaction, transaction, work, settings.limits, on_progress, all_or_nothing)
    try:
        run.take(items)
        if prune:
            run.prune(items)
    except (KeyboardInterrupt, ClusterError):
        if transaction and transaction.whole and not all_or_nothing:
            transaction.commit()
        raise
    if transaction:
        transaction.commit()
    t = run.tally
    return Report(
        duplicates=run.target.twinned(run.stored_ids) if run.target else 0,
        added=t.added,
        changed=t.changed,
        removed=t.removed,
        unchanged=t.unchanged,
        embedded=t.embedded,
        reused=t.reused,
        seconds=round(time.monotonic() - began, 3),
        failed=tuple(t.failed),
    )


class _Run:
    def __init__(
        self,
        target: Transaction | None,
        known: Transaction | None,
        work: Work,
        limits: LimitSettings,
        on_progress: OnProgress | None,
        all_or_nothing: bool,
    ) -> None:
        self.target, self.known = target, known
        self.work, self.limits = work, limits
        work.on_wait = self._report
        self.on_progress, self.all_or_nothing = on_progress, all_or_nothing
        self.tally = _Tally()
        self.seen: dict[str, str] = {}
        self.began = self.committed = self.kept = time.monotonic()
        # Pages: all there are, those read, and those of them whose articles are stored.
        self.total = self.read = self.stored = 0
        # Keys of the texts that are being embedded, in order; vectors that came of it; and both until they are durable.
        self.asked: deque[bytes] = deque()
        self.fresh: list[tuple[list[bytes], Vectors]] = []
        self.pending: set[bytes] = set()
        # Texts that have no vector because they cannot be embedded, and why.
        self.lost: dict[bytes, str] = {}
        # Texts to embed in all, and those that are settled: their vectors are durable, or there are none.
        self.given = self.settled = 0
        self.queue: deque[_Queued] = deque()
        self.stored_ids: list[str] = []

    def take(self, items: Sequence[Item]) -> None:
        """Read everything and store it; while some texts are embedded the next are read."""
        self.total = sum(records(item.value) for item in items)
        if self.target is None:
            for found in self._wanted(items):
                self._count(found)
            return
        try:
            for vectors in self.work.embed(self._missing(items, self.target)):
                self._keep(vectors, self.target)
        except (KeyboardInterrupt, ClusterError):
            if self.target.whole:
                self._store(self.target)
            raise
        self._store(self.target)
        self.stored = self.total
        self._report()

    def _articles(self, items: Sequence[Item]) -> Iterator[_Found]:
        """Yield every article in order, taken for a new one; what cannot be read goes into the report."""
        origins: deque[str] = deque()

        def given() -> Iterator[Unread]:
            for item in items:
                for one in self._opened(item.value):
                    origins.append(item.origin)
                    yield one

        for articles in self.work.read(given()):
            origin = origins.popleft()
            for n, article in enumerate(articles, 1):
                if isinstance(article, Failure):
                    self.tally.failed.append(article)
                else:
                    yield _Found(article, origin, True, self.read + (n == len(articles)))
            self.read += 1
            self._report()

    def _opened(self, value: Page | Article | Failure) -> Iterable[Unread]:
        if isinstance(value, Page):
            return opened(value, max_page=self.limits.page_bytes, max_line=self.limits.line_bytes)
        return [value]

    def _wanted(self, items: Sequence[Item]) -> Iterator[_Found]:
        """Yield what has to be stored."""
        for found in self._articles(items):
            try:
                if self._is_wanted(found):
                    yield found
            except RagError as error:
                self._fail(found, str(error))

    def _cuts(self, items: Sequence[Item]) -> Iterator[_Queued]:
        """Yield what has to be stored, cut up."""
        wanted: deque[_Found] = deque()

        def articles() -> Iterator[Article]:
            for found in self._wanted(items):
                wanted.append(found)
                yield found.article

        for cut in self.work.cut(articles()):
            found = wanted.popleft()
            if isinstance(cut, Failure):
                self._fail(found, cut.reason)
            else:
                yield _Queued(found, cut)

    def _missing(self, items: Sequence[Item], target: Transaction) -> Iterator[str]:
        """Yield the texts whose vectors are not known yet, and put what they belong to in the queue."""
        group: list[_Queued] = []
        waiting = 0
        for queued in itertools.chain(self._cuts(items), [None]):
            if queued:
                group.append(queued)
                waiting += len(queued.cut.passages)
            if queued is None or waiting >= GROUP_TEXTS:
                keys = dict.fromkeys(p.key for q in group for p in q.cut.passages)
                known = target.cached(list(keys)) | self.pending | self.lost.keys()
                for q in group:
                    new: dict[bytes, NewPassage] = {}
                    for p in q.cut.passages:
                        if p.key not in known:
                            new.setdefault(p.key, p)
                    self.tally.reused += len(q.cut.passages) - len(new)
                    self.given += len(new)
                    q.texts = self.given
                    self.queue.append(q)
                    self.asked.extend(new)
                    self.pending |= new.keys()
                    known |= new.keys()
                    yield from (q.cut.text(q.found.article, p) for p in new.values())
                group, waiting = [], 0
                self._store_now_and_then(target)

    def _keep(self, vectors: Vectors | Failure, target: Transaction) -> None:
        if isinstance(vectors, Failure):
            key = self.asked.popleft()
            self.lost[key] = vectors.reason
            self.pending.discard(key)
            self.settled += 1
        else:
            self.fresh.append(([self.asked.popleft() for _ in vectors], vectors))
            self.tally.embedded += len(vectors)
        self._store_now_and_then(target)
        self._report()

    def _store_now_and_then(self, target: Transaction) -> None:
        now = time.monotonic()
        if now - self.kept > KEEP_SECONDS or len(self.queue) > QUEUED:
            self._store(target)
            self.kept = now
        if not self.all_or_nothing and now - self.committed > COMMIT_SECONDS:
            target.commit()
            self.committed = now

    def _store(self, target: Transaction) -> None:
        """Make the vectors computed so far durable, and add the articles that wait for no other."""
        if self.fresh:
            keys = [key for keys, _ in self.fresh for key in keys]
            target.remember(keys, np.concatenate([vectors for _, vectors in self.fresh]))
            self.fresh = []
            self.pending.difference_update(keys)
            self.settled += len(keys)
        while self.queue and self.queue[0].texts <= self.settled:
            ready = self.queue.popleft()
            found, passages = ready.found, ready.cut.passages
            lost = next((self.lost[p.key] for p in passages if p.key in self.lost), None)
            if lost is None:
                target.add(found.article, passages, found.origin)
                self.stored_ids.append(found.article.id)
                self._count(found)
            else:
                self._fail(found, lost)
            self.stored = found.pages

    def _count(self, found: _Found) -> None:
        if found.is_new:
            self.tally.added += 1
        else:
            self.tally.changed += 1

    def _fail(self, found: _Found, reason: str) -> None:
        self.tally.failed.append(Failure(found.origin or found.article.id, reason))

    def prune(self, items: Sequence[Item]) -> None:
        """Remove articles that came from one of these sources and are no longer there."""
        if self.known is None:
            return
        # A page that cannot be read today has not vanished; a line of one is named PAGE:LINE.
        named = {f.source for f in self.tally.failed} | {f.source.rpartition(":")[0] for f in self.tally.failed}
        # A link counts as where it lies too: it may stand where a file was.
        unread = {at for n in named if n for at in (Path(n).resolve(), Path(n).parent.resolve() / Path(n).name)}
        for root in sorted({i.root for i in items if i.root}):
            for id in sorted(self.known.ids(root) - self.seen.keys()):
                origin = Path(self.known.origin(id))
                # A folder that cannot be listed has not lost what is in it either.
                if not unread.isdisjoint((origin, *origin.parents)):
                    continue
                if self.target:
                    self.target.remove(id)
                self.tally.removed += 1

    def _is_wanted(self, found: _Found) -> bool:
        """Say whether an article has to be stored, because the store has it in another revision or not at all.

        Raises DuplicateId.
        """
        article, origin = found.article, found.origin
        revision = self.known.known(article.id) if self.known else None
        found.is_new = revision is None
        self._claim(article.id, origin, revision is not None)
        if revision == article.revision and self.known and self._is_as_filed(article, origin, self.known):
            self.tally.unchanged += 1
            if self.target and self.target.origin(article.id) != origin:
                self.target.move(article.id, origin)
            return False
        return True

    def _is_as_filed(self, article: Article, origin: str, known: Transaction) -> bool:
        """Say whether a known revision is found under the source that it names now, which no revision tells."""
        source = known.source(article.id)
        # A page that names none goes by its path, written from the folder that is ingested, whichever that is.
        both_paths = origin.endswith(article.source) and origin.endswith(source)
        return source == article.source or (both_paths and known.origin(article.id) == origin)

    def _claim(self, id: str, origin: str, known: bool) -> None:
        """Raise DuplicateId when another source has this id, in this run or in the store."""
        before = self.seen.get(id)
        if before is None and self.known and known:
            kept = self.known.origin(id)
            # A source that has moved takes its articles along.
            before = kept if kept and kept != origin and Path(kept).exists() else None
        if before is not None:
            raise DuplicateId(f"article id {id!r} is claimed by {shown(before)} too: give one of them another id")
        self.seen[id] = origin or "another article"

    def _report(self) -> None:
        if self.on_progress:
            self.on_progress(Progress(self.stored, self.total, self.tally.embedded, time.monotonic() - self.began))
