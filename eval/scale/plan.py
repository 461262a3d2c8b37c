"""What articles are made of: which real passages, in what shares, and the vectors that come of it.

An article takes its passages from around one real passage: those that stand beside it in its article, and near ones of
others in the same set.  Each is then mixed with a near neighbour of its own, text and vector in the same shares, and
the vector gets noise whose covariance is that of the real vectors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from real import Real

from rag.handover import Vectors

ARTICLES = 1_000
"""Articles of a chunk: what is made, kept and read at once."""
BESIDE = 0.7
"""Share of an article's passages that stand side by side in one real article, as long as that lasts."""
MEDIAN, SPREAD, MOST = 8.2, 0.45, 40
"""Passages of an article: log-normal, so that most have 5 to 13 and the mean is about 9."""
LEAST_SHARE = 0.5
"""A passage is at least half of one real one."""

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Plan:
    """The articles of a chunk: passages in each, and of each passage two real ones and the share of the first."""

    sizes: Ints
    first: Ints
    second: Ints
    share: npt.NDArray[np.float32]


def plan(real: Real, seed: int, chunk: int) -> Plan:
    """Return what the articles of a chunk are made of, always the same for the same seed and chunk."""
    rng = np.random.default_rng([seed, chunk, 0])
    sizes = np.clip(np.rint(np.exp(rng.normal(np.log(MEDIAN), SPREAD, ARTICLES))), 2, MOST).astype(np.int64)
    around = rng.integers(len(real), size=ARTICLES)
    begins = np.maximum(real.first[around], around - rng.integers(0, sizes))
    article = np.repeat(np.arange(ARTICLES), sizes)
    within = np.arange(len(article)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    beside = begins[article] + within
    near = real.neighbours[around[article], rng.integers(real.neighbours.shape[1], size=len(article))]
    taken = (beside < real.last[around[article]]) & (rng.random(len(article)) < BESIDE)
    first = np.where(taken, beside, near).astype(np.int64)
    second = real.neighbours[first, rng.integers(real.neighbours.shape[1], size=len(first))].astype(np.int64)
    share = (1 - (1 - LEAST_SHARE) * rng.random(len(first))).astype(np.float32)
    return Plan(sizes, first, second, share)


def spread(vectors: Vectors) -> Vectors:
    """Return the matrix that turns independent noise into noise as the vectors are spread, of mean square length 1."""
    away = vectors - vectors.mean(axis=0)
    values, axes = np.linalg.eigh(away.T.astype(np.float64) @ away / len(away))
    values = np.maximum(values, 0)
    return np.asarray((axes * np.sqrt(values / values.sum())).T, np.float32)


def mixed(real: Vectors, of: Plan, spreading: Vectors, noise: float, seed: int, chunk: int) -> Vectors:
    """Return the vectors of a chunk's passages, each of length 1."""
    rng = np.random.default_rng([seed, chunk, 1])
    share = of.share[:, None]
    found = _whole(share * real[of.first] + (1 - share) * real[of.second])
    if noise:
        found = found + np.float32(noise) * (rng.standard_normal(found.shape, np.float32) @ spreading)
    return _whole(found)


def _whole(vectors: Vectors) -> Vectors:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)
