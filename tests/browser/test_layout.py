"""The page at every width, from a small phone to a wide screen: nothing sticks out, is cut off, overlaps, is too small.

The articles are real ones with names that no layout likes; each width is gone through under a finger, view by view.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("gradio", reason="the page needs gradio")

from chromium import NEEDED
from measured import BESIDE, apart, tried, under_a_finger
from playwright.sync_api import Browser, Page, expect
from visits import ask, cite, finished, visits

import rag
from rag.faces.serving import running

pytestmark = [*NEEDED, pytest.mark.model]

WIDTHS = (320, 380, 768, 1000, 1199, 1600)
LIST = 1600
"""From this width on the list of conversations stands beside both."""
LINE = 80
"""Characters of a line, at most; beyond that the eye loses the next one."""
QUESTION = "When was the bridge at Kilda built?"
LONG = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"
ARTICLES = [
    rag.Article(
        "bridge",
        f"The bridge at Kilda, {LONG} and all that was ever said of it in the council of the island",
        "The bridge at Kilda was built in 1911 by the brothers Vane, who had come from the mainland with two boats, a "
        "cart of iron and the drawings of a bridge that was never built elsewhere, as the council had wished it. "
        "Nobody has counted the steps.\n\n" + "It has rained on the bridge since. " * 60,
        ("Bo Vane", f"Ada {LONG}", "Jun Abara", "Mirela Osei", "Tomas Lindqvist"),
        "2021-03-01",  # type: ignore[arg-type]
        url=f"https://example.org/{'bridge/' * 30}",
        source=f"The {LONG} Gazette",
    ),
    *(
        rag.Article(f"mill-{n}", f"Mill {n}", f"The mill {n} grinds rye.", ("Bo Vane",), f"{1990 + n}-03-01")  # type: ignore[arg-type]
        for n in range(12)
    ),
]
PASTED = f"{LONG} was written by hand. " * 20

# Characters of the longest line.
LONGEST = """element => {
  const lines = new Map(), words = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  while (words.nextNode()) {
    if (words.currentNode.parentElement.closest('.tip')) continue;
    const range = document.createRange();
    for (let i = 0; i < words.currentNode.length; i += 1) {
      range.setStart(words.currentNode, i);
      range.setEnd(words.currentNode, i + 1);
      const { bottom, width } = range.getBoundingClientRect();
      // A number is smaller than the words of its line, and a space at the end of one has no width.
      const line = Math.round(bottom / 14);
      if (width) lines.set(line, (lines.get(line) || 0) + 1);
    }
  }
  return Math.max(0, ...lines.values());
}"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    index = tmp_path_factory.mktemp("layout") / "index"
    rag.ingest(ARTICLES, index=index)
    with rag.open(index) as engine:
        with running(engine, index=index, examples=[QUESTION], editable=True) as at:
            yield at


@pytest.fixture(params=WIDTHS)
def width(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def page(browser: Browser, address: str, width: int) -> Iterator[Page]:
    """A fresh visit with a finger."""
    with visits(browser, address) as visit:
        yield visit(**under_a_finger(width))


def test_asking_and_reading(page: Page, width: int) -> None:
    tried(page, width, "welcome")
    turn = finished(ask(page, QUESTION))
    expect(turn.locator(".answer")).to_contain_text("1911")
    turn.get_by_label("A bad answer").click()
    expect(turn.locator("form.opinion")).to_be_visible()
    turn.locator(".found summary").click()
    turn.locator(".menu summary").click()
    tried(page, width, "answer")
    assert 20 <= turn.locator(".answer").evaluate(LONGEST) <= LINE
    turn.locator(".menu summary").click()

    cite(turn, 1).click()
    panel = page.locator("dialog.article")
    expect(panel.locator("mark")).to_be_visible()
    tried(page, width, "article")
    assert 20 <= panel.locator(".text").evaluate(LONGEST) <= LINE
    expect(page.locator("dialog.article:modal")).to_have_count(int(width < BESIDE))
    if width >= BESIDE:
        for part in (".answer", ".composer .box", ".sources"):
            assert apart(panel, page.locator(f".chat {part}")), part
    page.keyboard.press("Escape")


def test_the_conversations(page: Page, width: int) -> None:
    finished(ask(page, QUESTION))
    side = page.locator("dialog.side")
    if side.is_hidden():
        page.locator(".top .menu").click()
    expect(side.locator(".conversation")).to_have_count(1)
    expect(page.locator("dialog.side:modal")).to_have_count(int(width < 1200))
    if width >= LIST:
        cite(page.locator(".turn"), 1).click()
        expect(page.locator("dialog.article mark")).to_be_visible()
        assert apart(side, page.locator(".answer"))
        assert apart(side, page.locator("dialog.article"))
        assert apart(page.locator("dialog.article"), page.locator(".answer"))
        page.keyboard.press("Escape")
    tried(page, width, "conversations")
    side.locator(".menu summary").click()
    tried(page, width, "menu of one")
    side.get_by_role("button", name="Delete").click()
    expect(page.locator("dialog.sure")).to_be_visible()
    tried(page, width, "sure")
    page.locator("dialog.sure").get_by_role("button", name="Cancel").click()
    side.locator(".menu summary").click()
    side.get_by_role("button", name="Rename").click()
    tried(page, width, "rename")


def test_the_library(page: Page, width: int) -> None:
    page.locator(".views [data-view=library]").click()
    titles = page.locator("tbody .link")
    expect(titles).to_have_count(len(ARTICLES))
    tried(page, width, "library")
    page.get_by_role("button", name=f"Remove: {ARTICLES[1].title}", exact=True).click()
    expect(page.locator(".note")).to_be_visible()
    tried(page, width, "note")
    page.get_by_role("button", name="Undo").click()
    expect(titles).to_have_count(len(ARTICLES))
    titles.filter(has_text=LONG).click()
    one = page.locator(".one")
    expect(one.locator("h2")).to_be_visible()
    tried(page, width, "one article")
    one.locator(".passages button").first.click()
    expect(page.locator("dialog.article mark")).to_be_visible()
    tried(page, width, "article of the library")
    if width >= BESIDE:
        assert apart(page.locator("dialog.article"), one)
    page.keyboard.press("Escape")


def test_the_dialogs(page: Page, width: int) -> None:
    page.locator(".views [data-view=library]").click()
    page.locator(".over .add").click()
    page.locator(".paste summary").click()
    page.locator(".paste textarea").fill(PASTED)
    page.locator(".paste input").fill(LONG)
    tried(page, width, "paste")
    page.get_by_role("button", name="Read it").click()
    expect(page.locator(".waits")).to_have_count(1)
    tried(page, width, "draft")
    page.get_by_role("button", name="Put all away").click()
    page.locator("input.files").set_input_files([{"name": f"{LONG}.pdf", "mimeType": "x/y", "buffer": b"x"}])
    expect(page.locator(".adding .failed li")).to_be_visible()
    tried(page, width, "failed")
    page.locator("dialog.adding .close").click()

    page.locator(".over .filter").click()
    sheet = page.locator("dialog.filters")
    for kind in ("Author", "Source"):
        sheet.get_by_label(kind).fill(f"{kind} {LONG}")
        sheet.get_by_label(kind).press("Enter")
    expect(sheet.locator(".chip")).to_have_count(2)
    tried(page, width, "filters")
    sheet.get_by_role("button", name="Done").click()
    expect(page.locator(".library .chip")).to_have_count(2)
    tried(page, width, "chips")
    page.locator(".top .help").click()
    expect(page.locator("dialog.keys")).to_be_visible()
    tried(page, width, "keys")
