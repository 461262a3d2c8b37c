"""What a screen reader is told: live regions that it can hear, and a table that stays one on a phone.

`EARS` writes down what lands in a live region that was there before, is rendered, and lies in no inert part: under a
modal dialog all is inert.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("gradio", reason="the page needs gradio")

from axe_playwright_python.sync_playwright import Axe
from chromium import NEEDED
from playwright.sync_api import Browser, Page, expect
from shelf import ARTICLES, BRIDGE, PAGE, shelf
from visits import PHONE, WIDE, Visit, ask, finished, visits

import rag
from rag.engine import Engine
from rag.faces.serving import running

pytestmark = [*NEEDED, pytest.mark.model]

EARS = """(() => {
  const live = ':is([role=status], [role=log], [role=alert], [aria-live]):not([aria-live=off])';
  window.heard = [];
  let there = new Set();
  const rendered = (one) => one.isConnected && one.checkVisibility({ visibilityProperty: true });
  const reached = (one) => {
    const above = [...document.querySelectorAll('dialog:modal')].pop();
    return rendered(one) && !one.closest('[inert], [aria-hidden=true]') && (!above || above.contains(one));
  };
  const look = () => {
    there = new Set([...document.querySelectorAll(live)].filter(rendered));
    requestAnimationFrame(look);
  };
  look();
  new MutationObserver((changes) => {
    for (const { target, addedNodes } of changes) {
      const box = target.nodeType === Node.TEXT_NODE ? target.parentElement : target;
      const region = box?.closest?.(live);
      for (const node of addedNodes) if (node.matches?.('[role=alert]') && reached(node)) heard.push(node.textContent);
      if (!region || !(there.has(region) || region.matches('[role=alert]')) || !reached(region)) continue;
      const words = region.textContent.trim();
      if (words && heard.at(-1) !== words) heard.push(words);
    }
  }).observe(document, { subtree: true, childList: true, characterData: true });
})()"""
DIALOGS = {".top .help": "keys", ".composer .filter": "filters"}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    rag.ingest(ARTICLES, index=tmp_path / "index")
    with rag.open(tmp_path / "index") as engine:
        yield engine


@pytest.fixture
def visit(browser: Browser, engine: Engine, tmp_path: Path) -> Iterator[Visit]:
    """Open the page with ears."""
    with (
        running(engine, index=tmp_path / "index", editable=True) as address,
        visits(browser, address, script=EARS) as visit,
    ):
        yield visit


def hears(page: Page, words: str) -> None:
    """Wait until the words have been heard, and forget what was before."""
    page.wait_for_function("words => heard.some(one => one.includes(words))", arg=words)
    page.evaluate("heard.length = 0")


def delete(page: Page) -> None:
    """Delete the one conversation."""
    page.locator(".conversations summary").click()
    page.locator(".conversations").get_by_role("button", name="Delete").click()
    page.locator("dialog.sure").get_by_role("button", name="Delete").click()
    expect(page.locator(".conversation")).to_have_count(0)


def test_an_answer(visit: Visit) -> None:
    page = visit()
    ask(page, BRIDGE)
    hears(page, "Searching the articles.")
    hears(page, "Answer ready, 1 source.")
    finished(ask(page, "Who painted the moon?"))
    hears(page, "No answer in these articles.")
    # The words themselves are not read out as they come, piece by piece.
    assert page.locator(".turns").get_attribute("aria-live") == "off"


@pytest.mark.parametrize("opener", DIALOGS)
def test_an_answer_that_is_ready_under_a_dialog(visit: Visit, opener: str) -> None:
    page = visit()
    page.route("**/queue/data?*", lambda route: (page.locator(opener).click(), route.continue_()))
    ask(page, BRIDGE)
    expect(page.locator(f"dialog.{DIALOGS[opener]}")).to_be_visible()
    hears(page, "Answer ready, 1 source.")


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_a_conversation_is_deleted(visit: Visit, size: dict[str, int]) -> None:
    page = visit(viewport=size)
    finished(ask(page, BRIDGE))
    if size is PHONE:
        page.locator(".top .menu").click()
    delete(page)
    hears(page, f"“\u2068{BRIDGE}\u2069” is deleted.")
    page.get_by_label("Search conversations").fill("nothing like it")
    hears(page, "No conversation has these words.")


def test_articles_are_added(visit: Visit, tmp_path: Path) -> None:
    page = visit()
    shelf(page)
    page.locator(".over .add").click()
    page.locator("input.files").set_input_files(
        [{"name": "a.md", "mimeType": "text/markdown", "buffer": PAGE.encode()}]
    )
    hears(page, "1 article in 1 passage")
    page.get_by_role("button", name="Add to the library").click()
    hears(page, "Added 1, changed 0, unchanged 0.")
    page.locator("input.files").set_input_files([{"name": "x.pdf", "mimeType": "a/b", "buffer": b"x"}])
    hears(page, "x.pdf: this file is of an unknown kind")
    page.locator("dialog.adding .close").click()
    page.get_by_role("button", name="Remove: The mill").click()
    hears(page, "is removed and answers no more")
    page.get_by_role("button", name="Undo").click()
    hears(page, "is back.")
    page.locator("#library-search").fill("mill")
    hears(page, "1 of 4 articles")


def test_notes_in_dialogs(visit: Visit) -> None:
    page = visit()
    finished(ask(page, BRIDGE))
    page.locator(".composer .filter").click()
    page.locator("dialog.filters").get_by_label("Author").fill("Nobody")
    # Known names come from the server; only then is a name unknown.
    expect(page.locator("#choices-authors option")).to_have_count(2)
    page.locator("dialog.filters").get_by_label("Author").press("Enter")
    hears(page, "Nothing here is called “Nobody”")
    page.locator("dialog.filters").get_by_role("button", name="Done").click()
    page.locator(".top .theme").click()
    hears(page, "Light colours")


@pytest.mark.parametrize("dialog", ["side", "article", "filters", "adding", "keys", "sure"])
def test_every_dialog_has_a_place_that_is_heard(visit: Visit, dialog: str) -> None:
    """What is told while a dialog is modal is told inside it."""
    page = visit(viewport=PHONE)
    page.evaluate(
        "name => { for (const d of document.querySelectorAll('dialog')) d.close();"
        " document.querySelector('dialog.' + name).showModal(); }",
        dialog,
    )
    # Ears know a place only once it has been drawn.
    page.evaluate("new Promise(drawn => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
    # The one note that can be had from anywhere: the button is reached although it cannot be pressed.
    page.locator(".top .theme").dispatch_event("click")
    hears(page, "Light colours")
    expect(page.locator(f"dialog.{dialog} .note")).to_be_in_viewport()


def test_the_steps_through_an_article_that_covers_the_page(visit: Visit) -> None:
    page = visit(viewport=PHONE)
    turn = finished(ask(page, "Who painted the moon?"))
    turn.locator(".nearest button").first.click()
    expect(page.locator("dialog.article:modal mark")).to_be_visible()
    expect(page.locator("dialog.article .text")).to_be_focused()
    page.get_by_role("button", name="Next passage").click()
    hears(page, "Passage 2 of")


def roles(page: Page) -> list[tuple[str, list[str]]]:
    """Return the rows of the library's table as the accessibility tree has them, each with its cells' roles."""
    nodes = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    by_id = {node["nodeId"]: node for node in nodes}

    def role(node: dict[str, object]) -> str:
        return "" if node.get("ignored") else str(node["role"]["value"])  # type: ignore[index]

    def below(node: dict[str, object], wanted: set[str]) -> list[dict[str, object]]:
        found = []
        for child in (by_id[id] for id in node.get("childIds", ()) if id in by_id):  # type: ignore[union-attr,attr-defined]
            found.extend([child] if role(child) in wanted else below(child, wanted))
        return found

    (table,) = (n for n in nodes if role(n) == "table")
    assert table["name"]["value"] == "Articles"
    cells = {"cell", "gridcell", "columnheader", "rowheader"}
    return [(role(row), [role(cell) for cell in below(row, cells)]) for row in below(table, {"row"})]


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_the_librarys_table_is_a_table(visit: Visit, engine: Engine, tmp_path: Path, size: dict[str, int]) -> None:
    # One article has neither authors nor a source; its other cells stay in their columns.
    rag.ingest([rag.Article("bare", "Bare", "Nothing is known of it.")], index=tmp_path / "index")
    page = visit(viewport=size)
    titles = shelf(page)
    expect(titles).to_have_count(len(ARTICLES) + 1)
    head, *rows = roles(page)
    assert head == ("row", ["columnheader"] * 6)
    assert rows == [("row", ["rowheader", *["cell"] * 5])] * (len(ARTICLES) + 1)
    # Other browsers take display for what a thing is, and lose a table that is laid out as cards; roles hold there too.
    for role, part in (
        ("table", "table"),
        ("rowgroup", "table > :is(thead, tbody)"),
        ("row", "tr"),
        ("columnheader", "thead th"),
        ("rowheader", "tbody th"),
        ("cell", "tbody td"),
    ):
        found = page.locator(f".library {part}").evaluate_all(
            "all => [...new Set(all.map(a => a.getAttribute('role')))]"
        )
        assert found == [role], part
    expect(page.get_by_role("columnheader", name="Passages")).to_have_attribute("aria-sort", "none")
    violations = Axe().run(page).response["violations"]
    assert [v["id"] for v in violations if v["impact"] in ("serious", "critical")] == []
