"""What a text states that can be compared with another: numbers, dates, names, negations, directions.

By patterns alone, so that it costs well under a millisecond a sentence and every finding has its characters.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from rag.answer.dates import Date, dates
from rag.answer.names import Name, names
from rag.answer.numbers import Number, numbers
from rag.answer.polarity import Direction, Negation, directions, negations

__all__ = [
    "Date",
    "Direction",
    "Facts",
    "Name",
    "Negation",
    "Number",
    "dates",
    "directions",
    "facts",
    "names",
    "negations",
    "numbers",
]


@dataclass(frozen=True, slots=True)
class Facts:
    """What a text states, each kind in the order of the text, each with the characters it stands at."""

    numbers: tuple[Number, ...]
    dates: tuple[Date, ...]
    names: tuple[Name, ...]
    negations: tuple[Negation, ...]
    directions: tuple[Direction, ...]


@lru_cache(maxsize=4096)
def facts(text: str) -> Facts:
    """Return what a text states.

    >>> found = facts("On 3 May 2020 Peru did not buy 1.2 million doses.")
    >>> found.dates[0].day, found.names[0].words, found.numbers[0].low, found.negations[0].cue
    (3, ('peru',), 1200000.0, 'not')
    """
    when = dates(text)
    counts = numbers(text, [(d.start, d.end) for d in when])
    taken = bytearray(len(text))
    for start, end in [(d.start, d.end) for d in when] + [(n.start, n.end) for n in counts]:
        taken[start:end] = b"\1" * (end - start)
    # "Nov." and "US$" are capitalised too, and so is a number that begins its sentence.
    named = tuple(n for n in names(text) if not all(taken[n.start : n.end]))
    return Facts(counts, when, named, negations(text), directions(text))
