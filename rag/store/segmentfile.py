"""The files of a segment: vectors as halves in a FAISS file, a table for each column, and the cells of a large one.

They are written from blocks, so a segment is never held in memory however large it is, and mapped when it is read.
"""

from __future__ import annotations

import errno
import hashlib
import itertools
import json
import math
import os
import re
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import faiss
import numpy as np

from rag.errors import IndexDamaged
from rag.files import sha256, sync
from rag.store import cells, columns, segments
from rag.store.cells import Cells
from rag.store.columns import Columns, Mask, Table
from rag.store.segments import Halves, Segment

CHECKED_BYTES = 32 * 2**20
"""Files up to this size are checked whole when opened; larger ones by size only, to open quickly."""

CELLS_FROM = 32_768
"""Rows from which a segment has cells."""

KINDS = ("rows", *columns.DTYPES, "cells")
"""Of a segment's files."""

_NAME = re.compile(r"[0-9]+m?-[0-9]+-[0-9]+")


@dataclass(frozen=True, slots=True)
class Named:
    """What the catalog knows of a segment: its rows from `first` to `last`, its files' sizes and digests.

    `probes` is the number of cells that a search looks into, 0 without any; `recall` what that finds of the ten
    nearest.
    """

    name: str
    first: int
    last: int
    rows: int
    probes: int
    recall: float
    files: dict[str, tuple[int, str]]

    @property
    def row(self) -> tuple[object, ...]:
        """The columns of the catalog's table."""
        return (
            *(getattr(self, n) for n in ("name", "first", "last", "rows", "probes", "recall")),
            json.dumps(self.files),
        )

    @classmethod
    def of(cls, row: tuple[Any, ...]) -> Named:
        """Return what a row of the catalog's table says.  Raises IndexDamaged for what no writer puts there."""
        name, first, last, rows, probes, recall, files = row
        try:
            sizes = {str(kind): (int(size), str(digest)) for kind, (size, digest) in json.loads(files).items()}
            sound = bool(_NAME.fullmatch(name)) and all(type(n) is int and n >= 0 for n in (first, last, rows, probes))
            sound = sound and first <= last and isinstance(recall, (int, float)) and math.isfinite(recall)
            # The name and the kinds are parts of paths; there are cells where a search looks into some.
            sound = sound and set(sizes) == set(KINDS if probes else KINDS[:-1])
            sound = sound and all(size >= 0 for size, _ in sizes.values())
        except (TypeError, ValueError, AttributeError, OverflowError, RecursionError):
            sound = False
        if not sound:
            raise IndexDamaged(
                f"the catalog's segment {str(name)[:40]!r} is damaged: mend the index with `rag doctor --repair`"
            )
        return cls(name, first, last, rows, probes, recall, sizes)


def write(
    folder: Path,
    name: str,
    table: Columns,
    blocks: Iterable[Halves],
    dim: int,
    proceed: Callable[[], None] = lambda: None,
    known: tuple[Cells, Mask] | None = None,
) -> Named:
    """Write a segment's files durably and return what the catalog must know of them.

    The blocks hold one vector for each of the columns' rows, in their order.  `proceed` is called now and then and may
    raise.  `known` has the cells of a segment that this one is a part of, and what stayed of it.
    """
    folder.mkdir(exist_ok=True)
    sync(folder.parent)
    files = {}
    digest = hashlib.sha256()
    path = path_of(folder, name, "rows")
    with path.open("wb") as file:
        for data in itertools.chain([_header(dim, len(table))], (np.asarray(b, "<f2").tobytes() for b in blocks)):
            digest.update(data)
            file.write(data)
            proceed()
    files["rows"] = (path.stat().st_size, digest.hexdigest())
    for kind, column in table.tables.items():
        path = path_of(folder, name, kind)
        _save(path, column)
        files[kind] = (path.stat().st_size, sha256(path))
    probes, recall = 0, 1.0
    if len(table) >= CELLS_FROM:
        plain = Segment(_read_rows(path_of(folder, name, "rows"), len(table), dim), table)
        probes, recall = _write_cells(path_of(folder, name, "cells"), plain, dim, proceed, known)
        if probes:
            path = path_of(folder, name, "cells")
            files["cells"] = (path.stat().st_size, sha256(path))
    for kind in files:
        sync(path_of(folder, name, kind))
    sync(folder)
    return Named(name, int(table.rows[0]), int(table.rows[-1]), len(table), probes, recall, files)


def _save(path: Path, column: Table) -> None:
    with path.open("wb") as file:
        # Into a file as such numpy writes by itself, and says nothing when there is no room for the last of it.
        np.save(cast("Any", SimpleNamespace(write=file.write)), column, allow_pickle=False)


def _write_cells(
    path: Path, plain: Segment, dim: int, proceed: Callable[[], None], known: tuple[Cells, Mask] | None
) -> tuple[int, float]:
    if known:
        index = cells.without(known[0].index, known[1])
    else:
        index = cells.make(len(plain), dim, lambda a, b: plain.vectors(slice(a, b)), segments.BLOCK, proceed)
    mask = np.ones(len(plain), bool)
    asked = plain.questions(max(min(cells.QUESTIONS, 10**8 // len(plain)), 20), mask)
    nearest = plain.nearest(asked, 10, mask)

    def recall(tried: Cells) -> float:
        proceed()
        return Segment(plain.index, plain.columns, tried).recall(asked, nearest, 10, mask)

    probes, found = cells.tuned(index, recall)
    if probes:
        try:
            faiss.write_index(index, str(path))
            # It says nothing when there is no room for the last of it.
            cells.opened(path, len(plain), dim, probes)
        except (RuntimeError, IndexDamaged) as e:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from e
    return probes, found


def _header(dim: int, rows: int) -> bytes:
    # A FAISS file of halves is that of an empty index, with other counts, followed by the numbers.
    index = segments.empty(dim)
    index.ntotal = rows
    return bytes(faiss.serialize_index(index)[:-8]) + struct.pack("<Q", rows * 2 * dim)


def blocks(folder: Path, named: Named, dim: int, kept: Mask) -> Iterator[Halves]:
    """Yield the vectors of a segment that the mask keeps, in order, some at a time."""
    with path_of(folder, named.name, "rows").open("rb") as file:
        file.seek(-2 * named.rows * dim, os.SEEK_END)
        for at in range(0, named.rows, segments.BLOCK):
            size = min(segments.BLOCK, named.rows - at)
            block = np.fromfile(file, "<f2", size * dim).reshape(size, dim)
            yield block[kept[at : at + size]]


def read(folder: Path, named: Named, dim: int) -> Segment:
    """Return a segment mapped from its files.  Raises FileNotFoundError, or IndexDamaged when they are not as named."""
    for kind, (size, digest) in named.files.items():
        path = path_of(folder, named.name, kind)
        if path.stat().st_size != size or (size <= CHECKED_BYTES and sha256(path) != digest):
            raise IndexDamaged.of(path)
    index = _read_rows(path_of(folder, named.name, "rows"), named.rows, dim)
    tables = {}
    for kind, dtype in columns.DTYPES.items():
        path = path_of(folder, named.name, kind)
        try:
            # Not by numpy.load, which maps nothing that is empty.
            tables[kind] = np.load(path, mmap_mode="r" if named.files[kind][0] > 4096 else None, allow_pickle=False)
        except (ValueError, KeyError, EOFError) as e:
            raise IndexDamaged.of(path) from e
        if tables[kind].dtype != dtype:
            raise IndexDamaged.of(path)
    table = Columns(**tables)
    if len(table) != named.rows:
        raise IndexDamaged.of(path_of(folder, named.name, "passages"))
    near = cells.opened(path_of(folder, named.name, "cells"), named.rows, dim, named.probes) if named.probes else None
    return Segment(index, table, near)


def _read_rows(path: Path, rows: int, dim: int) -> Any:
    with path.open("rb") as file:
        kind = file.read(4)
    try:
        if kind != b"IxSQ":
            raise ValueError(kind)
        index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
        if (index.ntotal, index.d, index.codes.size()) != (rows, dim, rows * 2 * dim):
            raise ValueError(index.ntotal)
    except (RuntimeError, ValueError) as e:
        raise IndexDamaged.of(path) from e
    return index


def spoiled(folder: Path, named: Named) -> list[Path]:
    """Return the files of a segment that are missing or not what was written; reads them whole."""
    paths = {path_of(folder, named.name, kind): digest for kind, (_, digest) in named.files.items()}
    return [path for path, digest in paths.items() if not path.exists() or sha256(path) != digest]


def path_of(folder: Path, name: str, kind: str) -> Path:
    """Return where one of a segment's files lies."""
    return folder / f"{name}.{kind}{'.npy' if kind in columns.DTYPES else '.faiss'}"


def remove(folder: Path, name: str) -> None:
    """Delete a segment's files; readers that have them mapped keep them."""
    for path in folder.glob(f"{name}.*"):
        path.unlink(missing_ok=True)


def names_on_disk(folder: Path) -> set[str]:
    """Return the names of all segments whose files lie in the folder."""
    return {p.name.partition(".")[0] for p in folder.glob("*.*")}
