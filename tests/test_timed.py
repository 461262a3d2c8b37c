"""The time that a question names, and what it does to the order of hits."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rag
from rag.timed import Time, Timed, asked_time, asks_for_latest, of_time, times
from rag.types import ArticleHead, Hit, Passage


def year(first: int, last: int | None = None) -> Time:
    return Time(first * 12, (last or first) * 12 + 11)


@pytest.mark.parametrize(
    ("question", "time"),
    [
        ("Who led the union in 2019?", year(2019)),
        ("Who led the union in March 2021?", Time(2021 * 12 + 2, 2021 * 12 + 2)),
        ("Who led the union on 4 March 2021?", Time(2021 * 12 + 2, 2021 * 12 + 2)),
        ("Who led the union on March 4, 2021?", Time(2021 * 12 + 2, 2021 * 12 + 2)),
        ("Who led the union from 1990 to 1993?", year(1990, 1993)),
        ("Who led the union between Jan 1990 and Feb 1993?", Time(1990 * 12, 1993 * 12 + 1)),
        ("Who led the union in 2017–19?", year(2017, 2019)),
        ("Who led the union?", None),
        ("Who counted 12,019 sheep?", None),
        ("Who paid $2019?", None),
        ("Who measured 2019.5 metres?", None),
    ],
)
def test_a_question_names_a_time(question: str, time: Time | None) -> None:
    assert asked_time(question) == time


@pytest.mark.parametrize(
    ("text", "published", "share"),
    [
        ("She led it in 2019.", None, 1.0),
        ("She led it from 2017 to 2021.", None, 1.0),
        ("She led it in 2018.", None, 0.0),
        ("She leads it.", date(2019, 5, 1), 1.0),
        ("She leads it.", date(2020, 1, 31), 1.0),
        ("She leads it.", date(2020, 3, 1), 0.0),
    ],
)
def test_a_passage_is_of_a_year(text: str, published: date | None, share: float) -> None:
    assert of_time(year(2019), text, published) == share


def test_a_year_counts_less_where_a_month_is_asked_for() -> None:
    march = asked_time("in March 2019")
    assert march
    assert of_time(march, "in March 2019", None) > of_time(march, "in 2019", None) > of_time(march, "in May 2019", None)


@pytest.mark.parametrize(
    ("question", "asks"),
    [
        ("Who is the current head of the union?", True),
        ("What is the latest count?", True),
        ("Who leads the union now?", True),
        ("Which country is now called Benin?", False),
        ("Who leads the union?", False),
    ],
)
def test_a_question_asks_how_things_are_now(question: str, asks: bool) -> None:
    assert asks_for_latest(question) == asks


@given(
    st.text(max_size=200)
    | st.lists(st.sampled_from([" ſep 2019", "Jün 1990", " İ", "1999-2000", " May "])).map("".join)
)
def test_any_text_has_times_within_reason(text: str) -> None:
    for t in times(text):
        assert 12_000 <= t.first <= t.last < 26_000


class Fixed:
    """A retriever that finds the same whatever it is asked."""

    def __init__(self, *found: tuple[str, str, date | None, float]) -> None:
        self.hits = [
            Hit(n, score, {}, Passage(id, "r", 0, len(text), "", text), ArticleHead(id, "T", published=published))
            for n, (id, text, published, score) in enumerate(found, 1)
        ]

    def search(self, view: object, query: str, k: int, where: rag.Filter | None = None) -> list[Hit]:
        return self.hits[:k]

    def search_many(
        self, view: object, queries: Sequence[str], k: int, where: rag.Filter | None = None
    ) -> list[list[Hit]]:
        return [self.hits[:k] for _ in queries]


def ids(hits: list[Hit]) -> list[str]:
    assert [h.rank for h in hits] == list(range(1, len(hits) + 1))
    assert [h.score for h in hits] == sorted((h.score for h in hits), reverse=True)
    return [h.article.id for h in hits]


def test_hits_of_the_time_come_first_if_they_are_near() -> None:
    inner = Fixed(("a", "In 2018 he led.", None, 1.0), ("b", "In 2019 she led.", None, 0.97), ("c", "2019.", None, 0.5))
    timed = Timed(inner, weight=0.05)
    assert ids(timed.search(None, "Who led?", 3)) == ["a", "b", "c"]  # type: ignore[arg-type]
    assert ids(timed.search(None, "Who led in 2019?", 3)) == ["b", "a", "c"]  # type: ignore[arg-type]
    assert ids(timed.search(None, "Who led in 2019?", 1)) == ["b"]  # type: ignore[arg-type]


def test_what_lies_behind_the_first_hits_keeps_its_place() -> None:
    inner = Fixed(("a", "x", None, 1.0), ("b", "x", None, 0.9), ("c", "2019", None, 0.89))
    assert ids(Timed(inner, weight=0.2, depth=2).search(None, "Who led in 2019?", 3)) == ["a", "b", "c"]  # type: ignore[arg-type]
    assert ids(Timed(inner, weight=0.2, depth=3).search(None, "Who led in 2019?", 3)) == ["c", "a", "b"]  # type: ignore[arg-type]


def test_newer_articles_come_first_where_it_is_asked_how_things_are_now() -> None:
    inner = Fixed(("a", "x", date(2001, 1, 1), 1.0), ("b", "x", None, 0.99), ("c", "x", date(2020, 1, 1), 0.98))
    assert ids(Timed(inner, weight=0.05).search(None, "Who is the current head?", 3)) == ["c", "a", "b"]  # type: ignore[arg-type]


def test_many_questions_find_what_each_finds() -> None:
    timed = Timed(Fixed(("a", "In 2018.", None, 1.0), ("b", "In 2019.", None, 0.99)), weight=0.05)
    questions = ["Who led in 2019?", "Who led?", "Who led in 2018?"]
    assert timed.search_many(None, questions, 2) == [timed.search(None, q, 2) for q in questions]  # type: ignore[arg-type]


def test_the_article_of_the_year_comes_first(tmp_path: Path) -> None:
    said = "The union of the bakers of Brisk has a new head, whose name is {}, and members cheered in the old hall."
    articles = [
        rag.Article(id=f"y{y}", title="The bakers of Brisk", text=said.format(name), published=date(y, 5, 2))
        for y, name in ((2011, "Ana Orr"), (2015, "Bo Venn"), (2019, "Cy Lund"))
    ]
    rag.ingest(articles, index=tmp_path)
    for y in (2011, 2015, 2019):
        found = rag.search(f"Who is the new head of the union of the bakers of Brisk in {y}?", index=tmp_path)
        assert found[0].article.id == f"y{y}"
