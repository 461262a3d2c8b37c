"""Whether one run is better than another: differences, a paired test, and the questions that moved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rag.errors import BadSource
from rag.evaluation import measures, runs
from rag.evaluation.collection import Collection, Judgments
from rag.evaluation.runs import Run

SHUFFLES = 20_000
MOVED = 10
"""Questions shown of those that moved most."""

EVEN = 1e-9
"""Differences below this are ties."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One measure of one run against the first run.

    `p` is of the two-sided paired randomisation test, `p_holm` the same after Holm's correction over all rows of the
    comparison.  Wins are questions for which this run is better than the first.
    """

    run: str
    measure: str
    first: float
    value: float
    difference: float
    low: float
    high: float
    p: float
    p_holm: float
    wins: int
    ties: int
    losses: int


@dataclass(frozen=True, slots=True)
class Moved:
    """A question that a run answers much better or worse than the first run does."""

    run: str
    query: str
    text: str
    first: float
    value: float
    relevant: Mapping[str, tuple[int | None, int | None]]
    hits: tuple[Sequence[Mapping[str, Any]], Sequence[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What distinguishes some runs from the first of them.

    `differences` are those of each question in the leading measure, the first of the rows, by run.
    """

    runs: Sequence[str]
    queries: int
    rows: Sequence[Difference]
    moved: Sequence[Moved]
    differences: Mapping[str, Mapping[str, float]]


def compare(
    paths: Sequence[str | Path],
    *,
    names: Sequence[str] | None = None,
    collection: Collection | None = None,
    seed: int = 0,
) -> Comparison:
    """Compare runs with the first of them, by measures computed anew from their TREC files.

    The judgments are those written beside the first run, or the collection's if one is given.  All questions judged
    count; one that a run lacks has the measure's least there.  The measures of the quotes that hits show, which a TREC
    file cannot give, are taken from the JSON beside the runs when all of them have it.

    Raises BadSource for a run that cannot be read, or that is of another set than the first.
    """
    if len(paths) < 2:
        raise BadSource("one run alone cannot be compared: name two or more")
    read = [runs.read(p) for p in paths]
    judgments = (
        dict(collection.judgments) if collection else runs.read_judgments(Path(paths[0]).with_name("qrels.trec"))
    )
    if not judgments:
        raise BadSource(
            f"{collection.path.absolute() if collection else paths[0]} names no article that answers a question: "
            "compare with a run of `rag eval retrieval`, beside which the judgments lie"
        )
    for run, path in zip(read, paths, strict=True):
        _same_set(run, read[0], Path(path), judgments)
    called = _called(read)
    values = [measures.per_query(names or measures.DEFAULT, judgments, run.ranked) for run in read]
    for measure in () if names else _kept_by_all(read, set(values[0])):
        for found, run in zip(values, read, strict=True):
            found[measure] = run.values[measure]
    draw = np.random.default_rng(seed)
    rows = [_difference(called[n], m, values[0][m], values[n][m], draw) for n in range(1, len(read)) for m in values[0]]
    corrected = holm([r.p for r in rows])
    rows = [replace(r, p_holm=p) for r, p in zip(rows, corrected, strict=True)]
    texts = collection.queries if collection else {}
    leading = next(iter(values[0]))
    moved = [
        m for n in range(1, len(read)) for m in _moved(called[n], read[0], read[n], values[0][leading],
                                                       values[n][leading], judgments, texts)
    ]  # fmt: skip
    differences = {
        called[n]: {q: values[n][leading].get(q, 0.0) - v for q, v in values[0][leading].items()}
        for n in range(1, len(read))
    }
    return Comparison(called, len(judgments), rows, moved, differences)


def randomisation(differences: npt.NDArray[np.float64], draw: np.random.Generator, times: int = SHUFFLES) -> float:
    """Return the two-sided p of a paired randomisation test: how often signs by chance give as large a mean.

    Smucker, Allan and Carterette, "A Comparison of Statistical Significance Tests for Information Retrieval
    Evaluation", CIKM 2007.  The observed signs count as one of the drawn ones, so p is never 0.
    """
    n = len(differences)
    seen = abs(differences.sum())
    if seen <= EVEN * n:
        return 1.0
    at_once = max(1, 2_000_000 // n)
    as_large = 0
    for done in range(0, times, at_once):
        signs = draw.integers(0, 2, (min(at_once, times - done), n), np.int8) * 2.0 - 1
        as_large += int((np.abs(signs @ differences) >= seen - EVEN).sum())
    return (as_large + 1) / (times + 1)


def holm(ps: Sequence[float]) -> list[float]:
    """Return p values corrected for their number: Holm, Scandinavian Journal of Statistics 6, 1979.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    corrected = [0.0] * len(ps)
    least = 0.0
    for n, place in enumerate(sorted(range(len(ps)), key=lambda i: ps[i])):
        least = max(least, min(1.0, (len(ps) - n) * ps[place]))
        corrected[place] = least
    return corrected


def _difference(
    run: str, measure: str, first: Mapping[str, float], other: Mapping[str, float], draw: np.random.Generator
) -> Difference:
    queries = sorted(first)
    a = np.array([first[q] for q in queries])
    b = np.array([other.get(q, 0.0) for q in queries])
    apart = measures.score(dict(zip(queries, (b - a).tolist(), strict=True)))
    return Difference(
        run, measure, float(a.mean()), float(b.mean()), apart.value, apart.low, apart.high,
        randomisation(b - a, draw), 1.0,
        int((b - a > EVEN).sum()), int((np.abs(b - a) <= EVEN).sum()), int((a - b > EVEN).sum()),
    )  # fmt: skip


def _moved(
    name: str,
    first: Run,
    run: Run,
    before: Mapping[str, float],
    after: Mapping[str, float],
    judgments: Judgments,
    texts: Mapping[str, str],
) -> list[Moved]:
    by_size = sorted(before, key=lambda q: (-abs(after.get(q, 0.0) - before[q]), q))
    return [
        Moved(
            name,
            q,
            texts.get(q, first.texts.get(q, run.texts.get(q, ""))),
            before[q],
            after.get(q, 0.0),
            {a: (_rank(first, q, a), _rank(run, q, a)) for a, g in judgments[q].items() if g > 0},
            (first.hits.get(q, ())[:3], run.hits.get(q, ())[:3]),
        )
        for q in by_size[:MOVED]
        if abs(after.get(q, 0.0) - before[q]) > EVEN
    ]


def _rank(run: Run, query: str, article: str) -> int | None:
    return next((n for n, (a, _) in enumerate(run.ranked.get(query, ()), 1) if a == article), None)


def _kept_by_all(read: Sequence[Run], known: set[str]) -> list[str]:
    """Return the measures that every run has kept for the same questions, and that are not computed here."""
    return [
        m
        for m, found in read[0].values.items()
        if m not in known and all(run.values.get(m, {}).keys() == found.keys() for run in read)
    ]


def _same_set(run: Run, first: Run, path: Path, judgments: Judgments) -> None:
    ours, theirs = first.about.get("digest"), run.about.get("digest")
    if ours and theirs and ours != theirs:
        raise BadSource(
            f"run {path.absolute()} is of set {run.about.get('set')!r} (digest {theirs}), the first of "
            f"{first.about.get('set')!r} ({ours}): compare runs of the same articles, questions and judgments"
        )
    if not set(run.ranked) & set(judgments):
        raise BadSource(f"run {path.absolute()} has no question that is judged: is it of another set?")


def _called(read: Sequence[Run]) -> list[str]:
    """Return names that tell the runs apart."""
    called: list[str] = []
    for run in read:
        name, n = run.name, 2
        while name in called:
            name, n = f"{run.name} ({n})", n + 1
        called.append(name)
    return called
