"""How many cells of a large segment a search must look into, by real questions: `python eval/cells.py INDEX FOLDER`.

INDEX is one with cells, for instance what `make scale SCALE="--sizes 1000000 --keep"` leaves; FOLDER holds the outside
sets whose questions are asked.  Writes results/cells.md and .json: the share of the ten nearest that is found in a
share of all cells, by questions that tune and that report, by made questions, and what that costs on one core; and with
filters by date, where all that pass are compared or their nearest looked for in cells, in more of them the fewer pass.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from rag.embed.model import Model
from rag.evaluation.halves import half
from rag.handover import Vectors
from rag.store import cells, segments
from rag.store.columns import Mask, Wanted
from rag.store.local import LocalStore
from rag.store.segments import Segment
from rag.store.view import LocalView

RESULTS = Path(__file__).parent / "results"
SETS = ("nq-gold", "squad2-half", "time-1963")
EACH = 150
"""Questions of each half of each set, at most."""

SHARES = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0)
CANDIDATES = (256, 512, 1024)

PASSING = (0.3, 0.1, 0.03, 0.01, 0.003)
"""Shares that pass a filter."""
WINDOWS = 5
"""Filters of each share."""
WIDENED = (0.0, 0.125, 0.25)
"""Values of `cells.WIDER`."""


def questions(folder: Path, model: Model) -> dict[str, Vectors]:
    """Return the vectors of real questions by half."""
    asked: dict[str, list[str]] = {"tune": [], "report": []}
    for name in SETS:
        counts = dict.fromkeys(asked, 0)
        for line in (folder / name / "queries.jsonl").read_text("utf-8").splitlines():
            query = json.loads(line)
            which = half(name, query["_id"])
            if counts[which] < EACH:
                counts[which] += 1
                asked[which].append(query["text"])
    return {which: model.queries(texts) for which, texts in asked.items()}


def nearest(parts: Sequence[Segment], asked: Vectors, k: int, mask: Mask) -> list[set[int]]:
    """Return the places of the k truly nearest of all parts."""
    plain = [replace(part, cells=None) for part in parts]
    return [_first(*found, k) for found in segments.best(plain, asked, k, mask)]


def _first(places: cells.Places, scores: cells.Scores, k: int) -> set[int]:
    return set(places[np.argsort(-scores, kind="stable")[:k]].tolist())


def measured(
    parts: Sequence[Segment], asked: Vectors, true: Sequence[set[int]], k: int, mask: Mask
) -> tuple[float, float]:
    """Return the share found and the median milliseconds of a question."""
    found, took = 0, []
    for question, wanted in zip(asked, true, strict=True):
        began = time.perf_counter()
        (got,) = segments.best(parts, question[None, :], k, mask)
        took.append(time.perf_counter() - began)
        found += len(wanted & _first(*got, k))
    return found / (k * len(true)), 1000 * float(np.median(took))


def windows(parts: Sequence[Segment], share: float) -> list[Mask]:
    """Return filters by date that let about this share pass."""
    days = np.concatenate([part.columns.articles["day"] for part in parts])
    dated = np.sort(days[days > 0])
    share *= len(days) / len(dated)
    masks = []
    for first in np.linspace(0, 1 - share, WINDOWS):
        since, until = (int(dated[min(int(at * len(dated)), len(dated) - 1)]) for at in (first, first + share))
        wanted = Wanted(since=since, until=until)
        masks.append(np.concatenate([part.columns.passing(wanted) for part in parts]))
    return masks


def filtered(parts: Sequence[Segment], asked: dict[str, Vectors]) -> list[dict[str, float]]:
    """Return what is found under filters, and what that costs, compared exactly and through cells."""
    rows = []
    exact, wider = segments.EXACT, cells.WIDER
    for share in PASSING:
        masks = windows(parts, share)
        some = {w: np.array_split(vectors, WINDOWS) for w, vectors in asked.items() if w != "made"}
        true = {w: [nearest(parts, v, 10, m) for v, m in zip(of, masks, strict=True)] for w, of in some.items()}
        for how in (None, *WIDENED):
            segments.EXACT, cells.WIDER = (10**9, wider) if how is None else (0, how)
            row: dict[str, Any] = {"passing": share, "matches": int(np.mean([m.sum() for m in masks])), "wider": how}
            for w, of in some.items():
                each = [measured(parts, *one) for one in zip(of, true[w], [10] * WINDOWS, masks, strict=True)]
                row[w] = round(float(np.average([e[0] for e in each], weights=[len(v) for v in of])), 4)
                row["ms"] = round(float(np.median([e[1] for e in each])), 2)
            rows.append(row)
            print(row, flush=True)
    segments.EXACT, cells.WIDER = exact, wider
    return rows


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("index", type=Path)
    parser.add_argument("folder", type=Path)
    args = parser.parse_args()
    faiss.omp_set_num_threads(1)
    with LocalStore(args.index).view() as view:
        assert isinstance(view, LocalView)
        parts = [part for part in view._state.parts if part.cells]
    if not parts:
        raise SystemExit(f"no segment of {args.index.name} has cells: make a larger index")
    asked = questions(args.folder, Model())
    made = np.concatenate([part.questions(100, np.ones(len(part), bool)) for part in parts])
    asked["made"] = made
    everything = np.ones(sum(map(len, parts)), bool)
    true = {which: nearest(parts, vectors, 10, everything) for which, vectors in asked.items()}
    rows = []
    for share in (*SHARES, None):
        looked = [
            replace(p, cells=replace(p.cells, probes=max(int(share * p.cells.index.nlist), 1))) if share else p
            for p in parts
            if p.cells
        ]
        for candidates in CANDIDATES if share in (0.2, 1.0) else (cells.CANDIDATES,):
            cells.CANDIDATES, before = candidates, cells.CANDIDATES
            figures = {
                which: measured(looked, vectors, true[which], 10, everything) for which, vectors in asked.items()
            }
            cells.CANDIDATES = before
            rows.append({"share": share, "candidates": candidates, **{w: round(f[0], 4) for w, f in figures.items()},
                         "ms": round(figures["report"][1], 2)})  # fmt: skip
            print(rows[-1], flush=True)
    chosen = [{"rows": len(p), "cells": p.cells.index.nlist, "probes": p.cells.probes} for p in parts if p.cells]
    under = filtered(parts, asked)
    known = {"segments": chosen, "rows": rows, "filtered": under}
    (RESULTS / "cells.json").write_text(json.dumps(known, indent=1) + "\n", "utf-8")
    (RESULTS / "cells.md").write_text(page(rows, under, chosen, {w: len(v) for w, v in asked.items()}), "utf-8")


def page(
    rows: Sequence[dict[str, float]],
    under: Sequence[dict[str, float]],
    chosen: Sequence[dict[str, int]],
    counts: dict[str, int],
) -> str:
    """Return the table as Markdown."""
    told = "; ".join(f"{c['probes']:,} of {c['cells']:,} over {c['rows']:,}" for c in chosen)
    lines = [
        "# How many cells are looked into",
        "",
        f"Measured {date.today().isoformat()} by `eval/cells.py` on an index of {sum(c['rows'] for c in chosen):,}"
        f" passages made as for `make scale`; {counts['tune']} real questions that tune, {counts['report']} that"
        f" report, {counts['made']} made ones (`rag/store/cells.py`). Recall@10 against comparing everything;"
        " milliseconds of a dense search on one core.",
        "",
        f"As the index chose by itself (the last row): {told} passages.",
        "",
        "| share of cells | candidates | tune | report | made | ms |",
        "| ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for r in rows:
        share = f"{r['share']:g}" if r["share"] else "chosen"
        lines.append(
            f"| {share} | {r['candidates']} | {r['tune']:.4f} | {r['report']:.4f} | {r['made']:.4f} | {r['ms']} |"
        )
    lines += [
        "",
        f"Under filters by date, {WINDOWS} of each share: all that pass are compared (exact), or looked for in cells,"
        f" the chosen number times share^-w. A search compares up to {segments.EXACT:,} matches of a segment exactly,"
        f" above that w is {cells.WIDER:g}.",
        "",
        "| passing | matches | how | tune | report | ms |",
        "| ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for r in under:
        how = "exact" if r["wider"] is None else f"w = {r['wider']:g}"
        found = f"{r['tune']:.4f} | {r['report']:.4f}"
        lines.append(f"| {r['passing']} | {r['matches']:,} | {how} | {found} | {r['ms']} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
