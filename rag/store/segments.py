"""Vectors that are searched together, and the search in several of them.

A segment is its vectors as halves, its columns (see columns.py) and, if it is large, its cells (see cells.py).  It is
written once (see segmentfile.py), named by the catalog afterwards, and never changed; what is removed is masked.  What
is in no file yet is a segment in memory.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, cast

import faiss
import numpy as np
import numpy.typing as npt

from rag.handover import Scored, Vector, Vectors
from rag.store import cells
from rag.store.cells import Cells
from rag.store.columns import Columns, Mask

Halves = npt.NDArray[np.float16]
"""Vectors as they are stored, shape (n, dim)."""
Found = tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]
"""Places in a segment and their scores."""

BLOCK = 4_096
"""Vectors read and written at a time when a segment is made."""

FEW = 300
"""At most this many matches are scored by picking their rows, which beats a scan of everything."""

EXACT = 10_000
"""Up to this many matches are all scored; among more, in a segment with cells, the nearest are looked for there."""

MANY = 8
"""Vectors from which they are compared as one product."""

SCORES = 2**24
"""Scores held at a time, when many vectors are compared with all."""

SPREAD = 50_000
"""Rows from which one question is worth several cores: below, waking a core costs the model's next run more."""

MARGIN = 2e-6
"""Scores nearer than this may come out in either order when they are summed in another."""


@dataclass(frozen=True)
class Segment:
    """Vectors in a FAISS index of halves, shape (n, dim), their columns, and the cells of a large one."""

    index: Any
    columns: Columns
    cells: Cells | None = None

    def __len__(self) -> int:
        return int(self.index.ntotal)

    @cached_property
    def halves(self) -> npt.NDArray[np.uint8]:
        """The stored bytes where they lie, not a copy; shape (n, 2 * dim)."""
        flat = faiss.rev_swig_ptr(self.index.codes.data(), len(self) * 2 * self.index.d)
        return cast("npt.NDArray[np.uint8]", flat.reshape(len(self), 2 * self.index.d))

    def vectors(self, places: npt.NDArray[np.int64] | slice) -> Vectors:
        """Return some of the vectors, shape (places, dim)."""
        # In a FAISS file numbers lie at odd addresses, so they are copied as bytes first.
        copied = np.ascontiguousarray(self.halves[places])
        return copied.view("<f2").reshape(len(copied), self.index.d).astype(np.float32)

    def is_exact(self, matches: int) -> bool:
        """Say whether so many matches are all compared."""
        return self.cells is None or matches <= EXACT

    def best(self, vectors: Vectors, k: int, mask: Mask) -> list[Found]:
        """Return places and inner products of the best vectors that the mask lets pass, for each of some vectors.

        They are min(k, mask.sum()), and all that tie with the last of them.
        """
        matches = int(np.count_nonzero(mask))
        if matches <= FEW:
            at = np.flatnonzero(mask)
            rows = self.vectors(at)
            return [_best_of(at, products(rows, vector), k) for vector in vectors]
        if len(vectors) < MANY:
            return [self._scan(vector, k, matches, self._selector(mask, matches)) for vector in vectors]
        return self._scan_many(vectors, k, mask, matches)

    def near(self, vectors: Vectors, k: int, mask: Mask) -> list[Found]:
        """Return places among which the best are found and estimates of their inner products, for each of some vectors.

        For a segment with cells.
        """
        assert self.cells is not None
        matches = int(np.count_nonzero(mask))
        return list(self.cells.candidates(vectors, k, matches, len(self), self._selector(mask, matches)))

    def _selector(self, mask: Mask, matches: int) -> Any | None:
        return faiss.IDSelectorBitmap(np.packbits(mask, bitorder="little")) if matches < len(self) else None

    def _scan(self, vector: Vector, k: int, matches: int, selector: Any | None) -> Found:
        wanted = min(k + 28, matches)
        how = faiss.SearchParameters(sel=selector) if selector is not None else None
        while True:
            scores, at = self.index.search(np.ascontiguousarray(vector[None, :]), wanted, params=how)
            if wanted == matches or scores[0, -1] < scores[0, k - 1] - MARGIN:
                return self.rescored(at[0], vector, k)
            wanted = min(4 * wanted, matches)

    def _scan_many(self, vectors: Vectors, k: int, mask: Mask, matches: int) -> list[Found]:
        at = None if matches == len(self) else np.flatnonzero(mask)
        size = max(SCORES // len(self), 1)
        found: list[Found] = []
        for n in range(0, len(vectors), size):
            some = vectors[n : n + size]
            scores = np.empty((len(some), len(self)), np.float32)
            for first in range(0, len(self), BLOCK):
                np.matmul(some, self.vectors(slice(first, first + BLOCK)).T, out=scores[:, first : first + BLOCK])
            for vector, of_one in zip(some, scores, strict=True):
                near = _largest(of_one if at is None else of_one[at], k)
                found.append(self.rescored(near if at is None else at[near], vector, k))
        return found

    def rescored(self, at: npt.NDArray[np.int64], vector: Vector, k: int) -> Found:
        """Return those of some places that are the best k, or tie with the last of them, and their inner products."""
        return _best_of(at, products(self.vectors(at), vector), k)

    def nearest(self, asked: Vectors, k: int, mask: Mask) -> list[set[int]]:
        """Return the true k nearest to each of some vectors, and those that tie with the last."""
        return [set(places.tolist()) for places, _ in self.best(asked, k, mask)]

    def recall(self, asked: Vectors, nearest: Sequence[set[int]], k: int, mask: Mask) -> float:
        """Return which share of the nearest is found through the cells."""
        found = best([self], asked, k, mask, approximate=True)
        shared = sum(len(true & set(places.tolist())) for true, (places, _) in zip(nearest, found, strict=True))
        return shared / max(sum(map(len, nearest)), 1)

    def questions(self, count: int, mask: Mask, seed: int = 0) -> Vectors:
        """Return made questions about some of the vectors that the mask lets pass.  See cells.py."""
        at = np.flatnonzero(mask)
        some = np.random.default_rng(seed).choice(at, min(count, len(at)), replace=False)
        return cells.questions(self.vectors(np.sort(some)), seed)


def best(parts: Sequence[Segment], vectors: Vectors, k: int, mask: Mask, approximate: bool = False) -> list[Found]:
    """Return places and inner products of the best vectors of several parts, for each of some vectors.

    The mask, and the places, count through all parts.  Of large segments with cells the candidates are chosen together,
    by their estimated scores; with `approximate` of any segment with cells.
    """
    starts = np.cumsum([0, *map(len, parts)]).tolist()
    masks = [mask[first : first + len(part)] for first, part in zip(starts, parts, strict=False)]

    def look(part: Segment, own: Mask) -> tuple[bool, list[Found]]:
        if part.cells and (approximate or not part.is_exact(int(np.count_nonzero(own)))):
            return False, part.near(vectors, k, own)
        return True, part.best(vectors, k, own)

    # Many vectors take every core as they are.
    each = map if len(mask) < SPREAD or len(vectors) > 1 else threads().map
    found: list[list[Found]] = [[] for _ in vectors]
    estimated: list[list[tuple[Segment, int, Found]]] = [[] for _ in vectors]
    for part, first, (exact, of_each) in zip(parts, starts, each(look, parts, masks), strict=False):
        for n, (places, scores) in enumerate(of_each):
            if exact:
                found[n].append((first + places, scores))
            else:
                estimated[n].append((part, first, (places, scores)))
    for vector, of_one, candidates in zip(vectors, found, estimated, strict=True):
        least = _last_of([scores for _, _, (_, scores) in candidates], cells.count_of_candidates(k))
        for part, first, (places, scores) in candidates:
            places, scores = part.rescored(places[scores >= least], vector, k)
            of_one.append((first + places, scores))
    return [(np.concatenate([p for p, _ in f]), np.concatenate([s for _, s in f])) for f in found]


@cache
def threads() -> ThreadPoolExecutor:
    """Return what runs parts of a question on other cores."""
    return ThreadPoolExecutor(os.cpu_count(), "segments")


if hasattr(os, "register_at_fork"):
    # A child has the pool and none of its threads.
    os.register_at_fork(after_in_child=threads.cache_clear)


def _last_of(scores: Sequence[npt.NDArray[np.float32]], count: int) -> float:
    """Return the last of so many largest scores, if there are more."""
    if sum(map(len, scores)) <= count:
        return -np.inf
    return float(np.partition(np.concatenate(scores), -count)[-count])


def products(rows: Vectors, vector: Vector) -> npt.NDArray[np.float32]:
    """Return the inner product of each row with a vector, the same wherever a row lies and however many there are."""
    return np.asarray(np.vecdot(rows, vector), np.float32)


def _best_of(at: npt.NDArray[np.int64], scores: npt.NDArray[np.float32], k: int) -> Found:
    """Return the places of the k largest scores, and of those that tie with the last of them."""
    if k >= len(scores):
        return at, scores
    near = np.flatnonzero(np.round(scores, 6) >= np.round(np.partition(scores, -k)[-k], 6))
    return at[near], scores[near]


def _largest(scores: npt.NDArray[np.float32], k: int) -> npt.NDArray[np.int64]:
    """Return the places of the k largest scores, and of those that another order of summing might put among them."""
    if k >= len(scores):
        return np.arange(len(scores))
    return np.flatnonzero(scores > np.partition(scores, -k)[-k] - MARGIN)


def empty(dim: int) -> Any:
    """Return an index for vectors of halves that has none."""
    return faiss.IndexScalarQuantizer(dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)


def in_memory(vectors: Halves, table: Columns) -> Segment:
    """Return a segment that lies in memory only."""
    index = empty(vectors.shape[1])
    if len(vectors):
        faiss.copy_array_to_vector(np.ascontiguousarray(vectors, "<f2").view(np.uint8).ravel(), index.codes)
        index.ntotal = len(vectors)
    return Segment(index, table)


def top(rows: npt.NDArray[np.int64], scores: npt.NDArray[np.float32], k: int) -> Scored:
    """Return the best k by score, and all that tie with the last of them, ordered by score, then row."""
    # Summation order differs with a vector's place in memory: equal texts must still score equal.
    scores = np.round(scores, 6)
    order = np.lexsort((rows, -scores))
    if len(order) > k:
        last = scores[order[k - 1]]
        while k < len(order) and scores[order[k]] == last:
            k += 1
    return Scored(rows[order[:k]], scores[order[:k]])
