"""What a question asks for: its content words, its names and numbers, and the kind of answer it wants."""

from __future__ import annotations

import re
from collections.abc import Set
from dataclasses import dataclass
from functools import lru_cache

from rag.words import terms, words

_MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
_NUMBER_WORDS = (
    "two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|"
    "hundred|thousand|million|billion|trillion|dozen|half|quarter|third|percent|per cent"
)
_DIGITS = re.compile(r"\d")
_NUMBER = re.compile(rf"\d|\b(?:{_NUMBER_WORDS})\b", re.IGNORECASE)
_DATE = re.compile(
    rf"\b(?:1[0-9]{{3}}|20[0-9]{{2}})s?\b|\b(?:{_MONTHS})\b|\b(?:yesterday|today|century|Monday|Tuesday|Wednesday|"
    r"Thursday|Friday|Saturday|Sunday)\b"
)
_NAME = re.compile(r"\b[^\W\d_a-zа-я][\w’'-]*\b")
_REASON = re.compile(
    r"\b(?:because|due to|since|in order to|as a result|so that|owing to|aim(?:s|ed)? (?:to|at)|intended to|"
    r"designed to|meant to|driven by|caused by|led to|concern(?:s|ed)? (?:about|over))\b",
    re.IGNORECASE,
)
_OPENING = re.compile(
    r"^\W*(?:(?:in|on|at|by|from|for|to|under|with|of|according to \w+,?)\s+)?"
    r"(who|whom|whose|when|where|why|how (?:many|much|long|far|old|large|big|tall|high|fast|often|wide|deep|heavy)|how"
    r"|which|what)\b(?:\s+(\w+))?",
    re.IGNORECASE,
)
_ANYWHERE = re.compile(r"\b(who|whom|whose|when|where|why|how many|how much|which|what)\b(?:\s+(\w+))?", re.IGNORECASE)
_TIME_NOUNS = frozenset(["year", "date", "day", "month", "decade", "century", "time", "season", "week"])
_COUNT_NOUNS = frozenset(
    [
        "number",
        "percentage",
        "percent",
        "share",
        "population",
        "price",
        "cost",
        "amount",
        "age",
        "distance",
        "length",
        "height",
        "width",
    ]
)
_CAPITALISED = re.compile(r"(?<!^)(?<![.?!:]\s)\b(?:[A-Z][\w’'-]*[\w]|[A-Z]{2,}[\w-]*)\b")
_FIGURES = re.compile(r"\d+(?:[.,]\d+)*")


@dataclass(frozen=True, slots=True)
class Asked:
    """A question taken apart.  `kind` is who, when, where, number, why or other."""

    terms: frozenset[str]
    names: tuple[str, ...]
    numbers: frozenset[str]
    words: frozenset[str]
    kind: str

    def share(self, stems: Set[str]) -> float:
        """Return the share of the question's content words among some stems; 0 to 1."""
        return len(self.terms & stems) / len(self.terms) if self.terms else 0.0

    def names_share(self, text: str) -> float:
        """Return the share of the question's names that a text holds; 1 when it has none."""
        if not self.names:
            return 1.0
        held = set(words(text))
        return sum(set(words(n)) <= held for n in self.names) / len(self.names)

    def numbers_share(self, text: str) -> float:
        """Return the share of the question's figures that a text holds; 1 when it has none."""
        if not self.numbers:
            return 1.0
        return len(self.numbers & set(_FIGURES.findall(text))) / len(self.numbers)

    def kind_in(self, text: str) -> float:
        """Return 1 when a text holds something of the kind asked for that the question lacks, else 0; .5 if any does."""
        if self.kind == "number":
            return float(any(m not in self.numbers for m in _FIGURES.findall(text)) or bool(_NUMBER.search(text)))
        if self.kind == "when":
            found = [m.lower() for m in _DATE.findall(text)]
            return float(any(m not in self.words for m in found))
        if self.kind in ("who", "where"):
            return float(any(not set(words(m)) <= self.words for m in _CAPITALISED.findall(text)))
        if self.kind == "why":
            return float(bool(_REASON.search(text)))
        return 0.5


@lru_cache(maxsize=512)
def asked(question: str) -> Asked:
    """Return a question taken apart."""
    names = tuple(dict.fromkeys(m for m in _CAPITALISED.findall(question)))
    return Asked(
        terms=frozenset(terms(question)),
        names=names,
        numbers=frozenset(_FIGURES.findall(question)),
        words=frozenset(words(question)),
        kind=_kind(question),
    )


def _kind(question: str) -> str:
    found = _OPENING.search(question) or _ANYWHERE.search(question)
    if found is None:
        return "other"
    word, noun = found.group(1).lower(), (found.group(2) or "").lower()
    if word in ("who", "whom", "whose"):
        return "who"
    if word in ("when", "where", "why"):
        return word
    if word.startswith("how ") or noun in _COUNT_NOUNS:
        return "number"
    if noun in _TIME_NOUNS:
        return "when"
    if noun in ("country", "countries", "city", "cities", "place", "state", "region", "province", "company", "person"):
        return "who"
    return "other"
