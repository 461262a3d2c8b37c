"""The lexical index held against the catalog: its files, and that it has the current passages and no others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from rag.errors import IndexDamaged
from rag.store import catalog, lexical
from rag.store.faults import Fault, Pace
from rag.store.snapshot import Snapshot

ROWS = 50_000
"""Rows of the lexical index looked up at a time."""


class WordsCheck:
    """Opens the lexical index of a snapshot, reads it and yields what is wrong with it."""

    def __init__(self, snapshot: Snapshot, pace: Pace) -> None:
        self._snapshot, self._pace = snapshot, pace

    def opened(self, folder: Path) -> lexical.Words | Fault | None:
        """Return the words in a folder, the fault that they cannot be read for, or None where there need be none."""
        if not folder.exists():
            try:
                there = self._snapshot.all("SELECT 1 FROM passages LIMIT 1")
            except IndexDamaged:
                return None
            return Fault("the lexical index is missing", folder, "words") if there else None
        try:
            opened = lexical.Opened(folder)
            if not lexical.has_our_fields(opened.index):
                return Fault("the lexical index has other fields than it was made with", folder, "words")
            return lexical.Words(opened, folder)
        except lexical.Damaged as error:
            return Fault(_reason(error), folder, "words")

    def faults(self, words: lexical.Words | Fault | None) -> Iterator[Fault]:
        """Yield the faults of words that were opened as they belong to the snapshot."""
        if isinstance(words, Fault):
            assert isinstance(words.file, Path)
            spoiled = list(self._spoiled(words.file))
            yield from spoiled or [words]
        elif words:
            folder = self._snapshot.folder / catalog.get(self._snapshot.db, "lexical")
            yield from self._spoiled(folder)
            try:
                missing, unknown = self._held_against(words)
            except lexical.Damaged as error:
                yield Fault(_reason(error), folder, "words")
                return
            if missing:
                yield Fault(f"{missing:,} passages are missing in the lexical index", folder, "words")
            if unknown:
                yield Fault(f"the lexical index has {unknown:,} passages that are not current", folder, "words")

    def _spoiled(self, folder: Path) -> Iterator[Fault]:
        try:
            for path in lexical.files(folder)[1:]:
                try:
                    if not lexical.is_whole(path):
                        yield Fault("is not what was written", path, "words")
                except FileNotFoundError:
                    # Or a writer has merged it into another.
                    if path in lexical.files(folder):
                        yield Fault("is missing", path, "words")
        except lexical.Damaged as error:
            yield Fault(_reason(error), folder / lexical.META, "words")

    def _held_against(self, words: lexical.Words) -> tuple[int, int]:
        """Return how many rows the lexical index lacks, and how many it has that are not current."""
        missing = unknown = 0
        end = catalog.number(self._snapshot.db, "next_row")
        self._pace.begin("words", end, "passages")
        for first in range(0, end, ROWS):
            last = min(first + ROWS, end) - 1
            held = words.between(first, last)
            live = self._snapshot.rows("SELECT row FROM passages WHERE row BETWEEN ? AND ?", first, last)
            # Removed and not yet taken out, which comes after the commit.
            leaving = self._snapshot.rows(
                "SELECT row FROM tombstones WHERE NOT unworded AND row BETWEEN ? AND ?", first, last
            )
            missing += len(np.setdiff1d(live, held))
            unknown += len(held) - int(np.isin(np.unique(held), np.concatenate([live, leaving])).sum())
            self._pace.on(last + 1 - first)
        return missing, unknown


def _reason(error: IndexDamaged) -> str:
    """Return why something cannot be used, without where it lies and what to do."""
    found = re.search(r"\((.*)\)", str(error))
    return found[1] if found else "cannot be used"
