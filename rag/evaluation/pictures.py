"""Plots as SVG text, to stand inside a page (extra: eval)."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from rag.errors import MissingExtra

INK, LINE, FILL = "#333333", "#1f5fa8", "#9fc0e6"


@contextmanager
def _axes(title: str, x: str, y: str) -> Iterator[tuple[Any, Callable[[], str]]]:
    """Give axes to draw on, and a function that returns what was drawn."""
    with _panels(1, 5.0, 3.4) as ((axes,), drawn):
        axes.set(title=title, xlabel=x, ylabel=y)
        yield axes, drawn


@contextmanager
def _panels(number: int, width: float, height: float) -> Iterator[tuple[Sequence[Any], Callable[[], str]]]:
    """Give axes side by side that share the vertical one, and a function that returns what was drawn."""
    try:
        from matplotlib.figure import Figure
    except ImportError as e:
        raise MissingExtra("a plot", "eval") from e
    import matplotlib as mpl

    # Text stays text, and the same figures give the same file.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "footnote", "font.size": 9, "text.color": INK}):
        figure = Figure(figsize=(width, height), layout="constrained")
        panels = figure.subplots(1, number, sharey=True, squeeze=False)[0]
        for axes in panels:
            axes.spines[["top", "right"]].set_visible(False)

        def drawn() -> str:
            text = io.StringIO()
            figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
            return text.getvalue()[text.getvalue().index("<svg") :]

        yield panels, drawn


def reliability(bins: Sequence[Mapping[str, Any]]) -> str:
    """Return a reliability diagram: the share that can be answered by confidence; the sizes say of how many."""
    with _axes("Reliability", "confidence", "share answerable") as (axes, drawn):
        axes.plot([0, 1], [0, 1], ":", color=INK, linewidth=1)
        largest = max(b["questions"] for b in bins)
        axes.plot([b["confidence"] for b in bins], [b["answerable"] for b in bins], "-", color=LINE)
        axes.scatter(
            [b["confidence"] for b in bins],
            [b["answerable"] for b in bins],
            [10 + 120 * b["questions"] / largest for b in bins],
            color=LINE,
        )
        axes.set(xlim=(0, 1), ylim=(0, 1))
        return drawn()


def risk_coverage(curves: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """Return curves of the share of answers that are not right, by the share of questions answered."""
    with _axes("Risk and coverage", "share of questions answered", "share of these not right") as (axes, drawn):
        for name, points in curves.items():
            axes.step([p[0] for p in points], [p[1] for p in points], where="post", label=name)
        axes.set(xlim=(0, 1), ylim=(0, None))
        axes.legend(frameon=False)
        return drawn()


def per_question(name: str, values: Sequence[float]) -> str:
    """Return the values of all questions, sorted: how many fail, and how badly."""
    with _axes(f"{name} by question", "questions, worst first", name) as (axes, drawn):
        ordered = np.sort(np.array(values, float))
        axes.fill_between(np.arange(len(ordered) + 1), np.append(ordered, ordered[-1:]), step="post", color=FILL)
        axes.set(xlim=(0, len(ordered)), ylim=(0, 1))
        return drawn()


def differences(name: str, values: Sequence[float]) -> str:
    """Return the differences of all questions between two runs, sorted."""
    with _axes(f"Difference in {name} by question", "questions", "difference") as (axes, drawn):
        ordered = np.sort(np.array(values, float))
        axes.bar(np.arange(len(ordered)), ordered, width=1.0, color=np.where(ordered < 0, "#c0504d", LINE))
        axes.axhline(0, color=INK, linewidth=0.8)
        return drawn()


def sweep(name: str, labels: Sequence[str], sets: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    """Return a panel for each set, a row for each configuration: its value on either half, beside the first one's."""
    rows = range(len(labels))
    with _panels(len(sets), 2.0 * len(sets) + 2.5, 0.24 * len(labels) + 1.1) as (panels, drawn):
        for axes, (title, halves) in zip(panels, sets.items(), strict=True):
            for (half, values), color, marker in zip(halves.items(), (FILL, LINE), "so", strict=True):
                axes.axvline(values[0], color=color, linewidth=0.8)
                axes.plot(values, rows, marker, color=color, markersize=4, label=half)
            axes.set_title(title, fontsize=9)
            axes.set_xlabel(name)
        panels[0].set_yticks(rows, labels)
        panels[0].invert_yaxis()
        panels[-1].legend(frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(0, 1.06), ncols=2)
        return drawn()
