"""Processes that are timed, and the machine they run on."""

from __future__ import annotations

import platform
import subprocess
import time
from pathlib import Path

from peers import OUT, ROOT, last_line

FLAGS = "avx2 fma avx512f avx512_vnni avx512_bf16 avx512_fp16 amx_tile amx_bf16 amx_int8 asimd sve".split()
"""Instruction sets that matter here."""


class Failed(Exception):
    """A system did not do its job; the text is one line."""


def run(command: list[str], environ: dict[str, str], timeout: float) -> str:
    """Return what a command printed.  Raises Failed with the last line of its errors."""
    try:
        done = subprocess.run(
            command, env=environ, capture_output=True, text=True, timeout=timeout, check=False, cwd=ROOT
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"it took longer than {timeout:.0f} s") from None
    (OUT / "work" / "last-errors.txt").write_text(done.stderr, "utf-8")
    if done.returncode:
        raise Failed(last_line(done.stderr))
    return done.stdout


def first_line(command: list[str], environ: dict[str, str], timeout: float) -> tuple[float, float]:
    """Return the seconds until a command printed its first line and until it ended."""
    began = time.perf_counter()
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT) as process:
        assert process.stdout
        line = process.stdout.readline()
        first = time.perf_counter() - began
        process.stdout.read()
        code = process.wait(timeout)
    if code or not line.strip():
        raise Failed(f"it printed no hit (exit code {code})")
    return first, time.perf_counter() - began


def output(command: list[str], environ: dict[str, str] | None = None) -> str:
    """Return what a short command prints, without the line's end."""
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False).stdout.strip()


def cpu() -> str:
    """Return the processor's name."""
    return next(iter(cpuinfo("model name")), "") or platform.processor() or platform.machine()


def cpu_flags() -> set[str]:
    """Return the instruction sets that the processor names."""
    return set(" ".join([*cpuinfo("flags")[:1], *cpuinfo("Features")[:1]]).split())


def cpuinfo(name: str) -> list[str]:
    """Return the values of a field of /proc/cpuinfo, none where there is no such file."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    return [line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == name]
