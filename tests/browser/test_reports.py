"""The pages of `rag eval` in a real Chromium, opened from the disk as a reader opens them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("ir_measures", reason="the measures are ir_measures'")

from chromium import CHROMIUM, FLAGS, NEEDED
from playwright.sync_api import expect, sync_playwright

from rag.evaluation import commands

pytestmark = [*NEEDED, pytest.mark.model]
HOSTILE = "<script>alert(1)</script><img src=http://127.0.0.1:9/x onerror=alert(2)>"
ARTICLES = [
    {"_id": "ferry", "title": f"Ferries {HOSTILE}", "text": f"The ferry sails at nine. {HOSTILE} It takes five hours."},
    {"_id": "tower", "title": "The tower", "text": "The tower burned in 1874. It was built again in stone."},
    {"_id": "mill", "title": "The mill", "text": "Nobody has ground corn in the mill since the flood."},
]
QUESTIONS = (
    "question,quote,answer\n"
    "When does the ferry sail?,sails at nine,nine\n"
    "What was built again in stone?,Nobody has ground corn,nobody\n"
    "Who painted the moon?,,\n"
)


def test_reports_open_alone_and_show_what_answers(tmp_path: Path) -> None:
    folder, out = tmp_path / "own", tmp_path / "out"
    folder.mkdir()
    (folder / "corpus.jsonl").write_text("".join(json.dumps(a) + "\n" for a in ARTICLES), "utf-8")
    (folder / "questions.csv").write_text(QUESTIONS, "utf-8")
    searched = commands.retrieval([folder], out=out)
    words = commands.retrieval([folder], out=out, config=["search.retriever=lexical"])
    answered = commands.answers([folder], out=out)
    commands.compare([searched[0]["run"], words[0]["run"]], out=out / "compared")
    pages = [Path(searched[0]["report"]), Path(answered[0]["report"]), out / "compared.html"]
    wrong: list[str] = []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for path in pages:
            page = browser.new_page(viewport={"width": 1100, "height": 800})
            page.on("console", lambda message: wrong.append(f"console: {message.text}"))
            page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
            page.on("dialog", lambda dialog: (wrong.append(f"dialog: {dialog.message}"), dialog.dismiss()))
            asked: list[str] = []
            page.on("request", lambda request, asked=asked: asked.append(request.url))
            page.goto(path.as_uri())
            expect(page.locator("table").first).to_be_visible()
            expect(page.locator("svg").first).to_be_visible()
            for closed in page.locator("details").all():
                closed.locator("summary").click()
            if path != pages[-1]:
                expect(page.locator("mark", has_text="Nobody has ground corn").first).to_be_visible()
            # No table or picture makes the page wider than the window.
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path.name
            assert asked == [path.as_uri()]
            page.close()
        browser.close()
    assert wrong == []
