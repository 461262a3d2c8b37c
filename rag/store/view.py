"""What one reader sees: a catalog snapshot and the files that belong to it."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from rag.errors import IndexDamaged, StoreError, UnknownArticle
from rag.given import whole
from rag.handover import Kept, NewPassage, Scored, Vector, Vectors
from rag.intake.text import fold
from rag.store import catalog, columns, lexical, segmentfile, segments, sqlite, twins, vectorfile
from rag.store.columns import Headings, Mask, Wanted
from rag.store.context import in_context
from rag.store.segmentfile import Named
from rag.store.segments import Segment
from rag.types import Article, ArticleHead, Filter, Fingerprint, Passage, Stats
from rag.words import words

CATALOG, VECTORS, SEGMENTS = "catalog.sqlite", "vectors.sqlite", "segments"
"""The files and the folder of an index."""

SIFTED = 0.05
"""Where this share of all passes a filter, words are looked for in all, and what does not pass is left out later."""

MASKS = 16
"""Filters whose masks are kept, a byte a passage each."""

Sieve = tuple[Wanted, list[str]] | None
"""A filter's numbers and phrases; None where what does not pass is left out afterwards."""


class Which(NamedTuple):
    """What tells one state of an index from every other: the file of the catalog, what is in it, and its commit."""

    file: sqlite.Stamp
    identity: str
    generation: int
    lexical_name: str

    @classmethod
    def of(cls, db: sqlite.Connection) -> Which:
        """Return which state a connection sees."""
        # Device and inode only: to the rest of a stamp a later state of one catalog is another file.
        file = (db.stamp or ())[:2]
        return cls(file, catalog.identity(db), catalog.number(db, "generation"), catalog.get(db, "lexical"))

    def is_of(self, other: Which) -> bool:
        """Say whether both are states of one catalog, where a row means the same for good."""
        return (self.file, self.identity) == (other.file, other.identity)


@dataclass(frozen=True)
class State:
    """The in-memory part of one generation, shared by all views of it.

    The parts are its segments and, last, what is in none yet; `rows` and `live` have theirs one after another.
    """

    which: Which
    fingerprint: Fingerprint
    parts: list[Segment]
    named: list[Named]
    rows: npt.NDArray[np.int64]
    live: Mask
    tombstones: int
    opened: lexical.Opened | None
    words: lexical.Words | None
    any_twins: bool
    headings: Headings
    masks: dict[Filter, Mask] = field(default_factory=dict)

    @property
    def tail(self) -> Segment:
        """The part that is in no segment yet."""
        return self.parts[-1]

    def segment(self, named: Named) -> Segment | None:
        """Return a segment if it is open."""
        return next((part for part, name in zip(self.parts, self.named, strict=False) if name == named), None)


def load_state(folder: Path, db: sqlite3.Connection, which: Which, before: State | None) -> State | None:
    """Return the state of the snapshot that `db` reads, or None when its files are already gone.

    What the state `before` has open is used again if it is one of the same catalog.
    """
    if before and not which.is_of(before.which):
        before = None
    fingerprint = catalog.fingerprint(db)
    named = named_segments(db)
    above = named[-1].last if named else 0
    try:
        parts = [
            (before.segment(name) if before else None) or segmentfile.read(folder / SEGMENTS, name, fingerprint.dim)
            for name in named
        ]
        parts.append(_tail(folder / VECTORS, db, fingerprint, above, before))
    except (FileNotFoundError, KeyError):
        return None
    if before and before.named == named and len(named):
        # Only the tail is another.
        old = before.rows[: len(before.rows) - len(before.tail)]
        rows = np.concatenate([old, parts[-1].columns.rows])
    else:
        rows = np.concatenate([part.columns.rows for part in parts])
    gone = np.array([r[0] for r in db.execute("SELECT row FROM tombstones WHERE NOT dropped")], np.int64)
    live = np.ones(len(rows), bool)
    live[columns.places(rows, gone)] = False
    any_twins = db.execute("SELECT 1 FROM twins LIMIT 1").fetchone() is not None
    opened, words = None, None
    if len(rows):
        where = folder / which.lexical_name
        if before and before.which.lexical_name == which.lexical_name and before.opened:
            opened = before.opened if before.opened.is_current(where) else None
        try:
            opened = opened or lexical.Opened(where)
            words = lexical.Words(opened, where)
        except FileNotFoundError:
            return None
    headings = before.headings if before else Headings()
    return State(which, fingerprint, parts, named, rows, live, len(gone), opened, words, any_twins, headings)


def named_segments(db: sqlite3.Connection) -> list[Named]:
    """Return the segments of the catalog, in the order of their rows."""
    return [
        Named.of(row)
        for row in db.execute("SELECT name, first, last, rows, probes, recall, files FROM segments ORDER BY first")
    ]


def _tail(path: Path, db: sqlite3.Connection, made: Fingerprint, above: int, before: State | None) -> Segment:
    """Return the passages above a row, which are in no segment, as one in memory."""
    table = columns.read(db, above)
    if not len(table):
        return segments.in_memory(np.empty((0, made.dim), np.float16), table)
    halves = np.empty((len(table), made.dim), np.float16)
    new = np.ones(len(table), bool)
    if before and len(before.tail):
        # A row means the same for good, so what was read before need not be read again.
        known = before.tail.columns.rows
        at = np.minimum(np.searchsorted(known, table.rows), len(known) - 1)
        new = known[at] != table.rows
        halves[~new] = before.tail.halves[at[~new]].view("<f2")
    if new.any():
        halves[new] = tail_vectors(path, db, made, table, new)
    return segments.in_memory(halves, table)


def tail_vectors(
    path: Path, db: sqlite3.Connection, made: Fingerprint, table: columns.Columns, new: Mask
) -> segments.Halves:
    """Return the vectors of some rows of the tail as they are stored in segments; whole articles only."""
    if not path.exists():
        raise IndexDamaged(f"index file {path.absolute()} is missing: mend the index with `rag doctor --repair`")
    rows = table.rows[new]
    found = db.execute("SELECT row, key FROM passages WHERE row BETWEEN ? AND ?", (int(rows[0]), int(rows[-1])))
    keys = dict(found.fetchall())
    vectors = vectorfile.VectorFile(path, made.dim, write=False)
    try:
        own = vectors.get([keys[int(row)] for row in rows])
    finally:
        vectors.close()
    return in_context(own, table.ords[new], made.context).astype(np.float16)


class LocalView:
    """A View of the local store, good inside the `with` block that gave it.  See `rag.protocols.View`."""

    def __init__(self, folder: Path, db: sqlite3.Connection, state: State) -> None:
        self._folder = folder
        self._given: tuple[sqlite3.Connection, State] | None = (db, state)
        self._numbers: dict[Filter, Wanted] = {}

    def end(self) -> None:
        """Refuse to be used from now on."""
        self._given = None

    @property
    def _db(self) -> sqlite3.Connection:
        return self._now()[0]

    @property
    def _state(self) -> State:
        return self._now()[1]

    def _now(self) -> tuple[sqlite3.Connection, State]:
        if self._given is None:
            raise StoreError("the view is over: use it inside the `with` block that gave it")
        return self._given

    @property
    def generation(self) -> int:
        return self._state.which.generation

    @property
    def fingerprint(self) -> Fingerprint:
        return self._state.fingerprint

    def dense(self, vector: Vector, k: int, where: Filter | None = None) -> Scored:
        return self.dense_many(vector[None, :], k, where)[0]

    def dense_many(self, vectors: Vectors, k: int, where: Filter | None = None) -> list[Scored]:
        found = segments.best(self._state.parts, vectors, k, self._mask(where))
        return [segments.top(self._state.rows[places], scores, k) for places, scores in found]

    def lexical(self, text: str, k: int, where: Filter | None = None) -> Scored:
        return self._lexical(text, k, self._mask(where), self._sieve(where))

    def both(
        self, texts: Sequence[str], vectors: Vectors, k: int, where: Filter | None = None
    ) -> list[tuple[Scored, Scored]]:
        mask, sieve = self._mask(where), self._sieve(where)
        if len(texts) > 1 or len(mask) < segments.SPREAD:
            near = self.dense_many(vectors, k, where)
            return [(found, self._lexical(text, k, mask, sieve)) for text, found in zip(texts, near, strict=True)]
        words = segments.threads().submit(self._lexical, texts[0], k, mask, sieve)
        return [(self.dense(vectors[0], k, where), words.result())]

    def _sieve(self, where: Filter | None) -> Sieve:
        """Return what the lexical index is to be asked for beside words."""
        mask = self._mask(where)
        if where and np.count_nonzero(mask) < SIFTED * len(mask):
            return self._wanted(where), _phrases(where)
        return None

    def _lexical(self, text: str, k: int, mask: Mask, sieve: Sieve) -> Scored:
        index, matches = self._state.words, int(np.count_nonzero(mask))
        if index is None or not matches:
            return Scored(np.empty(0, np.int64), np.empty(0, np.float32))
        wanted, phrases = sieve or (None, [])
        want = k + 50
        if sieve is None:
            # The best of all come sooner than the best that pass, and enough of them do.
            want = max(want, int(1.25 * (k + 10) * len(mask) / matches))
        while True:
            found = index.search(text, want, wanted, phrases)
            at = np.minimum(np.searchsorted(self._state.rows, found.rows), len(mask) - 1)
            passed = (self._state.rows[at] == found.rows) & mask[at]
            rows, scores = found.rows[passed], found.scores[passed]
            # Enough when the list ends, or when it goes on below the score of the last one wanted.
            if len(found.rows) < want or (len(rows) > k and scores[-1] < scores[k - 1]):
                return segments.top(rows, scores, k)
            want *= 4

    def similar(self, vector: Vector, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        out = np.empty(len(rows), np.float32)
        at = 0
        places = np.searchsorted(self._state.rows, rows)
        for part in self._state.parts:
            inside = (places >= at) & (places < at + len(part))
            if inside.any():
                out[inside] = segments.products(part.vectors(places[inside] - at), vector)
            at += len(part)
        return np.round(out, 6)

    def passages(self, rows: Sequence[int]) -> list[tuple[Passage, ArticleHead]]:
        wanted = [int(r) for r in rows]
        spans = {}
        for part in sqlite.parts(wanted):
            for row, ord, start, end, section, sum, name in self._all(
                "SELECT p.row, p.article, p.start, p.end, p.section, p.sum, s.name FROM passages p"
                f" JOIN sections s ON s.code = p.section WHERE p.row IN ({sqlite.marks(part)})",
                part,
            ):
                if sum != catalog.sum_of((row, ord, start, end, section)):
                    raise IndexDamaged.of(self._folder / CATALOG)
                spans[row] = ord, start, end, name
        articles = {}
        for part in sqlite.parts(sorted({ord for ord, *_ in spans.values()})):
            for ord, *row in self._all(
                # Passages are of current articles; one that is said not to be is damaged.
                f"SELECT ord, {catalog.ARTICLE} FROM articles WHERE live = 1 AND ord IN ({sqlite.marks(part)})",
                part,
            ):
                *known, _, text, revision = catalog.checked(row)
                articles[ord] = catalog.head(known), str(text), str(revision)
        out = []
        for row in wanted:
            if row not in spans and not len(columns.places(self._state.rows, np.array([row]))):
                raise KeyError(row)
            if row not in spans or spans[row][0] not in articles:
                raise IndexDamaged.of(self._folder / CATALOG)
            ord, start, end, section = spans[row]
            head, text, revision = articles[ord]
            out.append((Passage(head.id, revision, start, end, section, text[start:end]), head))
        return out

    def article(self, id: str, revision: str | None = None) -> Article:
        id, revision = whole(str(id)), None if revision is None else whole(str(revision))
        which = "live" if revision is None else "revision = ?"
        found = self._all(
            f"SELECT {catalog.ARTICLE} FROM articles WHERE id = ? AND {which}",
            [id] if revision is None else [id, revision],
        )
        if not found:
            named = f"{id!r} in revision {revision}" if revision else repr(id)
            gone = self._all("SELECT day FROM removed WHERE id = ?", [catalog.digest(id)])
            if gone:
                raise UnknownArticle(f"article {named} was removed from the index on {gone[0][0]}")
            if revision and self.current(id):
                raise UnknownArticle(f"no article {named} in the index: `rag articles show` shows its newest")
            raise UnknownArticle(f"no article {named} in the index: `rag articles list` names them")
        return catalog.read_article(found[0])

    def current(self, id: str) -> str | None:
        found = self._all("SELECT revision FROM articles WHERE id = ? AND live", [whole(str(id))])
        return str(found[0][0]) if found else None

    def twins(self, ids: Sequence[str]) -> dict[str, tuple[ArticleHead, ...]]:
        if not self._state.any_twins:
            return {}
        ords: dict[int, str] = {}
        for part in sqlite.parts(ids):
            ords.update(self._all(f"SELECT ord, id FROM articles WHERE live AND id IN ({sqlite.marks(part)})", part))
        with sqlite.guarded(self._folder / CATALOG):
            linked = twins.of(self._db, list(ords))
        heads: dict[int, ArticleHead] = {}
        others = {twin for of_one in linked.values() for twin in of_one}
        for part in sqlite.parts(list(others)):
            for ord, *head in self._all(
                f"SELECT ord, {catalog.HEAD} FROM articles WHERE ord IN ({sqlite.marks(part)})", part
            ):
                heads[ord] = catalog.head(head)
        if others != heads.keys():
            raise IndexDamaged.of(self._folder / CATALOG)
        return {
            ords[ord]: tuple(sorted((heads[twin] for twin in of_one), key=lambda h: h.id))
            for ord, of_one in linked.items()
        }

    def articles(self, where: Filter | None = None) -> list[tuple[ArticleHead, int]]:
        wanted: set[int] | None = None
        if where:
            mask, wanted, at = self._mask(where), set(), 0
            for part in self._state.parts:
                wanted.update(part.columns.with_any(mask[at : at + len(part)]).tolist())
                at += len(part)
        found = []
        for ord, passages, *row in self._all(
            # Not by an index of the table, which may lack some where the table is sound.
            f"SELECT ord, passages, {catalog.HEAD} FROM articles NOT INDEXED WHERE live ORDER BY id"
        ):
            if where is None or wanted is None or ord in wanted:
                found.append((catalog.head(row), passages))
            elif not passages and _is_met(where, head := catalog.head(row)):
                found.append((head, passages))
        return found

    def cut(self, id: str) -> list[Passage]:
        id = self.article(id).id
        first, count = self._all("SELECT first, passages FROM articles WHERE id = ? AND live", [id])[0]
        return [passage for passage, _ in self.passages(range(first, first + count))]

    def kept(self, ids: Sequence[str]) -> list[Kept]:
        with contextlib.closing(
            vectorfile.VectorFile(self._folder / VECTORS, self.fingerprint.dim, write=False)
        ) as vectors:
            return [self._kept(id, vectors) for id in ids]

    def _kept(self, id: str, vectors: vectorfile.VectorFile) -> Kept:
        article = self.article(id)
        ((origin, first, count),) = self._all(
            "SELECT origin, first, passages FROM articles WHERE id = ? AND live", [article.id]
        )
        rows = range(first, first + count)
        keys = dict(self._all("SELECT row, key FROM passages WHERE row BETWEEN ? AND ?", [first, rows.stop - 1]))
        cut = [passage for passage, _ in self.passages(rows)]
        earlier = f"SELECT {catalog.ARTICLE} FROM articles WHERE id = ? AND NOT live ORDER BY ord"
        former = tuple(catalog.read_article(row) for row in self._all(earlier, [article.id]))
        try:
            own = vectors.get([keys[row] for row in rows])
        except KeyError as e:
            raise StoreError(f"article {id!r} was changed while it was read: run the same command again") from e
        new = [NewPassage(p.start, p.end, p.section, keys[row]) for row, p in zip(rows, cut, strict=True)]
        return Kept(article, tuple(new), own, catalog.origin_of(str(origin)), former)

    def sections(self) -> list[str]:
        used = {
            int(code)
            for part, live in zip(self._state.parts, self._lives(), strict=True)
            for code in np.unique(part.columns.passages["section"][live])
        }
        names: dict[str, str] = {}
        for code, name in self._all("SELECT code, name FROM sections ORDER BY code"):
            if code in used and name:
                names.setdefault(fold(str(name)), str(name))
        return sorted(names.values(), key=fold)

    def _lives(self) -> list[Mask]:
        """Return which rows of each part are live."""
        ends = np.cumsum([len(part) for part in self._state.parts])
        return np.split(self._state.live, ends[:-1])

    def stats(self) -> Stats:
        state = self._state
        found = [(named.rows, named.recall) for named in state.named if named.probes]
        return Stats(
            articles=self._all("SELECT COUNT(*) FROM articles WHERE live")[0][0],
            passages=int(state.live.sum()),
            segments=len(state.named),
            tombstones=state.tombstones,
            generation=state.which.generation,
            bytes=size(self._folder),
            fingerprint=state.fingerprint,
            approximate=sum(rows for rows, _ in found),
            recall=round(sum(r * recall for r, recall in found) / sum(r for r, _ in found), 4) if found else 1.0,
        )

    def _all(self, sql: str, values: Sequence[object] = ()) -> list[Any]:
        with sqlite.guarded(self._folder / CATALOG):
            return self._db.execute(sql, values).fetchall()

    def _wanted(self, where: Filter) -> Wanted:
        if where not in self._numbers:
            with sqlite.guarded(self._folder / CATALOG):
                self._numbers[where] = Wanted.of(self._db, where, self._state.headings)
        return self._numbers[where]

    def _mask(self, where: Filter | None) -> Mask:
        """Return which of the state's rows are live and satisfy the filter."""
        if not where:
            return self._state.live
        mask = self._state.masks.get(where)
        if mask is None:
            wanted = self._wanted(where)
            mask = np.concatenate([part.columns.passing(wanted) for part in self._state.parts]) & self._state.live
            for phrase in _phrases(where):
                if self._state.words is not None:
                    holding = np.zeros(len(mask), bool)
                    holding[columns.places(self._state.rows, self._state.words.holding(phrase))] = True
                    mask &= holding
            if len(self._state.masks) >= MASKS:
                self._state.masks.clear()
            self._state.masks[where] = mask
        return mask


def _is_met(where: Filter, head: ArticleHead) -> bool:
    """Say whether an article without passages, which no column tells of, satisfies a filter."""
    if where.sections or _phrases(where) or (not head.published and (where.since or where.until)):
        return False
    wanted, written = set(map(fold, where.authors)), set(map(fold, head.authors))
    return (
        (not where.articles or head.id in where.articles)
        and (not where.sources or head.source in where.sources)
        and (not wanted or not wanted.isdisjoint(written))
        and columns.day(where.since) <= columns.day(head.published)
        and (where.until is None or columns.day(head.published) <= columns.day(where.until))
    )


def size(folder: Path) -> int:
    """Return the bytes of all files in a folder."""
    total = 0
    for within, _, names in os.walk(folder):
        for name in names:
            # A writer may take files away meanwhile.
            with contextlib.suppress(FileNotFoundError):
                total += Path(within, name).stat().st_size
    return total


def _phrases(where: Filter | None) -> list[str]:
    return [phrase for phrase in where.phrases if words(phrase)] if where else []
