"""A follow-up question and its history -> a question that stands alone."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from rag.answer.asked import asked

_LEANS = re.compile(
    r"^\W*(?:and|but|what about|how about|or|also|then)\b|"
    r"\b(?:it|its|they|them|their|theirs|he|him|his|she|her|hers|this|that|these|those|there|one|ones)\b",
    re.IGNORECASE,
)
_TURNS = 3
"""How many questions back a subject is looked for."""


def standalone(question: str, history: Sequence[Mapping[str, str]] = ()) -> str:
    """Return the question with the names it leans on, taken from the questions before, in brackets behind it.

    A question that leans on nothing is returned as it is.

    >>> standalone("When did it first fly?", [{"role": "user", "content": "Who builds the Kaan fighter?"}])
    'When did it first fly? (Kaan)'
    """
    if not _LEANS.search(question):
        return question
    own = asked(question)
    asked_before = [m.get("content", "") for m in history if m.get("role") == "user"]
    for before in reversed(asked_before[-_TURNS:]):
        names = [n for n in asked(before).names if n.lower() not in own.words]
        if names:
            return f"{question} ({', '.join(names)})"
    return question
