"""What filters ask about, as arrays: a column for each thing, in the order of the rows.

Passages of one article lie together.  A filter becomes numbers first (`Wanted`), then a mask over the rows, never a
list of ids in SQL.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np
import numpy.typing as npt

from rag.errors import IndexDamaged
from rag.intake.sections import canonical
from rag.intake.text import fold
from rag.store import sqlite
from rag.types import Filter

Mask = npt.NDArray[np.bool_]
Table = npt.NDArray[np.void]
Codes = npt.NDArray[np.int64]

PASSAGES = np.dtype([("row", "<i8"), ("section", "<i4")])
ARTICLES = np.dtype([("ord", "<i8"), ("first", "<i4"), ("day", "<i4"), ("source", "<i4")])
"""`first` is the place of an article's first passage, `day` its date as an ordinal, 0 where there is none."""
BYLINES = np.dtype([("article", "<i4"), ("author", "<i4")])
"""Place of an article, code of one of its authors."""

MOST_CODES = 10_000_000
"""Up to this number codes are looked up in a table of that many bytes."""

DTYPES = {"passages": PASSAGES, "articles": ARTICLES, "bylines": BYLINES}


class Headings:
    """The codes of the headings of one catalog, by what they are folded: each is read and folded once, as they come."""

    def __init__(self) -> None:
        self._codes: dict[str, list[int]] = {}
        self._last = 0
        self._reading = threading.Lock()

    def codes(self, db: sqlite3.Connection, names: Iterable[str]) -> Codes:
        """Return the codes of all headings that are like one of the names; no passage has one that a snapshot lacks."""
        with self._reading:
            # Codes are never used again, so what was read stays true.
            for code, name in db.execute("SELECT code, name FROM sections WHERE code > ? ORDER BY code", (self._last,)):
                self._codes.setdefault(fold(str(name)), []).append(code)
                self._last = code
            found = {code for name in names for code in self._codes.get(fold(canonical(name)), ())}
        return np.array(sorted(found), np.int64)


@dataclass(frozen=True)
class Wanted:
    """A filter in the catalog's numbers; None where it asks nothing."""

    ords: Codes | None = None
    authors: Codes | None = None
    sources: Codes | None = None
    sections: Codes | None = None
    since: int | None = None
    until: int | None = None

    @classmethod
    def of(cls, db: sqlite3.Connection, where: Filter, headings: Headings) -> Wanted:
        """Return a filter's numbers; its phrases are not among them."""
        sections = headings.codes(db, where.sections) if where.sections else None
        return cls(
            _numbers(db, "SELECT ord FROM articles WHERE live AND id", where.articles),
            _numbers(db, "SELECT code FROM authors WHERE name", [fold(a) for a in where.authors]),
            _numbers(db, "SELECT code FROM sources WHERE name", where.sources),
            sections,
            day(where.since) if where.since else None,
            day(where.until) if where.until else None,
        )


def day(published: date | None) -> int:
    """Return a date as a number, 0 for none."""
    return published.toordinal() if published else 0


def _numbers(db: sqlite3.Connection, select: str, names: Sequence[str]) -> Codes | None:
    if not names:
        return None
    found = [
        row[0] for part in sqlite.parts(list(names)) for row in db.execute(f"{select} IN ({sqlite.marks(part)})", part)
    ]
    return np.array(sorted(found), np.int64)


@dataclass(frozen=True)
class Columns:
    """The columns of some rows, which ascend: tables of PASSAGES, ARTICLES and BYLINES."""

    passages: Table
    articles: Table
    bylines: Table

    def __len__(self) -> int:
        return len(self.passages)

    @property
    def tables(self) -> dict[str, Table]:
        """The tables by name."""
        return {"passages": self.passages, "articles": self.articles, "bylines": self.bylines}

    @property
    def rows(self) -> npt.NDArray[np.int64]:
        """The store's number of each passage."""
        return np.asarray(self.passages["row"], np.int64)

    @cached_property
    def sizes(self) -> npt.NDArray[np.int64]:
        """The number of passages of each article."""
        return np.diff(self.articles["first"], append=np.int32(len(self.passages))).astype(np.int64)

    @property
    def ords(self) -> npt.NDArray[np.int64]:
        """The article's ordinal of each passage."""
        return np.repeat(self.articles["ord"], self.sizes)

    def passing(self, wanted: Wanted) -> Mask:
        """Return which passages satisfy a filter."""
        articles = np.ones(len(self.articles), bool)
        if wanted.ords is not None:
            articles[:] = False
            articles[places(self.articles["ord"], wanted.ords)] = True
        if wanted.sources is not None:
            articles &= _among(self.articles["source"], wanted.sources)
        if wanted.since is not None or wanted.until is not None:
            days = self.articles["day"]
            articles &= (days >= max(wanted.since or 1, 1)) & (days <= (wanted.until or date.max.toordinal()))
        if wanted.authors is not None:
            written = np.zeros(len(self.articles), bool)
            written[self.bylines["article"][_among(self.bylines["author"], wanted.authors)]] = True
            articles &= written
        mask = self._of(articles)
        if wanted.sections is not None:
            mask &= _among(self.passages["section"], wanted.sections)
        return mask

    def _of(self, articles: Mask) -> Mask:
        """Return which passages are of some articles."""
        if articles.all():
            return np.ones(len(self), bool)
        if np.count_nonzero(articles) > len(articles) / 4:
            return np.repeat(articles, self.sizes)
        firsts, sizes = self.articles["first"][articles], self.sizes[articles]
        places = np.repeat(firsts - np.cumsum(sizes) + sizes, sizes) + np.arange(sizes.sum())
        mask = np.zeros(len(self), bool)
        mask[places] = True
        return mask

    def with_any(self, mask: Mask) -> npt.NDArray[np.int64]:
        """Return the ordinals of the articles of which the mask has a passage."""
        if not len(self.articles):
            return np.empty(0, np.int64)
        return np.asarray(self.articles["ord"][np.logical_or.reduceat(mask, self.articles["first"])], np.int64)

    def kept(self, mask: Mask) -> Columns:
        """Return the columns of the rows that the mask keeps."""
        if not len(self):
            return self
        left = np.add.reduceat(mask, self.articles["first"], dtype=np.int64)
        articles = self.articles[left > 0]
        articles["first"] = np.cumsum(left[left > 0]) - left[left > 0]
        at = np.cumsum(left > 0) - 1
        bylines = self.bylines[left[self.bylines["article"]] > 0]
        bylines["article"] = at[bylines["article"]]
        return Columns(self.passages[mask], articles, bylines)


def joined(parts: Sequence[Columns]) -> Columns:
    """Return the columns of several parts as those of one; no article lies in two."""
    articles, bylines = [np.array(p.articles) for p in parts], [np.array(p.bylines) for p in parts]
    passages_before = articles_before = 0
    for part, of_articles, of_bylines in zip(parts, articles, bylines, strict=True):
        of_articles["first"] += passages_before
        of_bylines["article"] += articles_before
        passages_before += len(part.passages)
        articles_before += len(part.articles)
    return Columns(np.concatenate([p.passages for p in parts]), np.concatenate(articles), np.concatenate(bylines))


def read(db: sqlite3.Connection, above: int, last: int = 2**63 - 1) -> Columns:
    """Return the columns of the catalog's passages above a row, up to another.

    Raises IndexDamaged where these are of no article, of one without a source, or say what cannot be.
    """
    try:
        return _read(db, above, last)
    except (KeyError, TypeError, ValueError, OverflowError) as e:
        raise IndexDamaged(
            "what the catalog says of its passages is damaged: look through the index with `rag doctor`"
        ) from e


def _read(db: sqlite3.Connection, above: int, last: int) -> Columns:
    found = db.execute(
        "SELECT row, section, article FROM passages WHERE row > ? AND row <= ? ORDER BY row", (above, last)
    ).fetchall()
    passages = np.array([(row, section) for row, section, _ in found], PASSAGES)
    ords = np.array([ord for _, _, ord in found], np.int64)
    firsts = np.flatnonzero(np.append(True, ords[1:] != ords[:-1])) if len(ords) else np.empty(0, np.int64)
    at = {int(ord): n for n, ord in enumerate(ords[firsts])}
    articles = np.zeros(len(firsts), ARTICLES)
    articles["ord"], articles["first"] = ords[firsts], firsts
    bylines: list[tuple[int, int]] = []
    listed = 0
    for part in sqlite.parts(list(at)):
        for ord, published, source in db.execute(
            "SELECT a.ord, a.published, s.code FROM articles a JOIN sources s ON s.name = a.source"
            f" WHERE a.ord IN ({sqlite.marks(part)})",
            part,
        ):
            articles["day"][at[ord]] = day(date.fromisoformat(published)) if published else 0
            articles["source"][at[ord]] = source
            listed += 1
        written = db.execute(f"SELECT article, author FROM bylines WHERE article IN ({sqlite.marks(part)})", part)
        bylines += [(at[ord], author) for ord, author in written]
    if listed != len(firsts):
        raise ValueError(f"{listed} articles of {len(firsts)}")
    return Columns(passages, articles, np.array(bylines, BYLINES))


def places(known: Codes, numbers: Codes) -> Codes:
    """Return where those of some numbers lie that are among the known ones, which ascend."""
    at = np.searchsorted(known, numbers)
    there = at < len(known)
    there[there] = known[at[there]] == numbers[there]
    return np.asarray(at[there], np.int64)


def _among(column: npt.NDArray[np.int32], codes: Codes) -> Mask:
    """Return where a column has one of some codes."""
    if codes.min(initial=0) < 0 or codes.max(initial=0) > MOST_CODES:
        return np.isin(column, codes)
    # A table is looked up ten times as fast as numpy finds out what is among the codes.
    table = np.zeros(codes.max(initial=0) + 2, bool)
    table[codes] = True
    return table.take(column, mode="clip")
