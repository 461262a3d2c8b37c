"""Which sentences answer a question, and how likely it is that any does.

Both are judged on sentences: a passage about the right subject that does not hold the answer is the
commonest trap, and its nearness says little.  The weights are fitted by eval/fit_evidence.py on the
tuning halves of sets with unanswerable questions.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
import numpy.typing as npt

from rag.answer.asked import asked
from rag.intake.chunk import sentences
from rag.types import Embedder, Evidence, EvidenceSentence, Hit, Vectors
from rag.words import terms

SENTENCE_FEATURES = ("cosine", "passage", "hit", "overlap", "neighbours", "kind", "start", "length")
QUESTION_FEATURES = ("best", "cosine", "passage", "overlap", "sentence_overlap", "names", "numbers", "kind", "margin")

REMEMBERED = 20_000
"""Sentence vectors kept in memory: questions about the same articles meet the same sentences."""

Features = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Weights:
    """A logistic model: probability = 1 / (1 + exp(-(bias + features · weights)))."""

    weights: Features
    bias: float

    def log_odds(self, features: Features) -> Features:
        """Return the log-odds of rows of features, shape (n,)."""
        return np.asarray(features @ self.weights + self.bias, np.float64)


@cache
def fitted() -> tuple[Weights, Weights, float]:
    """Return the shipped weights for sentences and for questions, and the threshold of confidence."""
    held: dict[str, Any] = json.loads((resources.files("rag.answer") / "evidence.json").read_text("utf-8"))

    def weights(part: Mapping[str, float], names: Sequence[str]) -> Weights:
        return Weights(np.array([part[n] for n in names]), part["bias"])

    return (
        weights(held["sentence"], SENTENCE_FEATURES),
        weights(held["question"], QUESTION_FEATURES),
        float(held["threshold"]),
    )


class Judge:
    """Finds the evidence for a question in its hits."""

    def __init__(self, embedder: Embedder) -> None:
        self.embedder = embedder
        self._vectors: dict[str, npt.NDArray[np.float32]] = {}

    def __call__(self, question: str, hits: Sequence[Hit]) -> Evidence:
        """Return the candidate sentences, best first, and the probability that they answer."""
        on_sentences, on_question, _ = fitted()
        found, features = self.candidates(question, hits)
        if not found:
            return Evidence(question, tuple(hits), (), 0.0)
        scores = on_sentences.log_odds(features)
        order = np.argsort(-scores, kind="stable")
        best = tuple(scored(found[i], float(scores[i])) for i in order)
        row = question_features(question, best, features[order])
        confidence = 1 / (1 + math.exp(-float(on_question.log_odds(row[None, :])[0])))
        return Evidence(question, tuple(hits), best, confidence)

    def candidates(self, question: str, hits: Sequence[Hit]) -> tuple[list[EvidenceSentence], Features]:
        """Return each distinct sentence of the hits, and its features, shape (n, len(SENTENCE_FEATURES))."""
        about = asked(question)
        spans = _distinct(hits)
        if not spans:
            return [], np.empty((0, len(SENTENCE_FEATURES)))
        texts = [text for _, _, _, text in spans]
        vector = self.embedder.query(question).astype(np.float64)
        vectors = self._embed([h.passage.text for h in hits] + texts).astype(np.float64)
        near_passages, near = vectors[: len(hits)] @ vector, vectors[len(hits) :] @ vector
        share = [h.score / (hits[0].score or 1.0) for h in hits]
        stems = [set(terms(t)) for t in texts]
        found, rows = [], []
        for i, (at, start, end, text) in enumerate(spans):
            hit = hits[at]
            # The sentence before and after often holds the name that this one means by "it".
            around = set().union(*(stems[j] for j in (i - 1, i, i + 1) if 0 <= j < len(spans) and spans[j][0] == at))
            rows.append(
                [
                    near[i],
                    near_passages[at],
                    share[at],
                    about.share(stems[i]),
                    about.share(around | set(terms(hit.article.title))),
                    about.kind_in(text),
                    float(start == 0),
                    min(len(text), 400) / 400,
                ]
            )
            found.append(EvidenceSentence(hit, start, end, text, 0.0))
        return found, np.array(rows, np.float64)

    def _embed(self, texts: Sequence[str]) -> Vectors:
        new = [t for t in dict.fromkeys(texts) if t not in self._vectors]
        if len(self._vectors) + len(new) > REMEMBERED:
            self._vectors = {}
            new = list(dict.fromkeys(texts))
        # Shorter than passages by construction, so never longer than the model reads.
        order = sorted(new, key=len)
        at = 0
        for batch in self.embedder.passages(order):
            for vector in batch:
                self._vectors[order[at]] = vector
                at += 1
        return np.stack([self._vectors[t] for t in texts])


def question_features(question: str, best: Sequence[EvidenceSentence], rows: Features) -> Features:
    """Return the features of a question from its candidate sentences, best first; shape (len(QUESTION_FEATURES),)."""
    about = asked(question)
    top = best[0]
    near = top.hit.passage.text + "\n" + top.hit.article.title
    stems = set(terms(near))
    second = next((s.score for s in best[1:] if s.text != top.text), top.score - 1)
    return np.array(
        [
            top.score,
            rows[:, 0].max(),
            rows[:, 1].max(),
            about.share(stems),
            about.share(set(terms(top.text))),
            about.names_share(near),
            about.numbers_share(near),
            about.kind_in(top.text),
            top.score - second,
        ],
        np.float64,
    )


def _distinct(hits: Sequence[Hit]) -> list[tuple[int, int, int, str]]:
    """Return (index of hit, start, end, text) of every sentence, offsets in the article, each span once."""
    seen: set[tuple[str, str, int, int]] = set()
    found = []
    for at, hit in enumerate(hits):
        p = hit.passage
        for s in sentences(p.text):
            text = p.text[s.start : s.end]
            where = (p.article_id, p.revision, p.start + s.start, p.start + s.end)
            if where in seen or not _LETTER.search(text):
                continue
            seen.add(where)
            found.append((at, where[2], where[3], text))
    return found


_LETTER = re.compile(r"[^\W\d_]")


def scored(s: EvidenceSentence, score: float) -> EvidenceSentence:
    """Return a candidate with its score."""
    return EvidenceSentence(s.hit, s.start, s.end, s.text, score)
