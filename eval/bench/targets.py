"""What we want to reach, and whether the figures say that we have."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass

from figures import COLD, HYBRID, MEMORY, PEAK, Figures, Measure, config
from peers import OURS

HALVED = ("int8", "half")
"""Precisions of ours below float32."""


@dataclass(frozen=True, slots=True)
class Target:
    """Something to be reached, what was measured, and whether that reaches it; None where it was not measured."""

    name: str
    wanted: str
    measured: str
    reached: bool | None


def targets(figures: Figures) -> list[Target]:
    """Return what we want to reach and how far we are."""
    found = [_against_leader("cold start", COLD, set, figures, 1 / 8) for set in figures.sets("cold")]
    for set in figures.sets("query"):
        found.append(_against_leader("warm hybrid question, p50", HYBRID, set, figures, 1 / 3))
        mine, limit = figures.ours(HYBRID, set), figures.query_limit(set)
        ratio = mine.value / limit if mine and limit else None
        found.append(_target(f"warm hybrid question, p50, {set}", "at most 1.5 times its bare parts", ratio, most=1.5))
    found.append(_rate_target("embedding in float32", ["float32"], figures, 1.15))
    found.append(_rate_target("embedding in int8 or half", list(HALVED), figures, 1.7))
    rates, limit = figures.rates().get((OURS, "float32")), figures.embed_limit()
    share = statistics.median(rates.values()) / limit if rates and limit else None
    found.append(_target("embedding in float32", "at least 0.85 of the limit of this machine", share, least=0.85))
    measure = MEMORY if figures.sets("memory") else PEAK
    for set in figures.sets(measure.kind):
        if figures.leader(measure, set):
            found.append(_against_leader("peak memory of indexing", measure, set, figures, 1.0))
    return found


def _against_leader(name: str, measure: Measure, set: str, figures: Figures, most: float) -> Target:
    mine, leader = figures.ours(measure, set), figures.leader(measure, set)
    ratio = mine.value / leader[1].value if mine and leader else None
    wanted = "below every peer's" if most == 1 else f"at most 1/{1 / most:.0f} of the best peer's"
    said = _target(f"{name}, {set}", wanted, ratio, most=most)
    if not (mine and leader and ratio):
        return said
    peer, best = leader
    unit = measure.title.split()[-1]
    values = f"{measure.show(mine.value)} against {measure.show(best.value)} {unit} of {peer}, {config(best)}"
    reached = ratio < 1 if most == 1 else said.reached
    return Target(said.name, said.wanted, f"{said.measured} ({values})", reached)


def _rate_target(name: str, precisions: list[str], figures: Figures, least: float) -> Target:
    medians = {p: statistics.median(r) for p in precisions if (r := figures.embed_ratios(p))}
    best = max(medians, key=lambda p: medians[p], default=None)
    said = _target(name, f"at least {least} times the fastest peer", medians[best] if best else None, least=least)
    return Target(said.name, said.wanted, f"{said.measured} ({best})", said.reached) if best else said


def _target(name: str, wanted: str, ratio: float | None, *, most: float = math.inf, least: float = -math.inf) -> Target:
    if ratio is None:
        return Target(name, wanted, "not measured", None)
    return Target(name, wanted, f"{ratio:.3g}", least <= ratio <= most)
