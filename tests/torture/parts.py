"""The parts of the test, how each tries one case, and which cases there are."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence

from torture import damage, kills, power, space
from torture.cases import Bench, Case, Outcome
from torture.operations import GROWING
from torture.scenarios import SCENARIOS
from torture.traced import can_tear

PARTS: dict[str, Callable[[Bench, Case], Outcome]] = {
    "killed": kills.at_operation,
    "torn": kills.at_operation,
    "random": kills.at_random,
    "power": power.after_operation,
    "refused": space.refused,
    "full": space.small_disk,
    "damaged": damage.spoiled,
    "read-only": damage.read_only,
}
TITLES = {
    "killed": "killed before an operation",
    "torn": "killed half way through a write",
    "random": "killed at a random moment",
    "power": "power lost after an operation",
    "refused": "space refused from an operation on, or once",
    "full": "a small disk that is really full",
    "damaged": "a file cut or with a bit turned over",
    "read-only": "a file, or all, not to be written",
}
SAMPLE = {"killed": 8, "torn": 5, "random": 4, "power": 20, "refused": 6, "full": 3, "damaged": 28, "read-only": 4}
"""Cases of each part that the quick test tries."""

RANDOM_MOMENTS = 200
DAMAGES = {"cut": 12, "flipped": 60}
DISK_SIZES = 40
TRIES = 3
"""Every how many-th operation space is refused at, in the whole test."""


def every(bench: Bench, scenarios: Sequence[str], parts: Sequence[str]) -> list[Case]:
    """Return all cases of some parts and scenarios."""
    return [case for part in parts for name in scenarios for case in _of(bench, part, name, len(scenarios))]


def sample(cases: Sequence[Case], seed: int) -> list[Case]:
    """Return a few cases of each part, told by a seed; of damage, some to each kind of file."""
    chosen: list[Case] = []
    for part, size in SAMPLE.items():
        # By a number of its own for each case, since there are not equally many of them each time.
        there = sorted((c for c in cases if c.part == part), key=lambda c: random.Random(f"{seed}-{c}").random())
        if part == "damaged":
            there.sort(key=lambda c: (c.n >= 3, c.n, "#" in c.how))
        chosen += there[:size]
    return chosen


def _of(bench: Bench, part: str, scenario: str, among: int) -> Iterator[Case]:
    done = [o for o in bench.recorded[scenario] if o.kind != "mark"]
    has_base = bool(SCENARIOS[scenario].base)
    match part:
        case "killed":
            yield from (Case(part, scenario, n) for n in range(len(done)))
        case "torn":
            yield from (Case(part, scenario, n, "torn") for n, o in enumerate(done) if can_tear(o))
        case "random":
            yield from (Case(part, scenario, n) for n in range(-(-RANDOM_MOMENTS // among)))
        case "power":
            yield from (Case(part, scenario, n, how) for n in range(len(done) + 1) for how in power.DISKS)
        case "refused":
            grow = [n for n, o in enumerate(done) if o.kind in GROWING]
            yield from (Case(part, scenario, n, ("once", "on")[m % 2]) for m, n in enumerate(grow[::TRIES]))
        case "full" if has_base and not space.why_not(bench.place.root):
            yield from (Case(part, scenario, n) for n in range(DISK_SIZES))
        case "damaged" if scenario == "grow":
            labels = damage.files(bench, SCENARIOS[scenario])
            yield from (
                Case(part, scenario, n, f"{way} {label}")
                for label in labels
                for way, tries in DAMAGES.items()
                for n in range(tries)
            )
        case "read-only" if scenario == "grow":
            labels = damage.files(bench, SCENARIOS[scenario])
            yield from (Case(part, scenario, 0, how) for how in ("everything", *labels))
