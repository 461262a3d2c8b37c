"""Which segments are written anew, and the thread that does it while its writer goes on.

Segments come in sizes, each four times the one before; when those at the end would fill the next size they become one.
So a passage is written a few times in its life, and a search looks into a few segments however many passages there are.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rag.store import columns, segmentfile
from rag.store.segmentfile import Named

GROWTH = 4
"""How much larger each size of segments is."""

MOST = 8
"""Segments of one size and below, at most, whatever they hold."""

WORTH_ONE = 0.1
"""Share of an index that a writer has to add for everything to be written as one segment when it ends: embedding takes
a hundred times as long, and one segment is searched in half the time of several."""

DEAD_SHARE = 0.25
"""A segment with more than this share of removed rows is written without them."""


def due(named: Sequence[Named], dead: Sequence[int], erase: Sequence[bool], smallest: int) -> list[Named]:
    """Return the segments to be written as one next, neighbours; none when all are well.

    `dead` has the number of removed rows of each, `erase` says whether some of these may not stay on the disk,
    `smallest` is the rows of the smallest size.
    """
    for name, rows, erased in zip(named, dead, erase, strict=True):
        if erased or rows > DEAD_SHARE * name.rows:
            return [name]
    size = max(smallest, 1)
    while named:
        last = len(named)
        while last and named[last - 1].rows < GROWTH * size:
            last -= 1
        held = sum(name.rows for name in named[last:])
        if len(named) - last > 1 and (held >= GROWTH * size or len(named) - last > MOST):
            return list(named[last:])
        if last == 0:
            break
        size *= GROWTH
    return []


class _Stopped(Exception):
    """The writer does not wait for this merge."""


class Merge(threading.Thread):
    """Writes some segments as one, without the rows that are gone, and touches nothing else.

    `new` is what came of it once the thread has ended: None if no row is left.  `error` is what stopped it.
    """

    def __init__(self, folder: Path, dim: int, name: str, old: list[Named], gone: npt.NDArray[np.int64]) -> None:
        super().__init__(name=f"merge {name}", daemon=True)
        self.folder, self.dim, self.to, self.old, self.gone = folder, dim, name, old, gone
        self.new: Named | None = None
        self.error: Exception | None = None
        self._stop_asked = threading.Event()

    def run(self) -> None:
        try:
            self.new = self._written()
        except _Stopped as stopped:
            self.error = stopped
        except Exception as error:  # the writer tells it
            self.error = error

    def stop(self) -> None:
        """End the thread soon, and wait for that; what it wrote is worth nothing."""
        self._stop_asked.set()
        self.join()

    def _proceed(self) -> None:
        if self._stop_asked.is_set():
            raise _Stopped

    def _written(self) -> Named | None:
        opened = [segmentfile.read(self.folder, name, self.dim) for name in self.old]
        kept = [~np.isin(one.columns.rows, self.gone) for one in opened]
        table = columns.joined([one.columns.kept(mask) for one, mask in zip(opened, kept, strict=True)])
        if not len(table):
            return None
        blocks = chain.from_iterable(
            segmentfile.blocks(self.folder, name, self.dim, mask) for name, mask in zip(self.old, kept, strict=True)
        )
        cells = opened[0].cells if len(opened) == 1 and kept[0].mean() > 1 - 2 * DEAD_SHARE else None
        known = (cells, kept[0]) if cells else None
        return segmentfile.write(self.folder, self.to, table, blocks, self.dim, self._proceed, known)
