"""Which sentences answer a question, and how likely it is that any does.

Both are judged on sentences: a passage about the right subject that does not hold the answer is the
commonest trap, and its nearness says little.  The weights are fitted by eval/evidence/plain.py on the
tuning halves of sets with unanswerable questions.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from importlib import resources
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from rag.answer import features
from rag.answer.features import Features
from rag.answer.glossed import explained
from rag.answer.head import Head, shipped
from rag.answer.parts import parts
from rag.answer.reading import halved, printed, read
from rag.handover import Evidence, EvidenceSentence, TokenStates
from rag.intake.chunk import sentences
from rag.protocols import Embedder, TokenReader
from rag.types import Hit

REMEMBERED = 20_000
"""Sentence vectors kept in memory: questions about the same articles meet the same sentences."""

READ = 400
"""Passages whose tokens are kept, some 80 kB each."""

T = TypeVar("T")

_LETTER = re.compile(r"[^\W\d_]")


@dataclass(frozen=True, slots=True)
class Weights:
    """A logistic model: probability = 1 / (1 + exp(-(bias + features · weights)))."""

    weights: Features
    bias: float

    def log_odds(self, rows: Features) -> Features:
        """Return the log-odds of rows of features, shape (n,)."""
        return np.asarray(rows @ self.weights + self.bias, np.float64)


@cache
def fitted() -> tuple[Weights, Weights, float]:
    """Return the shipped weights for sentences and for questions, and the threshold of confidence."""
    held: dict[str, Any] = json.loads((resources.files("rag.answer") / "evidence.json").read_text("utf-8"))

    def weights(part: Mapping[str, float], names: Sequence[str]) -> Weights:
        return Weights(np.array([part[n] for n in names]), part["bias"])

    return (
        weights(held["sentence"], features.SENTENCE),
        weights(held["question"], features.QUESTION),
        float(held["threshold"]),
    )


class Judge:
    """Finds the evidence for a question in its hits.

    With the model that the head was fitted on, tokens are compared; with any other the vectors of sentences.
    """

    def __init__(self, embedder: Embedder) -> None:
        self.embedder = embedder
        self._vectors = _Remembered[npt.NDArray[np.float32]](REMEMBERED)
        self._read = _Remembered[TokenStates](READ)

    @cached_property
    def head(self) -> Head | None:
        """The head, if it was fitted on what the embedder makes of tokens."""
        head = shipped()
        return head if isinstance(self.embedder, TokenReader) and self.embedder.digest.startswith(head.digest) else None

    @property
    def threshold(self) -> float:
        """The least confidence at which to answer."""
        return self.head.threshold if self.head else fitted()[2]

    def __call__(self, question: str, hits: Sequence[Hit]) -> Evidence:
        """Return the candidate sentences, best first, and the probability that they answer.

        Of a question that asks several things each is judged for itself, and the whole as likely as the likeliest.
        """
        several = parts(question)
        if len(several) == 1:
            return explained(self._judged(question, hits))
        each = tuple(explained(self._judged(p, hits)) for p in several)
        best: dict[tuple[str, int], EvidenceSentence] = {}
        for s in sorted((s for e in each for s in e.sentences), key=lambda s: -s.score):
            best.setdefault((s.hit.passage.id, s.start), s)
        return Evidence(question, tuple(hits), tuple(best.values()), max(e.confidence for e in each), each)

    def _judged(self, question: str, hits: Sequence[Hit]) -> Evidence:
        found = candidates(hits)
        if not found:
            return Evidence(question, tuple(hits), (), 0.0)
        if self.head:
            assert isinstance(self.embedder, TokenReader)
            asked, passages = self._tokens([question])[0], self._tokens(printed(hits))
            return read(self.head, self.embedder, question, asked, hits, found, passages)
        near, near_hits = self.cosines(question, hits, found)
        return judged(
            question, hits, found, features.of_sentences(question, hits, found, near, near_hits), *fitted()[:2]
        )

    def cosines(
        self, question: str, hits: Sequence[Hit], found: Sequence[EvidenceSentence]
    ) -> tuple[Features, Features]:
        """Return the question's cosine with each sentence and with each hit's passage."""
        vector = self.embedder.query(question).astype(np.float64)
        vectors = self._embed([h.passage.text for h in hits] + [s.text for s in found])
        near = vectors @ vector
        return near[len(hits) :], near[: len(hits)]

    def near(self, text: str, others: Sequence[str]) -> list[float]:
        """Return the cosine of a text with each of some sentences; zeros for one that is too long to be read whole."""
        if self.embedder.count([text])[0] > self.embedder.max_tokens:
            return [0.0] * len(others)
        return [float(c) for c in self._embed(others) @ self.embedder.vectors([text])[0].astype(np.float64)]

    def _embed(self, texts: Sequence[str]) -> Features:
        # None is too long: each is at most a passage.
        return np.stack(self._vectors.of(texts, self.embedder.vectors)).astype(np.float64)

    def _tokens(self, texts: Sequence[str]) -> list[TokenStates]:
        reader = self.embedder
        assert isinstance(reader, TokenReader)
        return self._read.of(texts, lambda new: [halved(t) for t in reader.tokens(new)])


class _Remembered(Generic[T]):
    """What was made of texts, at most so many; questions about the same articles meet the same ones."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: dict[str, T] = {}

    def of(self, texts: Sequence[str], make: Callable[[Sequence[str]], Iterable[T]]) -> list[T]:
        """Return what is made of each text, made now of those that are new."""
        known = self._known
        new = [t for t in dict.fromkeys(texts) if t not in known]
        if len(known) + len(new) > self._most:
            known, new = {}, list(dict.fromkeys(texts))
        # A new dictionary, because another thread may be reading the one before.
        self._known = known = {**known, **dict(zip(new, make(new), strict=True))}
        return [known[t] for t in texts]


def candidates(hits: Sequence[Hit]) -> list[EvidenceSentence]:
    """Return the sentences of the hits, each span once, in order; their scores are still 0."""
    seen: set[tuple[str, str, int, int]] = set()
    found = []
    for hit in hits:
        p = hit.passage
        for s in sentences(p.text):
            text = p.text[s.start : s.end]
            where = (p.article_id, p.revision, p.start + s.start, p.start + s.end)
            if where not in seen and _LETTER.search(text):
                seen.add(where)
                found.append(EvidenceSentence(hit, where[2], where[3], text, 0.0))
    return found


def judged(
    question: str,
    hits: Sequence[Hit],
    found: Sequence[EvidenceSentence],
    rows: Features,
    on_sentences: Weights,
    on_question: Weights,
) -> Evidence:
    """Return the evidence that two logistic models make of the candidates' features."""
    best, ordered = ranked(found, rows, on_sentences)
    row = features.of_question(question, hits, best, ordered)
    confidence = 1 / (1 + math.exp(-float(on_question.log_odds(row[None, :])[0])))
    return Evidence(question, tuple(hits), tuple(best), confidence)


def ranked(
    found: Sequence[EvidenceSentence], rows: Features, on_sentences: Weights
) -> tuple[list[EvidenceSentence], Features]:
    """Return the candidates with their scores, best first, and their rows in that order."""
    scores = on_sentences.log_odds(rows)
    order = np.argsort(-scores, kind="stable")
    return [replace(found[i], score=float(scores[i])) for i in order], rows[order]
