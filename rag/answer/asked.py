"""What a question asks for: its content words, names and figures, and the kind of answer it wants."""

from __future__ import annotations

import re
from collections.abc import Set
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from rag.answer.dates import MONTHS, WEEKDAYS
from rag.answer.names import runs
from rag.words import terms, words

Kind = Literal["who", "when", "where", "number", "why", "other"]

_NUMBER_WORD = re.compile(
    r"\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty|fifty|sixty|seventy|eighty|"
    r"ninety|hundred|thousand|million|billion|trillion|dozen|half|quarter|third|percent|per cent)s?\b",
    re.IGNORECASE,
)
FIGURE = re.compile(r"(?<![\w-])\d+(?:[.,]\d+)*(?![\w-])")
"""A figure that stands by itself: not the 17 of JF-17."""
_DATE = re.compile(
    rf"\b(?:1[0-9]{{3}}|20[0-9]{{2}})s?\b|\b(?:{MONTHS})\b|\b(?:yesterday|today|century|(?:{WEEKDAYS})s?)\b"
    r"|\b(?:morning|noon|afternoon|evening|midnight|o['’]clock)\b|\b\d{1,2}(?:[:.]\d\d)?\s?(?:[ap]\.m\.|[ap]m\b)"
    r"|\b\d{1,2}:\d\d\b"
)
_REASON = re.compile(
    r"\b(?:because|due to|since|in order to|as a result|so that|owing to|aim(?:s|ed)? (?:to|at)|intended to|"
    r"designed to|meant to|driven by|caused by|led to|concern(?:s|ed)? (?:about|over))\b",
    re.IGNORECASE,
)
_WH = r"who|whom|whose|when|where|why|how (?:many|much)|how|which|what"
_OPENING = re.compile(rf"^\W*(?:(?:in|on|at|by|from|for|to|under|with|of)\s+)?({_WH})\b(.*)", re.IGNORECASE | re.DOTALL)
_ANYWHERE = re.compile(rf"\b({_WH})\b(.*)", re.IGNORECASE | re.DOTALL)
_ADJECTIVE = re.compile(r"\s*(?:long|far|old|large|big|tall|high|fast|often|wide|deep|heavy)\b", re.IGNORECASE)

# What a figure must stand with, by what is asked: the first pattern is looked for in the question, the other in a text.
_UNITS = [
    (re.compile(question, re.IGNORECASE), re.compile(unit, re.IGNORECASE))
    for question, unit in (
        (
            r"how much\b.*\b(?:cost|worth|pay|paid|spen[dt]|invest\w*|lend|lent|loan\w*|compensation|budget|sold)\b"
            r"|\bprice\b|what (?:is|was) the (?:cost|value|budget)",
            r"[$€£¥₹₺]|\b(?:dollar|euro|pound|rupee|lira|yuan|yen|manat|rouble|ruble|franc|crore|USD|EUR|GBP)s?\b",
        ),
        (r"\b(?:share|percentage|per ?cent|proportion)\b", r"%|\bper ?cent\b"),
        (
            r"\bhow (?:wide|tall|high|deep|far)\b",
            r"\b(?:kilomet|met|centimet)(?:re|er)s?\b|\b(?:km|cm|m|miles?|feet|foot|ft|inch(?:es)?)\b",
        ),
        (
            r"\bhow long\b",
            r"\b(?:kilomet|met|centimet)(?:re|er)s?\b|\b(?:km|cm|m|miles?|feet|foot|ft|inch(?:es)?)\b"
            r"|\b(?:second|minute|hour|day|week|month|year|decade|centur(?:y|ie))s?\b",
        ),
        (r"\bhow fast\b", r"\b(?:km/h|kph|mph|knots?|Mach)\b|\b(?:kilomet(?:re|er)|mile)s? (?:an|per) hour\b"),
        (r"\bhow heavy\b|\bweigh", r"\b(?:kilogram(?:me)?|tonne|ton|gram|pound)s?\b|\b(?:kg|lb|lbs)\b"),
        (r"\bhow old\b", r"\byears?\b|\baged?\b|\bborn\b"),
    )
]

# By what is asked, what a measure that answers is called, and by which words it is another: an altitude is no length.
_MEASURES = (
    # Of a length or of a time.
    ("long|length", r"runs?|stretch\w*|extend\w*|last\w*|t[ao]kes?|took|for|stay\w*", "long|longest|length"),
    ("wide|width", "broad|across", "wide|width"),
    ("high|tall|height", r"peak\w*|ris\w+|rose|climb\w*|reach\w*", "high|tall|heights?|altitude|elevation"),
    ("deep|depth", "below|down", "deep|depths?"),
)
_DIMENSIONS = [
    (
        re.compile(rf"\b(?:how (?:{asks})|what (?:is|was) the (?:{asks}))\b", re.IGNORECASE),
        re.compile(rf"\b(?:{told}|{own})\b", re.IGNORECASE),
        re.compile(rf"\b(?:{'|'.join(other for *_, other in _MEASURES if other != own)})\b", re.IGNORECASE),
    )
    for asks, told, own in _MEASURES
]

# What ends the words right behind the question word: in "how many soldiers does" they are "soldiers".
_STOP = frozenset(
    "is are was were be been do does did has have had will would can could should may might must in on at by from for "
    "to of with as that who which when where than under over into since".split()
)
_TIME = frozenset("year date day month decade century time season week".split())
_COUNT = frozenset(
    "number percentage percent share population price cost amount age distance length height width".split()
)
_PEOPLE_AND_PLACES = frozenset(
    "country countries city cities town place state region province company companies person people name nation team "
    "river language organization organisation group actor actress singer author president king queen".split()
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A question taken apart.

    `terms` are stems of content words, `words` all words; `focus` the stems of what is asked for
    ("soldiers" in how many soldiers), unless an answer would not repeat it ("country"); `unit` is what
    a figure must stand with, if the question tells, `dimension` what a measure is called that answers and what others.
    """

    terms: frozenset[str]
    names: tuple[str, ...]
    figures: frozenset[str]
    words: frozenset[str]
    focus: frozenset[str]
    kind: Kind
    unit: re.Pattern[str] | None
    dimension: tuple[re.Pattern[str], re.Pattern[str]] | None

    def share(self, stems: Set[str]) -> float:
        """Return the share of the content words among some stems; 0 to 1."""
        return len(self.terms & stems) / len(self.terms) if self.terms else 0.0

    def focus_share(self, stems: Set[str]) -> float:
        """Return the share of the focus among some stems; one half when there is none."""
        return len(self.focus & stems) / len(self.focus) if self.focus else 0.5

    def names_share(self, held: Set[str]) -> float:
        """Return the share of the names whose words are all held; 1 when there are none."""
        if not self.names:
            return 1.0
        return sum(held >= set(words(n)) for n in self.names) / len(self.names)

    def figures_share(self, text: str) -> float:
        """Return the share of the figures that a text holds; 1 when there are none."""
        if not self.figures:
            return 1.0
        return len(self.figures & set(FIGURE.findall(text))) / len(self.figures)

    def kind_in(self, text: str) -> float:
        """Return 1 when a text holds what the kind asks for and the question lacks, else 0; .5 if any will do."""
        if self.unit and not self.unit.search(text):
            return 0.0
        if self.dimension and self.dimension[1].search(text) and not self.dimension[0].search(text):
            return 0.0
        if self.kind == "number":
            return float(any(f not in self.figures for f in FIGURE.findall(text)) or bool(_NUMBER_WORD.search(text)))
        if self.kind == "when":
            return float(any(d.lower() not in self.words for d in _DATE.findall(text)))
        if self.kind in ("who", "where"):
            new = [run for run in name_runs(text) if not self.words.issuperset(words(" ".join(run)))]
            # A single capitalised word is as often a nationality as a name; two in a row are a name.
            return (
                1.0 if any(len(run) > 1 for run in new) else 0.5 if new and self.kind == "where" else 0.25 * bool(new)
            )
        if self.kind == "why":
            return float(bool(_REASON.search(text)))
        return 0.5

    def counted_in(self, text: str) -> float:
        """Return 1 when a number stands within six words of the focus, else 0; .5 unless a number is asked for."""
        if self.kind != "number" or not self.focus:
            return 0.5
        pieces = text.split()
        counts = [i for i, w in enumerate(pieces) if _counts(w, self.figures)]
        if not counts:
            return 0.0
        near = [i for i, w in enumerate(pieces) if self.focus.intersection(terms(w))]
        return float(any(abs(i - j) <= 6 for i in near for j in counts))


def name_runs(text: str) -> list[list[str]]:
    """Return the names in a text as runs of capitalised words; the first word of a sentence only in a longer run.

    >>> name_runs("Last May Ana Brix met the Lima council. Then Peru paid.")
    [['Ana', 'Brix'], ['Lima'], ['Peru']]
    """
    return [[m.group() for m in run] for first, run in runs(text) if not first or len(run) > 1]


def _counts(word: str, known: frozenset[str]) -> bool:
    return any(f not in known for f in FIGURE.findall(word)) or bool(_NUMBER_WORD.fullmatch(word.strip(".,;:()\"'")))


@lru_cache(maxsize=512)
def asked(question: str) -> Asked:
    """Return a question taken apart."""
    found = _OPENING.search(question) or _ANYWHERE.search(question)
    word, rest = (found.group(1).lower(), found.group(2)) if found else ("", "")
    # "Wide" in how wide is answered by a width, not by the word.
    nouns = [] if word == "how" else _behind(rest)
    return Asked(
        terms=frozenset(terms(question)),
        names=tuple(dict.fromkeys(w for run in name_runs(question) for w in run)),
        figures=frozenset(FIGURE.findall(question)),
        words=frozenset(words(question)),
        focus=frozenset(t for n in nouns if n not in _PEOPLE_AND_PLACES | _TIME | _COUNT for t in terms(n)),
        kind=_kind(word, rest, nouns),
        unit=next((unit for asks, unit in _UNITS if asks.search(question)), None),
        dimension=next(((called, others) for asks, called, others in _DIMENSIONS if asks.search(question)), None),
    )


def _behind(rest: str) -> list[str]:
    """Return the words from a question word to the first verb or preposition; after "what is the", the next."""
    said = re.findall(r"[\w’'-]+", rest.lower())
    while said and (said[0] in _STOP or said[0] in ("the", "a", "an")):
        said.pop(0)
        if said and said[0] in ("the", "a", "an"):
            said.pop(0)
    nouns = []
    for w in said[:4]:
        if w in _STOP:
            break
        nouns.append(w)
    return nouns


def _kind(word: str, rest: str, nouns: list[str]) -> Kind:
    if word in ("who", "whom", "whose"):
        return "who"
    if word in ("when", "where", "why"):
        return word  # type: ignore[return-value]
    if word.startswith("how ") or (word == "how" and _ADJECTIVE.match(rest)) or _COUNT.intersection(nouns[:1]):
        return "number"
    if _TIME.intersection(nouns[:1]):
        return "when"
    if _PEOPLE_AND_PLACES.intersection(nouns):
        return "who"
    return "other"
