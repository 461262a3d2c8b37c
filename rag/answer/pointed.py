"""Which words of a sentence answer: a date or number where one is asked for, else what the model points to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rag.answer.asked import Asked, asked
from rag.answer.facts import facts
from rag.words import words

Span = tuple[int, int]
Token = tuple[int, int, float]
"""Characters [start:end] of the sentence, and the log-odds that they are of the answer."""

SURE = {"who": 0.5}
"""Share of what the model points to that a sentence must have for its words to be emphasised, by what is asked for."""
SURE_OF_OTHERS = 0.8

BESIDE = 3.0
"""Log-odds below the likeliest token that one beside it may be and still belong to the answer."""


def pointed(question: str, text: str, tokens: Sequence[Token], share: float | None) -> Span | None:
    """Return the characters of a sentence that answer, or None where none stand out.

    `share` is what the sentence has of all that the model points to in its passage, None where it was not asked.

    >>> text, tokens = "It sailed on 3 May 1987, under Ilse Brandt.", [(10, 12, -9), (13, 14, -4), (31, 35, 2)]
    >>> [text[slice(*pointed(q, text, tokens, 0.9))] for q in ("When did it sail?", "Who was its captain?")]
    ['3 May 1987', 'Ilse Brandt']
    """
    about = asked(question)
    found = [span for span in _of_kind(about, text) if _new(about, text[slice(*span)])]
    if found:
        return max(found, key=lambda span: (_mean(tokens, span), -span[0]))
    if not tokens or share is None or share < SURE.get(about.kind, SURE_OF_OTHERS):
        return None
    span = _around(text, tokens)
    return span if _new(about, text[slice(*span)]) else None


def _of_kind(about: Asked, text: str) -> Iterator[Span]:
    """Yield the dates or the numbers, if these are asked for."""
    if about.kind == "when":
        yield from ((d.start, d.end) for d in facts(text).dates)
    elif about.kind == "number":
        # The third is no count.
        counts = [n for n in facts(text).numbers if not n.ordinal]
        # "1,960 Russian peacekeepers for five years": what is counted stands behind its number.
        counted = [n for n in counts if about.focus.intersection(n.nouns)]
        for n in counted or counts:
            # A unit stands behind its number, a sign before it.
            if not about.unit or about.unit.search(text[max(n.start - 2, 0) : n.end + 16]):
                yield n.start, n.end


def _mean(tokens: Sequence[Token], span: Span) -> float:
    held = [odds for start, end, odds in tokens if start < span[1] and span[0] < end]
    return sum(held) / len(held) if held else float("-inf")


def _around(text: str, tokens: Sequence[Token]) -> Span:
    """Return the likeliest token with those beside it that are nearly as likely, as whole words and whole facts."""
    first = last = max(range(len(tokens)), key=lambda i: tokens[i][2])
    least = tokens[first][2] - BESIDE
    while first > 0 and tokens[first - 1][2] > least:
        first -= 1
    while last < len(tokens) - 1 and tokens[last + 1][2] > least:
        last += 1
    start, end = tokens[first][0], tokens[last][1]
    said = facts(text)
    for a, b in [(f.start, f.end) for kind in (said.names, said.dates, said.numbers) for f in kind]:
        if a < end and start < b:
            start, end = min(start, a), max(end, b)
    while start > 0 and text[start - 1].isalnum():
        start -= 1
    while end < len(text) and text[end].isalnum():
        end += 1
    return start, end


def _new(about: Asked, said: str) -> bool:
    held = set(words(said))
    return bool(held) and not about.words >= held
