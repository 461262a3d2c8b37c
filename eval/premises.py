"""Ask questions that get one thing wrong: `python eval/premises.py`.

Of 80 questions about corpus/, 64 ask about something that the articles tell, with another name, number, date, role or
event than theirs, so that nothing answers them; 16 are right.  They only report.  Writes results/premises.md, .json.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from tables import commit

import rag
from rag.evaluation.refusals import auroc
from rag.evaluation.tables import of_records

HERE = Path(__file__).parent


def main() -> None:
    """Ask and report."""
    with (HERE / "questions" / "premises.jsonl").open(encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    with tempfile.TemporaryDirectory() as index:
        rag.ingest(HERE.parent / "corpus", index=index)
        with rag.open(index) as engine:
            asked = [{**about(r, engine.ask(r["question"])), "threshold": engine.threshold} for r in records]
    rows = []
    for kind in dict.fromkeys(a["kind"] for a in asked):
        some = [a for a in asked if a["kind"] == kind]
        refused = sum(a["outcome"] == "abstained" for a in some)
        right = sum(a["answered_right"] for a in some) if some[0]["answerable"] else None
        rows.append({"kind": kind, "questions": len(some), "refused": refused, "answered right": right})
    wrong = [a for a in asked if not a["answerable"]]
    refused = sum(a["outcome"] == "abstained" for a in wrong)
    rows.append({"kind": "all wrong premises", "questions": len(wrong), "refused": refused, "answered right": None})
    sure = auroc(np.array([a["confidence"] for a in asked]), np.array([a["answerable"] for a in asked]))
    text = (
        f"Made by eval/premises.py at commit {commit()}.  Threshold {asked[0]['threshold']:.2f}; "
        f"AUROC of right against wrong premises {sure:.3f}.\n\n{of_records(rows)}\n\n"
        f"Answered though the premise is wrong: {', '.join(a['id'] for a in wrong if a['outcome'] != 'abstained')}.\n"
    )
    (HERE / "results" / "premises.md").write_text(text, "utf-8")
    whole = json.dumps(asked, indent=1, ensure_ascii=False) + "\n"
    (HERE / "results" / "premises.json").write_text(whole, "utf-8")
    print(text)


def about(record: dict[str, Any], answer: rag.Answer) -> dict[str, Any]:
    """Return what came of one question."""
    said = answer.text.casefold()
    return {
        "id": record["id"],
        "kind": record["kind"],
        "question": record["question"],
        "answerable": record["answerable"],
        "outcome": answer.outcome,
        "confidence": answer.confidence,
        "text": answer.text,
        "answered_right": answer.outcome != "abstained" and any(a.casefold() in said for a in record["answers"]),
    }


if __name__ == "__main__":
    main()
