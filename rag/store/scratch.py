"""Folders of work beside what is made in them, which do not outlive their makers for long.

Each holds a lock that the system lets go when its maker dies; a folder whose lock is free was left by a killed process,
and copies of articles lie in it that may have been erased since.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

HELD = "lock"

PACKED, BUILT = "packed", "index"
"""What is made in such a folder beside the files of an index."""

_NAME = re.compile(r"\.footnote-[a-z0-9_]{8}")
_OURS = re.compile(
    rf"{HELD}|{PACKED}|{BUILT}|(catalog|vectors)\.sqlite(-wal|-shm|-journal)?|lexical-\d+|segments|writer\.(lock|json)"
)


@contextlib.contextmanager
def scratch(where: Path) -> Iterator[Path]:
    """Give a new folder in another, gone afterwards; first those go that killed processes have left there."""
    clear(where)
    folder, lock = _make(where)
    try:
        yield folder
    finally:
        try:
            for path in folder.iterdir():
                if path.is_dir():
                    shutil.rmtree(path)
                elif path.name != HELD:
                    path.unlink()
        finally:
            lock.release()
            # Another process may take the rest for what was left, and take it away at the same time.
            shutil.rmtree(folder, ignore_errors=True)


def clear(where: Path) -> None:
    """Take away the folders of work that killed processes have left in a folder."""
    for folder in where.glob(".footnote-*"):
        if not _NAME.fullmatch(folder.name) or folder.is_symlink() or not folder.is_dir():
            continue
        # Others may be another user's, or go this moment.
        with contextlib.suppress(OSError, Timeout):
            if all(_OURS.fullmatch(path.name) for path in folder.iterdir()):
                with FileLock(folder / HELD, timeout=0, thread_local=False):
                    shutil.rmtree(folder)


def _make(where: Path) -> tuple[Path, FileLock]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=".footnote-", dir=where))
        lock = FileLock(folder / HELD, timeout=0, thread_local=False)
        # Until it is locked another process may take it for one that was left.
        with contextlib.suppress(Timeout, FileNotFoundError, FileExistsError):
            lock.acquire()
            if (folder / HELD).exists():
                return folder, lock
            lock.release()
