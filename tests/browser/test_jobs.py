"""Articles added while others are still on their way: each job is told, and all end up in the library.

A real index; only the moment at which a job may begin to write is forced, so that the second meets the first.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("gradio", reason="the page needs gradio")

from chromium import NEEDED
from playwright.sync_api import Browser, Page, expect
from shelf import ARTICLES
from visits import visits

import rag
from rag import keeping
from rag.faces.serving import running
from rag.types import Report

pytestmark = [*NEEDED, pytest.mark.model]

PATIENCE = 60.0


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    gate = threading.Event()
    yield gate
    gate.set()


@pytest.fixture
def page(browser: Browser, gate: threading.Event, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    """A fresh visit to the library, where nothing is written before the gate is open; it keeps to the rules."""
    index = tmp_path / "index"
    rag.ingest(ARTICLES, index=index)
    ingest = keeping.ingest

    def held(*args: Any, **options: Any) -> Report:
        gate.wait(PATIENCE)
        return ingest(*args, **options)

    monkeypatch.setattr(keeping, "ingest", held)
    with rag.open(index) as engine, running(engine, index=index, editable=True) as address:
        with visits(browser, address, leaves=True) as visit:
            page = visit("/?view=library")
            expect(page.locator("tbody .link")).to_have_count(len(ARTICLES))
            yield page


def choose(page: Page, *names: str) -> None:
    """Choose files and wait until they have been read."""
    files = [{"name": f"{n}.md", "mimeType": "", "buffer": f"# {n}\n\nThe {n} is old.\n".encode()} for n in names]
    page.locator("input.files").set_input_files(files)  # type: ignore[arg-type]
    expect(page.locator(".waits h4")).to_have_text(list(names))


def add(page: Page) -> None:
    """Add what waits."""
    page.get_by_role("button", name="Add to the library").click()
    expect(page.locator(".draft")).to_be_hidden()


def listed(page: Page, *names: str) -> None:
    """Expect the titles in the library, beside those of the beginning."""
    expect(page.locator(".holds")).to_contain_text(f"{len(ARTICLES) + len(names)} articles")
    for name in names:
        expect(page.locator("tbody .link", has_text=name)).to_have_count(1)


def test_one_after_the_other(page: Page, gate: threading.Event) -> None:
    gate.set()
    page.locator(".over .add").click()
    for name in ("Anchor", "Buoy"):
        choose(page, name)
        add(page)
        expect(page.locator(".job .what")).to_have_text("Added 1, changed 0, unchanged 0.")
    # What came of the first is told no more: it was before this.
    expect(page.locator(".job .earlier p")).to_have_count(0)
    page.locator("dialog.adding .close").click()
    listed(page, "Anchor", "Buoy")


def test_added_while_another_is_on_its_way(page: Page, gate: threading.Event) -> None:
    page.locator(".over .add").click()
    choose(page, "Anchor")
    add(page)
    what = page.locator(".job .what")
    expect(what).to_have_text("Adding 1 article")
    choose(page, "Buoy", "Cable")
    expect(what).to_have_text("Adding 1 article")
    add(page)
    waiting = page.locator(".job .next")
    expect(waiting).to_have_text("After that: 2 articles.")
    choose(page, "Davit")
    add(page)
    expect(waiting).to_have_text("After that: 3 articles.")
    gate.set()
    # Each is told, in the order in which they were added.
    expect(page.locator(".job .earlier p")).to_have_text(
        ["Added 1, changed 0, unchanged 0.", "Added 2, changed 0, unchanged 0."]
    )
    expect(what).to_have_text("Added 1, changed 0, unchanged 0.")
    expect(waiting).to_be_empty()
    page.locator("dialog.adding .close").click()
    listed(page, "Anchor", "Buoy", "Cable", "Davit")


def test_the_first_is_stopped_and_the_second_goes_on(page: Page, gate: threading.Event) -> None:
    page.locator(".over .add").click()
    choose(page, "Anchor")
    add(page)
    choose(page, "Buoy")
    add(page)
    expect(page.locator(".job .next")).to_have_text("After that: 1 article.")
    with page.expect_response(lambda r: r.request.method == "DELETE" and "/jobs/" in r.url):
        page.locator(".job .halt").click()
    gate.set()
    expect(page.locator(".job .earlier p")).to_contain_text(["Stopped."])
    expect(page.locator(".job .what")).to_have_text("Added 1, changed 0, unchanged 0.")
    # What was stopped waits to be added.
    expect(page.locator(".waits h4")).to_have_text(["Anchor"])
    page.locator("dialog.adding .close").click()
    listed(page, "Buoy")


def test_told_where_the_sheet_is_closed_by_then(page: Page, gate: threading.Event) -> None:
    page.locator(".over .add").click()
    choose(page, "Anchor")
    add(page)
    choose(page, "Buoy", "Cable")
    add(page)
    page.locator("dialog.adding .close").click()
    gate.set()
    for n in (1, 2):
        expect(page.locator(".note", has_text=f"Added {n}, changed 0, unchanged 0.")).to_be_visible()
    listed(page, "Anchor", "Buoy", "Cable")


def test_followed_again_after_a_reload(page: Page, gate: threading.Event) -> None:
    page.locator(".over .add").click()
    choose(page, "Anchor")
    add(page)
    choose(page, "Buoy", "Cable")
    add(page)
    page.reload()
    page.locator(".over .add").click()
    expect(page.locator(".job .what")).to_have_text("Adding 1 article")
    gate.set()
    expect(page.locator(".job .what")).to_have_text("Added 2, changed 0, unchanged 0.")
    page.locator("dialog.adding .close").click()
    listed(page, "Anchor", "Buoy", "Cable")
