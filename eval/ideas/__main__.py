"""Ideas from the literature that need no new model, each against the shipped search: `python eval/ideas FOLDER`.

FOLDER holds the outside sets.  Every idea's point is chosen on the tuning halves of the sets it is tuned on, and told
on the reporting halves of all; p is of the paired randomisation test over the questions of all reporting halves,
Holm's corrects it for the number of ideas.  Writes results/ideas.md and .json.
"""

from __future__ import annotations

import argparse
import json
import sys
from datetime import date
from pathlib import Path
from typing import Any

import articles
import feedback
import fusion
import lexical
import numpy as np
import together
import vectors
from cases import Case, best_passages, fused, load, values

sys.path.append(str(Path(__file__).parent.parent))
from tables import commit

from rag.evaluation.compare import holm, randomisation
from rag.evaluation.halves import half
from rag.evaluation.tables import table

TUNED = ("time-1963", "squad2-half", "nq-gold")
TOLD = ("cranfield", "medline-1033", "checkthat-2020", "news-2022")
MOST = {"nq-gold": 1000, "squad2-half": 1000}
MODULES = {
    "fusion.py": fusion, "articles.py": articles, "feedback.py": feedback, "lexical.py": lexical,
    "vectors.py": vectors, "together.py": together,
}  # fmt: skip
RESULTS = Path(__file__).parent.parent / "results"


def mean(case: Case, found: dict[str, float], part: str) -> float:
    """Return the mean of one half."""
    return float(np.mean([v for q, v in found.items() if half(case.name, q) == part]))


def main() -> None:
    """Try every point of every idea, and tell."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", nargs="+", default=[*TUNED, *TOLD])
    parser.add_argument("--out", type=Path, default=RESULTS / "ideas")
    args = parser.parse_args()
    made_at = commit()
    cases = [load(args.folder / name, most=MOST.get(name)) for name in args.sets]
    shipped = {c.name: values(c, best_passages(c, fused(c))) for c in cases}
    tuned = [c for c in cases if c.name in TUNED]
    base = float(np.mean([mean(c, shipped[c.name], "tune") for c in tuned]))
    rows: list[dict[str, Any]] = []
    for file, module in MODULES.items():
        for idea, points in module.IDEAS.items():
            scored = {name: {c.name: values(c, rank(c)) for c in tuned} for name, rank in points.items()}
            tune = {p: float(np.mean([mean(c, found[c.name], "tune") for c in tuned])) for p, found in scored.items()}
            best = max(tune, key=lambda p: tune[p])
            found = {c.name: scored[best].get(c.name) or values(c, points[best](c)) for c in cases}
            apart = [
                found[c.name][q] - v for c in cases for q, v in shipped[c.name].items() if half(c.name, q) == "report"
            ]
            rows.append(
                {
                    "idea": idea,
                    "script": f"eval/ideas/{file}",
                    "points": list(points),
                    "best": best,
                    "tune": tune[best],
                    "p": randomisation(np.array(apart), np.random.default_rng(0)),
                    "report": {c.name: mean(c, found[c.name], "report") for c in cases},
                }
            )
            print(json.dumps(rows[-1]), flush=True)
    for row, p in zip(rows, holm([r["p"] for r in rows]), strict=True):
        row["p_holm"] = p
    told = {"tuned on": base, "report": {c.name: mean(c, shipped[c.name], "report") for c in cases}, "rows": rows}
    args.out.with_suffix(".json").write_text(json.dumps(told, indent=1) + "\n", "utf-8")
    heads = ["idea", "best point", "tune", *(c.name for c in cases), "p (Holm)", "script"]
    lines = [["shipped", "", f"{base:.4f}", *(f"{told['report'][c.name]:.4f}" for c in cases), "", ""]]
    lines += [
        [r["idea"], r["best"], f"{r['tune']:.4f}", *(f"{r['report'][c.name]:.4f}" for c in cases), f"{r['p_holm']:.3f}",
         r["script"]]
        for r in rows
    ]  # fmt: skip
    tried = "\n".join(f"- {r['idea']}: {'; '.join(r['points'])}" for r in rows if len(r["points"]) > 1)
    sets = "; ".join(f"{c.name} {c.digest}, {len(c.queries):,} questions" for c in cases)
    text = (
        f"nDCG@10 on the reporting halves, made {date.today()} by eval/ideas at commit {made_at}, the bundled model.  "
        "Phrases that a short question quotes need not occur here as they must in a search, so that checkthat-2020 "
        f"stands a little higher than in retrieval.md.  Sets: {sets}.\n\n"
        f"{table(heads, lines)}\n\nPoints tried:\n\n{tried}\n"
    )
    print(text)
    args.out.with_suffix(".md").write_text(text, "utf-8")


if __name__ == "__main__":
    main()
