"""A backup read back into an index: what it holds goes through the one transaction, as articles do that are ingested.

The backup is looked through before the index is touched, so a damaged or hostile one changes nothing, and what fails
afterwards is the index's own.  An index in use is replaced in one commit.  Where there is none, or a damaged one, a new
one is built in a folder of work and then put in place, the catalog last.  Interrupted, the index is as it was.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
import sqlite3
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from rag.errors import IndexDamaged, IndexMismatch, StoreError
from rag.files import sync
from rag.store import catalog, local, sqlite, vectorfile
from rag.store.backup import damaged, opened, unpack
from rag.store.copied import Copied, batches, instead, is_removed
from rag.store.faults import OnSteps, Pace
from rag.store.local import LocalStore
from rag.store.lock import LOCK, locked
from rag.store.scratch import BUILT, scratch
from rag.store.transaction import LocalTransaction
from rag.store.view import CATALOG, SEGMENTS, VECTORS
from rag.types import Article, Stats, Steps

log = logging.getLogger(__name__)


def restore(
    file: str | Path, folder: str | Path, *, replace: bool = False, on_progress: OnSteps | None = None
) -> Stats:
    """Read a backup into an index, made if there is none, and return what that holds then; embeds nothing.

    With `replace` an index that holds articles gives way to the backup, in one commit; the files of a damaged one are
    kept under other names.  Interrupted, nothing is changed, unless the KeyboardInterrupt says otherwise.

    Raises BadSource for a file that is no backup or damaged, StoreError for an index in the way, IndexLocked, and
    IndexMismatch for a backup of a later version.
    """
    file, folder = Path(file), sqlite.folder_of(folder)
    with contextlib.closing(opened(file)) as packed, sqlite.guarded(folder / CATALOG), _standing(folder):
        with contextlib.suppress(IndexDamaged, IndexMismatch):  # which is found under the lock too
            if LocalStore.exists(folder):
                LocalStore(folder).close()
        with locked(folder):
            usable = _is_usable(folder, replace)
            with scratch(folder) as work:
                unpack(packed, file, work, Pace(on_progress))
                with instead(damaged(file), file):
                    copied = Copied(work)
                with contextlib.closing(copied):
                    copied.check(Pace(on_progress), damaged(file), file)
                    if usable:
                        _replace(folder, copied, on_progress)
                    else:
                        _build(folder, copied, work, on_progress)
    with contextlib.closing(LocalStore(folder)) as store, store.view() as view:
        return view.stats()


class Restoring(LocalTransaction):
    """A transaction that takes what else than current articles a backup holds."""

    def fill(self, copied: Copied, on_progress: OnSteps | None) -> None:
        """Take all that a backup holds."""
        self.note_removed(copied.removed())
        began, done = time.monotonic(), 0
        for some in batches(copied.articles()):
            self._take(copied, [p.key for read in some for p in read.passages])
            for read in some:
                if read.live:
                    self.add(read.article, read.passages, read.origin)
                else:
                    self.keep(read.article, read.origin)
            done += len(some)
            if on_progress:
                on_progress(Steps("restore", done, copied.count, time.monotonic() - began, "articles"))
        for former in batches(copied.former()):
            self._take(copied, [key for _, key in former])
            with self._change():
                self._db.executemany("INSERT OR IGNORE INTO former VALUES (?, ?)", former)
                self._db.executemany("DELETE FROM forget WHERE key = ?", [(key,) for _, key in former])

    def _take(self, copied: Copied, wanted: list[bytes]) -> None:
        keys = list(dict.fromkeys(wanted))
        if keys:
            self.remember(keys, copied.vectors(keys))

    def keep(self, article: Article, origin: str) -> None:
        """Add an earlier revision of an article: it opens, and is not searched."""
        with self._change():
            known = "SELECT 1 FROM articles WHERE id = ? AND revision = ?"
            if self._db.execute(known, (article.id, article.revision)).fetchone() is None:
                rows = range(self._next_row, self._next_row)
                catalog.insert_article(self._db, article, origin, rows, live=False)

    def note_removed(self, rows: Iterable[tuple[bytes, str]]) -> None:
        """Note on which days articles were removed; of two days of one the later is true."""
        with self._change():
            self._db.executemany(
                "INSERT INTO removed VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET day = max(day, excluded.day)", rows
            )


@contextlib.contextmanager
def _standing(folder: Path) -> Iterator[None]:
    """Make a folder that is not there; after a failure those that were made are gone again."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        _take_away(missing)
        raise StoreError(
            f"{folder.absolute()} cannot be made ({error.strerror}): name another folder for the index"
        ) from error
    try:
        yield
    except BaseException:
        _take_away(missing)
        raise
    for path in missing:
        sync(path.parent)


def _take_away(folders: list[Path]) -> None:
    # What else has come there meanwhile stays, and so do the folders above it.
    with contextlib.suppress(OSError):
        for folder in (path for path in folders if path.exists()):
            if {path.name for path in folder.iterdir()} == {LOCK}:
                (folder / LOCK).unlink()
            folder.rmdir()


def _is_usable(folder: Path, replace: bool) -> bool:
    """Say whether a folder holds an index that can be written; the caller holds its lock.

    Raises StoreError, unless it may be replaced, for one that holds articles or is damaged.
    """
    path = folder / CATALOG
    if not path.exists():
        return False
    try:
        local.check_catalog(folder)
        with sqlite.guarded(path), contextlib.closing(sqlite.connect(path, write=False)) as db:
            catalog.fingerprint(db)
            holds = db.execute("SELECT 1 FROM articles LIMIT 1").fetchone() is not None
    except (IndexDamaged, IndexMismatch) as error:
        if replace:
            return False
        raise StoreError(
            f"index {folder.absolute()} cannot be read: name another folder, or put the backup in its place"
            " with --replace"
        ) from error
    if holds and not replace:
        raise StoreError(f"index {folder.absolute()} holds articles: name another folder, or --replace them")
    return True


def _replace(folder: Path, copied: Copied, on_progress: OnSteps | None) -> None:
    """Let a backup take the place of what a sound index holds, in one commit."""
    path, before = folder / CATALOG, _generation(folder)
    kept: Path | None = None
    try:
        try:
            lacking = list(_lacking(folder, copied))
        except IndexDamaged:
            kept = local.rename_aside(folder, VECTORS)
            lacking = list(_lacking(folder, copied))
        with sqlite.guarded(path), contextlib.closing(sqlite.connect(path, write=True)) as db:
            # Vectors are durable before the commit that needs them; without one the next writer erases these.
            db.execute("BEGIN IMMEDIATE")
            db.executemany("INSERT OR IGNORE INTO forget VALUES (?)", [(key,) for key in lacking])
            db.execute("COMMIT")
        with contextlib.closing(Restoring(folder, copied.fingerprint)) as t:
            t.fill(copied, on_progress)
            t.commit()
            t.settle()
    except BaseException as error:
        done = _generation(folder) != before
        # On a full disk the next writer does it.
        with contextlib.suppress(StoreError):
            LocalTransaction(folder).close()
        if kept and not done:
            _unlink(folder / VECTORS)
            local.rename(kept, folder / VECTORS)
        _tell_if(done, error)
        raise
    if kept:
        log.warning("%s was damaged and is kept as %s", folder.absolute() / VECTORS, kept)


def _tell_if(done: bool, error: BaseException) -> None:
    if done and isinstance(error, KeyboardInterrupt):
        raise KeyboardInterrupt("the backup is restored already") from error


def _lacking(folder: Path, copied: Copied) -> Iterator[bytes]:
    """Yield the keys of a backup that an index has no vectors of.  Raises IndexDamaged when one is not what it was."""
    dim = copied.fingerprint.dim
    local.check_vectors(folder, dim)
    with contextlib.closing(vectorfile.VectorFile(folder / VECTORS, dim, write=True)) as vectors:
        for some in batches(copied.keys()):
            there = vectors.known(some)
            vectors.get(list(there))
            yield from (key for key in some if key not in there)


def _generation(folder: Path) -> str:
    with sqlite.guarded(folder / CATALOG), contextlib.closing(sqlite.connect(folder / CATALOG, write=False)) as db:
        return catalog.get(db, "generation")


def _unlink(path: Path) -> None:
    for end in ("", "-wal", "-shm"):
        path.with_name(f"{path.name}{end}").unlink(missing_ok=True)


def _build(folder: Path, copied: Copied, work: Path, on_progress: OnSteps | None) -> None:
    """Build an index of a backup and put it where there is none that can be used."""
    new = work / BUILT
    LocalStore.create(new, copied.fingerprint).close()
    with contextlib.closing(Restoring(new, copied.fingerprint)) as t:
        t.note_removed(_gone(folder / CATALOG))
        t.fill(copied, on_progress)
        t.commit()
        t.settle()
    done, aside = False, []
    with contextlib.ExitStack() as undo:
        try:
            for name in (CATALOG, VECTORS):
                if (folder / name).exists():
                    kept = local.rename_aside(folder, name)
                    undo.callback(local.rename, kept, folder / name)
                    aside.append(kept)
            # Nobody can tell any more what these belong to.
            for old in [*folder.glob("lexical-*"), folder / SEGMENTS]:
                if old.exists():
                    shutil.rmtree(old)
            for made in [*new.glob("lexical-*"), new / SEGMENTS, new / VECTORS]:
                if made.exists():
                    made.rename(folder / made.name)
                    if made.name == VECTORS:
                        undo.callback(_unlink, folder / VECTORS)
            sync(folder)
            (new / CATALOG).rename(folder / CATALOG)
            done = True
            undo.pop_all()
            sync(folder)
        except BaseException as error:
            _tell_if(done, error)
            raise
    if aside:
        log.warning("index %s was damaged; what it was is kept as %s", folder.absolute(), " and ".join(map(str, aside)))


def _gone(path: Path) -> Iterator[tuple[bytes, str]]:
    """Yield what a damaged catalog still tells of articles that were removed, and those that are now."""
    if not path.exists():
        return
    # What cannot be read is lost: the rest is worth having.
    with contextlib.suppress(sqlite3.DatabaseError), contextlib.closing(sqlite.connect(path, write=False)) as db:
        yield from (row for row in db.execute("SELECT id, day FROM removed") if is_removed(*row))
        yield from catalog.gone(row for row in db.execute("SELECT DISTINCT id FROM articles") if type(row[0]) is str)
