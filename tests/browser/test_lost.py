"""A server that is lost: the page says so in a line, keeps the question, and goes on when the server is back.

The server is a process of its own that is killed, so that nothing of it is left to say goodbye.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("gradio", reason="the page needs gradio")

from chromium import NEEDED
from playwright.sync_api import Browser, Page, expect
from visits import WIDE, ask, finished

pytestmark = NEEDED

UNREACHABLE = "The server did not answer. Start Footnote again if it has ended, then try once more."
SERVER = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from forced import ForcedEngine
from rag.faces.serving import running
with running(ForcedEngine(), index=Path(sys.argv[2]), port=int(sys.argv[3])):
    print("ready", flush=True)
    time.sleep(3600)
"""


class Server:
    """A server that can be killed and come back at the same address."""

    def __init__(self, index: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.command = [sys.executable, "-c", SERVER, str(Path(__file__).parent), str(index), str(self.port)]
        self.start()

    def start(self) -> None:
        """Start and wait until it serves."""
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def kill(self) -> None:
        """End it without a word, if it is there."""
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()  # type: ignore[union-attr]


@pytest.fixture(scope="module")
def one_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("served"))
    yield server
    server.kill()


@pytest.fixture
def server(one_server: Server) -> Server:
    """The server, running, whatever became of it before; every visit is another reader's."""
    if one_server.process.poll() is not None:
        one_server.start()
    return one_server


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    """A fresh visit.  The browser itself complains of what it cannot reach; our own scripts must not."""
    context = browser.new_context(viewport=WIDE)
    page = context.new_page()
    wrong: list[object] = []
    page.on("pageerror", lambda error: wrong.append(error))
    page.goto(f"http://127.0.0.1:{server.port}")
    expect(page.locator(".holds")).not_to_be_empty()
    yield page
    context.close()
    assert wrong == []


@contextmanager
def loaded_again(page: Page) -> Iterator[None]:
    """Wait until Gradio has loaded the page again, as it does soon after a server that was missed is back."""
    page.evaluate("window.before = true")
    yield
    page.wait_for_function("!window.before")
    expect(page.locator(".holds")).not_to_be_empty()


def test_lost_in_the_middle_of_an_answer(page: Page, server: Server) -> None:
    finished(ask(page, "repeat before"))
    turn = ask(page, "endless words")
    expect(turn.locator(".answer")).to_contain_text("on and on and")
    server.kill()
    expect(turn.locator(".failure")).to_have_text(UNREACHABLE)
    finished(turn)
    # The words that came and the question are still there, and the box is free.
    expect(turn.locator(".answer")).to_contain_text("on and on and")
    expect(page.get_by_role("button", name="Stop")).to_be_hidden()
    expect(page.locator(".turn h2")).to_have_text(["repeat before", "endless words"])

    with loaded_again(page):
        server.start()
    expect(page.locator(".turn h2")).to_have_text(["repeat before", "endless words"])
    # The server had taken the question, so it is asked anew from there and not a second time.
    box = page.get_by_label("Your question")
    expect(box).to_have_value("")
    page.locator(".turn").last.hover()
    page.locator(".turn").last.get_by_role("button", name="Edit").click()
    expect(box).to_have_value("endless words")
    box.fill("repeat in other words")
    box.press("Enter")
    expect(page.locator(".turn h2")).to_have_text(["repeat before", "repeat in other words"])
    again = finished(page.locator(".turn").last)
    expect(again.locator(".answer")).to_contain_text("You asked: repeat in other words In 1934")
    expect(again.locator(".failure")).to_have_count(0)
    page.reload()
    expect(page.locator(".turn h2")).to_have_text(["repeat before", "repeat in other words"])


def test_lost_before_a_question(page: Page, server: Server) -> None:
    finished(ask(page, "repeat before"))
    server.kill()
    turn = ask(page, "repeat after")
    expect(turn.locator(".failure")).to_have_text(UNREACHABLE)
    finished(turn)
    box = page.get_by_label("Your question")
    expect(box).to_be_focused()
    # As long as it is lost, trying again says the same again.
    turn.get_by_role("button", name="Retry").click()
    again = finished(page.locator(".turn").last)
    expect(again.locator(".failure")).to_have_text(UNREACHABLE)
    with loaded_again(page):
        server.start()
    # The server has never heard of the question, so the page kept it.
    expect(page.locator(".turn h2")).to_have_text(["repeat before"])
    expect(box).to_have_value("repeat after")
    box.press("Enter")
    expect(page.locator(".turn h2")).to_have_text(["repeat before", "repeat after"])
    again = finished(page.locator(".turn").last)
    expect(again.locator(".answer")).to_contain_text("You asked: repeat after In 1934")
    expect(box).to_have_value("")
    page.reload()
    expect(page.locator(".turn h2")).to_have_text(["repeat before", "repeat after"])
    expect(box).to_have_value("")


def test_lost_for_a_moment_when_a_question_was_asked(page: Page, server: Server) -> None:
    finished(ask(page, "repeat before"))
    server.kill()
    ask(page, "repeat after")
    box = page.get_by_label("Your question")
    box.fill("and what is typed")
    # It is back before the page could say that it was lost.
    with loaded_again(page):
        server.start()
    expect(page.locator(".turn h2")).to_have_text(["repeat before"])
    expect(box).to_have_value("repeat after\n\nand what is typed")


def test_lost_before_the_first_question_of_all(page: Page, server: Server) -> None:
    server.kill()
    turn = ask(page, "repeat first")
    expect(turn.locator(".failure")).to_have_text(UNREACHABLE)
    finished(turn)
    with loaded_again(page):
        server.start()
    # Nobody knows the conversation; the address has its question, and that is asked once.
    turn = finished(page.locator(".turn"))
    expect(turn.locator(".answer")).to_contain_text("You asked: repeat first In 1934")
    expect(page.get_by_label("Your question")).to_have_value("")


def test_what_is_typed_outlives_a_reload(page: Page) -> None:
    box = page.get_by_label("Your question")
    box.fill("repeat half a quest")
    page.reload()
    expect(box).to_have_value("repeat half a quest")
    finished(ask(page, "repeat a whole one"))
    page.reload()
    expect(page.locator(".turn h2")).to_have_text(["repeat a whole one"])
    expect(box).to_have_value("")


def test_lost_and_back_while_nobody_asked(page: Page, server: Server) -> None:
    finished(ask(page, "repeat before"))
    server.kill()
    server.start()
    expect(finished(ask(page, "repeat after")).locator(".answer")).to_contain_text("You asked: repeat after")


def test_what_else_is_asked_of_a_lost_server_is_told(page: Page, server: Server) -> None:
    turn = finished(ask(page, "repeat before"))
    server.kill()
    turn.locator(".cite").first.click()
    expect(page.locator("dialog.article .failure")).to_contain_text(UNREACHABLE)
    page.keyboard.press("Escape")
    turn.get_by_label("A good answer").click()
    expect(page.locator(".note")).to_have_text(UNREACHABLE)
    page.get_by_label("Search conversations").fill("x")
    expect(page.locator(".side .none")).to_have_text(UNREACHABLE)
    page.locator(".views [data-view=library]").click()
    expect(page.locator(".note")).to_have_text(UNREACHABLE)
