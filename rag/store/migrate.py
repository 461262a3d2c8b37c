"""An index of an earlier format brought forward, in one transaction on its catalog; nothing is embedded again.

Format 1 kept segments as whole numbers, had no columns for filters and no sums.  What is derived is made anew
afterwards; vectors stay as they are, since a vector file holds both kinds.
"""

from __future__ import annotations

import sqlite3

from rag.errors import IndexMismatch
from rag.store import catalog, sqlite, twins

_RENAMED = ("articles", "passages", "sections", "tombstones", "segments", "used")


def needed(db: sqlite3.Connection) -> int:
    """Return the format of a catalog that must be brought forward, or 0.  Raises IndexMismatch for an unknown one."""
    written = catalog.get(db, "format")
    if written == str(catalog.FORMAT):
        return 0
    if written == "1":
        return 1
    raise IndexMismatch(
        f"the index has format {written}, this version reads up to {catalog.FORMAT}: update Footnote, or rebuild the"
        " index with `rag ingest SOURCE --rebuild`"
    )


def bring_forward(db: sqlite3.Connection, old: int) -> None:
    """Give a catalog the tables of the present format; the caller began the transaction and derives the rest."""
    assert old == 1
    for index in ("live_article", "article_revision", "used_key"):
        db.execute(f"DROP INDEX {index}")
    for table in _RENAMED:
        db.execute(f"ALTER TABLE {table} RENAME TO old_{table}")
    for statement in catalog.TABLES.split(";"):
        if not statement.strip().startswith(("CREATE TABLE meta", "CREATE TABLE forget")):
            db.execute(statement)
    db.execute("INSERT INTO sections (code, name) SELECT ord, name FROM old_sections")
    db.execute("INSERT INTO sources (name) SELECT DISTINCT source FROM old_articles ORDER BY source")
    names = catalog.ARTICLE.removesuffix(", sum")
    spans = "SELECT article, MIN(row) first, COUNT(*) passages FROM old_passages GROUP BY article"
    articles = db.execute(
        f"SELECT ord, live, origin, COALESCE(first, 0), COALESCE(passages, 0), {names}"
        f" FROM old_articles LEFT JOIN ({spans}) ON article = ord ORDER BY ord"
    )
    for row in articles:
        said = row[5:]
        db.execute(
            f"INSERT INTO articles (ord, live, origin, first, passages, {catalog.ARTICLE})"
            f" VALUES ({sqlite.marks(row)}, ?)",
            (*row, catalog.sum_of(said)),
        )
        if row[1]:
            catalog.insert_bylines(db, row[0], catalog.names(said[2]))
            twins.link(db, row[0], said[8])
    db.execute(
        "UPDATE sqlite_sequence SET seq = (SELECT seq FROM sqlite_sequence WHERE name = 'old_articles')"
        " WHERE name = 'articles'"
    )
    passages = db.execute("SELECT row, article, start, end, section, key FROM old_passages ORDER BY row")
    db.executemany(
        "INSERT INTO passages (row, article, start, end, section, key, sum) VALUES (?, ?, ?, ?, ?, ?, ?)",
        ((*row, catalog.sum_of(row[:-1])) for row in passages),
    )
    db.execute(
        "INSERT INTO former SELECT id, key FROM old_used u WHERE NOT EXISTS"
        " (SELECT 1 FROM passages p JOIN articles a ON a.ord = p.article WHERE p.key = u.key AND a.id = u.id)"
    )
    for table in _RENAMED:
        db.execute(f"DROP TABLE old_{table}")
    catalog.put(db, "format", str(catalog.FORMAT))
    catalog.put(db, "erased_words", "0")
