"""One misfortune, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from torture.operations import Operation
from torture.workplace import Workplace


@dataclass(frozen=True, order=True)
class Case:
    """A part of the test, the scenario it happens in, which operation or try it is, and in which way."""

    part: str
    scenario: str
    n: int
    how: str = ""
    mutant: str = ""

    def __str__(self) -> str:
        return " ".join(w for w in (self.part, self.scenario, str(self.n), self.how, self.mutant) if w)


@dataclass(frozen=True)
class Outcome:
    """What came of a case: in one word, at which operation, and what was wrong, if anything was."""

    case: Case
    result: str
    operation: str = ""
    problem: str = ""


@dataclass
class Bench:
    """What cases have in common: a place, a seed, and what each scenario's writer did when nothing happened to it."""

    place: Workplace
    seed: int = 0
    recorded: dict[str, list[Operation]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


def side(now: int, returned: int) -> str:
    """Return whether a state is that before the commit that was in progress, or after it."""
    return "before" if now == returned else "after"
