"""The vectors, in a SQLite file of their own: work already paid for survives when a long change is given up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from rag.store.sqlite import connect, guarded, marks, parts
from rag.types import Vectors

_TABLE = "CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL)"

RECENT = 10_000
"""Keys remembered to be stored."""


class VectorFile:
    """Vectors by key: what was embedded once is never embedded again."""

    def __init__(self, path: Path, dim: int, *, write: bool) -> None:
        self._path, self._dim = path, dim
        self._recent: set[bytes] = set()
        with guarded(path):
            self._db = connect(path, write=write)
            if write:
                self._db.execute(_TABLE)

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
        with guarded(self._path):
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany(
                "INSERT OR IGNORE INTO vectors VALUES (?, ?)",
                [(k, np.asarray(v, "<f4").tobytes()) for k, v in zip(keys, vectors, strict=True)],
            )
            self._db.execute("COMMIT")
        self._remember(keys)

    def get(self, keys: Sequence[bytes]) -> Vectors:
        """Return the vectors of the keys, shape (n, dim).  Raises KeyError when one is missing."""
        found: dict[bytes, bytes] = {}
        with guarded(self._path):
            for part in parts(list(dict.fromkeys(keys))):
                found.update(self._db.execute(f"SELECT key, vector FROM vectors WHERE key IN ({marks(part)})", part))
        out = np.empty((len(keys), self._dim), np.float32)
        for i, key in enumerate(keys):
            out[i] = np.frombuffer(found[key], "<f4")
        return out

    def forget(self, keys: Sequence[bytes]) -> None:
        """Erase vectors; the pages that held them are overwritten."""
        self._recent.clear()
        if keys:
            with guarded(self._path):
                self._db.execute("PRAGMA secure_delete=1")
                self._db.execute("BEGIN IMMEDIATE")
                self._db.executemany("DELETE FROM vectors WHERE key = ?", [(k,) for k in keys])
                self._db.execute("COMMIT")

    def close(self) -> None:
        """Close the file."""
        self._db.close()
