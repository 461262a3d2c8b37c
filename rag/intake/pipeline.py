"""The one write path: read, skip what is known, cut, embed, store, report.

Articles are committed in groups, each article whole; a vector is durable as soon as it is computed.
So a run that is interrupted has lost nothing, and the next one embeds only what is still missing.
"""

from __future__ import annotations

import hashlib
import itertools
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rag.errors import DuplicateId, RagError
from rag.files import shown
from rag.handover import NewPassage, Vectors
from rag.intake.chunk import chunk, short_title
from rag.intake.items import Item, records
from rag.intake.readers import read
from rag.intake.sources import Page
from rag.intake.text import embedded_text
from rag.protocols import Embedder, Transaction
from rag.settings import Settings
from rag.types import Article, Failure, Passage, Progress, Report

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
class _Cut:
    """An article, its passages, what the model reads for each, and the key of that."""

    article: Article
    origin: str
    passages: list[Passage]
    texts: list[str]
    keys: list[bytes]


@dataclass(slots=True)
class _Queued:
    """An article that can be stored once so many texts of the run are embedded, and the pages read until it."""

    cut: _Cut
    texts: int
    pages: int


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
) -> Report:
    """Bring what was found (see items.py) into a store and return what was done.

    What is complete is committed every few seconds and when the run is interrupted, unless
    `all_or_nothing`.  A dry run writes and embeds nothing; it needs a transaction only to know what
    is there.
    """
    began = time.monotonic()
    run = _Run(None if dry_run else transaction, transaction, embedder, settings, on_progress, all_or_nothing)
    try:
        run.take(items)
        if prune:
            run.prune(items)
    except KeyboardInterrupt:
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
        embedder: Embedder,
        settings: Settings,
        on_progress: OnProgress | None,
        all_or_nothing: bool,
    ) -> None:
        self.target, self.known = target, known
        self.embedder, self.settings = embedder, settings
        self.on_progress, self.all_or_nothing = on_progress, all_or_nothing
        self.tally = _Tally()
        self.seen: dict[str, str] = {}
        self.began = self.committed = self.kept = time.monotonic()
        # Pages: all there are, those read, and those of them whose articles are stored.
        self.total = self.read = self.stored = 0
        # Keys of the texts that the embedder has, in order; vectors that came of it; and both until they are durable.
        self.asked: deque[bytes] = deque()
        self.fresh: list[tuple[list[bytes], Vectors]] = []
        self.pending: set[bytes] = set()
        # Texts given to the embedder in all, and those whose vectors are durable.
        self.given = self.durable = 0
        self.queue: deque[_Queued] = deque()
        self.stored_ids: list[str] = []

    def take(self, items: Sequence[Item]) -> None:
        """Read everything and store it; while some texts are embedded the next are read."""
        self.total = sum(records(item.value) for item in items)
        if self.target is None:
            for _ in self._cuts(items):
                pass
            return
        try:
            for vectors in self.embedder.passages(self._missing(items, self.target)):
                self._keep(vectors)
        except KeyboardInterrupt:
            if self.target.whole:
                self._store(self.target)
            raise
        self._store(self.target)
        self.stored = self.total
        self._report()

    def _cuts(self, items: Sequence[Item]) -> Iterator[_Cut]:
        """Yield what has to be stored, and count the pages read."""
        for item in items:
            one_each = isinstance(item.value, Page) and item.value.kind == "jsonl"
            for article in self._articles(item):
                cut = self._new(article, item.origin)
                if cut:
                    yield cut
                self.read += one_each
                self._report()
            self.read += not one_each

    def _missing(self, items: Sequence[Item], target: Transaction) -> Iterator[str]:
        """Yield the texts whose vectors are not known yet, and put what they belong to in the queue."""
        group: list[_Cut] = []
        waiting = 0
        for cut in itertools.chain(self._cuts(items), [None]):
            if cut:
                group.append(cut)
                waiting += len(cut.keys)
            if cut is None or waiting >= GROUP_TEXTS:
                wanted = {k: t for c in group for k, t in zip(c.keys, c.texts, strict=True)}
                known = target.cached(list(wanted)) | self.pending
                for c in group:
                    new = dict.fromkeys(k for k in c.keys if k not in known)
                    self.tally.reused += len(c.keys) - len(new)
                    self.given += len(new)
                    self.queue.append(_Queued(c, self.given, self.read))
                    self.asked.extend(new)
                    self.pending |= new.keys()
                    known |= new.keys()
                    yield from (wanted[k] for k in new)
                group, waiting = [], 0
                self._store_now_and_then(target)

    def _keep(self, vectors: Vectors) -> None:
        assert self.target is not None
        self.fresh.append(([self.asked.popleft() for _ in vectors], vectors))
        self.tally.embedded += len(vectors)
        self._store_now_and_then(self.target)
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
            self.durable += len(keys)
        while self.queue and self.queue[0].texts <= self.durable:
            ready = self.queue.popleft()
            cut = ready.cut
            new = [NewPassage(p.start, p.end, p.section, k) for p, k in zip(cut.passages, cut.keys, strict=True)]
            target.add(cut.article, new, cut.origin)
            self.stored_ids.append(cut.article.id)
            self.stored = ready.pages

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

    def _articles(self, item: Item) -> Iterator[Article]:
        """Yield the item's articles; what cannot be read goes into the report."""
        if isinstance(item.value, Failure):
            self.tally.failed.append(item.value)
        elif isinstance(item.value, Article):
            yield item.value
        else:
            limits = self.settings.limits
            for found in read(item.value, max_page=limits.page_bytes, max_line=limits.line_bytes):
                if isinstance(found, Failure):
                    self.tally.failed.append(found)
                else:
                    yield found

    def _new(self, article: Article, origin: str) -> _Cut | None:
        """Return the article cut up, or None when the store has it as it is or it cannot be taken."""
        try:
            known = self.known.known(article.id) if self.known else None
            self._claim(article.id, origin, known is not None)
            if known == article.revision and self.known and self._is_as_filed(article, origin, self.known):
                self.tally.unchanged += 1
                if self.target and self.target.origin(article.id) != origin:
                    self.target.move(article.id, origin)
                return None
            cut = self._cut(article, origin) if self.target else None
        except RagError as error:
            self.tally.failed.append(Failure(origin or article.id, str(error)))
            return None
        if known is None:
            self.tally.added += 1
        else:
            self.tally.changed += 1
        return cut

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

    def _cut(self, article: Article, origin: str) -> _Cut:
        s = self.settings.passages
        title = short_title(article.title, self.embedder, s.tokens) if s.title else ""
        passages = chunk(article, self.embedder, tokens=s.tokens, overlap=s.overlap, title=title)
        texts = [embedded_text(title, p.text) for p in passages]
        return _Cut(article, origin, passages, texts, [key(self.embedder.digest, t) for t in texts])

    def _report(self) -> None:
        if self.on_progress:
            self.on_progress(Progress(self.stored, self.total, self.tally.embedded, time.monotonic() - self.began))


def key(model_digest: str, text: str) -> bytes:
    """Return the key of a text's vector: the same model and text have the same."""
    return hashlib.sha256(f"{model_digest}\n{text}".encode()).digest()[:16]
