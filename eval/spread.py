"""What an ingest gains from Ray on two cores: `python eval/spread.py CORPUS.jsonl [--articles N] [--rounds N]`.

The same articles are ingested by one core, by two, and by two Ray nodes of one core each: network namespaces of this
machine (tests/machines.py), so root on Linux is needed.  The three take turns, so that what else the machine does falls
on all of them.  Processor time and memory are those of all processes that have to do with a run, Ray's own included.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1] / "tests"), str(Path(__file__).parent / "scale")]

import numpy as np  # noqa: E402
from machine import machine  # noqa: E402
from machines import Machines, reason_against  # noqa: E402

import rag  # noqa: E402
from rag.embed.model import Model  # noqa: E402
from rag.intake import pipeline  # noqa: E402

HERE = Path(__file__).parent
WAYS = {"one core": "0", "two cores": "0,1", "two Ray nodes of one core": "ray"}


class Watch:
    """Adds up, from outside, the processor time and the memory of some processes while they live."""

    def __init__(self, processes: Callable[[], Sequence[int]]) -> None:
        self._processes, self._done = processes, threading.Event()
        self._seconds: dict[int, float] = {}
        self._before = {pid: _cpu(pid) for pid in processes()}
        self.bytes = 0
        self._taken: list[tuple[float, float]] = []
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._done.wait(0.2):
            held = 0
            for pid in self._processes():
                self._seconds[pid] = max(self._seconds.get(pid, 0.0), _cpu(pid) - self._before.get(pid, 0.0))
                held += _pss(pid)
            self.bytes = max(self.bytes, held)
            self._taken.append((time.time(), sum(self._seconds.values())))

    def stop(self, since: float, until: float) -> float:
        """Return the processor time in seconds that was taken between two times."""
        self._done.set()
        self._thread.join()
        at, taken = zip(*self._taken, strict=True)
        first, last = np.interp([since, until], at, taken)
        return float(last - first)


def _cpu(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _pss(pid: int) -> int:
    try:
        found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text("utf-8"), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0


def job(source: str, index: str, way: str) -> None:
    """Ingest, and print how many texts were embedded, and when the first was given and the last was there."""
    began: list[float] = []
    ended = 0.0
    missing = pipeline._Run._missing

    def noted(*given: Any) -> Iterator[str]:
        for text in missing(*given):
            began.append(time.time())
            yield text

    def on_progress(progress: rag.Progress) -> None:
        nonlocal ended
        # While more is to come, the last vector so far is not the last.
        ended = (ended or time.time()) if progress.embedded == len(began) else 0.0

    pipeline._Run._missing = noted  # type: ignore[method-assign]
    report = rag.ingest(source, index=index, with_="ray" if way == "ray" else None, on_progress=on_progress)
    print(json.dumps({"embedded": report.embedded, "began": began[0], "ended": ended}))


def measured(way: str, source: Path, two: Machines) -> dict[str, float]:
    """Return what one run took."""
    with tempfile.TemporaryDirectory() as folder:
        told = [__file__, "--job", WAYS[way], str(source), "--index", f"{folder}/index"]
        began = time.perf_counter()
        if way.startswith("two Ray"):
            # The nodes are there before a run and after it; what they do meanwhile is the run's.
            watch = Watch(lambda: two.processes(0) + two.processes(1))
            running = two.start(0, told, stdout=subprocess.PIPE)
        else:
            cores = ["taskset", "-c", WAYS[way], sys.executable]
            running = subprocess.Popen([*cores, *told], stdout=subprocess.PIPE, text=True)
            watch = Watch(lambda: [running.pid])
        out, _ = running.communicate()
        wall = time.perf_counter() - began
        assert running.returncode == 0
        found: dict[str, float] = json.loads(out)
        cpu = watch.stop(found["began"], found["ended"])
    under_way = found["ended"] - found["began"]
    return {
        "rate": found["embedded"] / under_way,
        "whole": wall,
        "cores": cpu / under_way,
        "a_cpu_second": found["embedded"] / cpu,
        "bytes": watch.bytes,
        "passages": found["embedded"],
    }


def table(runs: dict[str, list[dict[str, float]]]) -> str:
    """Return a row for each way: medians, and in brackets the least and the most."""
    base = runs["one core"]
    lines = [
        "| done by | passages a second | of one core's, run by run | processors had "
        "| passages a second of processor time | whole run, s | memory, MB |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for way, found in runs.items():
        ratios = [f["rate"] / b["rate"] for f, b in zip(found, base, strict=True)]
        cells = [
            _spread([f["rate"] for f in found], "{:.0f}"),
            _spread(ratios, "{:.2f}"),
            _spread([f["cores"] for f in found], "{:.2f}"),
            _spread([f["a_cpu_second"] for f in found], "{:.1f}"),
            _spread([f["whole"] for f in found], "{:.0f}"),
            _spread([f["bytes"] / 1e6 for f in found], "{:,.0f}"),
        ]
        lines.append(f"| {way} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _spread(values: list[float], form: str) -> str:
    least, middle, most = (form.format(v) for v in (min(values), statistics.median(values), max(values)))
    return f"{middle} ({least}–{most})"


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("--articles", type=int, default=140)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "spread.md")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    parser.add_argument("--index", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.job:
        job(str(args.source), args.index, args.job)
        return
    reason = reason_against()
    if reason:
        raise SystemExit(reason)
    Model().vectors(["The model is made ready, if need be, before anything is measured."])
    runs: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as folder, Machines() as two:
        # Ray's workers give way to all other programs unless they are told not to; none of the three shall.
        two.environment["RAY_worker_niceness"] = "0"
        two.join()
        source = Path(folder, "corpus.jsonl")
        with args.source.open(encoding="utf-8") as lines:
            source.write_text("".join(line for line, _ in zip(lines, range(args.articles), strict=False)), "utf-8")
        busy = [os.getloadavg()[0]]
        for n in range(args.rounds):
            for way in WAYS:
                runs[way].append(measured(way, source, two))
                print(n, way, {k: round(v, 2) for k, v in runs[way][-1].items()}, file=sys.stderr)
        busy.append(os.getloadavg()[0])
    about: dict[str, Any] = machine()
    text = f"""# An ingest spread with Ray, on two cores

Made {about["date"]} by eval/spread.py at commit {about["commit"]}, on {about["cpu"]}, {about["cores"]} cores:
{args.articles} articles of {args.source.parent.name}, {runs["one core"][0]["passages"]:.0f} passages, float32;
{args.rounds} rounds in which the three take turns. Medians, with the least and the most. The load of the machine, to
which other programs add, was {busy[0]:.1f} before and {busy[1]:.1f} after.

{table(runs)}

All but the last two columns is of the time from the first text that is given to be embedded to the last vector.
"Processors had" is how much of the two cores the run got: where other programs take the rest, only passages a second of
processor time tell one way from another. The whole run also has the start of the process and, with Ray, of the workers;
the nodes were up before. Memory is the sum of what the processes hold at a time (shared pages divided among those that
share them), with Ray that of both nodes: workers, agents, the head, and the ingest itself.
"""
    args.out.write_text(text, "utf-8")
    kept = {"machine": about, "load": busy, "runs": runs}
    args.out.with_suffix(".json").write_text(json.dumps(kept, indent=1) + "\n", "utf-8")
    print(text)


if __name__ == "__main__":
    main()
