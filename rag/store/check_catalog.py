"""What the catalog says held against itself: sums, spans, and what stands in two places.

Articles and the passages of each are read side by side, so memory does not grow with their number.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rag.errors import IndexDamaged, InvalidArticle
from rag.intake.chunk import stretches
from rag.intake.text import fold
from rag.store import catalog
from rag.store.faults import Fault, Pace
from rag.types import Article

HOPELESS = "restore a backup with `rag restore FILE --replace`, or rebuild the index with `rag ingest SOURCE --rebuild`"

SHOWN = 80
"""Characters of an article's id that are told."""

_OF_AN_INDEX = re.compile(r"missing from index|wrong # of entries in index|non-unique entry in index")


class CatalogCheck:
    """Reads the snapshot of one connection and yields what is wrong with it."""

    def __init__(self, db: sqlite3.Connection, path: Path, pace: Pace) -> None:
        self._db, self._path, self._pace = db, path, pace

    def faults(self) -> Iterator[Fault]:
        """Yield the faults.  One that is hopeless is the last."""
        yield from self._guarded(self._tables, self._facts, self._articles, self._links)

    def first_faults(self) -> Iterator[Fault]:
        """Yield those that show without a look at any article."""
        yield from self._guarded(self._tables, self._facts)

    def _guarded(self, *steps: Callable[[], Iterator[Fault]]) -> Iterator[Fault]:
        try:
            for step in steps:
                for fault in step():
                    yield fault
                    if fault.mend == "not":
                        return
        except (sqlite3.DatabaseError, UnicodeDecodeError, TypeError, ValueError, OverflowError, IndexDamaged) as error:
            # Any column may hold anything, and SQLite quotes it.
            yield self._hopeless(str(error))

    def _tables(self) -> Iterator[Fault]:
        for table, columns in catalog.columns().items():
            if self._columns(table) != columns:
                yield self._hopeless(f"its table {table} is another")
        told = [str(r[0]) for r in self._db.execute("PRAGMA integrity_check(100)")]
        if told != ["ok"]:
            if all(_OF_AN_INDEX.search(line) for line in told):
                yield self._derived("its tables are sound, an index of them is not")
            else:
                yield self._hopeless(told[0])

    def _derived(self, what: str) -> Fault:
        return Fault(what, self._path, "derived")

    def _hopeless(self, reason: str) -> Fault:
        said = " ".join(reason.split())[:160]
        return Fault(f"the catalog is damaged ({said}): {HOPELESS}", self._path, "not")

    def _one(self, sql: str, values: Sequence[object] = ()) -> int:
        return int(self._db.execute(sql, values).fetchone()[0] or 0)

    def _columns(self, table: str) -> list[str]:
        return [str(name) for (name,) in self._db.execute("SELECT name FROM pragma_table_info(?)", (table,))]

    def _facts(self) -> Iterator[Fault]:
        try:
            catalog.recorded(self._db)
            told, next_row, *_ = [
                catalog.get(self._db, fact)
                for fact in ("fingerprint", "next_row", "generation", "erased_words", "lexical")
            ]
            sound = json.dumps(json.loads(told)) == told
        except IndexDamaged:
            sound = False
        if not sound:
            yield self._hopeless("its facts about itself cannot be read")
            return
        highest = max(
            # Any column may hold text.
            self._one(f"SELECT MAX({column}) FROM {table} WHERE typeof({column}) = 'integer'")
            for column, table in (("row", "passages"), ("row", "tombstones"), ("last", "segments"))
        )
        if int(next_row) <= highest:
            yield self._derived("the number of the next passage is one that is taken")

    def _articles(self) -> Iterator[Fault]:
        sections = dict(self._db.execute("SELECT code, name FROM sections").fetchall())
        sources = {name for (name,) in self._db.execute("SELECT name FROM sources")}
        self._pace.begin("articles", self._one("SELECT COUNT(*) FROM articles"), "articles")
        passages = bylines = unlisted = 0
        told: set[int] = set()
        for ord, live, first, count, *row in self._db.execute(
            f"SELECT ord, live, first, passages, {catalog.ARTICLE} FROM articles ORDER BY ord"
        ):
            self._pace.on()
            article = _article(row)
            if article is None:
                told.add(ord)
                state = "" if live else ", an earlier revision,"
                named = str(row[0])[:SHOWN]
                yield Fault(f"article {named!r}{state} is damaged", self._path, "article", ord)
            if not live:
                continue
            spans = self._db.execute(
                "SELECT row, article, start, end, section, sum FROM passages WHERE row >= ? AND row < ? ORDER BY row",
                (first, first + count),
            ).fetchall()
            passages += sum(span[1] == ord for span in spans)
            written = [name for (name,) in self._db.execute(_WRITTEN_BY, (ord,))]
            bylines += len(written)
            if article is None:
                continue
            if (
                [s[0] for s in spans] != list(range(first, first + count))
                or not all(_is_sound(span, ord, article, sections) for span in spans)
                or (not count and any(stretches(article)))
            ):
                told.add(ord)
                yield self._to_be_cut(article.id, ord)
            if article.source not in sources or sorted(written) != sorted(set(map(fold, article.authors))):
                unlisted += 1
        if unlisted:
            yield self._derived(f"authors or sources of {unlisted:,} articles are not listed as theirs")
        if self._one("SELECT COUNT(*) FROM passages") != passages:
            yield from self._elsewhere(told)
        if self._one("SELECT COUNT(*) FROM bylines") != bylines:
            yield self._derived("authors are listed for articles that are not current")

    def _elsewhere(self, told: set[int]) -> Iterator[Fault]:
        """Yield the faults of passages that no current article says it has; some articles are known to be damaged."""
        of_none = False
        for ord, live, id in self._db.execute(
            "SELECT DISTINCT ord, live, id FROM passages p LEFT JOIN articles a ON a.ord = p.article"
            " WHERE ord IS NULL OR NOT live OR row < first OR row >= first + a.passages"
        ).fetchall():
            if ord in told:
                continue
            if ord and (live or not self._one("SELECT COUNT(*) FROM articles WHERE id = ? AND live", (id,))):
                yield self._to_be_cut(id, ord)
            else:
                of_none = True
        if of_none:
            yield self._derived("there are passages of no current article")

    def _to_be_cut(self, id: str, ord: int) -> Fault:
        return Fault(f"passages of article {id[:SHOWN]!r} are damaged", self._path, "passages", ord)

    def _links(self) -> Iterator[Fault]:
        alone = self._one(
            "SELECT COUNT(*) FROM twins t WHERE article = twin OR NOT EXISTS"
            " (SELECT 1 FROM twins u WHERE u.article = t.twin AND u.twin = t.article)"
            " OR NOT EXISTS (SELECT 1 FROM articles WHERE ord = t.article AND live)"
        )
        if alone:
            yield self._derived(f"{alone:,} links between articles are not mutual, or of articles that are not current")
        if self._one("SELECT COUNT(*) FROM tombstones JOIN passages USING (row)"):
            yield self._derived("current passages are marked as removed")


_WRITTEN_BY = "SELECT a.name FROM bylines b JOIN authors a ON a.code = b.author WHERE b.article = ?"


def _article(row: Sequence[object]) -> Article | None:
    """Return the article in the columns ARTICLE, or None when they are not what was written."""
    try:
        article = catalog.read_article(row)
    except (IndexDamaged, InvalidArticle, ValueError, TypeError):
        return None
    return article if article.revision == row[-2] else None


def _is_sound(span: Sequence[int], ord: int, article: Article, sections: dict[int, str]) -> bool:
    _, of, start, end, section, sum = span
    if catalog.sum_of(span[:-1]) != sum or of != ord or not 0 <= start <= end <= len(article.text):
        return False
    return sections.get(section) in {"", *(s.name for s in article.sections)}
