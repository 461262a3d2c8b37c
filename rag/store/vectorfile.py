"""The vectors, in a SQLite file of their own: work already paid for survives when a long change is given up.

They are kept as halves, for half the room: measures of a search stay what they were (eval/results/retrieval.md).
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rag.errors import IndexDamaged
from rag.handover import Vector, Vectors
from rag.store.sqlite import connect, empty_log, guarded, marks, parts

_TABLE = "CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL)"

RECENT = 10_000
"""Keys remembered to be stored."""

SUM_BYTES = 4
"""Of a vector's checksum, behind it."""


class VectorFile:
    """Vectors by key: what was embedded once is never embedded again."""

    def __init__(self, path: Path, dim: int, *, write: bool, keep_log: bool = False) -> None:
        self._path, self._dim = path, dim
        self._recent: set[bytes] = set()
        with guarded(path):
            self._db = connect(path, write=write, keep_log=keep_log)
            try:
                if write:
                    self._db.execute(_TABLE)
            except BaseException:
                self._db.close()
                raise

    def known(self, keys: Sequence[bytes]) -> set[bytes]:
        """Return those of the keys that are stored."""
        recent = self._recent.intersection(keys)
        with guarded(self._path):
            for part in parts([key for key in keys if key not in recent]):
                recent.update(
                    row[0] for row in self._db.execute(f"SELECT key FROM vectors WHERE key IN ({marks(part)})", part)
                )
        self._remember(recent)
        return recent

    def _remember(self, keys: Iterable[bytes]) -> None:
        # A key is asked about before it is embedded and again when its passage is stored.
        if len(self._recent) > RECENT:
            self._recent.clear()
        self._recent.update(keys)

    def put(self, keys: Sequence[bytes], vectors: Vectors) -> None:
        """Store vectors, durably."""
        with self._changing():
            self._db.executemany(
                "INSERT OR IGNORE INTO vectors VALUES (?, ?)",
                [(k, _packed(v)) for k, v in zip(keys, vectors, strict=True)],
            )
        self._remember(keys)

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        """Make a change durable, or undo it, whatever broke it off."""
        with guarded(self._path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                # SQLite may have rolled back by itself, when the disk was full.
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def get(self, keys: Sequence[bytes]) -> Vectors:
        """Return the vectors of the keys, shape (n, dim).

        Raises KeyError when one is missing and IndexDamaged when one is not what was stored.
        """
        found: dict[bytes, bytes] = {}
        with guarded(self._path):
            for part in parts(list(dict.fromkeys(keys))):
                found.update(self._db.execute(f"SELECT key, vector FROM vectors WHERE key IN ({marks(part)})", part))
        out = np.empty((len(keys), self._dim), np.float32)
        for i, key in enumerate(keys):
            vector = self._unpacked(found[key])
            if vector is None:
                raise IndexDamaged.of(self._path)
            out[i] = vector
        return out

    def keys(self) -> Iterator[bytes]:
        """Yield the keys of all vectors."""
        with guarded(self._path):
            for (key,) in self._db.execute("SELECT key FROM vectors"):
                yield bytes(key)

    def count(self) -> int:
        """Return the number of vectors."""
        with guarded(self._path):
            return int(self._db.execute("SELECT COUNT(*) FROM vectors").fetchone()[0])

    def is_sound(self) -> bool:
        """Say whether SQLite finds the file as it should be; reads it whole.  Raises IndexDamaged."""
        with guarded(self._path):
            return [r[0] for r in self._db.execute("PRAGMA integrity_check(1)")] == ["ok"]

    def spoiled(self, proceed: Callable[[], None] = lambda: None) -> Iterator[bytes]:
        """Yield the keys of all vectors that are not what was stored; `proceed` is called after each vector."""
        with guarded(self._path):
            for key, packed in self._db.execute("SELECT key, vector FROM vectors"):
                if self._unpacked(packed) is None:
                    yield key
                proceed()

    def _unpacked(self, packed: object) -> npt.NDArray[np.float16] | npt.NDArray[np.float32] | None:
        if not isinstance(packed, bytes):
            return None
        if len(packed) == 2 * self._dim + SUM_BYTES:
            return np.frombuffer(packed[:-SUM_BYTES], "<f2") if is_whole(packed) else None
        # From before format 2: whole numbers without a sum.
        return np.frombuffer(packed, "<f4") if len(packed) == 4 * self._dim else None

    def forget(self, keys: Sequence[bytes]) -> None:
        """Erase vectors; where they lay is overwritten, once the log is emptied in the log too."""
        self._recent.clear()
        if keys:
            with self._changing():
                self._db.executemany("DELETE FROM vectors WHERE key = ?", [(k,) for k in keys])

    def empty_log(self, wait: float = 0.1) -> bool:
        """See `sqlite.empty_log`."""
        with guarded(self._path):
            return empty_log(self._db, wait)

    def close(self) -> None:
        """Close the file."""
        self._db.close()


def _packed(vector: Vector) -> bytes:
    halves = np.asarray(vector, "<f2").tobytes()
    return halves + _sum(halves)


def is_whole(packed: bytes) -> bool:
    """Say whether a vector with its sum is what was stored."""
    return _sum(packed[:-SUM_BYTES]) == packed[-SUM_BYTES:]


def _sum(data: bytes) -> bytes:
    # SQLite does not notice when what it holds is changed behind its back.
    return zlib.crc32(data).to_bytes(SUM_BYTES, "little")
