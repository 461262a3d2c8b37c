"""Cases tried side by side, with progress."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

from torture import traced
from torture.cases import Bench, Case, Outcome
from torture.disk import Disk
from torture.parts import PARTS
from torture.scenarios import SCENARIOS

_bench: list[Bench] = []


def prepare(bench: Bench, scenarios: Sequence[str]) -> None:
    """Make the index of each scenario and record what its writer does, so wholly that the folder can be made of it."""
    for name in scenarios:
        scenario = SCENARIOS[name]
        bench.place.make(scenario)
        with bench.place.copy(scenario) as folder:
            begun = time.monotonic()
            done = traced.run(folder, scenario, traced.let_go)
            bench.seconds[name] = time.monotonic() - begun
            if done.ended is None or not done.ended.well or done.marks != len(scenario.states) - 1:
                raise RuntimeError(f"the writer of {name} failed when nothing happened to it: {done.ended}")
            bench.recorded[name] = done.operations
            with bench.place.empty() as other:
                _replay(bench, name, other)
                if _contents(other) != _contents(folder):
                    raise RuntimeError(f"what was recorded of {name} is not all that its writer did to the folder")


def _replay(bench: Bench, name: str, where: Path) -> None:
    disk = Disk(bench.place.base(SCENARIOS[name]))
    disk.apply(bench.recorded[name])
    disk.whole(where)


def _contents(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() if p.is_file() else b""
        for p in folder.rglob("*")
        if not p.name.endswith("-shm")
    }


def use(bench: Bench) -> None:
    """Have this process, and the forks it makes from now on, try cases on a bench."""
    _bench[:] = [bench]


def tried(bench: Bench, cases: Sequence[Case], jobs: int) -> Iterator[Outcome]:
    """Yield what comes of each case, as it comes."""
    use(bench)
    # The workers are forks, so that they have everything loaded, and one thread each, so that they may fork.
    pool = ProcessPoolExecutor(jobs, mp_context=get_context("fork"), initializer=_leave_it_to_the_parent)
    try:
        rest = iter(cases)
        waited = {pool.submit(one, case) for case in islice(rest, 4 * jobs)}
        while waited:
            done, waited = wait(waited, return_when=FIRST_COMPLETED)
            waited |= {pool.submit(one, case) for case in islice(rest, len(done))}
            for future in done:
                yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _leave_it_to_the_parent() -> None:
    # Interrupted, a worker ends the case it is at; one that broke off might hold what the others wait for.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def one(case: Case) -> Outcome:
    """Try one case; what goes wrong in the test itself is a failure too."""
    try:
        return PARTS[case.part](_bench[0], case)
    except Exception as e:
        return Outcome(case, "failed", "", f"the test itself: {type(e).__name__}: {' '.join(str(e).split())}")


class Progress:
    """How far it is, how fast it goes and how long it will take, on one line."""

    def __init__(self, cases: int) -> None:
        self._cases, self._done, self._failed, self._begun, self._shown = cases, 0, 0, time.monotonic(), 0.0

    def one_more(self, outcome: Outcome) -> None:
        """Count one."""
        self._done += 1
        self._failed += outcome.result == "failed"
        now = time.monotonic()
        if now - self._shown < (0.5 if sys.stderr.isatty() else 20) and self._done < self._cases:
            return
        self._shown = now
        rate = self._done / (now - self._begun)
        left = (self._cases - self._done) / rate
        end = "\r" if sys.stderr.isatty() and self._done < self._cases else "\n"
        sys.stderr.write(
            f"{self._done:,} of {self._cases:,}, {rate:.1f} a second, {left / 60:.1f} minutes left,"
            f" {self._failed} failed; now {outcome.case.part} {outcome.case.scenario}   {end}"
        )
        sys.stderr.flush()
