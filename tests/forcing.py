"""Small indexes put through what large ones go through, and how long it is tried."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from rag.intake import pipeline
from rag.store import lexical, sealing, segments

TORTURE = bool(os.environ.get("FOOTNOTE_TORTURE"))
"""Thousands of random steps in place of a fixed few."""

LONG = pytest.mark.skipif(not TORTURE, reason="of the long form, which make torture runs")

SEED = int(os.environ.get("FOOTNOTE_SEED", "1"))
"""Where the random steps of the long run begin; a failure is run again with the same."""


def small_segments(patch: pytest.MonkeyPatch, *, tail: int = 3, scan: bool = True) -> None:
    """Seal, merge and write segments anew at nearly every commit.

    `tail` is the number of passages kept outside them; with `scan` no set of matches is small enough to be picked
    vector by vector.
    """
    patch.setattr(sealing, "TAIL_ROWS", tail)
    patch.setattr(segments, "BLOCK", 3)  # some articles lie across a boundary
    patch.setattr(segments, "MANY", 2)
    if scan:
        patch.setattr(segments, "FEW", 0)


def around_words(patch: pytest.MonkeyPatch, look: Callable[[], None]) -> None:
    """Call `look` whenever the lexical index is about to be committed, and when it has been.

    Then it is ahead of the rest or behind it, which no reader may notice.
    """
    commit = lexical.WordsWriter.commit

    def looked_at(writer: lexical.WordsWriter) -> None:
        look()
        commit(writer)
        look()

    patch.setattr(lexical.WordsWriter, "commit", looked_at)


def slow_openings(patch: pytest.MonkeyPatch, wait: Callable[[], None]) -> None:
    """Call `wait` when a reader has opened all of a new state but the words, so that commits come in between."""

    class Late(lexical.Words):
        def __init__(self, *given: Any) -> None:
            wait()
            super().__init__(*given)

    patch.setattr(lexical, "Words", Late)


def steps(*, quick: tuple[int, int], full: tuple[int, int]) -> settings:
    """Return the settings of a random run, given as (examples, steps of each): a fixed sample, or the long form."""
    examples, length = full if TORTURE else quick
    return settings(
        max_examples=examples,
        stateful_step_count=length,
        derandomize=not TORTURE,
        database=None,
        deadline=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )


def hurried_ingest(patch: pytest.MonkeyPatch, *, group: int = 3, keep: bool = True) -> None:
    """Look texts up and commit as often as an ingest of hours would.

    `group` is the number of texts looked up together; with `keep` vectors are durable at once, without it those of
    several groups wait.
    """
    patch.setattr(pipeline, "GROUP_TEXTS", group)
    patch.setattr(pipeline, "COMMIT_SECONDS", 0.0)
    if keep:
        patch.setattr(pipeline, "KEEP_SECONDS", 0.0)


def as_nobody(imports: str, code: str, *args: object) -> list[str]:
    """Run code as a user who may do nothing here, and return the lines that it prints.

    What it needs is imported before: that user may not be able to read it.
    """
    lowered = "import os\nif os.getuid() == 0:\n    os.setgid(65534)\n    os.setuid(65534)\n"
    told = [sys.executable, "-c", f"{imports}\n{lowered}{code}", *map(str, args)]
    done = subprocess.run(told, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()
