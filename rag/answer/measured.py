"""Figures in units that can be compared: 118 kilometres and 73 miles, one fifth and 20 per cent, 134 °F and 56.7 °C."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

from rag.answer.numbers import Number, keeps

ROUNDED = 0.1
"""How far figures may lie apart, as a share, and still be roundings of each other."""

_METRES = {
    "km": 1e3,
    "m": 1.0,
    "cm": 1e-2,
    "mm": 1e-3,
    "mile": 1609.344,
    "yard": 0.9144,
    "foot": 0.3048,
    "inch": 0.0254,
}
_SECONDS = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86_400.0, "week": 604_800.0}
_MONTHS = {"month": 1.0, "year": 12.0, "decade": 120.0, "century": 1200.0}
_UNITS: dict[str, tuple[str, float]] = {
    unit: (kind, factor)
    for kind, units in (
        ("length", _METRES),
        ("duration", _SECONDS),
        ("years", _MONTHS),
        ("weight", {"g": 1e-3, "kg": 1.0, "tonne": 1e3, "ton": 1e3}),
        ("area", {"hectare": 1e4, "acre": 4046.86}),
        ("speed", {"km/h": 1.0, "mph": 1.609344, "knot": 1.852}),
        ("share", {"%": 0.01, "part": 1.0}),
    )
    for unit, factor in units.items()
}
_DEGREES = re.compile(r"\s?°\s?([CF])\b|\s?degrees (Celsius|Fahrenheit)\b", re.IGNORECASE)
_SQUARE = re.compile(r"\s(?:square|cubic)\s", re.IGNORECASE)
_IN = re.compile(r"\s(?:\w+\s)?(?:in|out of)\s$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Measured:
    """A figure at [start:end] of a text, in a unit common to its kind: metres for any length.

    `kind` is "" for a plain count and the sign for money; `place` is what its last digit is worth.
    """

    start: int
    end: int
    kind: str
    low: float
    high: float
    place: float
    number: Number

    def agrees(self, other: Measured) -> bool:
        """Say whether both may be the same quantity, as far as the rounder one is exact and its bound is kept.

        >>> from rag.answer.facts import numbers
        >>> one, two = (measured(n, t) for t in ("118 kilometres", "73 miles") for n in numbers(t))
        >>> one.agrees(two)
        True
        """
        if self.kind != other.kind:
            return False
        most = max(abs(self.high), abs(other.high))
        mine, theirs = self.number, other.number
        exact = self.place == other.place and not (mine.qualifier or theirs.qualifier)
        slack = 0.0 if exact else min(max(self.place, other.place) / 2, ROUNDED * most)
        if max(self.low - other.high, other.low - self.high) <= slack + 1e-9 * most:
            return True
        ours, others = (self.low, self.high), (other.low, other.high)
        return keeps(mine.qualifier, ours, others) or keeps(theirs.qualifier, others, ours)


def measured(number: Number, text: str) -> Measured:
    """Return a number of a text in the unit common to its kind."""
    kind, factor = _UNITS.get(number.unit, (number.unit, 1.0))
    if degrees := _DEGREES.match(text, number.end):
        fahrenheit = (degrees[1] or degrees[2]).upper().startswith("F")
        low, high = ((v - 32) / 1.8 if fahrenheit else v for v in (number.low, number.high))
        place = number.place / 1.8 if fahrenheit else number.place
        return Measured(number.start, number.end, "temperature", low, high, place, number)
    if number.nouns[:1] == ("per",):  # a rate: all of what it is by is its unit
        kind = f"{number.unit} {' '.join(number.nouns)}"
        factor = 1.0
    elif _SQUARE.match(text, number.end):
        kind = f"{number.unit} {' '.join(number.nouns[:2])}"
    return Measured(
        number.start, number.end, kind, number.low * factor, number.high * factor, number.place * factor, number
    )


def shares(found: tuple[Number, ...], text: str) -> list[Measured]:
    """Return "one person in ten" as a tenth."""
    made = []
    for one, two in pairwise(found):
        if 0 < one.low < two.low and _IN.match(text[one.end : two.start]) and not (one.unit or two.unit):
            low = one.low / two.low
            made.append(Measured(one.start, two.end, "share", low, low, 0.01, one))
    return made
