"""What a reader brings in through the page: looked at first, then added whole."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rag.engine import Engine
from rag.errors import BadSource
from rag.faces import adding
from rag.faces.adding import BYTES, PAGES, Adding, NoJob
from rag.faces.uploads import plain_name
from rag.types import Progress

pytestmark = pytest.mark.model

FERRY = (
    "# The ferry to Hirta\n\nBy Ada Brix\n\n3 May 2024\n\nThe ferry to Hirta sailed first in 1987, says Mira Castellan."
)


@pytest.fixture
def page(bridge_engine: Engine, bridge_index: Path) -> Adding:
    return Adding(bridge_engine, bridge_index)


def over(page: Adding, job: dict[str, Any]) -> dict[str, Any]:
    """Return the job when it has ended."""
    until = time.monotonic() + 60
    while job["state"] == "running" and time.monotonic() < until:
        time.sleep(0.02)
        job = page.job(job["id"])
    return job


def test_a_page_is_looked_at_then_added_and_answers(page: Adding, bridge_engine: Engine) -> None:
    draft = page.take("ada", "ferry.md", FERRY.encode())
    assert (draft["count"], draft["failed"], draft["pages"]) == (1, [], ["ferry.md"])
    shown = draft["articles"][0]
    assert (shown["title"], shown["authors"], shown["published"]) == ("The ferry to Hirta", ["Ada Brix"], "2024-05-03")
    assert (shown["state"], shown["id"], shown["passages"]) == ("new", "uploads/ferry.md", 1)
    assert shown["opening"].startswith("The ferry to Hirta sailed")
    assert bridge_engine.stats().articles == 1, "nothing is added yet"
    assert page.draft("bo")["count"] == 0, "another reader's draft is another"
    job = over(page, page.add("ada"))
    assert (job["state"], job["share"], job["report"]["added"], job["report"]["failed"]) == ("done", 1.0, 1, [])
    assert page.draft("ada")["count"] == 0
    assert "1987" in bridge_engine.ask("When did the ferry to Hirta first sail?").text
    again = page.take("ada", "ferry.md", FERRY.encode())
    assert again["articles"][0]["state"] == "unchanged"
    assert page.take("ada", "ferry.md", FERRY.replace("1987", "1988").encode())["articles"][0]["state"] == "changed"
    assert over(page, page.add("ada"))["report"]["changed"] == 1
    assert "1988" in bridge_engine.ask("When did the ferry to Hirta first sail?").text


def test_what_is_read_is_what_ingest_reads(page: Adding, bridge_engine: Engine) -> None:
    lines = [json.dumps({"_id": f"a{n}", "title": f"T{n}", "text": f"Words of number {n}."}) for n in range(60)]
    draft = page.take("ada", "many.jsonl", "\n".join([*lines, "{broken"]).encode())
    assert (draft["count"], len(draft["articles"])) == (60, adding.SHOWN)
    assert [f["source"] for f in draft["failed"]] == ["many.jsonl:61"]
    job = over(page, page.add("ada"))
    assert (job["state"], job["report"]["added"], job["articles"]) == ("done", 60, 60)
    assert bridge_engine.stats().articles == 61


def test_pasted_text_is_a_page(page: Adding, bridge_engine: Engine) -> None:
    draft = page.paste("ada", "It sailed first in 1987, from Oban.", "The ferry")
    shown = draft["articles"][0]
    assert (shown["title"], shown["made"]) == ("The ferry", False)
    assert shown["id"].startswith("uploads/the-ferry-")
    assert page.paste("ada", "Just some words that were pasted, and no title at all.")["articles"][1]["made"]
    with pytest.raises(BadSource, match="there is no text"):
        page.paste("ada", " \n")
    over(page, page.add("ada"))
    assert bridge_engine.article(shown["id"]).text == "It sailed first in 1987, from Oban."


def test_an_article_can_be_left_out_and_all_put_away(page: Adding) -> None:
    page.take("ada", "a.txt", b"One text about ferries.")
    draft = page.take("ada", "b.txt", b"Another text about bridges.")
    assert draft["count"] == 2
    left = page.leave_out("ada", "uploads/a.txt")
    assert (left["count"], left["pages"]) == (1, ["b.txt"])
    assert page.put_away("ada")["count"] == 0
    with pytest.raises(BadSource, match="nothing waits"):
        page.add("ada")


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.pdf", b"%PDF-1.4", "unknown kind"),
        ("", b"x", "no name"),
        ("...", b"x", "no name"),
        ("noextension", b"x", "unknown kind"),
    ],
)
def test_what_cannot_be_a_page_is_refused_at_once(page: Adding, name: str, data: bytes, said: str) -> None:
    with pytest.raises(BadSource, match=said) as caught:
        page.take("ada", name, data)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.txt", b"", "empty"),
        ("a.txt", b"\x00\x01\x02binary", "binary"),
        ("a.md", b"%PDF-1.4 ....", "binary"),
        ("a.jsonl", b"[1]", "object"),
    ],
)
def test_what_cannot_be_read_says_why_under_its_own_name(page: Adding, name: str, data: bytes, said: str) -> None:
    draft = page.take("ada", name, data)
    assert draft["count"] == 0
    (failed,) = draft["failed"]
    assert name in failed["source"]
    assert said in failed["reason"]
    assert "/" not in failed["source"], "no path of the server is told"


def test_what_is_new_is_counted_beyond_what_is_shown(page: Adding) -> None:
    def pages(most: int) -> bytes:
        return "".join(
            json.dumps({"_id": f"k{n:03}", "text": f"Pier {n} is old."}) + "\n" for n in range(most)
        ).encode()

    page.take("ada", "piers.jsonl", pages(adding.SHOWN))
    over(page, page.add("ada"))
    draft = page.take("ada", "piers.jsonl", pages(adding.SHOWN + 3))
    assert {a["state"] for a in draft["articles"]} == {"unchanged"}
    assert (draft["count"], draft["fresh"]) == (adding.SHOWN + 3, 3)


def test_no_more_than_a_few_additions_wait(page: Adding, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adding, "RUNNING", 1)
    go = threading.Event()
    real = adding.keeping.ingest
    monkeypatch.setattr(adding.keeping, "ingest", lambda *a, **kw: (go.wait(30), real(*a, **kw))[1])
    page.take("ada", "a.txt", b"One text about ferries.")
    job = page.add("ada")
    page.take("bo", "b.txt", b"Another text about ferries.")
    with pytest.raises(BadSource, match="on their way"):
        page.add("bo")
    assert page.draft("bo")["count"] == 1
    go.set()
    over(page, job)
    assert over(page, page.add("bo"))["state"] == "done"


def test_drafts_have_bounds(page: Adding, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadSource, match="over 64 MB"):
        page.take("ada", "a.txt", b"x" * (BYTES + 1))
    for n in range(PAGES):
        page.take("ada", f"{n}.txt", b"Some words in a row.")
    with pytest.raises(BadSource, match="50 pages wait"):
        page.take("ada", "more.txt", b"Some words in a row.")
    page.take("ada", "3.txt", b"Other words in a row.")
    for n in range(adding.DRAFTS):
        page.take(f"reader {n}", "a.txt", b"Some words in a row.")
    assert page.draft("ada")["count"] == 0, "the oldest draft is put away"
    monkeypatch.setattr(adding, "WAITING", 50)
    page.take("bo", "a.txt", b"Some words in a row.")
    page.take("bo", "b.txt", b"Some words in a row.")
    assert page.draft("reader 15")["count"] == 0
    page.take("cy", "a.txt", b"Some words in a row.")
    assert page.draft("bo")["count"] == 0, "all drafts together have a bound too"
    assert page.draft("cy")["count"] == 1


def test_a_job_can_be_stopped_and_keeps_what_is_complete(
    page: Adding, bridge_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, go = threading.Event(), threading.Event()
    real = adding.keeping.ingest

    def slow(*args: Any, on_progress: Callable[[Progress], None], **kw: Any) -> Any:
        def step(progress: Progress) -> None:
            reached.set()
            go.wait(30)
            on_progress(progress)

        return real(*args, on_progress=step, **kw)

    monkeypatch.setattr(adding.keeping, "ingest", slow)
    page.take("ada", "a.txt", b"One text about ferries.")
    job = page.add("ada")
    assert reached.wait(30)
    assert page.job(job["id"])["state"] == "running"
    page.job(job["id"], stop=True)
    go.set()
    ended = over(page, job)
    assert ended["state"] == "stopped"
    assert "kept" in ended["message"]
    assert bridge_engine.stats().articles >= 1
    with pytest.raises(NoJob):
        page.job("no such job")


def test_a_job_that_fails_says_so(page: Adding, bridge_index: Path) -> None:
    from rag.store.lock import locked

    page.take("ada", "a.txt", b"One text about ferries.")
    with locked(bridge_index):
        job = over(page, page.add("ada"))
    assert job["state"] == "failed"
    assert job["message"]
    assert "\n" not in job["message"]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("a.txt", "a.txt"),
        ("../../etc/passwd.md", "passwd.md"),
        ("C:\\Users\\x\\a b.html", "a b.html"),
        (".hidden.txt", "hidden.txt"),
        ("a\x00\nb\u202e.txt", "a b .txt"),
        ("x" * 300 + ".txt", "x" * 116 + ".txt"),
    ],
)
def test_names_are_plain(given: str, kept: str) -> None:
    assert plain_name(given) == kept
