"""Whether what was made is like what it was made from: the neighbourhood of questions, and the words."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import exact
import numpy as np
import numpy.typing as npt
import vocabulary
from material import Collection
from plan import Plan, mixed, plan, spread
from real import Questions, Real

from rag.handover import Vectors
from rag.words import terms

LEVELS = (0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8)
"""Lengths of the noise that are tried, beside a vector of length 1."""
NEIGHBOURS = (1, 10, 100)
ASKING = 500
"""Passages that are asked for their own neighbours."""
WORDS = 12
SEED = 5

Ints = npt.NDArray[np.int64]


def neighbourhoods(real: Real, asked: Questions, seed: int, context: float) -> list[dict[str, Any]]:
    """Return a row for the real passages, and for as many made ones at each level of noise."""
    firsts = np.flatnonzero(np.append(True, real.first[1:] != real.first[:-1]))
    sizes = np.diff(np.append(firsts, len(real)))
    chance = np.random.default_rng(SEED)
    numbers = chance.choice(len(real), ASKING, replace=False)
    rows = [{"noise": None, **_row(real.vectors, sizes, numbers, asked, context)}]
    plans = []
    while sum(len(p.first) for p in plans) < len(real):
        plans.append(plan(real, seed, len(plans)))
    spreading = spread(real.vectors)
    for noise in LEVELS:
        made = [mixed(real.vectors, p, spreading, noise, seed, n) for n, p in enumerate(plans)]
        vectors, sizes = _first(made, plans, len(real))
        rows.append({"noise": noise, **_row(vectors, sizes, numbers[numbers < len(vectors)], asked, context)})
    return rows


def distance(rows: Sequence[dict[str, Any]]) -> list[float]:
    """Return how far each row is from the first, as a mean of the relative differences of what a search sees."""
    seen = [f"context_cosine_{n}" for n in NEIGHBOURS] + ["context_dimension", "passage_dimension"]
    return [float(np.mean([abs(r[s] - rows[0][s]) / abs(rows[0][s]) for s in seen])) for r in rows]


def _first(made: Sequence[Vectors], plans: Sequence[Plan], count: int) -> tuple[Vectors, Ints]:
    sizes = np.concatenate([p.sizes for p in plans])
    whole = int(np.searchsorted(np.cumsum(sizes), count, "right"))
    return np.concatenate(made)[: int(sizes[:whole].sum())], sizes[:whole]


def _row(vectors: Vectors, sizes: Ints, numbers: Ints, asked: Questions, context: float) -> dict[str, Any]:
    within = exact.in_context(vectors, sizes, context)
    row: dict[str, Any] = {"passages": len(vectors)}
    for name, passages in (("own", vectors), ("context", within)):
        near = _nearest(passages, asked.vectors, NEIGHBOURS[-1])
        for n in NEIGHBOURS:
            row[f"{name}_cosine_{n}"] = float(np.median(near[:, n - 1]))
            row[f"{name}_cosine_{n}_p10"] = float(np.percentile(near[:, n - 1], 10))
            row[f"{name}_cosine_{n}_p90"] = float(np.percentile(near[:, n - 1], 90))
        row[f"{name}_dimension"] = float(np.median(dimension(near)))
    near = _nearest(vectors, vectors[numbers], NEIGHBOURS[-1] + 1)[:, 1:]
    row["passage_cosine_1"], row["passage_cosine_10"] = float(np.median(near[:, 0])), float(np.median(near[:, 9]))
    row["passage_dimension"] = float(np.median(dimension(near)))
    return row


def _nearest(passages: Vectors, asked: Vectors, k: int) -> npt.NDArray[np.float32]:
    """Return the largest k products of each, falling."""
    best = np.full((len(asked), k), -2, np.float32)
    for at in range(0, len(passages), 16_384):
        both = np.concatenate([best, asked @ passages[at : at + 16_384].T], axis=1)
        best = -np.partition(-both, k - 1, axis=1)[:, :k]
    return -np.sort(-best, axis=1)


def dimension(cosines: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return the local intrinsic dimensionality around each point by the cosines of its neighbours, falling.

    The maximum likelihood estimate over Euclidean distances (Amsaleg and others, KDD 2015).
    """
    away = np.sqrt(np.maximum(2 - 2 * cosines.astype(np.float64), 1e-12))
    return -1 / np.mean(np.log(away[:, :-1] / away[:, -1:]), axis=1)


def word_growth(made: Sequence[Collection], laws: vocabulary.Vocabulary) -> list[dict[str, Any]]:
    """Return running and distinct words of some collections beside what Heaps' law says, real passages first."""
    n, distinct = laws.points[-1]
    rows = [{"passages": "real", "running": n, "distinct": distinct, "heaps": round(laws.heaps.distinct(n))}]
    for c in made:
        n, distinct = c.distinct_words()
        rows.append(
            {"passages": c.passages, "running": n, "distinct": distinct, "heaps": round(laws.heaps.distinct(n))}
        )
    return rows


def term_shares(real: Real, made: Collection, asked: Questions) -> list[dict[str, Any]]:
    """Return the share of passages that hold terms that questions search for: each of the most frequent, and means.

    Of the real passages as many as the first chunk of the made ones has.
    """
    texts = [t for m in made.material.articles(0) for t in m.article.text.split("\n")]
    sample = random.Random(SEED).sample(range(len(real)), min(len(texts), len(real)))
    own = [" ".join(real.sentences[n]) for n in sample]
    wanted = {t for q in asked.texts for t in terms(q)}
    shares = [_shares(some, wanted) for some in (own, texts)]
    common = sorted(wanted, key=lambda t: -shares[0][t])
    rows = [{"term": t, "real": shares[0][t], "made": shares[1][t]} for t in common[:WORDS]]
    for low, high in ((WORDS, 100), (100, 400), (400, len(common))):
        some = common[low:high]
        means = [float(np.mean([s[t] for t in some])) if some else 0.0 for s in shares]
        rows.append({"term": f"terms {low + 1} to {high}, mean", "real": means[0], "made": means[1]})
    return rows


def _shares(texts: Sequence[str], wanted: set[str]) -> dict[str, float]:
    counts = dict.fromkeys(wanted, 0)
    for text in texts:
        for term in wanted.intersection(terms(text)):
            counts[term] += 1
    return {t: n / len(texts) for t, n in counts.items()}
