"""What stands around a passage: its neighbours, its best sentence, the article's other passages, its title.

Passages of an article put together: Callan, "Passage-Level Evidence in Document Retrieval", SIGIR 1994.
"""

from __future__ import annotations

import numpy as np
from cases import Case, Scores, best_passages, candidates, fused, share, top
from fusion import Idea


def neighbours(case: Case, much: float) -> Scores:
    """Return each passage's score with a part of its better neighbour's in the same article."""
    scores = fused(case)
    same = case.article[1:] == case.article[:-1]
    before, after = np.full_like(scores, -2), np.full_like(scores, -2)
    before[:, 1:] = np.where(same, scores[:, :-1], -2)
    after[:, :-1] = np.where(same, scores[:, 1:], -2)
    beside = np.maximum(np.maximum(before, after), 0)
    return best_passages(case, np.where(scores > -2, (1 - much) * scores + much * beside, -2))


def second(case: Case, much: float) -> Scores:
    """Return the best passage's score with a part of the second best's."""
    scores = fused(case)
    best = best_passages(case, scores)
    first = np.zeros(scores.shape, bool)
    for n in range(len(scores)):
        # Of each article's passages, in falling order, the first one.
        order = np.argsort(-scores[n], kind="stable")
        _, at = np.unique(case.article[order], return_index=True)
        first[n, order[at]] = True
    rest = best_passages(case, np.where(first, -2, scores))
    return np.where(best > -2, best + much * np.maximum(rest, 0), -2)


def best_sentence(case: Case, much: float, weight: float = 0.65) -> Scores:
    """Return the fusion with a part of each passage's best sentence in its dense score."""
    mixed = (1 - much) * case.dense + much * case.sentence
    among = top(mixed, 100) | (top(case.lexical, 100) & (case.lexical > 0))
    words = np.where(top(case.lexical, 100), case.lexical, 0)
    return best_passages(case, np.where(among, weight * share(mixed, among) + (1 - weight) * share(words, among), -2))


def article_mean(case: Case, much: float) -> Scores:
    """Return the fusion with a part of the cosine of the article's mean vector in each passage's dense score."""
    means = np.zeros((len(case.articles), case.vectors.shape[1]), np.float32)
    np.add.at(means, case.article, case.vectors)
    means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-9)
    whole = (case.asked @ means.T)[:, case.article]
    mixed = (1 - much) * case.dense + much * whole
    among = candidates(case)
    words = np.where(top(case.lexical, 100), case.lexical, 0)
    return best_passages(case, np.where(among, 0.65 * share(mixed, among) + 0.35 * share(words, among), -2))


def without_title(case: Case, much: float) -> Scores:
    """Return the fusion with a part of the cosine of the passage without its title in the dense score."""
    mixed = (1 - much) * case.dense + much * case.bare
    among = top(mixed, 100) | (top(case.lexical, 100) & (case.lexical > 0))
    words = np.where(top(case.lexical, 100), case.lexical, 0)
    return best_passages(case, np.where(among, 0.65 * share(mixed, among) + 0.35 * share(words, among), -2))


IDEAS: dict[str, dict[str, Idea]] = {
    "neighbouring passages": {f"{m}": lambda c, m=m: neighbours(c, m) for m in (0.1, 0.2, 0.3)},
    "second passage of the article": {f"{m}": lambda c, m=m: second(c, m) for m in (0.05, 0.1, 0.2)},
    "best sentence": {f"{m}": lambda c, m=m: best_sentence(c, m) for m in (0.2, 0.3, 0.5)},
    "passages embedded without title": {f"{m}": lambda c, m=m: without_title(c, m) for m in (0.5, 1.0)},
    "the article's mean vector": {f"{m}": lambda c, m=m: article_mean(c, m) for m in (0.1, 0.2, 0.4)},
}
