"""The vectors that were ever computed held against the catalog: each as it was stored, and one for every passage."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from typing import cast

from rag.errors import IndexDamaged
from rag.store import catalog, sqlite, vectorfile
from rag.store.faults import Fault, Pace
from rag.store.mend import MENDED
from rag.store.snapshot import Snapshot
from rag.store.view import VECTORS

KEYS = 500
"""Keys looked up at a time."""


class VectorsCheck:
    """Reads the file of vectors and yields what is wrong with it."""

    def __init__(self, snapshot: Snapshot, pace: Pace) -> None:
        self._snapshot, self._pace = snapshot, pace

    def faults(self, dim: int) -> Iterator[Fault]:
        """Yield the faults of a file with vectors of so many numbers."""
        path = self._snapshot.folder / VECTORS
        passages = self._snapshot.one("SELECT COUNT(*) FROM passages")
        if not path.exists():
            if passages:
                yield Fault("is missing", path, "vectors")
            return
        try:
            vectors = vectorfile.VectorFile(path, dim, write=False, keep_log=True)
            with contextlib.closing(vectors):
                if not vectors.is_sound():
                    yield Fault("is damaged", path, "vectors")
                    return
                self._pace.begin("vectors", vectors.count(), "vectors")
                spoiled = sum(1 for _ in vectors.spoiled(self._pace.on))
                if spoiled:
                    yield Fault(f"{spoiled:,} vectors are not what was stored", path, "vectors")
                self._pace.begin("keys of vectors", passages, "passages")
                missing = self._missing_now(vectors)
                if missing:
                    yield Fault(f"vectors of {missing:,} passages are missing", path, "vectors")
            left = self._snapshot.folder / MENDED
            if left.exists():
                yield Fault("is left from a repair that was interrupted", left, "vectors")
        except IndexDamaged:
            yield Fault("is damaged", path, "vectors")

    def _missing_now(self, vectors: vectorfile.VectorFile) -> int:
        """Return how many passages have no vector, of the newest state if the snapshot's lack any."""
        missing = self._missing(vectors, self._snapshot.db)
        # A writer at work may have erased what only the snapshot still has.
        for _ in range(10):
            state = self._snapshot.newest()
            if not missing or state[0] == catalog.get(self._snapshot.db, "generation"):
                break
            with self._snapshot.now() as db:
                missing = self._missing(vectors, db)
            if state == self._snapshot.newest():
                break
        return missing

    def _missing(self, vectors: vectorfile.VectorFile, db: sqlite3.Connection) -> int:
        missing = 0
        with sqlite.guarded(self._snapshot.catalog):
            rest = db.execute("SELECT key FROM passages")
            while found := rest.fetchmany(KEYS):
                keys = [cast("bytes", key) for (key,) in found]
                there = vectors.known(keys)
                missing += sum(key not in there for key in keys)
                self._pace.on(len(found))
        return missing
