"""What it brings to prefer passages of the time that a question names: `python eval/times.py FOLDER`.

Of each set the questions that name a year are searched for with and without the bonus (`search.time_weight`), which
was chosen on the tuning halves alone.  The questions of news-2022 name none, but say on which day they were asked: its
month is put behind them.  Values are shares of the quoted evidence that the first passages show, the reciprocal rank
of the first whole quote, and how often an article that answers comes first.  Writes results/times.md and .json.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from contextlib import closing
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from tables import commit

from rag.engine import Engine, open_engine
from rag.evaluation import collection, quotes
from rag.evaluation.halves import half
from rag.evaluation.retrieval import article_of, ids_of, index_of
from rag.evaluation.tables import table
from rag.settings import Settings
from rag.timed import asked_time

HERE = Path(__file__).parent
SETS = ("timeqa-articles", "news-2022", "nq-gold", "squad2-half")
MEASURES = ("QuoteRR", "QuoteR@5", "QuoteR@10", "first")
WITHOUT = Settings.load(search={"time_weight": 0})


def main() -> None:
    """Write the table."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else os.environ["RAG_EVAL_DATA"])
    records = [record for name in SETS for record in searched(folder / name)]
    rows = []
    for name in SETS:
        for part in ("tune", "report"):
            some = [r for r in records if (r["set"], r["half"]) == (name, part)]
            if not some:
                continue
            for way in ("without", "with"):
                values = [f"{sum(r[way][m] for r in some) / len(some):.3f}" for m in MEASURES]
                rows.append([name, part, str(len(some)), way, *values])
    text = (
        f"Made {date.today()} by eval/times.py at commit {commit()}: questions that name a time, searched for with and"
        f" without a bonus to what is of that time.\n\n"
        f"{table(['set', 'half', 'questions', 'bonus', *MEASURES], rows)}\n"
    )
    (HERE / "results" / "times.md").write_text(text, "utf-8")
    (HERE / "results" / "times.json").write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
    print(text)


def searched(path: Path) -> list[dict[str, Any]]:
    """Return what is found for a set's questions that name a time, with and without the bonus."""
    found = collection.read(path)
    asked = {q.id: dated(path, q.id, q.text) for q in found.questions.values()}
    timed = [q for q in found.questions.values() if asked_time(asked[q.id])]
    index = index_of(found, Settings.load(), HERE / "out" / "indexes")
    with closing(open_engine(index)) as engine, closing(open_engine(index, WITHOUT)) as plain:
        places = quotes.places(timed, article_of(engine), ids_of(engine)).places
        ways = {"with": engine, "without": plain}
        return [
            {"set": found.name, "half": half(found.name, q.id)}
            | {way: values(one, asked[q.id], places[q.id]) for way, one in ways.items()}
            for q in timed
            if places.get(q.id)
        ]


def dated(path: Path, id: str, text: str) -> str:
    """Return a question as it is asked: one of news-2022 with its month."""
    return f"{text} ({days(path)[id]:%B %Y})" if path.name == "news-2022" else text


@cache
def days(path: Path) -> dict[str, date]:
    """Return the day on which each question was asked."""
    with (path / "qa.jsonl").open(encoding="utf-8") as lines:
        return {r["id"]: date.fromisoformat(r["date"]) for r in map(json.loads, lines)}


def values(engine: Engine, question: str, places: Sequence[quotes.Place]) -> dict[str, float]:
    """Return the measures of one question."""
    hits = engine.search(question, k=20)
    first = bool(hits) and hits[0].article.id in {p.article for p in places}
    return {**quotes.quote_values([h.passage for h in hits], places), "first": float(first)}


if __name__ == "__main__":
    main()
