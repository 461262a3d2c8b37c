"""What stands around a passage: its article, its neighbours, its best sentence, its title, its article's other words.

Passages of an article put together: Callan, "Passage-Level Evidence in Document Retrieval", SIGIR 1994.
"""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
from cases import Case, Scores, best_passages, fused, share, top
from fusion import Idea
from lexical import article_words, with_words


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


def with_dense(case: Case, dense: Scores, weight: float = 0.65) -> Scores:
    """Return the shipped fusion with other dense scores."""
    kept = top(case.lexical, 100) & (case.lexical > 0)
    among = top(dense, 100) | kept
    words = np.where(kept, case.lexical, 0)
    return best_passages(case, np.where(among, weight * share(dense, among) + (1 - weight) * share(words, among), -2))


def unit(vectors: Scores) -> Scores:
    """Return vectors brought to length 1."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


def of_articles(case: Case) -> Scores:
    """Return the mean direction of its article for each passage, shape (passages, dim)."""
    sums = np.zeros((len(case.articles), case.own.shape[1]), np.float32)
    np.add.at(sums, case.article, case.own)
    return unit(sums)[case.article]


def firsts(case: Case) -> npt.NDArray[np.int64]:
    """Return the place of each article's first passage."""
    return np.flatnonzero(np.append(True, case.article[1:] != case.article[:-1]))


def near_ones(case: Case, reach: float) -> Scores:
    """Return the mean direction of the passages of the article, those near by counting more (e-fold at `reach`)."""
    out = np.zeros_like(case.own)
    bounds = np.append(firsts(case), len(case.article))
    for a, b in itertools.pairwise(bounds):
        apart = np.abs(np.subtract.outer(np.arange(b - a), np.arange(b - a)))
        out[a:b] = unit(np.exp(-apart / reach).astype(np.float32) @ case.own[a:b])
    return out


def in_context(case: Case, context: Scores, much: float) -> Scores:
    """Return the fusion with vectors that hold a share of some context."""
    return with_dense(case, case.asked @ ((1 - much) * case.own + much * context).T)


def mixed(case: Case, other: Scores, much: float) -> Scores:
    """Return the fusion with a part of another dense score."""
    return with_dense(case, (1 - much) * case.dense + much * other)


def lead(case: Case, much: float) -> Scores:
    """Return the fusion with a part of the cosine of the article's first passage."""
    return mixed(case, (case.asked @ case.own[firsts(case)].T)[:, case.article], much)


def collapsed(case: Case, alike: float) -> Scores:
    """Return the shipped order, an article behind all others when its best passage says what a better one's says."""
    scores = fused(case)
    best = best_passages(case, scores)
    starts = firsts(case)
    for n in range(len(scores)):
        kept: list[int] = []
        for a in np.argsort(-best[n], kind="stable")[:30]:
            if best[n, a] < -1:
                break
            end = starts[a + 1] if a + 1 < len(starts) else len(case.article)
            at = int(starts[a] + np.argmax(scores[n, starts[a] : end]))
            if kept and float((case.own[kept] @ case.own[at]).max()) > alike:
                best[n, a] -= 1
            else:
                kept.append(at)
    return best


def words_of_article(case: Case, much: float) -> Scores:
    """Return the fusion with a part of the BM25 score of the whole article."""
    return with_words(case, (1 - much) * case.lexical + much * article_words(case))


IDEAS: dict[str, dict[str, Idea]] = {
    "share of the article in the vector": {
        f"{m}": lambda c, m=m: in_context(c, of_articles(c), m) for m in (0.0, 0.25, 0.4, 0.6, 0.75)
    },
    "share of the passages near by": {
        f"{m}, reach {r}": lambda c, m=m, r=r: in_context(c, near_ones(c, r), m) for m in (0.3, 0.5) for r in (1, 2, 4)
    },
    "neighbouring passages": {f"{m}": lambda c, m=m: neighbours(c, m) for m in (0.1, 0.2, 0.3)},
    "second passage of the article": {f"{m}": lambda c, m=m: second(c, m) for m in (0.05, 0.1, 0.2)},
    "words of the whole article": {f"{m}": lambda c, m=m: words_of_article(c, m) for m in (0.2, 0.4, 0.6)},
    "best sentence": {f"{m}": lambda c, m=m: mixed(c, c.sentence, m) for m in (0.2, 0.3, 0.5)},
    "passages embedded without title": {f"{m}": lambda c, m=m: mixed(c, c.bare, m) for m in (0.5, 1.0)},
    "title as a vector of its own": {f"{m}": lambda c, m=m: mixed(c, c.titled, m) for m in (0.1, 0.2, 0.4)},
    "first passage of the article": {f"{m}": lambda c, m=m: lead(c, m) for m in (0.1, 0.2, 0.4)},
    "articles that say the same behind": {f"{m}": lambda c, m=m: collapsed(c, m) for m in (0.9, 0.95, 0.98)},
}
