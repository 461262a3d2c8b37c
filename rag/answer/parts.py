"""A question that asks several things, as the questions that it asks."""

from __future__ import annotations

import re

from rag.answer.asked import asked
from rag.converse import PRONOUN, standalone
from rag.words import terms

MOST = 3
"""Questions in one, at most; a text that holds more is taken as a whole."""

LEAST = 2
"""Content words of each."""

_ASKS = r"(?:(?:in|on|at|by|from|for|to|with|of|since)\s+)?(?:who|whom|whose|when|where|why|how|what|which)\b"
_BETWEEN = re.compile(rf"\?\s+(?:and\s+)?(?=\w)|(?:[,;]\s*|(?<=\S)\s)\s*and\s+(?={_ASKS})", re.IGNORECASE)
_QUESTION = re.compile(rf"\W*{_ASKS}", re.IGNORECASE)
_WORD_THAT_ASKS = re.compile(r"\b(?:who|whom|whose|when|where|why|how|what|which)\b", re.IGNORECASE)
_COUNTED = re.compile(r"\W*(?:\w+\s+)?(?:how (?:many|much)|which|what)\b", re.IGNORECASE)
_VERB = re.compile(
    r"\b(?:did|do|does|is|are|was|were|has|have|had|will|would|can|could|should|may|might|must)\b", re.IGNORECASE
)


def as_asked(part: str, question: str) -> str:
    """Return a part as the question has it, without what `parts` put in brackets behind it.

    >>> as_asked("who built it? (Orsk)", "When was the Orsk bridge built, and who built it?")
    'who built it?'
    """
    return part if part in question else part.rpartition(" (")[0] or part


def parts(question: str) -> list[str]:
    """Return the questions that one asks, each so that it stands alone; itself if it asks one thing.

    >>> parts("When was the Orsk bridge built, and who built it?")
    ['When was the Orsk bridge built', 'who built it? (Orsk)']
    >>> parts("Who built ships and guns?")
    ['Who built ships and guns?']
    """
    found = _BETWEEN.split(question)
    if not 1 < len(found) <= MOST or not all(_QUESTION.match(p) for p in found):
        return [question]
    # "What is known of how it fell" asks one thing, and so does "How many men and how many women came?".
    counted = _COUNTED.match(found[0]) and not _VERB.search(found[0])
    if counted or any(len(_WORD_THAT_ASKS.findall(p)) > 1 for p in found):
        return [question]
    first = [{"role": "user", "content": found[0]}]
    # One with a figure of its own, a year, needs none, but for whom it means by "it".
    whole = [bool(asked(p).figures) and not PRONOUN.search(p) for p in found]
    alone = [found[0], *(p if w else standalone(p, first) for p, w in zip(found[1:], whole[1:], strict=True))]
    return alone if all(len(set(terms(p))) >= LEAST for p in alone) else [question]
