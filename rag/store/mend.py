"""What is derived made anew, and what is lost taken out.

The catalog is changed in one transaction, vectors are durable one by one, and a file is put in place of another whole:
so whoever interrupts it has the index as it was, or as it is to be, and runs it again.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from rag.errors import IndexDamaged
from rag.files import sync
from rag.store import catalog, sqlite, twins
from rag.store.faults import Fault
from rag.store.transaction import LocalTransaction
from rag.store.vectorfile import SUM_BYTES, VectorFile, is_whole
from rag.store.view import CATALOG, VECTORS
from rag.types import Article

KEY_BYTES = 16

MENDED = f"mended-{VECTORS}"
"""A sound file of vectors with all that were found, until it is put in place."""

TOGETHER = 10_000
"""Articles taken out at a time: each time all passages, bands and links are looked through."""

WHOLE_BYTES = 4_000
"""A vector of more bytes does not lie in one piece in SQLite's file."""


@dataclass(frozen=True, slots=True)
class Lost:
    """A passage whose vector is lost: its row and its key, its article's ordinal, title and its own text."""

    row: int
    key: bytes
    article: int
    title: str
    text: str


class Mending(LocalTransaction):
    """A transaction on an index with faults.  What may be damaged is not read when it begins."""

    def _recover(self) -> None:
        pass

    def begin(self, faults: Sequence[Fault]) -> None:
        """Do what can be done without any text or vector."""
        kinds = {fault.mend for fault in faults}
        self._begin()
        with sqlite.guarded(self._path):
            if not kinds & {"words", "derived"}:
                # The lexical index, which this reads, is sound.
                self._words.recover()
            if "derived" in kinds:
                self._db.execute("REINDEX")
            self._withdraw([fault.article for fault in faults if fault.mend == "passages"])
            self._erase([fault.article for fault in faults if fault.mend == "article"])
            if "derived" in kinds:
                self._relist()

    def _withdraw(self, ords: Sequence[int]) -> None:
        """Take articles out of search; their rows stay as those of earlier revisions.  No text is believed."""
        for part in sqlite.parts(ords, TOGETHER):
            those = sqlite.marks(part)
            self._db.execute(
                "INSERT OR IGNORE INTO former SELECT id, key FROM passages JOIN articles ON ord = article"
                f" WHERE article IN ({those})",
                part,
            )
            self._drop(part)

    def _drop(self, ords: Sequence[object]) -> None:
        """Take away the passages of articles, and what the catalog keeps beside current ones."""
        those = sqlite.marks(ords)
        self._db.execute(
            "INSERT OR IGNORE INTO tombstones (row, article, dropped) SELECT row, article,"
            f" row > (SELECT COALESCE(MAX(last), 0) FROM segments) FROM passages WHERE article IN ({those})",
            ords,
        )
        for table, column in (("passages", "article"), ("bands", "article"), ("twins", "article"), ("twins", "twin")):
            self._db.execute(f"DELETE FROM {table} WHERE {column} IN ({those})", ords)
        self._db.execute(f"UPDATE articles SET live = 0 WHERE ord IN ({those})", ords)
        for ord in ords:
            catalog.delete_bylines(self._db, cast("int", ord))
        self._db.execute("DELETE FROM sources WHERE name NOT IN (SELECT source FROM articles WHERE live)")

    def _erase(self, ords: Sequence[int]) -> None:
        """Take articles out of which the text is lost, so that nothing of them stays.  See catalog.TABLES."""
        for part in sqlite.parts(ords, TOGETHER):
            those = sqlite.marks(part)
            found = self._db.execute(
                f"INSERT OR IGNORE INTO forget SELECT key FROM passages WHERE article IN ({those})", part
            )
            self._words.note_erased(found.rowcount + len(part))
            self._drop(part)
            self._db.execute(f"UPDATE tombstones SET erase = 1 WHERE article IN ({those})", part)
            self._db.execute(f"DELETE FROM articles WHERE ord IN ({those})", part)
        if ords:
            of_none = "FROM former WHERE id NOT IN (SELECT id FROM articles)"
            self._db.execute(f"INSERT OR IGNORE INTO forget SELECT key {of_none}")
            self._db.execute(f"DELETE {of_none}")
            catalog.put(self._db, "log_to_empty", "1")

    def _relist(self) -> None:
        """Make what the catalog keeps beside the articles anew: who wrote what, links, the number of the next row."""
        of_none = (
            "FROM passages WHERE row NOT IN (SELECT p.row FROM passages p JOIN articles ON ord = p.article"
            " WHERE live AND p.row >= articles.first AND p.row < articles.first + articles.passages)"
        )
        self._db.execute(f"INSERT OR IGNORE INTO forget SELECT key {of_none}")
        self._db.execute(f"DELETE {of_none}")
        for table in ("bylines", "authors", "sources", "twins", "bands"):
            self._db.execute(f"DELETE FROM {table}")
        for ord, authors, source, text in self._db.execute(
            "SELECT ord, authors, source, text FROM articles WHERE live ORDER BY ord"
        ):
            catalog.insert_bylines(self._db, ord, catalog.names(authors))
            catalog.codes(self._db, "sources", [source])
            twins.link(self._db, ord, text)
        highest = [
            self._db.execute(f"SELECT MAX({column}) FROM {table} WHERE typeof({column}) = 'integer'").fetchone()[0] or 0
            for column, table in (("row", "passages"), ("row", "tombstones"), ("last", "segments"))
        ]
        following = max(catalog.number(self._db, "next_row"), *(int(row) + 1 for row in highest))
        self._next_row = following
        catalog.put(self._db, "next_row", str(following))

    def article(self, ord: int) -> tuple[Article, str]:
        """Return an article and where it came from.  Raises IndexDamaged when it is not what was written."""
        with sqlite.guarded(self._path):
            origin, *row = self._db.execute(
                f"SELECT origin, {catalog.ARTICLE} FROM articles WHERE ord = ?", (ord,)
            ).fetchone()
        return catalog.read_article(row), str(origin)

    def forget_spoiled(self) -> None:
        """Take out the vectors that are not what was stored."""
        self._vectors.forget(list(self._vectors.spoiled()))

    def lost(self) -> Iterator[Lost]:
        """Yield the passages whose vectors are not there.  What is put meanwhile is not yielded."""
        with sqlite.guarded(self._path):
            articles = self._db.execute("SELECT ord, title, text FROM articles WHERE live ORDER BY ord")
            for ord, title, text in articles:
                spans = self._db.execute(
                    "SELECT p.row, p.key, p.start, p.end FROM passages p JOIN articles ON ord = ?"
                    " WHERE p.row >= first AND p.row < first + passages ORDER BY p.row",
                    (ord,),
                ).fetchall()
                there = self._vectors.known([key for _, key, _, _ in spans])
                for row, key, start, end in spans:
                    if key not in there:
                        yield Lost(row, key, ord, title, text[start:end])

    def rename(self, row: int, key: bytes) -> None:
        """Give a passage another key."""
        with sqlite.guarded(self._path):
            self._db.execute("UPDATE passages SET key = ? WHERE row = ?", (key, row))

    def withdraw(self, ords: Sequence[int]) -> list[str]:
        """Take articles, of which vectors cannot be had, out of search, and return their ids."""
        with sqlite.guarded(self._path):
            ids = [self._db.execute("SELECT id FROM articles WHERE ord = ?", (ord,)).fetchone() for ord in ords]
            self._withdraw(ords)
        return [str(id) for (id,) in ids]

    def derive_words(self) -> None:
        """Make the lexical index anew."""
        self._begin()
        with sqlite.guarded(self._path):
            self._words.write_anew()

    def derive_segments(self) -> None:
        """Make the segments anew; until the commit everything is in the tail."""
        self._begin()
        with sqlite.guarded(self._path):
            self._segments.drop_all()


def mend_vectors(folder: Path, dim: int) -> None:
    """Put a sound file of vectors in the place of one that SQLite cannot read, with every vector found in that.

    Records are found by their shape and believed by their sums, so it does not matter what is wrong with the file.
    Interrupted at any time, what was found lies in the files that are looked into the next time.
    """
    path, done, new = folder / VECTORS, folder / MENDED, folder / f"mending-{VECTORS}"
    _remove(new)
    try:
        with closing(VectorFile(path, dim, write=False, keep_log=True)) as vectors:
            if path.exists() and vectors.is_sound() and not done.exists():
                return
    except IndexDamaged:
        pass  # it cannot even be asked, which is what this is for
    used = _keys(folder / CATALOG)
    with closing(sqlite.connect(new, write=True)) as db, sqlite.guarded(new):
        db.execute("CREATE TABLE vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL)")
        db.execute("BEGIN")
        # What was mended last has all, where the log was taken away and it was not put in place.
        for old in (path, _log(path), done):
            if old.exists() and old.stat().st_size:
                # What belongs to no article has been erased and may not come back.
                found = (pair for pair in carved(old, dim) if pair[0] in used)
                db.executemany("INSERT OR IGNORE INTO vectors VALUES (?, ?)", found)
        db.execute("COMMIT")
        sqlite.empty_log(db)
    sync(new)
    new.replace(done)
    sync(folder)
    # A log that lies beside another file than its own would be played into that.
    for end in ("-wal", "-shm"):
        path.with_name(f"{path.name}{end}").unlink(missing_ok=True)
    done.replace(path)
    sync(folder)


def _log(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def carved(path: Path, dim: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield the keys and vectors, with their sums, whose records stand whole somewhere in a file."""
    size = 2 * dim + SUM_BYTES
    if size > WHOLE_BYTES:
        return
    # As SQLite writes a record of two blobs: the length of its head, what each column is, the columns.
    kinds = _varint(12 + 2 * KEY_BYTES) + _varint(12 + 2 * size)
    head = _varint(1 + len(kinds)) + kinds
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        at = data.find(head)
        while at >= 0:
            key = data[at + len(head) : at + len(head) + KEY_BYTES]
            packed = data[at + len(head) + KEY_BYTES : at + len(head) + KEY_BYTES + size]
            if len(packed) == size and is_whole(packed):
                yield key, packed
            at = data.find(head, at + 1)


def _varint(number: int) -> bytes:
    return bytes([number]) if number < 128 else bytes([128 | number >> 7, number & 127])


def _keys(path: Path) -> set[bytes]:
    with closing(sqlite.connect(path, write=False)) as db, sqlite.guarded(path):
        return {bytes(r[0]) for r in db.execute("SELECT key FROM passages UNION SELECT key FROM former")}


def _remove(path: Path) -> None:
    for end in ("", "-wal", "-shm"):
        path.with_name(f"{path.name}{end}").unlink(missing_ok=True)
