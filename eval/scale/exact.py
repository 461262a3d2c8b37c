"""What a dense search must find, by comparing each question with every passage, a chunk at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
from filters import Told

from rag.handover import Vectors

TOLERANCE = 2e-4
"""Two passages whose cosines are nearer than this are as good as each other: rows of 16 bits cannot tell them apart."""

Ints = npt.NDArray[np.int64]


def in_context(vectors: Vectors, sizes: Ints, share: float) -> Vectors:
    """Return what passages are found by: (1 - share) of their own vectors and `share` of their article's direction.

    Worked out apart from the store, which has to come to the same.
    """
    article = np.repeat(np.arange(len(sizes)), sizes)
    sums = np.zeros((len(sizes), vectors.shape[1]), np.float64)
    np.add.at(sums, article, vectors)
    sums /= np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9)
    found = ((1 - share) * vectors + share * sums[article]).astype(np.float32)
    alone = (sizes == 1)[article]
    found[alone] = vectors[alone]
    return found


class Best:
    """The passages nearest to a question so far, at most k of those that a mask lets pass."""

    def __init__(self, k: int) -> None:
        self.k = k
        self.numbers = np.empty(0, np.int64)
        self.scores = np.empty(0, np.float32)

    def take(self, numbers: Ints, scores: npt.NDArray[np.float32]) -> None:
        """Take more passages into account."""
        numbers, scores = np.concatenate([self.numbers, numbers]), np.concatenate([self.scores, scores])
        if len(scores) > self.k:
            kept = np.argpartition(-scores, self.k - 1)[: self.k]
            numbers, scores = numbers[kept], scores[kept]
        order = np.argsort(-scores, kind="stable")
        self.numbers, self.scores = numbers[order], scores[order]


def best(chunks: Iterable[Vectors], questions: Vectors, asked: Sequence[tuple[int, Told | None]], k: int) -> list[Best]:
    """Return the k best passages of each pair of a question's number and a filter."""
    found = [Best(k) for _ in asked]
    at = 0
    for vectors in chunks:
        scores = questions @ vectors.T
        stop = at + len(vectors)
        for own, (question, told) in zip(found, asked, strict=True):
            near = scores[question]
            passing = np.flatnonzero(told.among(at, stop)) if told else np.arange(len(near))
            near = near[passing]
            if len(near) > k:
                kept = np.argpartition(-near, k - 1)[:k]
                near, passing = near[kept], passing[kept]
            own.take(at + passing.astype(np.int64), near)
        at = stop
    return found


def recall(got: Sequence[int], scores: npt.NDArray[np.float32], want: Best, k: int) -> float:
    """Return the share of the k best passages that were found, given the found ones with their exact scores.

    One that is not among them counts if it is as near as the last of them.
    """
    wanted = min(k, len(want.numbers))
    if not wanted:
        return 1.0
    last = want.scores[wanted - 1]
    best_of_all = set(want.numbers[:wanted].tolist())
    right = {n for n, s in zip(got[:k], scores[:k], strict=True) if n in best_of_all or s >= last - TOLERANCE}
    return min(len(right), wanted) / wanted
