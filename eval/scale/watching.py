"""A reader in a process of its own: waits for the commit after each generation it is given, searches, and tells when.

`python watching.py JOB`; generations come in on its input, a line each, and times of the clock that all processes
of a machine share go out.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
from searching import Searcher

EVERY = 0.002
"""Seconds between two looks."""


def main() -> None:
    """Answer each line with when the next generation was seen and how long its first search took."""
    job = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    searcher = Searcher(job, job["texts"], np.load(job["vectors"])[: len(job["texts"])])
    for text in job["texts"]:
        searcher.search(text)
    print("ready", flush=True)
    for n, line in enumerate(sys.stdin):
        before = int(line)
        text, next_text = (job["texts"][m % len(job["texts"])] for m in (2 * n, 2 * n + 1))
        while True:
            began = time.monotonic()
            with searcher.store.view() as view:
                if view.generation != before:
                    seen = time.monotonic()
                    searcher.retriever.search(view, text, 10)
                    first = time.monotonic()
                    break
            time.sleep(EVERY)
        searcher.search(next_text)
        told = {"seen_at": seen, "open_s": seen - began, "first_s": first - began, "next_s": time.monotonic() - first}
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
