"""How well a confidence tells what can be answered: the figures of refusing, and of knowing how sure one is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

BINS = 10

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Bin:
    """Questions of about the same confidence: their mean confidence, and how many of them could be answered."""

    low: float
    high: float
    questions: int
    confidence: float
    answerable: float


def auroc(confidence: Floats, answerable: Bools) -> float | None:
    """Return the chance that an answerable question is given more confidence than one that is not; ties count half.

    None when there is only one kind.  Hanley and McNeil, Radiology 143, 1982.

    >>> auroc(np.array([.9, .4, .4, .1]), np.array([True, True, False, False]))
    0.875
    """
    yes, no = confidence[answerable], confidence[~answerable]
    if not len(yes) or not len(no):
        return None
    both = np.sort(no)
    below = np.searchsorted(both, yes, "left")
    ties = np.searchsorted(both, yes, "right") - below
    return float((below + ties / 2).sum() / (len(yes) * len(no)))


def brier(confidence: Floats, answerable: Bools) -> float:
    """Return the mean squared error of the confidence as a probability.  Brier, Monthly Weather Review 78, 1950."""
    return float(np.mean((confidence - answerable) ** 2))


def bins(confidence: Floats, answerable: Bools) -> list[Bin]:
    """Return the questions in bins of equal width: the points of a reliability diagram."""
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return [
        Bin(n / BINS, (n + 1) / BINS, int(some.sum()), float(confidence[some].mean()), float(answerable[some].mean()))
        for n in range(BINS)
        if (some := place == n).any()
    ]


def ece(confidence: Floats, answerable: Bools) -> float:
    """Return the expected calibration error over the bins: Naeini, Cooper and Hauskrecht, AAAI 2015."""
    found = bins(confidence, answerable)
    return sum(b.questions * abs(b.confidence - b.answerable) for b in found) / len(confidence)


def risk_coverage(confidence: Floats, right: Bools) -> list[tuple[float, float]]:
    """Return (share answered, share of these that is not right) as the threshold falls past each confidence.

    El-Yaniv and Wiener, "On the Foundations of Noise-free Selective Classification", JMLR 11, 2010.

    >>> risk_coverage(np.array([.9, .5]), np.array([True, False]))
    [(0.5, 0.0), (1.0, 0.5)]
    """
    order = np.argsort(-confidence, kind="stable")
    falling = confidence[order]
    wrong = np.cumsum(~right[order])
    last = np.append(falling[1:] != falling[:-1], True)
    count = np.arange(1, len(order) + 1)
    return [(float(n / len(order)), float(w / n)) for n, w in zip(count[last], wrong[last], strict=True)]


def area(points: Sequence[tuple[float, float]]) -> float:
    """Return the area under a risk-coverage curve: the mean risk over all shares answered."""
    covered, total = 0.0, 0.0
    for share, risk in points:
        total += (share - covered) * risk
        covered = share
    return total


GRID = np.round(np.arange(0.0, 1.005, 0.01), 2)
"""Thresholds that are tried."""

SAME_COST = 0.02
"""Costs this near to each other, in wrong refusals a question, are taken for the same."""


def errors(confidence: Floats, answerable: Bools, threshold: float) -> dict[str, float | None]:
    """Return the share of answerable questions that are refused at a threshold, and of others that are answered."""
    yes, no = confidence[answerable], confidence[~answerable]
    return {
        "refused_wrongly": float(np.mean(yes < threshold)) if len(yes) else None,
        "answered_wrongly": float(np.mean(no >= threshold)) if len(no) else None,
    }


def shared_threshold(sets: Sequence[tuple[Floats, Bools]], wrong_cost: float) -> float:
    """Return the threshold at which both kinds of error cost least, a wrong answer as much as so many wrong refusals.

    Each set weighs the same, and in it each kind of question, however many there are.  See `cheapest`.

    >>> shared_threshold([(np.array([.9, .1]), np.array([True, False]))], 1.0)
    0.51
    """

    def cost(threshold: float) -> float:
        total = 0.0
        for confidence, answerable in sets:
            found = errors(confidence, answerable, threshold)
            total += (found["refused_wrongly"] or 0.0) + wrong_cost * (found["answered_wrongly"] or 0.0)
        return total / len(sets)

    return cheapest(GRID, np.array([cost(float(t)) for t in GRID]))


def cheapest(thresholds: Floats, costs: Floats) -> float:
    """Return the middle one of the thresholds that cost no more than SAME_COST above the least.

    Over a wide range one kind of error falls as the other grows, and the least cost of all lies there by chance.

    >>> cheapest(np.array([0.3, 0.4, 0.5, 0.6]), np.array([0.9, 0.61, 0.62, 0.60]))
    0.5
    """
    best = thresholds[costs <= costs.min() + SAME_COST]
    return float(best[len(best) // 2])
