"""From Enter to the first word on the page: `python eval/page_speed.py DATA... [--questions N]`.

The page is served over the articles of DATA (folders as BEIR has them) and asked the questions of the first in
Chromium, in turn on the page and of the engine behind it, in the same process; none is asked twice, since what has been
read for a question once is read faster again.  The first word counts when the browser has painted it.  What the main
thread did for longer than 50 ms meanwhile is told too (w3.org/TR/longtasks).  Writes results/page.md.
"""

from __future__ import annotations

import argparse
import json
import time
from datetime import date
from itertools import islice
from pathlib import Path

import numpy as np
from browser import CHROMIUM, FLAGS
from playwright.sync_api import Page, sync_playwright
from tables import commit

import rag
from rag.engine import Engine
from rag.evaluation.halves import half
from rag.evaluation.tables import of_records
from rag.faces.serving import running
from rag.types import Text

RESULT = Path(__file__).parent / "results" / "page.md"
OLD_TURNS = 20
"""Turns of the long conversation that the last row is measured in."""

WATCH = """() => {
  window.longest = [];
  new PerformanceObserver(list => list.getEntries().forEach(e => window.longest.push(e.duration)))
    .observe({entryTypes: ['longtask']});
  document.querySelector('#question').addEventListener('keydown', event => {
    if (event.key !== 'Enter') return;
    const from = performance.now();
    window.longest.length = 0;
    window.seen = null;
    const turns = document.querySelector('.turns');
    const before = turns.children.length;
    const watcher = new MutationObserver(() => {
      const turn = turns.children[before];
      if (!turn || !turn.querySelector('.answer').textContent) return;
      watcher.disconnect();
      requestAnimationFrame(() => setTimeout(() => { window.seen = performance.now() - from; }));
    });
    watcher.observe(turns, {childList: true, subtree: true, characterData: true});
  }, true);
}"""


def on_page(page: Page, question: str) -> tuple[float, float, float]:
    """Return milliseconds to the first word, of the longest task, and by which tasks were over 50 ms in all."""
    box = page.get_by_label("Your question")
    box.fill(question)
    box.press("Enter")
    page.wait_for_function("window.seen !== null")
    page.locator(".turn:not([aria-busy])").last.locator(".ending, .failure").first.wait_for()
    first, tasks = page.evaluate("[window.seen, window.longest]")
    return float(first), max(tasks, default=0.0), sum(max(t - 50, 0.0) for t in tasks)


def of_engine(engine: Engine, question: str) -> float:
    """Return milliseconds to the first word that the engine gives."""
    began = time.perf_counter()
    stream = engine.stream(question)
    for piece in stream:
        if isinstance(piece, Text):
            break
    first = (time.perf_counter() - began) * 1e3
    for _ in stream:
        pass
    return first


def row(
    what: str, firsts: list[float], longest: list[float] | None = None, over: list[float] | None = None
) -> dict[str, str]:
    """Return the figures of one way to ask."""
    told = {"asked": what, "questions": str(len(firsts))}
    told |= {f"first word p{p}, ms": f"{np.percentile(firsts, p):.0f}" for p in (50, 95)}
    told["longest task p95, ms"] = f"{np.percentile(longest, 95):.0f}" if longest else ""
    told["blocked p95, ms"] = f"{np.percentile(over, 95):.0f}" if over else ""
    return told


def main() -> None:
    """Serve, ask, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("--questions", type=int, default=100)
    args = parser.parse_args()
    index = Path(__file__).parent / "out" / "page-index"
    for folder in args.data:
        rag.ingest(folder / "corpus.jsonl", index=index)
    with (args.data[0] / "queries.jsonl").open(encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    asked = iter([r["text"] for r in records if half(args.data[0].name, r["_id"]) == "report"])
    with rag.open(index) as engine, sync_playwright() as play, running(engine, index=index) as address:
        passages = engine.stats().passages
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.goto(address)
        page.locator(".holds:not(:empty)").wait_for()
        page.evaluate(WATCH)
        for question in islice(asked, 5):
            on_page(page, question), of_engine(engine, question)
        first, alone = [], []
        for n in range(args.questions):
            if n % 5 == 0:
                page.locator(".top .fresh").click()
            first.append(on_page(page, next(asked)))
            alone.append(of_engine(engine, next(asked)))
        for question in islice(asked, OLD_TURNS):
            on_page(page, question)
        long = [on_page(page, question) for question in islice(asked, args.questions // 3)]
        browser.close()
    rows = [
        row("the engine, from Python", alone),
        row("the page", *map(list, zip(*first, strict=True))),  # type: ignore[arg-type]
        row(f"the page, below {OLD_TURNS} answers and more", *map(list, zip(*long, strict=True))),  # type: ignore[arg-type]
    ]
    added = np.median([f[0] for f in first]) - np.median(alone)
    names = ", ".join(d.name for d in args.data)
    text = (
        f"Made {date.today()} by eval/page_speed.py at commit {commit()}: articles of {names}, {passages:,} passages; "
        f"questions of {args.data[0].name}'s reporting half, in turn of the page and of the engine.  The page "
        f"adds {added:.0f} ms to the engine's time (of the medians).\n\n{of_records(rows)}\n"
    )
    RESULT.write_text(text, "utf-8")
    print(text)


if __name__ == "__main__":
    main()
