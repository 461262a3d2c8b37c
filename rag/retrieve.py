"""Question to hits: dense, lexical, and both fused.  Objects around objects, one method each."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from rag.types import Embedder, Filter, Group, Hit, Retriever, Scored, View

_QUOTED = re.compile(r'"([^"\n]{1,200})"|“([^”\n]{1,200})”')


class Dense:
    """Passages nearest to the question's vector."""

    def __init__(self, embedder: Embedder) -> None:
        self.embedder = embedder

    def search(self, view: View, query: str, k: int, where: Filter | None = None) -> list[Hit]:
        return hits(view, view.dense(self.embedder.query(query), k, where), k, "dense")


class Lexical:
    """Passages that share the question's words, by BM25."""

    def search(self, view: View, query: str, k: int, where: Filter | None = None) -> list[Hit]:
        return hits(view, view.lexical(query, k, where), k, "lexical")


class Fused:
    """A weighted sum of dense and lexical scores, each divided by its largest.

    Every candidate of either list gets its true dense score; a passage that the lexical list does not
    hold gets 0 there.  A convex combination of normalised scores beats reciprocal ranks when its one
    weight is tuned: Bruch, Gai and Ingber, "An Analysis of Fusion Functions for Hybrid Retrieval",
    ACM TOIS 2023.
    """

    def __init__(self, embedder: Embedder, *, dense_weight: float, depth: int) -> None:
        self.embedder = embedder
        self.dense_weight = dense_weight
        self.depth = depth

    def search(self, view: View, query: str, k: int, where: Filter | None = None) -> list[Hit]:
        depth = max(self.depth, k)
        vector = self.embedder.query(query)
        dense, lexical = view.dense(vector, depth, where), view.lexical(query, depth, where)
        rows = np.union1d(dense.rows, lexical.rows)
        near = view.similar(vector, rows)
        words = np.zeros(len(rows), np.float32)
        words[np.searchsorted(rows, lexical.rows)] = lexical.scores
        scores = self.dense_weight * _share(near) + (1 - self.dense_weight) * _share(words)
        ranks = {"dense": _ranks(dense.rows), "lexical": _ranks(lexical.rows)}
        order = np.lexsort((rows, -np.round(scores, 6)))
        return hits(view, Scored(rows[order], scores[order].astype(np.float32)), k, ranks)


def hits(view: View, scored: Scored, k: int, ranks: str | Mapping[str, Mapping[int, int]]) -> list[Hit]:
    """Return the best k of some scored rows as hits; equal scores are ordered by passage id."""
    scores = np.round(scored.scores, 6)
    last = k
    # All that tie with the last one wanted take part, so that which of them is kept depends on their ids.
    while 0 < last < len(scores) and scores[last] == scores[k - 1]:
        last += 1
    rows = [int(r) for r in scored.rows[:last]]
    found = zip(rows, view.passages(rows), scores[:last].tolist(), strict=True)
    best = sorted(found, key=lambda f: (-f[2], f[1][0].id))[:k]
    return [
        Hit(
            rank,
            float(score),
            {ranks: rank} if isinstance(ranks, str) else {n: r[row] for n, r in ranks.items() if row in r},
            passage,
            head,
        )
        for rank, (row, (passage, head), score) in enumerate(best, 1)
    ]


def best_of_articles(retriever: Retriever, view: View, query: str, k: int, where: Filter | None) -> list[Hit]:
    """Return k hits from k different articles, each the article's best passage, or as many as match."""
    depth = 4 * k
    while True:
        found = retriever.search(view, query, depth, where)
        best: dict[str, Hit] = {}
        for hit in found:
            best.setdefault(hit.article.id, hit)
        if len(best) >= k or len(found) < depth:
            return [replace(hit, rank=rank) for rank, hit in enumerate(list(best.values())[:k], 1)]
        depth *= 4


def search(
    retriever: Retriever, view: View, query: str, k: int, where: Filter | None = None, group: Group = "passage"
) -> list[Hit]:
    """Return min(k, matches) hits.  "Quoted phrases" in the query must occur in a hit."""
    phrases = quoted(query)
    if phrases:
        where = replace(where or Filter(), phrases=(*(where.phrases if where else ()), *phrases))
    if group == "article":
        return best_of_articles(retriever, view, query, k, where)
    return retriever.search(view, query, k, where)


def quoted(query: str) -> list[str]:
    """Return the phrases that a question puts in double quotes.

    >>> quoted('who said "never again" in “the House”?')
    ['never again', 'the House']
    """
    return [a or b for a, b in _QUOTED.findall(query) if (a or b).strip()]


def _share(scores: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    most = float(scores.max(initial=0.0))
    return (np.maximum(scores, 0) / most if most > 0 else np.zeros_like(scores)).astype(np.float32)


def _ranks(rows: Sequence[int] | npt.NDArray[np.int64]) -> dict[int, int]:
    return {int(row): rank for rank, row in enumerate(rows, 1)}
