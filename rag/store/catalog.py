"""The catalog, which is the truth: its tables, what is written at their top, and articles to rows and back."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import re
import secrets
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import date
from functools import cache, lru_cache
from pathlib import Path

from rag.errors import IndexDamaged, IndexMismatch
from rag.given import whole
from rag.intake.text import fold
from rag.store import sqlite, twins
from rag.types import Article, ArticleHead, Fingerprint, Section

FORMAT = 2

PAGE_BYTES = 16_384
"""Of the catalog's file: articles fill such pages better than smaller ones."""

TABLES = (
    """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE articles (
  ord INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, revision TEXT NOT NULL, live INTEGER NOT NULL,
  title TEXT NOT NULL, title_made INTEGER NOT NULL, authors TEXT NOT NULL, published TEXT, url TEXT,
  source TEXT NOT NULL, origin TEXT NOT NULL, sections TEXT NOT NULL, text TEXT NOT NULL, sum INTEGER NOT NULL,
  first INTEGER NOT NULL, passages INTEGER NOT NULL);
CREATE UNIQUE INDEX live_article ON articles (id) WHERE live;
CREATE UNIQUE INDEX article_revision ON articles (id, revision);
CREATE INDEX live_origin ON articles (origin) WHERE live;
CREATE INDEX live_source ON articles (source) WHERE live;
CREATE TABLE sections (code INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE);
CREATE TABLE sources (code INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE);
CREATE TABLE authors (code INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE);
CREATE TABLE bylines (article INTEGER, author INTEGER, PRIMARY KEY (article, author)) WITHOUT ROWID;
CREATE INDEX author_bylines ON bylines (author);
CREATE TABLE passages (
  row INTEGER PRIMARY KEY, article INTEGER NOT NULL REFERENCES articles (ord),
  start INTEGER NOT NULL, end INTEGER NOT NULL, section INTEGER NOT NULL, key BLOB NOT NULL, sum INTEGER NOT NULL);
CREATE TABLE former (id TEXT NOT NULL, key BLOB NOT NULL, PRIMARY KEY (id, key)) WITHOUT ROWID;
CREATE INDEX key_former ON former (key);
CREATE TABLE tombstones (
  row INTEGER PRIMARY KEY, article INTEGER NOT NULL, erase INTEGER NOT NULL DEFAULT 0,
  dropped INTEGER NOT NULL DEFAULT 0, unworded INTEGER NOT NULL DEFAULT 0);
CREATE INDEX article_tombstones ON tombstones (article);
CREATE INDEX erasing ON tombstones (row) WHERE erase AND NOT dropped;
CREATE INDEX worded ON tombstones (row) WHERE NOT unworded;
CREATE INDEX settled ON tombstones (row) WHERE dropped AND unworded;
CREATE TABLE segments (
  name TEXT PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL, rows INTEGER NOT NULL,
  probes INTEGER NOT NULL, recall REAL NOT NULL, files TEXT NOT NULL);
CREATE TABLE forget (key BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE removed (id BLOB PRIMARY KEY, day TEXT NOT NULL) WITHOUT ROWID;
"""
    + twins.TABLES
)
"""An article's passages have the rows from `first` on.  `authors.name` is folded.  `bylines` and `passages` are of
current articles.  `sum` is of what a row says: SQLite does not notice when a file is changed behind its back.  `meta`
has one of the fingerprint, and the catalog's identity.

What happens to a passage that is current no longer:

what      its article is changed                         its article is removed
row       `passages` -> `tombstones`, until it is in no file:
          `dropped` once no segment has it, `unworded` once the lexical index does not find it
                                                          and `erase`: its segment is written anew at once
vector    its key stays in `former`: going back is free   its key goes to `forget` until the vector is erased
words     found no more, in the files until a merge       counted in `erased_words`, until all are written anew
text      stays in `articles`, not `live`                 goes; `removed` keeps a digest of the id, and the day
logs      hold it until SQLite needs the room             emptied, `log_to_empty` until no reader was in the way
"""

_FACTS = {
    "lexical": re.compile(r"lexical-[0-9]{1,15}"),
    **dict.fromkeys(("generation", "next_row", "erased_words"), re.compile(r"[0-9]{1,18}")),
}
"""What facts look like whose values become numbers and names of files: an index may come from a stranger."""

_ESCAPE = "%:"

ESCAPED = (_ESCAPE, "%;")
"""Between these lie the origins that are stored escaped; see `stored_origin`."""

_DIGEST = re.compile(r"[0-9a-f]{1,64}(-(int8|half))?")

MOST_DIM, MOST_TOKENS = 2**16, 2**24
"""Numbers in a vector and tokens of a text, of whatever model."""

HEAD = "id, title, authors, published, url, source, title_made"
"""The columns that `head` reads."""

ARTICLE = f"{HEAD}, sections, text, revision, sum"
"""The columns that `checked` and `read_article` read."""


def create(path: Path, fingerprint: Fingerprint) -> None:
    """Make a catalog where there is none."""
    db = sqlite.connect(path, write=True, page=PAGE_BYTES)
    try:
        db.execute("BEGIN IMMEDIATE")
        if db.execute("SELECT 1 FROM sqlite_master WHERE name='meta'").fetchone() is None:
            for statement in TABLES.split(";"):
                db.execute(statement)
            put(db, "format", str(FORMAT))
            put(db, "generation", "0")
            put(db, "next_row", "1")
            put(db, "lexical", "lexical-1")
            put(db, "erased_words", "0")
            describe(db, fingerprint)
        db.execute("COMMIT")
    finally:
        db.close()


@cache
def columns() -> dict[str, list[str]]:
    """Return the names of the columns of each table."""
    with contextlib.closing(sqlite3.connect(":memory:")) as db:
        db.executescript(TABLES)
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: [r[1] for r in db.execute(f"PRAGMA table_info({name})")] for name in tables}


def put(db: sqlite3.Connection, key: str, value: str) -> None:
    """Set one entry of the catalog's own facts."""
    db.execute("INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", (key, value))


def is_set(db: sqlite3.Connection, key: str) -> bool:
    """Say whether something that is to be done has been noted."""
    return db.execute("SELECT 1 FROM meta WHERE key = ? AND value = '1'", (key,)).fetchone() is not None


def get(db: sqlite3.Connection, key: str) -> str:
    """Return one entry of the catalog's own facts.  Raises IndexDamaged when it is missing or cannot be one."""
    value = _fact(db, key)
    if value is None:
        raise IndexDamaged(f"the catalog has no {key}: rebuild the index with `rag ingest SOURCE --rebuild`")
    if key in _FACTS and not _FACTS[key].fullmatch(value):
        raise IndexDamaged(
            f"the catalog's {key} cannot be {value[:40]!r}: rebuild the index with `rag ingest SOURCE --rebuild`"
        )
    return value


def _fact(db: sqlite3.Connection, key: str) -> str | None:
    found = db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return None if found is None else str(found[0])


def number(db: sqlite3.Connection, key: str) -> int:
    """Return one of the facts that are a number, or end in one.  Raises IndexDamaged."""
    return int(get(db, key).removeprefix("lexical-"))


def describe(db: sqlite3.Connection, fingerprint: Fingerprint) -> None:
    """Record how an index is made that has nothing in it yet, and an identity of its own."""
    put(db, "fingerprint", json.dumps(asdict(fingerprint)))
    identify(db)


def identify(db: sqlite3.Connection) -> None:
    """Give a catalog an identity, and its fingerprint a sum."""
    put(db, "fingerprint_sum", _sum_of_text(get(db, "fingerprint")))
    put(db, "identity", secrets.token_hex(8))


def identity(db: sqlite3.Connection) -> str:
    """Return what tells a catalog from another that takes its place, "" for one that has none yet."""
    return _fact(db, "identity") or ""


def fingerprint(db: sqlite3.Connection) -> Fingerprint:
    """Return the recorded fingerprint.  Raises IndexMismatch for a format this version cannot read."""
    written = get(db, "format")
    if written != str(FORMAT):
        raise IndexMismatch(
            f"the index has format {written}, this version reads {FORMAT}: rebuild it, `rag ingest SOURCE --rebuild`"
        )
    return recorded(db)


def recorded(db: sqlite3.Connection) -> Fingerprint:
    """Return the recorded fingerprint whatever the format.  Raises IndexDamaged for one that no index can have."""
    cause: Exception | None = None
    try:
        told = get(db, "fingerprint")
        made = Fingerprint(**json.loads(told))
        if is_possible(made) and _fact(db, "fingerprint_sum") in (None, _sum_of_text(told)):
            return made
    except (TypeError, ValueError, RecursionError) as e:
        cause = e
    raise IndexDamaged(
        "the catalog's fingerprint cannot be read: rebuild with `rag ingest SOURCE --rebuild`"
    ) from cause


def is_possible(made: Fingerprint) -> bool:
    """Say whether an index can have this fingerprint: its digest names a folder, its numbers size memory."""
    counts = {"dim": (1, MOST_DIM), "max_tokens": (1, MOST_TOKENS), "passage_tokens": (1, MOST_TOKENS),
              "overlap_tokens": (0, MOST_TOKENS)}  # fmt: skip
    # A truth value is a whole number too.
    sound = all(type(n := getattr(made, name)) is int and low <= n <= high for name, (low, high) in counts.items())
    sound = sound and type(made.context) in (int, float) and math.isfinite(made.context) and 0 <= made.context <= 1
    sound = sound and type(made.title) is bool
    sound = sound and isinstance(made.model, str) and 0 < len(made.model) <= 4_096 and made.model.isprintable()
    return sound and isinstance(made.model_digest, str) and _DIGEST.fullmatch(made.model_digest) is not None


def _sum_of_text(text: str) -> str:
    return str(zlib.crc32(text.encode("utf-8", "surrogatepass")))


def head(row: Sequence[object]) -> ArticleHead:
    """Return the head in the columns named by HEAD.  Raises IndexDamaged."""
    id, title, authors, published, url, source, made = row
    try:
        written, day = names(str(authors)), date.fromisoformat(str(published)) if published else None
    except (TypeError, ValueError, RecursionError) as e:
        raise _damaged(id) from e
    return ArticleHead(str(id), str(title), written, day, None if url is None else str(url), str(source), bool(made))


@lru_cache(10_000)
def names(column: str) -> tuple[str, ...]:
    """Return the authors in a column."""
    return tuple(str(n) for n in json.loads(column))


def insert_article(db: sqlite3.Connection, article: Article, origin: str, rows: range, *, live: bool = True) -> int:
    """Insert an article, whose passages get these rows, as the current revision or not, and return its ordinal."""
    db.execute("DELETE FROM articles WHERE id = ? AND revision = ?", (article.id, article.revision))
    row = (
        article.id,
        article.title,
        json.dumps(article.authors, ensure_ascii=False),
        article.published.isoformat() if article.published else None,
        article.url,
        article.source,
        int(article.title_made),
        json.dumps([[s.name, s.start, s.end] for s in article.sections], ensure_ascii=False),
        article.text,
        article.revision,
    )
    cursor = db.execute(
        f"INSERT INTO articles ({ARTICLE}, live, origin, first, passages) VALUES ({sqlite.marks(row)}, ?, ?, ?, ?, ?)",
        (*row, sum_of(row), int(live), stored_origin(origin), rows.start, len(rows)),
    )
    return int(cursor.lastrowid or 0)


def stored_origin(path: str) -> str:
    """Return a path as SQLite can hold it: one that is not UTF-8 is escaped, behind a mark that no path begins with."""
    if whole(path) == path:
        return path
    return _ESCAPE + "".join(f"%{ord(c):04x}" if c == "%" or "\ud800" <= c <= "\udfff" else c for c in path)


def origin_of(stored: str) -> str:
    """Return the path that is stored as this."""
    if not stored.startswith(_ESCAPE):
        return stored
    return re.sub("%([0-9a-f]{4})", lambda m: chr(int(m[1], 16)), stored.removeprefix(_ESCAPE))


def sum_of(row: Sequence[object]) -> int:
    """Return the sum of what a row says."""
    return zlib.crc32(repr(tuple(row)).encode("utf-8", "surrogatepass"))


def checked(row: Sequence[object]) -> Sequence[object]:
    """Return the columns ARTICLE without their sum.  Raises IndexDamaged when they are not what was written."""
    if sum_of(row[:-1]) != row[-1]:
        raise _damaged(row[0])
    return row[:-1]


def _damaged(id: object) -> IndexDamaged:
    return IndexDamaged(f"the catalog's article {str(id)[:60]!r} is damaged: mend it with `rag doctor --repair`")


def read_article(row: Sequence[object]) -> Article:
    """Return the article in the columns ARTICLE.  Raises IndexDamaged."""
    *known, sections, text, _ = checked(row)
    h = head(known)
    try:
        made = tuple(Section(*s) for s in json.loads(str(sections)))
        return Article(h.id, h.title, str(text), h.authors, h.published, h.url, h.source, h.title_made, made)
    except (TypeError, ValueError, RecursionError) as e:
        raise _damaged(h.id) from e


def codes(db: sqlite3.Connection, table: str, names: Iterable[str]) -> dict[str, int]:
    """Return the codes of names in `sections`, `sources` or `authors`, making those that are new."""
    known = {}
    for name in sorted(set(names)):
        row = db.execute(f"SELECT code FROM {table} WHERE name = ?", (name,)).fetchone()
        found = row[0] if row else db.execute(f"INSERT INTO {table} (name) VALUES (?)", (name,)).lastrowid
        known[name] = int(found or 0)
    return known


def insert_bylines(db: sqlite3.Connection, ord: int, authors: Iterable[str]) -> list[int]:
    """Note who wrote an article and return the authors' codes."""
    found = sorted(codes(db, "authors", map(fold, authors)).values())
    db.executemany("INSERT INTO bylines VALUES (?, ?)", [(ord, code) for code in found])
    return found


def delete_bylines(db: sqlite3.Connection, ord: int) -> None:
    """Forget who wrote an article, and the names of those who wrote no other."""
    written_by = db.execute("SELECT author FROM bylines WHERE article = ?", (ord,)).fetchall()
    db.execute("DELETE FROM bylines WHERE article = ?", (ord,))
    db.executemany(
        "DELETE FROM authors WHERE code = ? AND NOT EXISTS (SELECT 1 FROM bylines WHERE author = code)", written_by
    )


def gone(ids: Iterable[tuple[str]]) -> Iterator[tuple[bytes, str]]:
    """Yield the rows of `removed` that articles have which are removed today."""
    today = date.today().isoformat()
    for (id,) in ids:
        yield digest(id), today


def digest(id: str) -> bytes:
    """Return what is kept of the id of a removed article."""
    return hashlib.sha256(whole(id).encode()).digest()[:16]
