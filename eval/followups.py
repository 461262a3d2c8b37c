"""How well follow-up questions find what they ask for: `python eval/followups.py`.

Conversations over corpus/ whose last question leans on those before; see questions/README.md.  Each is searched as it
is, as the rules of rag/converse.py make it stand alone, and as a person wrote it out; what counts is the share of the
quoted evidence that the first five passages show.  The rules were made on the tuning half alone.  Writes
results/followups.md and .json.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from tables import commit

import rag
from rag.converse import standalone
from rag.evaluation.halves import half
from rag.evaluation.quotes import Place, locate, quote_values
from rag.evaluation.tables import table

HERE = Path(__file__).parent
QUESTIONS = HERE / "questions" / "followups.jsonl"
WAYS = ("as asked", "made to stand alone", "written out")


def main() -> None:
    """Write the table."""
    with QUESTIONS.open(encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    with tempfile.TemporaryDirectory() as index:
        rag.ingest(HERE.parent / "corpus", index=index)
        with rag.open(index) as engine:
            found = [measured(engine, record) for record in records]
    rows = []
    for part in ("tune", "report"):
        of_part = [f for f in found if f["half"] == part]
        for kind in [*dict.fromkeys(r["kind"] for r in records), "all"]:
            some = [f for f in of_part if kind in (f["kind"], "all")]
            if some:
                rows.append([part, kind, str(len(some)), *(f"{mean([f[w] for f in some]):.3f}" for w in WAYS)])
    text = (
        f"Made {date.today()} by eval/followups.py at commit {commit()}: share of the evidence shown by the first five"
        f" passages.\n\n{table(['half', 'kind', 'questions', *WAYS], rows)}\n"
    )
    (HERE / "results" / "followups.md").write_text(text, "utf-8")
    (HERE / "results" / "followups.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8")
    print(text)


def measured(engine: rag.Engine, record: dict[str, Any]) -> dict[str, Any]:
    """Return what the three ways of asking find."""
    alone = standalone(record["question"], [{"role": "user", "content": said} for said in record["history"]])
    wanted = [Place(e["doc_id"], locate(engine.article(e["doc_id"]).text, e["text"])) for e in record["evidence"]]
    values = {}
    for way, question in zip(WAYS, (record["question"], alone, record["alone"]), strict=True):
        hits = engine.search(question, k=5)
        values[way] = round(quote_values([h.passage for h in hits], wanted)["QuoteR@5"], 4)
    of = half("followups", record["id"])
    return {"id": record["id"], "kind": record["kind"], "half": of, "searched": alone, **values}


def mean(values: Sequence[float]) -> float:
    """Return the mean of some values."""
    return sum(values) / len(values)


if __name__ == "__main__":
    main()
