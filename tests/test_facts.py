"""What a text states: numbers, dates, names and negations, as they are written."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.answer.asked import name_runs
from rag.answer.dates import Date, dates
from rag.answer.facts import facts
from rag.answer.names import folded, kin, names
from rag.answer.numbers import Number, numbers
from rag.answer.polarity import directions, negations


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [
        ("1,200,000 people", 1_200_000, ""),
        ("1.2 million people", 1_200_000, ""),
        ("1.2m people", 1.2, "m"),
        ("$45m", 45_000_000, "$"),
        ("US$ 45 million", 45_000_000, "$"),
        ("45 million dollars", 45_000_000, "$"),
        ("£1.2bn", 1_200_000_000, "£"),
        ("500 crore rupees", 5_000_000_000, "rupee"),
        ("12 per cent", 12, "%"),
        ("12 percent", 12, "%"),
        ("12%", 12, "%"),
        ("five percentage points", 5, "point"),
        ("three ships", 3, ""),
        ("twenty-five thousand men", 25_000, ""),
        ("two hundred and fifty men", 250, ""),
        ("a dozen eggs", 12, ""),
        ("two-thirds of it", 2 / 3, "part"),
        ("3½ miles", 3.5, "mile"),
        ("a 20-year-old car", 20, "year"),
        ("12 kilometres", 12, "km"),
    ],
)
def test_numbers(text: str, value: float, unit: str) -> None:
    (number,) = numbers(text)
    assert number.low == number.high == pytest.approx(value)
    assert number.unit == unit


@pytest.mark.parametrize("text", ["JF-17", "F-16s", "B2", "one of them", "no one came", "everyone", "the other one."])
def test_what_is_no_number(text: str) -> None:
    assert numbers(text) == ()


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("10 to 12 million", 10e6, 12e6),
        ("between 10 and 12 people", 10, 12),
        ("10-12%", 10, 12),
        ("5–8 ships", 5, 8),
    ],
)
def test_ranges(text: str, low: float, high: float) -> None:
    (number,) = numbers(text)
    assert (number.low, number.high) == (low, high)


def test_a_change_is_no_range() -> None:
    assert [n.low for n in numbers("It rose from 10 to 12 ships.")] == [10, 12]


@pytest.mark.parametrize(
    ("text", "qualifier"),
    [("about 40", "about"), ("some 40", "about"), ("more than 40", "over"), ("up to 40", "under")],
)
def test_qualifiers(text: str, qualifier: str) -> None:
    assert [n.qualifier for n in numbers(text)] == [qualifier]


def test_ranks_are_no_counts() -> None:
    third, three = numbers("the 3rd")[0], numbers("3 ships")[0]
    assert third.ordinal
    assert not three.ordinal
    assert not third.agrees(three)
    assert third.says(numbers("the third time")[0])


@pytest.mark.parametrize(
    ("source", "claim", "borne_out"),
    [
        ("1,203,411 people", "1.2 million people", True),
        ("1.2 million people", "1,203,411 people", False),
        ("1,200,000 people", "1.2 million people", True),
        ("1.2 million people", "1.3 million people", False),
        ("about 40 ships", "40 ships", True),
        ("47 ships", "more than 40 ships", True),
        ("47 ships", "more than 50 ships", False),
        ("more than 40 ships", "40 ships", False),
        ("more than 1,000 ships", "more than 900 ships", False),
        ("5 to 20 minutes", "5 to 22 minutes", False),
        ("5 to 20 minutes", "5–20 minutes", True),
        ("5 to 20 minutes", "10 minutes", False),
        ("12 per cent", "12 dollars", False),
        ("three years", "three months", False),
        ("three", "3", True),
    ],
)
def test_what_a_number_bears_out(source: str, claim: str, borne_out: bool) -> None:
    assert numbers(source)[0].says(numbers(claim)[0]) is borne_out


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("2024-11-20", (2024, 11, 20)),
        ("20 November 2024", (2024, 11, 20)),
        ("Nov. 20, 2024", (2024, 11, 20)),
        ("the 20th of November", (None, 11, 20)),
        ("November 2024", (2024, 11, None)),
        ("in 1998", (1998, None, None)),
        ("28/05/2020", (2020, 5, 28)),
        ("04/05/2020", (2020, None, None)),
        ("in May", (None, 5, None)),
        ("44 BC", (-44, None, None)),
    ],
)
def test_dates(text: str, parts: tuple[int | None, int | None, int | None]) -> None:
    (found,) = dates(text)
    assert (found.year, found.month, found.day) == parts


def test_spans_of_years() -> None:
    assert [(d.year, d.last) for d in dates("the 1990s; the 19th century; 1999–2004; 2014-15")] == [
        (1990, 1999),
        (1801, 1900),
        (1999, 1999),
        (2004, 2004),
        (2014, 2014),
        (2015, 2015),
    ]


def test_weekdays() -> None:
    both, alone = dates("Wednesday, 20 November 2024")[0], dates("It came on Monday.")[0]
    assert (both.weekday, both.day, alone.weekday, alone.day) == (2, 20, 0, None)


@pytest.mark.parametrize("text", ["some 1500 soldiers", "$2000", "They may march.", "May we come?", "2,010", "1850 km"])
def test_what_is_no_date(text: str) -> None:
    assert dates(text) == ()


def test_a_date_says_less_exact_ones() -> None:
    day, month, year, other = (
        dates(t)[0] for t in ("20 November 2024", "November 2024", "in 2024", "21 November 2024")
    )
    assert day.says(month)
    assert day.says(year)
    assert month.says(year)
    assert not year.says(month)
    assert not month.says(day)
    assert day.agrees(month)
    assert month.agrees(day)
    assert not day.agrees(other)
    assert dates("in 1994")[0].says(dates("the 1990s")[0])
    assert not dates("the 1990s")[0].says(dates("in 1994")[0])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Last May Ana Brix met the Lima council.", [("ana", "brix"), ("lima",)]),
        ("It is the Bank of England.", [("bank", "england")]),
        ("Turkey's President Erdoğan spoke.", [("turkey",), ("president", "erdogan")]),
        ("She left the U.S. on Monday.", [("us",)]),
        ("He sold 5 of the JF-17 Block III.", [("jf", "17", "block", "iii")]),
        ("However, nobody came.", []),
    ],
)
def test_names(text: str, found: list[tuple[str, ...]]) -> None:
    assert [n.words for n in names(text)] == found


def test_a_first_word_may_be_no_name() -> None:
    assert [(n.words, n.sure) for n in names("Peru paid Iran.")] == [(("peru",), False), (("iran",), True)]


@pytest.mark.parametrize(
    ("name", "text", "share"),
    [
        ("the European Union", "EU ministers met", 1),
        ("the Turkish fleet", "a fleet of Türkiye", 1),
        ("Armenians", "Armenia", 1),
        ("met Ana Brix", "said Brix", 0.5),
        ("met Ana Brix", "said Lima", 0),
        ("in Iran", "in Iraq", 0),
        ("the SS", "Peru's army", 0),
        ("the US", "a U-boat", 0),
        ("an F-16", "an F16", 1),
        ("an F16", "an F-16", 1),
        ("a Su-25", "a Su25", 1),
        ("a MiG29", "a MiG-29", 1),
    ],
)
def test_names_among_words(name: str, text: str, share: float) -> None:
    (found,) = names(f"x {name}")
    assert found.among(folded(text)) == share


def test_peoples() -> None:
    assert kin("french") == kin("france")
    assert kin("indians") == kin("india")
    assert kin("austrian") != kin("australian")
    assert kin("iran") != kin("iraq")


@pytest.mark.parametrize(
    ("text", "cues"),
    [
        ("They did not sign it.", ["not"]),
        ("They didn't sign it.", ["didn't"]),
        ("Neither Iran nor Peru agreed.", ["neither", "nor"]),
        ("They failed to agree.", ["failed to"]),
        ("She denied that it was so.", ["denied"]),
        ("It left without him.", ["without"]),
        ("Not only did they sign.", []),
        ("It has no fewer than 40.", []),
        ("See No. 5.", []),
    ],
)
def test_negations(text: str, cues: list[str]) -> None:
    assert [n.cue for n in negations(text)] == cues


def test_a_negation_ends_with_its_clause() -> None:
    (found,) = negations("They did not sign the treaty, but Iran did.")
    assert found.stems == ("sign", "treati")


def test_directions() -> None:
    assert [(d.axis, d.sign) for d in directions("Sales rose and prices fell.")] == [("change", 1), ("change", -1)]


def test_what_is_a_date_is_neither_number_nor_name() -> None:
    found = facts("On 3 May 2020 Peru paid US$5.")
    assert [(n.low, n.unit) for n in found.numbers] == [(5, "$")]
    assert [n.words for n in found.names] == [("peru",)]


def test_names_of_questions_are_found_as_before() -> None:
    assert name_runs("Last May Ana Brix met the Lima council. Then Peru paid.") == [["Ana", "Brix"], ["Lima"], ["Peru"]]


PIECES = [
    *"abcdeABC 0123456789.,-–−/%$€'’()\n\t\u00a0½ßİıſ", " million ", " not ", " May ", " 20", " one ", " between ",
    "two", "third", "half", " fırst ", "mİllİon", "thouſand", "Rſ 5", " Sept 2019", " Friday",
]  # fmt: skip
PROSE = st.lists(st.sampled_from(PIECES), max_size=40).map("".join) | st.text(max_size=40)


@given(PROSE)
@settings(max_examples=400, deadline=None)
def test_any_text_can_be_read_and_spans_lie_in_it(text: str) -> None:
    found = facts(text)
    for one in (*found.numbers, *found.dates, *found.names, *found.negations, *found.directions):
        assert 0 <= one.start < one.end <= len(text)
    assert all(n.low <= n.high for n in found.numbers)


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("It fell to -5 degrees.", -5, -5),
        ("It fell to −5.5 degrees (-3 before).", -5.5, -5.5),
        ("Of the sum two\u00a0thirds was paid.", 2 / 3, 2 / 3),
        ("a\thalf of it", 0.5, 0.5),
        ("He came fırst.", 1, 1),
        ("5 MİLLİON crowns", 5e6, 5e6),
        ("5 to 12 lakh rupees", 5e5, 12e5),
        ("10 to 12 crore rupees", 1e8, 1.2e8),
        ("1 to 1.25 billion people", 1e9, 1.25e9),
        ("ten to twelve thousand people", 1e4, 1.2e4),
        ("pages 3-5", 3, 5),
        ("It fell to minus 40 °C.", -40, -40),
        ("It fell to –40 degrees.", -40, -40),
        ("-10 to -20 degrees", -20, -10),
        ("between -10 and -20 degrees", -20, -10),
        ("some 10 -12 km", 10, 12),
        ("10 to 12 dozen eggs", 120, 144),
        ("zero million", 0, 0),
        ("90 to one hundred people", 90, 100),
        ("two to a dozen eggs", 2, 12),
        ("five to one thousand men", 5, 1000),
    ],
)
def test_signs_odd_letters_and_scales_of_ranges(text: str, low: float, high: float) -> None:
    found = facts(text).numbers[0]
    assert (found.low, found.high) == pytest.approx((low, high))


def test_bounds_below_zero_are_kept() -> None:
    below = numbers("below -40 degrees")[0]
    assert below.agrees(numbers("-45 degrees")[0])
    assert not below.agrees(numbers("-25 degrees")[0])
    assert numbers("below 40 degrees")[0].agrees(numbers("35 degrees")[0])


COUNTS = st.builds(
    Number,
    st.just(0),
    st.just(1),
    st.integers(-60, 50).map(float),
    st.integers(50, 60).map(float),
    st.sampled_from(["", "$", "%"]),
    st.sampled_from(["", "about", "over", "under"]),
    st.booleans(),
    st.sampled_from([1.0, 10.0]),
)
DAYS = st.builds(
    lambda year, month, day, weekday: Date(0, 1, year, month, day, weekday, year),
    st.sampled_from([None, 2023, 2024]),
    st.sampled_from([None, 5, 6]),
    st.sampled_from([None, 1, 2]),
    st.sampled_from([None, 0, 1]),
)


@given(COUNTS, COUNTS)
def test_agreement_of_numbers_is_mutual(one: Number, other: Number) -> None:
    assert one.agrees(other) == other.agrees(one)
    assert one.agrees(one)


@given(DAYS, DAYS)
def test_a_date_that_says_another_agrees_with_it(one: Date, other: Date) -> None:
    assert one.agrees(other) == other.agrees(one)
    assert one.agrees(other) or not one.says(other)
