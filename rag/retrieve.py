"""Question to hits: dense, lexical, and both fused.  Objects around objects, one method each."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from rag.folding import fold
from rag.handover import Scored, Vector, Vectors
from rag.intake.text import embedded_text
from rag.protocols import Embedder, Retriever, Scorer, View
from rag.types import Filter, Group, Hit

_QUOTED = re.compile(r'"([^"\n]{1,200})"|“([^”\n]{1,200})”')


class Dense:
    """Passages nearest to the question's vector."""

    def __init__(self, embedder: Embedder) -> None:
        self.embedder = embedder

    def search(self, view: View, query: str, k: int, where: Filter | None = None) -> list[Hit]:
        return hits(view, view.dense(self.embedder.query(query), k, where), k, "dense")

    def search_many(self, view: View, queries: Sequence[str], k: int, where: Filter | None = None) -> list[list[Hit]]:
        return [hits(view, s, k, "dense") for s in view.dense_many(self.embedder.queries(queries), k, where)]


class Lexical:
    """Passages that share the question's words, by BM25."""

    def search(self, view: View, query: str, k: int, where: Filter | None = None) -> list[Hit]:
        return hits(view, view.lexical(query, k, where), k, "lexical")

    def search_many(self, view: View, queries: Sequence[str], k: int, where: Filter | None = None) -> list[list[Hit]]:
        return [self.search(view, query, k, where) for query in queries]


class Fused:
    """A weighted sum of dense and lexical scores, each divided by its largest.

    Every candidate of either list gets its true dense score; a passage that the lexical list does not
    hold gets 0 there.  A convex combination of normalised scores beats reciprocal ranks when its one
    weight is tuned: Bruch, Gai and Ingber, "An Analysis of Fusion Functions for Hybrid Retrieval",
    ACM TOIS 2023.

    Where more hits are wanted than both lists hold, longer lists give what follows: the first hits are the same
    however many are wanted.
    """

    def __init__(self, embedder: Embedder, *, dense_weight: float, depth: int) -> None:
        self.embedder = embedder
        self.dense_weight = dense_weight
        self.depth = depth

    def search(self, view: View, query: str, k: int, where: Filter | None = None) -> list[Hit]:
        return self._search(view, [query], self.embedder.query(query)[None, :], k, where)[0]

    def search_many(self, view: View, queries: Sequence[str], k: int, where: Filter | None = None) -> list[list[Hit]]:
        return self._search(view, queries, self.embedder.queries(queries), k, where)

    def _search(
        self, view: View, queries: Sequence[str], vectors: Vectors, k: int, where: Filter | None
    ) -> list[list[Hit]]:
        found: list[list[Hit]] = [[] for _ in queries]
        before: dict[int, Scored] = {}
        waiting, depth = list(range(len(queries))), self.depth
        while waiting:
            short = []
            both = view.both([queries[n] for n in waiting], vectors[waiting], depth, where)
            for n, (dense, lexical) in zip(waiting, both, strict=True):
                scored = self._fused(view, vectors[n], dense, lexical)
                before[n] = scored = _behind(before[n], scored) if n in before else scored
                if len(scored.rows) < k and len(dense.rows) >= depth:
                    short.append(n)
                else:
                    found[n] = hits(view, scored, k, {"dense": _ranks(dense.rows), "lexical": _ranks(lexical.rows)})
            waiting, depth = short, 4 * depth
        return found

    def _fused(self, view: View, vector: Vector, dense: Scored, lexical: Scored) -> Scored:
        rows = np.union1d(dense.rows, lexical.rows)
        near = view.similar(vector, rows)
        words = np.zeros(len(rows), np.float32)
        words[np.searchsorted(rows, lexical.rows)] = lexical.scores
        scores = self.dense_weight * _share(near) + (1 - self.dense_weight) * _share(words)
        order = np.lexsort((rows, -np.round(scores, 6)))
        return Scored(rows[order], scores[order].astype(np.float32))


class Reranked:
    """The first hits of another retriever, in the order of a scorer; those behind keep their order and follow.

    Nogueira and Cho, "Passage Re-ranking with BERT", 2019.
    """

    def __init__(self, inner: Retriever, scorer: Scorer, *, depth: int) -> None:
        self.inner, self.scorer, self.depth = inner, scorer, depth

    def search(self, view: View, query: str, k: int, where: Filter | None = None) -> list[Hit]:
        return self._ordered(query, self.inner.search(view, query, max(k, self.depth), where), k)

    def search_many(self, view: View, queries: Sequence[str], k: int, where: Filter | None = None) -> list[list[Hit]]:
        found = self.inner.search_many(view, queries, max(k, self.depth), where)
        return [self._ordered(query, some, k) for query, some in zip(queries, found, strict=True)]

    def _ordered(self, query: str, found: list[Hit], k: int) -> list[Hit]:
        first, rest = found[: self.depth], found[self.depth :]
        texts = [embedded_text(h.article.title, h.passage.text) for h in first]
        scores = np.round(self.scorer.scores(query, texts), 6).tolist()
        order = sorted(range(len(first)), key=lambda n: (-scores[n], first[n].passage.id))
        read = [replace(first[n], score=scores[n], ranks={**first[n].ranks, "reranked": r})
                for r, n in enumerate(order, 1)]  # fmt: skip
        # Scores of two kinds in one list: those that were not read again may not stand above the last that was.
        last = read[-1].score if read else 0.0
        most = rest[0].score if rest else 1.0
        behind = [replace(h, score=last * h.score / most if most > 0 else 0.0) for h in rest]
        return [replace(h, rank=n) for n, h in enumerate((read + behind)[:k], 1)]


def hits(view: View, scored: Scored, k: int, ranks: str | Mapping[str, Mapping[int, int]]) -> list[Hit]:
    """Return the best k of some scored rows as hits; equal scores are ordered by passage id.

    `ranks` names the one list that they come from, or gives the ranks of rows in each.
    """
    scores = np.round(scored.scores, 6)
    last = k
    # All that tie with the last one wanted take part, so that which of them is kept depends on their ids.
    while 0 < last < len(scores) and scores[last] == scores[k - 1]:
        last += 1
    rows = [int(r) for r in scored.rows[:last]]
    known = zip(rows, view.passages(rows), scores[:last].tolist(), strict=True)
    best = sorted(known, key=lambda f: (-f[2], f[1][0].id))[:k]
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


def best_of_articles(found: Sequence[Hit], k: int) -> list[Hit]:
    """Return the first k hits of different articles."""
    best: dict[str, Hit] = {}
    for hit in found:
        best.setdefault(hit.article.id, hit)
    return [replace(hit, rank=rank) for rank, hit in enumerate(list(best.values())[:k], 1)]


def search_many(
    retriever: Retriever,
    view: View,
    queries: Sequence[str],
    k: int,
    where: Filter | None = None,
    group: Group = "passage",
    phrase_words: int = 20,
) -> list[list[Hit]]:
    """Return min(k, matches) hits of each query.

    "Quoted phrases" in a query of up to `phrase_words` words must occur in its hits.  With group="article" they are of
    different articles, each the article's best passage.  What twins print alike is one hit (see folding.py), and counts
    as one match.
    """
    done: list[list[Hit]] = [[] for _ in queries]
    with_phrases = {n: quoted(query, phrase_words) for n, query in enumerate(queries)}
    plain = [n for n, phrases in with_phrases.items() if not phrases]
    groups = [(plain, where)] if plain else []
    for n, phrases in with_phrases.items():
        if phrases:
            groups.append(([n], replace(where or Filter(), phrases=(*(where.phrases if where else ()), *phrases))))
    for numbers, filtered in groups:
        depth = k if group == "passage" else 4 * k
        while numbers:
            short = []
            texts = [queries[n] for n in numbers]
            for n, found in zip(numbers, retriever.search_many(view, texts, depth, filtered), strict=True):
                best = found if group == "passage" else best_of_articles(found, len(found))
                done[n] = fold(view, best, group)[:k]
                if len(done[n]) < k and len(found) == depth:
                    short.append(n)
            numbers, depth = short, 4 * depth
    return done


def search(
    retriever: Retriever,
    view: View,
    query: str,
    k: int,
    where: Filter | None = None,
    group: Group = "passage",
    phrase_words: int = 20,
) -> list[Hit]:
    """Return the hits of one query.  See `search_many`."""
    return search_many(retriever, view, [query], k, where, group, phrase_words)[0]


def quoted(query: str, most: int = 20) -> list[str]:
    """Return the phrases that a question of up to `most` words puts in double quotes.

    A longer text is something to compare with, and its quotation marks are its own.

    >>> quoted('who said "never again" in “the House”?')
    ['never again', 'the House']
    """
    if len(query.split()) > most:
        return []
    return [a or b for a, b in _QUOTED.findall(query) if (a or b).strip()]


def _behind(first: Scored, more: Scored) -> Scored:
    """Return the first rows, and behind them those of `more` that are new, none with a higher score."""
    new = ~np.isin(more.rows, first.rows)
    # Below the last, because rows of one score would be put in order together.
    most = np.float32(first.scores[-1] - 1e-5) if len(first.scores) else np.float32(np.inf)
    scores = np.concatenate([first.scores, np.minimum(more.scores[new], most)])
    return Scored(np.concatenate([first.rows, more.rows[new]]), scores)


def _share(scores: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    most = float(scores.max(initial=0.0))
    return (np.maximum(scores, 0) / most if most > 0 else np.zeros_like(scores)).astype(np.float32)


def _ranks(rows: npt.NDArray[np.int64]) -> dict[int, int]:
    return dict(zip(rows.tolist(), range(1, len(rows) + 1), strict=True))
