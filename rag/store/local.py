"""The embedded store: SQLite catalog (the truth), vector segments and a lexical index in one folder.

A reader's view is one read transaction on the catalog together with the segments, tombstones and
lexical state that belong to it; transaction.py says in which order a writer changes them.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rag.errors import IndexDamaged, IndexMismatch
from rag.files import sync
from rag.protocols import View
from rag.store import catalog, migrate, sqlite, vectorfile
from rag.store.check_catalog import CatalogCheck
from rag.store.faults import OnSteps, Pace
from rag.store.lock import locked
from rag.store.transaction import LocalTransaction
from rag.store.view import CATALOG, VECTORS, LocalView, State, Which, load_state
from rag.types import Fingerprint

if TYPE_CHECKING:
    from rag.store.check import Checked

log = logging.getLogger(__name__)


class Folder:
    """An index's place on this machine.  See `rag.store.places.Place`; raises StoreError for what can be no folder."""

    def __init__(self, folder: str | Path) -> None:
        self._folder = sqlite.folder_of(folder)

    @property
    def name(self) -> str:
        return str(self._folder.absolute())

    def exists(self) -> bool:
        return LocalStore.exists(self._folder)

    def open(self) -> LocalStore:
        return LocalStore(self._folder)

    def create(self, fingerprint: Fingerprint) -> LocalStore:
        return LocalStore.create(self._folder, fingerprint)

    def anew(self, fingerprint: Fingerprint) -> LocalStore:
        try:
            self.create(fingerprint).close()
            check_catalog(self._folder)
        except (IndexDamaged, IndexMismatch) as error:
            log.warning("%s; the old catalog is kept as %s", error, set_aside(self._folder, CATALOG))
        try:
            check_vectors(self._folder, fingerprint.dim)
        except IndexDamaged as error:
            log.warning("%s; the old file is kept as %s", error, set_aside(self._folder, VECTORS))
        return self.create(fingerprint)

    def check(self, on_progress: OnSteps | None = None) -> Checked:
        from rag.store.check import check

        return check(self._folder, on_progress)


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
                    view = LocalView(self.folder, db, state)
                    try:
                        yield view
                    finally:
                        view.end()
                    return
            # A writer committed in between and may have removed files of the older state.
            time.sleep(0.01)
        raise IndexDamaged(
            f"{self.folder.absolute()} names files or vectors that are missing: mend it with `rag doctor --repair`"
        )

    def _state_of(self, db: sqlite.Connection) -> State | None:
        """Return the state that a connection sees, or None when a later commit has taken files of it away.

        Its files are opened first, and then the newest state is asked for once more.  If it is still the same, no
        writer has taken a file away in between, and the words, which are always the newest, have every row of it.
        """
        which = Which.of(db)
        state = self._known(which)
        if state is None:
            with self._loading:
                # Another thread may have been quicker.
                state = self._known(which) or self._load(db, which)
        return state

    def _known(self, which: Which) -> State | None:
        state = self._state
        return state if state is not None and state.which == which else None

    def _load(self, db: sqlite.Connection, which: Which) -> State | None:
        try:
            fresh = load_state(self.folder, db, which, self._state)
        except IndexDamaged:
            # What a later commit has taken away in part looks like damage.
            if self._is_newest(which):
                raise
            return None
        if fresh is None or not self._is_newest(which):
            return None
        self._state = fresh
        return fresh

    def _is_newest(self, which: Which) -> bool:
        with self._connections.reading() as db, sqlite.guarded(self.folder / CATALOG):
            return Which.of(db) == which

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
    """Raise IndexDamaged when the catalog has a fault that shows without its articles and cannot be mended."""
    path = Path(folder) / CATALOG
    with sqlite.guarded(path), contextlib.closing(sqlite.connect(path, write=False)) as db:
        for fault in CatalogCheck(db, path, Pace(None)).first_faults():
            if fault.mend == "not":
                raise IndexDamaged(str(fault))


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
