"""Ask our own questions and count both kinds of error: `python eval/questions.py [--page PAGE.txt]`.

Twenty questions over corpus/, and twenty over the page named with --page; half of each have no answer
there.  These questions report; nothing is tuned on them.  Writes eval/results/questions.md.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from datetime import date
from pathlib import Path
from typing import Any

from tables import commit

import rag
from rag.evaluation.tables import of_records
from rag.intake.text import fold

HERE = Path(__file__).parent


def right(answer: rag.Answer, record: dict[str, Any]) -> bool:
    """Say whether an answer holds what it must: one of each group of alternatives."""
    said = fold(answer.text)
    groups = record.get("all_answers") or [record["answers"]]
    return all(any(fold(a) in said for a in group) for group in groups)


def ask_all(name: str, source: Path, index: Path, shown: list[str]) -> dict[str, Any]:
    """Return one row of counts for a file of questions over a source."""
    rag.ingest(source, index=index)
    with (HERE / "questions" / f"{name}.jsonl").open(encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    counts = dict.fromkeys(
        ("answered right", "answered wrong", "wrongly refused", "rightly refused", "wrongly answered"), 0
    )
    sentences = 0
    with rag.open(index) as engine:
        for r in records:
            answer = engine.ask(r["question"])
            for c in answer.citations:
                if engine.article(c.article_id, c.revision).text[c.start : c.end] != c.quote:
                    raise SystemExit(f"{r['id']}: citation {c.number} is not verbatim")
            if answer.outcome == "abstained":
                outcome = "wrongly refused" if r["answerable"] else "rightly refused"
            elif not r["answerable"]:
                outcome = "wrongly answered"
            else:
                outcome = "answered right" if right(answer, r) else "answered wrong"
            counts[outcome] += 1
            sentences += len(answer.sentences)
            shown.append(f"{r['id']:12} {outcome:17} {answer.confidence:.2f} {r['question']}")
    yes = sum(r["answerable"] for r in records)
    return {
        "questions": name,
        "with an answer": yes,
        "without": len(records) - yes,
        **counts,
        "sentences an answer": round(
            sentences / max(len(records) - counts["wrongly refused"] - counts["rightly refused"], 1), 1
        ),
    }


def main() -> None:
    """Ask and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--page", type=Path, help="the listing page that analyst-page.jsonl asks about")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "questions.md")
    args = parser.parse_args()
    shown: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        rows = [ask_all("corpus", HERE.parent / "corpus", Path(folder) / "corpus", shown)]
        if args.page:
            rows.append(ask_all("analyst-page", args.page, Path(folder) / "page", shown))
    print("\n".join(shown))
    print(of_records(rows))
    made = f"Made {date.today()} by eval/questions.py at commit {commit()}."
    args.out.write_text(f"{made}\n\n{of_records(rows)}\n", "utf-8")


if __name__ == "__main__":
    main()
