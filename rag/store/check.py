"""An index looked through: every file against its sum, and everything derived against the catalog.

Nothing is changed, and a writer may be at work meanwhile: everything is held against one snapshot of the catalog, with
the files that belong to it.  Everything is read once, some at a time.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rag.errors import IndexDamaged, IndexMismatch, NoIndex, StoreError
from rag.store import catalog, lexical, migrate, sqlite, vectorfile, view
from rag.store.check_catalog import HOPELESS, CatalogCheck
from rag.store.check_segments import SegmentsCheck
from rag.store.check_vectors import VectorsCheck
from rag.store.check_words import WordsCheck
from rag.store.faults import Fault, OnSteps, Pace
from rag.store.snapshot import Snapshot
from rag.store.view import CATALOG, SEGMENTS, VECTORS
from rag.types import Stats


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
            return _hopeless(error, path)
        except IndexMismatch:
            # No other version than this has an index with a format that is no number.
            written = db.execute("SELECT value FROM meta WHERE key = 'format'").fetchone()
            if not str(written[0]).isdecimal():
                return Checked(None, (Fault(f"the catalog is damaged (its format): {HOPELESS}", path, "not"),))
            raise
        if old:
            return Checked(None, tuple(_of_old(db, path)), old)
        try:
            return _Check(Snapshot(root, db), Pace(on_progress)).run()
        except IndexDamaged as error:
            return _hopeless(error, path)


def _hopeless(error: IndexDamaged, path: Path) -> Checked:
    reason = " ".join(str(error.__cause__ or error).split())[:160]
    return Checked(None, (Fault(f"the catalog is damaged ({reason}): {HOPELESS}", path, "not"),))


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
    """Looks through the index that a snapshot belongs to."""

    def __init__(self, snapshot: Snapshot, pace: Pace) -> None:
        self._snapshot = snapshot
        self._catalog = CatalogCheck(snapshot.db, snapshot.catalog, pace)
        self._segments = SegmentsCheck(snapshot, pace)
        self._vectors = VectorsCheck(snapshot, pace)
        self._words = WordsCheck(snapshot, pace)

    def run(self) -> Checked:
        words = self._opened()
        found = list(self._catalog.faults())
        if any(fault.mend == "not" for fault in found):
            # Nothing else can be held against a catalog that says one thing now and another then.
            return Checked(None, tuple(found))
        made = catalog.recorded(self._snapshot.db)
        try:
            named = view.named_segments(self._snapshot.db)
        except IndexDamaged:
            named = []
            found.append(Fault("what it says of its segments is damaged", self._snapshot.catalog, "segments"))
        found += self._segments.faults(named, made.dim)
        found += self._vectors.faults(made.dim)
        found += self._words.faults(words)
        return Checked(self._stats(), tuple(self._still_there(found)))

    def _opened(self) -> lexical.Words | Fault | None:
        """Return the words that belong to the snapshot, which is begun anew until they do; see view.py."""
        for _ in range(100):
            try:
                generation, name = (catalog.get(self._snapshot.db, n) for n in ("generation", "lexical"))
            except (IndexDamaged, sqlite3.DatabaseError):
                return None  # the catalog's check tells
            words = self._words.opened(self._snapshot.folder / name)
            if self._snapshot.newest() == (generation, name):
                return words
            self._snapshot.begin_anew()
            time.sleep(0.01)
        folder = self._snapshot.folder.absolute()
        raise StoreError(f"index {folder} is being written too fast to be checked: try again")

    def _still_there(self, found: list[Fault]) -> Iterator[Fault]:
        """Yield the faults, but not those of files that a writer at work has replaced meanwhile."""
        with self._snapshot.now() as db:
            names = {name for (name,) in db.execute("SELECT name FROM segments")}
            words = self._snapshot.folder / catalog.get(db, "lexical")
        for fault in found:
            assert isinstance(fault.file, Path)
            if fault.file.parent == self._snapshot.folder / SEGMENTS and fault.file.name.partition(".")[0] not in names:
                continue
            if fault.mend == "words" and words not in (fault.file, fault.file.parent):
                continue
            yield fault

    def _stats(self) -> Stats:
        recalls, one = self._segments.recalls, self._snapshot.one
        approximate = sum(rows for rows, _ in recalls)
        share = sum(rows * recall for rows, recall in recalls) / approximate if approximate else 1.0
        return Stats(
            # An index of a table may be damaged where that is not.
            articles=one("SELECT COUNT(*) FROM articles NOT INDEXED WHERE live"),
            passages=one("SELECT COUNT(*) FROM passages"),
            segments=one("SELECT COUNT(*) FROM segments NOT INDEXED"),
            tombstones=one("SELECT COUNT(*) FROM tombstones NOT INDEXED WHERE NOT dropped"),
            generation=catalog.number(self._snapshot.db, "generation"),
            bytes=view.size(self._snapshot.folder),
            fingerprint=catalog.recorded(self._snapshot.db),
            approximate=approximate,
            recall=round(share, 4),
        )
