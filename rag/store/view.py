"""What one reader sees: a catalog snapshot and the files that belong to it."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rag.errors import IndexDamaged, UnknownArticle
from rag.intake.sections import canonical
from rag.intake.text import fold
from rag.store import catalog, lexical, segments, sqlite, vectorfile
from rag.store.context import in_context
from rag.store.segments import Mask, Segment
from rag.types import Article, ArticleHead, Filter, Fingerprint, Passage, Scored, Stats, Vector, Vectors
from rag.words import words

CATALOG, VECTORS, SEGMENTS = "catalog.sqlite", "vectors.sqlite", "segments"
"""The files and the folder of an index."""

FEW_WORDS = 2_000
"""At most this many matches are named to the lexical index; more are sifted from a longer list."""


@dataclass
class State:
    """The in-memory part of one generation, shared by all views of it.  `rows` ascend."""

    generation: int
    fingerprint: Fingerprint
    lexical_name: str
    parts: list[Segment]
    opened: dict[str, Segment]
    words: lexical.Words | None
    lexical_index: Any
    tombstones: int
    rows: npt.NDArray[np.int64]
    live: Mask
    cache: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def articles(self) -> npt.NDArray[np.int64]:
        """The article's ordinal of each row."""
        return np.concatenate([p.columns["article"] for p in self.parts])

    @cached_property
    def sections(self) -> npt.NDArray[np.int32]:
        """The section's ordinal of each row."""
        return np.concatenate([p.columns["section"] for p in self.parts])


def load_state(folder: Path, db: sqlite3.Connection, generation: int, before: State | None) -> State | None:
    """Return the state of the snapshot that `db` reads, or None when its files are already gone.

    What the state `before` has open is used again.
    """
    fingerprint = catalog.fingerprint(db)
    dim = fingerprint.dim
    named = [
        segments.SegmentName(*r)
        for r in db.execute(
            "SELECT name, rows, vectors_bytes, vectors_sha256, columns_sha256 FROM segments ORDER BY first"
        )
    ]
    above = db.execute("SELECT COALESCE(MAX(last), 0) FROM segments").fetchone()[0]
    opened: dict[str, Segment] = {}
    try:
        for name in named:
            known = before.opened.get(name.name) if before else None
            opened[name.name] = known or segments.read(folder / SEGMENTS, name, dim)
        rest = _tail(folder / VECTORS, db, fingerprint, above)
    except (FileNotFoundError, KeyError):
        return None
    parts = [*opened.values(), rest]
    rows = np.concatenate([p.columns["row"] for p in parts]).astype(np.int64)
    gone = np.array([r[0] for r in db.execute("SELECT row FROM tombstones")], np.int64)
    lexical_name = catalog.get(db, "lexical")
    index, words = None, None
    if len(rows):
        if before and before.lexical_name == lexical_name and before.lexical_index is not None:
            index = before.lexical_index
        else:
            where = folder / lexical_name
            index = lexical.open_index(where) if sqlite.is_writable(where / "meta.json") else lexical.open_copy(where)
        words = lexical.Words(index, folder / lexical_name)
    return State(
        generation, fingerprint, lexical_name, parts, opened, words, index, len(gone), rows, ~np.isin(rows, gone)
    )


def _tail(path: Path, db: sqlite3.Connection, made: Fingerprint, above: int) -> Segment:
    """Return the passages above a row, which are in no segment, as one in memory."""
    found = db.execute(
        "SELECT row, article, section, key FROM passages WHERE row > ? ORDER BY row", (above,)
    ).fetchall()
    columns = np.array([r[:3] for r in found], segments.COLUMNS)
    if not found:
        return segments.in_memory(np.empty((0, made.dim), np.float32), columns)
    if not path.exists():
        raise IndexDamaged(f"index file {path.absolute()} is missing: rebuild it with `rag ingest SOURCE --rebuild`")
    vectors = vectorfile.VectorFile(path, made.dim, write=False)
    try:
        own = vectors.get([r[3] for r in found])
    finally:
        vectors.close()
    return segments.in_memory(in_context(own, columns["article"], made.context), columns)


class LocalView:
    """A View of the local store, good inside the `with` block that gave it.  See `rag.protocols.View`."""

    def __init__(self, folder: Path, db: sqlite3.Connection, state: State) -> None:
        self._folder, self._db, self._state = folder, db, state

    @property
    def generation(self) -> int:
        return self._state.generation

    @property
    def fingerprint(self) -> Fingerprint:
        return self._state.fingerprint

    def dense(self, vector: Vector, k: int, where: Filter | None = None) -> Scored:
        return self.dense_many(vector[None, :], k, where)[0]

    def dense_many(self, vectors: Vectors, k: int, where: Filter | None = None) -> list[Scored]:
        mask = self._mask(where)
        found: list[list[tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]]] = [[] for _ in vectors]
        at = 0
        for part in self._state.parts:
            n = len(part.columns)
            for of_one, (places, scores) in zip(found, part.best(vectors, k, mask[at : at + n]), strict=True):
                of_one.append((self._state.rows[at + places], scores))
            at += n
        return [segments.top(np.concatenate([r for r, _ in f]), np.concatenate([s for _, s in f]), k) for f in found]

    def lexical(self, text: str, k: int, where: Filter | None = None) -> Scored:
        index = self._state.words
        if index is None:
            return Scored(np.empty(0, np.int64), np.empty(0, np.float32))
        mask = self._mask(where)
        if np.count_nonzero(mask) <= FEW_WORDS < len(mask):
            allowed = self._state.rows[mask]
            found = index.search(text, max(len(allowed), 1), allowed)
            return segments.top(found.rows, found.scores, k)
        want = k + 50
        while True:
            found = index.search(text, want)
            passed = self._passing(found.rows, mask)
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
            n = len(part.columns)
            inside = (places >= at) & (places < at + n)
            if inside.any():
                out[inside] = segments.products(part.vectors[places[inside] - at], vector)
            at += n
        return np.round(out, 6)

    def passages(self, rows: Sequence[int]) -> list[tuple[Passage, ArticleHead]]:
        found: dict[int, tuple[Passage, ArticleHead]] = {}
        heads: dict[int, ArticleHead] = {}
        for part in sqlite.parts([int(r) for r in rows]):
            for row, start, end, section, text, revision, ord, *head in self._db.execute(
                "SELECT p.row, p.start, p.end, s.name, substr(a.text, p.start + 1, p.end - p.start), a.revision, a.ord,"
                f" {', '.join('a.' + c for c in catalog.HEAD.split(', '))}"
                " FROM passages p JOIN articles a ON a.ord = p.article JOIN sections s ON s.ord = p.section"
                f" WHERE p.row IN ({sqlite.marks(part)})",
                part,
            ):
                if ord not in heads:
                    heads[ord] = catalog.head(head)
                found[row] = Passage(heads[ord].id, revision, start, end, section, text), heads[ord]
        return [found[int(r)] for r in rows]

    def article(self, id: str, revision: str | None = None) -> Article:
        sql = f"SELECT {catalog.HEAD}, sections, text FROM articles WHERE id = ? AND "
        if revision is None:
            row = self._db.execute(sql + "live", (id,)).fetchone()
        else:
            row = self._db.execute(sql + "revision = ?", (id, revision)).fetchone()
        if row is None:
            which = f" in revision {revision}" if revision else ""
            raise UnknownArticle(f"no article {id!r}{which} in the index: `rag articles list` names them")
        return catalog.read_article(row)

    def articles(self, where: Filter | None = None) -> list[tuple[ArticleHead, int]]:
        counted = dict(self._db.execute("SELECT article, COUNT(*) FROM passages GROUP BY article"))
        wanted = None
        if where:
            wanted = set(np.unique(self._state.articles[self._mask(where)]).tolist())
        return [
            (catalog.head(head), counted.get(ord, 0))
            for ord, *head in self._db.execute(f"SELECT ord, {catalog.HEAD} FROM articles WHERE live ORDER BY id")
            if wanted is None or ord in wanted
        ]

    def stats(self) -> Stats:
        return Stats(
            articles=self._db.execute("SELECT COUNT(*) FROM articles WHERE live").fetchone()[0],
            passages=int(self._state.live.sum()),
            segments=len(self._state.opened),
            tombstones=self._state.tombstones,
            generation=self._state.generation,
            bytes=sum(p.stat().st_size for p in self._folder.rglob("*") if p.is_file()),
            fingerprint=self._state.fingerprint,
        )

    def _passing(self, rows: npt.NDArray[np.int64], mask: Mask) -> Mask:
        known = self._state.rows
        at = np.minimum(np.searchsorted(known, rows), len(known) - 1)
        return np.asarray((known[at] == rows) & mask[at], bool)

    def _mask(self, where: Filter | None) -> Mask:
        """Return which of the state's rows are live and satisfy the filter."""
        mask = self._state.live
        if not where:
            return mask
        mask = mask.copy()
        if where.sections:
            wanted = {fold(canonical(s)) for s in where.sections}
            ords = [ord for ord, name in self._db.execute("SELECT ord, name FROM sections") if fold(name) in wanted]
            mask &= np.isin(self._state.sections, ords)
        if where.authors or where.since or where.until or where.sources or where.articles:
            mask &= np.isin(self._state.articles, self._article_ordinals(where))
        if where.phrases and self._state.words is not None:
            for phrase in where.phrases:
                if words(phrase):
                    mask &= np.isin(self._state.rows, self._state.words.holding(phrase))
        return mask

    def _article_ordinals(self, where: Filter) -> npt.NDArray[np.int64]:
        """Return the ordinals of the current articles that satisfy the filter's parts about articles."""
        about = self._state.cache.get("about")
        if about is None:
            found = self._db.execute("SELECT ord, id, authors, published, source FROM articles WHERE live").fetchall()
            about = [(r[0], r[1], {fold(a) for a in catalog.names(r[2])}, r[3] or "", r[4]) for r in found]
            self._state.cache["about"] = about
        authors = {fold(a) for a in where.authors}
        ids, sources = set(where.articles), set(where.sources)
        since = where.since.isoformat() if where.since else ""
        until = where.until.isoformat() if where.until else ""
        return np.array(
            [
                ord
                for ord, id, names, published, source in about
                if (not authors or authors & names)
                and (not ids or id in ids)
                and (not sources or source in sources)
                and (not (since or until) or published)
                and (not since or published >= since)
                and (not until or published <= until)
            ],
            np.int64,
        )
