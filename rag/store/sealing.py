"""The segments of one writer: what is sealed into one, and which are written anew while it goes on.

What is named here is true once the transaction that names it is committed.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from rag.errors import IndexDamaged
from rag.store import catalog, columns, merging, segmentfile, segments
from rag.store.context import in_context
from rag.store.segmentfile import Named
from rag.store.vectorfile import VectorFile
from rag.store.view import CATALOG, SEGMENTS, VECTORS, named_segments
from rag.types import Fingerprint

log = logging.getLogger(__name__)

TAIL_ROWS = 4_096
"""Passages kept outside segments, at most: they are read from SQLite when an index is opened."""


class Sealing:
    """Writes segments and names them in the catalog that `db` is writing."""

    def __init__(self, folder: Path, db: sqlite3.Connection, vectors: VectorFile, made: Fingerprint) -> None:
        self._index, self._folder = folder, folder / SEGMENTS
        self._db, self._vectors, self._made = db, vectors, made
        self._merge: merging.Merge | None = None
        self._merges = True
        self.reason = ""
        """Why segments cannot be written anew, where that was tried."""

    @property
    def is_merging(self) -> bool:
        """Whether segments are being written anew."""
        return self._merge is not None

    def seal(self) -> None:
        """Move a large tail into a segment."""
        named = named_segments(self._db)
        above = named[-1].last if named else 0
        tail = self._db.execute("SELECT COUNT(*) FROM passages WHERE row > ?", (above,)).fetchone()[0]
        if tail <= TAIL_ROWS:
            return
        table = columns.read(self._db, above)
        name = f"{catalog.number(self._db, 'generation') + 1}-{table.rows[0]}-{table.rows[-1]}"
        self._name(segmentfile.write(self._folder, name, table, self._tail(above), self._made.dim))

    def _name(self, new: Named) -> None:
        self._db.execute("INSERT INTO segments VALUES (?, ?, ?, ?, ?, ?, ?)", new.row)

    def _tail(self, above: int) -> Iterator[segments.Halves]:
        """Yield the vectors of the passages above a row, in order, some whole articles at a time."""
        rest = self._db.execute("SELECT article, key FROM passages WHERE row > ? ORDER BY row", (above,))
        held: list[tuple[int, bytes]] = []
        while found := rest.fetchmany(segments.BLOCK):
            held += found
            whole = next((n for n in range(len(held), 0, -1) if held[n - 1][0] != held[-1][0]), 0)
            yield self._in_context(held[:whole])
            held = held[whole:]
        yield self._in_context(held)

    def _in_context(self, passages: Sequence[tuple[int, bytes]]) -> segments.Halves:
        try:
            own = self._vectors.get([bytes(key) for _, key in passages])
        except KeyError as e:
            raise IndexDamaged.of(self._index / VECTORS) from e
        articles = np.array([article for article, _ in passages], np.int64)
        return in_context(own, articles, self._made.context).astype(np.float16)

    def merge_if_due(self, *, first: int | None = None) -> None:
        """Begin to write segments anew, in a thread, if it is time to; or all as one, if enough rows are new.

        `first` is the first new row, for a writer that adds no more.
        """
        if self._merge or not self._merges:
            return
        named = named_segments(self._db)
        dead, erased = [self._dead(n) for n in named], [self._dead(n, "erase") > 0 for n in named]
        old = merging.due(named, dead, erased, TAIL_ROWS)
        if not old and first is not None and len(named) > 1:
            added = self._db.execute("SELECT COUNT(*) FROM passages WHERE row >= ?", (first,)).fetchone()[0]
            if added > merging.WORTH_ONE * sum(name.rows for name in named):
                old = named
        if not old:
            return
        gone = self._db.execute(
            "SELECT row FROM tombstones WHERE NOT dropped AND row BETWEEN ? AND ?", (old[0].first, old[-1].last)
        )
        rows = np.array([r[0] for r in gone], np.int64)
        if len(old) == 1 and not len(rows):
            # One index of the table says this and another that: it would be written again without an end.
            raise IndexDamaged.of(self._index / CATALOG)
        name = f"{catalog.number(self._db, 'generation')}m-{old[0].first}-{old[-1].last}"
        self._merge = merging.Merge(self._folder, self._made.dim, name, old, rows)
        self._merge.start()

    def _dead(self, named: Named, which: str = "1") -> int:
        """Return how many rows of a segment were removed."""
        sql = f"SELECT COUNT(*) FROM tombstones WHERE {which} AND NOT dropped AND row BETWEEN ? AND ?"
        return int(self._db.execute(sql, (named.first, named.last)).fetchone()[0])

    def wait(self) -> None:
        """Wait until what is written anew has come to its end."""
        if self._merge:
            rows = sum(name.rows for name in self._merge.old)
            if rows >= segmentfile.CELLS_FROM:
                log.info("writing %s passages of index %s as one segment", f"{rows:,}", self._index.absolute())
            self._merge.join()

    def adopt(self) -> None:
        """Name what a finished merge has written in place of what it was made of."""
        merge = self._merge
        if merge is None or merge.is_alive():
            return
        self._merge = None
        if merge.error:
            # What is to be committed does not depend on it.
            log.warning("segments of index %s could not be merged: %s", self._index.absolute(), merge.error)
            self._merges = False
            self.reason = f" ({merge.error.strerror or merge.error})" if isinstance(merge.error, OSError) else ""
            return
        self._db.executemany("DELETE FROM segments WHERE name = ?", [(n.name,) for n in merge.old])
        if merge.new:
            self._name(merge.new)
        self._db.executemany("UPDATE tombstones SET dropped = 1 WHERE row = ?", [(int(row),) for row in merge.gone])

    def holds_erased(self) -> bool:
        """Say whether rows that may not stay on the disk are in a segment."""
        return self._db.execute("SELECT 1 FROM tombstones WHERE erase AND NOT dropped LIMIT 1").fetchone() is not None

    def drop_all(self) -> None:
        """Have every passage in the tail again, from where it is sealed anew."""
        self._db.execute("DELETE FROM segments")
        self._db.execute("UPDATE tombstones SET dropped = 1")

    def tidy(self) -> None:
        """Delete the files of segments that the committed catalog does not name."""
        kept = {n.name for n in named_segments(self._db)} | ({self._merge.to} if self._merge else set())
        for name in segmentfile.names_on_disk(self._folder) - kept:
            segmentfile.remove(self._folder, name)

    def close(self) -> None:
        """Give up what is being written anew."""
        if self._merge:
            self._merge.stop()
