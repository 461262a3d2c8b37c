"""Where cases are tried: the index that each scenario begins with, made once and copied for each case."""

from __future__ import annotations

import gc
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from contracts import EMBEDDER

from rag.store import sealing
from torture.aftermath import must
from torture.children import in_fork
from torture.scenarios import Scenario

TAIL_ROWS = 8
"""Passages outside segments, so few that a small index has several segments and merges them."""


def set_up(*, as_built: bool = False) -> None:
    """Set this process up, whose forks are all that ever touches an index; `as_built`, with SQLite as it was built."""
    sealing.TAIL_ROWS = TAIL_ROWS
    # What is loaded by now is for good, and need not be looked through, and so copied, in every fork.
    gc.freeze()
    # A vector is a function of its text: no fork need work it out again.
    EMBEDDER.query = cache(EMBEDDER.query)  # type: ignore[method-assign]
    if not as_built:
        _keep_what_is_deleted()


def _keep_what_is_deleted() -> None:
    # Some builds of SQLite overwrite whatever is deleted unless told otherwise, most do not: erasing must not need it.
    connect = sqlite3.connect

    def plain(*arguments: object, **named: object) -> sqlite3.Connection:
        db = connect(*arguments, **named)  # type: ignore[call-overload]
        db.execute("PRAGMA secure_delete=0")
        return db

    sqlite3.connect = plain  # type: ignore[assignment]


class Workplace:
    """A folder of folders, in memory where there is a file system for that: no case is about a real disk."""

    def __init__(self) -> None:
        memory = Path("/dev/shm")
        self.root = Path(
            tempfile.mkdtemp(prefix="footnote-torture-", dir=memory if os.access(memory, os.W_OK) else None)
        )

    def make(self, scenario: Scenario) -> None:
        """Make the index that a scenario begins with, and an empty folder where there is none."""
        folder = self.base(scenario)
        folder.mkdir()
        must(f"making the index of {scenario.name}", in_fork(scenario.make_base, folder / "index"))

    def base(self, scenario: Scenario) -> Path:
        """Return the folder that holds what a scenario begins with."""
        return self.root / f"base-{scenario.name}"

    @contextmanager
    def copy(self, scenario: Scenario) -> Iterator[Path]:
        """Give a folder whose `index` is what the scenario begins with, and take it away afterwards."""
        with self.empty() as folder:
            shutil.copytree(self.base(scenario), folder, dirs_exist_ok=True)
            yield folder

    @contextmanager
    def empty(self) -> Iterator[Path]:
        """Give an empty folder, and take it away afterwards."""
        folder = Path(tempfile.mkdtemp(dir=self.root))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Take everything away."""
        shutil.rmtree(self.root, ignore_errors=True)
