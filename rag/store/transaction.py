"""The one writer of a local index.

Order of every change: what is added reaches the disk first, then the catalog commit names it, and
only then is what was removed taken away.  Killed between any two of these, the folder holds the old
state or the new, and the next writer finishes or undoes the rest.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import chain
from pathlib import Path

import numpy as np

from rag.errors import RagError, StoreError, UnknownArticle
from rag.store import catalog, lexical, segments, sqlite, vectorfile
from rag.store.context import in_context
from rag.store.view import CATALOG, SEGMENTS, VECTORS
from rag.types import Article, Fingerprint, NewPassage, Vectors

TAIL_ROWS = 4_096
"""Passages kept outside segments, at most: they are read from SQLite when an index is opened."""

DEAD_SHARE = 0.25
"""A segment with more than this share of removed rows is written anew."""


class LocalTransaction:
    """The one writer of a folder.  See `rag.protocols.Transaction` for the contract."""

    def __init__(self, folder: Path, restart: Fingerprint | None = None) -> None:
        self._folder = folder
        self._path = folder / CATALOG
        with sqlite.guarded(self._path):
            self._db = sqlite.connect(self._path, write=True)
            self._fingerprint = restart or catalog.fingerprint(self._db)
        self._vectors = vectorfile.VectorFile(folder / VECTORS, self._fingerprint.dim, write=True)
        self._words: lexical.WordsWriter | None = None
        self._changed = False
        self._spoiled = False
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
            raise StoreError("a change was broken off half way: nothing since the last commit is kept, run it again")
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
            self._retire(article.id)
            ord = catalog.insert_article(self._db, article, origin)
            names = catalog.section_ordinals(self._db, [p.section for p in passages])
            rows = range(self._next_row, self._next_row + len(passages))
            self._next_row = rows.stop
            self._db.executemany(
                "INSERT INTO passages (row, article, start, end, section, key) VALUES (?, ?, ?, ?, ?, ?)",
                [(r, ord, p.start, p.end, names[p.section], p.key) for r, p in zip(rows, passages, strict=True)],
            )
            self._db.executemany("INSERT OR IGNORE INTO used VALUES (?, ?)", [(article.id, k) for k in keys])
            # A text may come back in the transaction that removed it.
            self._db.executemany("DELETE FROM forget WHERE key = ?", [(k,) for k in keys])
            self._lexical().add(rows, article.title, [article.text[p.start : p.end] for p in passages])

    def remove(self, id: str) -> None:
        with self._change():
            if self._db.execute("SELECT 1 FROM articles WHERE id = ?", (id,)).fetchone() is None:
                self._spoiled = False
                raise UnknownArticle(f"no article {id!r} in the index: `rag articles list` names them")
            self._retire(id)
            self._db.execute("DELETE FROM articles WHERE id = ?", (id,))
            keys = [bytes(r[0]) for r in self._db.execute("SELECT key FROM used WHERE id = ?", (id,))]
            self._db.execute("DELETE FROM used WHERE id = ?", (id,))
            for part in sqlite.parts(keys):
                others = {
                    r[0] for r in self._db.execute(f"SELECT key FROM used WHERE key IN ({sqlite.marks(part)})", part)
                }
                self._db.executemany("INSERT OR IGNORE INTO forget VALUES (?)", [(k,) for k in part if k not in others])

    def _retire(self, id: str) -> None:
        """Make the current revision of an article unsearchable; its text stays."""
        found = self._db.execute("SELECT ord FROM articles WHERE id = ? AND live", (id,)).fetchone()
        if found is None:
            return
        self._db.execute("INSERT INTO tombstones (row) SELECT row FROM passages WHERE article = ?", found)
        self._db.execute("DELETE FROM passages WHERE article = ?", found)
        self._db.execute("UPDATE articles SET live = 0 WHERE ord = ?", found)

    # -- commit -------------------------------------------------------------------------------

    def commit(self) -> None:
        if not self._changed:
            return
        if self._spoiled:
            raise StoreError("a change was broken off half way: nothing since the last commit is kept, run it again")
        with sqlite.guarded(self._path):
            if self._words:
                self._words.commit()
            self._seal()
            catalog.put(self._db, "next_row", str(self._next_row))
            catalog.put(self._db, "generation", str(int(catalog.get(self._db, "generation")) + 1))
            self._db.execute("COMMIT")
            self._changed = False
            self._tidy()

    def _begin(self) -> None:
        if not self._changed:
            with sqlite.guarded(self._path):
                self._db.execute("BEGIN IMMEDIATE")
            self._changed = True

    def _lexical(self) -> lexical.WordsWriter:
        if self._words is None:
            self._words = lexical.WordsWriter(self._folder / catalog.get(self._db, "lexical"))
        return self._words

    def _named(self) -> list[tuple[int, int, segments.SegmentName]]:
        return [
            (first, last, segments.SegmentName(*rest))
            for first, last, *rest in self._db.execute(
                "SELECT first, last, name, rows, vectors_bytes, vectors_sha256, columns_sha256"
                " FROM segments ORDER BY first"
            )
        ]

    def _seal(self) -> None:
        """Move a large tail into a segment, and write anew the segments it is time to."""
        named = self._named()
        above = named[-1][1] if named else 0
        tail = self._db.execute("SELECT COUNT(*) FROM passages WHERE row > ?", (above,)).fetchone()[0]
        dead = {
            n.name: self._db.execute(
                "SELECT COUNT(*) FROM tombstones WHERE NOT dropped AND row BETWEEN ? AND ?", (a, b)
            ).fetchone()[0]
            for a, b, n in named
        }
        for a, b, n in named:
            if dead[n.name] > DEAD_SHARE * n.rows:
                self._rewrite([(a, b, n)], with_tail_above=None)
        if tail > TAIL_ROWS:
            named = self._named()
            # Merging while the last segment is not much larger keeps their number logarithmic.
            size, take = tail, 0
            while take < len(named) and named[-1 - take][2].rows <= 2 * size:
                size += named[-1 - take][2].rows
                take += 1
            self._rewrite(named[len(named) - take :], with_tail_above=above)

    def _rewrite(self, old: list[tuple[int, int, segments.SegmentName]], with_tail_above: int | None) -> None:
        folder, dim = self._folder / SEGMENTS, self._fingerprint.dim
        columns, vectors = [], []
        for first, last, name in old:
            there = np.asarray(segments.read(folder, name, dim).columns)
            gone = [
                r[0] for r in self._db.execute("SELECT row FROM tombstones WHERE row BETWEEN ? AND ?", (first, last))
            ]
            kept = ~np.isin(there["row"], gone)
            columns.append(there[kept])
            vectors.append(segments.blocks(folder, name, dim, kept))
        if with_tail_above is not None:
            rest = self._db.execute(
                "SELECT row, article, section FROM passages WHERE row > ? ORDER BY row", (with_tail_above,)
            )
            columns.append(np.fromiter(rest, segments.COLUMNS))
            vectors.append(self._tail_vectors(with_tail_above))
        whole = np.concatenate(columns)
        # These rows are in no file any more; once they are out of the lexical index too, they are forgotten.
        self._db.executemany(
            "UPDATE tombstones SET dropped = 1 WHERE row BETWEEN ? AND ?", [(first, last) for first, last, _ in old]
        )
        self._db.executemany("DELETE FROM segments WHERE name = ?", [(n.name,) for _, _, n in old])
        if len(whole):
            generation = int(catalog.get(self._db, "generation")) + 1
            first, last = int(whole["row"][0]), int(whole["row"][-1])
            new = segments.write(folder, f"{generation}-{first}-{last}", whole, chain.from_iterable(vectors), dim)
            self._db.execute(
                "INSERT INTO segments VALUES (?, ?, ?, ?, ?, ?, ?)",
                (new.name, first, last, new.rows, new.vectors_bytes, new.vectors_sha256, new.columns_sha256),
            )

    def _tail_vectors(self, above: int) -> Iterator[Vectors]:
        """Yield the vectors of the passages above a row, in order, some whole articles at a time."""
        rest = self._db.execute("SELECT article, key FROM passages WHERE row > ? ORDER BY row", (above,))
        held: list[tuple[int, bytes]] = []
        while found := rest.fetchmany(segments.BLOCK):
            held += found
            whole = next((n for n in range(len(held), 0, -1) if held[n - 1][0] != held[-1][0]), 0)
            yield self._in_context(held[:whole])
            held = held[whole:]
        yield self._in_context(held)

    def _in_context(self, passages: Sequence[tuple[int, bytes]]) -> Vectors:
        own = self._vectors.get([bytes(key) for _, key in passages])
        return in_context(own, np.array([article for article, _ in passages], np.int64), self._fingerprint.context)

    def _tidy(self) -> None:
        """Take away what the committed catalog no longer needs.  Interrupted, the next writer does it."""
        gone = [int(r[0]) for r in self._db.execute("SELECT row FROM tombstones")]
        if gone:
            words = self._lexical()
            words.remove(gone)
            words.commit()
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute(
                "DELETE FROM tombstones WHERE dropped OR NOT EXISTS"
                " (SELECT 1 FROM segments WHERE tombstones.row BETWEEN segments.first AND segments.last)"
            )
            self._db.execute("COMMIT")
        forget = [bytes(r[0]) for r in self._db.execute("SELECT key FROM forget")]
        if forget:
            self._vectors.forget(forget)
            self._db.execute("DELETE FROM forget")
        folder = self._folder / SEGMENTS
        for name in segments.names_on_disk(folder) - {n.name for _, _, n in self._named()}:
            segments.remove(folder, name)
        current = catalog.get(self._db, "lexical")
        for path in self._folder.glob("lexical-*"):
            if path.name != current:
                _remove_folder(path)

    def _restart(self, fingerprint: Fingerprint) -> None:
        """Begin anew without reading what may be damaged: only the catalog is touched, and vectors stay cached."""
        self._begin()
        with sqlite.guarded(self._path):
            for table in ("passages", "articles", "segments", "tombstones", "used", "sections"):
                self._db.execute(f"DELETE FROM {table}")
            name = catalog.get(self._db, "lexical")
            catalog.put(self._db, "lexical", f"lexical-{int(name.rpartition('-')[2]) + 1}")
            catalog.put(self._db, "fingerprint", json.dumps(asdict(fingerprint)))

    def _recover(self) -> None:
        """Undo what a killed writer began and finish what it had committed."""
        with sqlite.guarded(self._path):
            if (self._folder / catalog.get(self._db, "lexical")).exists():
                words = self._lexical()
                # Rows that reached the lexical index and were never named by a commit would come back as others.
                words.remove_from(int(catalog.get(self._db, "next_row")))
                words.commit()
            self._tidy()

    def close(self) -> None:
        """Roll back to the last commit and release everything."""
        try:
            if self._changed:
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
