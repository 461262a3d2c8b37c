"""Answers to take along: the words arrive as they are, whatever they look like to Markdown or HTML."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import html
from markdown_it import MarkdownIt

from rag.faces.copied import FORMS, copied, exported
from rag.faces.links import web_address

HOSTILE = (
    "![x](http://a.b/c) <b>bold</b> https://evil.example www.evil.example a@b.example *so* _so_ `code` $x$ ~~no~~ "
    "[1] ^2 &amp; &#33;"
)


def turn(text: str = "It sailed in 1987.", quote: str = "sailed first in 1987", **more: Any) -> dict[str, Any]:
    return {
        "question": "When did the ferry sail?",
        "pieces": [
            {"text": "In ", "role": "plain"},
            {"text": "1987", "role": "strong"},
            {"text": f", {text} ", "role": "plain"},
            {"cite": 1},
            {"text": " ", "role": "plain"},
            {"text": "So it is. ", "role": "plain"},
            {"cite": 2},
            {"cite": 1},
        ],
        "citations": [
            {
                "number": 1,
                "title": "The ferry",
                "authors": ["Ada Brix"],
                "published": "2024-05-03",
                "quote": quote,
                "url": None,
            },
            {
                "number": 2,
                "title": "Two",
                "authors": [],
                "published": None,
                "quote": "so",
                "url": "https://e.org/#:~:text=so",
            },
        ],
        **more,
    }


@pytest.mark.parametrize("form", FORMS)
def test_what_qualifies_an_answer_goes_along(form: Any) -> None:
    noted = turn(end={"outcome": "partly", "notes": ["It does not say who <b>steered</b>."]})
    told = copied(noted, form)
    shown = html.fromstring(told if form == "html" else MarkdownIt().render(told)) if form != "txt" else None
    assert "It does not say who <b>steered</b>." in (told if shown is None else shown.text_content())


def test_markdown_has_footnotes() -> None:
    assert copied(turn(), "md") == (
        "## When did the ferry sail?\n\n"
        "In **1987**, It sailed in 1987.[^1] So it is.[^2] [^1]\n\n"
        "[^1]: Ada Brix, “The ferry”, 2024-05-03: “sailed first in 1987”\n"
        "[^2]: “Two”: “so” <https://e.org/#:~:text=so>\n"
    )


def test_plain_text_and_html_say_the_same() -> None:
    assert copied(turn(), "txt") == (
        "When did the ferry sail?\n\nIn 1987, It sailed in 1987.[1] So it is.[2] [1]\n\n"
        "[1] Ada Brix, “The ferry”, 2024-05-03: “sailed first in 1987”\n[2] “Two”: “so”\n    https://e.org/#:~:text=so\n"
    )
    page = html.fromstring(f"<div>{copied(turn(), 'html')}</div>")
    assert page.findtext(".//h2") == "When did the ferry sail?"
    assert page.find(".//p").text_content() == "In 1987, It sailed in 1987.1 So it is.2 1"
    assert [a.get("href") for a in page.findall(".//p//a")] == ["#fn1", "#fn2", "#fn1"]
    assert [li.get("id") for li in page.findall(".//li")] == ["fn1", "fn2"]
    assert page.findall(".//li")[1].find("a").get("href") == "https://e.org/#:~:text=so"


def rendered(markdown: str) -> tuple[str, set[str]]:
    """Return the text that Markdown shows, and the kinds of what is in it."""
    tokens = [t for b in MarkdownIt("gfm-like").parse(markdown) for t in (b, *(b.children or ()))]
    breaks = {"softbreak": "\n", "hardbreak": "\n", "paragraph_close": "\n"}
    text = "".join(breaks.get(t.type, t.content if t.type in ("text", "text_special") else "") for t in tokens)
    return text, {t.type for t in tokens}


WORDS = st.text(st.sampled_from("ab 1.-#+*_`[](){}<>!|~:/\\&;=\n$^@\"'ä漢\u202e"), min_size=1, max_size=40)


@given(WORDS | st.just(HOSTILE))
def test_words_of_articles_are_words_in_markdown(words: str) -> None:
    one = turn(pieces=[{"text": words, "role": "plain"}], citations=[], question="q")
    text, kinds = rendered(copied(one, "md").partition("\n\n")[2])
    assert " ".join(text.split()) == " ".join(words.split())
    assert kinds <= {"paragraph_open", "paragraph_close", "inline", "text", "text_special", "softbreak", "hardbreak"}


def test_lines_and_paragraphs_stay_what_they_are() -> None:
    pieces = [
        {"text": "First line.\n", "role": "plain"},
        {"text": "Bold", "role": "strong"},
        {"text": " second.\n\nThird: # and\n- an item", "role": "plain"},
    ]
    said = copied(turn(pieces=pieces, citations=[]), "md").partition("\n\n")[2]
    assert MarkdownIt("gfm-like").render(said) == (
        "<p>First line.<br />\n<strong>Bold</strong> second.</p>\n<p>Third: # and<br />\n- an item</p>\n"
    )


def test_what_the_page_says_of_a_source_goes_along() -> None:
    one = turn(end={"outcome": "stopped"})
    one["citations"][0]["verdict"], one["citations"][1]["verdict"] = "partial", "supported"
    for form in FORMS:
        said = copied(one, form)
        assert said.count("backs this only in part") == 1
        assert "This answer was not written to its end." in said
    assert "not written" not in copied(turn(end={"outcome": "answered"}), "txt")


def test_a_long_run_of_spaces_is_no_work() -> None:
    began = time.process_time()
    copied(turn(pieces=[{"text": " " * 200_000 + "x" + " " * 200_000, "role": "strong"}]), "md")
    assert time.process_time() - began < 5


@given(WORDS | st.just(HOSTILE) | st.just("</p><script>alert(1)</script>"))
def test_words_of_articles_are_words_in_html(words: str) -> None:
    one = turn(pieces=[{"text": words, "role": "strong"}], citations=[], question=words)
    page = html.fromstring(f"<div>{copied(one, 'html')}</div>")
    assert {e.tag for e in page.iter()} <= {"div", "h2", "p", "strong", "br"}
    assert " ".join(page.find(".//h2").text_content().split()) == " ".join(words.split())


def test_an_address_breaks_out_of_nothing() -> None:
    url = web_address('https://e.org/"><script>alert(1)</script> <b>')
    one = turn()
    one["citations"][1]["url"] = url
    page = html.fromstring(f"<div>{copied(one, 'html')}</div>")
    assert page.find(".//script") is None
    assert page.findall(".//li")[1].find("a").get("href") == url
    tokens = [t for b in MarkdownIt("gfm-like").parse(copied(one, "md")) for t in (b, *(b.children or ()))]
    assert "html_inline" not in {t.type for t in tokens}
    assert "html_block" not in {t.type for t in tokens}


@pytest.mark.parametrize("form", FORMS)
def test_a_conversation_is_exported_whole(form: Any) -> None:
    said = exported("Ferries & <more>", [turn(), turn(question="And why?")], form)
    assert said.count("sailed first in 1987") == 2
    assert "And why?" in said
    if form == "md":
        assert "[^1-1]:" in said
        assert "[^2-1]:" in said
        assert said.startswith("# Ferries \\& \\<more\\>\n")
    if form == "html":
        assert "<title>Ferries &amp; &lt;more&gt;</title>" in said
        page = html.fromstring(said)
        assert len(ids := [e.get("id") for e in page.iter() if e.get("id")]) == len(set(ids)) == 4


def test_a_turn_of_which_nothing_came_is_its_question() -> None:
    for form in FORMS:
        assert "When did the ferry sail?" in copied(turn(pieces=[], citations=[]), form)
