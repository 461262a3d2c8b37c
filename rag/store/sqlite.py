"""SQLite files as an index uses them: how they are opened, read by many threads, and how they fail.

A reader's queries run in one read transaction, so they all see one commit.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from rag.errors import IndexDamaged, IndexReadOnly, NoIndex, StoreError
from rag.files import shown
from rag.types import whole


def folder_of(index: str | Path) -> Path:
    """Return an index's folder.  Raises StoreError for what cannot be one."""
    if not isinstance(index, (str, Path)) or not str(index):
        raise StoreError(f"index {index!r:.60} names no folder: give its path")
    folder = Path(index)
    if whole(str(folder)) != str(folder) or "\0" in str(folder):
        # The lexical index opens no other.
        raise StoreError(f"index {shown(folder)} has a name that is not UTF-8: give the folder another")
    if os.access(folder, os.F_OK) and not folder.is_dir():
        raise StoreError(f"index {folder.absolute()} is no folder: give the folder of an index")
    return folder


def connect(path: Path, *, write: bool, page: int = 4_096, keep_log: bool = False) -> sqlite3.Connection:
    """Return a connection that leaves transactions to its user.  A file that is made now has pages of so many bytes.

    With `keep_log` closing leaves the write-ahead log of a killed writer where it lies; otherwise the last one to close
    moves it into the file.
    """
    writable = is_writable(path)
    mode = "rwc" if write else ("rw" if writable else "ro&immutable=1")
    log = path.with_name(f"{path.name}-wal")
    if keep_log and writable and log.exists() and log.stat().st_size:
        mode = "ro"
    db = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None, check_same_thread=False, timeout=30
    )
    # A byte that was changed behind SQLite's back may make a text no text: whoever reads it compares its sum.
    db.text_factory = lambda data: data.decode("utf-8", "replace")
    # Views and triggers that a stranger put into a file may call nothing that does more than compute.
    db.execute("PRAGMA trusted_schema=0")
    if write:
        db.execute(f"PRAGMA page_size={page}")
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute("PRAGMA secure_delete=1")
    elif writable:
        db.execute("PRAGMA query_only=1")
    return db


def empty_log(db: sqlite3.Connection, wait: float = 0.1) -> bool:
    """Move the write-ahead log into its file and cut it to nothing; say whether no reader was in the way for long."""
    busy = 1
    with contextlib.suppress(sqlite3.OperationalError):
        db.execute(f"PRAGMA busy_timeout={int(1000 * wait)}")
        ((busy, *_),) = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    db.execute("PRAGMA busy_timeout=30000")
    return not busy


def is_writable(path: Path) -> bool:
    """Say whether a file, or one not yet there, can be written in its folder."""
    # A read-only mount refuses root too, which permission bits do not tell.
    return os.access(path.parent, os.W_OK) and (not path.exists() or os.access(path, os.W_OK))


@contextlib.contextmanager
def guarded(path: Path) -> Iterator[None]:
    """Turn what SQLite and the system raise about a file into our errors."""
    try:
        yield
    except sqlite3.DatabaseError as e:
        # It may quote what it could not read.
        reason = " ".join(str(e).split())[:160]
        if "readonly" in reason or "read-only" in reason:
            raise _read_only(path) from e
        if "unable to open" in reason and not _can_be_read(path):
            raise _unreadable(path) from e
        if "unable to open" in reason and path.exists():
            raise StoreError(
                f"index file {path.absolute()} cannot be opened: see to its permissions and free space"
            ) from e
        if "locked" in reason:
            raise StoreError(f"index file {path.absolute()} is busy: try again") from e
        if "full" in reason:
            raise _no_space(path) from e
        raise IndexDamaged(
            f"index file {path.absolute()} is damaged ({reason}): `rag doctor --repair` mends it or says what helps"
        ) from e
    except PermissionError as e:
        denied = Path(os.fsdecode(e.filename)) if isinstance(e.filename, (str, bytes)) else path
        raise (_read_only(path) if _can_be_read(denied) else _unreadable(denied)) from e
    except OSError as e:
        if e.errno == errno.EROFS:
            raise _read_only(path) from e
        if e.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _no_space(path) from e
        raise StoreError(f"index {path.parent.absolute()}: {e.strerror or e}") from e


def _can_be_read(path: Path) -> bool:
    """Say whether a file or folder can be read, or is not there."""
    if not os.access(path.parent, os.X_OK):
        return False
    return not os.access(path, os.F_OK) or os.access(path, os.R_OK | (os.X_OK if path.is_dir() else 0))


def _unreadable(path: Path) -> StoreError:
    return StoreError(f"{path.absolute()} cannot be read: see to its permissions and those of its folder")


def _read_only(path: Path) -> IndexReadOnly:
    # SQLite says the same when there is no room for its log.
    return IndexReadOnly(
        f"index {path.parent.absolute()} cannot be written: make the folder writable, and see that it has space"
    )


def _no_space(path: Path) -> StoreError:
    return StoreError(f"no space left to write {path.absolute()}: free some and run it again")


class Connections:
    """Read connections to one file, reused between threads, each by one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._inode = self._inode_now()

    def _inode_now(self) -> int:
        try:
            return self._path.stat().st_ino if self._path.exists() else 0
        except PermissionError as e:
            raise StoreError(f"index {self._path.parent.absolute()} cannot be read: allow it") from e

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give a connection inside one read transaction: every query in it sees the same commit.

        Whoever asks it guards what he asks: other things fail in the block too, and are not the file's fault.
        """
        if not self._inode_now():
            raise NoIndex(f"no index in {self._path.parent.absolute()}: make one with `rag ingest SOURCE --index DIR`")
        with guarded(self._path):
            with self._lock:
                if self._inode != self._inode_now():
                    self._close_idle()
                    self._inode = self._inode_now()
                db = self._idle.pop() if self._idle else None
            db = db or connect(self._path, write=False)
        try:
            with guarded(self._path):
                db.execute("BEGIN")
            yield db
            with guarded(self._path):
                db.execute("COMMIT")
        except BaseException:
            db.close()
            raise
        with self._lock:
            self._idle.append(db)

    def _close_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def close(self) -> None:
        """Close all that are not in use."""
        with self._lock:
            self._close_idle()


def parts(values: Sequence[bytes] | Sequence[int] | Sequence[str], size: int = 500) -> Iterator[list[object]]:
    """Yield the values in lists short enough for one SQL statement."""
    for i in range(0, len(values), size):
        yield list(values[i : i + size])


def marks(values: Sequence[object]) -> str:
    """Return as many question marks as there are values."""
    return ",".join("?" * len(values))
