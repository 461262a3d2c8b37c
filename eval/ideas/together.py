"""What gained a little alone, together: the best sentence, words side by side, and the weight."""

from __future__ import annotations

import itertools

import numpy as np
from cases import Case, Scores, best_passages, share, top
from fusion import Idea
from lexical import bm25


def together(case: Case, sentence: float, pairs: float, weight: float) -> Scores:
    """Return the fusion with a part of the best sentence's cosine, and of pairs of words."""
    dense = (1 - sentence) * case.dense + sentence * case.sentence
    words = case.lexical + pairs * bm25(case, "pairs").scores(case.texts)
    kept = top(words, 100) & (words > 0)
    among = top(dense, 100) | kept
    mixed = weight * share(dense, among) + (1 - weight) * share(np.where(kept, words, 0), among)
    return best_passages(case, np.where(among, mixed, -2))


IDEAS: dict[str, dict[str, Idea]] = {
    "best sentence and words side by side": {
        "sentence {}, pairs {}, weight {}".format(*p): lambda c, p=p: together(c, *p)
        for p in itertools.product((0.2, 0.3), (0.15, 0.3), (0.65, 0.7))
    },
}
