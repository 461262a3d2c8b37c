"""What claims that answer a question must hold to be compared: the kind of answer, and what it is an answer about."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from rag.answer.asked import Asked, asked
from rag.answer.facts import Date, Number, facts
from rag.words import stem, terms

Kind = Literal["figure", "date", "name", "truth"]

_YES_NO = re.compile(
    r"^\W*(?:is|are|was|were|do|does|did|has|have|had|will|would|can|could|should)(?:n['’]t)?\s", re.IGNORECASE
)
_DATE = re.compile(
    r"^\W*(?:when\b|(?:\w+\s)?(?:which|what)\s(?:\w+\s)?(?:date|day|month|year)\b|since when|until when"
    r"|what (?:is|was) the (?:[\w-]+\s){0,3}date\b)",
    re.IGNORECASE,
)
_FIGURE = re.compile(
    r"^\W*(?:\w+\s)?how (?:many|much|long|far|old|large|big|tall|high|fast|wide|deep|heavy|thick)\b"
    r"|^\W*what\s(?:share|percentage|proportion|(?:is|was|are|were)\sthe\s(?:[\w-]+\s){0,3}"
    r"(?:number|value|temperature|height|depth|length|speed|weight|age|cost|price|population|size|area|capacity"
    r"|magnitude|toll|budget|salary|share|percentage|rate|distance|diameter|width|amount))\b",
    re.IGNORECASE,
)
# "What is the suite?" asks to have it explained.
_NAME = re.compile(r"^\W*(?:who|which|where|what(?!\s+(?:is|are|was|were)\b(?!.*\bof\b)))\b", re.IGNORECASE)
_WHICH = re.compile(r"^\W*(?:\w+\s)?(?:which|what)\s+(\w+)\s+(?!of\b)", re.IGNORECASE)
"""Which company built it?  Whoever says that Acme built it need not say that Acme is a company."""
_MONEY = re.compile(
    r"\bhow much\b.*\b(?:cost|pay|paid|spen[dt]|invest\w*|lend|lent|loan\w*|money|worth|budget|sold|sell|earn\w*"
    r"|raise\w*)\b"
    r"|\b(?:price|cost|budget|salary)\b",
    re.IGNORECASE | re.DOTALL,
)
_SHARE = re.compile(r"\b(?:share|percentage|per ?cent|proportion)\b", re.IGNORECASE)
_COUNT = re.compile(
    r"\b(?:how many|number of)\s+((?:[\w'’-]+\s+){0,4}?[\w'’-]+)"
    r"(?=\W*$|\s+(?:is|are|was|were|do|does|did|has|have|had|will|would|can|could|in|on|at|of|by|from|for|to|with|that|who"
    r"|which|there|pass|passed|live|lives|lived|die|died|survived|took|take)\b)",
    re.IGNORECASE,
)
_SUPERLATIVE = re.compile(r"\b(?:most|least|best|worst|first|last|only|[a-z]{2,}est)\b", re.IGNORECASE)
_MOST = re.compile(r"\bmost\b", re.IGNORECASE)
_NO_SUPERLATIVE = frozenset("west forest interest guest request test rest quest contest protest harvest latest".split())

# What a sentence need not repeat to answer.
_GENERIC = frozenset(
    terms(
        "year day date month time name kind sort many much number amount value people person take place exactly share "
        "percentage actually currently ever anyone anybody anything someone something"
    )
)
_PASTS = (
    "pay paid,win won,sell sold,buy bought,build built,hold held,lose lost,make made,begin began begun,become became,"
    "lead led,leave left,find found,give gave given,take took taken,die dead death,fall fell fallen,rise rose risen,"
    "grow grew grown growth,speak spoke spoken,sink sank sunk sinking,spend spent,write wrote written,come came,"
    "go went gone,see saw seen,send sent,tell told,teach taught,bring brought,break broke broken,choose chose chosen,"
    "drive drove driven,fly flew flown,strike struck,run ran,know knew known,draw drew drawn,shoot shot,meet met,"
    "fight fought,lend lent,wear wore worn,steal stole stolen"
)
_VERB = {stem(past): stem(w[0]) for w in (line.split() for line in _PASTS.split(",")) for past in w[1:]}

# The words by which a length, and what is asked of it, are told from another: how deep is not how wide.
_DIMENSIONS: dict[str, tuple[str, frozenset[str]]] = {
    asks: (kind, frozenset(stem(w) for w in said.split()))
    for asks, kind, said in (
        ("long length", "length", "long length stretches extends runs measures"),
        ("long", "duration", "long length lasted last lasting took duration"),
        ("high tall height", "length", "high height tall rises stands above elevation altitude peak"),
        ("deep depth", "length", "deep depth"),
        ("wide width", "length", "wide width broad across"),
        ("thick", "length", "thick thickness"),
        ("far distance", "length", "far distance from away"),
        ("old age", "years", "old age aged"),
        ("heavy weight", "weight", "heavy weigh weighs weight"),
        ("fast speed", "speed", "fast speed"),
    )
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a question wants.

    `stems` must be held by a claim, those of `names` perhaps by what stands before it.  `dimensions` are for each kind
    of measure that answers the words that say which one it is, of which one must be held; `counted` is the stem of what
    is counted, and `unit` what a figure must come in.  `unique` says that only one answer can be right whatever else is
    said of it, as of the longest river, and `most` that it is the one with the most of something; `when` are the dates
    and `numbers` the other figures that the question names.
    """

    question: str
    about: Asked
    kind: Kind | None
    stems: frozenset[str]
    names: frozenset[str]
    dimensions: tuple[tuple[str, frozenset[str]], ...]
    counted: str | None
    unit: Literal["money", "share", ""]
    unique: bool
    most: bool
    when: tuple[Date, ...]
    numbers: tuple[Number, ...]


def root(word_stem: str) -> str:
    """Return the stem of a verb for that of its past: `paid` is held where `pay` is asked for."""
    return _VERB.get(word_stem, word_stem)


def roots(text: str) -> set[str]:
    """Return the roots of a text's content words."""
    return {root(t) for t in terms(text)}


@lru_cache(maxsize=512)
def wanted(question: str) -> Wanted:
    """Return what a question wants; its kind is None where answers cannot be compared.

    >>> wanted("How deep is Lake Baikal?").kind, wanted("Why is Lake Baikal deep?").kind
    ('figure', None)
    """
    about, when = asked(question), facts(question).dates
    left_out: set[str] = set(_GENERIC)
    for figure in about.figures:
        left_out.update(terms(figure))
    for d in when:
        left_out.update(terms(question[d.start : d.end]))
    kind = _kind(question)
    superlative = any(m.lower() not in _NO_SUPERLATIVE for m in _SUPERLATIVE.findall(question))
    dimensions: list[tuple[str, frozenset[str]]] = []
    if kind == "figure":
        for asks, (measure, said) in _DIMENSIONS.items():
            if used := about.words & set(asks.split()):
                dimensions.append((measure, said))
                left_out.update(stem(w) for w in used)
    if kind == "name" and (noun := _WHICH.match(question)) and not superlative:
        left_out.add(stem(noun[1]))
    names = frozenset(root(t) for n in about.names for t in terms(n)) - left_out
    stems = frozenset(root(t) for t in about.terms - left_out)
    count = _COUNT.search(question)
    unit: Literal["money", "share", ""] = "money" if _MONEY.search(question) else ""
    if not unit and _SHARE.search(question):
        unit = "share"
    if kind == "date" and not stems - names:
        kind = None  # nothing says what happened then
    return Wanted(
        question=question,
        about=about,
        kind=kind,
        stems=stems | names,
        names=names,
        dimensions=() if count else tuple(dimensions),
        counted=stem(count[1].split()[-1]) if count else None,
        unit="" if count or dimensions else unit,
        unique=superlative,
        most=bool(_MOST.search(question)),
        when=when,
        numbers=facts(question).numbers,
    )


def _kind(question: str) -> Kind | None:
    if _YES_NO.match(question):
        return "truth"
    if _DATE.match(question):
        return "date"
    if _FIGURE.match(question):
        return "figure"
    return "name" if _NAME.match(question) else None
