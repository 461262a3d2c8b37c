"""Hits read token by token: the evidence that the head makes of them, and the words that answer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from rag.answer import features
from rag.answer.head import Head, Range
from rag.types import Evidence, EvidenceSentence, Hit, TokenStates

POINTED = 8
"""Sentences whose answering words are looked for."""

SURE, ALONG = 0.0, 2.0
"""Log-odds from which a token is shown as a part of the answer, and how far its neighbours may be below it."""

_WORD = re.compile(r"\w[\w.,'’%-]*\w|\w")


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
    flat = [r for of_hit in ranges for r in of_hit]
    best = []
    for n, i in enumerate(order):
        s = replace(found[i], score=float(reading.scores[i]))
        if n < POINTED:
            hit = at[id(s.hit)]
            s = replace(s, answer=_answering(s, passages[hit], flat[i], reading.answering[hit]))
        best.append(s)
    row = features.of_question(question, hits, best, rows[order].astype(np.float64))
    return Evidence(question, tuple(hits), tuple(best), head.probability(np.append(reading.odds, row)))


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
    s: EvidenceSentence, passage: TokenStates, tokens: Range, logits: npt.NDArray[np.float32]
) -> tuple[int, int] | None:
    """Return the words of a sentence that are likeliest to be the answer, as characters of the article."""
    start, end = tokens
    if start == end:
        return None
    best = start + int(logits[start:end].argmax())
    if logits[best] < SURE:
        return None
    a = b = best
    while a > start and logits[a - 1] > logits[best] - ALONG:
        a -= 1
    while b + 1 < end and logits[b + 1] > logits[best] - ALONG:
        b += 1
    shift = len(s.hit.article.title) + 1 - s.hit.passage.start
    here = [int(x) - shift - s.start for x in (passage.spans[a, 0], passage.spans[b, 1])]
    # Word pieces are widened to words.
    for m in _WORD.finditer(s.text):
        if m.start() < here[0] < m.end():
            here[0] = m.start()
        if m.start() < here[1] < m.end():
            here[1] = m.end()
    return s.start + max(here[0], 0), s.start + min(here[1], len(s.text))
