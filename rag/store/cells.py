"""Where near vectors lie: the approximate search of a large segment.

An inverted file: vectors are put into cells around centroids, and a search looks into the cells nearest to it.  There
each vector is a sketch of one bit a dimension, by which some candidates are chosen; their exact scores decide.  Jégou,
Douze and Schmid, "Product Quantization for Nearest Neighbor Search", TPAMI 2011; Gao and Long, "RaBitQ", SIGMOD 2024.

How many cells are looked into is measured when they are made, by made questions, and is enough for real ones
(`eval/results/cells.md`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from rag.errors import IndexDamaged
from rag.handover import Vectors

Places = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]

LOST = 0.0005
"""Share of the ten nearest to made questions that may be lost by not looking into every cell."""

REAL = 1.5
"""Times the cells that made questions need are looked into for real ones, whose nearest lie farther apart."""

LEAST_SHARE = 0.25
"""Of all cells; fewer are too few for real questions whatever made ones say."""

SOUND = 0.9
"""Share that looking into every cell must find; where sketches tell too little for that, everything is compared."""

HARD = 0.4
"""Cosine of a made question with the passage that it is made from."""

QUESTIONS = 300
"""Made questions by which a number of cells is chosen."""

WIDER = 0.125
"""Where a share s of all passes a filter, s ** -WIDER times as many cells: as many neighbours reach further then."""

SAMPLE = 32
"""Vectors that a centroid is found from."""

BITS = 4
"""Of a question's numbers, when it is compared with sketches."""

CANDIDATES = 512
"""Vectors whose exact scores are taken, for up to a quarter as many hits."""


@dataclass(frozen=True)
class Cells:
    """An inverted file over a segment, mapped, and how many of its cells a search looks into."""

    index: Any
    probes: int

    def candidates(
        self, vectors: Vectors, k: int, matches: int, total: int, selector: Any | None
    ) -> Iterator[tuple[Places, Scores]]:
        """Yield for each vector the places among which its k nearest are found, and estimates of their scores.

        They are of the `matches` that are selected of `total` vectors; cells are added until there are enough.
        """
        wanted = min(count_of_candidates(k), matches)
        probes = min(int(self.probes * max((total / matches) ** WIDER, 1.0)), self.index.nlist)
        estimates, found = self._search(vectors, wanted, probes, selector)
        for n in range(len(vectors)):
            scores, near, looked = estimates[n], found[n], probes
            while np.count_nonzero(near >= 0) < wanted and looked < self.index.nlist:
                looked = min(4 * looked, self.index.nlist)
                (scores,), (near,) = self._search(vectors[n : n + 1], wanted, looked, selector)
            yield near[near >= 0], scores[near >= 0]

    def _search(self, vectors: Vectors, wanted: int, probes: int, selector: Any | None) -> tuple[Scores, Places]:
        how = faiss.IVFRaBitQSearchParameters(nprobe=probes, qb=BITS, sel=selector)
        scores, places = self.index.search(np.ascontiguousarray(vectors), wanted, params=how)
        return scores, places


def count_of_candidates(k: int) -> int:
    """Return how many candidates are scored exactly for k hits; the same for all k up to 128."""
    return max(CANDIDATES, 4 << (k - 1).bit_length())


def count_for(rows: int) -> int:
    """Return how many cells so many vectors are put into."""
    return max(int(2 * rows**0.5), 1)


def make(rows: int, dim: int, block: Callable[[int, int], Vectors], size: int, proceed: Callable[[], None]) -> Any:
    """Return an inverted file of vectors, in memory.

    `block(first, last)` gives the vectors between two places, `size` of them are asked for at a time; `proceed` is
    called in between and may raise.
    """
    count = count_for(rows)
    index = faiss.IndexIVFRaBitQ(faiss.IndexFlatIP(dim), dim, count, faiss.METRIC_INNER_PRODUCT)
    index.cp.min_points_per_centroid = 1
    index.cp.max_points_per_centroid = SAMPLE
    index.cp.niter = 8
    rng = np.random.default_rng(rows)
    share = min(SAMPLE * count / rows, 1.0)
    sample = []
    for at in range(0, rows, size):
        vectors = block(at, min(at + size, rows))
        sample.append(vectors[rng.random(len(vectors)) < share])
        proceed()
    index.train(np.concatenate(sample))
    del sample
    for at in range(0, rows, size):
        index.add(block(at, min(at + size, rows)))
        proceed()
    return index


def without(index: Any, kept: npt.NDArray[np.bool_]) -> Any:
    """Return an inverted file without some of its vectors, in memory, its centroids as they were."""
    quantizer = faiss.clone_index(faiss.downcast_index(index.quantizer))
    new = faiss.IndexIVFRaBitQ(quantizer, index.d, index.nlist, faiss.METRIC_INNER_PRODUCT)
    # Whatever training found beside the centroids stays too.
    new.rabitq = index.rabitq
    new.is_trained = True
    place = np.cumsum(kept) - 1
    old, lists = faiss.downcast_InvertedLists(index.invlists), new.invlists
    for cell in range(index.nlist):
        held = old.list_size(cell)
        if not held:
            continue
        ids = faiss.rev_swig_ptr(old.get_ids(cell), held)
        stay = kept[ids]
        codes = faiss.rev_swig_ptr(old.get_codes(cell), held * old.code_size).reshape(held, old.code_size)[stay]
        ids = place[ids[stay]]
        if len(ids):
            lists.add_entries(cell, len(ids), faiss.swig_ptr(ids), faiss.swig_ptr(np.ascontiguousarray(codes)))
    new.ntotal = int(kept.sum())
    return new


def tuned(index: Any, recall: Callable[[Cells], float]) -> tuple[int, float]:
    """Return the number of cells to look into that finds enough, and the recall with it; 0 if none does.

    `recall` measures with made questions (see `questions`).
    """
    most = recall(Cells(index, index.nlist))
    if most < SOUND:
        return 0, 1.0
    least = min(8, index.nlist)
    while least < index.nlist and recall(Cells(index, least)) < most - LOST:
        least = min(max(least + 1, least * 3 // 2), index.nlist)
    probes = min(int(max(REAL * least, LEAST_SHARE * index.nlist)), index.nlist)
    return probes, recall(Cells(index, probes))


def questions(vectors: Vectors, seed: int) -> Vectors:
    """Return a made question for each of some vectors: as far from it as a hard question is from its passage."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal(vectors.shape).astype(np.float32)
    near = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    noise -= near * np.sum(noise * near, axis=1, keepdims=True)
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    return np.asarray(HARD * near + (1 - HARD**2) ** 0.5 * noise, np.float32)


def opened(path: Path, rows: int, dim: int, probes: int) -> Cells:
    """Return the cells in a file, mapped.  Raises FileNotFoundError, and IndexDamaged when it holds something else."""
    with path.open("rb") as file:
        kind = file.read(4)
    try:
        if not kind.startswith(b"Iwr"):
            raise ValueError(kind)
        index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP)
        lists = faiss.downcast_InvertedLists(index.invlists)
        lists.prefetch_nthread = 0  # its threads would cost more than the whole search
        if (index.ntotal, index.d) != (rows, dim):
            raise ValueError(index.ntotal)
    except (RuntimeError, ValueError, AttributeError) as e:
        raise IndexDamaged.of(path) from e
    return Cells(index, probes)
