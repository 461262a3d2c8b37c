"""Score retrieval on BEIR folders: `python eval/score.py DATA... [--weights .5 .6 .7]`.

Uses the search that everyone gets, grouped by article, over an index built on first use under
eval/out.  Writes a table (Markdown and JSON) with one row a set and configuration.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import ir_measures
from halves import half
from ir_measures import R, nDCG

import rag
from rag.engine import open_engine

OUT = Path(__file__).parent / "out"
MEASURES = (nDCG @ 10, R @ 10, R @ 100)


def queries(data: Path) -> dict[str, str]:
    """Return the texts of a set's queries by id."""
    with (data / "queries.jsonl").open(encoding="utf-8") as lines:
        return {r["_id"]: r["text"] for r in map(json.loads, lines)}


def judgments(data: Path) -> list[ir_measures.Qrel]:
    """Return the judgments of a set."""
    with (data / "qrels" / "test.tsv").open(encoding="utf-8") as lines:
        return [ir_measures.Qrel(q, d, int(s)) for q, d, s in list(csv.reader(lines, delimiter="\t"))[1:]]


def index_of(data: Path, settings: rag.Settings, tag: str = "") -> Path:
    """Return the index of a set's corpus, brought up to date."""
    index = OUT / f"{data.name}{tag}"
    report = rag.ingest(data / "corpus.jsonl", index=index, settings=settings)
    if report.failed:
        raise SystemExit(f"{len(report.failed)} articles of {data} were not read: {report.failed[0]}")
    return index


def score(data: Path, settings: rag.Settings, index: Path) -> Iterator[dict[str, Any]]:
    """Yield a row for each half of a set and one for all of it: measures of one configuration."""
    judged = judgments(data)
    ids = sorted({j.query_id for j in judged if j.relevance > 0})
    texts = queries(data)
    run: list[ir_measures.ScoredDoc] = []
    with open_engine(index, settings) as engine:
        for id, hits in zip(ids, engine.search_many([texts[i] for i in ids], k=100, group="article"), strict=True):
            run += [ir_measures.ScoredDoc(id, h.article.id, -h.rank) for h in hits]
    for part in ("tune", "report", "all"):
        some = {i for i in ids if part in ("all", half(data.name, i))}
        values = ir_measures.calc_aggregate(
            MEASURES, [j for j in judged if j.query_id in some], [r for r in run if r.query_id in some]
        )
        yield {
            "set": data.name,
            "half": part,
            "queries": len(some),
            "retriever": settings.search.retriever,
            "dense_weight": settings.search.dense_weight if settings.search.retriever == "fused" else None,
            "passage_tokens": settings.passages.tokens,
            **{str(m): round(values[m], 4) for m in MEASURES},
        }


def table(rows: Iterable[dict[str, Any]]) -> str:
    """Return rows as Markdown."""
    rows = list(rows)
    names = list(rows[0])
    lines = ["| " + " | ".join(names) + " |", "|" + " --- |" * len(names)]
    lines += ["| " + " | ".join("" if r[n] is None else str(r[n]) for n in names) + " |" for r in rows]
    return "\n".join(lines)


def main() -> None:
    """Score every configuration on every set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("--retrievers", nargs="+", default=["dense", "lexical", "fused"])
    parser.add_argument("--weights", nargs="+", type=float, default=None)
    parser.add_argument("--precisions", nargs="+", default=["float32"], choices=["float32", "int8", "half"])
    parser.add_argument("--out", type=Path, help="file to write, without its ending")
    args = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for data in args.data:
        default = rag.Settings.load()
        for precision in args.precisions:
            index = index_of(data, rag.Settings.load(model={"precision": precision}), f"-{precision}")
            for retriever in args.retrievers:
                for weight in args.weights if retriever == "fused" and args.weights else [default.search.dense_weight]:
                    settings = rag.Settings.load(search={"retriever": retriever, "dense_weight": weight})
                    rows += ({**row, "precision": precision} for row in score(data, settings, index))
                    print(json.dumps(rows[-1]), flush=True)
    rows.sort(key=lambda r: (r["set"], ("tune", "report", "all").index(r["half"])))
    print(table(rows))
    if args.out:
        args.out.with_suffix(".json").write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
        args.out.with_suffix(".md").write_text(table(rows) + "\n", "utf-8")


if __name__ == "__main__":
    main()
