"""Fit the weights in rag/answer/evidence.json: `python eval/fit_evidence.py DATA...`.

Two logistic models.  One scores sentences: does this one hold the evidence that the set marks?  The
other scores questions by their best sentences: does the set say it is answerable?  Both are fitted on
the tuning halves and shown on the reporting halves; the threshold is the one with the least sum of
the two error rates on the tuning halves, averaged over sets.
"""

from __future__ import annotations

import argparse
import json
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from halves import half
from score import index_of
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

import rag
from rag import retrieve
from rag.answer import evidence as ev
from rag.engine import open_engine

TARGET = Path(ev.__file__).with_name("evidence.json")


@dataclass
class Case:
    """One question: its candidates' features, which of them hold the evidence, and whether it is answerable."""

    set_name: str
    half: str
    answerable: bool
    question: str
    found: list[Any]
    rows: np.ndarray
    gold: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))


def cases(data: Path, most: int) -> list[Case]:
    """Return a seeded sample of a set's questions, as many answerable as not where there are both."""
    with (data / "qa.jsonl").open(encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    rng = random.Random(1)
    rng.shuffle(records)
    yes = [r for r in records if r["answerable"] and r.get("evidence")]
    no = [r for r in records if not r["answerable"]]
    records = yes[: most - min(len(no), most // 2)] + no[: most // 2]
    settings = rag.Settings.load()
    out = []
    with open_engine(index_of(data, settings), settings) as engine:
        for n, r in enumerate(records):
            with engine.view() as view:
                hits = retrieve.search(engine.retriever, view, r["question"], settings.answer.hits)
            found, rows = engine.judge.candidates(r["question"], hits)
            if not found:
                continue
            case = Case(data.name, half(data.name, r["id"]), r["answerable"], r["question"], found, rows)
            case.gold = np.array([_holds(s, r) for s in found])
            out.append(case)
            if n % 200 == 0:
                print(f"{data.name}: {n} of {len(records)}", flush=True)
    return out


def _holds(sentence: Any, record: dict[str, Any]) -> bool:
    said = " ".join(sentence.text.split())
    for e in record.get("evidence") or []:
        gold = " ".join(e["text"].split())
        if e["doc_id"] == sentence.hit.article.id and (said in gold or gold in said):
            return True
    return False


def fit(x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, float]:
    """Return logistic weights and bias in the features' own units."""
    scaler = StandardScaler().fit(x)
    scaler.scale_[scaler.scale_ == 0] = 1
    model = LogisticRegression(C=1.0, max_iter=1000).fit(scaler.transform(x), y, sample_weight=weight)
    w = model.coef_[0] / scaler.scale_
    return w, float(model.intercept_[0] - (w * scaler.mean_).sum())


def ordered(case: Case, weights: ev.Weights) -> tuple[list[Any], np.ndarray, np.ndarray]:
    """Return a case's candidates, rows and gold, best first."""
    scores = weights.log_odds(case.rows)
    order = np.argsort(-scores, kind="stable")
    found = [ev.scored(case.found[i], float(scores[i])) for i in order]
    return found, case.rows[order], case.gold[order]


def main() -> None:
    """Fit, report, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("--most", type=int, default=1200, help="questions of a set, at most")
    parser.add_argument("--report", type=Path, default=Path(__file__).parent / "results" / "evidence.md")
    args = parser.parse_args()
    every = [c for d in args.data for c in cases(d, args.most)]
    tune = [c for c in every if c.half == "tune"]

    # Each set weighs the same, and in it each question.
    marked = [c for c in tune if c.answerable and c.gold.any()]
    size = {n: sum(c.set_name == n for c in marked) for n in {c.set_name for c in marked}}
    w, b = fit(
        np.concatenate([c.rows for c in marked]),
        np.concatenate([c.gold for c in marked]),
        np.concatenate([np.full(len(c.gold), 1 / (size[c.set_name] * len(c.gold))) for c in marked]) * 10_000,
    )
    on_sentences = ev.Weights(w, b)

    def features(c: Case) -> np.ndarray:
        found, rows, _ = ordered(c, on_sentences)
        return ev.question_features(c.question, found, rows)

    with_no = {c.set_name for c in every if not c.answerable}
    judged = [c for c in tune if c.set_name in with_no]
    # An answerable question whose evidence was not retrieved cannot be answered from these hits.
    y = np.array([c.answerable and bool(c.gold.any()) for c in judged])
    count = {
        (n, a): sum(c.set_name == n and bool(v) == a for c, v in zip(judged, y, strict=True))
        for n in with_no
        for a in (True, False)
    }
    weight = np.array([1 / count[c.set_name, bool(v)] for c, v in zip(judged, y, strict=True)]) * 500
    x = np.stack([features(c) for c in judged])
    w, b = fit(x, y, weight)
    on_question = ev.Weights(w, b)

    def confidence(c: Case) -> float:
        return float(1 / (1 + np.exp(-on_question.log_odds(features(c)[None, :])[0])))

    def errors(some: list[Case], threshold: float) -> tuple[float, float]:
        yes = [confidence(c) < threshold for c in some if c.answerable]
        no = [confidence(c) >= threshold for c in some if not c.answerable]
        return float(np.mean(yes)), float(np.mean(no))

    grid = np.arange(0.2, 0.81, 0.02)
    totals = [sum(sum(errors([c for c in judged if c.set_name == n], t)) for n in with_no) for t in grid]
    threshold = round(float(grid[int(np.argmin(totals))]), 2)
    lines = [
        "| set | half | questions | evidence among hits | best sentence | in best three | AUROC answerable "
        "| wrongly refused | wrongly answered |",
        "|" + " --- |" * 9,
    ]
    for name in sorted({c.set_name for c in every}):
        for which in ("tune", "report"):
            some = [c for c in every if c.set_name == name and c.half == which]
            golds = [ordered(c, on_sentences)[2] for c in some if c.answerable]
            row = [
                name,
                which,
                len(some),
                *(np.mean(v) for v in ([g.any() for g in golds], [g[0] for g in golds], [g[:3].any() for g in golds])),
            ]
            if name in with_no:
                row += [
                    roc_auc_score([c.answerable for c in some], [confidence(c) for c in some]),
                    *errors(some, threshold),
                ]
            lines.append(
                "| "
                + " | ".join(v if isinstance(v, str) else str(v) if isinstance(v, int) else f"{v:.3f}" for v in row)
                + " |"
            )
    print("\n".join(lines), f"\nthreshold {threshold}")
    held = {
        "sentence": {
            "bias": on_sentences.bias,
            **dict(zip(ev.SENTENCE_FEATURES, on_sentences.weights.tolist(), strict=True)),
        },
        "question": {
            "bias": on_question.bias,
            **dict(zip(ev.QUESTION_FEATURES, on_question.weights.tolist(), strict=True)),
        },
        "threshold": threshold,
    }
    rounded = {k: {n: round(x, 4) for n, x in v.items()} if isinstance(v, dict) else v for k, v in held.items()}
    TARGET.write_text(json.dumps(rounded, indent=1) + "\n", "utf-8")
    args.report.write_text("\n".join(lines) + f"\n\nThreshold {threshold}. Made by eval/fit_evidence.py.\n", "utf-8")


if __name__ == "__main__":
    main()
