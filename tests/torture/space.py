"""A disk that is full: a small one that really is, and one that says so at any write."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from torture.aftermath import Failed, must, settle
from torture.cases import Bench, Case, Outcome, side
from torture.checks import found
from torture.children import Ended, in_fork
from torture.operations import GROWING, Operation
from torture.scenarios import SCENARIOS, Scenario
from torture.trace import Stop
from torture.traced import refuse, run

STEP = 16 * 1024
"""Bytes by which the small disks differ."""

REMOUNT = 32


def refused(bench: Bench, case: Case) -> Outcome:
    """Refuse space from operation `case.n` on; "once", only to that one."""
    scenario = SCENARIOS[case.scenario]
    step = refuse(errno.ENOSPC, GROWING, case.n, case.n if case.how == "once" else 10**9)
    hit: list[str] = []

    def noted(stop: Stop, operation: Operation, n: int) -> bool:
        if n >= case.n and operation.kind in GROWING and not hit:
            hit.append(str(operation))
        return step(stop, operation, n)

    with bench.place.copy(scenario) as folder:
        done = run(folder, scenario, noted)
        where = hit[0] if hit else "the end"
        return _judged(case, scenario, folder / "index", done.ended, done.marks, where)


def small_disk(bench: Bench, case: Case) -> Outcome:
    """Let the writer work on a disk that has room for `case.n` steps beyond the index; then there is more room."""
    scenario = SCENARIOS[case.scenario]
    base = bench.place.base(scenario)
    # A file system in memory gives whole pages, and one to each name.
    used = sum(-(-p.stat().st_size // 4096) * 4096 + 4096 for p in base.rglob("*") if p.is_file())
    size = used + STEP * case.n
    with mounted(bench.place.root / f"disk-{os.getpid()}", size) as disk:
        shutil.copytree(base, disk, dirs_exist_ok=True)
        done = run(disk, scenario, lambda stop, operation, n: False)
        where = f"{STEP * case.n // 1024} KiB"
        return _judged(case, scenario, disk / "index", done.ended, done.marks, where, disk)


def _judged(
    case: Case, scenario: Scenario, index: Path, ended: Ended | None, marks: int, where: str, disk: Path | None = None
) -> Outcome:
    if ended is None:
        return Outcome(case, "failed", where, "the writer died")
    if not ended.well and not ended.ours:
        return Outcome(case, "failed", where, f"the writer's error is not one of ours in one line: {ended}")
    problem = ""
    if not ended.well and ("space" not in ended.error or "damage" in ended.error or "rebuild" in ended.error):
        problem = f"the writer's error does not say that space is missing: {ended}"
    states = list(range(marks, min(marks + 2, len(scenario.states))))
    try:
        if disk:
            # As it is, full: readers need no space of their own.
            seen = must("a reader while the disk is full", in_fork(found, index, [scenario.states[n] for n in states]))
            _mount(disk, 64 * 2**20, REMOUNT)
            now = settle(index, scenario, [states[seen]])
        else:
            now = settle(index, scenario, states)
    except Failed as e:
        return Outcome(case, "failed", where, f"{e} (the writer ended so: {ended or 'well'})")
    if problem:
        return Outcome(case, "failed", where, problem)
    return Outcome(case, "to the end" if ended.well else side(now, marks), where)


@contextmanager
def mounted(folder: Path, size: int) -> Iterator[Path]:
    """Give a disk of a size."""
    folder.mkdir()
    try:
        _mount(folder, size, 0)
        try:
            yield folder
        finally:
            # Lazily: whatever still looks into it may look on.
            ctypes.CDLL(None).umount2(os.fsencode(folder), 2)
    finally:
        folder.rmdir()


def _mount(folder: Path, size: int, flags: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", ctypes.c_ulong(flags), f"size={size}".encode()):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(folder))


@cache
def why_not(place: Path) -> str:
    """Return why no small disk can be made here, or nothing."""
    try:
        with mounted(place / "trial", 2**20):
            return ""
    except (OSError, AttributeError) as e:
        return f"no file system can be mounted here: {e}"
