"""The one writer of an index in Milvus.

Order of every commit: first all rows, of which no reader knows yet; then the head, one row, which tells of them; and
only some minutes later, when no view can be reading it any more, is what it replaced deleted, by whichever writer
begins then (clearing.py).  Killed before the head, the index is as it was: what was written has numbers that the head
does not tell of, and the next writer deletes it before it begins.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date

import numpy as np

from rag.errors import StoreError, UnknownArticle
from rag.given import whole
from rag.handover import NewPassage, Vector, Vectors
from rag.settings import StoreSettings
from rag.store.context import in_context
from rag.store.faults import BROKEN_OFF
from rag.store.milvus import builds, filters, head, layout, linking, rows
from rag.store.milvus.builds import Build
from rag.store.milvus.clearing import Clearing
from rag.store.milvus.head import Head
from rag.store.milvus.layout import ERASED, MOVED, NONE, REPLACED
from rag.store.milvus.lease import Lease
from rag.store.milvus.rows import New, Told
from rag.store.milvus.server import STRONG, Row, Server, among, lists_of
from rag.types import Article, Fingerprint

WAITING = 2_000
"""Passages, or articles, that wait to be written, at most."""

KNOWN = 100_000
"""Articles, and keys of vectors, of which is kept what is known of them, at most."""

FLUSHED = 256
"""Passages from which on Milvus Lite is told to put them in order."""


class MilvusTransaction:
    """The one writer of an index.  See `rag.protocols.Transaction` for the contract."""

    def __init__(
        self, server: Server, settings: StoreSettings, lease: Lease, restart: Fingerprint | None = None
    ) -> None:
        self._server, self._settings, self._lease = server, settings, lease
        self._heads = head.read(server, settings.name, STRONG)
        self._head = self._heads[-1]
        self._build = Build(settings.name, self._head.build)
        self._first_row = self._next_row = self._head.next_row
        self._next_ord = self._head.next_ord
        self._next_change, self._settled = self._head.next_change, self._head.settled
        self._linked = self._head.twins
        # What waits to be written, and how many passages there are in it.
        self._fresh: list[New] = []
        self._changes: list[Row] = []
        self._passages = 0
        # Ordinals of what holds no more though it may be there, and of those that are erased.
        self._gone: set[int] = set()
        self._erased: set[int] = set()
        # What is known of articles and of keys of vectors: all that was written since `_since` by the server's time;
        # of an article that is not among those `_listed` before, there is nothing else to know.
        self._known: dict[str, Row | None] = {}
        self._listed: set[str] | None = None
        self._moved: dict[int, str] = {}
        self._stored: set[bytes] = set()
        self._noted: set[str] = set()
        self._since = self._stamp = STRONG
        self._removed: dict[str, str] = {}
        self._forget: set[str] = set()
        self._changed = self._swap = restart is not None
        self._spoiled = False
        for number in builds.numbers(server, settings.name):
            if number > self._head.build:
                builds.drop(server, Build(settings.name, number))
        if restart:
            # A build of its own, of which nobody knows before the first commit; vectors stay cached.
            self._build = Build(settings.name, self._head.build + 1)
            builds.create(server, self._build, restart.dim, settings)
            self._head = replace(self._head, fingerprint=restart)
            self._settled, self._linked, self._heads = self._next_change, False, []
        else:
            builds.load(server, self._build, self._cache)
            self._catch_up()
            self._clearing.unfinished(self._head, self._stamp)
            for change in self._clearing.changes(self._head, self._stamp):
                self._take(change)
            settled = self._clearing.settle(self._heads, self._settled, self._gone, self._stamp)
            if settled != self._settled:
                self._settled, self._changed = settled, True
        self._catch_up()

    @property
    def _cache(self) -> str:
        return builds.cache_of(self._settings.name, self._head.fingerprint.dim)

    @property
    def _clearing(self) -> Clearing:
        return Clearing(self._server, self._build, self._cache, self._lease)

    # -- what is asked ------------------------------------------------------------------------

    def known(self, id: str) -> str | None:
        row = self._current(whole(str(id)))
        return str(row["revision"]) if row else None

    def origin(self, id: str) -> str:
        row = self._of_article(id)
        return self._moved.get(int(row["ord"]), Told.of(row).origin)

    def source(self, id: str) -> str:
        return Told.of(self._of_article(id)).head.source

    def _of_article(self, id: str) -> Row:
        row = self._current(whole(str(id)))
        if row is None:
            raise UnknownArticle(f"no article {id!r} in the index: `rag articles list` names them")
        return row

    def _current(self, id: str) -> Row | None:
        """Return the row of an article as this transaction has left it."""
        if id not in self._known:
            if self._listed is not None and id not in self._listed:
                return None
            asked = f'id == "{filters.digest(id)}"'
            found = self._server.rows(self._build.articles, asked, layout.ARTICLE_FIELDS, self._since)
            self._known[id] = next((row for row in found if row["ord"] not in self._gone), None)
        return self._known[id]

    def ids(self, origin: str | None = None) -> set[str]:
        self._write()
        asked = f"ord < {self._next_ord}"
        if origin is not None:
            asked = filters.contains("within", filters.folder(origin))
        fields = ["ord", "said"]
        found = {int(row["ord"]): row for row in self._server.rows(self._build.articles, asked, fields, self._stamp)}
        for some in lists_of(sorted(self._moved.keys() - found.keys())):
            asked = among("ord", some)
            found.update(
                {int(r["ord"]): r for r in self._server.rows(self._build.articles, asked, fields, self._stamp)}
            )
        ids = set()
        for ord, row in found.items():
            told = Told.of(row)
            at = self._moved.get(ord, told.origin)
            if ord not in self._gone and (origin is None or filters.is_within(at, origin)):
                ids.add(told.head.id)
        if origin is None:
            self._listed = set(ids)
        return ids

    def twinned(self, ids: Sequence[str]) -> int:
        self._write()
        if not self._linked:
            return 0
        fields = ["ord", "id", "twins"]
        mine: dict[int, Row] = {}
        for some in lists_of([filters.digest(id) for id in ids]):
            mine.update({int(row["ord"]): row for row in self._live(among("id", some), fields)})
        linked: set[int] = set()
        for part in lists_of(sorted({int(ord) for row in mine.values() for ord in row["twins"]})):
            older = {int(row["ord"]) for row in self._live(among("ord", part), ["ord"])}
            linked |= {ord for ord, row in mine.items() if not older.isdisjoint(row["twins"])}
        for part in lists_of(sorted(mine)):
            for newer in self._live(f"array_contains_any(twins, {part})", fields):
                linked |= mine.keys() & set(newer["twins"])
        return len(linked)

    def _live(self, where: str, fields: list[str]) -> list[Row]:
        """Return the rows of articles that satisfy an expression and hold as this transaction has left them."""
        found = self._server.rows(self._build.articles, where, fields, self._stamp)
        return [row for row in found if row["ord"] not in self._gone]

    def cached(self, keys: Sequence[bytes]) -> set[bytes]:
        for some in lists_of([key.hex() for key in dict.fromkeys(keys) if key not in self._stored]):
            held = self._server.rows(self._cache, among("key", some), ["key"], self._since)
            self._stored.update(bytes.fromhex(str(row["key"])) for row in held)
        return self._stored.intersection(keys)

    def remember(self, keys: Sequence[bytes], vectors: Vectors) -> None:
        # A key that is there twice would be a fault to some servers.
        known = self.cached(keys)
        new = {key: vector for key, vector in zip(keys, vectors, strict=True) if key not in known}
        held = [{"key": key.hex(), "vector": np.asarray(vector, np.float32)} for key, vector in new.items()]
        self._wrote(self._server.insert(self._cache, held))
        self._stored.update(new)

    # -- what is changed ----------------------------------------------------------------------

    @property
    def whole(self) -> bool:
        return not self._spoiled

    @contextlib.contextmanager
    def _change(self) -> Iterator[None]:
        """Run a change of several steps; one that is broken off makes the transaction unfit to be committed."""
        if self._spoiled:
            raise StoreError(BROKEN_OFF)
        self._changed = self._spoiled = True
        yield
        self._spoiled = False

    def add(self, article: Article, passages: Sequence[NewPassage], origin: str = "") -> None:
        missing = {p.key for p in passages} - self.cached([p.key for p in passages])
        if missing:
            raise KeyError(f"{len(missing)} passages of {article.id} have no vector")
        with self._change():
            made = rows.new(article, passages, origin, self._next_ord, self._next_row, self._server.can)
            before = self._current(article.id)
            if before is not None:
                self._note_change(int(before["ord"]), REPLACED)
            self._known[article.id] = made.row
            self._fresh.append(made)
            self._next_ord += 1
            self._next_row += len(passages)
            self._passages += len(passages)
            self._removed.pop(article.id, None)
            if max(self._passages, len(self._fresh)) >= WAITING:
                self._write()

    def move(self, id: str, origin: str) -> None:
        with self._change():
            row = self._current(whole(str(id)))
            if row is not None:
                self._note_change(int(row["ord"]), MOVED, origin)

    def remove(self, id: str) -> None:
        id = whole(str(id))
        # What waits has to be where it is looked for.
        self._write()
        asked, fields = f'id == "{filters.digest(id)}"', layout.ARTICLE_FIELDS
        names = (self._build.articles, self._build.former)
        found = [row for name in names for row in self._server.rows(name, asked, fields, self._stamp)]
        revisions = {int(row["ord"]): row for row in found if row["ord"] not in self._erased}
        if not revisions:
            raise UnknownArticle(f"no article {id!r} in the index: `rag articles list` names them")
        with self._change():
            for ord, row in revisions.items():
                self._forget.update(self._clearing.keys_of(row, self._stamp))
                self._note_change(ord, ERASED)
            self._known[id] = None
            self._removed[id] = date.today().isoformat()

    def _note_change(self, ord: int, kind: int, origin: str = "") -> None:
        row = {"n": self._next_change, "ord": ord, "kind": kind, "origin": rows.ascii_of(origin), "none": NONE}
        self._changes.append(row)
        self._next_change += 1
        self._take(row)

    def _take(self, row: Row) -> None:
        """Heed a change."""
        if row["kind"] == MOVED:
            self._moved[int(row["ord"])] = rows.origin_of(str(row["origin"]))
            return
        self._gone.add(int(row["ord"]))
        if row["kind"] == ERASED:
            self._erased.add(int(row["ord"]))

    # -- what is written ----------------------------------------------------------------------

    def _write(self) -> None:
        """Write what waits; no reader knows of it before the next head."""
        fresh, build = self._fresh, self._build
        if fresh:
            self._link([new for new in fresh if new.row["ord"] not in self._gone])
            self._wrote(self._server.insert(build.passages, list(self._with_vectors(fresh))))
            self._wrote(self._server.insert(build.bodies, [part for new in fresh for part in new.bodies]))
            self._note({f"s{filters.digest(p['section'])}": p["section"] for new in fresh for p in new.passages})
            self._wrote(self._server.insert(build.articles, [new.row for new in fresh]))
        self._wrote(self._server.insert(build.changes, self._changes))
        self._fresh, self._changes, self._passages = [], [], 0
        if max(len(self._known), len(self._stored)) > KNOWN:
            self._known, self._listed, self._stored, self._since = {}, None, set(), self._stamp

    def _link(self, live: Sequence[New]) -> None:
        stored: dict[int, Row] = {}
        for some in lists_of(sorted({band for new in live for band in new.row["bands"]})):
            found = self._live(f"array_contains_any(bands, {some})", ["ord", "bands", "said"])
            stored.update({int(row["ord"]): row for row in found})

        def text_of(ord: int) -> str:
            return rows.body(self._server, self._build, stored[ord], 0, self._stamp)

        if linking.link(live, stored.values(), text_of):
            self._linked = True

    def _with_vectors(self, fresh: Sequence[New]) -> Iterator[Row]:
        held: dict[str, Vector] = {}
        for some in lists_of(sorted({key for new in fresh for key in new.keys})):
            for row in self._server.rows(self._cache, among("key", some), ["key", "vector"], self._stamp):
                held[str(row["key"])] = np.array(row["vector"], np.float32)
        share, halves = self._head.fingerprint.context, self._server.can.halves
        for new in fresh:
            if new.passages:
                own = np.stack([held[key] for key in new.keys])
                found = in_context(own, np.zeros(len(own), np.int64), share)
                for passage, vector in zip(new.passages, found, strict=True):
                    yield rows.with_vector(passage, vector, halves=halves)

    def _note(self, notes: dict[str, str]) -> None:
        """Write notes that are not there yet."""
        for some in lists_of(sorted(notes.keys() - self._noted)):
            there = self._server.rows(self._build.notes, among("key", some), ["key"], self._stamp)
            new = set(some) - {str(row["key"]) for row in there}
            found = [{"key": key, "text": notes[key], "none": NONE} for key in sorted(new)]
            self._wrote(self._server.insert(self._build.notes, found))
        self._noted.update(notes)

    def _wrote(self, stamp: int) -> None:
        self._stamp = max(self._stamp, stamp)

    # -- commit -------------------------------------------------------------------------------

    def commit(self) -> None:
        if not self._changed:
            return
        if self._spoiled:
            raise StoreError(BROKEN_OFF)
        self._spoiled = True
        self._write()
        self._note({f"r{filters.digest(id)}{day}": day for id, day in self._removed.items()})
        self._lease.check()
        if self._swap:
            self._lease.beat(self._build.head)
        now = Head(
            build=self._build.number,
            generation=self._head.generation + 1,
            next_row=self._next_row,
            next_ord=self._next_ord,
            next_change=self._next_change,
            settled=self._settled,
            # Later than everything that was written and deleted before.
            stamp=self._lease.beat(),
            at=time.time(),
            twins=self._linked,
            fingerprint=self._head.fingerprint,
        )
        self._lease.commit(self._build.head, now.row())
        if self._swap:
            self._server.point(self._settings.name, self._build.head)
            self._swap = False
        self._head = now
        self._changed = self._spoiled = False
        if self._forget:
            unused = self._clearing.unused(self._forget, self._gone, self._stamp)
            self._stored.difference_update(map(bytes.fromhex, unused))
            self._catch_up()
        self._forget, self._removed = set(), {}

    def rest(self) -> None:
        """Do at the end of all what may take a while: Milvus Lite searches new rows one by one until they are flushed.

        A server does so by itself, and refuses to be told to often.
        """
        if self._server.can.lite and self._next_row - self._first_row >= FLUSHED:
            self._server.flush(self._build.passages)

    def _catch_up(self) -> None:
        """Have what is asked from now on wait for all that was written and deleted up to now."""
        self._since = self._stamp = self._lease.beat()
