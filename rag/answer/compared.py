"""A sentence held against the quote cited for it: which of its facts the quote bears out, lacks or contradicts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from rag.answer.aligned import Replaced, replaced
from rag.answer.dates import Date
from rag.answer.facts import Facts, facts
from rag.answer.names import acronyms, folded, kin
from rag.answer.numbers import Number
from rag.answer.polarity import Negation
from rag.intake.spelling import spelled
from rag.intake.text import fold
from rag.words import QUESTION_WORDS, stem

_WORD = re.compile(r"[^\W_]+")
_LIGHT = frozenset(QUESTION_WORDS) - frozenset("off down out under above below against before after".split())
"""Words that say little; those that turn a question's meaning round do not belong here."""
_HEDGE = re.compile(
    r"\b(?:if|unless|would|could|(?-i:may)|might|(?:plan(?:s|ned)?|hope[sd]?|want(?:s|ed)?|intend(?:s|ed)?) to|"
    r"propos(?:es|ed|al)|alleged\w*|claim(?:s|ed)?|rumou?r\w*)\b",
    re.IGNORECASE,
)
"""What makes of a statement a plan, a guess or somebody's word."""

_THE_SOURCE = r"(?:the|this) (?:source|article|passage|text|report)s?"
_SAYS = r"(?:says|states|stated|notes|explains|mentions|claims|suggests|reports)"
_SOURCE = re.compile(
    rf"^\W*(?:the )?source(?: {_SAYS})?(?: that)?\s*[:,]"
    rf"|\b(?:according to|as (?:stated|reported) (?:in|by)|based on) {_THE_SOURCE}\b,?"
    rf"|,? as {_THE_SOURCE} {_SAYS}\b|\bin {_THE_SOURCE},|\b{_THE_SOURCE} (?:also )?{_SAYS}(?: that)?\b",
    re.IGNORECASE,
)
_TITLES = frozenset(
    "president minister prime king queen mr mrs ms dr sir lord lady general colonel captain professor senator governor "
    "chancellor secretary foreign defence defense chief judge republic city state national government new".split()
)
ALONG = 0.6
"""Share of a sentence's content words in its quote from which it goes along with it, so that places are compared."""

_HEAD = 3
"""Stems behind a negating word by which it is known what it negates."""


@dataclass(frozen=True, slots=True)
class Compared:
    """How a sentence stands to its quote; counts unless said otherwise.

    `wrong` facts have another in their place in the quote, `missing` ones none.  `loose` ones are less exact there.
    """

    cover: float  # share of the sentence's content words in the quote
    numbers_wrong: int
    numbers_missing: int
    dates_wrong: int
    dates_missing: int
    loose: int
    names_wrong: int
    names_put: int  # in the very place of another
    names_missing: int
    first_missing: int  # a first word that may be a name and is not there
    flipped: int  # what one negates and the other states
    opposed: int  # opposite words in each other's place
    unhedged: int  # 1 if the quote is a plan, a guess or somebody's word, and the sentence is none

    @property
    def conflict(self) -> bool:
        """Whether the quote says otherwise."""
        return bool(self.numbers_wrong or self.dates_wrong or self.names_put or self.flipped or self.opposed)

    @property
    def unfounded(self) -> bool:
        """Whether a number, date or name is not in the quote as the sentence has it."""
        return bool(
            self.numbers_missing or self.dates_missing or self.names_missing or self.names_wrong or self.first_missing
        )


def compared(sentence: str, quote: str, context: str = "") -> Compared:
    """Return how a sentence stands to a quote; names and what a date leaves open may be found in the context too."""
    sentence = _SOURCE.sub(" ", sentence).strip()
    said, given, around = facts(sentence), facts(quote), facts(context)
    mine, theirs = _stems(sentence), _stems(quote)
    held, known = set(theirs), folded(f"{quote} {context}")
    also = {kin(w) for w in known}
    # An acronym in brackets behind its own name says nothing new.
    short = acronyms((*given.names, *around.names, *said.names))
    named = {
        stem(w)
        for n in said.names
        for w in n.words
        if w in known or kin(w) in also or w in short or n.initials in known
    }
    found = [s in held or s in named for s in mine]
    numbers_wrong, numbers_missing, rough = _numbers(said, given, quote)
    dates_wrong, dates_missing, vague = _dates(said.dates, given.dates, around.dates, known)
    names_wrong, names_missing, first = _names(said, given, short, known, also)
    ours, cover = set(mine), sum(found) / len(found) if found else 1.0
    put = replaced(sentence, quote) if cover >= ALONG else Replaced()
    return Compared(
        cover=cover,
        numbers_wrong=numbers_wrong or put.numbers,
        numbers_missing=numbers_missing,
        dates_wrong=dates_wrong or put.dates,
        dates_missing=dates_missing,
        loose=rough + vague,
        names_wrong=names_wrong,
        names_put=put.names,
        names_missing=names_missing,
        first_missing=first,
        flipped=_flipped(said.negations, given.negations, ours, held) or put.negations,
        opposed=_opposed(said, given),
        unhedged=int(bool(_HEDGE.search(quote)) and not _HEDGE.search(sentence)),
    )


@lru_cache(maxsize=4096)
def _stems(text: str) -> tuple[str, ...]:
    """Return the stems of a text's content words in order, those of numbers and dates left out."""
    found = facts(text)
    left_out = bytearray(len(text))
    for start, end in [(n.start, n.end) for n in found.numbers] + [(d.start, d.end) for d in found.dates]:
        left_out[start:end] = b"\1" * (end - start)
    return tuple(
        stem(" ".join(spelled(fold(m.group()))))
        for m in _WORD.finditer(text)
        if m.group().lower() not in _LIGHT and not left_out[m.start()]
    )


def _numbers(said: Facts, given: Facts, quote: str) -> tuple[int, int, int]:
    wrong, missing, loose = 0, 0, 0
    figures = set(re.findall(r"\d+(?:[.,]\d+)*", quote))
    free = [g for g in given.numbers if not any(g.says(n) for n in said.numbers)]
    for n in said.numbers:
        if any(g.says(n) for g in given.numbers):
            continue
        # What is a year in one may be read as a count in the other.
        if n.low == n.high and n.unit in ("", "$") and f"{n.low:.0f}" in figures:
            continue
        # "The first" and "one" are as often no number at all.
        if n.low == 1 and not any(_alike(n, g) for g in free):
            continue
        if any(g.agrees(n) for g in free):
            loose += 1
        elif any(_alike(n, g) for g in free):
            wrong += 1
        else:
            missing += 1
    return wrong, missing, loose


def _alike(n: Number, g: Number) -> bool:
    """Say whether two numbers count the same thing."""
    return n.ordinal == g.ordinal and (
        (n.unit == g.unit and bool(n.unit or n.ordinal)) or bool(set(n.nouns[:2]) & set(g.nouns[:2]))
    )


def _dates(
    said: Sequence[Date], given: Sequence[Date], around: Sequence[Date], known: frozenset[str]
) -> tuple[int, int, int]:
    wrong, missing, loose = 0, 0, 0
    free = [g for g in given if not any(g.says(d) for d in said)]
    for d in said:
        if any(g.says(d) for g in given):
            continue
        if d.month is None and d.weekday is None and str(d.year) in known:
            continue
        partly = [g for g in given if g.agrees(d)]
        if any(_filled(g, a).says(d) for g in partly for a in around):
            continue
        if partly:
            loose += 1
        elif free:
            wrong += 1
        else:
            missing += 1
    return wrong, missing, loose


def _filled(date: Date, other: Date) -> Date:
    """Return a date without a year with that of another: what an article of 2024 says of "20 November"."""
    return date if date.year is not None else replace(date, year=other.year, last=other.last)


def _names(
    said: Facts, given: Facts, short: frozenset[str], known: frozenset[str], also: set[str]
) -> tuple[int, int, int]:
    mine = {kin(w) for n in said.names for w in n.words}
    free = [g for g in given.names if not any(kin(w) in mine for w in g.words) and g.initials not in mine]
    wrong, missing, first = 0, 0, 0
    for n in said.names:
        if n.among(known) == 1 or (len(n.words) == 1 and n.words[0] in short):
            continue
        left = [w for w in n.words if w not in known and kin(w) not in also and w not in _TITLES]
        if not left:
            continue
        if not n.sure:
            first += 1
        elif free:
            wrong += 1
        else:
            missing += 1
    return wrong, missing, first


def _flipped(mine: Sequence[Negation], theirs: Sequence[Negation], ours: set[str], held: set[str]) -> int:
    return _unmatched(mine, theirs, held) + _unmatched(theirs, mine, ours)


def _unmatched(negated: Sequence[Negation], others: Sequence[Negation], stems: set[str]) -> int:
    """Return how many negations reach first to words that the other text has, and has not negated."""
    reached = {s for n in others for s in n.stems}
    count = 0
    for n in negated:
        head = [s for s in n.stems[:_HEAD] if s in stems]
        count += bool(head) and all(s not in reached for s in head)
    return count


def _opposed(said: Facts, given: Facts) -> int:
    mine, theirs = ({(d.axis, d.sign) for d in f.directions} for f in (said, given))
    return sum(
        (axis, sign) not in theirs and (axis, -sign) in theirs and (axis, -sign) not in mine for axis, sign in mine
    )
