"""The embedded store: SQLite catalog (the truth), vector segments and a lexical index in one folder.

A reader's view is one read transaction on the catalog together with the segments, tombstones and
lexical state that belong to it; transaction.py says in which order a writer changes them.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from rag.errors import IndexDamaged
from rag.files import sync
from rag.protocols import View
from rag.store import catalog, migrate, sqlite, vectorfile
from rag.store.lock import locked
from rag.store.transaction import LocalTransaction
from rag.store.view import CATALOG, VECTORS, LocalView, State, load_state
from rag.types import Fingerprint

log = logging.getLogger(__name__)


class LocalStore:
    """A Store in one folder.  Opening reads nothing but the fingerprint, and brings an older format forward.

    Raises NoIndex, IndexMismatch (a later format), IndexDamaged and, while an older format cannot be changed,
    IndexLocked and IndexReadOnly.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = sqlite.folder_of(folder)
        self._connections = sqlite.Connections(self.folder / CATALOG)
        self._state: State | None = None
        self._loading = threading.Lock()
        with self._connections.reading() as db, sqlite.guarded(self.folder / CATALOG):
            old = migrate.needed(db)
        if old:
            log.info("bringing index %s from format %d to %d", self.folder.absolute(), old, catalog.FORMAT)
            with locked(self.folder):
                LocalTransaction(self.folder).close()
        with self._connections.reading() as db, sqlite.guarded(self.folder / CATALOG):
            self._fingerprint = catalog.fingerprint(db)

    @classmethod
    def create(cls, folder: str | Path, fingerprint: Fingerprint) -> LocalStore:
        """Return the store in a folder, made there if there is none."""
        path = sqlite.folder_of(folder) / CATALOG
        with sqlite.guarded(path):
            missing = [folder for folder in (path.parent, *path.parent.parents) if not folder.exists()]
            path.parent.mkdir(parents=True, exist_ok=True)
            for made in missing:
                sync(made.parent)
            # Whether or not the file is there: a process killed while making it may have left it empty.
            catalog.create(path, fingerprint)
        return cls(folder)

    @staticmethod
    def exists(folder: str | Path) -> bool:
        """Say whether a folder holds an index."""
        path = sqlite.folder_of(folder) / CATALOG
        with sqlite.guarded(path):
            return path.exists()

    @property
    def fingerprint(self) -> Fingerprint:
        return self._fingerprint

    @contextlib.contextmanager
    def view(self) -> Iterator[View]:
        for _ in range(100):
            with self._connections.reading() as db:
                with sqlite.guarded(self.folder / CATALOG):
                    state = self._state_of(db)
                if state is not None:
                    yield LocalView(self.folder, db, state)
                    return
            # A writer committed in between and may have removed files of the older state.
            time.sleep(0.01)
        raise IndexDamaged(
            f"{self.folder.absolute()} names files or vectors that are missing: mend it with `rag doctor --repair`"
        )

    def _state_of(self, db: sqlite3.Connection) -> State | None:
        generation = int(catalog.get(db, "generation"))
        state = self._state
        if state is not None and state.generation == generation and state.lexical_name == catalog.get(db, "lexical"):
            return state
        with self._loading:
            state = self._state
            if (
                state is not None
                and state.generation == generation
                and state.lexical_name == catalog.get(db, "lexical")
            ):
                return state
            try:
                fresh = load_state(self.folder, db, generation, state)
            except IndexDamaged:
                # What a later commit has taken away in part looks like damage.
                if self._still(generation):
                    raise
                return None
            if fresh is not None and self._still(generation):
                self._state = fresh
                return fresh
        return None

    def _still(self, generation: int) -> bool:
        # Only a state that was newest after its files were opened is sure to have found them all.
        with self._connections.reading() as db:
            return int(catalog.get(db, "generation")) == generation

    @contextlib.contextmanager
    def writer(self, restart: Fingerprint | None = None) -> Iterator[LocalTransaction]:
        """Return a transaction.  With `restart` it begins by dropping every article and taking that fingerprint."""
        with locked(self.folder):
            transaction = LocalTransaction(self.folder, restart)
            try:
                yield transaction
                transaction.commit()
                transaction.settle()
            finally:
                transaction.close()

    def close(self) -> None:
        """Release files and connections."""
        self._connections.close()
        self._state = None


def check_catalog(folder: str | Path) -> None:
    """Raise IndexDamaged when the catalog cannot be emptied and written anew."""
    path = Path(folder) / CATALOG
    with sqlite.guarded(path), contextlib.closing(sqlite.connect(path, write=False)) as db:
        if db.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise IndexDamaged.of(path)
        for fact in ("generation", "next_row", "erased_words", "lexical"):
            catalog.get(db, fact)


def check_vectors(folder: str | Path, dim: int) -> None:
    """Raise IndexDamaged when the file of vectors is not as SQLite wrote it."""
    path = Path(folder) / VECTORS
    if path.exists():
        with contextlib.closing(vectorfile.VectorFile(path, dim, write=True)) as vectors:
            if not vectors.is_sound():
                raise IndexDamaged.of(path)


def set_aside(folder: str | Path, name: str) -> Path:
    """Rename a damaged SQLite file of an index, so that a new one can be made; return what it is now."""
    with locked(Path(folder)):
        return rename_aside(Path(folder), name)


def rename_aside(folder: Path, name: str) -> Path:
    """Do what `set_aside` does, where the caller holds the lock."""
    kept = folder / f"damaged-{time.strftime('%Y%m%d-%H%M%S')}-{name}"
    rename(folder / name, kept)
    return kept


def rename(path: Path, to: Path) -> None:
    """Rename a SQLite file with its log."""
    for end in ("", "-wal", "-shm"):
        if path.with_name(f"{path.name}{end}").exists():
            path.with_name(f"{path.name}{end}").rename(to.with_name(f"{to.name}{end}"))
