"""The whole straight path, nothing forced: `rag serve` as a process, over an index that the real ingest made."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium import CHROMIUM, FLAGS, NEEDED
from playwright.sync_api import Page, expect, sync_playwright

import rag

pytestmark = [*NEEDED, pytest.mark.model]
QUESTION = "Which Turkish air-to-air missiles did TÜBİTAK SAGE develop?"


@pytest.fixture(scope="module")
def address(corpus_index: Path) -> Iterator[str]:
    """The address of a served page."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "rag", "serve", "--port", str(port), "--index", str(corpus_index)]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stderr is not None
    try:
        said = []
        for line in server.stderr:
            said.append(line)
            if line.startswith("Footnote is at"):
                break
        else:
            pytest.fail(f"the server ended: {''.join(said)}")
        yield said[-1].split()[-1]
    finally:
        # Not SIGINT: it stays ignored in what a background job of a shell starts.
        server.terminate()
        try:
            server.wait(30)
        finally:
            server.kill()
            server.communicate()


@pytest.fixture
def page(address: str) -> Iterator[Page]:
    """A fresh visit."""
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            page = browser.new_page(viewport={"width": 1400, "height": 900})
            page.set_default_timeout(60_000)
            page.goto(address)
            expect(page.locator(".holds")).not_to_be_empty()
            yield page
        finally:
            browser.close()


def ask(page: Page, question: str) -> None:
    page.get_by_label("Your question").fill(question)
    page.keyboard.press("Enter")
    page.locator(".turn:not([aria-busy]) :is(.ending, .failure)").first.wait_for()


def test_a_citation_opens_the_article_at_the_very_words(page: Page, corpus_index: Path) -> None:
    with rag.open(corpus_index) as engine:
        answer = engine.ask(QUESTION)
        first = answer.citations[0]
        article = engine.article(first.article_id, first.revision)
    assert answer.outcome == "answered"
    assert article.text[first.start : first.end] == first.quote
    ask(page, QUESTION)
    turn = page.locator(".turn").last
    for s in answer.sentences:
        expect(turn).to_contain_text(s.text)
    page.locator(".cite").first.click()
    mark = page.locator("mark")
    expect(mark).to_have_count(1)
    expect(mark).to_be_in_viewport()
    assert mark.evaluate("m => m.textContent") == first.quote
    expect(page.locator("dialog.article")).to_contain_text(article.title)


def test_a_question_without_an_answer_is_refused_with_what_is_near(page: Page) -> None:
    ask(page, "Who won the chess olympiad in Budapest in 2024?")
    turn = page.locator(".turn").last
    expect(turn).to_contain_text("do not seem to answer")
    assert page.locator(".cite").count() == 0
    nearest = turn.get_by_role("button")
    expect(nearest.first).to_be_visible()
