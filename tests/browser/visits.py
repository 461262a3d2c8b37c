"""Visits to the page: a browser that remembers what a page should never have done, and what every test does there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    Request,
    ViewportSize,
    expect,
)

PATIENCE = 45_000
"""Milliseconds that anything may take on a machine that has much else to do."""
WIDE: ViewportSize = {"width": 1400, "height": 900}
PHONE: ViewportSize = {"width": 380, "height": 760}

expect.set_options(timeout=PATIENCE)

Visit = Callable[..., Page]
"""Opens the page: `path` and query, an existing `context`, whether it `leaves` the page, options of a new context."""


class Watched:
    """A page that remembers what it should never have done."""

    def __init__(self, page: Page, leaves: bool) -> None:
        self.page = page
        self.leaves = leaves
        self.wrong: list[str] = []
        page.set_default_timeout(PATIENCE)
        page.on("dialog", self.dialog)
        page.on("console", self.console)
        page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        page.on("request", self.request)

    def dialog(self, dialog: object) -> None:
        self.wrong.append(f"dialog: {dialog}")
        dialog.dismiss()  # type: ignore[attr-defined]

    def console(self, message: ConsoleMessage) -> None:
        # What Gradio says of a connection that a reload cuts off.
        cut = any(said in message.text for said in ("AbortError", "Connection errored out"))
        if message.type in ("error", "warning") and not (cut and self.leaves):
            self.wrong.append(f"console {message.type}: {message.text}")

    def request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob") and parts.hostname != "127.0.0.1":
            self.wrong.append(f"request: {request.url}")


@contextmanager
def visits(browser: Browser, address: str, *, leaves: bool = False, script: str = "") -> Iterator[Visit]:
    """Give a function that opens the page; at the end each page must have kept to the rules."""
    opened: list[Watched] = []
    leaving = leaves

    def visit(path: str = "", context: BrowserContext | None = None, leaves: bool = leaving, **options: object) -> Page:
        context = context or browser.new_context(**{"viewport": WIDE, **options})  # type: ignore[arg-type]
        if script:
            context.add_init_script(script)
        watched = Watched(context.new_page(), leaves)
        opened.append(watched)
        watched.page.goto(address + path)
        expect(watched.page.locator(".holds")).not_to_be_empty()
        return watched.page

    yield visit
    for watched in opened:
        watched.page.context.close()
    assert [watched.wrong for watched in opened] == [[] for _ in opened]


def ask(page: Page, question: str) -> Locator:
    """Ask and return the new turn."""
    turn = page.locator(".turn").nth(page.locator(".turn").count())
    box = page.get_by_label("Your question")
    box.fill(question)
    box.press("Enter")
    expect(turn.get_by_role("heading", name=question)).to_be_visible()
    return turn


def finished(turn: Locator) -> Locator:
    """Return the turn when its answer is complete."""
    expect(turn).not_to_have_attribute("aria-busy", "true")
    return turn


def cite(turn: Locator, number: int) -> Locator:
    """Return the first button of a citation."""
    return turn.locator(f".cite[data-number='{number}']").first


def in_view(mark: Locator) -> bool:
    """Whether all of the mark can be seen."""
    return bool(
        mark.evaluate(
            """mark => {
              const room = mark.closest('.text').getBoundingClientRect(), at = mark.getBoundingClientRect();
              return at.top >= room.top && at.bottom <= Math.min(room.bottom, innerHeight);
            }"""
        )
    )
