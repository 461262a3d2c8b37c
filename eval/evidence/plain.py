"""Fit the weights in rag/answer/evidence.json, for models other than the bundled one: `python plain.py DATA[:MOST]...`.

Two logistic models.  One scores sentences: does this one hold the evidence that the set marks?  The
other scores questions by their best sentences: does the set say it is answerable?  Both are fitted on
the tuning halves and shown on the reporting halves; the threshold is the middle of those at which the two kinds
of error cost about least on the tuning halves, averaged over sets.  Hits and cosines are kept under
eval/out, so a change of features is tried in seconds.

The unanswerable questions of these sets were written to look answerable.  Users also ask what is
simply not there, about subjects that are: for each answerable question a second case is made, with the
passages of its gold articles withheld.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from cases import NOT_WITHHELD, holds_evidence
from scipy.optimize import minimize
from sklearn.metrics import roc_auc_score

import rag
from rag import retrieve
from rag.answer import evidence as ev
from rag.answer import features
from rag.engine import open_engine
from rag.evaluation import collection
from rag.evaluation.halves import half
from rag.evaluation.refusals import cheapest
from rag.evaluation.retrieval import index_of
from rag.evaluation.tables import of_records
from rag.handover import EvidenceSentence
from rag.types import ArticleHead, Hit, Passage

AGAINST = {"missing", "lacking", "undated", "apart", *features.CONTRARY}
"""Features that speak against an answer."""
EITHER = {"length", "near"}
"""Features that may speak either way."""

WRONG_COST = 1.5
"""What a wrong answer costs, in wrong refusals: a refusal shows the nearest passages and misleads nobody."""

OUT = Path(__file__).parents[1] / "out"
TARGET = Path(ev.__file__).with_name("evidence.json")


@dataclass
class Case:
    """One question: its hits, its candidates and their features, and which of them hold the evidence."""

    set_name: str
    half: str
    answerable: bool
    withheld: bool
    question: str
    hits: list[Hit]
    found: list[EvidenceSentence]
    rows: np.ndarray
    gold: np.ndarray


def collect(data: Path, most: int) -> Path:
    """Write the hits and cosines of a seeded sample of questions, half of them without an answer if possible."""
    settings = rag.Settings.load()
    made_with = hashlib.sha256(settings.model_dump_json().encode()).hexdigest()[:8]
    path = OUT / f"cases-{data.name}-{most}-{made_with}.jsonl"
    if path.exists():
        return path
    index = index_of(collection.read(data), settings, OUT / "indexes")
    with (data / "qa.jsonl").open(encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    rng = random.Random(1)
    rng.shuffle(records)
    yes = [r for r in records if r["answerable"] and r.get("evidence")]
    no = [r for r in records if not r["answerable"]][: most // 2]
    records = yes[: most - len(no)] + no
    partial = path.with_suffix(".part")
    with open_engine(index, settings) as engine, partial.open("w", encoding="utf-8") as out:
        for n, r in enumerate(records):
            with engine.view() as view:
                wide = retrieve.search(engine.retriever, view, r["question"], 3 * settings.answer.hits)
            gold = {e["doc_id"] for e in r.get("evidence") or []} if r["answerable"] else set()
            rest = [h for h in wide if h.article.id not in gold]
            for withheld in (False, True) if gold and data.name not in NOT_WITHHELD else (False,):
                hits = (rest if withheld else wide)[: settings.answer.hits]
                if not hits:  # A "quoted phrase" that stands nowhere.
                    continue
                near, near_hits = engine.judge.cosines(r["question"], hits, ev.candidates(hits))
                kept = {
                    **{k: r.get(k) for k in ("id", "question", "evidence")},
                    "answerable": r["answerable"] and not withheld,
                    "withheld": withheld,
                    "hits": [
                        [h.score, h.passage.article_id, h.passage.start, h.passage.text, h.article.title] for h in hits
                    ],
                    "near": near.round(5).tolist(),
                    "near_hits": near_hits.round(5).tolist(),
                }
                out.write(json.dumps(kept) + "\n")
            if n % 200 == 0:
                print(f"{data.name}: {n} of {len(records)}", flush=True)
    return partial.rename(path)


def cases(name: str, path: Path) -> Iterator[Case]:
    """Yield the collected cases of a set with their features as they are now."""
    with path.open(encoding="utf-8") as lines:
        for r in map(json.loads, lines):
            hits = [
                Hit(n, score, {}, Passage(id, "", start, start + len(text), "", text), ArticleHead(id, title))
                for n, (score, id, start, text, title) in enumerate(r["hits"], 1)
            ]
            found = ev.candidates(hits)
            if not found or (r["withheld"] and name in NOT_WITHHELD):
                continue
            rows = features.of_sentences(r["question"], hits, found, np.array(r["near"]), np.array(r["near_hits"]))
            gold = np.array([holds_evidence(s, r["evidence"] or []) for s in found])
            which = half(name, r["id"])
            yield Case(name, which, r["answerable"], r["withheld"], r["question"], hits, found, rows, gold)


def fit(x: np.ndarray, y: np.ndarray, weight: np.ndarray, names: Sequence[str]) -> ev.Weights:
    """Return logistic weights and bias in the features' own units.

    No weight may go against what its feature means (more shared words never speak against a sentence):
    that costs a little on the sets and carries over to others.
    """
    mean, deviation = x.mean(0), x.std(0)
    deviation[deviation == 0] = 1
    z = (x - mean) / deviation
    sign = np.where(y, 1.0, -1.0)

    def loss(p: np.ndarray) -> tuple[float, np.ndarray]:
        margin = sign * (z @ p[:-1] + p[-1])
        slope = -weight * sign / (1 + np.exp(np.clip(margin, -500, 500)))
        value = float(weight @ np.logaddexp(0, -margin)) + 0.5 * float(p[:-1] @ p[:-1])
        return value, np.append(z.T @ slope + p[:-1], slope.sum())

    bounds = [(None, 0.0) if n in AGAINST else (None, None) if n in EITHER else (0.0, None) for n in names]
    found = minimize(loss, np.zeros(len(names) + 1), jac=True, method="L-BFGS-B", bounds=[*bounds, (None, None)])
    w = found.x[:-1] / deviation
    return ev.Weights(w, float(found.x[-1] - w @ mean))


def fit_sentences(tune: list[Case]) -> ev.Weights:
    """Fit the model of sentences; each set weighs the same, and in it each question."""
    marked = [c for c in tune if c.answerable and c.gold.any()]
    size = {n: sum(c.set_name == n for c in marked) for n in {c.set_name for c in marked}}
    weight = [np.full(len(c.gold), 10_000 / (size[c.set_name] * len(c.gold))) for c in marked]
    x, y = np.concatenate([c.rows for c in marked]), np.concatenate([c.gold for c in marked])
    return fit(x, y, np.concatenate(weight), features.SENTENCE)


def question_row(c: Case, on_sentences: ev.Weights) -> np.ndarray:
    """Return the features of a question."""
    best, rows = ev.ranked(c.found, c.rows, on_sentences)
    return features.of_question(c.question, c.hits, best, rows)


def kind(c: Case) -> str:
    """Return what a case is an example of."""
    return "answerable" if c.answerable else "withheld" if c.withheld else "unanswerable"


def fit_questions(tune: list[Case], on_sentences: ev.Weights) -> ev.Weights:
    """Fit the model of questions; each set weighs the same, in it both answers, and in these each kind."""
    # Where the evidence was not retrieved nothing is to be learnt from an answerable question.
    used = [c for c in tune if not c.answerable or c.gold.any()]
    count: dict[tuple[str, str], int] = {}
    for c in used:
        count[c.set_name, kind(c)] = count.get((c.set_name, kind(c)), 0) + 1
    kinds = {n: sum(s == n and k != "answerable" for s, k in count) for n in {s for s, _ in count}}
    weight = [500 / count[c.set_name, kind(c)] / (1 if c.answerable else kinds[c.set_name]) for c in used]
    x = np.stack([question_row(c, on_sentences) for c in used])
    return fit(x, np.array([c.answerable for c in used]), np.array(weight), features.QUESTION)


def main() -> None:
    """Fit, report, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="+", metavar="DATA[:MOST]", help="a set, and how many questions of it at most")
    parser.add_argument("--report", type=Path, default=Path(__file__).parents[1] / "results" / "evidence-plain.md")
    args = parser.parse_args()
    every = []
    for given in args.data:
        folder, _, most = given.partition(":")
        every += cases(Path(folder).name, collect(Path(folder), int(most or 1500)))
    tune = [c for c in every if c.half == "tune"]
    on_sentences = fit_sentences(tune)
    on_question = fit_questions(tune, on_sentences)
    sure = {id(c): ev.judged(c.question, c.hits, c.found, c.rows, on_sentences, on_question).confidence for c in every}

    def share(some: list[Case], what: str, threshold: float) -> float:
        """Return the share of one kind of case that is answered."""
        return float(np.mean([sure[id(c)] >= threshold for c in some if kind(c) == what] or [np.nan]))

    names = sorted({c.set_name for c in every})
    grid = np.arange(0.2, 0.81, 0.01)

    def loss(threshold: float) -> float:
        """Return the cost of both errors, each kind of wrong answer weighing half where there are two, over sets."""
        total = 0.0
        for n in names:
            some = [c for c in tune if c.set_name == n]
            wrong = [share(some, k, threshold) for k in ("withheld", "unanswerable")]
            total += 1 - share(some, "answerable", threshold) + WRONG_COST * float(np.nanmean(wrong))
        return total / len(names)

    threshold = round(cheapest(grid, np.array([loss(t) for t in grid])), 2)
    lines = []
    for name in names:
        for which in ("tune", "report"):
            some = [c for c in every if c.set_name == name and c.half == which]
            found = [c for c in some if c.answerable]
            golds = [c.gold[np.argsort(-on_sentences.log_odds(c.rows), kind="stable")] for c in found]
            truth, given = np.array([c.answerable for c in some]), np.array([sure[id(c)] for c in some])
            row: dict[str, Any] = {
                "set": name,
                "half": which,
                "answerable": len(found),
                "evidence among hits": np.mean([g.any() for g in golds]),
                "best sentence": np.mean([g[0] for g in golds]),
                "in best three": np.mean([g[:3].any() for g in golds]),
            }
            for k in ("unanswerable", "withheld"):
                one = np.array([kind(c) in ("answerable", k) for c in some])
                both = len(set(truth[one])) == 2
                row[f"AUROC {k}"] = float(roc_auc_score(truth[one], given[one])) if both else None
            row["wrongly refused"] = 1 - share(some, "answerable", threshold)
            for k in ("unanswerable", "withheld"):
                value = share(some, k, threshold)
                row[f"{k} answered"] = None if np.isnan(value) else value
            row["Brier"] = float(np.mean((given - truth) ** 2))
            lines.append({k: f"{v:.3f}" if isinstance(v, float) else v for k, v in row.items()})
    print(of_records(lines), f"\nthreshold {threshold}")
    for names, weights in ((features.SENTENCE, on_sentences), (features.QUESTION, on_question)):
        print({n: round(float(w), 2) for n, w in zip(names, weights.weights, strict=True)})
    held = {
        "sentence": {"bias": on_sentences.bias, **dict(zip(features.SENTENCE, on_sentences.weights, strict=True))},
        "question": {"bias": on_question.bias, **dict(zip(features.QUESTION, on_question.weights, strict=True))},
    }
    rounded = {k: {n: round(float(x), 4) for n, x in v.items()} for k, v in held.items()}
    TARGET.write_text(json.dumps({**rounded, "threshold": threshold}, indent=1) + "\n", "utf-8")
    args.report.write_text(of_records(lines) + f"\n\nThreshold {threshold}. Made by eval/evidence/plain.py.\n", "utf-8")


if __name__ == "__main__":
    main()
