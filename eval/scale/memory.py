"""What a process holds, and what lies in a folder."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from pathlib import Path


def held() -> dict[str, int]:
    """Return the memory of this process in bytes: its own (anonymous), and mapped from files."""
    found = dict(re.findall(r"^(\w+):\s+(\d+) kB", Path("/proc/self/smaps_rollup").read_text("utf-8"), re.MULTILINE))
    of = {name: int(found.get(name, 0)) * 1024 for name in ("Rss", "Anonymous", "Private_Dirty", "Pss")}
    return {"anonymous": of["Anonymous"], "mapped": of["Rss"] - of["Anonymous"], "resident": of["Rss"]}


class Peak:
    """Watches another process from outside, so that its own work is not slowed, and keeps the most it held."""

    def __init__(self, pid: int, every: float = 0.05) -> None:
        self._path = Path(f"/proc/{pid}/status")
        self._every = every
        self._done = threading.Event()
        self.resident = self.anonymous = 0
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._done.is_set():
            try:
                text = self._path.read_text("utf-8")
            except OSError:
                return
            found = dict(re.findall(r"^(VmHWM|RssAnon):\s+(\d+) kB", text, re.MULTILINE))
            # The system keeps the peak of all memory by itself, that of anonymous memory has to be sampled.
            self.resident = max(self.resident, int(found.get("VmHWM", 0)) * 1024)
            self.anonymous = max(self.anonymous, int(found.get("RssAnon", 0)) * 1024)
            time.sleep(self._every)

    def stop(self) -> dict[str, int]:
        """Return the peaks in bytes."""
        self._done.set()
        self._thread.join()
        return {"resident": self.resident, "anonymous": self.anonymous}


def bytes_by_kind(folder: Path) -> dict[str, int]:
    """Return the bytes of an index by the kind of file: its name without numbers, or its ending inside a folder."""
    found: Counter[str] = Counter()
    for path in folder.rglob("*"):
        if path.is_file():
            inside = path.relative_to(folder)
            top = re.sub(r"[-_]?\d+", "", inside.parts[0])
            # A write-ahead log is part of its database.
            name = re.sub(r"-(wal|shm)$", "", top) if len(inside.parts) == 1 else f"{top}/*{path.suffix}"
            found[name] += path.stat().st_size
    return dict(sorted(found.items()))
