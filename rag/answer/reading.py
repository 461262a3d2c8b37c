"""Hits read token by token: the evidence that the head makes of them, and the words that answer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from rag.answer import features
from rag.answer.head import Head, Range
from rag.answer.pointed import pointed
from rag.types import Evidence, EvidenceSentence, Hit, TokenStates

POINTED = 8
"""Sentences whose answering words are looked for."""


def printed(hits: Sequence[Hit]) -> list[str]:
    """Return the passages of hits as the model reads them, below their titles."""
    return [f"{h.article.title}\n{h.passage.text}" for h in hits]


def read(
    head: Head,
    question: str,
    asked: TokenStates,
    hits: Sequence[Hit],
    found: Sequence[EvidenceSentence],
    passages: Sequence[TokenStates],
) -> Evidence:
    """Return the evidence that the head makes of the candidates and the tokens of the hits."""
    if not (asked.spans[:, 0] < asked.spans[:, 1]).any():
        return Evidence(question, tuple(hits), tuple(found), 0.0)
    ranges = token_ranges(hits, found, passages)
    rows = plain_rows(question, asked, hits, found, passages, ranges)
    reading = head.read(asked, passages, ranges, rows)
    order = np.argsort(-reading.scores, kind="stable")
    at = {id(h): i for i, h in enumerate(hits)}
    best = []
    for n, i in enumerate(order):
        s = replace(found[i], score=float(reading.scores[i]))
        if n < POINTED:
            hit = at[id(s.hit)]
            s = replace(s, answer=_answering(question, s, passages[hit], reading.answering[hit]))
        best.append(s)
    row = features.of_question(question, hits, best, rows[order].astype(np.float64))
    premise = features.of_premise(question, hits, best[0])
    sure = head.probability(np.concatenate([[reading.odds], row, premise]))
    return Evidence(question, tuple(hits), tuple(best), sure)


def token_ranges(
    hits: Sequence[Hit], found: Sequence[EvidenceSentence], passages: Sequence[TokenStates]
) -> list[list[Range]]:
    """Return for each hit which of its tokens make up each of its candidate sentences, in their order."""
    at = {id(h): i for i, h in enumerate(hits)}
    ranges: list[list[Range]] = [[] for _ in hits]
    for s in found:
        hit = at[id(s.hit)]
        shift = len(s.hit.article.title) + 1 - s.hit.passage.start
        starts, ends = passages[hit].spans.T
        inside = np.flatnonzero((ends > s.start + shift) & (starts < s.end + shift) & (starts < ends))
        ranges[hit].append((int(inside[0]), int(inside[-1]) + 1) if len(inside) else (0, 0))
    return ranges


def plain_rows(
    question: str,
    asked: TokenStates,
    hits: Sequence[Hit],
    found: Sequence[EvidenceSentence],
    passages: Sequence[TokenStates],
    ranges: Sequence[Sequence[Range]],
) -> npt.NDArray[np.float32]:
    """Return the plain features of the candidates, shape (n, len(features.READ))."""
    vector = _mean(asked.states)
    near = [
        _mean(p.states[a:b]) @ vector if a < b else 0.0 for p, r in zip(passages, ranges, strict=True) for a, b in r
    ]
    near_hits = [_mean(p.states) @ vector for p in passages]
    rows = features.of_sentences(question, hits, found, np.array(near), np.array(near_hits))
    rank = [1 / (1 + n) for n, r in enumerate(ranges) for _ in r]
    first = [float(not n) for r in ranges for n, _ in enumerate(r)]
    return np.column_stack([rows, rank, first]).astype(np.float32)


def _mean(states: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    mean = states.astype(np.float64).mean(0)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12), np.float64)


def halved(read: TokenStates) -> TokenStates:
    """Return tokens with their states in half the room."""
    return replace(read, states=read.states.astype(np.float16))


def _answering(
    question: str, s: EvidenceSentence, passage: TokenStates, logits: npt.NDArray[np.float32]
) -> tuple[int, int] | None:
    """Return the words of a sentence that answer, as characters of the article."""
    shift = len(s.hit.article.title) + 1 - s.hit.passage.start + s.start
    starts, ends = passage.spans.T

    def likely(start: int, end: int) -> float:
        inside = (ends > start + shift) & (starts < end + shift) & (starts < ends)
        return float(logits[inside].mean()) if inside.any() else -math.inf

    found = pointed(question, s.text, likely)
    return (s.start + found[0], s.start + found[1]) if found else None
