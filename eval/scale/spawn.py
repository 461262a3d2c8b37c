"""Processes of our own scripts, with the same package as this one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import rag

HERE = Path(__file__).parent


def spawn(script: str, job: Path | str, *, asked: bool = False) -> subprocess.Popen[str]:
    """Start a script of this folder on a job and return it, its output to be read; `asked` ones have an input too."""
    # Another copy of the package may be installed.
    path = os.pathsep.join([str(Path(rag.__file__).parent.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.Popen(
        [sys.executable, str(HERE / f"{script}.py"), str(job)],
        stdin=subprocess.PIPE if asked else None,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
