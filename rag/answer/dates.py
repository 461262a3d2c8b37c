"""Dates as prose gives them: a day, a month, a year, a decade or a weekday, with what is missing left open."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rag.intake.text import fold

MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
WEEKDAYS = "Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday"

_MONTH_NUMBERS = {name[:3].lower(): n for n, name in enumerate(MONTHS.split("|"), start=1)}
_WEEKDAY_NUMBERS = {name[:3].lower(): n for n, name in enumerate(WEEKDAYS.split("|"))}
_MONTH = rf"(?:{MONTHS}|(?:Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)\b\.?)"
_DAY = r"(?:0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th)?(?!\d|,\d|\.\d)"
_YEAR = r"(?:1\d{3}|20\d{2})(?!\d|,\d{3}|\.\d)"
_WEEKDAY = rf"(?:{WEEKDAYS}|(?:Mon|Tues?|Wed|Thurs?|Fri|Sat|Sun)\.?)"
_TO = r"\s*(?:[-–—]|to|and)\s*"
_BEFORE_YEAR = (
    r"(?:in|since|by|of|from|until|till|through|during|before|after|late|early|mid|year|between|to|and|around|about|"
    r"circa|summer|winter|spring|autumn|fall|season|for|on)"
)

# A form's groups say what it knows: d day, m month, y year, w weekday; d2 and y2 are the ends of a range.
_FORMS = tuple(
    re.compile(r"(?<![\w$€£/.-])" + form + r"(?!\w)")
    for form in (
        r"(?P<y>[12]\d{3})-(?P<mn>0[1-9]|1[0-2])-(?P<d>0[1-9]|[12]\d|3[01])(?:T[\d:.]+Z?)?",
        rf"(?:(?P<w>{_WEEKDAY}),?\s+)?(?:the\s+)?(?:(?P<d2>{_DAY}){_TO})?(?P<d>{_DAY})\s+(?:of\s+)?(?P<m>{_MONTH})"
        rf"(?:,?\s+(?:of\s+)?(?P<y>{_YEAR}))?",
        rf"(?:(?P<w>{_WEEKDAY}),?\s+)?(?P<m>{_MONTH})\s+(?:the\s+)?(?P<d>{_DAY})(?:{_TO}(?P<d2>{_DAY}))?"
        rf"(?:,?\s+(?:of\s+)?(?P<y>{_YEAR}))?",
        rf"(?P<m>{_MONTH}),?\s+(?:of\s+)?(?P<y>{_YEAR})",
        r"(?P<one>\d{1,2})[/.](?P<two>\d{1,2})[/.](?P<y>[12]\d{3})",
        r"(?:the\s+)?(?:(?P<ten>1\d{2}0|20\d0)|['’](?P<short>[1-9]0))['’]?s",
        rf"(?P<y2>{_YEAR})\s*[-–—/]\s*(?P<y>{_YEAR}|\d\d(?![\d%]))",
    )
)
_CENTURY = re.compile(r"(?<!\w)(?P<n>\d{1,2})(?:st|nd|rd|th)[- ]centur(?:y|ies)(?P<bc>\s+BC)?", re.IGNORECASE)
_ERA = re.compile(r"(?<![\w,.])(?:AD\s*(?P<ad>\d{1,4})|(?P<y>\d{1,4})\s*(?P<era>BCE?|AD|CE))\b")
_BARE_YEAR = re.compile(rf"(?<![\w$€£¥₹/.,-])(?P<y>{_YEAR})(?![\w%]|-\w)")
_AFTER_TIME = re.compile(rf"(?:\b{_BEFORE_YEAR}(?:\s+the)?[\s-]+|\(|[–—]\s?)$", re.IGNORECASE)
# Behind a figure this makes it a count: "1500 soldiers", "2000 km".
_COUNTED = re.compile(
    r"\s+(?:[a-z]+-)?(?:(?!(?:was|is|has|as|this|its|his|does)\b)[a-z]{3,}s|people|men|women|km|kg|mph|feet)\b|\s?%"
)
_LONE_MONTH = re.compile(rf"(?<!\w)(?P<m>{MONTHS})(?!\w)")
_LONE_WEEKDAY = re.compile(rf"(?<!\w)(?P<w>{WEEKDAYS})s?(?!\w)")
# "May" and "March" begin sentences as other words do; elsewhere a capital makes a month of them.
_MONTH_AFTER = re.compile(
    r"\b(?:in|of|last|next|this|since|until|by|during|early|late|mid|from|to|and)[\s-]+$", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Date:
    """A date at [start:end] of a text; a part that is not said is None.

    `year` is negative before our era.  Of a decade or a century `year` is the first and `last` the last year; else
    `last` is the year itself.  `weekday` is 0 on Monday.

    >>> [(d.year, d.month, d.day) for d in dates("Nov. 20, 2024 or 20 November")]
    [(2024, 11, 20), (None, 11, 20)]
    """

    start: int
    end: int
    year: int | None = None
    month: int | None = None
    day: int | None = None
    weekday: int | None = None
    last: int | None = None

    def agrees(self, other: Date) -> bool:
        """Say whether nothing that both say differs: 20 November agrees with 2024-11-20, 2024 with the 2020s."""
        years = None not in (self.year, self.last, other.year, other.last)
        if years and (self.year > other.last or other.year > self.last):  # type: ignore[operator]
            return False
        for mine, theirs in ((self.month, other.month), (self.day, other.day), (self.weekday, other.weekday)):
            if mine is not None and theirs is not None and mine != theirs:
                return False
        return True

    def says(self, other: Date) -> bool:
        """Say whether this date holds all that another says: 2024-11-20 says November 2024, not the other way round.

        A weekday that this one does not give is not asked of it.
        """
        if not self.agrees(other):
            return False
        if other.year is not None and other.last is not None:
            within = (
                self.year is not None and self.last is not None and other.year <= self.year <= self.last <= other.last
            )
            if not within:
                return False
        known = (other.month is None or self.month is not None) and (other.day is None or self.day is not None)
        bare = other.year is None and other.month is None and other.day is None
        return known and not (bare and self.weekday is None)


def dates(text: str) -> tuple[Date, ...]:
    """Return the dates in a text, in order; those of a range as two."""
    found: list[Date] = []
    taken = bytearray(len(text))

    def free(m: re.Match[str]) -> bool:
        return not any(taken[m.start() : m.end()])

    def add(m: re.Match[str], *made: Date) -> None:
        taken[m.start() : m.end()] = b"\1" * (m.end() - m.start())
        found.extend(made)

    for form in _FORMS:
        for m in form.finditer(text):
            if free(m) and (made := _read(m)):
                add(m, *made)
    for m in _CENTURY.finditer(text):
        if free(m) and (n := int(m["n"])):
            first, last = (-100 * n, -100 * n + 99) if m["bc"] else (100 * n - 99, 100 * n)
            add(m, Date(*m.span(), first, last=last))
    for m in _ERA.finditer(text):
        if free(m):
            year = int(m["ad"] or m["y"]) * (-1 if (m["era"] or "").startswith("B") else 1)
            add(m, Date(*m.span(), year, last=year))
    for m in _BARE_YEAR.finditer(text):
        # A time word in front outweighs a plural behind: "in 1500 soldiers" is rarer than "in 1998 elections".
        told = _AFTER_TIME.search(text, max(m.start() - 16, 0), m.start())
        if free(m) and (int(m["y"]) >= 1600 or told) and not _COUNTED.match(text, m.end()):
            add(m, Date(*m.span(), int(m["y"]), last=int(m["y"])))
    for m in _LONE_MONTH.finditer(text):
        if free(m) and (m["m"] not in ("May", "March") or _MONTH_AFTER.search(text, max(m.start() - 10, 0), m.start())):
            add(m, Date(*m.span(), month=_MONTH_NUMBERS[fold(m["m"])[:3]]))
    for m in _LONE_WEEKDAY.finditer(text):
        if free(m):
            add(m, Date(*m.span(), weekday=_WEEKDAY_NUMBERS[fold(m["w"])[:3]]))
    return tuple(sorted(found, key=lambda d: (d.start, d.end)))


def _read(m: re.Match[str]) -> tuple[Date, ...]:
    """Return the dates of one of the forms, none if it names a day that no month has."""
    parts = m.groupdict()
    span = m.span()
    if parts.get("ten") or parts.get("short"):
        year = int(parts["ten"] or f"19{parts['short']}")
        return (Date(*span, year, last=year + 9),)
    year = int(parts["y"]) if parts.get("y") else None  # type: ignore[assignment]
    if first := parts.get("y2"):
        last = int(first[:2] + parts["y"]) if len(parts["y"]) == 2 else int(parts["y"])
        # 2004-02 is a month as pages write it, or no range at all.
        return (Date(*span, int(first), last=int(first)), Date(*span, last, last=last)) if last > int(first) else ()
    if parts.get("one"):
        one, two = int(parts["one"]), int(parts["two"])
        if not (1 <= one <= 31 and 1 <= two <= 31 and min(one, two) <= 12):
            return ()
        # 04/05 is April or May: only an impossible month settles it.
        if one != two and max(one, two) <= 12:
            return (Date(*span, year, last=year),)
        return (Date(*span, year, min(one, two), max(one, two), last=year),)
    month = _MONTH_NUMBERS[fold(parts["m"])[:3]] if parts.get("m") else int(parts["mn"])
    weekday = _WEEKDAY_NUMBERS[fold(parts["w"])[:3]] if parts.get("w") else None
    days = [int(re.sub(r"\D", "", d)) for d in (parts.get("d"), parts.get("d2")) if d]
    return tuple(Date(*span, year, month, d, weekday, year) for d in sorted(days)) or (
        Date(*span, year, month, last=year),
    )
