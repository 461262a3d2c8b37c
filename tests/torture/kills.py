"""A writer killed: before each of its operations, within a write, and at random moments."""

from __future__ import annotations

import os
import random
import signal
import time

from torture.aftermath import Failed, Watcher, settle
from torture.cases import Bench, Case, Outcome, side
from torture.children import quiet
from torture.mutants import MUTANTS
from torture.operations import Operation
from torture.scenarios import SCENARIOS, Scenario, reporter
from torture.trace import die_with_parent
from torture.traced import kill_at, run


def at_operation(bench: Bench, case: Case) -> Outcome:
    """Kill the writer before operation `case.n` of its run; "torn", the first half of a write still lands."""
    scenario = SCENARIOS[case.scenario]
    hit: list[Operation] = []
    step = kill_at(case.n, hit, torn=case.how == "torn")
    with bench.place.copy(scenario) as folder:
        # A view held open all the while keeps SQLite from taking its log away: tried as often as not.
        watcher = Watcher(folder / "index", scenario, hold=case.n % 2 == 1) if scenario.base else None
        try:
            done = run(folder, scenario, step, MUTANTS.get(case.mutant))
            where = str(hit[0]) if hit else "the end"
            if done.ended and not done.ended.well:
                return Outcome(case, "failed", where, f"the writer itself: {done.ended}")
            states = _allowed(scenario, done.marks)
            try:
                now = settle(folder / "index", scenario, states, watcher)
            except Failed as e:
                return Outcome(case, "failed", where, str(e))
            return Outcome(case, side(now, done.marks) if hit else "to the end", where)
        finally:
            if watcher:
                watcher.stop()


def at_random(bench: Bench, case: Case) -> Outcome:
    """Kill the writer from outside at a moment that its number and the seed tell, up to a little after its end."""
    scenario = SCENARIOS[case.scenario]
    delay = random.Random(f"{bench.seed}-{case}").uniform(0, 1.1) * bench.seconds[case.scenario]
    with bench.place.copy(scenario) as folder:
        watcher = Watcher(folder / "index", scenario, hold=case.n % 2 == 1) if scenario.base else None
        marks, marks_in = os.pipe()
        try:
            pid = os.fork()
            if not pid:
                _write(scenario, folder, marks_in)
            time.sleep(delay)
            os.kill(pid, signal.SIGKILL)
            _, status = os.waitpid(pid, 0)
            os.set_blocking(marks, False)
            try:
                returned = len(os.read(marks, 64))
            except BlockingIOError:
                returned = 0
            where = f"after {delay * 1000:.0f} ms"
            if os.WIFEXITED(status) and os.WEXITSTATUS(status):
                return Outcome(case, "failed", where, "the writer itself failed")
            try:
                now = settle(folder / "index", scenario, _allowed(scenario, returned), watcher)
            except Failed as e:
                return Outcome(case, "failed", where, str(e))
            return Outcome(case, side(now, returned) if os.WIFSIGNALED(status) else "to the end", where)
        finally:
            os.close(marks)
            os.close(marks_in)
            if watcher:
                watcher.stop()


def _write(scenario: Scenario, folder: object, marks: int) -> None:
    try:
        die_with_parent()
        quiet()
        scenario.write(folder / "index", reporter(marks))  # type: ignore[operator]
        os._exit(0)
    finally:
        os._exit(1)


def _allowed(scenario: Scenario, returned: int) -> list[int]:
    return list(range(returned, min(returned + 2, len(scenario.states))))
