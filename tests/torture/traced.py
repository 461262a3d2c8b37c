"""A scenario's writer, followed: recorded, killed before an operation, cut off within one, or refused space."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torture.children import Ended, quiet, received, send, told
from torture.operations import Operation, Reader, Recorder
from torture.scenarios import Scenario, reporter
from torture.trace import Stop, follow

Step = Callable[[Stop, Operation, int], bool]


@dataclass(frozen=True)
class Run:
    """What a writer did until it ended or was killed, and how many of its commits had returned."""

    operations: list[Operation]
    marks: int
    count: int
    ended: Ended | None
    """How the work ended, None when it was killed."""


def run(folder: Path, scenario: Scenario, step: Step, mutant: Callable[[], None] | None = None) -> Run:
    """Run a scenario's writer upon `folder / "index"`, with a step between it and each of its operations."""
    marks, marks_in = os.pipe()
    result, result_in = os.pipe()

    def work() -> None:
        quiet()
        if mutant:
            mutant()
        try:
            scenario.write(folder / "index", reporter(marks_in))
            ended = Ended()
        except BaseException as e:
            ended = told(e)
        send(result_in, ended)

    try:
        recorder = Recorder(Reader(folder, marks_in), step)
        follow(work, recorder.seen)
        os.set_blocking(result, False)
        try:
            ended = received(os.read(result, 1 << 20))
        except BlockingIOError:
            ended = None
    finally:
        for handle in (marks, marks_in, result, result_in):
            os.close(handle)
    if recorder.problem:
        raise recorder.problem
    return Run(recorder.operations, recorder.marks, recorder.count, ended)


def let_go(stop: Stop, operation: Operation, n: int) -> bool:
    """Leave every operation alone."""
    return False


def kill_at(at: int, hit: list[Operation], *, torn: bool = False) -> Step:
    """Return a step that kills right before operation `at`, and says which that was.

    Torn, the first half of the first write from there on still lands.
    """

    def step(stop: Stop, operation: Operation, n: int) -> bool:
        if n < at or (torn and not can_tear(operation)):
            return False
        hit.append(operation)
        if torn and stop.name in ("write", "pwrite64"):
            stop.shorten(len(operation.data) // 2)
            stop.finish()
        stop.kill()
        return True

    return step


def can_tear(operation: Operation) -> bool:
    """Say whether half of an operation can be done."""
    return operation.kind == "write" and len(operation.data) > 1


def refuse(error: int, kinds: tuple[str, ...], first: int, last: int) -> Step:
    """Return a step that has operations of some kinds fail, those numbered `first` to `last`."""

    def step(stop: Stop, operation: Operation, n: int) -> bool:
        if operation.kind not in kinds or not first <= n <= last:
            return False
        stop.refuse(error)
        return True

    return step
