"""The tables of retrieval under results/, by one command: `python eval/tables.py FOLDER`.

FOLDER holds the outside sets.  Every set is put to the search as `rag eval retrieval` does it, with the defaults, with
either half of the search alone, and with passages embedded in other precisions; a row is told for the questions that
tune, for those that report, and for all.  Writes results/retrieval.md and precision.md, with .json beside them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from rag.evaluation import commands, measures, runs
from rag.evaluation.halves import half
from rag.evaluation.tables import table

HERE = Path(__file__).parent
OUT = HERE / "out"
SETS = (
    "time-1963", "squad2-half", "nq-gold", "cranfield", "medline-1033", "checkthat-2020", "news-2022",
    "timeqa-articles",
)  # fmt: skip
TABLES: Mapping[str, Sequence[tuple[str, ...]]] = {
    "retrieval": [(), ("search.retriever=dense",), ("search.retriever=lexical",)],
    "precision": [("model.precision=float32",), ("model.precision=int8",), ("model.precision=half",)],
}


def rows(folder: Path, sets: Sequence[str], configs: Sequence[tuple[str, ...]]) -> Iterator[dict[str, Any]]:
    """Yield a row for each set, configuration and part of the questions."""
    made_at = commit()
    for name in sets:
        for config in configs:
            (told,) = commands.retrieval([folder / name], config=config, out=OUT)
            run = runs.read(told["run"])
            for part in ("tune", "report", "all"):
                of_part = {
                    m: {q: v for q, v in values.items() if part == "all" or half(name, q) == part}
                    for m, values in run.values.items()
                }
                yield {
                    "set": name,
                    "questions": part,
                    "count": len(next(iter(of_part.values()))),
                    "config": list(config),
                    **{m: round(measures.score(values).value, 4) for m, values in of_part.items()},
                    **{k: told[k] for k in ("digest", "model", "passages", "passage_tokens")},
                    "commit": made_at,
                }
                print(json.dumps(told["set"]), config, part, flush=True)


def commit() -> str:
    """Return the commit of this working tree."""
    command = ["git", "-C", str(HERE), "describe", "--always", "--dirty"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def main() -> None:
    """Write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", nargs="+", default=list(SETS))
    parser.add_argument("--tables", nargs="+", default=list(TABLES), choices=list(TABLES))
    args = parser.parse_args()
    for name in args.tables:
        found = sorted(
            rows(args.folder, args.sets, TABLES[name]),
            key=lambda r: (args.sets.index(r["set"]), ("tune", "report", "all").index(r["questions"])),
        )
        told = ["nDCG@10", "R@5", "R@10", "R@100", "RR@10", "AP@5", "QuoteR@5"]
        heads = ["set", "questions", "number", "configuration", *told, "passages", "digest"]
        lines = [
            [
                r["set"],
                r["questions"],
                f"{r['count']:,}",
                ", ".join(r["config"]) or "default",
                *(f"{r[m]:.4f}" if m in r else "–" for m in told),
                f"{r['passages']:,}",
                r["digest"],
            ]
            for r in found
        ]
        text = (
            f"Made {date.today()} by eval/tables.py at commit {found[0]['commit']}, {found[0]['model']}, passages "
            f"of {found[0]['passage_tokens']} tokens.\n\n{table(heads, lines)}\n"
        )
        path = HERE / "results" / name
        path.with_suffix(".md").write_text(text, "utf-8")
        path.with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
        print(text)


if __name__ == "__main__":
    main()
