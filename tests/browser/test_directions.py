"""Words from right to left: an Arabic article and question on an English page, and a page in such a language."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

pytest.importorskip("gradio", reason="the page needs gradio")

from chromium import NEEDED
from forced import ARABIC, ForcedEngine
from measured import BESIDE, apart, sides, tried, under_a_finger
from playwright.sync_api import Browser, Locator, Page, Route, expect
from visits import ask, cite, finished, in_view, visits

from rag.faces import pagefiles
from rag.faces.serving import running

pytestmark = NEEDED

WIDTHS = (380, 1000, 1600)
QUESTION = "متى بُني جسر كيلدا؟"
QUOTE = "بُني جسر كيلدا عام 1911 على يد الأخوين فين"

# How far the first line of an element's words is from the element's sides.  Digits make a line of several boxes.
LINE = """element => {
  const range = document.createRange(), at = element.getBoundingClientRect();
  range.selectNodeContents(document.createTreeWalker(element, NodeFilter.SHOW_TEXT).nextNode());
  const all = [...range.getClientRects()].filter((box) => box.width > 1);
  const first = all.filter((box) => Math.abs(box.top - all[0].top) < 2);
  return [Math.min(...first.map((box) => box.left)) - at.left, at.right - Math.max(...first.map((box) => box.right))];
}"""
# Whether an arrow points to the right: its character, mirrored or not.
RIGHT = """(element, part) => {
  const text = part ? getComputedStyle(element, part).content : element.textContent;
  return text.includes('→') !== (new DOMMatrix(getComputedStyle(element).transform).a < 0);
}"""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with running(ForcedEngine(), examples=["conflict"]) as at:
        yield at


def translated(route: Route) -> None:
    """The interface's texts as those of a language that is written from right to left."""
    texts = {**pagefiles.texts(), "language": "ar", "direction": "rtl"}
    route.fulfill(body=f"export default {json.dumps(texts)};", content_type="text/javascript")


def opened(browser: Browser, address: str, width: int, rtl: bool) -> Iterator[Page]:
    context = browser.new_context(**under_a_finger(width))
    if rtl:
        context.route("**/texts.js", translated)
    with visits(browser, address) as visit:
        yield visit(context=context)


@pytest.fixture(params=WIDTHS)
def width(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def english(browser: Browser, address: str, width: int) -> Iterator[Page]:
    yield from opened(browser, address, width, False)


@pytest.fixture
def arabic(browser: Browser, address: str, width: int) -> Iterator[Page]:
    yield from opened(browser, address, width, True)


def begins_right(words: Locator) -> bool:
    """Whether the first line begins at the right side of its box."""
    left, right = words.evaluate(LINE)
    return bool(right < 3 and left >= 0)


def test_an_arabic_article_and_question(english: Page, width: int) -> None:
    page = english
    box = page.get_by_label("Your question")
    box.fill("When?")
    assert box.evaluate("b => b.matches(':dir(ltr)')")
    box.fill(QUESTION)
    assert box.evaluate("b => b.matches(':dir(rtl)')")
    turn = finished(ask(page, QUESTION))
    assert begins_right(turn.locator("h2"))
    assert begins_right(turn.locator(".answer"))
    # The number stands behind the words that it belongs to, which is to their left.
    assert sides(cite(turn, 1))[1] < sides(turn.locator(".answer"))[1] - 200
    turn.locator(".found summary").click()
    tried(page, width, "answer")

    cite(turn, 1).click()
    panel = page.locator("dialog.article")
    mark = panel.locator("mark")
    expect(mark).to_have_text(QUOTE)
    assert in_view(mark)
    assert panel.locator(".text").evaluate("t => t.textContent") == ARABIC.text
    assert begins_right(panel.locator("h2"))
    expect(panel.locator(".text > div[dir]")).to_have_attribute("dir", "rtl")
    # The first word of the paragraph is marked, so the mark is at the right side; the English line is not.
    assert sides(panel.locator(".text > div[dir]"))[1] - sides(mark)[1] < 3
    assert not begins_right(page.locator(".turn .searched, .ending").last)
    tried(page, width, "article")
    page.keyboard.press("Escape")
    # A question in English after it begins at the left again.
    other = finished(ask(page, "repeat in English"))
    assert other.locator("h2").evaluate(LINE)[0] < 3
    assert other.locator(".answer").evaluate(LINE)[0] < 3


def test_a_page_from_right_to_left(arabic: Page, width: int) -> None:
    page = arabic
    expect(page.locator("html")).to_have_attribute("dir", "rtl")
    tried(page, width, "welcome")
    assert not page.locator(".example").evaluate(RIGHT, "::after")
    # Its placeholder too begins where the reader does.
    assert page.get_by_label("Your question").evaluate("b => getComputedStyle(b).direction") == "rtl"
    assert apart(page.locator(".top .menu"), page.locator("h1"))
    assert sides(page.locator(".top .menu")) > sides(page.locator("h1"))
    turn = finished(ask(page, "conflict"))
    turn.get_by_label("A bad answer").click()
    expect(turn.locator("form.opinion")).to_be_visible()
    tried(page, width, "answer")

    cite(turn, 1).click()
    panel = page.locator("dialog.article")
    expect(panel.locator("mark")).to_be_visible()
    tried(page, width, "article")
    assert sides(panel)[0] == 0
    if width >= BESIDE:
        assert apart(panel, turn.locator(".answer"))
    previous, following = panel.locator(".previous"), panel.locator(".next")
    assert sides(previous)[0] > sides(following)[1]
    assert previous.evaluate(RIGHT)
    assert not following.evaluate(RIGHT)
    following.click()
    expect(panel.locator("mark")).to_have_text("both lights burned through the night")
    page.keyboard.press("j")
    expect(panel.locator("mark")).to_have_text("the lights were on one circuit until 1936")
    page.keyboard.press("k")
    expect(panel.locator("mark")).to_have_text("both lights burned through the night")
    page.keyboard.press("Escape")

    side = page.locator("dialog.side")
    if side.is_hidden():
        page.locator(".top .menu").click()
    expect(side.locator(".conversation")).to_have_count(1)
    assert sides(side)[1] == width
    side.locator(".menu summary").click()
    tried(page, width, "conversations")
    page.keyboard.press("Escape")
    if side.evaluate("s => s.matches(':modal')"):
        page.keyboard.press("Escape")

    page.locator(".views [data-view=library]").click()
    expect(page.locator("tbody .link").first).to_be_visible()
    tried(page, width, "library")
    page.locator("tbody .link").filter(has_text="pilots").click()
    back = page.locator(".one .back")
    expect(back).to_be_visible()
    assert back.evaluate(RIGHT, "::before")
    tried(page, width, "one article")
    back.click()
    for sheet in ("adding", "filters", "keys"):
        page.locator(f"dialog.{sheet}").evaluate("d => d.showModal()")
        tried(page, width, sheet)
        page.keyboard.press("Escape")


def test_bars_grow_from_the_side_where_reading_begins(arabic: Page) -> None:
    page = arabic
    turn = finished(ask(page, QUESTION))
    turn.locator(".found summary").click()
    assert turn.locator(".score").evaluate("b => getComputedStyle(b).backgroundPositionX.split(',')[0]") == "100%"
