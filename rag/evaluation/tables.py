"""What was measured, as Markdown that also reads well in a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return rows under their names, columns aligned; all but the first are right-aligned.

    >>> print(table(["set", "n"], [["a", "10"]]))
    | set |  n |
    | --- | -: |
    | a   | 10 |
    """
    cells = [[_cell(c) for c in row] for row in (names, *rows)]
    widths = [max(3 if n == 0 else 2, *(len(row[n]) for row in cells)) for n in range(len(names))]

    def line(row: Sequence[str]) -> str:
        return (
            "| "
            + " | ".join(c.rjust(w) if n else c.ljust(w) for n, (c, w) in enumerate(zip(row, widths, strict=True)))
            + " |"
        )

    rule = "| " + " | ".join("-" * (w - 1) + ":" if n else "-" * w for n, w in enumerate(widths)) + " |"
    return "\n".join([line(cells[0]), rule, *(line(row) for row in cells[1:])])


def of_records(records: Sequence[Mapping[str, Any]]) -> str:
    """Return records of the same names as a table, nothing where there is none."""
    names = list(records[0])
    return table(names, [["" if r[n] is None else str(r[n]) for n in names] for r in records])


def retrieval(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the rows of runs: measures with the half width of their intervals, times, sizes."""
    names = list(dict.fromkeys(m for row in rows for m in row["measures"]))
    heads = ["set", "run", "queries", *names, "p50 ms", "p95 ms", "passages", "MiB"]
    lines = [
        [
            row["set"],
            ", ".join(row["config"]) or "default",
            f"{row['queries']:,}",
            *(_with_interval(row["measures"].get(m)) for m in names),
            f"{row['latency_ms']['p50']:.1f}",
            f"{row['latency_ms']['p95']:.1f}",
            f"{row['passages']:,}",
            f"{row['index_bytes'] / 2**20:.1f}",
        ]
        for row in rows
    ]
    runs = "\n".join(f"- {row['run']}, to be read as {row['report']}" for row in rows)
    return f"{table(heads, lines)}\n\n± is half of a 95 % interval (bootstrap over the questions).  Runs:\n\n{runs}"


def comparison(found: Mapping[str, Any]) -> str:
    """Return a comparison: its table, and the questions that moved most."""
    first, *_ = found["runs"]
    heads = ["run", "measure", first, "this run", "difference", "95 %", "p", "p (Holm)", "wins", "ties", "losses"]
    lines = [
        [
            row["run"],
            row["measure"],
            f"{row['first']:.4f}",
            f"{row['value']:.4f}",
            f"{row['difference']:+.4f}",
            f"{row['low']:+.4f} to {row['high']:+.4f}",
            _p(row["p"]),
            _p(row["p_holm"]),
            str(row["wins"]),
            str(row["ties"]),
            str(row["losses"]),
        ]
        for row in found["rows"]
    ]
    parts = [
        f"{found['queries']:,} questions.  p is of a paired randomisation test, Holm's corrects it for the "
        f"{len(lines)} rows.",
        table(heads, lines),
    ]
    for run in found["runs"][1:]:
        if moved := [m for m in found["moved"] if m["run"] == run]:
            parts.append(f"## Moved most: {run}")
            parts += [_moved(m, first) for m in moved]
    return "\n\n".join(parts)


def answers(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the figures of answers, a column for each collection."""
    measures = list(dict.fromkeys(m for row in rows for m in row["measures"]))
    lines = [[m, *(_with_interval(row["measures"].get(m)) for row in rows)] for m in measures]
    for name in ("questions", "answerable"):
        lines.insert(0, [name, *(f"{row[name]:,}" for row in rows)])
    for name in ("threshold", "accuracy", "refused_wrongly", "answered_wrongly", "auroc", "brier", "ece", "risk_area"):
        lines.append([name, *(_number(row[name]) for row in rows)])
    lines.append(["p50 ms", *(f"{row['latency_ms']['p50']:.0f}" for row in rows)])
    lines.append(["p95 ms", *(f"{row['latency_ms']['p95']:.0f}" for row in rows)])
    reports = [f"- {row['report']}" for row in rows if "report" in row]
    return "\n".join(
        [table(["figure", *(row["set"] for row in rows)], lines), *(["", "Reports:", "", *reports] if reports else [])]
    )


def calibration(found: Mapping[str, Any]) -> str:
    """Return a chosen threshold and the errors before and after, on both halves."""
    heads = ["set", "half", "threshold", "refused wrongly", "answered wrongly"]
    lines = [
        [r["set"], r["half"], f"{r['threshold']:.2f}", _number(r["refused_wrongly"]), _number(r["answered_wrongly"])]
        for r in found["rows"]
    ]
    return (
        f"Threshold {found['threshold']:.2f} (before: {found['before']:.2f}), chosen on the tuning halves; a wrong "
        f"answer costs {found['wrong_cost']:g} wrong refusals.\n\n{table(heads, lines)}"
    )


def sweep(found: Mapping[str, Any]) -> str:
    """Return a row for each configuration, the best on the tuning halves first."""
    rows = sorted(found["rows"], key=lambda r: -r["tune"])
    sets = list(rows[0]["sets"])
    heads = ["configuration", "tune", "report", "p", "p (Holm)", *sets, "s"]
    lines = [
        [
            ", ".join(r["config"]) or found["baseline"],
            f"{r['tune']:.4f}",
            f"{r['report']:.4f}",
            _p(r["p"]) if r["config"] else "–",
            _p(r["p_holm"]) if r["config"] else "–",
            *(f"{r['sets'][s]:.4f}" for s in sets),
            f"{r['seconds']:.1f}",
        ]
        for r in rows
    ]
    return (
        f"{found['measure']}; tune and report are means over the sets, p is of the difference to "
        f"{found['baseline']} on the reporting halves.\n\n{table(heads, lines)}"
    )


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _moved(m: Mapping[str, Any], first: str) -> str:
    ranks = ", ".join(
        f"{a}: {before or '–'} → {after or '–'}" for a, (before, after) in list(m["relevant"].items())[:5]
    )
    told = [f"**{m['query']}** {m['text']}", "", f"{m['first']:.3f} → {m['value']:.3f}; ranks of what answers: {ranks}"]
    for name, hits in zip((first, m["run"]), m["hits"], strict=True):
        if hits:
            hit = hits[0]
            text = " ".join(hit["passage"]["text"].split())[:160]
            told += ["", f"- {name}: {hit['article']['title']} ({hit['article']['id']}): {text}…"]
    return "\n".join(told)


def _with_interval(score: Mapping[str, float] | None) -> str:
    return f"{score['value']:.4f} ±{(score['high'] - score['low']) / 2:.3f}" if score else "–"


def _p(p: float) -> str:
    return "<.0001" if p < 0.0001 else f"{p:.4f}".lstrip("0") if p < 1 else "1"


def _cell(text: str) -> str:
    return str(text).replace("|", "\\|").replace("\n", " ")
