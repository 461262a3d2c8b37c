"""Folders with a small index, made for a test: one with a segment, one with a past, one that may not be written."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from contracts import article, put
from fakes import FINGERPRINT

from rag.store import sealing
from rag.store.local import LocalStore
from rag.types import Article, Section

BECOME_NOBODY = "if os.geteuid() == 0: os.setgid(65534); os.setuid(65534)\n"
"""Code for a process that is to be bound by permission bits, as root is not.  It has to import everything before."""


def one_segment(folder: Path, patch: pytest.MonkeyPatch) -> LocalStore:
    """Return the store of an index made there, with twenty articles in one segment; a few more will be its tail."""
    patch.setattr(sealing, "TAIL_ROWS", 10)
    store = LocalStore.create(folder, FINGERPRINT)
    with store.writer() as t:
        for n in range(20):
            put(t, article(n))
    return store


def with_history(folder: Path, patch: pytest.MonkeyPatch) -> Path:
    """Make an index with a segment, a tail, an earlier revision, a removed article and twins, and return its folder."""
    store = one_segment(folder, patch)
    with store.writer() as t:
        put(t, article(3, version=2))
        t.remove("a00005")
        for id in ("one", "two"):
            put(t, Article(id=id, title="T", text="The same words in both.", sections=(Section("", 0, 23),)))
    store.close()
    return folder


@contextmanager
def read_only(index: Path) -> Iterator[Path]:
    """Give a copy of an index that everyone may read and no one write."""
    # Not below pytest's folder, which nobody else may enter.
    with tempfile.TemporaryDirectory(prefix="footnote-test-") as outer:
        Path(outer).chmod(0o755)
        copy = shutil.copytree(index, Path(outer) / "index")
        for folder, _, files in os.walk(copy):
            for name in files:
                Path(folder, name).chmod(0o444)
            Path(folder).chmod(0o555)
        try:
            yield copy
        finally:
            for folder, _, _ in os.walk(copy):
                Path(folder).chmod(0o755)
