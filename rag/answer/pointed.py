"""Which words of a sentence answer: what is of the kind asked for and not in the question, if there is such."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rag.answer.asked import Asked, asked
from rag.answer.facts import facts
from rag.words import words

Span = tuple[int, int]
Likely = Callable[[int, int], float]
"""How likely characters [start:end] of the sentence are to be the answer; only to compare."""


def pointed(question: str, text: str, likely: Likely) -> Span | None:
    """Return the characters of a sentence that answer, or None where nothing of the kind asked for stands out.

    >>> text = "It sailed first on 3 May 1987, under captain Ilse Brandt."
    >>> [text[slice(*pointed(q, text, lambda a, b: 0))] for q in ("When did it sail first?", "Who was its captain?")]
    ['3 May 1987', 'Ilse Brandt']
    """
    about = asked(question)
    found = list(_of_kind(about, text))
    return max(found, key=lambda span: (likely(*span), -span[0])) if found else None


def _of_kind(about: Asked, text: str) -> Iterator[Span]:
    """Yield what is of the kind asked for.  Of other kinds, places too, what was found was mostly not the answer."""
    said = facts(text)
    if about.kind == "when":
        yield from ((d.start, d.end) for d in said.dates if _new(about, text[d.start : d.end]))
    elif about.kind == "number":
        for n in said.numbers:
            # A unit stands behind its number, a sign before it.
            if _new(about, text[n.start : n.end]) and (
                not about.unit or about.unit.search(text[max(n.start - 2, 0) : n.end + 16])
            ):
                yield n.start, n.end
    elif about.kind == "who":
        yield from ((n.start, n.end) for n in said.names if _new(about, text[n.start : n.end]))


def _new(about: Asked, said: str) -> bool:
    held = set(words(said))
    return bool(held) and not about.words >= held
