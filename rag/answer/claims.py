"""What a sentence answers: the figure, date, name or yes and no that it gives to a question, if it gives one.

A sentence states a claim when it holds what the question says and, in one clause, values of the kind asked for.
Whoever compares claims must be able to trust them, so a sentence in doubt states none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rag.answer.facts import Date, Name, facts
from rag.answer.measured import Measured, measured, shares
from rag.answer.wanted import Wanted, roots
from rag.types import EvidenceSentence
from rag.words import stem

_CLAUSE = re.compile(
    r"[;:()—–]|,\s(?=(?:and|but|while|whereas|although|though|which|who|where|when|so|because|according|by|in|with|as|"
    r"after|before|ahead|behind|not)\b)|\s(?=that\s(?!the\b)?)|\s(?=(?:while|whereas|although)\s)"
)
_RELATIVE = re.compile(r"\W*(?:which|who|where|whose)\b", re.IGNORECASE)
_ATTRIBUTED = re.compile(
    r"\b(?:according to|by (?:the|an?|their|his|her|its|this|that) [\w' -]*?(?:count|survey|estimate|figures?|report"
    r"|study|calculation|census|measurement)"
    r"|in (?:an?|the) (?:\w+ )?(?:report|study|survey|statement|interview|announcement))\b.*",
    re.IGNORECASE | re.DOTALL,
)
_EARLIER = re.compile(
    r"\b(?:earlier|previous(?:ly)?|former(?:ly)?|original(?:ly)?|initial(?:ly)?|hitherto|used to|until then"
    r"|would have|might have|could have)\b",
    re.IGNORECASE,
)
_WHERE = re.compile(r"\b(?:in|at|of|for|from|near|within|across|among|on)\s+(?:the\s+)?$", re.IGNORECASE)
_TITLES = frozenset(
    "mount mt lake river hurricane storm cyclone president minister prime king queen sir dr mr mrs ms general saint st "
    "city state republic".split()
)
_LINK = r"(?:\w+\s+){0,2}?(?:is|are|was|were|has|had|have|became|becomes|remains|remained)\b"
_BEFORE = re.compile(rf"^\s*(?:{_LINK}[\w\s]{{0,24}})?$", re.IGNORECASE)
_AFTER = re.compile(
    r"^[\w\s]{0,20}?\b(?:is|are|was|were|became|remains|by)\s+(?:(?:the|an?|now|still|officially)\s+){0,2}$",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W_]+")
_MONEY = frozenset(("$", "€", "£", "¥", "yuan", "rupee", "lira", "rouble", "franc", "manat"))


MISSING = 4
"""One in so many of the question's words, names aside, may be worded otherwise."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What one sentence answers.

    `values` stand in one clause, at `spans` of the sentence.  `where` and `when` are the places and dates of the clause
    that the question does not name, and `extra` the words that narrow what is counted or stand in a name with the
    question's own: they may make it a claim about something else.
    """

    sentence: EvidenceSentence
    values: tuple[Measured | Date | Name | bool, ...]
    spans: tuple[tuple[int, int], ...]
    where: frozenset[str] = frozenset()
    when: tuple[Date, ...] = ()
    extra: frozenset[str] = frozenset()


def claim(want: Wanted, sentence: EvidenceSentence) -> Claim | None:
    """Return what a sentence answers, or None where it gives no answer that can be compared."""
    if want.kind is None or not want.stems:
        return None
    if _EARLIER.search(sentence.text) and not _EARLIER.search(want.question):
        return None
    said = roots(sentence.text)
    missing = want.stems - said
    if missing:
        if want.kind in ("name", "truth") or not want.stems & said:
            return None
        # A name may stand in the title or before the sentence, which goes on from there; a verb may not.
        names, others = missing & want.names, missing - want.names
        if not names <= roots(_before(sentence)) or len(others) * MISSING > len(want.stems - want.names):
            return None
    return _MAKERS[want.kind](want, sentence)


def _figure(want: Wanted, sentence: EvidenceSentence) -> Claim | None:
    text = sentence.text
    found = facts(text).numbers
    fitting = [m for m in (*(measured(n, text) for n in found), *shares(found, text)) if _fits(want, m, text)]
    clause = _best_clause(want, text, [(m.start, m.end) for m in fitting])
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
    clause = _best_clause(want, text, [(d.start, d.end) for d in fitting])
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
    start, end = asked_for[0].start(), asked_for[-1].end()
    new = [n for n in named if n.end <= start or n.start >= end]
    fitting = [n for n in new if n.end <= start and _BEFORE.match(text[n.end : start])]
    fitting = fitting[-1:] or [n for n in new if n.start >= end and _AFTER.match(text[end : n.start])][:1]
    if not fitting:
        return None
    spans = tuple((n.start, n.end) for n in fitting)
    return _made(want, sentence, tuple(fitting), spans, (start, end), frozenset())


def _truth(want: Wanted, sentence: EvidenceSentence) -> Claim | None:
    """Return whether a sentence affirms or denies what the question says."""
    negated = [n for n in facts(sentence.text).negations if want.stems & {stem(s) for s in n.stems}]
    spans = tuple((n.start, n.end) for n in negated)
    return _made(want, sentence, (not negated,), spans, (0, len(sentence.text)), frozenset())


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
    )  # fmt: skip
    # "Blue Nile" where the Nile is asked for; "in Blue Nile" counts as a place already.
    beside = {w for n in inside if set(n.words) & want.about.words for w in n.words} - want.about.words - _TITLES
    return Claim(sentence, values, spans, frozenset(where), when, extra | beside)


def _best_clause(want: Wanted, text: str, spans: Sequence[tuple[int, int]]) -> tuple[int, int] | None:
    """Return the clause with a value that holds most of what is asked; all of them where none does.

    None where the clause is about something else: it has a name of its own, and the question's is in another.
    """
    if not spans:
        return None
    clauses = [c for c in _clauses(text) if any(c[0] <= a < c[1] for a, _ in spans)]
    holds = [len(want.stems & roots(text[a:b])) for a, b in clauses]
    best = [c for c, n in zip(clauses, holds, strict=True) if n == max(holds)]
    if len(best) != 1:
        return (min(a for a, _ in best), max(b for _, b in best))
    start, end = best[0]
    here, everywhere = roots(text[start:end]), roots(text)
    lacking = (want.names & everywhere) - here
    own = [n for n in facts(text).names if start <= n.start < end and not set(n.words) & want.about.words]
    return None if lacking and own else best[0]


def _clauses(text: str) -> list[tuple[int, int]]:
    """Return the clauses of a sentence; one that begins with "which" takes in the name right before it."""
    starts = [0, *(m.end() for m in _CLAUSE.finditer(text))]
    found = []
    for a, b in zip(starts, [*starts[1:], len(text)], strict=True):
        if _RELATIVE.match(text, a):
            before = [n for n in facts(text).names if n.end <= a and not _WORD.search(text, n.end, a)]
            a = before[-1].start if before else a
        found.append((a, b))
    return found


def _before(sentence: EvidenceSentence) -> str:
    """Return the title and what stands before a sentence in its passage, which it may go on from."""
    p = sentence.hit.passage
    return f"{sentence.hit.article.title} {p.text[: max(sentence.start - p.start, 0)]}"
