"""What to say where the articles do not answer: that, and what of the question they lack."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rag.answer.asked import asked, name_runs
from rag.types import Evidence, Hit
from rag.words import terms, words

ABSTAINED = "The articles do not seem to answer this."

TOLD = 3
"""Missing words that are told, at most."""

_OF_KIND = {
    "when": "when it was",
    "where": "where it was",
    "who": "who or what it was",
    "number": "the number asked for",
    "why": "why",
}


def refusal(evidence: Evidence) -> str:
    """Return why a question is not answered, in a sentence or two."""
    lacking = missing(evidence.question, evidence.hits)
    if not evidence.hits:
        return f"{ABSTAINED} No passage was found for it."
    if lacking:
        return f"{ABSTAINED} Nothing that was found mentions {_listed(lacking[:TOLD])}."
    about = asked(evidence.question)
    names = _names(evidence.question)
    apart = len(names) > 1 and not any(_held(h).issuperset(w for n in names for w in words(n)) for h in evidence.hits)
    if apart:
        return f"{ABSTAINED} No passage that was found speaks of {_listed(names[:TOLD], 'and')} together."
    if about.kind in _OF_KIND:
        return f"{ABSTAINED} The nearest passages are about it, but do not clearly say {_OF_KIND[about.kind]}."
    return f"{ABSTAINED} The nearest passages are about it, but do not clearly say this."


def missing(question: str, hits: Sequence[Hit]) -> list[str]:
    """Return the names and figures of a question that no hit holds, as the question writes them, else other words."""
    about = asked(question)
    held = set().union(*(_held(h) for h in hits)) if hits else set()
    names = [n for n in (*_names(question), *sorted(about.figures)) if words(n) and not held.issuperset(words(n))]
    if names:
        return names
    stems = {t for h in hits for t in terms(f"{h.article.title} {h.passage.text}")}
    return [w for w in dict.fromkeys(words(question)) if (t := terms(w)) and not stems.issuperset(t)]


def _names(question: str) -> list[str]:
    runs = [re.sub(r"['’]s?$", "", " ".join(run)) for run in name_runs(question)]
    return [n for n in dict.fromkeys(runs) if words(n)]


def _held(hit: Hit) -> set[str]:
    return set(words(f"{hit.article.title} {hit.passage.text}"))


def _listed(names: Sequence[str], last: str = "or") -> str:
    told = [f"“{n}”" for n in names]
    return told[0] if len(told) == 1 else f"{', '.join(told[:-1])} {last} {told[-1]}"
