"""Power that fails: the folder as a disk could hold it after any operation of a recorded run."""

from __future__ import annotations

import random
from itertools import count

from torture.aftermath import Failed, settle
from torture.cases import Bench, Case, Outcome, side
from torture.disk import Disk
from torture.operations import Operation
from torture.scenarios import SCENARIOS

DISKS = ("strict", "ordered", "careless")


def after_operation(bench: Bench, case: Case) -> Outcome:
    """Take the power away after operation `case.n`; what is then on the disk is told by the kind of disk."""
    scenario = SCENARIOS[case.scenario]
    done = first(bench.recorded[case.scenario], case.n)
    if case.mutant == "segments-unsynced":
        done = without_sync(done, "segments")
    returned = sum(o.kind == "mark" for o in done)
    disk = Disk(bench.place.base(scenario))
    disk.apply(done)
    where = str(next((o for o in reversed(done) if o.kind != "mark"), "the beginning"))
    with bench.place.empty() as folder:
        if case.how == "strict":
            disk.strict(folder)
        elif case.how == "ordered":
            disk.ordered(folder)
        else:
            disk.careless(folder, random.Random(f"{bench.seed}-{case}"))
        states = list(range(returned, min(returned + 2, len(scenario.states))))
        try:
            now = settle(folder / "index", scenario, states)
        except Failed as e:
            return Outcome(case, "failed", where, str(e))
        return Outcome(case, side(now, returned), where)


def first(operations: list[Operation], n: int) -> list[Operation]:
    """Return what was done up to operation n, commits that returned right after it included."""
    numbers = count()
    done: list[Operation] = []
    for operation in operations:
        if operation.kind != "mark" and next(numbers) >= n:
            break
        done.append(operation)
    return done


def without_sync(operations: list[Operation], folder: str) -> list[Operation]:
    """Return what a writer would have done that never asks for files of one folder to be durable."""
    return [o for o in operations if o.kind != "sync" or folder not in o.path]
