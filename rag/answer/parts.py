"""A question that asks several things, as the questions that it asks."""

from __future__ import annotations

import re

from rag.converse import standalone
from rag.words import terms

MOST = 3
"""Questions in one, at most; a text that holds more is taken as a whole."""

LEAST = 2
"""Content words of each."""

_ASKS = r"(?:(?:in|on|at|by|from|for|to|with|of|since)\s+)?(?:who|whom|whose|when|where|why|how|what|which)\b"
_BETWEEN = re.compile(rf"\?\s+(?:and\s+)?(?=\w)|[,;]?\s+and\s+(?={_ASKS})", re.IGNORECASE)
_QUESTION = re.compile(rf"\W*{_ASKS}", re.IGNORECASE)


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
    first = [{"role": "user", "content": found[0]}]
    alone = [found[0], *(standalone(p, first) for p in found[1:])]
    return alone if all(len(set(terms(p))) >= LEAST for p in alone) else [question]
