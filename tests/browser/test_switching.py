"""From one conversation to another: while an answer is written, by the browser's own way back, to one that is gone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("gradio", reason="the page needs gradio")

from chromium import NEEDED
from forced import ForcedEngine
from playwright.sync_api import Browser, Page, expect
from visits import PHONE, WIDE, Visit, ask, cite, finished, visits

from rag.faces.serving import running

pytestmark = NEEDED

BUSY = "An answer is being written. Stop it first, or wait for it."
GONE = "This conversation is not there any more."


@pytest.fixture
def engine() -> Iterator[ForcedEngine]:
    engine = ForcedEngine()
    yield engine
    engine.gate.set()


@pytest.fixture
def visit(browser: Browser, engine: ForcedEngine, tmp_path: Path) -> Iterator[Visit]:
    with running(engine, index=tmp_path) as address, visits(browser, address, leaves=True) as visit:
        yield visit


def fresh(page: Page) -> None:
    """Begin a new conversation."""
    page.locator(".top .fresh").click()
    expect(page.locator(".turn")).to_have_count(0)


def choose(page: Page, title: str) -> None:
    """Choose a conversation in the list."""
    page.locator(".conversation", has_text=title).click()


def said(page: Page) -> str:
    """All that the turns hold."""
    return str(page.locator(".turns").evaluate("t => t.textContent"))


def right(page: Page, title: str, of: str, other: str) -> None:
    """Open a conversation and find its own words alone, also after a reload."""
    choose(page, title)
    for _ in range(2):
        expect(page.locator(".turn .answer").first).to_contain_text(of)
        assert other not in said(page)
        page.reload()


def test_an_answer_on_its_way_keeps_to_its_conversation(visit: Visit, engine: ForcedEngine) -> None:
    page = visit()
    finished(ask(page, "repeat violets"))
    fresh(page)
    turn = ask(page, "gate repeat marigolds")
    expect(turn.locator(".answer")).to_contain_text("You asked: gate repeat marigolds")
    at = page.url

    # By the list, by the browser's own way back, and by a new conversation, which is not offered.
    choose(page, "violets")
    expect(page.locator(".note")).to_have_text(BUSY)
    page.go_back()
    expect(page.locator(".note")).to_have_text(BUSY)
    expect(page.locator(".top .fresh")).to_be_hidden()
    expect(page.locator(".turn h2")).to_have_text(["gate repeat marigolds"])
    assert page.url == at
    page.locator(".views [data-view=library]").click()
    page.locator(".views [data-view=ask]").click()
    engine.gate.set()
    finished(turn)
    expect(turn.locator(".answer")).to_contain_text("both lights burned through the night")
    assert "violets" not in said(page)
    # What was gone back to in vain is there still, behind the library and the answer.
    for _ in range(3):
        page.go_back()
    expect(page.locator(".turn h2")).to_have_text(["repeat violets"])

    right(page, "violets", "You asked: repeat violets", "marigolds")
    right(page, "marigolds", "You asked: gate repeat marigolds", "violets")
    expect(page.locator(".turn .answer")).to_contain_text("both lights burned through the night")


def test_words_that_come_after_a_stop_reach_no_other_conversation(visit: Visit, engine: ForcedEngine) -> None:
    page = visit()
    finished(ask(page, "repeat violets"))
    fresh(page)
    turn = ask(page, "endless marigolds")
    expect(turn.locator(".answer")).to_contain_text("on and on and")
    page.get_by_role("button", name="Stop").click()
    choose(page, "violets")
    expect(page.locator(".turn h2")).to_have_text(["repeat violets"])
    finished(ask(page, "repeat roses"))
    expect(page.locator(".turn h2")).to_have_text(["repeat violets", "repeat roses"])
    assert "on and on" not in said(page)
    assert [m["content"] for m in engine.histories["repeat roses"] if m["role"] == "user"] == ["repeat violets"]
    right(page, "violets", "You asked: repeat violets", "on and on")
    choose(page, "marigolds")
    expect(page.locator(".turn h2")).to_have_text(["endless marigolds"])
    expect(page.locator(".turn")).to_contain_text("Stopped.")
    assert "You asked" not in said(page)


def test_a_page_that_is_left_in_the_middle_of_an_answer(visit: Visit, engine: ForcedEngine) -> None:
    page = visit()
    finished(ask(page, "repeat violets"))
    at = page.url
    fresh(page)
    turn = ask(page, "gate repeat marigolds")
    expect(turn.locator(".answer")).to_contain_text("You asked: gate repeat marigolds")
    page.goto(at)
    expect(page.locator(".turn h2")).to_have_text(["repeat violets"])
    engine.gate.set()
    finished(ask(page, "repeat roses"))
    assert "marigolds" not in said(page)
    choose(page, "marigolds")
    expect(page.locator(".turn h2")).to_have_text(["gate repeat marigolds"])
    assert "violets" not in said(page)


def test_two_tabs_of_one_reader_write_two_answers_at_once(visit: Visit, engine: ForcedEngine) -> None:
    one = visit()
    two = visit("", one.context)
    first = ask(one, "gate repeat violets")
    second = ask(two, "gate repeat marigolds")
    for turn in (first, second):
        expect(turn.locator(".answer")).to_contain_text("You asked: gate repeat")
    engine.gate.set()
    for turn in (first, second):
        finished(turn)
    assert "marigolds" not in said(one)
    assert "violets" not in said(two)
    right(one, "violets", "You asked: gate repeat violets", "marigolds")
    right(one, "marigolds", "You asked: gate repeat marigolds", "violets")


def delete(page: Page, title: str) -> None:
    """Delete a conversation by the list."""
    listed = page.locator(".conversations > li", has_text=title)
    listed.locator("summary").click()
    listed.get_by_role("button", name="Delete").click()
    page.locator("dialog.sure").get_by_role("button", name="Delete").click()
    expect(listed).to_have_count(0)


def test_a_question_asked_anew_and_stopped_before_a_word_changes_nothing(visit: Visit, engine: ForcedEngine) -> None:
    page = visit()
    finished(ask(page, "repeat violets"))
    page.route("**/gradio_api/queue/join*", lambda route: None)
    page.locator(".retry").click()
    page.locator(".stop").click()
    page.unroute("**/gradio_api/queue/join*")
    shown = page.locator(".turn:visible h2")
    expect(shown).to_have_text(["repeat violets", "repeat violets"])
    finished(ask(page, "repeat roses"))
    page.reload()
    expect(shown).to_have_text(["repeat violets", "repeat roses"])
    expect(page.locator(".turn .answer").first).to_contain_text("You asked: repeat violets")


def test_a_link_on_another_sites_page_asks_nothing_by_itself(visit: Visit, engine: ForcedEngine) -> None:
    at = visit().url
    browser = visit().context.browser
    assert browser
    page = browser.new_page()
    # Another name is another site.
    page.goto(at.replace("127.0.0.1", "localhost"))
    page.evaluate("to => { location.href = to }", at + "?q=repeat+violets")
    page.wait_for_url("**127.0.0.1**")
    expect(page.locator(".holds")).not_to_be_empty()
    expect(page.get_by_label("Your question")).to_have_value("repeat violets")
    expect(page.locator(".turn")).to_have_count(0)
    assert engine.histories == {}
    # Typed in or kept as a bookmark, the same address asks.
    page.close()
    finished(visit("/?q=repeat+violets").locator(".turn"))


def test_going_back_to_a_conversation_that_is_deleted(visit: Visit, engine: ForcedEngine) -> None:
    page = visit()
    finished(ask(page, "repeat violets"))
    fresh(page)
    finished(ask(page, "repeat marigolds"))
    delete(page, "violets")
    expect(page.locator(".turn h2")).to_have_text(["repeat marigolds"])
    page.go_back()
    expect(page.locator(".note", has_text=GONE)).to_have_count(1)
    expect(page.locator(".note", has_text="no such conversation")).to_have_count(0)
    expect(page.get_by_role("heading", name="Ask the articles.")).to_be_visible()
    assert "c=" not in page.url
    expect(page).to_have_title("Footnote")
    page.go_forward()
    expect(page.locator(".turn h2")).to_have_text(["repeat marigolds"])
    page.go_back()
    expect(page.locator(".turn")).to_have_count(0)
    finished(ask(page, "repeat roses"))
    assert engine.histories["repeat roses"] == []
    page.reload()
    expect(page.locator(".turn h2")).to_have_text(["repeat roses"])


def test_a_conversation_that_another_tab_has_deleted(visit: Visit) -> None:
    page = visit()
    finished(ask(page, "repeat violets"))
    at = page.url
    other = visit("", page.context)
    delete(other, "violets")
    # An answer that is still shown here cannot be judged or copied any more, and what is asked after it is not kept.
    page.get_by_label("A good answer").click()
    expect(page.locator(".note")).to_have_count(1)
    turn = finished(ask(page, "repeat after"))
    expect(turn.locator(".answer")).to_contain_text("You asked: repeat after")
    expect(turn.locator(".notice")).to_contain_text("This answer is not kept")
    cite(turn, 1).click()
    expect(page.locator("dialog.article mark")).to_be_visible()
    page.keyboard.press("Escape")
    page.goto(at.partition("?")[0] + "?c=" + at.partition("c=")[2].partition("&")[0])
    expect(page.locator(".note")).to_have_text(GONE)
    expect(page.locator(".turn")).to_have_count(0)


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_the_open_conversation_is_deleted(visit: Visit, size: dict[str, int]) -> None:
    page = visit(viewport=size)
    finished(ask(page, "repeat violets"))
    if size is PHONE:
        page.locator(".top .menu").click()
    delete(page, "violets")
    expect(page.locator(".turn")).to_have_count(0)
    assert "c=" not in page.url
    page.reload()
    expect(page.locator(".holds")).not_to_be_empty()
    expect(page.locator(".turn")).to_have_count(0)
