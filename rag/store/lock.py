"""The writer's lock of an index folder, and who holds it."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from rag.errors import IndexLocked, IndexReadOnly, NoIndex, StoreError

LOCK, HOLDER = "writer.lock", "writer.json"


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's writer lock.  The system lets it go when its holder dies, however it dies."""
    if not folder.is_dir():
        raise NoIndex(f"no index in {folder.absolute()}: make one with `rag ingest SOURCE --index DIR`")
    lock = FileLock(folder / LOCK, timeout=0, thread_local=False)
    try:
        lock.acquire()
    except Timeout as e:
        raise IndexLocked(
            f"index {folder.absolute()} is being written by {_holder(folder)}: wait until it is done"
        ) from e
    except PermissionError as e:
        raise IndexReadOnly(f"index {folder.absolute()} cannot be written: make the folder writable") from e
    except OSError as e:
        if e.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreError(f"no space left to write {folder.absolute()}: free some and run it again") from e
        raise IndexReadOnly(
            f"index {folder.absolute()} cannot be written, its {LOCK} least of all ({e.strerror or e}): take that away"
        ) from e
    try:
        holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
        # Who holds it is worth knowing, and not worth failing for on a full disk.
        with contextlib.suppress(OSError):
            (folder / HOLDER).write_text(json.dumps(holder), "utf-8")
        yield
    finally:
        try:
            # A name that stays misleads nobody: the next holder puts its own there.
            with contextlib.suppress(OSError):
                (folder / HOLDER).unlink(missing_ok=True)
        finally:
            lock.release()


def _holder(folder: Path) -> str:
    try:
        h = json.loads((folder / HOLDER).read_text("utf-8"))
        if h["host"] == socket.gethostname():
            # The name may still be that of a writer that was killed, until the next one has put its own there.
            with contextlib.suppress(PermissionError):  # it lives, and is another user's
                os.kill(int(h["pid"]), 0)
        return f"process {h['pid']} on {h['host']} since {h['since']}"
    except (OSError, ValueError, OverflowError, KeyError, TypeError):
        return "another process"
