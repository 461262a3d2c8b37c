"""Which clause of a sentence speaks of what a question asks: the Nile's length is not the Amazon's beside it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rag.answer.facts import facts
from rag.answer.wanted import Wanted, roots

_CLAUSE = re.compile(
    r"[;:()—–]|,\s(?=(?:and|but|while|whereas|although|though|which|who|where|when|so|because|according|by|in|with|as|"
    r"after|before|ahead|behind|not)\b)|\s(?=that\s)|\s(?=(?:while|whereas|although)\s)"
)
_RELATIVE = re.compile(r"\W*(?:which|who|where|whose)\b", re.IGNORECASE)
_WORD = re.compile(r"[^\W_]+")


def best_clause(want: Wanted, text: str, spans: Sequence[tuple[int, int]]) -> tuple[int, int] | None:
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
