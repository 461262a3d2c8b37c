"""Conversations as the page keeps them: found, renamed, exported, deleted, asked anew, judged, copied; and keys."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pytest.importorskip("gradio", reason="the page needs gradio")

import httpx
from chromium import NEEDED
from forced import ForcedEngine
from playwright.sync_api import Browser, Page, expect
from visits import ask, cite, finished, visits

from rag.faces.conversations import FILE, Conversations
from rag.faces.serving import running

pytestmark = NEEDED


@pytest.fixture
def engine() -> Iterator[ForcedEngine]:
    engine = ForcedEngine()
    yield engine
    engine.gate.set()


@pytest.fixture
def page(browser: Browser, engine: ForcedEngine, tmp_path: Path) -> Iterator[Page]:
    """A fresh visit, which must keep to the rules to the end."""
    with (
        running(engine, index=tmp_path, examples=("repeat an example",)) as address,
        visits(browser, address, leaves=True) as visit,
    ):
        yield visit(permissions=["clipboard-read", "clipboard-write"])


def test_conversations_are_listed_searched_renamed_and_deleted(page: Page) -> None:
    listed = page.locator(".conversation .title")
    expect(page.locator(".side .none")).to_have_text("What you ask is kept here, for this browser alone.")
    finished(ask(page, "repeat violets"))
    page.locator(".top .fresh").click()
    finished(ask(page, "repeat marigolds <b>bold</b>"))
    expect(listed).to_have_text(["repeat marigolds <b>bold</b>", "repeat violets"])
    page.get_by_label("Search conversations").fill("VIOLETS")
    expect(listed).to_have_text(["repeat violets"])
    page.get_by_label("Search conversations").fill("nothing like it")
    expect(page.locator(".side .none")).to_have_text("No conversation has these words.")
    page.get_by_label("Search conversations").fill("")
    expect(listed).to_have_count(2)

    page.locator(".conversations .menu summary").nth(1).click()
    page.locator(".conversations .choices").nth(1).get_by_role("button", name="Rename").click()
    field = page.get_by_label("New title")
    expect(field).to_have_value("repeat violets")
    field.fill("Flowers ${alert(1)}")
    field.press("Enter")
    expect(listed.nth(1)).to_have_text("Flowers ${alert(1)}")
    page.locator(".conversation").nth(1).click()
    expect(page.locator(".turn h2")).to_have_text(["repeat violets"])
    expect(page.locator(".conversation").nth(1)).to_have_attribute("aria-current", "true")

    page.locator(".conversations .menu summary").nth(1).click()
    page.locator(".conversations .choices").nth(1).get_by_role("button", name="Delete").click()
    expect(page.locator("dialog.sure")).to_contain_text("Flowers ${alert(1)}")
    page.locator("dialog.sure").get_by_role("button", name="Cancel").click()
    expect(listed).to_have_count(2)
    page.locator(".conversations .menu summary").nth(1).click()
    page.locator(".conversations .choices").nth(1).get_by_role("button", name="Delete").click()
    page.locator("dialog.sure").get_by_role("button", name="Delete").click()
    expect(listed).to_have_text(["repeat marigolds <b>bold</b>"])
    expect(page.locator(".turn")).to_have_count(0)


def test_a_conversation_is_exported_as_a_file(page: Page) -> None:
    finished(ask(page, "repeat violets"))
    page.locator(".conversations .menu summary").click()
    with page.expect_download() as coming:
        page.locator(".conversations .choices a").first.click()
    assert coming.value.suggested_filename == "repeat violets.md"
    text = coming.value.path().read_text("utf-8")
    assert text.startswith("# repeat violets\n")
    assert "[^1-1]" in text


def test_an_answer_is_copied_with_its_sources(page: Page) -> None:
    turn = finished(ask(page, "repeat violets"))
    for form, said in (
        ("As Markdown", "[^1]: Mirela Osei"),
        ("As plain text", "[1] Mirela Osei"),
        ("As formatted text", "[1] Mirela"),
    ):
        turn.locator(".menu summary").click()
        turn.get_by_role("button", name=form).click()
        page.wait_for_function("said => navigator.clipboard.readText().then(t => t.includes(said))", arg=said)
        expect(page.locator(".note", has_text="Copied.").last).to_be_visible()
        expect(turn.locator(".menu summary")).to_be_focused()
    formatted = page.evaluate("navigator.clipboard.read().then(i => i[0].getType('text/html')).then(b => b.text())")
    assert "<ol>" in formatted


def test_a_question_edited_takes_the_place_of_the_old_one_and_what_followed(page: Page, engine: ForcedEngine) -> None:
    finished(ask(page, "repeat one"))
    finished(ask(page, "repeat two"))
    finished(ask(page, "repeat three"))
    turn = page.locator(".turn").nth(1)
    turn.hover()
    turn.get_by_role("button", name="Edit").click()
    box = page.get_by_label("Your question")
    expect(box).to_have_value("repeat two")
    expect(page.locator(".editing")).to_be_visible()
    box.fill("repeat second")
    box.press("Enter")
    expect(page.locator(".turn h2")).to_have_text(["repeat one", "repeat second"])
    finished(page.locator(".turn").last)
    expect(page.locator(".editing")).to_be_hidden()
    assert [m["content"] for m in engine.histories["repeat second"] if m["role"] == "user"] == ["repeat one"]
    page.locator(".turn").last.get_by_role("button", name="Retry").click()
    expect(page.locator(".turn")).to_have_count(2)
    finished(page.locator(".turn").last)
    assert [m["content"] for m in engine.histories["repeat second"] if m["role"] == "user"] == ["repeat one"]
    page.reload()
    expect(page.locator(".turn h2")).to_have_text(["repeat one", "repeat second"])
    page.locator(".turn").first.hover()
    page.locator(".turn").first.get_by_role("button", name="Edit").click()
    page.locator(".editing").get_by_role("button", name="Cancel").click()
    expect(box).to_have_value("")
    finished(ask(page, "repeat four"))
    expect(page.locator(".turn")).to_have_count(3)


def test_a_stopped_answer_is_kept_as_far_as_it_came(page: Page) -> None:
    turn = ask(page, "endless")
    expect(turn.locator(".answer")).to_contain_text("on and on and")
    page.get_by_role("button", name="Stop").click()
    expect(turn).to_contain_text("Stopped.")
    page.wait_for_timeout(1500)
    page.reload()
    turn = page.locator(".turn")
    expect(turn.locator(".answer")).to_contain_text("on and on and")
    expect(turn).to_contain_text("Stopped.")
    turn.get_by_role("button", name="Retry").click()
    expect(page.locator(".turn").last.locator(".answer")).to_contain_text("on and on")
    expect(page.locator(".turn")).to_have_count(1)
    page.get_by_role("button", name="Stop").click()


def test_an_opinion_is_kept_with_its_sentence_and_reason(page: Page, tmp_path: Path) -> None:
    turn = finished(ask(page, "conflict"))
    turn.get_by_label("A bad answer").click()
    expect(turn.get_by_label("A bad answer")).to_have_attribute("aria-pressed", "true")
    form = turn.locator("form.opinion")
    form.get_by_label("Which sentence?").select_option(index=3)
    form.get_by_label("What is right or wrong about it?").fill("It was <i>1936</i>")
    form.get_by_role("button", name="Send").click()
    expect(form).to_be_hidden()
    page.reload()
    expect(page.get_by_label("A bad answer")).to_have_attribute("aria-pressed", "true")
    kept = Conversations(tmp_path / FILE)
    told = [(o["question"], o["sentence"], o["good"], o["reason"]) for o in kept.opinions()]
    assert told == [("conflict", None, False, ""), ("conflict", 2, False, "It was <i>1936</i>")]
    page.get_by_label("A bad answer").click()
    expect(page.get_by_label("A bad answer")).to_have_attribute("aria-pressed", "false")
    assert [o["sentence"] for o in kept.opinions()] == [2]
    kept.close()


def test_keys_are_enough(page: Page) -> None:
    page.keyboard.type("repeat by keys")
    page.keyboard.press("Enter")
    turn = finished(page.locator(".turn"))
    page.get_by_label("Your question").blur()
    page.keyboard.press("j")
    expect(turn.locator(".cite").first).to_be_focused()
    expect(turn.locator(".tip").first).to_be_visible()
    page.keyboard.press("j")
    expect(turn.locator(".cite").nth(1)).to_be_focused()
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    expect(page.locator("dialog.article .place")).to_have_text("Citation 1 of 3")
    page.keyboard.press("j")
    expect(page.locator("dialog.article .place")).to_have_text("Citation 2 of 3")
    page.keyboard.press("k")
    expect(page.locator("dialog.article .place")).to_have_text("Citation 1 of 3")
    page.keyboard.press("Escape")
    expect(page.locator("dialog.article")).to_be_hidden()
    expect(cite(turn, 1)).to_be_focused()
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.locator("dialog.keys")).to_be_visible()
    page.keyboard.press("/")
    expect(page.locator("dialog.keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("dialog.keys")).to_be_hidden()
    page.locator("h1").click()
    page.keyboard.press("/")
    expect(page.get_by_label("Your question")).to_be_focused()
    page.keyboard.type("j/k?")
    expect(page.get_by_label("Your question")).to_have_value("j/k?")


def test_keys_can_be_switched_off(page: Page) -> None:
    page.locator(".top .help").click()
    page.get_by_label("Let the keys").uncheck()
    page.keyboard.press("Escape")
    page.reload()
    expect(page.locator(".holds")).not_to_be_empty()
    page.locator("h1").click()
    page.keyboard.press("?")
    page.keyboard.press("/")
    expect(page.get_by_label("Your question")).not_to_be_focused()
    expect(page.locator("dialog.keys")).to_be_hidden()
    page.locator(".top .help").click()
    page.get_by_label("Let the keys").check()
    page.keyboard.press("Escape")
    page.locator("h1").click()
    page.keyboard.press("?")
    expect(page.locator("dialog.keys")).to_be_visible()


def test_light_and_dark_are_the_readers_choice(page: Page) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    button = page.locator(".top .theme")
    button.click()
    assert page.evaluate(ground) == light
    button.click()
    dark = page.evaluate(ground)
    assert dark != light
    page.reload()
    expect(page.locator(".holds")).not_to_be_empty()
    assert page.evaluate(ground) == dark
    button.click()
    assert page.evaluate(ground) == light
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(ground) == dark


def test_a_conversation_that_cannot_be_kept_is_still_answered(page: Page, tmp_path: Path) -> None:
    finished(ask(page, "repeat first"))
    db = sqlite3.connect(tmp_path / FILE)
    db.execute("ALTER TABLE turns RENAME TO lost")
    turn = finished(ask(page, "repeat second"))
    expect(turn.locator(".failure, .notice")).to_have_count(1)
    db.execute("ALTER TABLE lost RENAME TO turns")
    turn = finished(ask(page, "repeat third"))
    expect(turn.locator(".failure, .notice")).to_have_count(0)

    # Nor does a first question that is not kept keep the next ones from it.
    page.locator(".top .fresh").click()
    db.execute("ALTER TABLE turns RENAME TO lost")
    turn = finished(ask(page, "repeat fourth"))
    expect(turn.locator(".failure, .notice")).to_have_count(1)
    db.execute("ALTER TABLE lost RENAME TO turns")
    db.close()
    turn = finished(ask(page, "repeat fifth"))
    expect(turn.locator(".failure, .notice")).to_have_count(0)
    page.reload()
    expect(page.locator(".turn h2")).to_have_text(["repeat fifth"])


def test_an_index_where_nothing_can_be_kept_is_served_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / FILE).mkdir()
    with running(ForcedEngine(), index=tmp_path) as address, httpx.Client(base_url=address, trust_env=False) as client:
        client.get("/")
        assert client.get("/page/conversations").json() == {"conversations": [], "most": None}
    assert "as long as the server runs" in caplog.text
    assert str(tmp_path) in caplog.text


def test_what_is_sent_for_a_question_is_checked(page: Page, engine: ForcedEngine) -> None:
    """A question by hand, as no page would send it."""
    join = """async ([data, session]) => {
      const event = gradio_config.dependencies.find(d => d.targets.some(t => t[1] === 'ask'));
      await fetch('gradio_api/queue/join', {method: 'POST', headers: {'Content-Type': 'application/json'},
        body: JSON.stringify({data: [], event_data: data, fn_index: event.id, session_hash: session})});
      const text = await (await fetch('gradio_api/queue/data?session_hash=' + session)).text();
      return text;
    }"""
    ids = {"turn": "t1", "conversation": "c1"}
    for n, (data, said) in enumerate(
        (
            ({"question": "repeat a", "turn": "../x", "conversation": "c"}, "named by letters"),
            ({"question": "repeat b"}, "named by letters"),
            ({"question": "repeat c", **ids, "where": {"authors": "x"}}, "list of at most"),
            ({"question": "repeat d", **ids, "where": {"since": "soon"}}, "date"),
            ("text", "named by letters"),
        )
    ):
        told = page.evaluate(join, [data, f"s{n}"])
        assert said in told, json.dumps(data)
        assert "process_completed" in told
    assert engine.histories == {}


def test_twenty_conversations_at_once_stay_apart(tmp_path: Path) -> None:
    engine = ForcedEngine()

    def converse(n: int) -> tuple[str, list[str], list[str]]:
        with httpx.Client(base_url=address, trust_env=False, timeout=120) as client:
            client.get("/")
            config = client.get("/config").json()
            (event,) = (d["id"] for d in config["dependencies"] if any(t[1] == "ask" for t in d["targets"]))
            told = ""
            for turn in range(3):
                data = {"question": f"repeat word{n}x{turn}", "turn": f"t{turn}", "conversation": f"c{n}"}
                session = f"s{n}x{turn}"
                body = {"data": [], "event_data": data, "fn_index": event, "session_hash": session}
                client.post("/gradio_api/queue/join", json=body).raise_for_status()
                told += client.get("/gradio_api/queue/data", params={"session_hash": session}).text
            kept = client.get("/page/conversations").json()["conversations"]
            turns = client.get(f"/page/conversations/{kept[0]['id']}").json()["turns"]
            return told, [c["id"] for c in kept], [t["question"] for t in turns]

    with running(engine, index=tmp_path) as address, ThreadPoolExecutor(20) as pool:
        for n, (told, ids, questions) in enumerate(pool.map(converse, range(20))):
            assert set(re.findall(r"word(\d+)x", told)) == {str(n)}
            assert told.count('"outcome":"answered"') >= 3
            assert ids == [f"c{n}"]
            assert questions == [f"repeat word{n}x{turn}" for turn in range(3)]
            said = [m["content"] for m in engine.histories[f"repeat word{n}x2"] if m["role"] == "user"]
            assert said == questions[:2]
