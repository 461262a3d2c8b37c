"""Which sentences of a passage say what somebody else's sentence says."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence

from rag.words import terms

Near = Callable[[str, Sequence[str]], Sequence[float]]
"""The cosine of a text with each of some others."""

FIGURE = 2.0
"""A term with a digit counts as much as so many others: who says another figure says something else."""

NEAR = 0.3
"""What a cosine of 1 adds to the share of terms, which is at most 1: it decides between equals and paraphrases."""

PAIR = 0.15
"""How much more two sentences side by side must hold than the better one alone: a short quote is checked sooner."""


def supporting(sentence: str, texts: Sequence[str], near: Near | None = None) -> tuple[int, int]:
    """Return the first and last index of the text, or of the two neighbours, that support a sentence best.

    Terms are shared stems; one that stands in many of the texts tells little between them.

    >>> supporting("It cost 5 million.", ["The bridge is old.", "It had a cost.", "They paid 5 million."])
    (1, 2)
    """
    held = [frozenset(terms(t)) for t in texts]
    seen = Counter(term for h in held for term in h)
    weights = {
        t: (FIGURE if any(c.isdigit() for c in t) else 1.0) / math.sqrt(seen[t] or 1) for t in set(terms(sentence))
    }
    whole = sum(weights.values()) or 1.0
    close = list(near(sentence, texts)) if near else [0.0] * len(texts)

    def share(of: frozenset[str]) -> float:
        return sum(w for t, w in weights.items() if t in of) / whole

    alone = [share(h) + NEAR * c for h, c in zip(held, close, strict=True)]
    best = max(range(len(texts)), key=lambda i: (alone[i], -i))
    pairs = [share(held[i] | held[i + 1]) + NEAR * max(close[i : i + 2]) for i in range(len(texts) - 1)]
    if pairs:
        two = max(range(len(pairs)), key=lambda i: (pairs[i], -i))
        if pairs[two] >= alone[best] + PAIR:
            return two, two + 1
    return best, best
