"""The figures by size, as small pictures beside each other with logarithmic axes."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import results

INK, LINE, FILL, OURS, GREY = "#333333", "#1f5fa8", "#9fc0e6", "#b5482a", "#9aa5b1"
COLUMNS = 4

Points = list[tuple[int, float]]


class Curve(NamedTuple):
    """Values by size; a broken line is the 95th percentile of the unbroken one of the same colour."""

    label: str
    points: Points
    color: str
    broken: bool = False


class Panel(NamedTuple):
    """One picture."""

    title: str
    curves: list[Curve]


def panels(figures: Mapping[str, Any]) -> list[Panel]:
    """Return what there is to draw."""
    ask, build, start, change = (results.of(figures, kind) for kind in ("ask", "build", "start", "change"))
    mib = results.MIB
    filtered: list[Curve] = []
    for mode, selectivity, color in (("hybrid", None, INK), ("new", "0.1", LINE), ("new", "0.01", OURS),
                                     ("new", "0.001", GREY)):  # fmt: skip
        by_size = {n: results.times(v["seconds"], mode, selectivity) for n, v in ask.items()}
        filtered += _both(f"filter {selectivity}" if selectivity else "no filter", by_size, color)
    halves = []
    for half, color in (("dense", LINE), ("lexical", OURS)):
        halves += _both(half, {n: results.times(v["seconds"], half, None) for n, v in ask.items()}, color)
    memory = [
        Curve("building, anonymous", [(n, v["peak"]["anonymous"] / mib) for n, v in build.items()], OURS),
        Curve(
            "searching, anonymous", [(n, v["searching"]["memory"]["anonymous"] / mib) for n, v in start.items()], LINE
        ),
        Curve("searching, mapped", [(n, v["searching"]["memory"]["mapped"] / mib) for n, v in start.items()], FILL),
    ]
    opening = [
        *_both("open to first answer", {n: [s["first_s"] for s in v["starts"]] for n, v in start.items()}, LINE),
        *_both("whole process", {n: [s["process_s"] for s in v["starts"]] for n, v in start.items()}, GREY),
    ]
    disk = [
        Curve("all", [(n, sum(v["bytes"].values()) / v["passages"]) for n, v in build.items()], INK),
        *(
            Curve(name, [(n, _of_kind(v["bytes"], name) / v["passages"]) for n, v in build.items()], color)
            for name, color in (("catalog", GREY), ("vectors", FILL), ("segments", LINE), ("lexical", OURS))
        ),
    ]
    by_change: dict[bool, list[Curve]] = {}
    for one in (True, False):
        by_change[one] = []
        for what, color in (("add", LINE), ("delete", OURS)):
            rows = {n: results.commits(v["rows"], what, one=one) for n, v in change.items()}
            by_change[one] += _both(what, {n: [r["commit_s"] for r in some] for n, some in rows.items()}, color)
    return [
        Panel("hybrid search, ms", filtered),
        Panel("its halves, no filter, ms", halves),
        Panel("building, passages/s", [Curve("", [(n, v["per_s"]) for n, v in build.items()], LINE)]),
        Panel("fresh process, ms", opening),
        Panel("memory, MiB", memory),
        Panel("bytes a passage on disk", disk),
        Panel("one article to commit, ms", by_change[True]),
        Panel("1,000 articles to commit, ms", by_change[False]),
    ]


def _both(label: str, by_size: Mapping[int, Sequence[float]], color: str) -> list[Curve]:
    found = {n: s for n, s in by_size.items() if s}
    return [
        Curve(label, [(n, results.at(s, 50) * 1000) for n, s in found.items()], color),
        Curve("", [(n, results.at(s, 95) * 1000) for n, s in found.items()], color, broken=True),
    ]


def _of_kind(sizes: Mapping[str, int], name: str) -> int:
    return sum(n for kind, n in sizes.items() if kind.startswith(name))


def draw(drawn: Sequence[Panel]) -> str:
    """Return the pictures as SVG."""
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    rows = math.ceil(len(drawn) / COLUMNS)
    # Text stays text, and the same figures give the same file.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "footnote", "font.size": 8, "text.color": INK}):
        figure = Figure(figsize=(3.1 * COLUMNS, 2.5 * rows), layout="constrained")
        for axes, panel in zip(figure.subplots(rows, COLUMNS, squeeze=False).flat, drawn, strict=False):
            axes.spines[["top", "right"]].set_visible(False)
            axes.set(xscale="log", yscale="log")
            axes.set_title(panel.title, fontsize=9)
            for curve in panel.curves:
                sizes, values = [n for n, _ in curve.points], [v for _, v in curve.points]
                style = "--" if curve.broken else "o-"
                axes.plot(sizes, values, style, color=curve.color, linewidth=1.2, markersize=3,
                          label=curve.label or "_")  # fmt: skip
            axes.grid(visible=True, axis="y", color="#e4e7ea", linewidth=0.6)
            # A curve that hardly moves would otherwise fill its picture with noise, and names need room.
            low, high = axes.get_ylim()
            if high < 10 * low:
                axes.set_ylim(low / 2, high * 2)
            low, high = axes.get_ylim()
            named = [c for c in panel.curves if c.label]
            axes.set_ylim(low, high * (high / low) ** (0.09 * len(named)))
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 200 * low else (1,)))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
            axes.yaxis.set_minor_formatter(NullFormatter())
            if named:
                axes.legend(frameon=False, fontsize=7, loc="upper left", ncols=2 if len(named) > 3 else 1)
        figure.supxlabel("passages (both axes logarithmic; broken lines: 95th percentile)", fontsize=8)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return text.getvalue()[text.getvalue().index("<svg") :].rstrip()
