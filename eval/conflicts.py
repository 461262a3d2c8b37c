"""How well disagreement between articles is told: `python eval/conflicts.py [FOLDER]`.

Questions of our own about 65 articles, where articles differ in 37 and only seem to in 30; see questions/README.md.
The rules were made on the tuning half alone.  FOLDER, or RAG_EVAL_DATA, holds outside sets whose answers hardly ever
differ: of nq-gold and squad2-half all questions are asked, and each answer told as a conflict is listed by its id, to
be read.  Writes results/conflicts.md and .json, which hold none of those sets' text.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from tables import commit

import rag
from rag.evaluation import collection
from rag.evaluation.answers import holds
from rag.evaluation.halves import half
from rag.evaluation.retrieval import index_of
from rag.evaluation.tables import table
from rag.settings import Settings

HERE = Path(__file__).parent
OURS = HERE / "questions" / "conflict"
OUTSIDE = ("nq-gold", "squad2-half")
INDEXES = HERE / "out" / "indexes"


def main() -> None:
    """Write the tables."""
    folder = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("RAG_EVAL_DATA")
    ours = asked_of_ours()
    outside = [asked_of(Path(folder) / name) for name in OUTSIDE] if folder else []
    text = told(ours, outside)
    (HERE / "results" / "conflicts.md").write_text(text, "utf-8")
    whole = {"questions": ours, "outside": outside}
    (HERE / "results" / "conflicts.json").write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n", "utf-8")
    print(text)


def asked_of_ours() -> list[dict[str, Any]]:
    """Return what came of each of our own questions."""
    with (OURS / "questions.jsonl").open(encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    with tempfile.TemporaryDirectory() as index:
        rag.ingest(OURS / "articles", index=index)
        with rag.open(index) as engine:
            return [judged(record, engine.ask(record["question"])) for record in records]


def judged(record: dict[str, Any], answer: rag.Answer) -> dict[str, Any]:
    """Return what there is to say of one answer; `sides` counts the known sides whose value it holds."""
    sides = {side["answer"] for side in record["sides"] if holds(answer.text, [side["answer"]])}
    told = {"id": record["id"], "kind": record["kind"], "half": half("conflict", record["id"])}
    return {**told, "expected": record["outcome"], "outcome": answer.outcome, "sides": len(sides)}


def asked_of(path: Path) -> dict[str, Any]:
    """Return how many questions of a set were answered, and the ids of those answered with a conflict."""
    found = collection.read(path)
    flagged, answered = [], 0
    with rag.open(index_of(found, Settings.load(), INDEXES)) as engine:
        for question in found.questions.values():
            answer = engine.ask(question.text)
            answered += answer.outcome != "abstained"
            if answer.outcome == "conflict":
                flagged.append({"id": question.id, "half": half(found.name, question.id)})
    return {"set": found.name, "questions": len(found.questions), "answered": answered, "flagged": flagged}


def told(ours: Sequence[dict[str, Any]], outside: Sequence[dict[str, Any]]) -> str:
    """Return the tables as a page."""
    rows = []
    for part in ("tune", "report", "all"):
        of_part = [r for r in ours if part in (r["half"], "all")]
        for expected in ("conflict", "answered"):
            of_outcome = [r for r in of_part if r["expected"] == expected]
            for kind in [*dict.fromkeys(r["kind"] for r in of_outcome), "all"]:
                some = [r for r in of_outcome if kind in (r["kind"], "all")]
                rows.append([part, expected, kind, str(len(some)), *counts(some, expected)])
    ours_told = table(
        ["half", "expected", "kind", "questions", "conflict told", "both sides in it", "answered", "partly", "refused"],
        rows,
    )
    lines = [
        f"Made {date.today()} by eval/conflicts.py at commit {commit()}.",
        "Answers of outcome conflict over articles of our own. Where conflict is expected, an answered or refused"
        " question is a miss; where an answer is expected, a conflict told is false.",
        ours_told,
    ]
    if outside:
        shares = [
            [o["set"], str(o["questions"]), str(o["answered"]), str(len(o["flagged"])),
             f"{len(o['flagged']) / max(o['answered'], 1):.2%}"]
            for o in outside
        ]  # fmt: skip
        lines += [
            "Answers told as a conflict over outside sets, where hardly any should be.",
            table(["set", "questions", "answered", "conflict told", "share of answers"], shares),
        ]
    return "\n\n".join(lines) + "\n"


def counts(some: Sequence[dict[str, Any]], expected: str) -> list[str]:
    """Return how many were told as a conflict, hold two sides, were answered, in part, and refused."""
    conflicts = [r for r in some if r["outcome"] == "conflict"]
    both = str(sum(r["sides"] > 1 for r in conflicts)) if expected == "conflict" else ""
    others = ("answered", "partly", "abstained")
    return [str(len(conflicts)), both, *(str(sum(r["outcome"] == o for r in some)) for o in others)]


if __name__ == "__main__":
    main()
