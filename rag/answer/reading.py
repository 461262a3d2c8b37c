"""Hits read token by token: the evidence that the head makes of them, and the words that answer.

The passages of the best sentences are then read once more, each together with the question.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from rag.answer import features
from rag.answer.compared import compared
from rag.answer.facts import facts
from rag.answer.head import Head, Range
from rag.answer.pointed import pointed
from rag.handover import Evidence, EvidenceSentence, PairReading, TokenStates
from rag.protocols import TokenReader
from rag.types import Hit

POINTED = 8
"""Best sentences whose answering words are looked for, and numbers compared with the question's."""

TOGETHER = 2
"""Passages that are read together with the question: those of the best sentences."""

OTHER_NUMBER = 6.0
"""Log-odds that a number other than the question's takes from a sentence, each."""

LEAST_MASS = -6.0
"""Log-odds of a sentence's words to be the answer, at least, and of one whose passage was not read together."""


def printed(hits: Sequence[Hit]) -> list[str]:
    """Return the passages of hits as the model reads them, below their titles."""
    return [f"{h.article.title}\n{h.passage.text}" for h in hits]


def read(
    head: Head,
    reader: TokenReader,
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
    at = {id(h): i for i, h in enumerate(hits)}
    order = np.argsort(-reading.scores, kind="stable")
    chosen = list(dict.fromkeys(at[id(found[i].hit)] for i in order))[:TOGETHER]
    together = dict(zip(chosen, reader.pairs(asked, [passages[i] for i in chosen]), strict=True))
    scores = settled(question, found, reading.scores + head.pair_weight * masses(ranges, together))
    order = np.argsort(-scores, kind="stable")
    best = []
    for n, i in enumerate(order):
        s = replace(found[i], score=float(scores[i]))
        if n < POINTED:
            hit = at[id(s.hit)]
            logits = together[hit].answering if hit in together else reading.answering[hit]
            s = replace(s, answer=answering(question, s, passages[hit], logits, together=hit in together))
        best.append(s)
    row = features.of_question(question, hits, best, rows[order].astype(np.float64))
    premise, contrary = features.of_premise(question, hits, best[0]), features.of_contrary(question, best[0])
    pairs = features.of_pairs(list(together.values()))
    sure = head.probability(np.concatenate([[reading.odds], pairs, row, premise, contrary]))
    return Evidence(question, tuple(hits), tuple(best), sure)


def settled(
    question: str, found: Sequence[EvidenceSentence], scores: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Return the scores of candidates, those of sentences lowered that have a number other than the question's.

    The second flight is not the first, however much alike all else is.
    """
    if not facts(question).numbers:
        return scores
    lowered = scores.copy()
    for i in np.argsort(-scores, kind="stable")[:POINTED]:
        lowered[i] -= OTHER_NUMBER * compared(question, found[i].text, found[i].hit.article.title).numbers_wrong
    return lowered


def masses(ranges: Sequence[Sequence[Range]], together: Mapping[int, PairReading]) -> npt.NDArray[np.float32]:
    """Return for each candidate how likely its words are the answer's, where its hit was read together."""
    found = []
    for i, of_hit in enumerate(ranges):
        for start, end in of_hit:
            mass = LEAST_MASS
            if i in together and start < end:
                mass = max(float(np.logaddexp.reduce(together[i].answering[start:end])), LEAST_MASS)
            found.append(mass)
    return np.array(found, np.float32)


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


def answering(
    question: str, s: EvidenceSentence, passage: TokenStates, logits: npt.NDArray[np.float32], *, together: bool
) -> tuple[int, int] | None:
    """Return the words of a sentence that answer, as characters of the article."""
    shift = len(s.hit.article.title) + 1 - s.hit.passage.start + s.start
    starts, ends = passage.spans.T
    inside = np.flatnonzero((starts >= shift) & (ends <= shift + len(s.text)) & (starts < ends))
    tokens = [(int(starts[i]) - shift, int(ends[i]) - shift, float(logits[i])) for i in inside]
    # Beside all tokens there is "none of them", of log-odds 0.
    share = float(np.exp(logits[inside] - np.logaddexp.reduce(np.append(logits, 0))).sum())
    found = pointed(question, s.text, tokens, share if together else None)
    return (s.start + found[0], s.start + found[1]) if found else None
