"""Take a picture of the chat: open an index, ask a question, open the first citation.

    python eval/screenshot.py --index index --question "..." --out eval/chat.png

Needs Chromium and the playwright package.  The page is served on a free port of this machine during the run.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from playwright.sync_api import Error, sync_playwright

import rag
from rag.errors import RagError
from rag.faces.app import Engine, running

FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
PATIENCE = 120_000


def main() -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description="Take a picture of the chat with its first citation open.")
    parser.add_argument("--index", default="index", help="the index folder (index)")
    parser.add_argument("--question", required=True, help="what to ask")
    parser.add_argument("--out", type=Path, default=Path("eval/chat.png"), help="where the PNG goes (eval/chat.png)")
    parser.add_argument("--chromium", default="/usr/bin/chromium", help="the browser (/usr/bin/chromium)")
    parser.add_argument("--dark", action="store_true", help="the dark colours")
    options = parser.parse_args()
    try:
        with rag.open(options.index) as engine:
            # As `rag serve` does, so that the time in the picture is not that of loading the model.
            engine.search("warm up", k=1)
            shoot(engine, options.question, options.out, chromium=options.chromium, dark=options.dark)
    except (RagError, Error) as error:
        print(f"screenshot: {error}", file=sys.stderr)
        return 1
    return 0


def shoot(engine: Engine, question: str, out: Path, *, chromium: str, dark: bool = False) -> None:
    """Write a 1400 by 900 picture of the answer to a question, with the article of its first citation beside it.

    Raises RagError when the answer cites nothing.
    """
    with running(engine) as address, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=FLAGS)
        try:
            page = browser.new_page(viewport={"width": 1400, "height": 900}, color_scheme="dark" if dark else "light")
            page.set_default_timeout(PATIENCE)
            page.goto(address)
            page.get_by_label("Your question").fill(question)
            page.keyboard.press("Enter")
            page.locator(".turn:not([aria-busy]) :is(.ending, .failure)").first.wait_for()
            if not page.locator(".cite").count():
                raise RagError(f"the answer to {question!r} cites nothing: ask a question that the articles answer")
            page.locator(".cite").first.click()
            page.locator("mark").wait_for()
            # The pointer would leave its button highlighted.
            page.mouse.move(700, 5)
            page.wait_for_timeout(400)
            out.parent.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=out)
        finally:
            browser.close()


if __name__ == "__main__":
    sys.exit(main())
