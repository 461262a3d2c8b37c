"""The lexical index of one writer, kept as the catalog has it.

Rows are added before the commit that names them and removed after the commit that dropped them, so at any moment the
lexical index holds every row that a reader may look for.
"""

from __future__ import annotations

import shutil
import sqlite3
from datetime import date
from pathlib import Path

from rag.errors import RagError
from rag.store import catalog, columns, lexical
from rag.store.lexical import About

ERASED_AT_ONCE = 5_000
"""Up to this many passages the lexical index is written anew as soon as an article was erased."""

ERASED_SHARE = 0.1
"""In a larger index that is done when the words of this share of its passages are to be erased."""


class Wording:
    """Writes the lexical index that is named by the catalog which `db` is writing."""

    def __init__(self, folder: Path, db: sqlite3.Connection) -> None:
        self._folder, self._db = folder, db
        self._writer: lexical.WordsWriter | None = None

    def writer(self) -> lexical.WordsWriter:
        """Return what adds rows, opened when it is first asked for."""
        if self._writer is None:
            # Where there are passages an index of their words is missing, and must not be taken for a new one.
            new = self._db.execute("SELECT 1 FROM passages LIMIT 1").fetchone() is None
            self._writer = lexical.WordsWriter(self._folder / catalog.get(self._db, "lexical"), create=new)
        return self._writer

    def commit(self) -> None:
        """Make what was added durable."""
        if self._writer:
            self._writer.commit()

    def recover(self) -> None:
        """Remove the rows that a killed writer added and no commit named: they would come back as others."""
        next_row = catalog.number(self._db, "next_row")
        folder = self._folder / catalog.get(self._db, "lexical")
        if (folder / "meta.json").exists() and lexical.any_from(folder, next_row):
            self.writer().remove_from(next_row)
            self.commit()

    def note_erased(self, passages: int) -> None:
        """Note that the words of so many passages may not stay in the files."""
        catalog.put(self._db, "erased_words", str(catalog.number(self._db, "erased_words") + passages))

    def is_due(self) -> bool:
        """Say whether so much is erased that all should be written anew: erased words stay in the files until then."""
        erased = catalog.number(self._db, "erased_words")
        if not erased:
            return False
        live = self._db.execute("SELECT COUNT(*) FROM passages").fetchone()[0]
        return bool(live <= ERASED_AT_ONCE or erased > ERASED_SHARE * live)

    def write_anew(self) -> None:
        """Write the words of all current articles into another folder."""
        self.begin_anew()
        words = self._writer = lexical.WordsWriter(self._folder / catalog.get(self._db, "lexical"), create=True)
        for ord, title, text, published, source, *rows in self._db.execute(
            "SELECT a.ord, a.title, a.text, a.published, s.code, a.first, a.first + a.passages - 1"
            " FROM articles a JOIN sources s ON s.name = a.source WHERE a.live ORDER BY a.ord"
        ):
            authors = [r[0] for r in self._db.execute("SELECT author FROM bylines WHERE article = ?", (ord,))]
            about = About(source, columns.day(date.fromisoformat(published) if published else None), authors)
            spans = self._db.execute(
                "SELECT row, section, start, end FROM passages WHERE row BETWEEN ? AND ? ORDER BY row", rows
            )
            words.add(ord, title, ((row, section, text[start:end]) for row, section, start, end in spans), about)
        self._db.execute("UPDATE tombstones SET unworded = 1")

    def begin_anew(self) -> None:
        """Name another folder, which has nothing in it yet."""
        self.close()
        new = f"lexical-{catalog.number(self._db, 'lexical') + 1}"
        if (self._folder / new).exists():
            # A killed writer began it; the rows that it put there would be there twice.
            _remove_folder(self._folder / new)
        catalog.put(self._db, "lexical", new)
        catalog.put(self._db, "erased_words", "0")

    def tidy(self) -> None:
        """Take out the rows that the committed catalog has dropped, and the folders that it does not name."""
        gone = self._db.execute("SELECT row FROM tombstones WHERE NOT unworded").fetchall()
        if gone:
            words = self.writer()
            words.remove(row for (row,) in gone)
            words.commit()
        self._db.execute("BEGIN IMMEDIATE")
        if gone:
            self._db.execute("UPDATE tombstones SET unworded = 1 WHERE NOT unworded")
        # A row is forgotten when it is in no file any more.
        self._db.execute("DELETE FROM tombstones WHERE dropped AND unworded")
        self._db.execute("COMMIT")
        current = catalog.get(self._db, "lexical")
        for path in self._folder.glob("lexical-*"):
            if path.name != current:
                _remove_folder(path)

    def close(self) -> None:
        """Drop what was not committed."""
        if self._writer:
            old, self._writer = self._writer, None
            old.close()


def _remove_folder(path: Path) -> None:
    try:
        shutil.rmtree(path)
    except OSError as e:
        raise RagError(f"{path.absolute()} cannot be deleted: {e.strerror}; delete it by hand") from e
