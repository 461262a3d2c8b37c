"""Immutable files of vectors, memory-mapped, and the small part that is not in one yet.

A segment is two files: a FAISS flat index and an array of columns (row, article, section).  It is
written once, named by the catalog afterwards, and never changed; what is removed is masked.

However large it is, a segment is written from blocks, and never held in memory.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import struct
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, cast

import faiss
import numpy as np
import numpy.typing as npt

from rag.errors import IndexDamaged
from rag.files import sha256, sync
from rag.types import Scored, Vector, Vectors

Mask = npt.NDArray[np.bool_]
Columns = npt.NDArray[np.void]
Found = tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]
"""Positions in a segment and their scores."""
COLUMNS = np.dtype([("row", "<i8"), ("article", "<i8"), ("section", "<i4")])

CHECKED_BYTES = 32 * 2**20
"""Files up to this size are checked whole when opened; larger ones by size only, to open quickly."""

BLOCK = 4_096
"""Vectors read and written at a time when a segment is made."""

FEW = 1_000
"""At most this many matches are scored by picking their rows, which beats a scan of everything."""

ALONE = 8_000
"""At most this many are compared with one vector on one core: waking a second one costs the model's next run more."""

SCORES = 2**24
"""Scores held at a time, when many vectors are compared with all."""


@dataclass(frozen=True, slots=True)
class SegmentName:
    """What the catalog knows of a segment."""

    name: str
    rows: int
    vectors_bytes: int
    vectors_sha256: str
    columns_sha256: str


@dataclass(frozen=True)
class Segment:
    """Vectors of shape (n, dim) in a FAISS index, and their columns in ascending order of row."""

    index: Any
    columns: Columns

    @cached_property
    def vectors(self) -> Vectors:
        """The vectors where they lie, not a copy; shape (n, dim)."""
        flat = faiss.rev_swig_ptr(self.index.get_xb(), self.index.ntotal * self.index.d)
        return cast(Vectors, flat.reshape(self.index.ntotal, self.index.d))

    def best(self, vectors: Vectors, k: int, mask: Mask) -> list[Found]:
        """Return positions and inner products of the best vectors that the mask lets pass, for each of some vectors.

        They are min(k, mask.sum()), and all that tie with the last of them.
        """
        at = np.flatnonzero(mask)
        if len(at) <= FEW:
            rows = self.vectors[at]
            picked = [(scores, _best_places(scores, k)) for scores in (products(rows, vector) for vector in vectors)]
            return [(at[near], scores[near]) for scores, near in picked]
        size = max(SCORES // len(self.columns), 1)
        found: list[Found] = []
        for n in range(0, len(vectors), size):
            for vector, scores in zip(vectors[n : n + size], self._products(vectors[n : n + size]), strict=True):
                near = _largest(scores if len(scores) == len(at) else scores[at], k)
                found.append(self._best_of(at[near], vector, k))
        return found

    def _products(self, vectors: Vectors) -> npt.NDArray[np.float32]:
        """Return the inner products of some vectors with all, shape (len(vectors), n), nearly those of `products`."""
        out = np.empty((len(vectors), len(self.columns)), np.float32)
        if len(vectors) > 1:
            for n in range(0, out.shape[1], BLOCK):
                # In a FAISS file vectors lie at odd addresses, where numpy takes a hundred times as long.
                block = np.require(self.vectors[n : n + BLOCK], requirements="A")
                np.matmul(vectors, block.T, out=out[:, n : n + BLOCK])
            return out
        parts = 1 if out.shape[1] <= ALONE else os.cpu_count() or 1
        bounds = np.linspace(0, out.shape[1], parts + 1).astype(int).tolist()
        vector = np.ascontiguousarray(vectors[0], np.float32)

        def compare(first: int, last: int) -> None:
            rows = faiss.cast_integer_to_float_ptr(self.vectors[first:last].ctypes.data)
            place = faiss.swig_ptr(out[0, first:last])
            faiss.fvec_inner_products_ny(place, faiss.swig_ptr(vector), rows, len(vector), last - first)  # type: ignore[attr-defined]

        # FAISS compares one vector on one core.
        waited = [_threads().submit(compare, a, b) for a, b in itertools.pairwise(bounds[1:])]
        compare(*bounds[:2])
        for part in waited:
            part.result()
        return out

    def _best_of(self, at: npt.NDArray[np.int64], vector: Vector, k: int) -> Found:
        """Return those of some places that are among the best k, or tie with the last of these, and their scores."""
        scores = products(self.vectors[at], vector)
        near = _best_places(scores, k)
        return at[near], scores[near]


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count(), "scan")


def products(rows: Vectors, vector: Vector) -> npt.NDArray[np.float32]:
    """Return the inner product of each row with a vector, the same wherever a row lies and however many there are."""
    return np.asarray(np.vecdot(rows, vector), np.float32)


def _best_places(scores: npt.NDArray[np.float32], k: int) -> npt.NDArray[np.int64]:
    """Return the places of the k largest scores, and of those that tie with the last of them."""
    if k >= len(scores):
        return np.arange(len(scores))
    return np.flatnonzero(np.round(scores, 6) >= np.round(np.partition(scores, -k)[-k], 6))


def _largest(scores: npt.NDArray[np.float32], k: int) -> npt.NDArray[np.int64]:
    """Return the places of the k largest scores, and of those that another order of summing might put among them."""
    if k >= len(scores):
        return np.arange(len(scores))
    return np.flatnonzero(scores > np.partition(scores, -k)[-k] - 2e-6)


def in_memory(vectors: Vectors, columns: Columns) -> Segment:
    """Return a segment that lies in memory only."""
    index = faiss.IndexFlatIP(vectors.shape[1])
    if len(vectors):
        index.add(np.ascontiguousarray(vectors, np.float32))
    return Segment(index, columns)


def write(folder: Path, name: str, columns: Columns, blocks: Iterable[Vectors], dim: int) -> SegmentName:
    """Write a segment's two files durably and return what the catalog must know of them.

    The blocks hold one vector for each of the columns, in their order.
    """
    folder.mkdir(exist_ok=True)
    vectors, table = _paths(folder, name)
    digest = hashlib.sha256()
    with vectors.open("wb") as file:
        for part in itertools.chain(
            [_header(dim, len(columns))], (np.asarray(block, "<f4").tobytes() for block in blocks)
        ):
            digest.update(part)
            file.write(part)
    np.save(table, columns, allow_pickle=False)
    for path in (vectors, table):
        sync(path)
    sync(folder)
    return SegmentName(name, len(columns), vectors.stat().st_size, digest.hexdigest(), sha256(table))


def _header(dim: int, rows: int) -> bytes:
    # A FAISS file of a flat index is that of an empty one, with other counts, followed by the vectors.
    index = faiss.IndexFlatIP(dim)
    index.ntotal = rows
    return bytes(faiss.serialize_index(index)[:-8]) + struct.pack("<Q", rows * dim)


def blocks(folder: Path, named: SegmentName, dim: int, kept: Mask) -> Iterator[Vectors]:
    """Yield the vectors of a segment that the mask keeps, in order, some at a time."""
    with _paths(folder, named.name)[0].open("rb") as file:
        file.seek(-4 * named.rows * dim, os.SEEK_END)
        for at in range(0, named.rows, BLOCK):
            size = min(BLOCK, named.rows - at)
            block = np.fromfile(file, "<f4", size * dim).reshape(size, dim)
            yield block[kept[at : at + size]]


def read(folder: Path, named: SegmentName, dim: int) -> Segment:
    """Return a segment mapped from its files.  Raises FileNotFoundError, or IndexDamaged when they are not as named."""
    vectors, columns = _paths(folder, named.name)
    size = vectors.stat().st_size
    sound = size == named.vectors_bytes and sha256(columns) == named.columns_sha256
    if sound and size <= CHECKED_BYTES:
        sound = sha256(vectors) == named.vectors_sha256
    if not sound:
        raise damaged(vectors)
    try:
        index = faiss.read_index(str(vectors), faiss.IO_FLAG_MMAP_IFC)
        table = np.load(columns, mmap_mode="r", allow_pickle=False)
    except (RuntimeError, ValueError) as e:
        raise damaged(vectors) from e
    if index.ntotal != named.rows or index.d != dim or len(table) != named.rows:
        raise damaged(vectors)
    return Segment(index, table)


def damaged(path: Path) -> IndexDamaged:
    """Return the error for a file whose content is not what was written."""
    return IndexDamaged(f"index file {path.absolute()} is damaged: rebuild it with `rag ingest SOURCE --rebuild`")


def remove(folder: Path, name: str) -> None:
    """Delete a segment's files; readers that have them mapped keep them."""
    for path in _paths(folder, name):
        path.unlink(missing_ok=True)


def names_on_disk(folder: Path) -> set[str]:
    """Return the names of all segments whose files lie in the folder."""
    return {p.stem for p in folder.glob("*.faiss")} | {p.stem for p in folder.glob("*.npy")}


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


def _paths(folder: Path, name: str) -> tuple[Path, Path]:
    return folder / f"{name}.faiss", folder / f"{name}.npy"
