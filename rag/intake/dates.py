"""Dates as pages write them: found in a line, read without guessing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "jan january januar jänner janvier enero",
            "feb february februar février febrero",
            "mar march märz mars marzo",
            "apr april avril abril",
            "may mai mayo",
            "jun june juni juin junio",
            "jul july juli juillet julio",
            "aug august août agosto",
            "sep sept september septembre septiembre",
            "oct october okt oktober octobre octubre",
            "nov november novembre noviembre",
            "dec december dez dezember décembre diciembre",
        ),
        start=1,
    )
    for name in names.split()
}
_MONTH = r"(?P<month>" + "|".join(sorted(_MONTHS, key=len, reverse=True)) + r")\.?"
# Mars 2020 is no March: a month that stands before its day or without one is read in English only.
_ENGLISH = (
    r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)\.?"
)
_WEEKDAY = r"(?:(?:mon|tue|tues|wed|wednes|thu|thur|thurs|fri|sat|satur|sun)(?:day)?\.?,?\s+)?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th|er|º|\.)?"
_YEAR = r"(?P<year>[12]\d{3})(?!\d)"
_TIME = (
    r"(?:,?\s*(?:[-–—|•·@]|at)?\s*\d{1,2}[:.h]\d{2}(?::\d{2})?(?:\.\d+)?\s*(?:[ap]\.?m\b\.?)?"
    r"|,?\s*(?:[-–—|•·@]|at)\s*\d{1,2}\s*[ap]\.?m\b\.?)"
    r"(?:\s*\(?(?:UTC|GMT|[A-Z][A-Z]?[SD]?T|Z)\b\)?)?(?:\s*[+-]\d{2}:?\d{2}\b)?"
)
_CLOCK_FIRST = r"(?:\d{1,2}[:.]\d{2}\s*(?:[ap]\.?m\.?)?\s*(?:[A-Z]{2,4}\b)?,?\s+)?"
_FORMS = tuple(
    re.compile(r"(?<![\w/.-])" + form + rf"(?:{_TIME})?(?![\w])", re.IGNORECASE)
    for form in (
        rf"{_CLOCK_FIRST}{_WEEKDAY}(?:the\s+)?{_DAY}(?:\s+(?:of\s+|de\s+)?|[-–])?{_MONTH}(?:,?\s+(?:de\s+)?|[-–]){_YEAR}",
        rf"{_CLOCK_FIRST}{_WEEKDAY}{_ENGLISH}\s*{_DAY}(?:,\s*|\s+){_YEAR}",
        r"(?P<year>[12]\d{3})(?P<mark>[-/.])(?P<month>\d{1,2})(?P=mark)(?P<day>\d{1,2})(?:T\d{2}:?\d{2}(?::?\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?",
        rf"{_WEEKDAY}(?P<day>\d{{1,2}})\.\s?(?P<month>\d{{1,2}})\.\s?{_YEAR}",
        rf"{_WEEKDAY}(?P<first>\d{{1,2}})(?P<mark>[/-])(?P<second>\d{{1,2}})(?P=mark){_YEAR}",
        rf"{_ENGLISH},?\s+{_YEAR}",
    )
)
_DIGIT = re.compile(r"\d{4}")
_IN_FIGURES = re.compile(r"(?<![\w/.-])(\d{1,2})([/-])(\d{1,2})\2[12]\d{3}(?![\w/-])")

LONGEST = 160
"""No line longer than this is looked at for a date: it is prose."""


@dataclass(frozen=True, slots=True)
class Found:
    """A date in a line at [start:end]; `day` is None where the line does not settle which day it is."""

    start: int
    end: int
    day: date | None


def is_day_first(page: str) -> bool | None:
    """Return whether a page writes the day before the month in figures; None where its dates do not settle it.

    >>> is_day_first("12/05/2020, 28/05/2020"), is_day_first("05/28/2020"), is_day_first("12/05/2020")
    (True, False, None)
    """
    firsts, seconds = 0, 0
    for match in _IN_FIGURES.finditer(page):
        one, other = int(match[1]), int(match[3])
        firsts, seconds = firsts + (12 < one <= 31 and other <= 12), seconds + (12 < other <= 31 and one <= 12)
    return None if bool(firsts) == bool(seconds) else firsts > 0


def find_dates(line: str, *, day_first: bool | None = None) -> list[Found]:
    """Return the dates of a short line in order, times and weekdays included in their spans.

    `day_first` reads 04/05/2020, which is April or May by itself.
    """
    if len(line) > LONGEST or not _DIGIT.search(line):
        return []
    found: list[Found] = []
    for form in _FORMS:
        for match in form.finditer(line):
            if all(match.end() <= f.start or f.end <= match.start() for f in found):
                day, valid = _day(match, day_first)
                if valid:
                    found.append(Found(match.start(), match.end(), day))
    return sorted(found, key=lambda f: f.start)


def read_date(text: str) -> date | None:
    """Return the day a text names when it names exactly one and nothing else, else None.

    >>> read_date("Wednesday, 20 November 2024 21:47")
    datetime.date(2024, 11, 20)
    >>> read_date("04/05/2024") is None
    True
    """
    text = text.strip()
    found = find_dates(text)
    if len(found) == 1 and (found[0].start, found[0].end) == (0, len(text)):
        return found[0].day
    return None


def _day(match: re.Match[str], day_first: bool | None) -> tuple[date | None, bool]:
    parts = match.groupdict()
    year = int(parts["year"])
    if parts.get("first"):
        first, second = int(parts["first"]), int(parts["second"])
        # 04/05 is April or May depending on the country: only an impossible month settles it.
        if first == second or second > 12:
            return _checked(year, first, second)
        if first > 12:
            return _checked(year, second, first)
        if day_first is not None:
            return _checked(year, *((second, first) if day_first else (first, second)))
        return None, first >= 1 and second >= 1
    month = _MONTHS.get(parts["month"].lower()) or int(parts["month"])
    if parts.get("day") is None:
        return None, True
    return _checked(year, month, int(parts["day"]))


def _checked(year: int, month: int, day: int) -> tuple[date | None, bool]:
    try:
        return date(year, month, day), True
    except ValueError:
        return None, False
