"""The chat page in a real Chromium, over an engine that says what each test needs (see forced.py)."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

pytest.importorskip("gradio", reason="the page needs gradio")

from chromium import NEEDED
from forced import EXAMPLES, HARBOUR, HOSTILE, HOSTILE_QUOTE, ForcedEngine
from playwright.sync_api import Browser, Locator, Page, expect
from visits import PATIENCE, PHONE, WIDE, Visit, ask, cite, finished, in_view, visits

from rag.errors import RagError
from rag.faces.guard import POLICY
from rag.faces.serving import serve

pytestmark = NEEDED


@pytest.fixture
def engine(served: tuple[ForcedEngine, str]) -> Iterator[ForcedEngine]:
    engine = served[0]
    engine.gate.clear()
    yield engine
    # Whatever still waits would keep a thread of the server.
    engine.gate.set()


@pytest.fixture
def visit(browser: Browser, served: tuple[ForcedEngine, str], engine: ForcedEngine) -> Iterator[Visit]:
    with visits(browser, served[1]) as opened:

        def visit(**options: object) -> Page:
            page = opened(**options)
            expect(page.locator(".holds")).to_have_text("3 articles, 1,204 passages")
            return page

        yield visit


def address_of(page: Page) -> str:
    """Return the server's address."""
    parts = urlsplit(page.url)
    return f"{parts.scheme}://{parts.netloc}"


def back_to(page: Page, button: Locator) -> None:
    """Go back to a button by the Tab key alone."""
    for _ in range(40):
        page.keyboard.press("Shift+Tab")
        if button.evaluate("b => b === document.activeElement"):
            break
    expect(button).to_be_focused()


def test_hostile_article_opens_as_text_at_the_cited_words(visit: Visit) -> None:
    page = visit()
    turn = ask(page, "a hostile question <img src=x onerror=alert(9)> {{7*7}}")
    button = cite(turn, 1)
    expect(button).to_have_accessible_name(f"Citation 1: {HOSTILE.title}")
    button.click()
    mark = page.locator("dialog.article mark")
    expect(mark).to_have_count(1)
    assert mark.evaluate("m => m.textContent") == HOSTILE_QUOTE
    assert page.locator("dialog.article .text").evaluate("t => t.textContent") == HOSTILE.text
    assert in_view(mark)
    assert page.locator("dialog.article h2").evaluate("h => h.textContent") == HOSTILE.title
    assert page.locator("dialog.article :is(img, script, b, i, iframe)").count() == 0
    assert page.locator(".chat :is(img, script, iframe)").count() == 0
    expect(page.locator("dialog.article .original")).to_be_hidden()
    finished(turn)
    words = turn.locator(".answer").evaluate(
        "a => [...a.childNodes].filter(n => n.nodeType === 3).map(n => n.data).join('')"
    )
    assert "It says so <b>here</b> ${alert(8)}." in words


def test_tooltip_on_hover_and_focus_is_put_away_by_escape(visit: Visit) -> None:
    page = visit()
    turn = finished(ask(page, "hostile"))
    button = cite(turn, 1)
    tip = turn.locator(".tip").first
    expect(tip).to_be_hidden()
    button.hover()
    expect(tip).to_be_visible()
    assert HOSTILE_QUOTE in tip.evaluate("t => t.textContent")
    expect(tip).to_contain_text("February 29, 2024")
    page.mouse.move(2, 2)
    expect(tip).to_be_hidden()
    page.get_by_label("Your question").focus()
    back_to(page, button)
    expect(tip).to_be_visible()
    page.keyboard.press("Escape")
    expect(tip).to_be_hidden()
    expect(button).to_be_focused()
    assert button.get_attribute("aria-describedby") == tip.get_attribute("id")


def test_text_is_seen_before_the_last_arrives_and_a_focused_citation_keeps_its_focus(
    visit: Visit, engine: ForcedEngine
) -> None:
    page = visit()
    turn = ask(page, "gate please")
    button = cite(turn, 1)
    expect(button).to_be_visible()
    expect(turn).to_have_attribute("aria-busy", "true")
    assert "burned through" not in turn.inner_text()
    button.focus()
    button.evaluate("b => { b.dataset.same = 'yes'; }")
    engine.gate.set()
    finished(turn)
    expect(turn.locator(".answer")).to_contain_text("both lights burned through the night")
    expect(button).to_be_focused()
    assert button.get_attribute("data-same") == "yes"


def test_citation_opens_while_the_answer_is_still_being_written(visit: Visit, engine: ForcedEngine) -> None:
    page = visit()
    turn = ask(page, "gate please")
    cite(turn, 1).click()
    expect(page.locator("dialog.article mark")).to_have_text(
        "In 1934 the harbour master, Ines Calloway, had the lamps put on separate circuits"
    )
    expect(turn).to_have_attribute("aria-busy", "true")
    engine.gate.set()
    finished(turn)
    expect(page.locator("dialog.article mark")).to_be_visible()


def test_stop_ends_a_turn_and_the_next_question_is_answered(visit: Visit, engine: ForcedEngine) -> None:
    page = visit()
    turn = ask(page, "endless")
    expect(turn.locator(".answer")).to_contain_text("on and on and")
    page.get_by_role("button", name="Stop").click()
    expect(turn).to_contain_text("Stopped.")
    expect(page.get_by_label("Your question")).to_be_focused()
    before = turn.locator(".answer").inner_text()
    after = finished(ask(page, "repeat this one"))
    expect(after.locator(".answer")).to_contain_text("You asked: repeat this one")
    assert turn.locator(".answer").inner_text() == before
    assert [m["content"] for m in engine.histories["repeat this one"] if m["role"] == "user"] == ["endless"]
    patience = time.monotonic() + PATIENCE / 1000
    while "endless" not in engine.left and time.monotonic() < patience:
        time.sleep(0.1)
    assert engine.left == ["endless"]
    # An engine that has gone silent is no reason to wait, either.
    turn = ask(page, "gate")
    expect(cite(turn, 1)).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    finished(ask(page, "repeat and this"))
    assert [m["content"] for m in engine.histories["repeat and this"] if m["role"] == "user"] == [
        "endless",
        "repeat this one",
        "gate",
    ]


def test_two_people_at_once_never_see_each_other(visit: Visit, engine: ForcedEngine) -> None:
    one, two = visit(), visit()
    first = ask(one, "gate repeat violets")
    second = ask(two, "gate repeat marigolds")
    expect(first.locator(".answer")).to_contain_text("You asked: gate repeat violets")
    expect(second.locator(".answer")).to_contain_text("You asked: gate repeat marigolds")
    engine.gate.set()
    finished(first), finished(second)
    finished(ask(one, "repeat roses"))
    finished(ask(two, "repeat lilies"))
    assert [m["content"] for m in engine.histories["repeat roses"] if m["role"] == "user"] == ["gate repeat violets"]
    assert [m["content"] for m in engine.histories["repeat lilies"] if m["role"] == "user"] == ["gate repeat marigolds"]
    assert not {w for w in ("marigolds", "lilies") if w in one.content()}
    assert not {w for w in ("violets", "roses") if w in two.content()}


def test_follow_up_carries_the_conversation_until_a_new_one_begins(visit: Visit, engine: ForcedEngine) -> None:
    page = visit()
    finished(ask(page, "repeat first"))
    finished(ask(page, "repeat second"))
    assert [m["role"] for m in engine.histories["repeat second"]] == ["user", "assistant"]
    assert engine.histories["repeat second"][1]["content"].startswith("You asked: repeat first In 1934")
    expect(page.locator(".turn")).to_have_count(2)
    page.get_by_role("button", name="New conversation").click()
    expect(page.locator(".turn")).to_have_count(0)
    expect(page.get_by_role("heading", name="Ask the articles.")).to_be_visible()
    finished(ask(page, "repeat third"))
    assert engine.histories["repeat third"] == []


def test_what_answers_what_was_added_and_what_was_searched_for(visit: Visit) -> None:
    page = visit()
    turn = ask(page, "roles")
    finished(turn)
    expect(turn.locator(".answer > strong")).to_have_text("1934")
    expect(turn.locator(".answer > .added")).to_have_text(" [in <b>“Harbour”</b>]")
    expect(turn.locator(".searched")).to_have_text("Searched for: roles (<i>Harbour</i>)")
    plain = ask(page, "repeat")
    finished(plain)
    expect(plain.locator(".searched")).to_have_count(0)


def test_sources_previous_and_next_and_the_way_to_the_original(visit: Visit) -> None:
    page = visit()
    turn = finished(ask(page, "conflict"))
    expect(turn).to_contain_text("The articles disagree")
    expect(turn.locator(".sources li")).to_have_count(3)
    expect(turn.locator(".sources li").nth(2)).to_contain_text("Partly supported")
    expect(turn.locator(".ending")).to_contain_text("1,204 passages searched")
    expect(turn.locator(".sources .also")).to_have_count(1)
    assert turn.locator(".sources li .also").first.evaluate("a => a.textContent") == (
        "Also in Lights of <b>Ostrava</b> Bay ${alert(10)} (The Gull <img src=x onerror=alert(11)>); "
        "אורות הנמל (November 9, 2023); Harbour 3 and 2 more"
    )
    assert page.locator(".chat :is(img, script, b)").count() == 0
    turn.locator(".sources button").nth(1).click()
    mark = page.locator("dialog.article mark")
    expect(mark).to_have_text("both lights burned through the night")
    original = page.locator("dialog.article .original")
    expect(original).to_have_attribute(
        "href", "https://example.org/harbour-lights#:~:text=both%20lights%20burned%20through%20the%20night"
    )
    expect(original).to_have_attribute("rel", "noopener noreferrer")
    page.get_by_role("button", name="Next citation").click()
    expect(mark).to_have_text("the lights were on one circuit until 1936")
    expect(cite(turn, 3)).to_have_attribute("aria-current", "true")
    expect(original).to_be_hidden()
    page.get_by_role("button", name="Next citation").press("Enter")
    expect(page.locator("dialog.article .place")).to_have_text("Citation 3 of 3")
    page.get_by_role("button", name="Previous citation").click()
    page.get_by_role("button", name="Previous citation").click()
    expect(mark).to_have_text("In 1934 the harbour master, Ines Calloway, had the lamps put on separate circuits")
    page.locator("dialog.article .close").click()
    expect(page.locator("dialog.article")).to_be_hidden()
    expect(cite(turn, 1)).to_be_focused()


def test_refusal_offers_the_nearest_passages(visit: Visit) -> None:
    page = visit()
    page.get_by_role("button", name=EXAMPLES[1]).click()
    turn = finished(page.locator(".turn").last)
    expect(turn).to_contain_text("No answer in these articles")
    expect(turn.locator(".cite")).to_have_count(0)
    card = turn.locator(".nearest button").first
    assert turn.locator(".nearest .also").evaluate_all("all => all.map(a => a.textContent)") == [
        "Also in Harbour 3 and Harbour 4"
    ]
    card.click()
    expect(page.locator("dialog.article mark")).to_have_text(
        "A proposal to replace the lenses with diodes was voted down twice, most recently in 2019."
    )
    expect(page.locator("dialog.article h2")).to_have_text(HARBOUR.title)
    page.keyboard.press("Escape")
    expect(card).to_be_focused()


def test_errors_are_told_as_text(visit: Visit) -> None:
    page = visit()
    turn = finished(ask(page, "fail"))
    expect(turn.locator(".failure")).to_have_text(
        "question of 9000 characters is too long: ask in fewer than 2000 <b>characters</b>"
    )
    turn = finished(ask(page, "crash"))
    expect(turn.locator(".failure")).to_contain_text("Something went wrong inside Footnote")
    assert "ZeroDivisionError" not in page.content()
    expect(finished(ask(page, "repeat still here")).locator(".answer")).to_contain_text("still here")


def test_blank_question_does_nothing(visit: Visit) -> None:
    page = visit()
    box = page.get_by_label("Your question")
    box.fill("  \n ")
    box.press("Enter")
    page.locator(".composer .ask").click()
    expect(page.locator(".turn")).to_have_count(0)


def test_reload_shows_the_same_and_goes_on_with_it(visit: Visit, engine: ForcedEngine) -> None:
    page = visit(leaves=True)
    finished(ask(page, "nothing at first"))
    finished(ask(page, "hostile repeat before"))
    seen = page.locator(".turns").evaluate("t => t.textContent")
    page.reload()
    expect(page.locator(".turn")).to_have_count(2)
    assert page.locator(".turns").evaluate("t => t.textContent") == seen
    expect(page.get_by_role("heading", name="Ask the articles.")).to_be_hidden()
    cite(page.locator(".turn").last, 1).click()
    assert page.locator("dialog.article mark").evaluate("m => m.textContent") == HOSTILE_QUOTE
    page.keyboard.press("Escape")
    finished(ask(page, "repeat after"))
    assert [m["content"] for m in engine.histories["repeat after"] if m["role"] == "user"] == [
        "nothing at first",
        "hostile repeat before",
    ]


def test_on_a_phone_the_article_covers_the_page_and_escape_returns(visit: Visit) -> None:
    page = visit(viewport=PHONE)
    turn = finished(ask(page, "hostile"))
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    button = cite(turn, 1)
    button.click()
    mark = page.locator("dialog.article mark")
    assert mark.evaluate("m => m.textContent") == HOSTILE_QUOTE
    assert in_view(mark)
    box = page.locator("dialog.article").bounding_box()
    assert box is not None
    assert (box["x"], box["width"]) == (0, PHONE["width"])
    expect(page.locator("dialog.article:modal")).to_be_visible()
    page.set_viewport_size(WIDE)
    expect(page.locator("dialog.article:not(:modal)")).to_be_visible()
    page.set_viewport_size(PHONE)
    expect(page.locator("dialog.article:modal")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("dialog.article")).to_be_hidden()
    expect(button).to_be_focused()


def test_keyboard_alone_is_enough(visit: Visit) -> None:
    page = visit()
    expect(page.get_by_label("Your question")).to_be_focused()
    page.keyboard.type("how bright?")
    page.keyboard.press("Enter")
    turn = finished(page.locator(".turn").last)
    button = cite(turn, 3)
    back_to(page, button)
    page.keyboard.press("Enter")
    expect(page.locator("dialog.article mark")).to_have_text("the lights were on one circuit until 1936")
    expect(page.locator("dialog.article .text")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("dialog.article")).to_be_hidden()
    expect(button).to_be_focused()


def test_the_place_in_the_conversation_is_kept_when_an_article_opens(visit: Visit) -> None:
    page = visit()
    for i in range(4):
        turn = finished(ask(page, f"question {i}"))
    button = cite(turn, 2)
    page.mouse.move(2, 2)
    before = button.bounding_box()
    button.click()
    expect(page.locator("dialog.article mark")).to_be_visible()
    after = button.bounding_box()
    assert before is not None
    assert after is not None
    assert abs(before["y"] - after["y"]) < 40


def test_the_server_checks_what_a_browser_names(visit: Visit) -> None:
    page = visit()

    def call(data: object) -> tuple[int, dict[str, object]]:
        answer = page.request.post(f"{address_of(page)}/page/article", data=json.dumps(data))
        return answer.status, answer.json()

    good = {"id": HARBOUR.id, "revision": HARBOUR.revision, "start": 0, "end": 3}
    assert call(good)[1]["mark"] == HARBOUR.text[:3]
    for change in (
        {"start": -1},
        {"end": len(HARBOUR.text) + 1},
        {"start": 3},
        {"start": True},
        {"start": 0.5},
        {"start": "0"},
        {"id": "no such article"},
        {"id": None},
        {"revision": "0000"},
        {"revision": ["x"]},
    ):
        status, answer = call({**good, **change})
        message = answer.get("refused") or answer.get("message")
        assert status == 400 or "mark" not in answer, change
        assert len(str(message).splitlines()) == 1, change
    assert call("text")[0] == 400


def test_policy_and_host_names(served: tuple[ForcedEngine, str]) -> None:
    import httpx

    address = served[1]
    with httpx.Client(trust_env=False, timeout=30) as client:
        answer = client.get(address)
        assert answer.status_code == 200
        assert answer.headers["content-security-policy"] == POLICY
        assert client.get(address, headers={"host": "evil.example"}).status_code == 421
        # Gradio would let pages of other ports read what it answers.
        near = client.get(address + "/page/conversations", headers={"origin": "http://127.0.0.1:9"})
        assert near.status_code == 403
        join = address + "/gradio_api/queue/join"
        assert client.post(join, json={}, headers={"origin": "http://127.0.0.1:9"}).status_code == 403
        assert client.post(join, content=b"x" * ((1 << 20) + 1)).status_code == 413
        assert client.post(address + "/gradio_api/upload", files={"files": b"x" * 4096}).status_code >= 400


def test_only_loopback_is_served() -> None:
    with pytest.raises(RagError, match="no login yet"):
        serve(ForcedEngine(), host="0.0.0.0")


def test_a_taken_port_is_an_error_of_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(RagError, match=f"port {port} on 127.0.0.1 is in use") as caught:
            serve(ForcedEngine(), port=port)
    assert "\n" not in str(caught.value)


@contextmanager
def interrupted(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make the first long sleep of `serve` a Ctrl-C."""
    real = time.sleep

    def sleep(seconds: float) -> None:
        if seconds > 60 and threading.current_thread() is threading.main_thread():
            raise KeyboardInterrupt
        real(seconds)

    with monkeypatch.context() as patch:
        patch.setattr(time, "sleep", sleep)
        yield


def test_serve_says_where_and_frees_the_port(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with interrupted(monkeypatch), pytest.raises(KeyboardInterrupt):
        serve(ForcedEngine(), port=port)
    out, err = capfd.readouterr()
    assert (out, err) == ("", f"Footnote is at http://127.0.0.1:{port}\n")
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", port))
