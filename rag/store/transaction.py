"""The one writer of a local index.

Order of every change: what is added reaches the disk first, then the catalog commit names it, and only then is what was
removed taken away.  Killed between any two of these, the folder holds the old state or the new, and the next writer
finishes or undoes the rest.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

from rag.errors import IndexDamaged, StoreError, UnknownArticle
from rag.given import whole
from rag.handover import NewPassage, Vectors
from rag.store import catalog, columns, migrate, scratch, sqlite, twins, vectorfile
from rag.store.faults import BROKEN_OFF
from rag.store.lexical import About
from rag.store.sealing import Sealing
from rag.store.view import CATALOG, VECTORS
from rag.store.wording import Wording
from rag.types import Article, Fingerprint


class LocalTransaction:
    """The one writer of a folder.  See `rag.protocols.Transaction` for the contract."""

    def __init__(self, folder: Path, restart: Fingerprint | None = None) -> None:
        self._folder = folder
        self._path = folder / CATALOG
        self._changed = self._spoiled = False
        with sqlite.guarded(self._path):
            self._db = sqlite.connect(self._path, write=True)
        try:
            with sqlite.guarded(self._path):
                self._fingerprint = restart or catalog.recorded(self._db)
            self._vectors = vectorfile.VectorFile(folder / VECTORS, self._fingerprint.dim, write=True)
        except BaseException:
            self._db.close()
            raise
        self._segments = Sealing(folder, self._db, self._vectors, self._fingerprint)
        self._words = Wording(folder, self._db)
        try:
            self._start(restart)
        except BaseException:
            self.close()
            raise

    def _start(self, restart: Fingerprint | None) -> None:
        scratch.clear(self._folder)
        old = migrate.needed(self._db)
        if old:
            self._begin()
            try:
                with sqlite.guarded(self._path):
                    migrate.bring_forward(self._db, old)
                self.derive()
                self.commit()
            except (ValueError, TypeError, KeyError) as e:
                # There were no sums that would have told before.
                raise IndexDamaged(
                    f"index {self._folder.absolute()} of format {old} is damaged and cannot be brought forward: restore"
                    " a backup with `rag restore FILE --replace`, or rebuild it with `rag ingest SOURCE --rebuild`"
                ) from e
        if restart:
            self._restart(restart)
        else:
            with sqlite.guarded(self._path):
                if not catalog.identity(self._db):
                    catalog.identify(self._db)
            self._recover()
        with sqlite.guarded(self._path):
            self._next_row = self._first_row = catalog.number(self._db, "next_row")

    # -- what is asked and changed ------------------------------------------------------------

    def known(self, id: str) -> str | None:
        id = whole(str(id))
        with sqlite.guarded(self._path):
            row = self._db.execute("SELECT revision FROM articles WHERE id = ? AND live", (id,)).fetchone()
        return None if row is None else str(row[0])

    def origin(self, id: str) -> str:
        return catalog.origin_of(self._of_article("origin", id))

    def source(self, id: str) -> str:
        return self._of_article("source", id)

    def _of_article(self, column: str, id: str) -> str:
        with sqlite.guarded(self._path):
            row = self._db.execute(f"SELECT {column} FROM articles WHERE id = ? AND live", (id,)).fetchone()
        if row is None:
            raise UnknownArticle(f"no article {id!r} in the index: `rag articles list` names them")
        return str(row[0])

    def ids(self, origin: str | None = None) -> set[str]:
        with sqlite.guarded(self._path):
            if origin is None:
                return {str(r[0]) for r in self._db.execute("SELECT id FROM articles WHERE live")}
            # What lies in the folder sorts between its separator and the next character.
            within, after = origin + os.sep, origin + chr(ord(os.sep) + 1)
            paths = self._db.execute(
                "SELECT id, origin FROM articles WHERE live AND (origin = ? OR origin >= ? AND origin < ?)"
                " UNION SELECT id, origin FROM articles WHERE live AND origin >= ? AND origin < ?",
                (*map(catalog.stored_origin, (origin, within, after)), *catalog.ESCAPED),
            )
            found = [(str(id), catalog.origin_of(str(stored))) for id, stored in paths]
        return {id for id, path in found if path == origin or path.startswith(within)}

    def twinned(self, ids: Sequence[str]) -> int:
        having = "live AND EXISTS (SELECT 1 FROM twins WHERE article = ord)"
        count = 0
        with sqlite.guarded(self._path):
            for part in sqlite.parts(ids):
                sql = f"SELECT COUNT(*) FROM articles WHERE {having} AND id IN ({sqlite.marks(part)})"
                count += self._db.execute(sql, part).fetchone()[0]
        return count

    def cached(self, keys: Sequence[bytes]) -> set[bytes]:
        return self._vectors.known(keys)

    def remember(self, keys: Sequence[bytes], vectors: Vectors) -> None:
        self._vectors.put(keys, vectors)

    @property
    def whole(self) -> bool:
        return not self._spoiled

    @contextlib.contextmanager
    def _change(self) -> Iterator[None]:
        """Run a change of several steps; one that is broken off makes the transaction unfit to be committed."""
        if self._spoiled:
            raise StoreError(BROKEN_OFF)
        self._begin()
        self._spoiled = True
        with sqlite.guarded(self._path):
            yield
        self._spoiled = False

    def add(self, article: Article, passages: Sequence[NewPassage], origin: str = "") -> None:
        keys = [p.key for p in passages]
        missing = set(keys) - self.cached(keys)
        if missing:
            raise KeyError(f"{len(missing)} passages of {article.id} have no vector")
        with self._change():
            words = self._words.writer()
            self._retire(article.id)
            rows = range(self._next_row, self._next_row + len(passages))
            self._next_row = rows.stop
            ord = catalog.insert_article(self._db, article, origin, rows)
            twins.link(self._db, ord, article.text)
            self._db.execute("DELETE FROM removed WHERE id = ?", (catalog.digest(article.id),))
            sections = catalog.codes(self._db, "sections", [p.section for p in passages])
            spans = [(r, ord, p.start, p.end, sections[p.section]) for r, p in zip(rows, passages, strict=True)]
            self._db.executemany(
                "INSERT INTO passages (row, article, start, end, section, key, sum) VALUES (?, ?, ?, ?, ?, ?, ?)",
                [(*span, key, catalog.sum_of(span)) for span, key in zip(spans, keys, strict=True)],
            )
            # A text may come back in the transaction that removed it.
            self._db.executemany("DELETE FROM forget WHERE key = ?", [(k,) for k in keys])
            source = catalog.codes(self._db, "sources", [article.source])[article.source]
            about = About(
                source, columns.day(article.published), catalog.insert_bylines(self._db, ord, article.authors)
            )
            texts = ((row, section, article.text[start:end]) for row, _, start, end, section in spans)
            words.add(ord, article.title, texts, about)

    def move(self, id: str, origin: str) -> None:
        with self._change():
            stored = catalog.stored_origin(origin)
            self._db.execute("UPDATE articles SET origin = ? WHERE id = ? AND live", (stored, id))

    def remove(self, id: str) -> None:
        id = whole(str(id))
        with self._change():
            found = self._db.execute("SELECT ord, passages FROM articles WHERE id = ?", (id,)).fetchall()
            if not found:
                self._spoiled = False
                raise UnknownArticle(f"no article {id!r} in the index: `rag articles list` names them")
            self._retire(id)
            self._db.executemany("UPDATE tombstones SET erase = 1 WHERE article = ?", [(ord,) for ord, _ in found])
            # Words of earlier revisions too lie in the lexical index's files, though none is found there.
            self._words.note_erased(sum(passages for _, passages in found))
            self._db.execute("DELETE FROM articles WHERE id = ?", (id,))
            catalog.put(self._db, "log_to_empty", "1")
            self._db.execute("INSERT OR IGNORE INTO forget SELECT key FROM former WHERE id = ?", (id,))
            self._db.execute("DELETE FROM former WHERE id = ?", (id,))
            self._db.execute(
                "INSERT OR REPLACE INTO removed VALUES (?, ?)", (catalog.digest(id), date.today().isoformat())
            )

    def _retire(self, id: str) -> None:
        """Make the current revision of an article unsearchable; its text stays, and so do its vectors."""
        found = self._db.execute(
            "SELECT ord, source, text, first, first + passages - 1 FROM articles WHERE id = ? AND live", (id,)
        ).fetchone()
        if found is None:
            return
        ord, source, text, *rows = found
        self._db.execute(
            # What is in no segment yet is dropped from there to begin with.
            "INSERT INTO tombstones (row, article, dropped) SELECT row, article,"
            " row > (SELECT COALESCE(MAX(last), 0) FROM segments) FROM passages WHERE row BETWEEN ? AND ?",
            rows,
        )
        self._db.execute(
            "INSERT OR IGNORE INTO former SELECT ?, key FROM passages WHERE row BETWEEN ? AND ?", (id, *rows)
        )
        self._db.execute("DELETE FROM passages WHERE row BETWEEN ? AND ?", rows)
        self._db.execute("UPDATE articles SET live = 0 WHERE ord = ?", (ord,))
        twins.unlink(self._db, ord, text)
        catalog.delete_bylines(self._db, ord)
        self._db.execute(
            "DELETE FROM sources WHERE name = ? AND NOT EXISTS (SELECT 1 FROM articles WHERE live AND source = name)",
            (source,),
        )

    # -- commit -------------------------------------------------------------------------------

    def commit(self) -> None:
        if not self._changed:
            return
        self._begin()
        if self._spoiled:
            raise StoreError(BROKEN_OFF)
        self._spoiled = True
        with sqlite.guarded(self._path):
            self._words.commit()
            self._segments.seal()
            self._segments.adopt()
            self._spare()
            catalog.put(self._db, "next_row", str(self._next_row))
            catalog.put(self._db, "generation", str(catalog.number(self._db, "generation") + 1))
            self._db.execute("COMMIT")
            self._changed = self._spoiled = False
            self._tidy()
            self._segments.merge_if_due()

    def settle(self) -> None:
        """Wait until no segment has to be written anew.  Interrupted, it is for the next writer."""
        with sqlite.guarded(self._path):
            words_due = self._words.is_due()
        if words_due:
            self._begin()
            with sqlite.guarded(self._path):
                self._words.write_anew()
            self.commit()
        self._merge_at_the_end()
        while self._segments.is_merging:
            self._segments.wait()
            self._begin()
            self.commit()
            self._merge_at_the_end()
        with sqlite.guarded(self._path):
            self._empty_logs(wait=2.0)
            if self._segments.holds_erased():
                raise StoreError(
                    f"vectors of removed articles are still in {self._folder.absolute()}, their files could not be"
                    f" written anew{self._segments.reason}: see to space and permissions there, then ingest anything to"
                    " have it done"
                )

    def _merge_at_the_end(self) -> None:
        with sqlite.guarded(self._path):
            self._segments.merge_if_due(first=self._first_row)

    def _begin(self) -> None:
        if not self._changed:
            with sqlite.guarded(self._path):
                self._db.execute("BEGIN IMMEDIATE")
            self._changed = True
        elif not self._db.in_transaction:
            # SQLite has rolled back by itself, as it does when the disk is full.
            self._spoiled = True
            raise StoreError(BROKEN_OFF)

    def _spare(self) -> None:
        """Take from the keys to be forgotten those that other articles use, and forget headings that none has."""
        if self._db.execute("SELECT 1 FROM forget LIMIT 1").fetchone():
            self._db.execute("DELETE FROM sections WHERE code NOT IN (SELECT section FROM passages)")
            # One pass over all passages: an index of their keys would be as large as half their other columns.
            self._db.execute(
                "DELETE FROM forget WHERE key IN (SELECT f.key FROM passages p CROSS JOIN forget f ON f.key = p.key)"
            )
            self._db.execute("DELETE FROM forget WHERE key IN (SELECT key FROM former WHERE former.key = forget.key)")

    def derive(self) -> None:
        """Make everything anew that can be made from the catalog and the vectors.  Embeds nothing."""
        self._begin()
        with sqlite.guarded(self._path):
            self._segments.drop_all()
            self._next_row = catalog.number(self._db, "next_row")
            self._words.write_anew()

    # -- before and after ---------------------------------------------------------------------

    def _tidy(self) -> None:
        """Take away what the committed catalog no longer needs.  Interrupted, the next writer does it."""
        self._words.tidy()
        forget = [bytes(r[0]) for r in self._db.execute("SELECT key FROM forget")]
        if forget:
            self._vectors.forget(forget)
            self._db.execute("DELETE FROM forget")
        if catalog.is_set(self._db, "vectors_unused"):
            self._vectors.forget(self._unused())
            catalog.put(self._db, "vectors_unused", "0")
        self._segments.tidy()
        self._empty_logs()

    def _empty_logs(self, wait: float = 0.1) -> None:
        """Have what was erased overwritten in SQLite's logs too; a reader in the way leaves it to the next time."""
        due = catalog.is_set(self._db, "log_to_empty")
        if due and self._vectors.empty_log(wait) and sqlite.empty_log(self._db, wait):
            catalog.put(self._db, "log_to_empty", "0")

    def _unused(self) -> list[bytes]:
        """Return the keys of all vectors that belong to no revision of an article."""
        used = {bytes(r[0]) for r in self._db.execute("SELECT key FROM passages UNION SELECT key FROM former")}
        return [key for key in self._vectors.keys() if key not in used]  # noqa: SIM118

    def _restart(self, fingerprint: Fingerprint) -> None:
        """Begin anew without reading what may be damaged: only the catalog is touched, and vectors stay cached."""
        self._begin()
        with sqlite.guarded(self._path):
            # An article that comes back is none that was removed: adding it takes the day away again.
            self._db.executemany(
                "INSERT OR REPLACE INTO removed VALUES (?, ?)",
                catalog.gone(self._db.execute("SELECT DISTINCT id FROM articles")),
            )
            for table in (
                *("passages", "articles", "bylines", "sections", "sources", "authors"),
                *("former", "segments", "tombstones", "bands", "twins"),
            ):
                self._db.execute(f"DELETE FROM {table}")
            self._words.begin_anew()
            catalog.describe(self._db, fingerprint)
            catalog.put(self._db, "vectors_unused", "1")
            catalog.put(self._db, "log_to_empty", "1")

    def _recover(self) -> None:
        """Undo what a killed writer began and finish what it had committed."""
        with sqlite.guarded(self._path):
            self._words.recover()
            self._tidy()

    def close(self) -> None:
        """Roll back to the last commit and release everything."""
        try:
            self._segments.close()
            # SQLite may have rolled back by itself, when the disk was full.
            if self._db.in_transaction:
                with sqlite.guarded(self._path):
                    self._db.execute("ROLLBACK")
        finally:
            try:
                self._words.close()
            finally:
                self._vectors.close()
                self._db.close()
