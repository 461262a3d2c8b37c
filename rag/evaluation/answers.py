"""Answers held against what is known: the words, the evidence, the citations, and the refusals."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from rag.engine import Engine
from rag.errors import BadSource
from rag.evaluation import quotes, refusals, runs
from rag.evaluation.collection import Collection, Question
from rag.evaluation.halves import half
from rag.evaluation.measures import score
from rag.evaluation.quotes import Place
from rag.evaluation.retrieval import about, article_of, counted, ids_of, key, what_answers
from rag.intake.chunk import sentences
from rag.intake.text import fold
from rag.to_json import to_dict
from rag.types import Answer, Citation, Passage, Steps

_WORD = re.compile(r"\w+")
_ARTICLES = {"a", "an", "the"}

EVERYTHING = 1e-9
"""A threshold that refuses only where no sentence was found at all."""

Span = tuple[str, int, int]
"""An article and the characters of it."""


def evaluate(
    collection: Collection,
    engine: Engine,
    out: Path,
    *,
    name: str = "answers",
    config: Sequence[str] = (),
    threshold: float,
    part: str = "all",
    most: int | None = None,
    on_progress: Callable[[Steps], None] | None = None,
) -> dict[str, Any]:
    """Ask a collection's questions, write what came back to `out`/NAME.json, and return the figures.

    The engine's own threshold is to be EVERYTHING: what it would have answered at another is seen afterwards, and the
    figures are those at `threshold`.  `part` is all, tune or report; `most` takes so many questions of each kind,
    chosen by a digest of their ids.  What an earlier, interrupted call has asked is not asked again.

    Raises BadSource when there is no question with what answers it.
    """
    asked = chosen(collection, part, most)
    if not asked:
        raise BadSource(f"{collection.path.absolute()}: no question comes with what answers it: see docs/evaluate.md")
    placed = quotes.places(asked, article_of(engine), ids_of(engine))
    told = {**about(collection, engine, config), "part": part}
    by_id = {q.id: q for q in asked}

    def ask(id: str) -> dict[str, Any]:
        began = time.perf_counter()
        answer = engine.ask(by_id[id].text)
        seconds = time.perf_counter() - began
        there = placed.places.get(id, ())
        told = {"seconds": round(seconds, 6), "wanted": what_answers(engine, {}, there)}
        return judge(by_id[id], answer, there, engine) | told

    engine.ask(asked[0].text)  # the models are loaded before the clock runs
    unfinished = runs.Unfinished(out / f"{name}.unfinished.jsonl", key(told, list(by_id)))
    with unfinished:
        records = unfinished.complete(list(by_id), ask, name, on_progress)
    figures = {**told, **summary([records[q.id] for q in asked], threshold)}
    figures["quotes_not_found"] = len(placed.missing)
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{name}.json"
    whole = {"figures": figures, "questions": [{"id": q.id, **records[q.id]} for q in asked]}
    runs.replace(path, json.dumps(whole, ensure_ascii=False, indent=1) + "\n")
    unfinished.remove()
    return {**figures, "run": str(path)}


def chosen(collection: Collection, part: str, most: int | None) -> list[Question]:
    """Return the questions to ask: of the part wanted, at most so many of each kind, in the order of their ids."""
    found = [
        q for q in collection.questions.values()
        if part in ("all", half(collection.name, q.id)) and (q.answers or q.quotes or not q.answerable)
    ]  # fmt: skip
    by_digest = sorted(found, key=lambda q: hashlib.sha256(q.id.encode()).digest())
    kept = [q for kind in (True, False) for q in [q for q in by_digest if q.answerable == kind][:most]]
    return sorted(kept, key=lambda q: q.id)


def judge(question: Question, answer: Answer, places: Sequence[Place], engine: Engine) -> dict[str, Any]:
    """Return what there is to say of one answer.  Values that need an answer, or evidence, are absent without."""
    record: dict[str, Any] = {
        "question": question.text,
        "answers": list(question.answers),
        "answerable": question.answerable,
        "outcome": answer.outcome,
        "confidence": round(answer.confidence, 6),
        "text": answer.text,
        "citations": [to_dict(c) for c in answer.citations],
    }
    if answer.outcome == "abstained":
        return record
    record["sentences"] = len(answer.sentences)
    record["words"] = len(_WORD.findall(answer.text))
    record["cited"] = sum(bool(s.citations) for s in answer.sentences) / max(len(answer.sentences), 1)
    if question.answerable and question.answers:
        record["holds_answer"] = holds(answer.text, question.answers)
    if question.answerable and places:
        answer = through_twins(answer, places, engine)
        record |= evidence_values(answer, places, engine) | citation_values(answer, places)
    return record


def through_twins(answer: Answer, places: Sequence[Place], engine: Engine) -> Answer:
    """Return an answer with citations of a twin where only the twin's words are known to answer, and are cited too."""

    def counts(c: Citation) -> Citation:
        p = counted(_shown(c), c.also, places, engine)
        return replace(c, article_id=p.article_id, revision=p.revision, start=p.start, end=p.end)

    return replace(answer, citations=tuple(map(counts, answer.citations)))


def holds(text: str, answers: Sequence[str]) -> bool:
    """Say whether a text holds one of the answers, in whole words: case, diacritics, punctuation and articles aside.

    >>> holds("It was made by the Boeing Company.", ["Boeing company"])
    True
    >>> holds("Partly.", ["art"])
    False
    """
    said = f" {_normal(text)} "
    return any(f" {_normal(a)} " in said for a in answers if _normal(a))


def evidence_values(answer: Answer, places: Sequence[Place], engine: Engine) -> dict[str, float]:
    """Return precision, recall and F1 of the article sentences that the citations touch, against those of the quotes.

    A quote that stands in several places counts where it is cited, else where it stands first.
    """
    cited = {s for c in answer.citations for s in _sentences(engine, c.article_id, [(c.start, c.end)])}
    wanted: set[Span] = set()
    for place in places:
        options = [_sentences(engine, place.article, [span]) for span in place.spans]
        wanted |= next((o for o in options if o & cited), options[0])
    both = len(cited & wanted)
    precision, recall = both / len(cited) if cited else 0.0, both / len(wanted) if wanted else 0.0
    f1 = 2 * precision * recall / (precision + recall) if both else 0.0
    return {"evidence_precision": precision, "evidence_recall": recall, "evidence_f1": f1}


def citation_values(answer: Answer, places: Sequence[Place]) -> dict[str, float]:
    """Return citation recall and precision after ALCE, with the quotes as judge in place of a model.

    A sentence is supported when its citations together show a whole quote; recall is the share of sentences that are.
    A citation of such a sentence is right when it shows a part of that quote, one of another sentence never; precision
    is the share of right ones.  Gao, Yen, Yu and Chen, "Enabling Large Language Models to Generate Text with
    Citations", EMNLP 2023.
    """
    by_number = {c.number: c for c in answer.citations}
    supported, right, given = 0, 0, 0
    for sentence in answer.sentences:
        shown = [_shown(by_number[n]) for n in sentence.citations]
        whole = [p for p in places if quotes.covered(p, shown) == 1]
        supported += bool(whole)
        given += len(shown)
        right += sum(any(quotes.covered(p, [one]) > 0 for p in whole) for one in shown)
    return {
        "citation_recall": supported / max(len(answer.sentences), 1),
        "citation_precision": right / given if given else 0.0,
    }


MEANS = (
    "holds_answer", "sentences", "words", "cited", "evidence_precision", "evidence_recall", "evidence_f1",
    "citation_recall", "citation_precision",
)  # fmt: skip
"""Values of answered questions that are averaged."""


def summary(records: Sequence[Mapping[str, Any]], threshold: float) -> dict[str, Any]:
    """Return the figures of all answers: means with intervals, both kinds of error, and how well calibrated it is.

    `answer_recall` counts a refusal as not holding the answer, `unrefused_recall` is what it would be at a threshold of
    0; `holds_answer` is of the answered questions alone.
    """
    confidence = np.array([r["confidence"] for r in records], float)
    answerable = np.array([r["answerable"] for r in records], bool)
    answered = np.array([r["outcome"] != "abstained" for r in records], bool) & (confidence >= threshold)
    given = {str(n): r for n, r in enumerate(records) if answered[n]}
    known = {str(n): r for n, r in enumerate(records) if r["answerable"] and r["answers"]}
    means = {"answer_recall": {n: float(n in given and r.get("holds_answer", False)) for n, r in known.items()}}
    means["unrefused_recall"] = {n: float(r.get("holds_answer", False)) for n, r in known.items()}
    means |= {m: {n: float(r[m]) for n, r in given.items() if m in r} for m in MEANS}
    curve = refusals.risk_coverage(confidence, np.array([_is_right(r) for r in records], bool))
    seconds = np.array([r["seconds"] for r in records])
    return {
        "threshold": threshold,
        "questions": len(records),
        "answerable": int(answerable.sum()),
        "measures": {m: asdict(score(values)) for m, values in means.items() if values},
        "refused_wrongly": _share(~answered, answerable),
        "answered_wrongly": _share(answered, ~answerable),
        "accuracy": float(np.mean(answered == answerable)),
        "auroc": refusals.auroc(confidence, answerable),
        "brier": refusals.brier(confidence, answerable),
        "ece": refusals.ece(confidence, answerable),
        "reliability": [asdict(b) for b in refusals.bins(confidence, answerable)],
        "risk_coverage": curve,
        "risk_area": refusals.area(curve),
        "latency_ms": {f"p{p}": round(float(np.percentile(seconds, p)) * 1000, 1) for p in (50, 95)},
    }


def _is_right(record: Mapping[str, Any]) -> bool:
    """Say whether an answer is one that should have been given: it holds the answer, or shows the evidence."""
    shows = record.get("evidence_recall", 0.0) > 0
    return bool(record["answerable"] and record.get("holds_answer", shows))


def _share(some: refusals.Bools, among: refusals.Bools) -> float | None:
    return float(np.mean(some[among])) if among.any() else None


def _sentences(engine: Engine, article: str, spans: Sequence[tuple[int, int]]) -> set[Span]:
    text = engine.article(article).text
    return {
        (article, s.start, s.end)
        for s in sentences(text)
        if any(s.start < end and start < s.end for start, end in spans)
    }


def _shown(c: Citation) -> Passage:
    return Passage(c.article_id, c.revision, c.start, c.end, "", c.quote)


def _normal(text: str) -> str:
    return " ".join(w for w in _WORD.findall(fold(text)) if w not in _ARTICLES)
