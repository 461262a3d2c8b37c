"""What gained a little alone, together: best sentence, the article's mean vector, words side by side, the weight."""

from __future__ import annotations

import itertools

import numpy as np
from cases import Case, Scores, best_passages, share, top
from fusion import Idea
from lexical import bm25


def together(case: Case, sentence: float, mean: float, pairs: float, weight: float) -> Scores:
    """Return the fusion with parts of the best sentence's and the article's cosine, and of pairs of words."""
    means = np.zeros((len(case.articles), case.vectors.shape[1]), np.float32)
    np.add.at(means, case.article, case.vectors)
    means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-9)
    whole = (case.asked @ means.T)[:, case.article]
    dense = (1 - sentence - mean) * case.dense + sentence * case.sentence + mean * whole
    words = case.lexical
    if pairs:
        words = words + pairs * bm25(case, "pairs").scores(case.texts)
    kept = top(words, 100) & (words > 0)
    among = top(dense, 100) | kept
    mixed = weight * share(dense, among) + (1 - weight) * share(np.where(kept, words, 0), among)
    return best_passages(case, np.where(among, mixed, -2))


def points(*axes: tuple[float, ...]) -> dict[str, Idea]:
    """Return every combination of some values."""
    return {
        "sentence {}, mean {}, pairs {}, weight {}".format(*p): lambda c, p=p: together(c, *p)
        for p in itertools.product(*axes)
    }


IDEAS: dict[str, dict[str, Idea]] = {
    "pairs and the mean vector": points((0.0,), (0.2, 0.4), (0.15, 0.3, 0.5), (0.6, 0.65, 0.7)),
    "these and the best sentence": points((0.2, 0.3, 0.4), (0.0, 0.2, 0.4), (0.15, 0.3, 0.5), (0.65, 0.7)),
}
