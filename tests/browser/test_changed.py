"""What a reader sees of a citation whose article has changed since, or is gone: real ingests under a page in use."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

pytest.importorskip("gradio", reason="the page needs gradio")

from chromium import NEEDED
from playwright.sync_api import Browser, Locator, Page, expect
from visits import PHONE, ask, cite, finished, in_view, visits

import rag
from rag.engine import Engine
from rag.faces.serving import running

pytestmark = [*NEEDED, pytest.mark.model]

QUESTION = "When does the ferry to Hirta sail?"
QUOTE = "The ferry to Hirta sails at nine in the morning and takes five hours, says Mira Castellan of the port."
LINES = [f"The island's chronicle has a line for the year {1900 + n}, and it tells of the weather." for n in range(60)]
STORY = "\n\n".join(
    [*LINES, QUOTE, "A ticket costs 40 crowns. Islanders pay half of that, and children travel free.", *LINES[:30]]
)
CHANGED = "This article has changed since it was cited. You are reading the text that was cited."
STANDS = "You are reading the newest text. The cited words stand in it unchanged."
GONE = "You are reading the newest text. The cited words do not stand in it any more."


def ferry(text: str, title: str = "The ferry to Hirta") -> rag.Article:
    """Return the article in the words given."""
    return rag.Article(id="ferry", title=title, text=text, authors=("Ada <b>Moor</b>",), published=date(2024, 5, 3))


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """An index of one article."""
    rag.ingest([ferry(STORY)], index=tmp_path / "index")
    return tmp_path / "index"


@pytest.fixture
def engine(index: Path) -> Iterator[Engine]:
    with rag.open(index) as engine:
        yield engine


@pytest.fixture
def page(browser: Browser, engine: Engine) -> Iterator[Page]:
    """A fresh visit, which must keep to the rules to the end."""
    with running(engine) as address, visits(browser, address) as visit:
        yield visit()


def parts(page: Page) -> tuple[Locator, Locator, Locator, Locator]:
    """Return the notice above the article, its button, the article's text and the mark in it."""
    panel = page.locator("dialog.article")
    return panel.locator(".since p"), panel.locator(".since button"), panel.locator(".text"), panel.locator("mark")


def whole(text: Locator) -> str:
    return str(text.evaluate("t => t.textContent"))


def test_a_changed_article_opens_as_it_was_cited_and_says_so(page: Page, index: Path) -> None:
    turn = finished(ask(page, QUESTION))
    notice, button, text, mark = parts(page)
    cite(turn, 1).click()
    expect(mark).to_have_text(QUOTE)
    expect(notice).to_be_hidden()

    ten = STORY.replace("at nine", "at ten")
    rag.ingest([ferry(ten, "The ferry to <i>Hirta</i>")], index=index)
    cite(turn, 1).click()
    expect(notice).to_have_text(CHANGED)
    expect(mark).to_have_text(QUOTE)
    assert whole(text) == STORY
    assert in_view(mark)

    expect(button).to_have_text("Read the newest text")
    button.press("Enter")
    expect(notice).to_have_text(GONE)
    expect(mark).to_have_count(0)
    assert whole(text) == ten
    expect(page.locator("dialog.article h2")).to_have_text("The ferry to <i>Hirta</i>")
    expect(button).to_be_focused()
    expect(button).to_have_text("Read the cited text")
    button.press("Enter")
    expect(notice).to_have_text(CHANGED)
    expect(mark).to_have_text(QUOTE)
    assert in_view(mark)
    assert whole(text) == STORY

    later = "A word put in before.\n\n" + STORY
    rag.ingest([ferry(later)], index=index)
    button.click()
    expect(notice).to_have_text(STANDS)
    expect(mark).to_have_text(QUOTE)
    assert in_view(mark)
    assert whole(text) == later

    # As it was cited, once more: nothing to tell.
    rag.ingest([ferry(STORY)], index=index)
    cite(turn, 1).click()
    expect(notice).to_be_hidden()
    expect(mark).to_have_text(QUOTE)


def test_a_removed_article_is_said_to_be_removed(page: Page, index: Path) -> None:
    turn = finished(ask(page, QUESTION))
    rag.ingest([ferry(STORY.replace("at nine", "at ten"))], index=index)
    notice, button, text, mark = parts(page)
    cite(turn, 1).click()
    expect(notice).to_have_text(CHANGED)
    rag.remove("ferry", index=index)
    button.click()
    removed = f"was removed from the index on {date.today().isoformat()}"
    expect(text.get_by_role("alert")).to_contain_text(removed)
    expect(text).to_be_focused()
    expect(mark).to_have_count(0)
    cite(turn, 1).click()
    expect(text.get_by_role("alert")).to_have_text(f"This article could not be opened: article 'ferry' {removed}")
    expect(notice).to_be_hidden()
    assert "nine" not in whole(text)


def test_a_text_that_an_index_made_anew_has_lost(page: Page, index: Path) -> None:
    turn = finished(ask(page, QUESTION))
    new = STORY.replace("at nine", "at ten")
    rag.ingest([ferry(new)], index=index, rebuild=True)
    notice, button, text, mark = parts(page)
    cite(turn, 1).click()
    expect(notice).to_have_text("This article has changed since, and the text as it was is not kept any more.")
    assert whole(text) == ""
    button.click()
    expect(notice).to_have_text("You are reading the newest text. The one that was cited is not kept any more.")
    assert whole(text) == new
    expect(mark).to_have_count(0)
    expect(button).to_be_hidden()
    expect(text).to_be_focused()
    # That was of one opening; from here on the cited text is there again.
    for article in (ferry(STORY), ferry(new)):
        rag.ingest([article], index=index)
    cite(turn, 1).click()
    expect(notice).to_have_text(CHANGED)
    button.click()
    expect(notice).to_have_text(GONE)
    expect(button).to_be_visible()


def test_on_a_phone_the_notice_leaves_room_for_the_words(page: Page, index: Path) -> None:
    page.set_viewport_size(PHONE)
    turn = finished(ask(page, QUESTION))
    rag.ingest([ferry(STORY.replace("at nine", "at ten"))], index=index)
    notice, button, _, mark = parts(page)
    cite(turn, 1).click()
    expect(notice).to_have_text(CHANGED)
    assert in_view(mark)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    box = button.bounding_box()
    assert box is not None
    assert 0 <= box["x"] < box["x"] + box["width"] <= PHONE["width"]
