"""A run as a list of figures to measure, each written down as soon as it is there."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from figures import read


class Task(NamedTuple):
    """A figure to measure, and how."""

    key: str
    do: Callable[[], dict[str, Any]]

    @property
    def kind(self) -> str:
        """The sort of figure: tasks of one sort take about equally long."""
        return self.key.partition("/")[0]


def take(tasks: list[Task], figures: Path, *, resume: bool) -> None:
    """Measure every figure, or with `resume` those that are not there yet."""
    if not resume:
        forget(tasks, figures)
    done = {f["key"] for f in read(figures) if "failed" not in f}
    left = [t for t in tasks if t.key not in done]
    clock = Clock(left)
    for n, task in enumerate(left, 1):
        began = time.perf_counter()
        figure = measured(task)
        with figures.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(figure, ensure_ascii=False) + "\n")
        said = f"FAILED: {figure['failed']}" if "failed" in figure else "done"
        minutes = clock.took(task, time.perf_counter() - began) / 60
        print(f"[{n}/{len(left)}] {task.key}: {said}; about {minutes:.0f} min left", flush=True)


def measured(task: Task) -> dict[str, Any]:
    """Return a task's figure, or in one line why there is none."""
    figure: dict[str, Any] = {"key": task.key, "at": datetime.now().astimezone().isoformat(timespec="seconds")}
    try:
        return {**figure, "value": task.do()}
    except Exception as error:  # Whatever one system does, the others are still measured.
        return {**figure, "failed": " ".join(f"{type(error).__name__}: {error}".split())[:300]}


def forget(tasks: Iterable[Task], figures: Path) -> None:
    """Drop the figures that are about to be measured, and keep those of the other subcommand."""
    kinds = {t.kind for t in tasks}
    kept = [f for f in read(figures) if f["key"].partition("/")[0] not in kinds]
    figures.parent.mkdir(parents=True, exist_ok=True)
    figures.write_text("".join(json.dumps(f, ensure_ascii=False) + "\n" for f in kept), "utf-8")


class Clock:
    """How long the rest will take, by what tasks of the same kind took so far."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        self.waiting = [t.kind for t in tasks]
        self.times: dict[str, list[float]] = {}

    def took(self, task: Task, seconds: float) -> float:
        """Note a task's time and return the seconds that the others will take."""
        self.waiting.remove(task.kind)
        self.times.setdefault(task.kind, []).append(seconds)
        means = {kind: statistics.mean(times) for kind, times in self.times.items()}
        return sum(means.get(kind, statistics.mean(means.values())) for kind in self.waiting)
