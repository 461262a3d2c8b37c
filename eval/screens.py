"""Take the pictures of the page that the docs show: `python eval/screens.py [--out docs/page]`.

The sample articles are brought into an index of their own, asked, filtered and looked through in Chromium; each view is
taken in light colours, in dark ones and on a phone.  Needs Chromium and the playwright package.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

from browser import CHROMIUM, FLAGS
from playwright.sync_api import Browser, Page, expect, sync_playwright

import rag
from rag.faces.serving import running

ROOT = Path(__file__).parents[1]
EXAMPLES = (
    "When did the Kaan make its first flight?",
    "How long is the Wakhan Corridor?",
    "How much does one Gökdoğan missile cost?",
)
QUESTION = "When did the Kaan make its first flight?"
FOLLOW_UP = "And the second?"
LATE = """# The ferry to Runsa

By Ada Brix

3 May 2026

The ferry to Runsa sails at nine in the morning. It takes five hours, and a ticket costs forty crowns.
"""
WAYS = {
    "light": {"viewport": {"width": 1400, "height": 900}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1400, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 380, "height": 780}, "color_scheme": "light", "device_scale_factor": 2},
}


def ask(page: Page, question: str) -> None:
    """Ask and wait for the answer."""
    page.get_by_label("Your question").fill(question)
    page.keyboard.press("Enter")
    page.locator(".turn:not([aria-busy])").last.locator(".ending, .failure").first.wait_for()


def shoot(page: Page, take: Callable[[str], None], late: Path) -> None:
    """Go through the views, one after another."""
    take("welcome")
    ask(page, QUESTION)
    take("answer")
    ask(page, FOLLOW_UP)
    take("follow-up")
    page.locator(".turn").first.locator(".cite").first.click()
    page.locator("dialog.article mark").wait_for()
    take("article")
    page.keyboard.press("Escape")
    page.locator(".found summary").last.click()
    page.locator(".turn").last.get_by_label("A bad answer").click()
    page.locator(".note").wait_for()
    take("opinion")
    page.get_by_label("Your question").fill("How much does one Gökdoğan missile cost?")
    page.keyboard.press("Enter")
    page.locator(".turn:not([aria-busy])").nth(2).locator(".ending").wait_for()
    take("refusal")
    page.locator(".views [data-view=library]").click()
    page.locator("tbody .link").first.wait_for()
    take("library")
    page.locator("tbody .link").first.click()
    expect(page.locator(".one h2")).to_be_focused()
    take("one-article")
    page.locator(".one .back").click()
    page.locator(".over .filter").click()
    page.locator("dialog.filters").get_by_label("Published on or after").fill("2026-10-15")
    take("filters")
    page.locator("dialog.filters .clear").click()
    page.locator("dialog.filters").get_by_role("button", name="Done").click()
    page.locator(".over .add").click()
    page.locator("input.files").set_input_files([late])
    page.locator(".waits").wait_for()
    take("adding")
    page.locator("dialog.adding .away").click()
    page.locator("dialog.adding .close").click()
    page.locator(".top .help").click()
    take("keys")
    page.keyboard.press("Escape")
    if page.locator("dialog.side").is_hidden():
        page.locator(".top .menu").click()
        page.locator(".conversation").first.wait_for()
        take("conversations")


def visit(browser: Browser, address: str, way: str, out: Path, late: Path) -> None:
    """Take all pictures in one way to look at the page."""
    context = browser.new_context(**WAYS[way])  # type: ignore[arg-type]
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(address)
    page.locator(".holds:not(:empty)").wait_for(state="attached")

    def take(view: str) -> None:
        # A pointer would leave what is under it lit up, and a note would lie over the rest.
        page.mouse.move(2, 400)
        page.evaluate("document.querySelectorAll('.note').forEach(note => note.remove())")
        page.wait_for_timeout(350)
        page.screenshot(path=out / f"{view}-{way}.png")

    shoot(page, take, late)
    context.close()


def main() -> None:
    """Make an index, serve it, take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "page")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as made, sync_playwright() as play:
        index, late = Path(made, "index"), Path(made, "ferry.md")
        late.write_text(LATE, "utf-8")
        rag.ingest(ROOT / "corpus", index=index)
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        with rag.open(index) as engine:
            engine.ask(QUESTION)
            with running(engine, index=index, examples=EXAMPLES, editable=True) as address:
                for way in WAYS:
                    visit(browser, address, way, args.out, late)
        browser.close()


if __name__ == "__main__":
    main()
