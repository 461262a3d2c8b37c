"""The catalog, which is the truth: its tables, what is written at their top, and articles to rows and back."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import date
from functools import lru_cache
from pathlib import Path

from rag.errors import IndexDamaged, IndexMismatch
from rag.store import sqlite
from rag.types import Article, ArticleHead, Fingerprint, Section

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

HEAD = "id, title, authors, published, url, source, title_made"
"""The columns that `head` reads."""


def create(path: Path, fingerprint: Fingerprint) -> None:
    """Make a catalog where there is none."""
    db = sqlite.connect(path, write=True)
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


def head(row: Sequence[object]) -> ArticleHead:
    """Return the head in the columns named by HEAD."""
    id, title, authors, published, url, source, made = row
    return ArticleHead(
        str(id),
        str(title),
        names(str(authors)),
        date.fromisoformat(str(published)) if published else None,
        None if url is None else str(url),
        str(source),
        bool(made),
    )


@lru_cache(10_000)
def names(column: str) -> tuple[str, ...]:
    """Return the authors in a column."""
    return tuple(str(n) for n in json.loads(column))


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
