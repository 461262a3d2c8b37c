"""Segments held against the catalog: their files, what their columns say, and what is found through their cells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from rag.errors import IndexDamaged
from rag.store import columns, segmentfile, sqlite
from rag.store.columns import Columns, Mask
from rag.store.faults import Fault, Pace
from rag.store.segmentfile import Named
from rag.store.segments import Segment
from rag.store.snapshot import Snapshot
from rag.store.view import SEGMENTS

BLOCK = 2_000
"""Articles whose columns are compared at a time."""

WORSE = 0.01
"""Share of the nearest that a segment may find less than when it was made."""

QUESTIONS = 100
"""Made questions by which that is measured, at least."""


class SegmentsCheck:
    """Reads the segments that belong to a snapshot and yields what is wrong with them.

    `recalls` has for each one with cells how many passages it answers for, and which share of the nearest is found.
    """

    def __init__(self, snapshot: Snapshot, pace: Pace) -> None:
        self._snapshot, self._pace = snapshot, pace
        self._folder = snapshot.folder / SEGMENTS
        self.recalls: list[tuple[int, float]] = []

    def faults(self, named: Sequence[Named], dim: int) -> Iterator[Fault]:
        """Yield the faults of segments with vectors of so many numbers."""
        self._pace.begin("segments", sum(n.rows for n in named), "passages")
        above = 0
        for name in named:
            spoiled = segmentfile.spoiled(self._folder, name)
            for path in spoiled:
                what = "is not what was written" if path.exists() else "is missing"
                yield Fault(what, path, "segments")
            if not spoiled:
                try:
                    segment = segmentfile.read(self._folder, name, dim)
                except FileNotFoundError:
                    pass  # a writer took it away just now
                except IndexDamaged:
                    yield Fault("does not hold what it should", self._file(name, "rows"), "segments")
                else:
                    yield from self._segment(name, segment, above)
            above = name.last
            self._pace.on(name.rows)
        marked = self._snapshot.one(
            "SELECT COUNT(*) FROM tombstones t WHERE NOT dropped AND NOT EXISTS"
            " (SELECT 1 FROM segments s WHERE t.row BETWEEN s.first AND s.last)"
        )
        if marked:
            what = f"{marked:,} passages are marked as removed that are in no segment"
            yield Fault(what, self._snapshot.catalog, "derived")

    def _file(self, name: Named, kind: str) -> Path:
        return segmentfile.path_of(self._folder, name.name, kind)

    def _segment(self, name: Named, segment: Segment, above: int) -> Iterator[Fault]:
        rows = segment.columns.rows
        gone = self._snapshot.rows(
            "SELECT row FROM tombstones WHERE NOT dropped AND row BETWEEN ? AND ?", name.first, name.last
        )
        live = ~np.isin(rows, gone)
        try:
            same = (int(rows[0]), int(rows[-1])) == (name.first, name.last) and name.first > above
            same = same and int(live.sum()) == len(rows) - len(gone)
            same = same and all(_are_equal(*pair) for pair in self._compared(segment.columns, live, above))
        except (IndexDamaged, IndexError, ValueError):
            same = False
        if not same:
            what = "the segment does not say what the catalog says of its passages"
            yield Fault(what, self._file(name, "passages"), "segments")
        elif segment.cells and live.any():
            yield from self._recall(name, segment, live)

    def _compared(self, table: Columns, live: Mask, above: int) -> Iterator[tuple[Columns, Columns]]:
        """Yield what a segment and what the catalog says of some articles after others, and of the rows in between."""
        firsts = np.append(table.articles["first"], len(table)).astype(np.int64)
        of = table.bylines["article"]
        for a in range(0, len(table.articles), BLOCK):
            b = min(a + BLOCK, len(table.articles))
            some = slice(int(firsts[a]), int(firsts[b]))
            articles, bylines = table.articles[a:b].copy(), table.bylines[(of >= a) & (of < b)]
            articles["first"] -= some.start
            bylines["article"] -= a
            last = int(table.rows[some.stop - 1])
            with sqlite.guarded(self._snapshot.catalog):
                said = columns.read(self._snapshot.db, above, last)
            yield Columns(table.passages[some], articles, bylines).kept(live[some]), said
            above = last

    def _recall(self, name: Named, segment: Segment, live: Mask) -> Iterator[Fault]:
        """Measure what is found through the cells now."""
        asked = segment.questions(max(min(200, 10**8 // len(segment)), QUESTIONS), live)
        recall = segment.recall(asked, segment.nearest(asked, 10, live), 10, live)
        self.recalls.append((int(live.sum()), recall))
        if recall < name.recall - WORSE:
            what = f"finds {recall:.3f} of the ten nearest, and {name.recall:.3f} when it was made"
            yield Fault(what, self._file(name, "cells"), "segments")


def _are_equal(one: Columns, other: Columns) -> bool:
    def plain(table: Columns) -> list[object]:
        bylines = np.sort(table.bylines, order=["article", "author"])
        return [table.passages.tolist(), table.articles.tolist(), bylines.tolist()]

    return plain(one) == plain(other)
