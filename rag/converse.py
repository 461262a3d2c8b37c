"""A follow-up question and its history -> a question that stands alone."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from rag.answer.asked import asked

_OPENS = re.compile(r"^\W*(?:and|but|or|also|then|what about|how about)\b", re.IGNORECASE)
_PRONOUN = re.compile(
    r"\b(?:it|its|they|them|their|theirs|he|him|his|she|her|hers|this|that|these|those)\b", re.IGNORECASE
)
_TURNS = 3
"""How many questions back a subject is looked for."""


def standalone(question: str, history: Sequence[Mapping[str, str]] = ()) -> str:
    """Return the question with the names it leans on, taken from the questions before, in brackets behind it.

    A question that leans on nothing is returned as it is.

    >>> standalone("When did it first fly?", [{"role": "user", "content": "Who builds the Kaan fighter?"}])
    'When did it first fly? (Kaan)'
    """
    own = asked(question)
    # A pronoun beside a name most often means that name, or nothing before it.
    if not _OPENS.search(question) and (own.names or not _PRONOUN.search(question)):
        return question
    asked_before = [m.get("content", "") for m in history if m.get("role") == "user"]
    for before in reversed(asked_before[-_TURNS:]):
        names = [n for n in asked(before).names if n.lower() not in own.words]
        if names:
            return f"{question} ({', '.join(names)})"
    return question
