"""The machine and the versions that figures belong to, without names of hosts or folders."""

from __future__ import annotations

import os
import platform
import sqlite3
import subprocess
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "asimd", "sve")
PACKAGES = ("numpy", "faiss-cpu", "tantivy")


def machine() -> dict[str, Any]:
    """Return what figures are measured on."""
    return {
        "date": date.today().isoformat(),
        "commit": commit(),
        "cpu": next(iter(_cpuinfo("model name")), platform.machine()),
        "flags": sorted(set(FLAGS) & set(" ".join(_cpuinfo("flags")[:1] + _cpuinfo("Features")[:1]).split())),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "versions": {"python": platform.python_version(), "sqlite": sqlite3.sqlite_version}
        | {name: version(name) for name in PACKAGES},
    }


def commit() -> str:
    """Return the commit of this working tree, and whether anything but results has changed since."""
    here = Path(__file__).parent

    def git(*args: str) -> str:
        done = subprocess.run(["git", "-C", str(here), *args], capture_output=True, text=True, check=False)
        return done.stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", ":(top)", ":(top,exclude)eval/results")
    return git("rev-parse", "--short", "HEAD") + ("-dirty" if changed else "")


def _cpuinfo(name: str) -> list[str]:
    path = Path("/proc/cpuinfo")
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    return [line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == name]
