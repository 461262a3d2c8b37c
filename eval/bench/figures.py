"""The figures of a run: what they are about, and which of them count."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from peers import OURS, PEERS

Figure = dict[str, Any]


class Key(NamedTuple):
    """What a figure of a system is about: `query/time-1963/haystack/hybrid/tuned`."""

    kind: str
    set: str
    system: str
    mode: str
    variant: str


class Best(NamedTuple):
    """A system's best value of a measure, the configuration it comes from, and the share of tokens cut off there."""

    value: float
    mode: str
    variant: str
    cut: float = 0.0


@dataclass(frozen=True, slots=True)
class Measure:
    """A column: where its value is in a figure, and which end of the scale is better."""

    title: str
    kind: str
    value: Callable[[Figure], float]
    show: Callable[[float], str]
    lower: bool = True
    mode: str | None = None


def read(path: Path) -> list[Figure]:
    """Return the figures in a file; of those with the same key the last counts."""
    if not path.exists():
        return []
    lines = path.read_text("utf-8").splitlines()
    return list({f["key"]: f for f in map(json.loads, lines)}.values())


def quantile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that is at least as large as this share of them.

    >>> quantile([4, 1, 3, 2], 0.5), quantile([4, 1, 3, 2], 0.95)
    (2, 4)
    """
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:.1f}"


def whole(value: float) -> str:
    return f"{value:,.0f}"


def mebibytes(value: float) -> str:
    return f"{value / 2**20:,.0f}"


MEASURES = (
    Measure("articles/s", "index", lambda v: v["articles"] / v["index_s"], lambda x: f"{x:.1f}", lower=False),
    Measure("tokens/s", "index", lambda v: (v["tokens"] - v["truncated"]) / v["index_s"], whole, lower=False),
    Measure("peak MiB", "index", lambda v: v["peak_bytes"], mebibytes),
    Measure("dense p50 ms", "query", lambda v: quantile(v["seconds"], 0.5), milliseconds, mode="dense"),
    Measure("dense p95 ms", "query", lambda v: quantile(v["seconds"], 0.95), milliseconds, mode="dense"),
    Measure("hybrid p50 ms", "query", lambda v: quantile(v["seconds"], 0.5), milliseconds, mode="hybrid"),
    Measure("hybrid p95 ms", "query", lambda v: quantile(v["seconds"], 0.95), milliseconds, mode="hybrid"),
    Measure("nDCG@10", "query", lambda v: v["nDCG@10"], lambda x: f"{x:.3f}", lower=False),
    Measure("R@10", "query", lambda v: v["R@10"], lambda x: f"{x:.3f}", lower=False),
)
COLD = Measure("cold start s", "cold", lambda v: statistics.median(v["first_hit_s"]), lambda x: f"{x:.2f}")
MEMORY = Measure("peak MiB", "memory", lambda v: v["peak_bytes"], mebibytes)
HYBRID = MEASURES[5]
RATE, PEAK, QUALITY = MEASURES[1], MEASURES[2], MEASURES[7]


class Figures:
    """The figures of a run, by what they are about."""

    def __init__(self, figures: Iterable[Figure]) -> None:
        figures = list(figures)
        self.values: dict[str, Figure] = {f["key"]: f["value"] for f in figures if "value" in f}
        self.failed: dict[str, str] = {f["key"]: f["failed"] for f in figures if "failed" in f}
        self.machine: Figure = self.values.get("machine") or self.values.get("machine-memory", {})
        self.default: str = self.machine.get("default_precision", "float32")

    def of(self, kind: str, set: str | None = None) -> dict[Key, Figure]:
        """Return the figures of one kind about systems, and one set where that is named."""
        parts = {tuple(k.split("/")): v for k, v in self.values.items()}
        found = {Key(*p): v for p, v in parts.items() if len(p) == 5 and p[0] == kind}
        return {k: v for k, v in found.items() if set in (None, k.set)}

    def sets(self, kind: str) -> list[str]:
        """Return the sets there are figures of a kind for."""
        return list(dict.fromkeys(k.set for k in self.of(kind)))

    def systems(self) -> list[str]:
        """Return the systems that were tried, ours first."""
        tried = {part for key in [*self.values, *self.failed] for part in key.split("/")}
        return [s for s in (OURS, *PEERS) if s in tried]

    def best(self, measure: Measure, set: str, system: str, variant: str | None = None) -> Best | None:
        """Return a system's best value of a measure over its configurations, or over those of one variant."""
        found = [
            Best(measure.value(value), key.mode, key.variant, value.get("truncated", 0) / (value.get("tokens") or 1))
            for key, value in self.of(measure.kind, set).items()
            if key.system == system and measure.mode in (None, key.mode) and variant in (None, key.variant)
        ]
        return (min if measure.lower else max)(found, default=None)

    def ours(self, measure: Measure, set: str) -> Best | None:
        """Return our value in the precision that is in force, where users get it."""
        return self.best(measure, set, OURS, self.default)

    def leader(self, measure: Measure, set: str) -> tuple[str, Best] | None:
        """Return the peer that does best, and its value."""
        found = [(peer, best) for peer in PEERS if (best := self.best(measure, set, peer))]
        choose = min if measure.lower else max
        return choose(found, key=lambda f: f[1].value, default=None)

    def rates(self) -> dict[tuple[str, str], dict[int, float]]:
        """Return the tokens a second that each system and variant embeds, by round."""
        tokens = self.values.get("passages", {}).get("tokens", 0)
        found: dict[tuple[str, str], dict[int, float]] = {}
        for key, value in self.values.items():
            if key.startswith("embed/"):
                _, round, system, variant = key.split("/")
                found.setdefault((system, variant), {})[int(round)] = tokens / value["seconds"]
        return found

    def embed_ratios(self, variant: str) -> list[float]:
        """Return, for each round, our rate over that of the fastest peer in the same round."""
        rates = self.rates()
        mine = rates.get((OURS, variant), {})
        peers = [by_round for (system, _), by_round in rates.items() if system != OURS]
        fastest = {n: max((p[n] for p in peers if n in p), default=0.0) for n in mine}
        return [rate / fastest[n] for n, rate in sorted(mine.items()) if fastest[n]]

    def product_rate(self) -> float | None:
        """Return the best rate of matrix products that was measured, in operations a second."""
        products = self.values.get("limits", {}).get("products", [])
        return max((1e9 * p["gflops"] for p in products), default=None)

    def embed_limit(self) -> float | None:
        """Return the tokens a second at which the model's own operations come to that rate."""
        rate, passages = self.product_rate(), self.values.get("passages")
        return passages["tokens"] * rate / passages["flops"] if rate and passages else None

    def query_limit(self, set: str) -> float | None:
        """Return the sum of a hybrid question's bare parts."""
        parts = self.values.get(f"parts/{set}")
        return parts["model_s"] + parts["scan_s"] + parts["lexical_s"] if parts else None


def config(best: Best) -> str:
    """Return how a configuration is named in tables, with what it leaves unread."""
    return f"{best.mode} {best.variant}" + (f", cuts {best.cut:.0%}" if best.cut else "")
