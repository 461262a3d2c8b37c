"""An index looked through: every file against its sum, and everything derived against the catalog.

Nothing is changed, and a writer may be at work meanwhile: everything is held against one snapshot of the catalog, with
the files that belong to it.  Everything is read once, some at a time.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from rag.errors import IndexDamaged, IndexMismatch, NoIndex, StoreError
from rag.store import catalog, columns, lexical, migrate, segmentfile, sqlite, vectorfile, view
from rag.store.check_catalog import HOPELESS, CatalogCheck
from rag.store.columns import Columns
from rag.store.faults import Fault, OnSteps, Pace
from rag.store.segmentfile import Named
from rag.store.segments import Segment
from rag.store.view import CATALOG, SEGMENTS, VECTORS
from rag.types import Fingerprint, Stats

BLOCK = 2_000
"""Articles whose columns are compared at a time."""

ROWS = 50_000
"""Rows of the lexical index looked up at a time."""

KEYS = 500
"""Keys looked up at a time."""

WORSE = 0.01
"""Share of the nearest that a segment may find less than when it was made."""

QUESTIONS = 100
"""Made questions by which that is measured, at least."""

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Checked:
    """What an index holds, None where that cannot be told, and what is wrong with it.

    Of `stats`, `recall` is measured now; `old` is the format of an index that is not brought forward yet, or 0.
    """

    stats: Stats | None
    faults: tuple[Fault, ...]
    old: int = 0


def faults(folder: str | Path, on_progress: OnSteps | None = None) -> list[Fault]:
    """Return what is wrong with an index.  Raises NoIndex and, for an unknown format, IndexMismatch."""
    return list(check(folder, on_progress).faults)


def check(folder: str | Path, on_progress: OnSteps | None = None) -> Checked:
    """Look through an index.  Raises NoIndex, IndexMismatch for an unknown format, and StoreError when it is busy."""
    path = sqlite.folder_of(folder) / CATALOG
    # What cannot be read cannot be looked through, and is told as such.
    with sqlite.guarded(path):
        return _looked_through(path, on_progress)


def _looked_through(path: Path, on_progress: OnSteps | None) -> Checked:
    root = path.parent
    if not path.exists():
        if any(root.glob("lexical-*")) or (root / VECTORS).exists() or (root / SEGMENTS).exists():
            return Checked(None, (Fault(f"the catalog is missing: {HOPELESS}", path, "not"),))
        raise NoIndex(f"no index in {root.absolute()}: make one with `rag ingest SOURCE --index DIR`")
    with contextlib.ExitStack() as stack:
        try:
            with sqlite.guarded(path):
                db = stack.enter_context(contextlib.closing(sqlite.connect(path, write=False, keep_log=True)))
                db.execute("BEGIN")
                old = migrate.needed(db)
        except IndexDamaged as error:
            reason = " ".join(str(error.__cause__ or error).split())[:160]
            return Checked(None, (Fault(f"the catalog is damaged ({reason}): {HOPELESS}", path, "not"),))
        except IndexMismatch:
            # No other version than this has an index with a format that is no number.
            written = db.execute("SELECT value FROM meta WHERE key = 'format'").fetchone()
            if not str(written[0]).isdecimal():
                return Checked(None, (Fault(f"the catalog is damaged (its format): {HOPELESS}", path, "not"),))
            raise
        if old:
            return Checked(None, tuple(_of_old(db, path)), old)
        return _Check(root, db, Pace(on_progress)).run()


def _of_old(db: sqlite3.Connection, path: Path) -> Iterator[Fault]:
    """Yield what is wrong with the files of an earlier format, as far as SQLite can tell: there were no sums."""
    try:
        told = [str(r[0]) for r in db.execute("PRAGMA integrity_check(1)")]
    except sqlite3.DatabaseError as error:
        told = [str(error)]
    if told != ["ok"]:
        yield Fault(f"the catalog is damaged ({' '.join(told[0].split())[:160]}): {HOPELESS}", path, "not")
    vectors = path.with_name(VECTORS)
    try:
        if vectors.exists():
            with contextlib.closing(vectorfile.VectorFile(vectors, 1, write=False, keep_log=True)) as file:
                sound = file.is_sound()
                file.count()
        else:
            sound = told == ["ok"] and db.execute("SELECT 1 FROM passages LIMIT 1").fetchone() is None
    except (IndexDamaged, sqlite3.DatabaseError):
        sound = False
    if not sound:
        yield Fault("is damaged or missing", vectors, "vectors")


class _Check:
    """Looks through the index that one connection sees."""

    def __init__(self, folder: Path, db: sqlite3.Connection, pace: Pace) -> None:
        self._folder, self._db, self._pace = folder, db, pace
        # Share of the nearest found through cells, and of how many passages, by segment.
        self._recalls: list[tuple[int, float]] = []

    def run(self) -> Checked:
        words = self._opened()
        found = list(CatalogCheck(self._db, self._folder / CATALOG, self._pace).faults())
        if any(fault.mend == "not" for fault in found):
            # Nothing else can be held against a catalog that says one thing now and another then.
            return Checked(None, tuple(found))
        made = catalog.recorded(self._db)
        try:
            named = view.named_segments(self._db)
        except IndexDamaged:
            named = []
            found.append(Fault("what it says of its segments is damaged", self._catalog, "derived"))
        found += self._segments(named, made)
        found += self._vectors(made)
        found += self._words(words)
        return Checked(self._stats(made, named), tuple(self._still_there(found)))

    def _all(self, sql: str, values: Sequence[object] = ()) -> list[Any]:
        with sqlite.guarded(self._folder / CATALOG):
            return self._db.execute(sql, values).fetchall()

    def _one(self, sql: str, values: Sequence[object] = ()) -> int:
        return int(self._all(sql, values)[0][0] or 0)

    # -- one state ----------------------------------------------------------------------------

    def _opened(self) -> lexical.Words | Fault | None:
        """Return the words that belong to the snapshot, which is begun anew until they do; see view.py."""
        for _ in range(100):
            try:
                generation, name = (catalog.get(self._db, n) for n in ("generation", "lexical"))
            except (IndexDamaged, sqlite3.DatabaseError):
                return None  # the catalog's check tells
            words = self._words_of(self._folder / name)
            if self._newest() == (generation, name):
                return words
            with sqlite.guarded(self._folder / CATALOG):
                self._db.execute("COMMIT")
                self._db.execute("BEGIN")
            time.sleep(0.01)
        raise StoreError(f"index {self._folder.absolute()} is being written too fast to be checked: try again")

    def _newest(self) -> tuple[str, str]:
        path = self._folder / CATALOG
        with sqlite.guarded(path):
            with contextlib.closing(sqlite.connect(path, write=False, keep_log=True)) as now:
                return catalog.get(now, "generation"), catalog.get(now, "lexical")

    def _words_of(self, folder: Path) -> lexical.Words | Fault | None:
        if not folder.exists():
            try:
                there = (
                    self._one("SELECT 1 FROM passages LIMIT 1") if self._all("SELECT 1 FROM passages LIMIT 1") else 0
                )
            except IndexDamaged:
                return None
            return Fault("the lexical index is missing", folder, "words") if there else None
        try:
            writable = sqlite.is_writable(folder / "meta.json")
            index = lexical.open_index(folder) if writable else lexical.open_copy(folder)
            if not lexical.has_our_fields(index):
                return Fault("the lexical index has other fields than it was made with", folder, "words")
            return lexical.Words(index, folder)
        except lexical.Damaged as error:
            return Fault(_reason(error), folder, "words")

    def _still_there(self, found: list[Fault]) -> Iterator[Fault]:
        """Yield the faults, but not those of files that a writer at work has replaced meanwhile."""
        path = self._folder / CATALOG
        with sqlite.guarded(path):
            with contextlib.closing(sqlite.connect(path, write=False, keep_log=True)) as now:
                names = {name for (name,) in now.execute("SELECT name FROM segments")}
                words = self._folder / catalog.get(now, "lexical")
        for fault in found:
            if fault.file.parent.name == SEGMENTS and fault.file.name.partition(".")[0] not in names:
                continue
            if fault.mend == "words" and words not in (fault.file, fault.file.parent):
                continue
            yield fault

    def _stats(self, made: Fingerprint, named: list[Named]) -> Stats:
        approximate = sum(rows for rows, _ in self._recalls)
        share = sum(rows * recall for rows, recall in self._recalls) / approximate if approximate else 1.0
        return Stats(
            articles=self._one("SELECT COUNT(*) FROM articles WHERE live"),
            passages=self._one("SELECT COUNT(*) FROM passages"),
            segments=len(named),
            tombstones=self._one("SELECT COUNT(*) FROM tombstones WHERE NOT dropped"),
            generation=int(catalog.get(self._db, "generation")),
            bytes=view.size(self._folder),
            fingerprint=made,
            approximate=approximate,
            recall=round(share, 4),
        )

    # -- segments -----------------------------------------------------------------------------

    def _segments(self, named: list[Named], made: Fingerprint) -> Iterator[Fault]:
        folder = self._folder / SEGMENTS
        self._pace.begin("segments", sum(n.rows for n in named), "passages")
        above = 0
        for name in named:
            spoiled = segmentfile.spoiled(folder, name)
            for path in spoiled:
                what = "is not what was written" if path.exists() else "is missing"
                yield Fault(what, path, "segments")
            if not spoiled:
                try:
                    segment = segmentfile.read(folder, name, made.dim)
                except FileNotFoundError:
                    pass  # a writer took it away just now
                except IndexDamaged:
                    yield Fault(
                        "does not hold what it should", segmentfile.path_of(folder, name.name, "rows"), "segments"
                    )
                else:
                    yield from self._segment(name, segment, above)
            above = name.last
            self._pace.on(name.rows)
        marked = self._one(
            "SELECT COUNT(*) FROM tombstones t WHERE NOT dropped AND NOT EXISTS"
            " (SELECT 1 FROM segments s WHERE t.row BETWEEN s.first AND s.last)"
        )
        if marked:
            yield Fault(f"{marked:,} passages are marked as removed that are in no segment", self._catalog, "derived")

    @property
    def _catalog(self) -> Path:
        return self._folder / CATALOG

    def _segment(self, name: Named, segment: Segment, above: int) -> Iterator[Fault]:
        path = segmentfile.path_of(self._folder / SEGMENTS, name.name, "passages")
        rows = segment.columns.rows
        gone = self._gone("SELECT row FROM tombstones WHERE NOT dropped AND row BETWEEN ? AND ?", name)
        live = ~np.isin(rows, gone)
        try:
            same = (int(rows[0]), int(rows[-1])) == (name.first, name.last) and name.first > above
            same = same and int(live.sum()) == len(rows) - len(gone)
            same = same and all(_are_equal(*pair) for pair in self._compared(segment.columns, live, above))
        except (IndexError, ValueError):
            same = False
        if not same:
            yield Fault("the segment does not say what the catalog says of its passages", path, "segments")
        elif segment.cells and live.any():
            yield from self._recall(name, segment, live)

    def _gone(self, sql: str, name: Named) -> Rows:
        return np.array([r[0] for r in self._all(sql, (name.first, name.last))], np.int64)

    def _compared(self, table: Columns, live: columns.Mask, above: int) -> Iterator[tuple[Columns, Columns]]:
        """Yield what a segment and what the catalog says of some articles after others, and of the rows in between."""
        firsts = np.append(table.articles["first"], len(table)).astype(np.int64)
        of = table.bylines["article"]
        for a in range(0, len(table.articles), BLOCK):
            b = min(a + BLOCK, len(table.articles))
            some = slice(int(firsts[a]), int(firsts[b]))
            articles, bylines = table.articles[a:b].copy(), table.bylines[(of >= a) & (of < b)]
            articles["first"] -= some.start
            bylines["article"] -= a
            last = int(table.rows[some.stop - 1])
            with sqlite.guarded(self._catalog):
                said = columns.read(self._db, above, last)
            yield Columns(table.passages[some], articles, bylines).kept(live[some]), said
            above = last

    def _recall(self, name: Named, segment: Segment, live: columns.Mask) -> Iterator[Fault]:
        """Measure what is found through the cells now."""
        asked = segment.questions(max(min(200, 10**8 // len(segment)), QUESTIONS), live)
        recall = segment.recall(asked, segment.nearest(asked, 10, live), 10, live)
        self._recalls.append((int(live.sum()), recall))
        if recall < name.recall - WORSE:
            path = segmentfile.path_of(self._folder / SEGMENTS, name.name, "cells")
            what = f"finds {recall:.3f} of the ten nearest, and {name.recall:.3f} when it was made"
            yield Fault(what, path, "segments")

    # -- vectors ------------------------------------------------------------------------------

    def _vectors(self, made: Fingerprint) -> Iterator[Fault]:
        path = self._folder / VECTORS
        passages = self._one("SELECT COUNT(*) FROM passages")
        if not path.exists():
            if passages:
                yield Fault("is missing", path, "vectors")
            return
        try:
            vectors = vectorfile.VectorFile(path, made.dim, write=False, keep_log=True)
            with contextlib.closing(vectors):
                if not vectors.is_sound():
                    yield Fault("is damaged", path, "vectors")
                    return
                self._pace.begin("vectors", vectors.count(), "vectors")
                spoiled = sum(1 for _ in vectors.spoiled(self._pace.on))
                if spoiled:
                    yield Fault(f"{spoiled:,} vectors are not what was stored", path, "vectors")
                missing = self._missing(vectors, self._db)
                # A writer at work may have erased what only the snapshot still has.
                for _ in range(10):
                    state = self._newest()
                    if not missing or state[0] == catalog.get(self._db, "generation"):
                        break
                    with contextlib.closing(sqlite.connect(self._catalog, write=False, keep_log=True)) as now:
                        missing = self._missing(vectors, now)
                    if state == self._newest():
                        break
                if missing:
                    yield Fault(f"vectors of {missing:,} passages are missing", path, "vectors")
        except IndexDamaged:
            yield Fault("is damaged", path, "vectors")

    def _missing(self, vectors: vectorfile.VectorFile, db: sqlite3.Connection) -> int:
        """Return how many passages have no vector."""
        missing = 0
        with sqlite.guarded(self._catalog):
            self._pace.begin("keys of vectors", self._one("SELECT COUNT(*) FROM passages"), "passages")
            rest = db.execute("SELECT key FROM passages")
            while found := rest.fetchmany(KEYS):
                keys = [cast("bytes", key) for (key,) in found]
                there = vectors.known(keys)
                missing += sum(key not in there for key in keys)
                self._pace.on(len(found))
        return missing

    # -- words --------------------------------------------------------------------------------

    def _words(self, words: lexical.Words | Fault | None) -> Iterator[Fault]:
        if isinstance(words, Fault):
            spoiled = list(self._spoiled_words(words.file))
            yield from spoiled or [words]
        elif words:
            folder = self._folder / catalog.get(self._db, "lexical")
            yield from self._spoiled_words(folder)
            try:
                missing, unknown = self._held_against(words)
            except lexical.Damaged as error:
                yield Fault(_reason(error), folder, "words")
                return
            if missing:
                yield Fault(f"{missing:,} passages are missing in the lexical index", folder, "words")
            if unknown:
                yield Fault(f"the lexical index has {unknown:,} passages that are not current", folder, "words")

    def _spoiled_words(self, folder: Path) -> Iterator[Fault]:
        try:
            for path in lexical.files(folder)[1:]:
                try:
                    if not lexical.is_whole(path):
                        yield Fault("is not what was written", path, "words")
                except FileNotFoundError:
                    # Or a writer has merged it into another.
                    if path in lexical.files(folder):
                        yield Fault("is missing", path, "words")
        except lexical.Damaged as error:
            yield Fault(_reason(error), folder / "meta.json", "words")

    def _held_against(self, words: lexical.Words) -> tuple[int, int]:
        """Return how many rows the lexical index lacks, and how many it has that are not current."""
        missing = unknown = 0
        end = int(catalog.get(self._db, "next_row"))
        self._pace.begin("words", end, "passages")
        for first in range(0, end, ROWS):
            last = min(first + ROWS, end) - 1
            held = words.between(first, last)
            live = self._rows("SELECT row FROM passages WHERE row BETWEEN ? AND ?", first, last)
            # Removed and not yet taken out, which comes after the commit.
            leaving = self._rows("SELECT row FROM tombstones WHERE NOT unworded AND row BETWEEN ? AND ?", first, last)
            missing += len(np.setdiff1d(live, held))
            unknown += len(held) - int(np.isin(np.unique(held), np.concatenate([live, leaving])).sum())
            self._pace.on(last + 1 - first)
        return missing, unknown

    def _rows(self, sql: str, first: int, last: int) -> Rows:
        return np.array([r[0] for r in self._all(sql, (first, last))], np.int64)


def _are_equal(one: Columns, other: Columns) -> bool:
    def plain(table: Columns) -> list[object]:
        bylines = np.sort(table.bylines, order=["article", "author"])
        return [table.passages.tolist(), table.articles.tolist(), bylines.tolist()]

    return plain(one) == plain(other)


def _reason(error: IndexDamaged) -> str:
    """Return why something cannot be used, without where it lies and what to do."""
    found = re.search(r"\((.*)\)", str(error))
    return found[1] if found else "cannot be used"
