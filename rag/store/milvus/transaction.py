"""The one writer of an index in Milvus.

Order of every commit: first all rows, of which no reader knows yet; then the head, one row, which tells of them; and
only GRACE_SECONDS later, when no view can be reading it any more, what it replaced is deleted, by whichever writer is
there then.  Killed before the head, the index is as it was: what was written has numbers from the head's `next_row` and
`next_ord` on, or an end at a generation to come, and the next writer takes both away before it begins.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date

import numpy as np
import numpy.typing as npt

from rag.errors import StoreError, UnknownArticle
from rag.given import whole
from rag.handover import NewPassage, Vectors
from rag.settings import StoreSettings
from rag.store.context import in_context
from rag.store.milvus import filters, head, layout, linking, rows
from rag.store.milvus.head import Head
from rag.store.milvus.layout import NEVER, NONE, PARTS, Build
from rag.store.milvus.lease import Lease
from rag.store.milvus.rows import New, Told
from rag.store.milvus.server import STRONG, Row, Server, among
from rag.store.milvus.view import GRACE_SECONDS
from rag.types import Article, Fingerprint

BROKEN_OFF = "a change was broken off half way: nothing since the last commit is kept, run it again"

WAITING = 2_000
"""Passages that wait to be written, at most."""

KNOWN = 100_000
"""Articles, and keys of vectors, of which it is kept what the server said, at most."""

ASKED = 1_000
"""Values in one expression."""


class MilvusTransaction:
    """The one writer of an index.  See `rag.protocols.Transaction` for the contract."""

    def __init__(
        self, server: Server, settings: StoreSettings, lease: Lease, restart: Fingerprint | None = None
    ) -> None:
        self._server, self._settings, self._lease = server, settings, lease
        self._spoiled = False
        self._stamp = 0
        self._read()
        self._next_row, self._next_ord = self._head.next_row, self._head.next_ord
        # What is to be written: new articles, and rows of others by ordinal, changed.
        self._fresh: list[New] = []
        self._passages = 0
        self._altered: dict[int, Row] = {}
        self._known: dict[str, list[Row]] = {}
        self._stored: set[bytes] = set()
        self._removed: dict[str, str] = {}
        self._forget: set[str] = set()
        self._changed = restart is not None
        self._swap = restart is not None
        if restart:
            self._restart(restart)
        else:
            self._recover()

    def _read(self) -> None:
        self._heads = head.read(self._server, self._settings.name, STRONG)
        self._head = self._heads[-1]
        self._build = Build(self._settings.name, self._head.build)

    @property
    def _next(self) -> int:
        """The generation that the next commit makes."""
        return self._head.generation + 1

    @property
    def _cache(self) -> str:
        return layout.vectors(self._settings.name, self._head.fingerprint.dim)

    # -- what is asked ------------------------------------------------------------------------

    def known(self, id: str) -> str | None:
        row = self._current(whole(str(id)))
        return str(row["revision"]) if row else None

    def origin(self, id: str) -> str:
        return Told.of(self._of_article(id)).origin

    def source(self, id: str) -> str:
        return Told.of(self._of_article(id)).head.source

    def _of_article(self, id: str) -> Row:
        row = self._current(whole(str(id)))
        if row is None:
            raise UnknownArticle(f"no article {id!r} in the index: `rag articles list` names them")
        return row

    def _current(self, id: str) -> Row | None:
        return next((row for row in self._revisions(id) if row["died"] == NEVER), None)

    def _revisions(self, id: str) -> list[Row]:
        """Return the rows of an article that are not erased, as this transaction has made them."""
        if id not in self._known:
            asked = f'id == "{filters.digest(id)}" and erased == {NEVER}'
            self._known[id] = self._server.rows(self._build.articles, asked, layout.ARTICLE_FIELDS)
        return [row for row in self._known[id] if row["erased"] == NEVER]

    def ids(self, origin: str | None = None) -> set[str]:
        self._write()
        asked = f"died == {NEVER}"
        if origin is not None:
            asked += f" and {filters.contains('within', filters.folder(origin))}"
        found = [Told.of(row) for row in self._server.rows(self._build.articles, asked, ["ord", "said"])]
        return {told.head.id for told in found if origin is None or filters.is_within(told.origin, origin)}

    def twinned(self, ids: Sequence[str]) -> int:
        self._write()
        found: set[str] = set()
        for some in _parts([filters.digest(id) for id in ids]):
            asked = f"{among('id', some)} and died == {NEVER}"
            mine = {int(row["ord"]): row for row in self._server.rows(self._build.articles, asked, _LINKED)}
            older = {int(o) for row in mine.values() for o in row["twins"]}
            live = self._live(older)
            found |= {str(row["id"]) for row in mine.values() if not live.isdisjoint(map(int, row["twins"]))}
            for part in _parts(sorted(mine)):
                asked = f"array_contains_any(twins, {part}) and died == {NEVER}"
                for newer in self._server.rows(self._build.articles, asked, _LINKED):
                    found |= {str(mine[o]["id"]) for o in map(int, newer["twins"]) if o in mine}
        return len(found)

    def _live(self, ords: Iterable[int]) -> set[int]:
        live: set[int] = set()
        for some in _parts(sorted(ords)):
            asked = f"{among('ord', some)} and died == {NEVER}"
            live |= {int(row["ord"]) for row in self._server.rows(self._build.articles, asked, ["ord"])}
        return live

    def cached(self, keys: Sequence[bytes]) -> set[bytes]:
        for some in _parts([key.hex() for key in dict.fromkeys(keys) if key not in self._stored]):
            held = self._server.rows(self._cache, among("key", some), ["key"])
            self._keep(bytes.fromhex(str(row["key"])) for row in held)
        return self._stored.intersection(keys)

    def _keep(self, keys: Iterable[bytes]) -> None:
        if len(self._stored) > KNOWN:
            self._stored = set()
        self._stored.update(keys)

    def remember(self, keys: Sequence[bytes], vectors: Vectors) -> None:
        named = dict(zip((key.hex() for key in keys), np.asarray(vectors, np.float32), strict=True))
        self._wrote(self._server.upsert(self._cache, [{"key": key, "vector": vector} for key, vector in named.items()]))
        self._keep(keys)

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
            can = self._server.can
            numbers = (self._next_ord, self._next_row, self._next)
            made = rows.new(article, passages, origin, *numbers, infix=can.infix, terms=can.words)
            for row in self._revisions(article.id):
                if row["died"] == NEVER:
                    self._alter(row, died=self._next)
                if row["revision"] == article.revision:
                    # It takes the place of what was the same.
                    self._alter(row, erased=self._next)
            self._known[article.id].append(made.row)
            self._fresh.append(made)
            self._next_ord += 1
            self._next_row += len(passages)
            self._passages += len(passages)
            self._removed.pop(article.id, None)
            if self._passages >= WAITING or len(self._fresh) >= WAITING:
                self._write()

    def move(self, id: str, origin: str) -> None:
        with self._change():
            row = self._current(whole(str(id)))
            if row is not None:
                told = Told.of(row)
                within = list(dict.fromkeys([*filters.folders(told.was), *filters.folders(origin)]))
                self._alter(row, moved=self._next, within=within, said=replace(told, origin=origin).said())

    def remove(self, id: str) -> None:
        id = whole(str(id))
        revisions = self._revisions(id)
        if not revisions:
            raise UnknownArticle(f"no article {id!r} in the index: `rag articles list` names them")
        with self._change():
            # What waits would be written later than what is asked for here.
            self._write()
            for row in self._revisions(id):
                self._forget |= set(self._keys_of(row))
                self._alter(row, died=min(int(row["died"]), self._next), erased=self._next)
            self._removed[id] = date.today().isoformat()

    def _alter(self, row: Row, **fields: object) -> None:
        """Change a row, here and when it is written; one that is new is written as it is then."""
        row.update(fields)
        if int(row["ord"]) < self._first_waiting():
            self._altered[int(row["ord"])] = row

    def _first_waiting(self) -> int:
        return int(self._fresh[0].row["ord"]) if self._fresh else self._next_ord

    def _keys_of(self, row: Row) -> list[str]:
        """Return the keys of the vectors of an article's passages."""
        keys = rows.body_keys(int(row["ord"]), Told.of(row).parts, 2)
        return rows.keys_of("".join(self._texts(keys)))

    def _texts(self, keys: Sequence[int]) -> list[str]:
        """Return some parts of bodies, in order."""
        found: dict[int, str] = {}
        for some in _parts(keys):
            held = self._server.rows(self._build.bodies, among("part", some), ["part", "text"])
            found.update({int(row["part"]): str(row["text"]) for row in held})
        return [found.get(key, "") for key in keys]

    # -- what is written ----------------------------------------------------------------------

    def _write(self) -> None:
        """Write what waits; no reader knows of it before the next head."""
        fresh, altered = self._fresh, list(self._altered.values())
        if altered:
            self._wrote(self._server.upsert(self._build.articles, altered))
        if fresh:
            self._link(fresh)
            self._wrote(self._server.insert(self._build.passages, list(self._with_vectors(fresh))))
            self._wrote(self._server.insert(self._build.bodies, [part for new in fresh for part in new.bodies]))
            self._wrote(self._server.insert(self._build.articles, [new.row for new in fresh]))
            names = {str(p["section"]) for new in fresh for p in new.passages}
            self._note({f"s{filters.digest(name)}": name for name in names})
        self._fresh, self._altered, self._passages = [], {}, 0
        if len(self._known) > KNOWN:
            self._known = {}

    def _link(self, fresh: Sequence[New]) -> None:
        live = [new for new in fresh if new.row["died"] == NEVER]
        stored: dict[int, Row] = {}
        for some in _parts(sorted({band for new in live for band in new.row["bands"]})):
            asked = f"array_contains_any(bands, {some}) and died == {NEVER}"
            for row in self._server.rows(self._build.articles, asked, ["ord", "bands"]):
                stored[int(row["ord"])] = row
        if linking.link(live, stored.values(), self._text):
            self._linked = True

    def _text(self, ord: int) -> str:
        (row,) = self._server.rows(self._build.articles, f"ord == {ord}", ["ord", "said"])
        return "".join(self._texts(rows.body_keys(ord, Told.of(row).parts, 0)))

    def _with_vectors(self, fresh: Sequence[New]) -> Iterator[Row]:
        held: dict[str, npt.NDArray[np.float32]] = {}
        for some in _parts(sorted({key for new in fresh for key in new.keys})):
            for row in self._server.rows(self._cache, among("key", some), ["key", "vector"]):
                held[str(row["key"])] = np.array(row["vector"], np.float32)
        share, halves = self._head.fingerprint.context, self._server.can.halves
        for new in fresh:
            if new.passages:
                own = np.stack([held[key] for key in new.keys])
                found = in_context(own, np.zeros(len(own), np.int64), share)
                for passage, vector in zip(new.passages, found, strict=True):
                    yield rows.with_vector(passage, vector, halves=halves)

    def _note(self, notes: dict[str, str]) -> None:
        found = [{"key": key, "text": text, "none": NONE} for key, text in sorted(notes.items())]
        self._wrote(self._server.upsert(self._build.notes, found))

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
        now = Head(
            build=self._build.number,
            generation=self._next,
            next_row=self._next_row,
            next_ord=self._next_ord,
            stamp=self._stamp,
            at=time.time(),
            twins=self._linked,
            fingerprint=self._head.fingerprint,
        )
        self._note({f"r{filters.digest(id)}": day for id, day in self._removed.items()})
        self._lease.check()
        with self._lease.writing:
            self._server.insert(self._build.head, [now.row()])
        if self._swap:
            self._lease.move(self._build.head)
            self._server.point(self._settings.name, self._build.head)
            self._swap = False
            self._heads = []
        self._head = now
        self._heads.append(now)
        self._changed = self._spoiled = False
        self._forget_unused(self._forget)
        self._forget, self._removed = set(), {}

    def settle(self) -> None:
        """Delete what no view can be reading any more: what was replaced, and builds before this one."""
        over = [known for known in self._heads if known.at <= time.time() - GRACE_SECONDS]
        if not over:
            return
        last = over[-1].generation
        asked = f"died <= {last} and swept == 0 or erased <= {last}"
        self._sweep(self._server.rows(self._build.articles, asked, layout.ARTICLE_FIELDS))
        with self._lease.writing:
            self._server.delete(self._build.head, "n", [known.generation for known in over[:-1]])
        for number in layout.builds(self._server, self._settings.name) - {self._build.number}:
            layout.drop(self._server, Build(self._settings.name, number))

    def _sweep(self, found: Sequence[Row]) -> None:
        """Delete the passages of some revisions, and all of those that are erased."""
        erased = [row for row in found if row["erased"] != NEVER]
        self._forget_unused({key for row in erased for key in self._keys_of(row)})
        numbers = [n for row in found for n in range(int(row["first"]), int(row["first"]) + int(row["passages"]))]
        self._server.delete(self._build.passages, "row", numbers)
        self._server.delete(self._build.bodies, "part", [key for row in erased for key in rows.all_keys(row)])
        self._server.delete(self._build.articles, "ord", [int(row["ord"]) for row in erased])
        self._server.upsert(self._build.articles, [{**row, "swept": 1} for row in found if row["erased"] == NEVER])

    def _forget_unused(self, keys: Iterable[str]) -> None:
        """Erase vectors that no passage of a current article has."""
        for some in _parts(sorted(keys)):
            found = self._server.rows(self._build.passages, among("key", some), ["key", "ord"])
            live = self._live({int(row["ord"]) for row in found})
            used = {str(row["key"]) for row in found if int(row["ord"]) in live}
            unused = [key for key in some if key not in used]
            self._server.delete(self._cache, "key", unused)
            self._stored.difference_update(map(bytes.fromhex, unused))

    # -- before and after ---------------------------------------------------------------------

    def _recover(self) -> None:
        """Take away what a killed writer wrote and no head tells of."""
        now, server = self._head, self._server
        self._linked = now.twins
        for number in layout.builds(server, self._settings.name):
            if number > now.build:
                layout.drop(server, Build(self._settings.name, number))
        self._erase(self._build.passages, "row", now.next_row)
        self._erase(self._build.bodies, "part", now.next_ord * PARTS)
        self._erase(self._build.articles, "ord", now.next_ord)
        after = now.generation
        asked = f"(died > {after} and died < {NEVER}) or (erased > {after} and erased < {NEVER}) or moved > {after}"
        found = server.rows(self._build.articles, asked, layout.ARTICLE_FIELDS)
        for row in found:
            for end in ("died", "erased"):
                row[end] = NEVER if int(row[end]) > after else row[end]
            if int(row["moved"]) > after:
                told = Told.of(row)
                row.update(moved=0, said=replace(told, origin=told.was).said())
        self._wrote(server.upsert(self._build.articles, found))

    def _erase(self, name: str, key: str, first: int) -> None:
        found = self._server.rows(name, f"{key} >= {first}", [key])
        self._wrote(self._server.delete(name, key, [int(row[key]) for row in found]))

    def _restart(self, fingerprint: Fingerprint) -> None:
        """Begin a build of its own, of which nobody knows before the first commit; vectors stay cached."""
        numbers = layout.builds(self._server, self._settings.name)
        for number in numbers:
            if number > self._head.build:
                layout.drop(self._server, Build(self._settings.name, number))
        self._build = Build(self._settings.name, self._head.build + 1)
        layout.create(self._server, self._build, fingerprint.dim, self._settings)
        self._head = replace(self._head, fingerprint=fingerprint)
        self._linked = False


_LINKED = ["ord", "id", "twins"]


def _parts(values: Sequence[object]) -> Iterator[list[object]]:
    for at in range(0, len(values), ASKED):
        yield list(values[at : at + ASKED])
