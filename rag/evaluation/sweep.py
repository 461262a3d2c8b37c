"""Many configurations over some collections, one table: every point is measured as a run is, in batches.

Points that cut articles alike share an index, and all of them share its vectors: no text is embedded twice.
"""

from __future__ import annotations

import hashlib
import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import rag
from rag.engine import open_engine
from rag.errors import InvalidSettings
from rag.evaluation import measures, runs
from rag.evaluation.collection import Collection
from rag.evaluation.compare import holm, randomisation
from rag.evaluation.halves import half
from rag.evaluation.retrieval import DEPTH, in_folders, index_of, judged_in, passages_of, ranking, settings_of
from rag.types import Progress, Steps

CUTTING = ("passages", "model")
"""Groups of settings that an index is made with."""


def grid(axes: Sequence[str]) -> list[tuple[str, ...]]:
    """Return all combinations of NAME=VALUE,VALUE..., those that need the same index next to each other.

    >>> grid(["search.depth=50,100", "passages.tokens=150"])
    [('passages.tokens=150', 'search.depth=50'), ('passages.tokens=150', 'search.depth=100')]
    """
    options = []
    for axis in axes:
        name, equals, values = axis.partition("=")
        if not (equals and "." in name and values):
            raise InvalidSettings(f"axis {axis!r} is not GROUP.FIELD=VALUE,VALUE, as search.dense_weight=0.5,0.7")
        options.append([f"{name}={value.strip()}" for value in values.split(",")])
    options.sort(key=lambda o: not o[0].startswith(tuple(g + "." for g in CUTTING)))
    return list(itertools.product(*options))


@dataclass(frozen=True)
class Point:
    """One configuration on one collection: its values by measure and question."""

    collection: str
    config: tuple[str, ...]
    values: measures.Values
    seconds: float


def measure(
    collections: Sequence[Collection],
    points: Sequence[tuple[str, ...]],
    out: Path,
    names: Sequence[str],
    name: str = "sweep",
    on_progress: Callable[[Steps | Progress], None] | None = None,
) -> list[Point]:
    """Return every point on every collection.  What an earlier, interrupted call has measured is not measured again."""
    wanted = {f"{c.name} {' '.join(config)}": (c, config) for c in collections for config in points}
    begun_with = [rag.__version__, settings_of(()).model_dump_json(), *names, *(c.digest() for c in collections)]
    key = hashlib.sha256("\n".join(begun_with).encode()).hexdigest()
    with runs.Unfinished(out / f"{name}.unfinished.jsonl", key) as unfinished:
        found = unfinished.complete(
            list(wanted),
            lambda point: _measured(*wanted[point], out, names, on_progress),
            "sweep",
            on_progress,
            "points",
        )
    unfinished.remove()
    return [Point(c.name, config, **found[point]) for point, (c, config) in wanted.items()]


def _measured(
    collection: Collection,
    config: tuple[str, ...],
    out: Path,
    names: Sequence[str],
    on_progress: Callable[[Progress], None] | None,
) -> dict[str, Any]:
    """Return the values and the seconds of one point, all judged questions in one batch."""
    settings = settings_of(config)
    index = index_of(collection, settings, out / "indexes", on_progress)
    with open_engine(index, in_folders(settings)) as engine:
        judged = judged_in(collection, engine)
        texts = [collection.queries[q] for q in judged.queries]
        began = time.perf_counter()
        by_article = engine.search_many(texts, k=DEPTH, group="article")
        seconds = time.perf_counter() - began
        quoted = [q for q in judged.queries if q in judged.placed.places]
        by_passage = engine.search_many([collection.queries[q] for q in quoted], k=10)
        places = judged.placed.places
        values = {
            q: judged.quote_values(q, passages_of(hits, places[q], engine))
            for q, hits in zip(quoted, by_passage, strict=True)
        }
    found = {q: ranking(hits, judged.judgments[q]) for q, hits in zip(judged.queries, by_article, strict=True)}
    return {"values": judged.values(names, found, values), "seconds": seconds}


def rows(found: Sequence[Point], baseline: tuple[str, ...], leading: str) -> list[dict[str, Any]]:
    """Return a row for each configuration: means on the tuning and reporting halves, and the test against the baseline.

    A set's mean counts the same however many questions it has.  The test is of the leading measure on the reporting
    halves, the questions of all sets together, corrected by Holm for the number of configurations.
    """
    sets = list(dict.fromkeys(p.collection for p in found))
    of = {(p.collection, p.config): p for p in found}
    configs = list(dict.fromkeys(p.config for p in found))
    draw = np.random.default_rng(0)
    out = []
    for config in configs:
        row: dict[str, Any] = {"config": list(config), "sets": {}}
        for part in ("tune", "report"):
            means = {s: _mean(of[s, config], leading, part) for s in sets}
            row["sets"] |= {f"{s} {part}": value for s, value in means.items()}
            row[part] = float(np.mean(list(means.values())))
        row["seconds"] = sum(of[s, config].seconds for s in sets)
        apart = [
            of[s, config].values[leading].get(q, 0.0) - value
            for s in sets
            for q, value in of[s, baseline].values[leading].items()
            if half(s, q) == "report"
        ]
        row["p"] = 1.0 if config == baseline else randomisation(np.array(apart), draw)
        row["all"] = {
            f"{s} {m}": float(np.mean(list(v.values()))) for s in sets for m, v in of[s, config].values.items()
        }
        out.append(row)
    others = [r for r in out if tuple(r["config"]) != baseline]
    for row, p in zip(others, holm([r["p"] for r in others]), strict=True):
        row["p_holm"] = p
    return out


def _mean(point: Point, measure: str, part: str) -> float:
    found = [v for q, v in point.values[measure].items() if half(point.collection, q) == part]
    return float(np.mean(found)) if found else 0.0
