"""The tables of retrieval and answers under results/, by one command: `python eval/tables.py FOLDER`.

FOLDER holds the outside sets.  Every set is put to the search as `rag eval retrieval` does it, with the defaults, with
either half of the search alone, and with passages embedded in other precisions; a row is told for the questions that
tune, for those that report, and for all.  The choices of the search are swept over as `rag eval sweep` does it, and
questions of the reporting halves answered as `rag eval answers` does it.  Writes results/retrieval.md, precision.md,
sweep-*.md and answers.md, with .json beside them.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from rag.evaluation import commands, measures, runs
from rag.evaluation.halves import half
from rag.evaluation.tables import answers as answers_table
from rag.evaluation.tables import sweep as sweep_table
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
SWEPT = ("time-1963", "squad2-half", "nq-gold", "cranfield")
"""Sets that the choices below are made on, by their tuning halves."""
SWEEPS: Mapping[str, Sequence[str]] = {
    "sweep-passages": ("passages.tokens=64,100,130,160,200", "passages.context=0,0.5"),
    "sweep-overlap": ("passages.overlap=15,30",),
    "sweep-title": ("passages.title=false",),
    "sweep-phrases": ("search.phrase_words=0,10,15,25,32,1000",),
}
"""What an index is made with, and what only the whole search has; all else is tried in ideas/."""
QUOTING = ("checkthat-2020", "squad2-half")
"""Sets whose questions quote."""
ANSWERED = {"squad2-half": 300, "nq-gold": 300, "timeqa-articles": 200, "news-2022": None}
"""Sets with answers, and how many questions of each kind in their reporting halves are asked."""
ANSWERED_WITH: Sequence[tuple[str, ...]] = [(), ("answer.hits=8",)]


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
    """Return the commit of this working tree, and whether anything but results has changed since."""

    def git(*args: str) -> str:
        return subprocess.run(
            ["git", "-C", str(HERE), *args], capture_output=True, text=True, check=True
        ).stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", ":(top)", ":(top,exclude)eval/results")
    return git("rev-parse", "--short", "HEAD") + ("-dirty" if changed else "")


def swept(folder: Path, name: str) -> None:
    """Write the table of one sweep."""
    made_at = commit()
    sets = QUOTING if name == "sweep-phrases" else SWEPT
    found = commands.sweep([folder / s for s in sets], axes=SWEEPS[name], measures=["nDCG@10"], out=OUT, name=name)
    told = "; ".join(f"{s['set']} {s['digest']}, {s['questions']:,} questions" for s in found["sets"])
    text = (
        f"Made {date.today()} by eval/tables.py at commit {made_at}, the bundled model.  Swept: "
        f"{', '.join(SWEEPS[name])}.  Sets: {told}.\n\n{sweep_table(found)}\n"
    )
    write(name, text, found)
    shutil.copyfile(OUT / f"{name}.svg", HERE / "results" / f"{name}.svg")


def answered(folder: Path) -> None:
    """Write the tables of answers, one a configuration."""
    made_at = commit()
    found: list[dict[str, Any]] = []
    texts = []
    for config in ANSWERED_WITH:
        rows = []
        for name, most in ANSWERED.items():
            (row,) = commands.answers([folder / name], config=config, part="report", most=most, out=OUT)
            rows.append({k: v for k, v in row.items() if k not in ("data", "report", "run", "risk_coverage")})
            print(name, config, row["measures"], flush=True)
        texts.append(f"{', '.join(config) or 'Defaults'}:\n\n{answers_table(rows)}\n")
        found += rows
    sets = "; ".join(f"{row['set']} {row['digest']}" for row in found[: len(ANSWERED)])
    about = (
        f"Made {date.today()} by eval/tables.py at commit {made_at}, {found[0]['model']}; questions of the reporting "
        f"halves, at most {max(n for n in ANSWERED.values() if n)} of each kind.  Sets: {sets}."
    )
    write("answers", "\n".join([f"{about}\n", *texts]), found)


def write(name: str, text: str, found: object) -> None:
    """Write one table, for readers and for programs."""
    path = HERE / "results" / name
    path.with_suffix(".md").write_text(text, "utf-8")
    path.with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    print(text)


def main() -> None:
    """Write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", nargs="+", default=list(SETS))
    every = [*TABLES, *SWEEPS, "answers"]
    parser.add_argument("--tables", nargs="+", default=every, choices=every)
    args = parser.parse_args()
    for name in args.tables:
        if name in SWEEPS:
            swept(args.folder, name)
            continue
        if name == "answers":
            answered(args.folder)
            continue
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
        write(name, text, found)


if __name__ == "__main__":
    main()
