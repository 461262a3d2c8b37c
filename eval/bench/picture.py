"""The figures as bars."""

from __future__ import annotations

import math
import statistics
from pathlib import Path

from figures import COLD, HYBRID, MEASURES, MEMORY, PEAK, QUALITY, RATE, Figures, Measure
from peers import OURS, PEERS


def draw(figures: Figures, path: Path) -> None:
    """Draw each system's best in a few measures, as bars."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    panels = [(f"{m.title}, {s}", _bars(m, s, figures)) for m, s in _panels(figures)]
    medians: dict[str, float] = {}
    for (system, _), by_round in figures.rates().items():
        medians[system] = max(medians.get(system, 0.0), statistics.median(by_round.values()))
    panels = [(title, bars) for title, bars in [*panels, ("embedding, tokens/s", medians)] if bars]
    if not panels:
        return
    columns = min(3, len(panels))
    rows = math.ceil(len(panels) / columns)
    figure, axes = pyplot.subplots(rows, columns, figsize=(4.2 * columns, 2.4 * rows), squeeze=False)
    for axis in axes.flat[len(panels) :]:
        axis.set_visible(False)
    for axis, (title, bars) in zip(axes.flat, panels, strict=False):
        names = [s for s in (OURS, *PEERS) if s in bars]
        drawn = axis.barh(names, [bars[n] for n in names], color=["#b5482a" if n == OURS else "#9aa5b1" for n in names])
        axis.bar_label(drawn, fmt=lambda v: f"{v:,.0f}" if v >= 100 else f"{v:.3g}", padding=2, fontsize=7)
        axis.invert_yaxis()
        axis.margins(x=0.18)
        axis.set_title(title, fontsize=9)
        axis.tick_params(labelsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _panels(figures: Figures) -> list[tuple[Measure, str]]:
    first = figures.sets("query")[:1]
    found = [(COLD, s) for s in figures.sets("cold")[:1]]
    found += [(m, s) for s in first for m in (MEASURES[3], HYBRID, RATE, PEAK, QUALITY)]
    return found + [(MEMORY, s) for s in figures.sets("memory")[:1]]


def _bars(measure: Measure, set: str, figures: Figures) -> dict[str, float]:
    found = {s: b.value for s in (OURS, *PEERS) if (b := figures.best(measure, set, s))}
    units = {"MiB": 2**-20, "ms": 1000}
    scale = units.get("MiB" if "MiB" in measure.title else "ms" if measure.title.endswith(" ms") else "", 1)
    return {s: scale * v for s, v in found.items()}
