"""One page into articles: listing pages in many styles, pages of one article, and laws for any text."""

from __future__ import annotations

import json
import os
import time
from datetime import date
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.intake.split import Piece, made_title, split
from rag.intake.text import clean

PAGES = Path(__file__).parent / "pages"
NAMES = sorted(path.stem for path in PAGES.glob("*.txt"))


def pieces_of(name: str) -> tuple[list[Piece], list[dict[str, object]]]:
    return (
        split(clean((PAGES / f"{name}.txt").read_text("utf-8"))),
        json.loads((PAGES / f"{name}.json").read_text("utf-8")),
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_page_gives_the_articles_it_holds(name: str) -> None:
    pieces, expected = pieces_of(name)
    seen = [(p.authors, p.published) for p in pieces]
    assert seen == [(tuple(e["authors"]), e["published"] and date.fromisoformat(e["published"])) for e in expected]
    for piece, wanted in zip(pieces, expected, strict=True):
        if wanted["title"] is None:
            assert piece.title_made
        else:
            assert (piece.title, piece.title_made) == (wanted["title"], False)
        if "first" in wanted:
            assert piece.text.startswith(wanted["first"])
            assert piece.text.endswith(wanted["last"])
        for paragraph in wanted.get("must", ()):
            assert paragraph in piece.text
        for crumb in wanted.get("gone", ()):
            assert crumb not in piece.text
        if "sections" in wanted:
            assert [s.name for s in piece.sections] == wanted["sections"]


@pytest.mark.parametrize("name", NAMES)
def test_every_line_of_an_article_stands_in_the_page_in_order(name: str) -> None:
    page = clean((PAGES / f"{name}.txt").read_text("utf-8"))
    pieces = split(page)
    assert pieces
    at = 0
    for piece in pieces:
        for line in piece.text.split("\n"):
            found = page.find(line, at)
            assert found >= at, f"{line[:60]!r} is not in the page behind what came before"
            at = found + len(line)


def test_sections_start_after_their_label_and_the_label_stays_in_the_text() -> None:
    pieces, _ = pieces_of("labelled-sections")
    for piece in pieces:
        background, implications, conclusion = piece.sections
        assert not piece.text[background.start].isspace()
        assert piece.text[: background.start].rstrip().endswith(":")
        assert piece.text[background.end : implications.start].strip() == "IMPLICATIONS:"
        assert conclusion.end == len(piece.text)


def test_furniture_stays_out_of_the_text() -> None:
    pieces, _ = pieces_of("labelled-sections")
    text = "\n".join(piece.text for piece in pieces)
    for crumb in (".jpg", "Photo by", "BIO", "spambots", "Filed under", "Visit also", "Newsletter", "harbour wall"):
        assert crumb not in text


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("It rained. Then it stopped.", "It rained"),
        ("BACKGROUND:  It rained. Then it stopped.", "It rained"),
        ("word " * 40, "word word word word word word word word word word word word word word word word…"),
    ],
)
def test_a_made_title_is_the_lead_cut_at_a_word(text: str, title: str) -> None:
    assert made_title(text) == title


def test_the_page_of_five_analyses_gives_five_articles() -> None:
    data = os.environ.get("RAG_EVAL_DATA")
    if not data:
        pytest.skip("RAG_EVAL_DATA is not set")
    page = clean((Path(data) / "analyst-page" / "page.txt").read_text("utf-8"))
    pieces = split(page)
    haider = ("Syed Fazl-e-Haider",)
    assert [p.authors for p in pieces] == [haider, haider, haider, ("Ghulam Ali",), ("Vali Kaleji",)]
    assert [p.published for p in pieces] == [None, None, None, date(2024, 11, 20), date(2024, 3, 28)]
    assert [p.title_made for p in pieces] == [True, True, True, False, True]
    assert pieces[3].title == "Security Concerns Impede China-Pakistan Relations"
    usual = ["BACKGROUND", "IMPLICATIONS", "CONCLUSION"]
    assert [[s.name for s in p.sections] for p in pieces] == [usual, usual, usual, usual, []]
    for piece in pieces:
        for crumb in ("BIO", "spambots", "Published in", "Photo by", ".jpg", "Visit also", "Newsletter"):
            assert crumb not in piece.text
        assert piece.text.endswith(".")


# Longer than the one line that may be a page's own last word.
_PARAGRAPH = (
    "The paragraph goes on for a while, as paragraphs do, and then it comes to a comma, after which it goes on, as "
    "it has more to say than a line at the foot of a page would have, and at last it comes to a full stop at its end."
)
_LINES = st.sampled_from(
    [
        "",
        "By Jane Doe",
        "Jane Doe",
        "3 March 2024",
        "Posted on 3 March 2024 by Jane Doe",
        "A Short Title",
        "---",
        "Read more",
        "Published in Notes",
        "BACKGROUND: a first sentence of the section, long enough to be one. And another one behind it.",
        _PARAGRAPH,
        "  indented words of no great length",
        "photo_1.jpg",
        "\u00a0",
        "Dear Sir,",
        "## Marked",
    ]
)
_PAGES = st.one_of(st.text(max_size=400), st.lists(_LINES, max_size=40).map("\n".join)).map(clean)


@settings(max_examples=300, deadline=None)
@given(_PAGES)
def test_pieces_are_in_order_and_never_overlap(page: str) -> None:
    at = 0
    for piece in split(page):
        assert piece.text
        assert piece.title
        for line in piece.text.split("\n"):
            at = page.index(line, at) + len(line)
        for section in piece.sections:
            assert 0 <= section.start <= section.end <= len(piece.text)
        for one, other in pairwise(piece.sections):
            assert one.end <= other.start


@settings(max_examples=300, deadline=None)
@given(_PAGES)
def test_no_paragraph_is_lost(page: str) -> None:
    assert sum((piece.title + piece.text).count(_PARAGRAPH) for piece in split(page)) >= page.count(_PARAGRAPH)


@pytest.mark.parametrize(
    "page",
    [
        "x" * 1_000_000,
        "By " * 333_000,
        "A" * 40 + ":" * 1_000_000,
        "Jane Doe\n" * 110_000,
        "3 March 2024\n" * 77_000,
        "a.b " * 250_000,
        "- " * 500_000,
        "*" * 1_000_000,
        "Published in X\n\nA paragraph, and it is as long as paragraphs of this kind have to be, or so.\n" * 11_000,
        "\n" * 1_000_000,
        "# " * 500_000,
        "Dear Sir,\n" * 100_000,
    ],
    ids=lambda page: repr(page[:16]),
)
def test_half_a_megabyte_of_anything_takes_no_longer_than_its_parts(page: str) -> None:
    def seconds(text: str) -> float:
        started = time.process_time()
        split(text)
        return time.process_time() - started

    part = seconds(page[: len(page) // 8])
    # What looked at every line with every other would take sixteen times as long.
    assert seconds(page[: len(page) // 2]) < 8 * part + 0.5


def test_an_empty_page_gives_no_articles() -> None:
    assert split("") == split(" \n\u00a0\n") == []
