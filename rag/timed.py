"""A question about a time prefers passages that speak of it, and articles of that time.

Search by words and by meaning hardly tells one year from another, and the year decides the answer.  Only the order of
the first hits changes, by a bonus to their scores; a question that names no time is searched for as ever.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from rag.intake.text import fold
from rag.protocols import Retriever, View
from rag.types import Filter, Hit

DEPTH = 40
"""First hits that are put in order anew."""

COARSER = 0.5
"""What a passage counts that names only the year, where the question names a month."""

AFTERWARDS = 1
"""Months after a time in which articles still report on it."""

_NAMES = "jan feb mar apr may jun jul aug sep oct nov dec".split()
_MONTH = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?"
    r"|Nov(?:ember)?|Dec(?:ember)?)\b\.?"
)
# Not the 2019 of 12,019 or 2019.5, nor a share or sum of money.
_YEAR = r"(?<![\d.,$€£])(?:1\d{3}|20\d{2})(?![\d%]|[.,]\d)"


def _date(n: int) -> str:
    day = r"\d{1,2}(?:st|nd|rd|th)?"
    return rf"(?:(?:{day}\s+(?:of\s+)?)?(?P<month{n}>{_MONTH})(?:\s+{day}\b)?,?\s+(?:of\s+)?)?(?P<year{n}>{_YEAR})"


_TIME = re.compile(
    rf"{_date(1)}(?:\s*(?:–|—|-|to|and|until|till)\s*(?:{_date(2)}|(?P<short>\d\d)(?!\d)))?", re.IGNORECASE
)
_LATEST = re.compile(
    r"\b(?:currently|(?:the|its|his|her|their|['’]s)\s+current|latest|newest|most recent(?:ly)?|at present|nowadays"
    r"|at the moment|right now|as of now|these days|now(?=\W*$))\b|^\W*(?:who|what|which|where)\s+(?:is|are)\s+now\b",
    re.IGNORECASE,
)
_SPAN = 60
"""Years that two numbers may lie apart and still be a stretch of time."""


@dataclass(frozen=True, slots=True)
class Time:
    """A stretch of whole months, counted from the year 0; both ends belong to it."""

    first: int
    last: int

    def meets(self, other: Time) -> bool:
        """Say whether two stretches have a month in common."""
        return self.first <= other.last and other.first <= self.last

    @property
    def months(self) -> int:
        """Its length."""
        return self.last - self.first + 1


def times(text: str) -> list[Time]:
    """Return the years and months that a text names, and the stretches between two of them.

    >>> [(t.first // 12, t.months) for t in times("In March 2021, as from 1990 to 1993, for $2,021.")]
    [(2021, 1), (1990, 48)]
    """
    found = []
    for m in _TIME.finditer(text):
        first = last = _months(m["month1"], int(m["year1"]))
        if m["year2"]:
            last = _months(m["month2"], int(m["year2"]))
        elif m["short"]:
            last = _months(None, int(m["year1"]) // 100 * 100 + int(m["short"]))
        if first.first <= last.last <= first.last + 12 * _SPAN:
            found.append(Time(first.first, last.last))
        else:
            found += [first, last]
    return found


def asked_time(question: str) -> Time | None:
    """Return the time that a question names, from the first to the last if it names several; None without any.

    >>> asked_time("Who led the union from 2017 to 2019?") == Time(2017 * 12, 2019 * 12 + 11)
    True
    """
    found = times(question)
    return Time(min(t.first for t in found), max(t.last for t in found)) if found else None


def asks_for_latest(question: str) -> bool:
    """Say whether a question asks how things are now.

    >>> asks_for_latest("Who is currently the head?"), asks_for_latest("What is an electric current?")
    (True, False)
    """
    return bool(_LATEST.search(question))


def of_time(asked: Time, text: str, published: date | None) -> float:
    """Return how far a passage is one of a time, 0 to 1: it names the time, or its article was published then."""
    best = 0.0
    if published:
        month = published.year * 12 + published.month - 1
        best = float(Time(month - AFTERWARDS, month).meets(asked))
    for t in times(text):
        if t.meets(asked):
            best = max(best, COARSER if t.months >= 12 > asked.months else 1.0)
    return best


class Timed:
    """The first hits of another retriever, those of the question's time first; without a time in it, as they are."""

    def __init__(self, inner: Retriever, *, weight: float, depth: int = DEPTH) -> None:
        self.inner, self.weight, self.depth = inner, weight, depth

    def search(self, view: View, query: str, k: int, where: Filter | None = None) -> list[Hit]:
        return self.search_many(view, [query], k, where)[0]

    def search_many(self, view: View, queries: Sequence[str], k: int, where: Filter | None = None) -> list[list[Hit]]:
        """Return the hits of each query.  Those that name no time are searched for together, at no cost."""
        found: list[list[Hit]] = [[] for _ in queries]
        timed = [n for n, q in enumerate(queries) if asked_time(q) or asks_for_latest(q)]
        plain = [n for n in range(len(queries)) if n not in set(timed)]
        for numbers, depth in ((plain, k), (timed, max(k, self.depth))):
            if numbers:
                several = self.inner.search_many(view, [queries[n] for n in numbers], depth, where)
                for n, hits in zip(numbers, several, strict=True):
                    found[n] = hits if numbers is plain else self._ordered(queries[n], hits)[:k]
        return found

    def _ordered(self, query: str, hits: list[Hit]) -> list[Hit]:
        first, rest = hits[: self.depth], hits[self.depth :]
        asked = asked_time(query)
        shares = [of_time(asked, h.passage.text, h.article.published) for h in first] if asked else _recency(first)
        # A share of the best score, because each retriever has a scale of its own.
        most = self.weight * max((h.score for h in first), default=0.0)
        raised = [
            replace(h, score=round(h.score + most * s, 6)) if s else h for h, s in zip(first, shares, strict=True)
        ]
        ordered = sorted(raised, key=lambda h: (-h.score, h.passage.id))
        return [replace(h, rank=n) for n, h in enumerate(ordered + rest, 1)]


def _recency(hits: Sequence[Hit]) -> list[float]:
    """Return 1 for articles of the newest date among some hits, down to 0 for the oldest; 0 without a date."""
    dates = sorted({h.article.published for h in hits if h.article.published})
    place = {day: n / max(len(dates) - 1, 1) for n, day in enumerate(dates)}
    return [place[h.article.published] if h.article.published else 0.0 for h in hits]


def _months(month: str | None, year: int) -> Time:
    if month is None:
        return Time(year * 12, year * 12 + 11)
    at = year * 12 + _NAMES.index(fold(month)[:3])
    return Time(at, at)
