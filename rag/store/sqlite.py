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
from rag.given import whole


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


Stamp = tuple[int, ...]
"""What tells a file from another that takes its place: device and inode first."""


class Connection(sqlite3.Connection):
    """A connection that knows which file it has open."""

    stamp: Stamp | None = None


def connect(path: Path, *, write: bool, page: int = 4_096, keep_log: bool = False) -> Connection:
    """Return a connection that leaves transactions to its user.  A file that is made now has pages of so many bytes.

    With `keep_log` closing leaves the write-ahead log of a killed writer where it lies; otherwise the last one to close
    moves it into the file.
    """
    writable = is_writable(path)
    mode = "rwc" if write else "rw"
    has_log = _log_bytes(path) > 0
    if not writable and not write:
        mode = "ro" if has_log else "ro&immutable=1"
        if has_log and not path.with_name(f"{path.name}-shm").exists():
            # SQLite reads a log without writing only where that lies beside it, as it does unless a part was copied.
            raise IndexReadOnly(
                f"index {path.parent.absolute()} has changes in {path.name}-wal, which cannot be read without"
                f" {path.name}-shm where the folder cannot be written: make it writable, or copy it to where it is"
            )
    elif keep_log and has_log:
        mode = "ro"
    db = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=30,
        factory=Connection,
    )
    try:
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
    except BaseException:
        db.close()
        raise
    return db


def _log_bytes(path: Path) -> int:
    try:
        return path.with_name(f"{path.name}-wal").stat().st_size
    except FileNotFoundError:
        return 0


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
    except UnicodeDecodeError as e:
        # SQLite quotes what it could not read, and no text can be made of that.
        raise _damaged(path, "it holds what is no text") from e
    except sqlite3.ProgrammingError:
        raise  # whoever asks asks wrongly
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
        if not _tells_of_damage(e, reason, path):
            raise StoreError(f"index file {path.absolute()} could not be used ({reason}): try again") from e
        raise _damaged(path, reason) from e
    except PermissionError as e:
        denied = Path(os.fsdecode(e.filename)) if isinstance(e.filename, (str, bytes)) else path
        raise (_read_only(path) if _can_be_read(denied) else _unreadable(denied)) from e
    except OSError as e:
        if e.errno == errno.EROFS:
            raise _read_only(path) from e
        if e.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _no_space(path) from e
        raise StoreError(f"index {path.parent.absolute()}: {e.strerror or e}") from e


_OF_DAMAGE = (
    *("malformed", "not a database", "unsupported file format"),
    *("no such table", "no such column", "has no column"),
)


def _tells_of_damage(error: sqlite3.DatabaseError, reason: str, path: Path) -> bool:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or isinstance(error, sqlite3.IntegrityError):
        return True
    return any(said in reason for said in _OF_DAMAGE) or not path.exists()


def _damaged(path: Path, reason: str) -> IndexDamaged:
    return IndexDamaged(
        f"index file {path.absolute()} is damaged ({reason}): `rag doctor --repair` mends it or says what helps"
    )


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
    """Read connections to one file, reused between threads, each by one thread at a time.

    One whose file is no longer the one at the path is closed, whether it was in use meanwhile or not.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: list[Connection] = []
        self._lock = threading.Lock()
        self._closed = False
        self._stamp()

    def _stamp(self) -> Stamp | None:
        """Return the stamp of the file that is there now.

        A folder that cannot be written is read as if nothing changed it, so whatever changes there makes another stamp.
        """
        try:
            if not self._path.exists():
                return None
            status = self._path.stat()
            if is_writable(self._path):
                return status.st_dev, status.st_ino
            return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size, _log_bytes(self._path)
        except FileNotFoundError:
            return None
        except PermissionError as e:
            raise StoreError(f"index {self._path.parent.absolute()} cannot be read: allow it") from e

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a connection inside one read transaction: every query in it sees the same commit.

        Whoever asks it guards what he asks: other things fail in the block too, and are not the file's fault.
        """
        db = self._taken()
        try:
            with guarded(self._path):
                db.execute("BEGIN")
            yield db
            with guarded(self._path):
                db.execute("COMMIT")
        except BaseException:
            db.close()
            raise
        stamp = self._stamp()
        with self._lock:
            if db.stamp == stamp and not self._closed:
                self._idle.append(db)
                return
        db.close()

    def _taken(self) -> Connection:
        """Return a connection to the file that is there now."""
        while stamp := self._stamp():
            with self._lock:
                while self._idle:
                    db = self._idle.pop()
                    if db.stamp == stamp:
                        return db
                    db.close()
            with guarded(self._path):
                db = connect(self._path, write=False)
            db.stamp = stamp
            # Another file may have come between.
            if self._stamp() == stamp:
                return db
            db.close()
        raise NoIndex(f"no index in {self._path.parent.absolute()}: make one with `rag ingest SOURCE --index DIR`")

    def close(self) -> None:
        """Close all, those in use when they are given back."""
        with self._lock:
            self._closed = True
            while self._idle:
                self._idle.pop().close()


def parts(values: Sequence[bytes] | Sequence[int] | Sequence[str], size: int = 500) -> Iterator[list[object]]:
    """Yield the values in lists short enough for one SQL statement."""
    for i in range(0, len(values), size):
        yield list(values[i : i + size])


def marks(values: Sequence[object]) -> str:
    """Return as many question marks as there are values."""
    return ",".join("?" * len(values))
