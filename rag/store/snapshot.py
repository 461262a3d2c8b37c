"""One state of the catalog, kept while the rest of an index is held against it."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rag.store import catalog, sqlite
from rag.store.view import CATALOG

Rows = npt.NDArray[np.int64]


class Snapshot:
    """The state that one connection, in a transaction, sees of the index in a folder."""

    def __init__(self, folder: Path, db: sqlite3.Connection) -> None:
        self.folder, self.db = folder, db
        self.catalog = folder / CATALOG

    def all(self, sql: str, values: Sequence[object] = ()) -> list[Any]:
        """Return every row that is found."""
        with sqlite.guarded(self.catalog):
            return self.db.execute(sql, values).fetchall()

    def one(self, sql: str, values: Sequence[object] = ()) -> int:
        """Return the number that is found, 0 for none."""
        return int(self.all(sql, values)[0][0] or 0)

    def rows(self, sql: str, first: int, last: int) -> Rows:
        """Return the rows of passages that are found between two."""
        return np.array([r[0] for r in self.all(sql, (first, last))], np.int64)

    def begin_anew(self) -> None:
        """See the newest state from here on."""
        with sqlite.guarded(self.catalog):
            self.db.execute("COMMIT")
            self.db.execute("BEGIN")

    def newest(self) -> tuple[str, str]:
        """Return the generation of the newest state, and the name of its lexical index."""
        with self.now() as db:
            return catalog.get(db, "generation"), catalog.get(db, "lexical")

    @contextlib.contextmanager
    def now(self) -> Iterator[sqlite3.Connection]:
        """Give another connection, which sees the newest state."""
        with sqlite.guarded(self.catalog):
            with contextlib.closing(sqlite.connect(self.catalog, write=False, keep_log=True)) as db:
                yield db
