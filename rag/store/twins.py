"""Links between articles that are one: tables beside those of the catalog, kept within its transactions.

An article is linked when it is added, with those live articles that share a band with it and that a comparison of the
texts finds to be the same; when it is retired its links go.  So `twins` holds live articles only, each pair both ways.
Links are of pairs and do not chain: a twin's twin may be another article.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from rag.intake.signature import signature
from rag.intake.twins import same
from rag.store import sqlite

TABLES = """
CREATE TABLE bands (key INTEGER NOT NULL, article INTEGER NOT NULL, PRIMARY KEY (key, article)) WITHOUT ROWID;
CREATE TABLE twins (article INTEGER NOT NULL, twin INTEGER NOT NULL, PRIMARY KEY (article, twin)) WITHOUT ROWID
"""

NEWEST = 200
"""Articles looked up for one band, the newest first: a template of thousands takes no longer than one of these."""

COMPARED = 30
"""Candidates whose texts are compared, those with most bands in common first."""


def link(db: sqlite3.Connection, ord: int, text: str) -> list[int]:
    """Store the bands of an article and its links to the live articles that it is a twin of; return their ordinals."""
    keys = sorted(set(signature(text)))
    shared: dict[int, int] = {}
    for key in keys:
        for (other,) in db.execute(
            "SELECT article FROM bands WHERE key = ? AND article <> ? ORDER BY article DESC LIMIT ?", (key, ord, NEWEST)
        ):
            shared[other] = shared.get(other, 0) + 1
    db.executemany("INSERT OR IGNORE INTO bands VALUES (?, ?)", [(key, ord) for key in keys])
    found = []
    for other in sorted(shared, key=lambda o: (-shared[o], -o))[:COMPARED]:
        row = db.execute("SELECT text FROM articles WHERE ord = ? AND live", (other,)).fetchone()
        if row is not None and same(text, str(row[0])):
            found.append(other)
    db.executemany("INSERT OR IGNORE INTO twins VALUES (?, ?)", [p for o in found for p in ((ord, o), (o, ord))])
    return sorted(found)


def unlink(db: sqlite3.Connection, ord: int, text: str) -> None:
    """Forget the bands and the links of an article; its text is the one that it was linked by."""
    db.executemany("DELETE FROM bands WHERE key = ? AND article = ?", [(key, ord) for key in set(signature(text))])
    db.execute("DELETE FROM twins WHERE twin = ?1 AND article IN (SELECT twin FROM twins WHERE article = ?1)", (ord,))
    db.execute("DELETE FROM twins WHERE article = ?", (ord,))


def of(db: sqlite3.Connection, ords: Sequence[int]) -> dict[int, list[int]]:
    """Return the twins of some articles, by ordinal, of those that have any."""
    found: dict[int, list[int]] = {}
    for part in sqlite.parts(list(ords)):
        for article, twin in db.execute(
            f"SELECT article, twin FROM twins WHERE article IN ({sqlite.marks(part)}) ORDER BY article, twin", part
        ):
            found.setdefault(article, []).append(twin)
    return found
