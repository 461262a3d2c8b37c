"""Values of a run by ir_measures, under its names, with confidence intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rag.errors import InvalidSettings, MissingExtra
from rag.evaluation.collection import Judgments

DEFAULT = ("nDCG@10", "R@5", "R@10", "R@100", "RR@10", "AP@5", "Judged@10")
RESAMPLES = 10_000
LEVEL = 0.95

Ranked = Mapping[str, Sequence[tuple[str, float]]]
"""Articles and their scores by question, best first."""
Values = dict[str, dict[str, float]]
"""A number by measure and question."""


@dataclass(frozen=True, slots=True)
class Score:
    """A mean over questions, and the interval that holds 95 % of the means of as many questions drawn again."""

    value: float
    low: float
    high: float
    queries: int


def parse(names: Sequence[str]) -> list[Any]:
    """Return ir_measures' measures of these names.  Raises InvalidSettings and MissingExtra."""
    ir_measures = _library()
    found = []
    for name in names:
        try:
            measure = ir_measures.parse_measure(name)
            ir_measures.evaluator([measure], [ir_measures.Qrel("q", "d", 1)])
        except Exception as e:  # the library raises whatever its parser raises
            raise InvalidSettings(
                f"measure {name!r} is unknown here: give names of ir_measures, as {', '.join(DEFAULT)}"
            ) from e
        found.append(measure)
    return found


def per_query(names: Sequence[str], judgments: Judgments, ranked: Ranked) -> Values:
    """Return the value of each measure for every judged question; one that found nothing has the measure's least."""
    ir_measures = _library()
    measures = parse(names)
    qrels = [ir_measures.Qrel(q, d, grade) for q, grades in judgments.items() for d, grade in grades.items()]
    run = [ir_measures.ScoredDoc(q, d, s) for q, found in ranked.items() for d, s in found if q in judgments]
    values: Values = {str(m): {} for m in measures}
    for metric in ir_measures.iter_calc(measures, qrels, run):
        values[str(metric.measure)][metric.query_id] = float(metric.value)
    return {name: {q: values[name][q] for q in sorted(values[name])} for name in values}


def score(values: Mapping[str, float], seed: int = 0) -> Score:
    """Return the mean of some values with a bootstrap interval (percentiles of resampled means).

    Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.

    >>> score({"a": 1.0, "b": 1.0})
    Score(value=1.0, low=1.0, high=1.0, queries=2)
    """
    found = np.array(list(values.values()), float)
    if not len(found):
        return Score(0.0, 0.0, 0.0, 0)
    means = resampled_means(found, np.random.default_rng(seed))
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Score(float(found.mean()), float(low), float(high), len(found))


def resampled_means(
    values: npt.NDArray[np.float64], draw: np.random.Generator, times: int = RESAMPLES
) -> npt.NDArray[np.float64]:
    """Return the means of so many samples of the values, each as large as they are, drawn with replacement."""
    n = len(values)
    at_once = max(1, 2_000_000 // n)
    parts = [
        values[draw.integers(0, n, (min(at_once, times - done), n))].mean(axis=1) for done in range(0, times, at_once)
    ]
    return np.concatenate(parts)


def _library() -> Any:
    try:
        import ir_measures
    except ImportError as e:
        raise MissingExtra("evaluation", "eval") from e
    return ir_measures
