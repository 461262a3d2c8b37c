"""The one writer of a local index.

Order of every change: what is added reaches the disk first, then the catalog commit names it, and only then is what was
removed taken away.  Killed between any two of these, the folder holds the old state or the new, and the next writer
finishes or undoes the rest.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path

import numpy as np

from rag.errors import RagError, StoreError, UnknownArticle
from rag.store import catalog, columns, lexical, merging, migrate, segments, sqlite, twins, vectorfile
from rag.store.context import in_context
from rag.store.lexical import About
from rag.store.view import CATALOG, SEGMENTS, VECTORS, named_segments
from rag.types import Article, Fingerprint, NewPassage, Vectors

log = logging.getLogger(__name__)

TAIL_ROWS = 4_096
"""Passages kept outside segments, at most: they are read from SQLite when an index is opened."""

ERASED_AT_ONCE = 5_000
"""Up to this many passages the lexical index is written anew as soon as an article was erased."""

ERASED_SHARE = 0.1
"""In a larger index that is done when the words of this share of its passages are to be erased."""

BROKEN_OFF = "a change was broken off half way: nothing since the last commit is kept, run it again"


class LocalTransaction:
    """The one writer of a folder.  See `rag.protocols.Transaction` for the contract."""

    def __init__(self, folder: Path, restart: Fingerprint | None = None) -> None:
        self._folder = folder
        self._path = folder / CATALOG
        self._words: lexical.WordsWriter | None = None
        self._merge: merging.Merge | None = None
        self._merges = True
        self._changed = self._spoiled = self._restarted = False
        with sqlite.guarded(self._path):
            self._db = sqlite.connect(self._path, write=True)
            self._fingerprint = restart or catalog.recorded(self._db)
        self._vectors = vectorfile.VectorFile(folder / VECTORS, self._fingerprint.dim, write=True)
        try:
            self._start(restart)
        except BaseException:
            self.close()
            raise

    def _start(self, restart: Fingerprint | None) -> None:
        old = migrate.needed(self._db)
        if old:
            self._begin()
            with sqlite.guarded(self._path):
                migrate.bring_forward(self._db, old)
            self.derive()
            self.commit()
        if restart:
            self._restart(restart)
        else:
            self._recover()
        with sqlite.guarded(self._path):
            self._next_row = int(catalog.get(self._db, "next_row"))

    # -- what is asked and changed ------------------------------------------------------------

    def known(self, id: str) -> str | None:
        with sqlite.guarded(self._path):
            row = self._db.execute("SELECT revision FROM articles WHERE id = ? AND live", (id,)).fetchone()
        return None if row is None else str(row[0])

    def origin(self, id: str) -> str:
        """Return where the current revision of an article came from.  Raises UnknownArticle."""
        with sqlite.guarded(self._path):
            row = self._db.execute("SELECT origin FROM articles WHERE id = ? AND live", (id,)).fetchone()
        if row is None:
            raise UnknownArticle(f"no article {id!r} in the index: `rag articles list` names them")
        return str(row[0])

    def ids(self, origin: str | None = None) -> set[str]:
        """Return the ids of all current articles, or of those that came from one origin."""
        sql = "SELECT id FROM articles WHERE live" + (
            "" if origin is None else " AND (origin = ? OR origin LIKE ? ESCAPE '!')"
        )
        like = "" if origin is None else origin.replace("!", "!!").replace("%", "!%").replace("_", "!_") + os.sep + "%"
        with sqlite.guarded(self._path):
            return {str(r[0]) for r in self._db.execute(sql, () if origin is None else (origin, like))}

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
            words = self._lexical()
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
            self._db.execute("UPDATE articles SET origin = ? WHERE id = ? AND live", (origin, id))

    def remove(self, id: str) -> None:
        with self._change():
            ords = self._db.execute("SELECT ord FROM articles WHERE id = ?", (id,)).fetchall()
            if not ords:
                self._spoiled = False
                raise UnknownArticle(f"no article {id!r} in the index: `rag articles list` names them")
            self._retire(id)
            self._db.executemany("UPDATE tombstones SET erase = 1 WHERE article = ?", ords)
            self._db.execute("DELETE FROM articles WHERE id = ?", (id,))
            self._db.execute("INSERT OR IGNORE INTO forget SELECT key FROM former WHERE id = ?", (id,))
            self._db.execute("DELETE FROM former WHERE id = ?", (id,))
            self._db.execute(
                "INSERT OR REPLACE INTO removed VALUES (?, ?)", (catalog.digest(id), date.today().isoformat())
            )

    def _retire(self, id: str) -> None:
        """Make the current revision of an article unsearchable; its text stays, and so do its vectors."""
        found = self._db.execute(
            "SELECT ord, first, first + passages - 1, text FROM articles WHERE id = ? AND live", (id,)
        ).fetchone()
        if found is None:
            return
        ord, *rows, text = found
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

    # -- commit -------------------------------------------------------------------------------

    def commit(self) -> None:
        if not self._changed:
            return
        if self._spoiled:
            raise StoreError(BROKEN_OFF)
        with sqlite.guarded(self._path):
            if self._words:
                self._words.commit()
            self._seal()
            self._adopt()
            self._spare()
            catalog.put(self._db, "next_row", str(self._next_row))
            catalog.put(self._db, "generation", str(int(catalog.get(self._db, "generation")) + 1))
            self._db.execute("COMMIT")
            self._changed = False
            self._tidy()
        self._merge_if_due()

    def settle(self) -> None:
        """Wait until no segment has to be written anew.  Interrupted, it is for the next writer."""
        if self._words_due():
            self._begin()
            self._reword()
            self.commit()
        self._merge_if_due()
        while self._merge:
            rows = sum(name.rows for name in self._merge.old)
            if rows >= segments.CELLS_FROM:
                log.info("writing %s passages of index %s as one segment", f"{rows:,}", self._folder.absolute())
            self._merge.join()
            self._begin()
            self.commit()

    def _begin(self) -> None:
        if not self._changed:
            with sqlite.guarded(self._path):
                self._db.execute("BEGIN IMMEDIATE")
            self._changed = True

    def _lexical(self) -> lexical.WordsWriter:
        if self._words is None:
            # Where there are passages an index of their words is missing, and must not be taken for a new one.
            new = self._db.execute("SELECT 1 FROM passages LIMIT 1").fetchone() is None
            self._words = lexical.WordsWriter(self._folder / catalog.get(self._db, "lexical"), create=new)
        return self._words

    def _spare(self) -> None:
        """Take from the keys to be forgotten those that other articles use."""
        if self._db.execute("SELECT 1 FROM forget LIMIT 1").fetchone():
            # One pass over all passages: an index of their keys would be as large as half their other columns.
            self._db.execute(
                "DELETE FROM forget WHERE key IN (SELECT f.key FROM passages p CROSS JOIN forget f ON f.key = p.key)"
            )
            self._db.execute("DELETE FROM forget WHERE key IN (SELECT key FROM former WHERE former.key = forget.key)")

    # -- segments -----------------------------------------------------------------------------

    def _seal(self) -> None:
        """Move a large tail into a segment."""
        named = named_segments(self._db)
        above = named[-1].last if named else 0
        tail = self._db.execute("SELECT COUNT(*) FROM passages WHERE row > ?", (above,)).fetchone()[0]
        if tail <= TAIL_ROWS:
            return
        table = columns.read(self._db, above)
        name = f"{int(catalog.get(self._db, 'generation')) + 1}-{table.rows[0]}-{table.rows[-1]}"
        new = segments.write(self._folder / SEGMENTS, name, table, self._tail(above), self._fingerprint.dim)
        self._name(new)

    def _name(self, new: segments.Named) -> None:
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
        own = self._vectors.get([bytes(key) for _, key in passages])
        articles = np.array([article for article, _ in passages], np.int64)
        return in_context(own, articles, self._fingerprint.context).astype(np.float16)

    def _merge_if_due(self) -> None:
        """Begin to write segments anew, in a thread, if it is time to."""
        if self._merge or not self._merges:
            return
        with sqlite.guarded(self._path):
            named = named_segments(self._db)
            old = merging.due(
                named, [self._dead(n) for n in named], [self._dead(n, "erase") > 0 for n in named], TAIL_ROWS
            )
            if not old:
                return
            gone = self._db.execute(
                "SELECT row FROM tombstones WHERE NOT dropped AND row BETWEEN ? AND ?", (old[0].first, old[-1].last)
            )
            rows = np.array([r[0] for r in gone], np.int64)
            name = f"{catalog.get(self._db, 'generation')}m-{old[0].first}-{old[-1].last}"
        self._merge = merging.Merge(self._folder / SEGMENTS, self._fingerprint.dim, name, old, rows)
        self._merge.start()

    def _dead(self, named: segments.Named, which: str = "1") -> int:
        """Return how many rows of a segment were removed."""
        sql = f"SELECT COUNT(*) FROM tombstones WHERE {which} AND NOT dropped AND row BETWEEN ? AND ?"
        return int(self._db.execute(sql, (named.first, named.last)).fetchone()[0])

    def _adopt(self) -> None:
        """Name what a finished merge has written in place of what it was made of."""
        merge = self._merge
        if merge is None or merge.is_alive():
            return
        self._merge = None
        if merge.error:
            # What was to be committed does not depend on it.
            log.warning("segments of index %s could not be merged: %s", self._folder.absolute(), merge.error)
            self._merges = False
            return
        self._db.executemany("DELETE FROM segments WHERE name = ?", [(n.name,) for n in merge.old])
        if merge.new:
            self._name(merge.new)
        self._db.executemany("UPDATE tombstones SET dropped = 1 WHERE row = ?", [(int(row),) for row in merge.gone])

    # -- words --------------------------------------------------------------------------------

    def _words_due(self) -> bool:
        with sqlite.guarded(self._path):
            erased = int(catalog.get(self._db, "erased_words"))
            if not erased:
                return False
            live = self._db.execute("SELECT COUNT(*) FROM passages").fetchone()[0]
        return bool(live <= ERASED_AT_ONCE or erased > ERASED_SHARE * live)

    def _reword(self) -> None:
        """Write the lexical index anew in another folder: words of erased articles stay in the old one's files."""
        with sqlite.guarded(self._path):
            if self._words:
                old, self._words = self._words, None
                old.close()
            name = self._new_words()
            words = self._words = lexical.WordsWriter(self._folder / name, create=True)
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

    def _new_words(self) -> str:
        """Name another lexical index, which has nothing in it yet."""
        new = f"lexical-{int(catalog.get(self._db, 'lexical').rpartition('-')[2]) + 1}"
        if (self._folder / new).exists():
            # A killed writer began it; the rows that it put there would be there twice.
            _remove_folder(self._folder / new)
        catalog.put(self._db, "lexical", new)
        catalog.put(self._db, "erased_words", "0")
        return new

    def derive(self) -> None:
        """Make everything anew that can be made from the catalog and the vectors.  Embeds nothing."""
        self._begin()
        with sqlite.guarded(self._path):
            self._db.execute("DELETE FROM segments")
            self._db.execute("UPDATE tombstones SET dropped = 1")
            self._next_row = int(catalog.get(self._db, "next_row"))
        self._reword()

    # -- before and after ---------------------------------------------------------------------

    def _tidy(self) -> None:
        """Take away what the committed catalog no longer needs.  Interrupted, the next writer does it."""
        self._drop_words()
        forget = [bytes(r[0]) for r in self._db.execute("SELECT key FROM forget")]
        if forget:
            self._vectors.forget(forget)
            self._db.execute("DELETE FROM forget")
            sqlite.empty_log(self._db)
        if self._restarted:
            self._vectors.forget(self._unused())
            self._restarted = False
        folder = self._folder / SEGMENTS
        kept = {n.name for n in named_segments(self._db)} | ({self._merge.to} if self._merge else set())
        for name in segments.names_on_disk(folder) - kept:
            segments.remove(folder, name)
        current = catalog.get(self._db, "lexical")
        for path in self._folder.glob("lexical-*"):
            if path.name != current:
                _remove_folder(path)

    def _drop_words(self) -> None:
        """Take removed rows out of the lexical index, and forget those that are in no file any more."""
        gone = self._db.execute("SELECT row, erase FROM tombstones WHERE NOT unworded").fetchall()
        if gone:
            words = self._lexical()
            words.remove(row for row, _ in gone)
            words.commit()
        self._db.execute("BEGIN IMMEDIATE")
        if gone:
            erased = int(catalog.get(self._db, "erased_words")) + sum(erase for _, erase in gone)
            catalog.put(self._db, "erased_words", str(erased))
            self._db.execute("UPDATE tombstones SET unworded = 1 WHERE NOT unworded")
        self._db.execute("DELETE FROM tombstones WHERE dropped AND unworded")
        self._db.execute("COMMIT")

    def _unused(self) -> list[bytes]:
        """Return the keys of all vectors that belong to no revision of an article."""
        used = {bytes(r[0]) for r in self._db.execute("SELECT key FROM passages UNION SELECT key FROM former")}
        return [key for key in self._vectors.keys() if key not in used]  # noqa: SIM118

    def _restart(self, fingerprint: Fingerprint) -> None:
        """Begin anew without reading what may be damaged: only the catalog is touched, and vectors stay cached."""
        self._begin()
        with sqlite.guarded(self._path):
            for table in (
                *("passages", "articles", "bylines", "sections", "sources", "authors"),
                *("former", "segments", "tombstones", "bands", "twins"),
            ):
                self._db.execute(f"DELETE FROM {table}")
            self._new_words()
            catalog.put(self._db, "fingerprint", json.dumps(asdict(fingerprint)))
        self._restarted = True

    def _recover(self) -> None:
        """Undo what a killed writer began and finish what it had committed."""
        with sqlite.guarded(self._path):
            folder = self._folder / catalog.get(self._db, "lexical")
            next_row = int(catalog.get(self._db, "next_row"))
            if (folder / "meta.json").exists() and lexical.any_from(folder, next_row):
                words = self._lexical()
                # Rows that reached the lexical index and were never named by a commit would come back as others.
                words.remove_from(next_row)
                words.commit()
            self._tidy()

    def close(self) -> None:
        """Roll back to the last commit and release everything."""
        try:
            if self._merge:
                self._merge.stop()
            # SQLite may have rolled back by itself, when the disk was full.
            if self._db.in_transaction:
                with sqlite.guarded(self._path):
                    self._db.execute("ROLLBACK")
        finally:
            try:
                if self._words:
                    self._words.close()
            finally:
                self._vectors.close()
                self._db.close()


def _remove_folder(path: Path) -> None:
    try:
        shutil.rmtree(path)
    except OSError as e:
        raise RagError(f"{path.absolute()} cannot be deleted: {e.strerror}; delete it by hand") from e
