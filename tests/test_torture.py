"""A sample of the crash test, and proof that it can fail: `make torture` runs the whole of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def torture(*options: str) -> str:
    """Run the crash test in a process of its own, since forks must be of one that has a single thread."""
    done = subprocess.run(
        [sys.executable, str(HERE / "torture"), *options], capture_output=True, text=True, timeout=300, check=False
    )
    if done.returncode == 77:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_sample_of_kills_losses_of_power_full_disks_and_damage() -> None:
    assert " cases, " in torture("--seed", "7")


def test_it_notices_a_store_whose_catalog_names_rows_before_the_lexical_index_holds_them() -> None:
    assert "the word" in torture("--mutant", "catalog-first")


def test_it_notices_a_store_that_does_not_sync_its_segments() -> None:
    assert "noticed" in torture("--mutant", "segments-unsynced")
