"""The two SQLite files of an index: the catalog, which is the truth, and the vectors.

A reader's queries run in one SQLite read transaction, so they all see one commit.  Vectors live in a
file of their own so that work already paid for survives when a long change is given up.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path

import numpy as np

from rag.errors import IndexDamaged, IndexMismatch, IndexReadOnly, NoIndex, StoreError
from rag.types import Article, ArticleHead, Fingerprint, Section, Vectors

FORMAT = 1

_CATALOG = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE articles (
  ord INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, revision TEXT NOT NULL, live INTEGER NOT NULL,
  title TEXT NOT NULL, title_made INTEGER NOT NULL, authors TEXT NOT NULL, published TEXT, url TEXT,
  source TEXT NOT NULL, origin TEXT NOT NULL, sections TEXT NOT NULL, text TEXT NOT NULL);
CREATE UNIQUE INDEX live_article ON articles (id) WHERE live;
CREATE UNIQUE INDEX article_revision ON articles (id, revision);
CREATE TABLE sections (ord INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE passages (
  row INTEGER PRIMARY KEY, article INTEGER NOT NULL REFERENCES articles (ord),
  start INTEGER NOT NULL, end INTEGER NOT NULL, section INTEGER NOT NULL, key BLOB NOT NULL);
CREATE INDEX article_passages ON passages (article);
CREATE TABLE tombstones (row INTEGER PRIMARY KEY, dropped INTEGER NOT NULL DEFAULT 0);
CREATE TABLE segments (
  name TEXT PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL, rows INTEGER NOT NULL,
  vectors_bytes INTEGER NOT NULL, vectors_sha256 TEXT NOT NULL, columns_sha256 TEXT NOT NULL);
CREATE TABLE used (id TEXT NOT NULL, key BLOB NOT NULL, PRIMARY KEY (id, key)) WITHOUT ROWID;
CREATE INDEX used_key ON used (key);
CREATE TABLE forget (key BLOB PRIMARY KEY) WITHOUT ROWID;
"""
_VECTORS = "CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL)"

RECENT = 10_000
"""Keys remembered to be stored."""

HEAD = "id, title, authors, published, url, source, title_made"
"""The columns that `head` reads."""


def connect(path: Path, *, write: bool) -> sqlite3.Connection:
    """Return a connection that leaves transactions to its user."""
    writable = is_writable(path)
    mode = "rwc" if write else ("rw" if writable else "ro&immutable=1")
    db = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None, check_same_thread=False, timeout=30
    )
    if write:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
    elif writable:
        db.execute("PRAGMA query_only=1")
    return db


def is_writable(path: Path) -> bool:
    """Say whether a file, or one not yet there, can be written in its folder."""
    # A read-only mount refuses root too, which permission bits do not tell.
    return os.access(path.parent, os.W_OK) and (not path.exists() or os.access(path, os.W_OK))


@contextlib.contextmanager
def guarded(path: Path) -> Iterator[None]:
    """Turn what SQLite and the system raise about a file into our errors."""
    try:
        yield
    except sqlite3.DatabaseError as e:
        reason = str(e)
        if "readonly" in reason or "read-only" in reason:
            raise IndexReadOnly(f"index {path.parent.absolute()} cannot be written: make the folder writable") from e
        if "locked" in reason:
            raise StoreError(f"index file {path.absolute()} is busy: try again") from e
        if "full" in reason:
            raise StoreError(f"no space left to write {path.absolute()}: free some and run it again") from e
        raise IndexDamaged(
            f"index file {path.absolute()} is damaged ({reason}): rebuild it with `rag ingest SOURCE --rebuild`"
        ) from e
    except PermissionError as e:
        raise IndexReadOnly(f"index {path.parent.absolute()} cannot be written: make the folder writable") from e
    except OSError as e:
        if e.errno == 30:
            raise IndexReadOnly(f"index {path.parent.absolute()} cannot be written: make the folder writable") from e
        raise StoreError(f"index {path.parent.absolute()}: {e.strerror or e}") from e


def create(path: Path, fingerprint: Fingerprint) -> None:
    """Make a catalog where there is none."""
    db = connect(path, write=True)
    try:
        db.execute("BEGIN IMMEDIATE")
        if db.execute("SELECT 1 FROM sqlite_master WHERE name='meta'").fetchone() is None:
            for statement in _CATALOG.split(";"):
                db.execute(statement)
            put(db, "format", str(FORMAT))
            put(db, "generation", "0")
            put(db, "next_row", "1")
            put(db, "lexical", "lexical-1")
            put(db, "fingerprint", json.dumps(asdict(fingerprint)))
        db.execute("COMMIT")
    finally:
        db.close()


def put(db: sqlite3.Connection, key: str, value: str) -> None:
    """Set one entry of the catalog's own facts."""
    db.execute("INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", (key, value))


def get(db: sqlite3.Connection, key: str) -> str:
    """Return one entry of the catalog's own facts.  Raises IndexDamaged when it is missing."""
    found = db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    if found is None:
        raise IndexDamaged(f"the catalog has no {key}: rebuild the index with `rag ingest SOURCE --rebuild`")
    return str(found[0])


def fingerprint(db: sqlite3.Connection) -> Fingerprint:
    """Return the recorded fingerprint.  Raises IndexMismatch for a format this version cannot read."""
    written = get(db, "format")
    if written != str(FORMAT):
        raise IndexMismatch(
            f"the index has format {written}, this version reads {FORMAT}: rebuild it, `rag ingest SOURCE --rebuild`"
        )
    try:
        return Fingerprint(**json.loads(get(db, "fingerprint")))
    except (TypeError, ValueError) as e:
        raise IndexDamaged(
            "the catalog's fingerprint cannot be read: rebuild with `rag ingest SOURCE --rebuild`"
        ) from e


class Connections:
    """Read connections to one file, reused between threads, each by one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._inode = self._inode_now()

    def _inode_now(self) -> int:
        return self._path.stat().st_ino if self._path.exists() else 0

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give a connection inside one read transaction: every query in it sees the same commit."""
        if not self._path.exists():
            raise NoIndex(f"no index in {self._path.parent.absolute()}: make one with `rag ingest SOURCE --index DIR`")
        with guarded(self._path):
            with self._lock:
                if self._inode != self._inode_now():
                    self._close_idle()
                    self._inode = self._inode_now()
                db = self._idle.pop() if self._idle else None
            db = db or connect(self._path, write=False)
            try:
                db.execute("BEGIN")
                yield db
                db.execute("COMMIT")
            except BaseException:
                db.close()
                raise
            with self._lock:
                self._idle.append(db)

    def _close_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def close(self) -> None:
        """Close all that are not in use."""
        with self._lock:
            self._close_idle()


class VectorFile:
    """Vectors by key: what was embedded once is never embedded again."""

    def __init__(self, path: Path, dim: int, *, write: bool) -> None:
        self._path, self._dim = path, dim
        self._recent: set[bytes] = set()
        with guarded(path):
            self._db = connect(path, write=write)
            if write:
                self._db.execute(_VECTORS)

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


def parts(values: Sequence[bytes] | Sequence[int], size: int = 500) -> Iterator[list[bytes] | list[int]]:
    """Yield the values in lists short enough for one SQL statement."""
    for i in range(0, len(values), size):
        yield list(values[i : i + size])  # type: ignore[misc]


def marks(values: Sequence[object]) -> str:
    """Return as many question marks as there are values."""
    return ",".join("?" * len(values))


def head(row: Sequence[object]) -> ArticleHead:
    """Return the head in the columns named by HEAD."""
    id, title, authors, published, url, source, made = row
    return ArticleHead(
        str(id),
        str(title),
        tuple(names(authors)),
        date.fromisoformat(str(published)) if published else None,
        None if url is None else str(url),
        str(source),
        bool(made),
    )


def names(column: object) -> list[str]:
    """Return the authors in a column."""
    return [str(n) for n in json.loads(str(column))]


def insert_article(db: sqlite3.Connection, article: Article, origin: str) -> int:
    """Insert an article as the current revision and return its ordinal."""
    db.execute("DELETE FROM articles WHERE id = ? AND revision = ?", (article.id, article.revision))
    cursor = db.execute(
        "INSERT INTO articles"
        " (id, revision, live, title, title_made, authors, published, url, source, origin, sections, text)"
        " VALUES (?, ?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            article.id,
            article.revision,
            article.title,
            article.title_made,
            json.dumps(article.authors, ensure_ascii=False),
            article.published.isoformat() if article.published else None,
            article.url,
            article.source,
            origin,
            json.dumps([[s.name, s.start, s.end] for s in article.sections], ensure_ascii=False),
            article.text,
        ),
    )
    return int(cursor.lastrowid or 0)


def read_article(row: Sequence[object]) -> Article:
    """Return the article in the columns HEAD, sections, text."""
    h = head(row[:7])
    sections = tuple(Section(*s) for s in json.loads(str(row[7])))
    return Article(h.id, h.title, str(row[8]), h.authors, h.published, h.url, h.source, h.title_made, sections)


def section_ordinals(db: sqlite3.Connection, names: Iterable[str]) -> dict[str, int]:
    """Return the ordinals of section names, making those that are new."""
    ordinals = {}
    for name in sorted(set(names)):
        row = db.execute("SELECT ord FROM sections WHERE name = ?", (name,)).fetchone()
        found = row[0] if row else db.execute("INSERT INTO sections (name) VALUES (?)", (name,)).lastrowid
        ordinals[name] = int(found or 0)
    return ordinals
