"""Where an ingest's time goes: `python eval/ingest_profile.py DATA... [--out FILE]`.

Each set is ingested twice into a new index.  The first run only adds up processor time by thread, so
its shares are true; the second runs under a profiler, which slows the main thread, and says how that
thread's part divides.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rag
from rag.embed.model import Model
from rag.embed.network import Network, Reader

STAGES = {
    "reading and cleaning": ("readers.py", "jsonl.py", "text.py", "sources.py", "fields.py"),
    "sentences and passages": ("chunk.py", "sentencex"),
    "counting tokens": ("tokens.py", "network.py", "tokenizers"),
    "vectors, catalog, segments": (
        *("catalog.py", "transaction.py", "sealing.py", "segmentfile.py", "segments.py", "sqlite3", "faiss", "numpy"),
    ),
    "lexical index": ("lexical.py", "wording.py", "tantivy", "words.py"),
}


class Clock:
    """Adds up the processor time that threads spend embedding, and the tokens they embed."""

    def __init__(self) -> None:
        self.seconds, self.tokens = 0.0, 0
        self._lock = threading.Lock()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Count while the block runs."""
        run, passages = Network.run, Reader.passages

        def timed(work: Any, count: bool) -> Any:
            def with_clock(*args: Any) -> Any:
                began = time.thread_time()
                found = work(*args)
                with self._lock:
                    self.seconds += time.thread_time() - began
                    self.tokens += sum(ids.shape[1] for ids in found) if count else 0
                return found

            return with_clock

        Network.run, Reader.passages = timed(run, False), timed(passages, True)  # type: ignore[method-assign]
        try:
            yield
        finally:
            Network.run, Reader.passages = run, passages  # type: ignore[method-assign]


def shares(data: Path) -> dict[str, Any]:
    """Return how long an ingest took, and the processor time of its parts."""
    clock = Clock()
    with tempfile.TemporaryDirectory() as index, clock.watching():
        wall, all_of_it, main = time.perf_counter(), time.process_time(), time.thread_time()
        rag.ingest(data / "corpus.jsonl", index=index)
        wall, all_of_it, main = time.perf_counter() - wall, time.process_time() - all_of_it, time.thread_time() - main
    return {
        "tokens": clock.tokens,
        "seconds": wall,
        "cpu": all_of_it,
        "embedding": clock.seconds,
        "main": main,
        "threads": all_of_it - clock.seconds - main,
    }


def stages(data: Path) -> dict[str, float]:
    """Return the share that each stage has of the main thread's time."""
    profile = cProfile.Profile(time.thread_time)
    with tempfile.TemporaryDirectory() as index:
        profile.enable()
        rag.ingest(data / "corpus.jsonl", index=index)
        profile.disable()
    found = dict.fromkeys([*STAGES, "the rest"], 0.0)
    entries: dict[Any, Any] = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    for (file, _, name), (_, _, own, _, callers) in entries.items():
        where = f"{file} {name}"
        if file == "~":  # A built-in counts for whoever calls it.
            for (called_from, _, by), (_, _, part, _) in callers.items():
                found[_stage(f"{where} {called_from} {by}")] += part
        else:
            found[_stage(where)] += own
    total = sum(found.values())
    return {name: seconds / total for name, seconds in found.items()}


def _stage(where: str) -> str:
    return next((stage for stage, files in STAGES.items() if any(f in where for f in files)), "the rest")


def report(data: Path) -> str:
    """Return a set's table."""
    s, parts = shares(data), stages(data)
    lines = [
        f"## {data.name}",
        "",
        f"{s['tokens']:,} tokens in {s['seconds']:.1f} s: {s['tokens'] / s['seconds']:,.0f} a second. Not embedding: "
        f"{1 - s['embedding'] / s['cpu']:.1%} of the processor time.",
        "",
        "| part | share | µs a token |",
        "| --- | --- | --- |",
    ]
    rows = {
        "embedding": s["embedding"],
        **{k: v * s["main"] for k, v in parts.items()},
        "threads of tantivy": s["threads"],
    }
    lines += [f"| {name} | {v / s['cpu']:.2%} | {1e6 * v / s['tokens']:.2f} |" for name, v in rows.items()]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Profile every set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    Model().vectors(["The model is loaded, and made ready if need be, before anything is measured."])
    text = "# Where an ingest's time goes\n\nProcessor time by part; the model in the precision of the settings.\n\n"
    text += "\n".join(report(data) for data in args.data)
    print(text)
    if args.out:
        args.out.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
