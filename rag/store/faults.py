"""What can be wrong with an index, and the pace at which it is looked for."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rag.types import Steps

Mend = Literal["words", "segments", "derived", "vectors", "passages", "article", "not"]
"""How a fault is mended, nothing being embedded but for `vectors`:

words      the lexical index is written anew from the catalog
segments   the segments are written anew from the catalog and the vectors
derived    everything is that can be made from the articles and the vectors
vectors    those that are lost are computed again from the stored texts
passages   the article, which is sound, is cut again
article    not at all: its text is lost, so it is taken out and has to be ingested again
not        not at all: only a backup helps, or a rebuild
"""

BROKEN_OFF = "a change was broken off half way: nothing since the last commit is kept, run it again"
"""What a transaction says that is not whole."""

OnSteps = Callable[[Steps], None]

OFTEN = 0.1
"""Seconds between two that are told."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is wrong with a file of an index, in one line; `article` is the ordinal of the one concerned.

    `file` is an address where an index lies at one.
    """

    what: str
    file: Path | str
    mend: Mend
    article: int = 0

    def __str__(self) -> str:
        return f"{self.file.absolute() if isinstance(self.file, Path) else self.file}: {self.what}"


class Pace:
    """Tells how far one thing after another has come."""

    def __init__(self, on_progress: OnSteps | None) -> None:
        self._tell = on_progress
        self._doing, self._things, self._done, self._total, self._began = "", "", 0, 0, 0.0
        self._told = 0.0

    def begin(self, doing: str, total: int, things: str) -> None:
        """Begin something else that has so many things to do."""
        self._doing, self._things, self._done, self._total = doing, things, 0, total
        self._began, self._told = time.monotonic(), 0.0
        self.on(0)

    def on(self, done: int = 1) -> None:
        """Tell that so many more are done."""
        self._done += done
        now = time.monotonic()
        if self._tell and now - self._told > OFTEN:
            self._told = now
            self._tell(Steps(self._doing, self._done, self._total, now - self._began, self._things))
