"""The catalog and the vectors of a backup, which anyone may have made: nothing is believed before it is looked at.

What is read is what a transaction takes: articles with their passages, keys with their vectors, days of removal.
"""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TypeVar

import numpy as np

from rag.errors import BadSource, IndexDamaged, IndexMismatch, RagError, StoreError
from rag.handover import NewPassage, Vectors
from rag.store import catalog, vectorfile
from rag.store.faults import Pace
from rag.store.local import LocalStore
from rag.store.view import CATALOG, VECTORS
from rag.types import Article

TOGETHER = 64
"""Articles, or keys of earlier revisions, that are read at a time."""

T = TypeVar("T")

_SPACE = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)
"""What SQLite says when it has no room for what it sorts."""


@dataclass(frozen=True, slots=True)
class Read:
    """One revision of an article, where it came from, and its passages; an earlier one has none."""

    article: Article
    origin: str
    live: bool
    passages: tuple[NewPassage, ...]


class Copied:
    """The two files of an index in a folder of their own.  Opening brings an older format forward.

    Raises IndexMismatch for a later format.  Until `check` has returned, anything may be raised for what is wrong.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / CATALOG
        with contextlib.closing(self._reading()) as db:
            # A view or a trigger could say one thing when it is checked and another when it is stored.
            for kind, sql in db.execute("SELECT type, sql FROM sqlite_master"):
                if kind not in ("table", "index") or "VIRTUAL TABLE" in str(sql).upper():
                    raise IndexDamaged.of(self._path)
            for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                if db.execute("SELECT 1 FROM pragma_table_xinfo(?) WHERE hidden", (table,)).fetchone():
                    raise IndexDamaged.of(self._path)
            written = catalog.get(db, "format")
        if written.isdecimal() and int(written) > catalog.FORMAT:
            raise IndexMismatch(f"it was made by a later version (format {int(written)}): update Footnote")
        if written not in ("1", str(catalog.FORMAT)):
            raise IndexDamaged.of(self._path)
        with contextlib.closing(LocalStore(folder)) as store:
            self.fingerprint = store.fingerprint
        with contextlib.ExitStack() as opened:
            self._db = opened.enter_context(contextlib.closing(self._reading()))
            self._vectors = opened.enter_context(
                contextlib.closing(vectorfile.VectorFile(folder / VECTORS, self.fingerprint.dim, write=False))
            )
            self.count = int(self._db.execute("SELECT COUNT(*) FROM articles").fetchone()[0])
            self._opened = opened.pop_all()

    def _reading(self) -> sqlite3.Connection:
        db = sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
        db.execute("PRAGMA trusted_schema=0")
        return db

    def check(self, pace: Pace, error: RagError, file: Path) -> None:
        """Read everything once, so that what is read afterwards can be stored; raises `error` as `instead` does."""
        pace.begin("check", self.count, "articles")
        looked_at = self._looked_at()
        while True:
            with instead(error, file):
                count = next(looked_at, None)
            if count is None:
                return
            pace.on(count)

    def _looked_at(self) -> Iterator[int]:
        for some in batches(self.articles()):
            self._look_at(p.key for read in some for p in read.passages)
            yield len(some)
        for former in batches(self.former()):
            self._look_at(key for _, key in former)
        for _ in self.removed():
            pass

    def _look_at(self, keys: Iterable[bytes]) -> None:
        if not np.isfinite(self.vectors(list(dict.fromkeys(keys)))).all():
            raise IndexDamaged.of(self._path)

    def articles(self) -> Iterator[Read]:
        """Yield all revisions in the order of their making, the current one of an article behind the earlier ones."""
        sections = dict(self._db.execute("SELECT code, name FROM sections").fetchall())
        for ord, live, first, count, origin, *row in self._db.execute(
            f"SELECT ord, live, first, passages, origin, {catalog.ARTICLE} FROM articles ORDER BY ord"
        ):
            article = catalog.read_article(row)
            named = {"", *(s.name for s in article.sections)}
            self._require(
                _is_typed(row) and article.revision == row[-2] and isinstance(origin, str),
                live in (0, 1) and type(live) is int and _are_words((*article.authors, *named)),
                all(type(s.start) is int and type(s.end) is int for s in article.sections),
            )
            passages: list[NewPassage] = []
            if live:
                spans = self._db.execute(
                    "SELECT row, article, start, end, section, sum, key FROM passages WHERE row >= ? AND row < ?"
                    " ORDER BY row",
                    (first, first + count),
                ).fetchall()
                self._require(len(spans) == count and all(s[0] == first + n for n, s in enumerate(spans)))
                for *span, sum, key in spans:
                    _, of, start, end, code = span
                    self._require(all(type(n) is int for n in span) and catalog.sum_of(span) == sum and of == ord)
                    self._require(0 <= start < end <= len(article.text) and sections.get(code) in named)
                    self._require(isinstance(key, bytes))
                    passages.append(NewPassage(start, end, sections[code], key))
            yield Read(article, catalog.origin_of(origin), bool(live), tuple(passages))

    def former(self) -> Iterator[tuple[str, bytes]]:
        """Yield the ids of articles and the keys of their earlier revisions, of those whose vectors are there."""
        rows = self._db.execute(
            "SELECT id, key FROM former f WHERE EXISTS (SELECT 1 FROM articles a WHERE a.id = f.id)"
        )
        for some in batches(rows):
            self._require(all(isinstance(id, str) and isinstance(key, bytes) for id, key in some))
            there = self._vectors.known([key for _, key in some])
            yield from ((id, key) for id, key in some if key in there)

    def removed(self) -> Iterator[tuple[bytes, str]]:
        """Yield the digests of removed ids and the days of their removal."""
        for id, day in self._db.execute("SELECT id, day FROM removed"):
            self._require(is_removed(id, day))
            yield id, day

    def keys(self) -> Iterator[bytes]:
        """Yield the keys of all vectors that are used, some more than once."""
        for (key,) in self._db.execute("SELECT key FROM passages UNION ALL SELECT key FROM former"):
            if isinstance(key, bytes):
                yield key

    def vectors(self, keys: Sequence[bytes]) -> Vectors:
        """Return the vectors of keys, shape (n, dim)."""
        return self._vectors.get(keys)

    def _require(self, *true: bool) -> None:
        if not all(true):
            raise IndexDamaged.of(self._path)

    def close(self) -> None:
        """Close both files."""
        self._opened.close()


@contextlib.contextmanager
def instead(error: RagError, file: Path) -> Iterator[None]:
    """Raise an error in place of whatever looking at files raises that anyone may have made.

    What the system lacks is told as such: space, memory.
    """
    try:
        yield
    except IndexMismatch as e:
        raise IndexMismatch(f"{file.absolute()} cannot be read: {e}") from e
    except IndexDamaged as e:
        raise error from e
    except MemoryError as e:
        raise StoreError(f"not enough memory to read {file.absolute()}: close other programs") from e
    except sqlite3.Error as e:
        # The other programs' names of it carry more in their higher bits.
        if getattr(e, "sqlite_errorcode", 0) & 0xFF in _SPACE:
            raise StoreError(f"no space left to read {file.absolute()}: free some and run it again") from e
        raise error from e
    except (OSError, StoreError, BadSource):
        raise
    except Exception as e:  # numbers for texts, lists for names, and whatever else the libraries trip over
        raise error from e


def batches(found: Iterable[T]) -> Iterator[list[T]]:
    """Yield what is found in lists of TOGETHER."""
    rest = iter(found)
    while some := list(itertools.islice(rest, TOGETHER)):
        yield some


def is_removed(id: object, day: object) -> bool:
    """Say whether a row of `removed` is one that a transaction wrote."""
    if not isinstance(id, bytes) or len(id) != 16 or not isinstance(day, str):
        return False
    try:
        return date.fromisoformat(day).isoformat() == day
    except ValueError:
        return False


def _is_typed(row: Sequence[object]) -> bool:
    """Say whether the columns ARTICLE are of the kinds that were written."""
    id, title, authors, published, url, source, made, sections, text, revision, _ = row
    return (
        all(isinstance(value, str) for value in (id, title, authors, source, sections, text, revision))
        and all(value is None or isinstance(value, str) for value in (published, url))
        and type(made) is int
    )


def _are_words(names: Iterable[object]) -> bool:
    """Say whether all are texts that can be written."""
    return all(isinstance(name, str) and not any("\ud800" <= c <= "\udfff" for c in name) for name in names)
