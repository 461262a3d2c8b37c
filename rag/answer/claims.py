"""What a sentence answers: the figure, date, name or yes and no that it gives to a question, if it gives one.

A sentence states a claim when it holds what the question says and, in one clause, values of the kind asked for.
Whoever compares claims must be able to trust them, so a sentence in doubt states none.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from rag.answer.clauses import best_clause
from rag.answer.facts import Date, Direction, Name, facts
from rag.answer.measured import Measured, measured, shares
from rag.answer.wanted import Wanted, root, roots
from rag.handover import EvidenceSentence
from rag.words import stem

_ATTRIBUTED = re.compile(
    r"\b(?:according to|by (?:the|an?|their|his|her|its|this|that) [\w' -]*?(?:count|survey|estimate|figures?|report"
    r"|study|calculation|census|measurement)"
    r"|in (?:an?|the) (?:\w+ )?(?:report|study|survey|statement|interview|announcement))\b.*",
    re.IGNORECASE | re.DOTALL,
)
# What was held once, or may come to be, is no claim of how it is.
_NOT_SO = re.compile(
    r"\b(?:earlier|previous(?:ly)?|former(?:ly)?|original(?:ly)?|initial(?:ly)?|hitherto|used to|until then"
    r"|would have|could|might|(?-i:may)|unless)\b",
    re.IGNORECASE,
)
_PLACED = r"\b(?:in|at|of|for|from|near|within|across|among|on|over|off|outside)\s+(?:the\s+)?$"
_WHERE = re.compile(_PLACED, re.IGNORECASE)
_RIGHT_THERE = re.compile(rf"\s*(?:down|up|out|away|back)?\s*{_PLACED}", re.IGNORECASE)
_ASKS_WHERE = re.compile(r"\W*where\b", re.IGNORECASE)
_MOST = re.compile(r"\bmost\b|\bthan any\b", re.IGNORECASE)
_TITLES = frozenset(
    "mount mt lake river hurricane storm cyclone president minister prime king queen sir dr mr mrs ms general saint st "
    "city state republic".split()
)
_LINK = r"(?:\w+\s+){0,2}?(?:is|are|was|were|has|had|have|became|becomes|remains|remained)\b"
_BEFORE = re.compile(
    rf"^\s*(?:{_LINK}\s*(?:(?:the|an?|now|still|also|more|most|often|usually|widely|generally|officially|called|named|said"
    r"|to|be|as|known|considered|regarded)\s+){0,4})?$",
    re.IGNORECASE,
)
_AFTER = re.compile(
    r"^[\w\s]{0,20}?\b(?:is|are|was|were|became|remains|by)\s+(?:(?:the|an?|now|still|officially)\s+){0,2}$",
    re.IGNORECASE,
)
_GOES_ON = re.compile(r"\s+(?!(?:in|of|on|at|and|or|by|with|from|for|as|who|which|since|until|after)\b)[a-z]")
_WORD = re.compile(r"[^\W_]+")
_MONEY = frozenset(("$", "€", "£", "¥", "yuan", "rupee", "lira", "rouble", "franc", "manat"))


MISSING, HELD = 1, 3
"""So many of the question's words, names aside, may be worded otherwise, if so many are there."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What one sentence answers.

    `values` stand in one clause, at `spans` of the sentence.  `where` and `when` are the places and dates of the clause
    that the question does not name, and `extra` the words that narrow what is counted or stand in a name with the
    question's own: they may make it a claim about something else.  `missing` are the question's words that it words
    otherwise.
    """

    sentence: EvidenceSentence
    values: tuple[Measured | Date | Name | bool, ...]
    spans: tuple[tuple[int, int], ...]
    where: frozenset[str] = frozenset()
    when: tuple[Date, ...] = ()
    extra: frozenset[str] = frozenset()
    missing: frozenset[str] = frozenset()


def claim(want: Wanted, sentence: EvidenceSentence) -> Claim | None:
    """Return what a sentence answers, or None where it gives no answer that can be compared."""
    if want.kind is None or not want.stems:
        return None
    if _NOT_SO.search(sentence.text) and not _NOT_SO.search(want.question):
        return None
    if want.most and not _MOST.search(sentence.text):
        return None
    said = roots(sentence.text)
    if want.kind == "truth":
        said |= _opposed(want, sentence.text).keys()
    missing = want.stems - said
    if missing:
        if want.kind in ("name", "truth"):
            return None
        # A name may stand in the title or before the sentence, which goes on from there; a verb may not.
        names, others = missing & want.names, missing - want.names
        if not names <= roots(_before(sentence)) or len(others) > MISSING:
            return None
        if len(want.stems & said) < (HELD if others else 1):
            return None
    if not _holds_figures(want, f"{_before(sentence)} {sentence.text}"):
        return None
    made = _MAKERS[want.kind](want, sentence)
    return made and replace(made, missing=frozenset(missing - want.names))


def _holds_figures(want: Wanted, text: str) -> bool:
    """Say whether a text holds the question's figures: a fifth season is no answer about season 4."""
    known = {n.low for n in facts(text).numbers}
    return all(n.low in known for n in want.numbers)


def _figure(want: Wanted, sentence: EvidenceSentence) -> Claim | None:
    text = sentence.text
    found = facts(text).numbers
    fitting = [m for m in (*(measured(n, text) for n in found), *shares(found, text)) if _fits(want, m, text)]
    clause = best_clause(want, text, [(m.start, m.end) for m in fitting])
    if clause is None:
        return None
    values = tuple(m for m in fitting if clause[0] <= m.start < clause[1])
    extra = frozenset(stem(w) for m in values for w in _narrowing(want, m, text))
    return _made(want, sentence, values, tuple((m.start, m.end) for m in values), clause, extra)


def _fits(want: Wanted, m: Measured, text: str) -> bool:
    """Say whether a figure is of the kind asked for."""
    if m.number.ordinal or text[m.start : m.end] in want.about.figures:
        return False
    if want.counted:
        return want.counted in (*m.number.nouns, stem(m.number.unit) if m.number.unit else "")
    if want.dimensions:
        said = roots(text)
        return any(m.kind == kind and words & said for kind, words in want.dimensions)
    if want.unit == "money":
        return m.kind in _MONEY
    # A plain count says nothing about a value, which comes with its unit.
    return m.kind == "share" if want.unit == "share" else bool(m.kind)


def _narrowing(want: Wanted, m: Measured, text: str) -> list[str]:
    """Return the words between a figure and what it counts that the question does not have."""
    behind: list[str] = []
    for w in _WORD.findall(text[m.end : m.end + 60])[:3]:
        if stem(w) == want.counted:
            return [w for w in behind if w.lower() not in want.about.words]
        behind.append(w)
    return []


def _date(want: Wanted, sentence: EvidenceSentence) -> Claim | None:
    text = sentence.text
    cut = _ATTRIBUTED.search(text)
    end = cut.start() if cut else len(text)
    fitting = [
        d for d in facts(text).dates
        if d.start < end and (d.year is not None or d.day is not None) and not any(d.agrees(q) for q in want.when)
    ]  # fmt: skip
    clause = best_clause(want, text, [(d.start, d.end) for d in fitting])
    if clause is None:
        return None
    values = tuple(d for d in fitting if clause[0] <= d.start < clause[1])
    return _made(want, sentence, values, tuple((d.start, d.end) for d in values), clause, frozenset())


def _name(want: Wanted, sentence: EvidenceSentence) -> Claim | None:
    """Return the name that a sentence says to be what the question asks for: it stands right before or behind it."""
    text = sentence.text
    named = [n for n in facts(text).names if not set(n.words) <= want.about.words]
    asked_for = [m for m in _WORD.finditer(text) if roots(m.group()) & want.stems]
    # "The University of Bologna" answers which university: its words are not the question's if those stand elsewhere.
    outside = [m for m in asked_for if not any(n.start <= m.start() < n.end for n in named)]
    if want.stems <= {s for m in outside for s in roots(m.group())}:
        asked_for = outside
    if not asked_for:
        return None
    start, end = asked_for[0].start(), asked_for[-1].end()
    new = [n for n in named if n.end <= start or n.start >= end]
    fitting = [n for n in new if n.end <= start and _BEFORE.match(text[n.end : start])]
    fitting = fitting[-1:] or [n for n in new if n.start >= end and _AFTER.match(text[end : n.start])][:1]
    if _ASKS_WHERE.match(want.question):
        fitting = [n for n in new if n.start >= end and _RIGHT_THERE.match(text[end : n.start])][:1]
    fitting = [n for n in fitting if not _describes(n, text, start)]
    if not fitting:
        return None
    spans = tuple((n.start, n.end) for n in fitting)
    return _made(want, sentence, tuple(fitting), spans, (start, end), frozenset())


def _describes(name: Name, text: str, start: int) -> bool:
    """Say whether a name only describes what stands behind it, as in "an American actor" or "Peru's head"."""
    if re.search(r"['’]s?$", text[name.start : name.end]):
        return True
    if name.end <= start:
        return bool(re.search(r"\ban?\s$", text[: name.start], re.IGNORECASE))
    return bool(_GOES_ON.match(text, name.end))


def _truth(want: Wanted, sentence: EvidenceSentence) -> Claim | None:
    """Return whether a sentence affirms or denies what the question says."""
    text = sentence.text
    turned = [d for d in _opposed(want, text).values() if d is not None]
    # "Rejected" is a negation as well as an opposite, and turns round once.
    negated = [
        n for n in facts(text).negations
        if want.stems & {root(s) for s in n.stems} and not any(n.start <= d.start < n.end for d in turned)
    ]  # fmt: skip
    spans = (*((n.start, n.end) for n in negated), *((d.start, d.end) for d in turned))
    return _made(want, sentence, (len(spans) % 2 == 0,), spans, (0, len(text)), frozenset())


def _opposed(want: Wanted, text: str) -> dict[str, Direction | None]:
    """Return the question's words that a text has the opposite of, as rejected for approve, each with that opposite.

    None stands for a word of the same direction: passed for approve.
    """
    found: dict[str, Direction | None] = {}
    there, asked_for = facts(text).directions, facts(want.question).directions
    for asked in asked_for:
        word = root(stem(want.question[asked.start : asked.end]))
        along = [d for d in there if d.axis == asked.axis]
        if word in want.stems and word not in roots(text) and along:
            found[word] = next((d for d in along if d.sign != asked.sign), None)
    return found


_MAKERS: dict[str, Callable[[Wanted, EvidenceSentence], Claim | None]] = {
    "figure": _figure,
    "date": _date,
    "name": _name,
    "truth": _truth,
}


def _made(
    want: Wanted,
    sentence: EvidenceSentence,
    values: tuple[Measured | Date | Name | bool, ...],
    spans: tuple[tuple[int, int], ...],
    clause: tuple[int, int],
    extra: frozenset[str],
) -> Claim:
    text, known = sentence.text, facts(sentence.text)
    cut = _ATTRIBUTED.search(text, clause[0], clause[1])
    start, end = clause[0], cut.start() if cut else clause[1]
    taken = {v for v in values if isinstance(v, Name)}
    inside = [n for n in known.names if start <= n.start < end and n not in taken]
    where = {w for n in inside if _WHERE.search(text, start, n.start) for w in n.words} - want.about.words
    when = tuple(
        d for d in known.dates
        if start <= d.start < end and d not in values and not any(d.agrees(q) for q in want.when)
        and (d.year is not None or d.month is not None)
    )  # fmt: skip
    # "Blue Nile" where the Nile is asked for; "in Blue Nile" counts as a place already.
    beside = {w for n in inside if set(n.words) & want.about.words for w in n.words} - want.about.words - _TITLES
    return Claim(sentence, values, spans, frozenset(where), when, extra | beside)


def _before(sentence: EvidenceSentence) -> str:
    """Return the title and what stands before a sentence in its passage, which it may go on from."""
    p = sentence.hit.passage
    return f"{sentence.hit.article.title} {p.text[: max(sentence.start - p.start, 0)]}"
