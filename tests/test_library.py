"""The library of the page: a table in any order, a picture that counts every article once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.errors import UnknownArticle
from rag.faces.library import BARS, NAMES, ROWS, Library, Wish, spread
from rag.types import Article, ArticleHead, Filter, Fingerprint, Passage, Stats


class Shelf:
    """Articles in a list; `reads` counts how often all of them were read."""

    def __init__(self, articles: Sequence[Article]) -> None:
        self.kept, self.generation, self.reads = list(articles), 1, 0

    def articles(self, where: Filter | None = None) -> list[tuple[ArticleHead, int]]:
        self.reads += where is None
        return [(a.head, len(a.text)) for a in self.kept if not where or set(where.authors) & set(a.authors)]

    def cut(self, id: str) -> tuple[Article, list[Passage]]:
        for a in self.kept:
            if a.id == id:
                lead = Passage(a.id, a.revision, 0, 3, "LEAD", a.text[:3])
                return a, [lead, Passage(a.id, a.revision, 3, 6, "", a.text[3:6])]
        raise UnknownArticle(f"no article {id!r}")

    def sections(self) -> list[str]:
        return ["LEAD"]

    def stats(self) -> Stats:
        return Stats(len(self.kept), 7, 1, 0, self.generation, 0, Fingerprint("m", "0", 1, 64, 48, 0))


ARTICLES = [
    Article("a", "Öre and silver", "x" * 9, ("Ada Brix",), date(2020, 5, 1), "https://example.org/a", "north"),
    Article("b", "zinc", "x" * 7, ("Bo", "Ada Brix"), date(2021, 5, 1), None, "south"),
    Article("c", "Copper", "x" * 8, (), None, "javascript:alert(1)", "north", title_made=True),
]


def ids(library: Library, **wish: object) -> list[str]:
    return [r["id"] for r in library.table(Wish(**{"where": Filter(), **wish}))["rows"]]  # type: ignore[arg-type]


def test_every_column_orders_both_ways_and_what_is_unknown_comes_last_going_down() -> None:
    library = Library(Shelf(ARTICLES))
    assert ids(library) == ["b", "a", "c"]
    assert ids(library, by="published", down=False) == ["c", "a", "b"]
    assert ids(library, by="title", down=False) == ["c", "a", "b"]
    assert ids(library, by="authors", down=False) == ["c", "a", "b"]
    assert ids(library, by="passages") == ["a", "c", "b"]
    assert ids(library, by="source", down=False) == ["a", "c", "b"]
    assert ids(library, by="no such column") == ["b", "a", "c"]


def test_words_are_found_in_titles_authors_and_sources_whatever_their_case() -> None:
    library = Library(Shelf(ARTICLES))
    assert ids(library, words="ORE") == ["a"]
    assert ids(library, words="brix south") == ["b"]
    assert ids(library, words="brix moon") == []
    assert ids(library, where=Filter(authors=("Ada Brix",)), words="north") == ["a"]
    row = library.table(Wish(Filter(), "copper"))["rows"][0]
    assert row == {
        "id": "c",
        "title": "Copper",
        "authors": [],
        "published": None,
        "made": True,
        "source": "north",
        "passages": 8,
    }


def test_a_long_table_comes_in_parts() -> None:
    many = [Article(f"a{n:04}", f"T{n:04}", "x" * (n + 1)) for n in range(ROWS + 5)]
    library = Library(Shelf(many))
    first = library.table(Wish(Filter(), by="title", down=False))
    rest = library.table(Wish(Filter(), by="title", down=False, skip=ROWS))
    assert (first["found"], first["all"]) == (ROWS + 5, ROWS + 5)
    assert [r["id"] for r in first["rows"] + rest["rows"]] == [a.id for a in many]


def test_the_list_is_read_again_only_when_the_index_has_changed() -> None:
    shelf = Shelf(ARTICLES)
    library = Library(shelf)
    ids(library), ids(library, words="zinc"), library.choices()
    assert shelf.reads == 1
    shelf.kept, shelf.generation = shelf.kept[:1], 2
    assert ids(library) == ["a"]
    assert shelf.reads == 2


def test_the_picture_and_the_choices_count_each_article() -> None:
    library = Library(Shelf(ARTICLES))
    picture = library.picture(Filter())
    assert (picture["articles"], picture["undated"]) == (3, 1)
    assert sum(s["articles"] for s in picture["times"]) == 2
    # A name that stands once is only counted.
    assert picture["authors"] == {"first": [{"name": "Ada Brix", "articles": 2}], "more": 1}
    assert picture["sources"] == {"first": [{"name": "north", "articles": 2}], "more": 1}
    choices = library.choices()
    assert choices["authors"] == [{"name": "Ada Brix", "articles": 2}, {"name": "Bo", "articles": 1}]
    assert choices["sections"] == ["LEAD"]
    many = [Article(f"{n}", "T", "x", (f"A{n // 2}",)) for n in range(2 * NAMES + 4)]
    authors = Library(Shelf(many)).picture(Filter())["authors"]
    assert (len(authors["first"]), authors["more"]) == (NAMES, 2)
    empty = Library(Shelf([])).picture(Filter())
    assert (empty["times"], empty["authors"]["first"]) == ([], [])


def test_one_article_comes_with_its_passages_and_no_address_that_is_none() -> None:
    library = Library(Shelf(ARTICLES))
    found = library.article("a")
    assert found["url"] == "https://example.org/a"
    assert [(p["section"], p["start"], p["end"], p["text"]) for p in found["cut"]] == [
        ("LEAD", 0, 3, "xxx"),
        ("", 3, 6, "xxx"),
    ]
    assert library.article("c")["url"] is None
    with pytest.raises(UnknownArticle):
        library.article("nothing")


DAYS = st.lists(st.dates(), min_size=1, max_size=60)
NEAR = st.builds(
    lambda first, steps: [first + timedelta(days=s) for s in steps],
    st.dates(date(1900, 1, 1), date(2100, 1, 1)),
    st.lists(st.integers(0, 3_000), min_size=1, max_size=60),
)


@given(DAYS | NEAR, st.integers(2, BARS))
def test_every_day_is_in_one_stretch_and_stretches_follow_each_other(days: list[date], most: int) -> None:
    found = list(spread(days, most))
    assert 1 <= len(found) <= most
    assert sum(s["articles"] for s in found) == len(days)
    edges = [(date.fromisoformat(s["since"]), date.fromisoformat(s["until"])) for s in found]
    assert all(a <= b for a, b in edges)
    for (_, end), (begin, _) in pairwise(edges):
        assert begin - end == timedelta(days=1)
    assert found[0]["articles"] > 0 or len(found) == 1
    assert found[-1]["articles"] > 0


def test_stretches_are_days_months_years_or_longer() -> None:
    def of(*days: date) -> list[tuple[str, str]]:
        return [(s["since"], s["until"]) for s in spread(days)]

    assert of(date(2024, 2, 28), date(2024, 3, 1)) == [
        ("2024-02-28", "2024-02-28"),
        ("2024-02-29", "2024-02-29"),
        ("2024-03-01", "2024-03-01"),
    ]
    assert of(date(2023, 12, 30), date(2024, 2, 29))[:2] == [("2023-12-01", "2023-12-31"), ("2024-01-01", "2024-01-31")]
    assert of(date(1990, 5, 1), date(2020, 1, 1))[0] == ("1990-01-01", "1990-12-31")
    assert of(date(1903, 5, 1), date(2020, 1, 1))[0] == ("1900-01-01", "1904-12-31")
    assert of(date(1, 1, 1), date(9999, 12, 31))[-1][1] == "9999-12-31"
