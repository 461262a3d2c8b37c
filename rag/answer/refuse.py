"""What to say where the articles do not answer: that, and what of the question they lack."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches

from rag.answer import lacking
from rag.answer.asked import asked
from rag.answer.names import runs
from rag.handover import Evidence
from rag.intake.text import fold
from rag.types import Hit
from rag.words import terms, words

ABSTAINED = "The articles do not seem to answer this."

TOLD = 3
"""Missing words that are told, at most."""

MOST = 6
"""Names that no passage has together, at most."""

LONG = 5
"""Letters of a word, no name and no figure, whose absence tells something."""

NEAR = 0.5
"""Share of a question's content words that a passage has which is about it."""

SLIP = 0.8
"""How alike a word of the passages must be to pass for what was meant, as difflib measures it; 1 is equal."""

_WORD = re.compile(r"[^\W\d_]+")
_NUMBER = re.compile(r" \d{1,3}\b(?![.,]\d)(?!\s+[a-z])")
_ASKING = frozenset(terms("compare describe explain please summarise summarize happen difference become"))
"""Stems of words that ask, and need not be in what answers."""

_OF_KIND = {
    "when": "when it was",
    "where": "where it was",
    "who": "who or what it was",
    "number": "the number asked for",
    "why": "why",
}


def refusal(evidence: Evidence) -> str:
    """Return why a question is not answered, in a sentence or two."""
    if not evidence.hits:
        return f"{ABSTAINED} No passage was found for it."
    question, every = evidence.question, lacking.mentioned(evidence.hits)
    found = lacking.figures(question, every) + lacking.figures(question, every, years=True)
    if unknown := lacking.names(question, every) + found:
        near = _alike([w for n in unknown for w in n.split() if not w[0].isdigit()], evidence.hits)
        told = f"; it does mention {_listed(near[:TOLD], 'and')}" if near else ""
        return f"{ABSTAINED} Nothing that was found mentions {_listed(unknown[:TOLD])}{told}."
    about, names = asked(question), _names(lacking.itself(question))
    if len(names) > 1 and all(lacking.names(question, lacking.mentioned([h])) for h in evidence.hits):
        return f"{ABSTAINED} No passage that was found speaks of {_listed(names[:MOST], 'and')} together."
    by_hit = [set(terms(f"{h.article.title} {h.passage.text}")) for h in evidence.hits]
    stems = set().union(*by_hit)
    said = [w for w in dict.fromkeys(words(evidence.question)) if len(w) >= LONG and not _ASKING.issuperset(terms(w))]
    if unknown := [w for w in said if not stems.issuperset(terms(w))]:
        near = _alike(unknown, evidence.hits)
        told = f"; they have {_listed(near[:TOLD], 'and')}" if near else ""
        return f"{ABSTAINED} No passage that was found has the word {_listed(unknown[:TOLD])}{told}."
    wanted = about.terms - _ASKING
    if not wanted or not any(len(wanted & held) >= NEAR * len(wanted) for held in by_hit):
        return f"{ABSTAINED} No passage that was found is clearly about it."
    if about.kind in _OF_KIND:
        return f"{ABSTAINED} The nearest passages are about it, but do not clearly say {_OF_KIND[about.kind]}."
    return f"{ABSTAINED} The nearest passages are about it, but do not clearly say this."


def _alike(unknown: Sequence[str], hits: Sequence[Hit]) -> list[str]:
    """Return words of the hits that differ from unknown ones by a letter or two, as a slip of the keyboard does."""
    held: dict[str, str] = {}
    for hit in hits:
        for word in _WORD.findall(f"{hit.article.title} {hit.passage.text}"):
            if len(word) >= LONG:
                held.setdefault(fold(word), word)
    # Another form of the same word is no slip.
    near = (get_close_matches(f, held, 1, SLIP) for w in unknown if len(f := fold(w)) >= LONG and f not in held)
    return [held[n] for n in dict.fromkeys(n for found in near for n in found)]


def _names(question: str) -> list[str]:
    found = []
    for first, run in runs(question):
        if not first or len(run) > 1:
            # "Block 70" is cut at no figure.
            number = _NUMBER.match(question, run[-1].end())
            end = number.end() if number else run[-1].end()
            found.append(re.sub(r"['’]s?$", "", question[run[0].start() : end]))
    return [n for n in dict.fromkeys(found) if words(n)]


def _listed(names: Sequence[str], last: str = "or") -> str:
    told = [f"“{n}”" for n in names]
    return told[0] if len(told) == 1 else f"{', '.join(told[:-1])} {last} {told[-1]}"
