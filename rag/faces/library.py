"""The articles as a reader looks through them: a table to sort and filter, a picture of all, one with its passages.

What is counted is counted over everything that passes the filter, and only a part of a long table is sent.
"""

from __future__ import annotations

from calendar import monthrange
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Protocol

from rag.faces.links import web_address
from rag.faces.view import head
from rag.intake.text import fold
from rag.to_json import JSON
from rag.types import Article, ArticleHead, Filter, Passage, Stats

ROWS = 100
"""Rows of the table that are sent at once."""
NAMES = 12
"""Authors, and sources, that the picture shows."""
CHOICES = 5_000
"""Values of a filter that are offered; whoever has more types the beginning of one."""
WORDS = 20
"""Words that are looked for, at most."""
BARS = 48
"""Bars that show how articles are spread over time, at most; a narrow page asks for fewer."""
YEARS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
"""How many of them one bar may stand for; the last are few enough for any day that a date can name."""

Listed = tuple[ArticleHead, int]


class Shelf(Protocol):
    """What the library needs of an engine."""

    def articles(self, where: Filter | None = None) -> list[Listed]: ...
    def cut(self, id: str) -> tuple[Article, list[Passage]]: ...
    def sections(self) -> list[str]: ...
    def stats(self) -> Stats: ...


@dataclass(frozen=True, slots=True)
class Wish:
    """What a reader wants to see of the table: `words` of a title, an author or a source, and the order of the rows."""

    where: Filter
    words: str = ""
    by: str = "published"
    down: bool = True
    skip: int = 0


def _when(listed: Listed) -> tuple[bool, str]:
    return listed[0].published is not None, listed[0].published.isoformat() if listed[0].published else ""


ORDERS: dict[str, Callable[[Listed], Any]] = {
    "title": lambda of: fold(of[0].title),
    "authors": lambda of: (bool(of[0].authors), fold(", ".join(of[0].authors))),
    "published": _when,
    "source": lambda of: (bool(of[0].source), fold(of[0].source)),
    "passages": lambda of: of[1],
}
"""By what the table can be ordered; what an article lacks comes last going down."""


class Library:
    """The articles of an index, read again only when the index has changed."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._read: tuple[int, list[Listed]] = (-1, [])

    def table(self, wish: Wish) -> JSON:
        """Return how many articles there are, how many are wanted, and some rows of those."""
        found = self._found(wish.where, wish.words)
        found.sort(key=ORDERS.get(wish.by, _when), reverse=wish.down)
        rows = [self._row(head, n) for head, n in found[wish.skip : wish.skip + ROWS]]
        return {"all": len(self._all()), "found": len(found), "rows": rows}

    def picture(self, where: Filter, words: str = "", bars: int = BARS) -> JSON:
        """Return how the wanted articles are spread over time in so many bars at most, over authors and sources."""
        heads = [h for h, _ in self._found(where, words)]
        return {
            "articles": len(heads),
            "undated": sum(h.published is None for h in heads),
            "times": [*spread([h.published for h in heads if h.published], bars)],
            "authors": _most(a for h in heads for a in h.authors),
            "sources": _most(h.source for h in heads if h.source),
        }

    def choices(self) -> JSON:
        """Return what there is to filter by, the most frequent first."""
        heads = [h for h, _ in self._all()]
        return {
            "authors": _counted((a for h in heads for a in h.authors), CHOICES),
            "sources": _counted((h.source for h in heads if h.source), CHOICES),
            "sections": self._shelf.sections()[:CHOICES],
        }

    def article(self, id: str) -> JSON:
        """Return a current article and its passages.  Raises UnknownArticle."""
        article, passages = self._shelf.cut(id)
        return {
            **self._row(article.head, len(passages)),
            "revision": article.revision,
            "url": web_address(article.url),
            "characters": len(article.text),
            "cut": [{"section": p.section, "text": p.text, "start": p.start, "end": p.end} for p in passages],
        }

    def _all(self) -> list[Listed]:
        generation = self._shelf.stats().generation
        if self._read[0] != generation:
            self._read = generation, self._shelf.articles()
        return self._read[1]

    def _found(self, where: Filter, words: str) -> list[Listed]:
        listed = self._shelf.articles(where) if where else [*self._all()]
        wanted = fold(words).split()[:WORDS]
        return [of for of in listed if not wanted or _has(of[0], wanted)]

    def _row(self, article: ArticleHead, passages: int) -> JSON:
        return {
            **head(article),
            "id": article.id,
            "made": article.title_made,
            "source": article.source,
            "passages": passages,
        }


def spread(days: Sequence[date], most: int = BARS) -> Iterator[JSON]:
    """Yield stretches of time from the first of some days to the last, each with how many of them it holds.

    They are days, months, years or longer, so that there are at most so many of them, of which two are the fewest.

    >>> [(s["since"], s["articles"]) for s in spread([date(2020, 3, 5), date(2020, 3, 7)])]
    [('2020-03-05', 1), ('2020-03-06', 0), ('2020-03-07', 1)]
    """
    if not days:
        return
    count = Counter(days)
    begins, end = _stretches(min(days), max(days), most)
    ends = [begin - timedelta(days=1) for begin in begins[1:]] + [end]
    for begin, end in zip(begins, ends, strict=True):
        inside = sum(n for day, n in count.items() if begin <= day <= end)
        yield {"since": begin.isoformat(), "until": end.isoformat(), "articles": inside}


def _stretches(first: date, last: date, most: int) -> tuple[list[date], date]:
    """Return the day each stretch begins with, and the day that the last one ends with."""
    if (last - first).days < most:
        return [first + timedelta(days=n) for n in range((last - first).days + 1)], last
    months = (last.year - first.year) * 12 + last.month - first.month + 1
    if months <= most:
        counted = range(first.year * 12 + first.month - 1, last.year * 12 + last.month)
        return [date(m // 12, m % 12 + 1, 1) for m in counted], last.replace(day=monthrange(last.year, last.month)[1])
    years = next(y for y in YEARS if last.year // y - first.year // y < most)
    begun = range(first.year // years * years, last.year + 1, years)
    # There is no year 0, and none after 9999.
    return [date(max(y, 1), 1, 1) for y in begun], date(min(begun[-1] + years - 1, date.max.year), 12, 31)


def _counted(names: Iterable[str], most: int) -> list[JSON]:
    counted = sorted(Counter(names).items(), key=lambda x: (-x[1], x[0]))
    return [{"name": name, "articles": n} for name, n in counted[:most]]


def _most(names: Iterable[str]) -> JSON:
    """Return the most frequent names and how many others there are; a name that stands once is one of the others."""
    counted = _counted(names, CHOICES)
    first = [c for c in counted[:NAMES] if c["articles"] > 1]
    return {"first": first, "more": len(counted) - len(first)}


def _has(article: ArticleHead, wanted: Sequence[str]) -> bool:
    held = fold(f"{article.title}\n{' '.join(article.authors)}\n{article.source}\n{article.id}")
    return all(w in held for w in wanted)
