"""Other ways to put dense and lexical scores together.

Normalisations: Bruch, Gai and Ingber, TOIS 2023.  Reciprocal ranks: Cormack, Clarke and Büttcher, SIGIR 2009.  A weight
that follows the question: questions whose best lexical score stands out lean on words.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from cases import Case, Scores, best_passages, candidates, fused, share, top

Idea = Callable[[Case], Scores]


def scaled(case: Case, how: str, weight: float) -> Scores:
    """Return a weighted sum of scores brought to one scale: min-max, z-scores or ranks."""
    among = candidates(case)
    words = np.where(top(case.lexical, 100), case.lexical, 0)

    def bring(scores: Scores) -> Scores:
        inside = np.where(among, scores, np.nan)
        if how == "minmax":
            low, high = np.nanmin(inside, axis=1, keepdims=True), np.nanmax(inside, axis=1, keepdims=True)
            return (scores - low) / np.maximum(high - low, 1e-9)
        if how == "z":
            return (scores - np.nanmean(inside, axis=1, keepdims=True)) / (
                np.nanstd(inside, axis=1, keepdims=True) + 1e-9
            )
        ranks = np.argsort(np.argsort(-scores, axis=1, kind="stable"), axis=1)
        return np.where(scores > 0, 1 / (60 + ranks + 1), 0)

    mixed = weight * bring(case.dense) + (1 - weight) * bring(words)
    return best_passages(case, np.where(among, mixed, mixed.min() - 1 if how == "z" else -2))


def whole_lexical(case: Case, weight: float, depth: int) -> Scores:
    """Return the shipped fusion, with the true lexical score of every candidate that the dense side found."""
    among = candidates(case, depth)
    mixed = weight * share(case.dense, among) + (1 - weight) * share(case.lexical, among)
    return best_passages(case, np.where(among, mixed, -2))


def by_question(case: Case, weight: float, slope: float) -> Scores:
    """Return the shipped fusion with a weight that falls where the best lexical score stands out from the tenth."""
    among = candidates(case)
    words = np.where(top(case.lexical, 100), case.lexical, 0)
    k = min(10, words.shape[1])
    tenth = np.partition(words, -k, axis=1)[:, -k]
    stands_out = 1 - tenth / np.maximum(words.max(axis=1), 1e-9)
    w = np.clip(weight - slope * (stands_out - stands_out.mean()), 0, 1)[:, None]
    return best_passages(case, np.where(among, w * share(case.dense, among) + (1 - w) * share(words, among), -2))


WEIGHTS = (0.5, 0.6, 0.65, 0.7, 0.8)
IDEAS: dict[str, dict[str, Idea]] = {
    "weight": {f"{w}": lambda c, w=w: best_passages(c, fused(c, w)) for w in WEIGHTS},
    "depth": {f"{d}": lambda c, d=d: best_passages(c, fused(c, 0.65, d)) for d in (20, 50, 100, 200, 400)},
    "min-max": {f"{w}": lambda c, w=w: scaled(c, "minmax", w) for w in WEIGHTS},
    "z-scores": {f"{w}": lambda c, w=w: scaled(c, "z", w) for w in WEIGHTS},
    "reciprocal ranks": {f"{w}": lambda c, w=w: scaled(c, "rank", w) for w in WEIGHTS},
    "lexical score of every candidate": {
        f"{w}, depth {d}": lambda c, w=w, d=d: whole_lexical(c, w, d) for w in (0.6, 0.65, 0.7) for d in (100, 400)
    },
    "weight by question": {f"slope {s}": lambda c, s=s: by_question(c, 0.65, s) for s in (-0.4, -0.2, 0.2, 0.4)},
}
