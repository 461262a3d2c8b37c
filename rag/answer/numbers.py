"""Numbers as prose gives them: 1.2 million, $45m, 12 per cent, three, the 3rd, 10 to 12; normalised to be compared."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from rag.intake.text import fold
from rag.words import stem

Qualifier = Literal["", "about", "over", "under"]

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_SCALES = {
    "hundred": 1e2, "thousand": 1e3, "lakh": 1e5, "million": 1e6, "crore": 1e7, "billion": 1e9, "trillion": 1e12,
    "dozen": 12.0,
}  # fmt: skip
_SHORT = {"k": 1e3, "m": 1e6, "mn": 1e6, "mln": 1e6, "bn": 1e9, "b": 1e9, "tn": 1e12}
_VALUES = {w: float(n) for n, w in enumerate(_ONES)} | {w: 10.0 * n for n, w in enumerate(_TENS, start=2)}
_ORDINALS = {
    w: n
    for n, w in enumerate(
        "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth "
        "fifteenth sixteenth seventeenth eighteenth nineteenth twentieth".split(),
        start=1,
    )
}
_FRACTIONS = {"half": 1 / 2, "third": 1 / 3, "quarter": 1 / 4, "fifth": 1 / 5, "½": 0.5, "¼": 0.25, "¾": 0.75}
_CURRENCIES = {
    "$": "$", "us$": "$", "usd": "$", "dollar": "$", "€": "€", "eur": "€", "euro": "€", "£": "£", "gbp": "£",
    "pound": "£", "¥": "¥", "yen": "¥", "yuan": "yuan", "₹": "rupee", "rs": "rupee", "rupee": "rupee", "₺": "lira",
    "lira": "lira", "rouble": "rouble", "ruble": "rouble", "franc": "franc", "manat": "manat",
}  # fmt: skip
_UNITS = {
    "%": "%", "per cent": "%", "percent": "%", "pc": "%", "percentage point": "point",
    "km": "km", "kilometre": "km", "kilometer": "km", "metre": "m", "meter": "m", "m": "m", "cm": "cm",
    "centimetre": "cm", "centimeter": "cm", "mm": "mm", "mile": "mile", "mi": "mile", "foot": "foot", "feet": "foot",
    "ft": "foot", "inch": "inch", "inche": "inch", "yard": "yard", "acre": "acre", "hectare": "hectare",
    "kg": "kg", "kilogram": "kg", "kilogramme": "kg", "gram": "g", "tonne": "tonne", "ton": "ton", "lb": "pound",
    "kph": "km/h", "km/h": "km/h", "mph": "mph", "knot": "knot", "mw": "megawatt", "megawatt": "megawatt",
    "litre": "litre", "liter": "litre", "barrel": "barrel",
    "second": "second", "minute": "minute", "hour": "hour", "day": "day", "week": "week", "month": "month",
    "year": "year", "decade": "decade", "century": "century", "centurie": "century", "hr": "hour", "min": "minute",
}  # fmt: skip
_DIGITS = r"\d{1,3}(?:,\d{2,3})*,\d{3}(?:\.\d+)?|\d+(?:\.\d+)?"
_WORD = "|".join(sorted([*_VALUES, *_SCALES], key=len, reverse=True))
_NUMBER = re.compile(
    r"(?P<money>US\$|[$€£¥₹₺]|\b(?:USD|EUR|GBP|Rs)\b\.?)?\s?"
    r"(?<![\w.,])(?<![^\W\d]-)(?:"
    r"(?P<part>\b(?:(?:one|two|three|a)[\s-](?:thirds?|quarters?|fifths?|half)|half|quarters?)\b|[½¼¾])"
    rf"|(?P<minus>(?<![^\s(])(?<!\d\s)[-−–]|\bminus\s)?(?P<digits>{_DIGITS})(?P<half>\s?[½¼¾]|\s1/2)?"
    r"(?:(?P<ordinal>st|nd|rd|th)\b|(?P<short>k|mn|mln|m|bn|b|tn)\b)?"
    r"(?:[\s-](?P<scale>hundred|thousand|lakh|million|crore|billion|trillion|dozen)s?\b)?"
    rf"|(?P<words>(?:\ba\s+(?=(?:hundred|thousand|million|billion|trillion|dozen)\b))?"
    rf"\b(?:{_WORD})\b(?:(?:\s+and\s+|[\s-]+)(?:{_WORD})\b)*)"
    rf"|(?P<rank>\b(?:(?:{'|'.join(_TENS)})[\s-])?(?:{'|'.join(_ORDINALS)})\b))",
    re.IGNORECASE,
)
_UNIT = re.compile(
    r"\s?%|[\s-]?(?:per\s?cent(?!\w)|percentage points?|"
    + "|".join(
        sorted((re.escape(u) for u in [*_UNITS, *_CURRENCIES] if u.isascii() and u != "%"), key=len, reverse=True)
    )
    + r")s?(?![\w])",
    re.IGNORECASE,
)
_ABOUT = re.compile(
    r"(?P<about>\b(?:about|around|some|nearly|almost|roughly|approximately|approx\.?|estimated|circa|close to|c\.)|~)"
    r"\s?(?:an?\s)?$"
    r"|(?P<over>\b(?:more than|over|above|at least|exceeding|upwards of|no (?:fewer|less) than|as many as)|>)"
    r"\s?(?:an?\s)?$|(?P<under>\b(?:less than|fewer than|under|below|up to|at most|no more than)|<)\s?(?:an?\s)?$",
    re.IGNORECASE,
)
_RANGE = re.compile(r"\s*(?:[-–—]|to)\s*$", re.IGNORECASE)
_BETWEEN = re.compile(r"\s+and\s+$", re.IGNORECASE)
_COUNTED = re.compile(r"[\s-]+([^\W\d_][\w’'-]*)")
_OF_ONE = re.compile(r"\s+(?:of|another|who|that|or|by|day|such|and|thing)\b|['’]|[.,;]", re.IGNORECASE)
_NO = re.compile(r"\b(?:no|any|every|each|this|that|which|the|some|another|everyone)\s$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Number:
    """A number at [start:end] of a text, from `low` to `high`, the same unless it is a range.

    `unit` is one sign for all its spellings ("%", "$", "km", "year"), "" for none.  `place` is the value of its last
    digit, 100,000 in 1.2 million, or of the last one that is not zero where it is qualified.  `nouns` are the stems
    of the words behind it, up to three; `scale` is what its figures are multiplied by, a million in 1.2 million.

    >>> [(n.low, n.unit) for n in numbers("$45m, or 12 per cent of three thousand")]
    [(45000000.0, '$'), (12.0, '%'), (3000.0, '')]
    """

    start: int
    end: int
    low: float
    high: float
    unit: str = ""
    qualifier: Qualifier = ""
    ordinal: bool = False
    place: float = 1.0
    nouns: tuple[str, ...] = ()
    scale: float = 1.0

    def comparable(self, other: Number) -> bool:
        """Say whether both are of one kind: no rank with a count, no dollars with per cent."""
        return self.ordinal == other.ordinal and (self.unit == other.unit or "" in (self.unit, other.unit))

    def agrees(self, other: Number) -> bool:
        """Say whether both may be the same quantity, as far as the rounder of the two is exact."""
        if not self.comparable(other):
            return False
        if _near(self, other):
            return True
        return self._kept_by(other) or other._kept_by(self)

    def _kept_by(self, other: Number) -> bool:
        return keeps(self.qualifier, (self.low, self.high), (other.low, other.high))

    def says(self, other: Number) -> bool:
        """Say whether this number bears out another: 1,203,411 says 1.2 million, 1.2 million not 1,203,411."""
        if not self.comparable(other) or (other.unit and not self.unit):
            return False
        bound = other.qualifier in ("over", "under")
        if bound and self.qualifier != other.qualifier:
            return other._kept_by(self)
        if not bound and self.qualifier in ("over", "under"):
            return other.qualifier == "about" and self.low == other.low
        exact = other.place >= self.place * (1 - 1e-9) or (self.low, self.high) == (other.low, other.high)
        # A range is said by the same range alone, not by one that it meets, nor by what lies in it.
        slack = _slack(self, other)
        return exact and abs(self.low - other.low) <= slack and abs(self.high - other.high) <= slack


def numbers(text: str, without: Sequence[tuple[int, int]] = ()) -> tuple[Number, ...]:
    """Return the numbers in a text, in order; none that reaches into a span that is left out, such as a date's."""
    found: list[Number] = []
    left_out = bytearray(len(text))
    for a, b in without:
        left_out[a:b] = b"\1" * (b - a)
    for m in _NUMBER.finditer(text):
        if any(left_out[m.start() : m.end()]):
            continue
        number = _read(m, text)
        if number is None:
            continue
        before = found[-1] if found else None
        if before and not before.ordinal and not number.ordinal and (joined := _range(before, number, text)):
            found[-1] = joined
        else:
            found.append(number)
    return tuple(found)


def _slack(one: Number, other: Number) -> float:
    """Return how far apart two quantities may be, each taken as exact as it is written."""
    rounded = max(one.place, other.place) / 2 if one.place != other.place or one.qualifier or other.qualifier else 0.0
    return rounded + 1e-9 * max(abs(one.high), abs(other.high))


def _near(one: Number, other: Number) -> bool:
    """Say whether two quantities meet."""
    slack = _slack(one, other)
    return one.low - other.high <= slack and other.low - one.high <= slack


def keeps(qualifier: Qualifier, bound: tuple[float, float], value: tuple[float, float]) -> bool:
    """Say whether a quantity, from-to, keeps to a bound, "over 40", and is no further from it than half of it."""
    if qualifier == "over":
        return bound[0] <= value[0] <= bound[0] + abs(bound[0]) / 2
    return qualifier == "under" and bound[1] - abs(bound[1]) / 2 <= value[1] <= bound[1]


def _read(m: re.Match[str], text: str) -> Number | None:
    end, place, ordinal, unit, scale = m.end(), 1.0, False, "", 1.0
    if m["digits"]:
        plain = m["digits"].replace(",", "")
        value = float(plain)
        place = 10.0 ** -len(plain.partition(".")[2])
        if m["half"]:
            value += _FRACTIONS.get(m["half"].strip(), 0.5)
        ordinal = bool(m["ordinal"])
        short = fold(m["short"] or "")
        if short and (m["money"] or short not in ("m", "b")):
            scale = _SHORT[short]
            value, place = value * scale, place * scale
        elif short:
            unit, end = ("m" if short == "m" else ""), m.end("short")
        if m["scale"]:
            scale = _SCALES[fold(m["scale"])]
            value, place = value * scale, place * scale
        if m["minus"]:
            value = -value
    elif m["words"]:
        said = fold(m["words"])
        value = _spelled(said)
        place = _place(value) if value >= 100 else 1.0
        scale = _SCALES.get(re.split(r"[\s-]", said)[-1], 1.0)
        if said == "one" and (
            _OF_ONE.match(text, m.end()) or _NO.search(text, max(m.start("words") - 9, 0), m.start("words"))
        ):
            return None
    elif m["rank"]:
        *tens, last = re.split(r"[\s-]", fold(m["rank"]))
        value, ordinal = _ORDINALS[last] + sum(_VALUES[t] for t in tens), True
        if last == "second" and text[m.end() : m.end() + 1] == "s":
            return None
    else:
        # A sign such as ½ is none of the words that folding is for.
        said = m["part"] if m["part"] in _FRACTIONS else fold(m["part"])
        count, _, part = said.replace("-", " ").rpartition(" ")
        value = _FRACTIONS[part.rstrip("s") if part != "half" else part] * {"two": 2, "three": 3}.get(count, 1)
        unit, place = "part", 0.01
    start = m.start() + len(m.group()) - len(m.group().lstrip())
    if m["money"]:
        unit = _CURRENCIES[fold(m["money"]).rstrip(".")]
    elif not ordinal and not unit and (after := _UNIT.match(text, end)):
        named = fold(after.group()).strip(" -")
        named = "per cent" if named in ("percent", "per cent") else named
        unit = _UNITS.get(named) or _CURRENCIES.get(named) or _UNITS.get(named[:-1]) or _CURRENCIES.get(named[:-1], "")
        end = after.end()
    about = _ABOUT.search(text, max(start - 20, 0), start)
    qualifier: Qualifier = (about.lastgroup or "") if about else ""  # type: ignore[assignment]
    if qualifier and not ordinal:
        place = max(place, _place(value))
    return Number(start, end, value, value, unit, qualifier, ordinal, place, _nouns(text, end), scale)


def _spelled(said: str) -> float:
    """Return the value of a number in words; what is before a scale is multiplied by it."""
    whole: float = 0
    part: float | None = None
    for word in re.findall(r"[a-z]+", said):
        if word in _VALUES:
            part = (part or 0) + _VALUES[word]
        elif word in ("hundred", "dozen"):
            part = (1 if part is None else part) * _SCALES[word]
        elif word in _SCALES:
            whole, part = whole + (1 if part is None else part) * _SCALES[word], None
    return whole + (part or 0)


def _place(value: float) -> float:
    """Return the value of the last digit that is not zero."""
    place = 1.0
    while value and value % (place * 10) == 0:
        place *= 10
    return place


def _range(first: Number, second: Number, text: str) -> Number | None:
    """Return two numbers as one range, if the words between and before them make one; a change from-to is none."""
    between, before = text[first.end : second.start], text[max(first.start - 10, 0) : first.start].lower()
    joined = _RANGE.match(between) if "between " not in before else _BETWEEN.match(between)
    if not joined or "from " in before:
        return None
    # "10 to 12 million": the scale of the second is the first's too.
    scale = second.scale if first.scale == 1 and first.high < 1000 else 1.0
    # "Ninety to one hundred": ninety, and not ninety hundred.
    low = first.low * scale if first.low * scale < second.high else first.low
    high, unit = second.high, first.unit or second.unit
    if low < 0 and high < low:
        low, high = high, low
    if low >= high or (first.unit and second.unit and first.unit != second.unit):
        return None
    return replace(second, start=first.start, low=low, high=high, unit=unit, qualifier=first.qualifier)


def _nouns(text: str, end: int) -> tuple[str, ...]:
    found = []
    for _ in range(3):
        m = _COUNTED.match(text, end)
        if not m:
            break
        found.append(stem(m[1]))
        end = m.end()
    return tuple(found)
