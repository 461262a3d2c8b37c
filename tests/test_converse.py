"""A follow-up takes along what it leaves out, and a question that leaves nothing out stays as it is."""

from __future__ import annotations

import pytest

from rag.converse import LONGEST, standalone


def alone(question: str, *before: str) -> str:
    return standalone(question, [{"role": "user", "content": b} for b in before])


@pytest.mark.parametrize(
    ("question", "before", "wanted"),
    [
        ("And in 1982?", "Who ruled Kenya in 1978?", "Who ruled Kenya in 1982?"),
        ("what about March 1990", "Who ruled Kenya in 1978?", "Who ruled Kenya in March 1990?"),
        ("And in 1982?", "Who ruled Kenya?", "Who ruled Kenya in 1982?"),
        ("And the year after?", "Who ruled Kenya in 1978?", "Who ruled Kenya in 1979?"),
        ("three years earlier?", "Who ruled Kenya in May 1978?", "Who ruled Kenya in 1975?"),
        ("And in May of the next year?", "Who ruled Kenya in 1978?", "Who ruled Kenya in May 1979?"),
        ("Five years before?", "Who won the league in 2000–01?", "Who won the league in 1995–96?"),
        ("And the next year?", "Who won the league in 1998–99?", "Who won the league in 1999–00?"),
        ("And the following year?", "What did Kenya sell in 2023–24?", "What did Kenya sell in 2024–25?"),
        ("And on 3 May 1990?", "What opened on 1 May 1990?", "What opened on 3 May 1990?"),
        ("And in 1991?", "What opened on 1 May 1990?", "What opened in 1991?"),
    ],
)
def test_another_time(question: str, before: str, wanted: str) -> None:
    assert alone(question, before) == wanted


@pytest.mark.parametrize(
    ("question", "before", "wanted"),
    [
        ("And Peru?", "When did Kenya join the union?", "When did Peru join the union?"),
        ("what about the Lena bridge?", "How long is the Orsk bridge?", "How long is the Lena bridge?"),
        ("How about Peru's?", "Who wrote Kenya's constitution?", "Who wrote Peru's constitution?"),
        (
            "And to Peru?",
            "How many jets did Kenya sell to Chile in May?",
            "How many jets did Kenya sell to Peru in May?",
        ),
        ("And Peru?", "When did the United Kingdom leave the Union?", "When did Peru leave the Union?"),
        ("And the Lena bridge?", "When did the Orsk–Kiel railway open?", "When did the Lena bridge open?"),
        ("And the second?", "When did the Kaan make its first flight?", "When did the Kaan make its second flight?"),
        ("What about the last one?", "When did the first Orsk ferry sail?", "When did the last Orsk ferry sail?"),
        ("And the third flight?", "When was its first flight?", "When was its third flight?"),
        ("And the second bridge?", "When was the first Orsk bridge built?", "When was the second bridge built?"),
        ("And the Lima harbour?", "What is the Kiel ferry?", "What is the Lima harbour?"),
        ("And Peru?", "Russians left Russia in what year?", "Russians left Peru in what year?"),
        ("And Ilse?", "When did Duran Duran split up?", "When did Ilse split up?"),
        ("And Mr. Smith's?", "What was Mr. Jones's salary?", "What was Mr. Smith's salary?"),
        ("And Peru?", "How many Mirage jets did Kenya order?", "How many Mirage jets did Peru order?"),
        ("and the Tana?", "How long is the Nile?", "How long is the Tana?"),
        ("And in Kenya?", "Which jets did Peru buy?", "Which jets did Peru buy in Kenya?"),
    ],
)
def test_another_thing(question: str, before: str, wanted: str) -> None:
    assert alone(question, before) == wanted


@pytest.mark.parametrize(
    ("question", "before", "wanted"),
    [
        ("Why?", "When did Kenya sell its jets?", "Why did Kenya sell its jets?"),
        ("For how much?", "Did Kenya sell its jets to Peru?", "For how much did Kenya sell its jets to Peru?"),
        ("why?", "How much grain did Kenya sell?", "why? (How much grain did Kenya sell?)"),
        ("Tell me more!", "Who rules Kenya?", "Tell me more! (Kenya)"),
        ("Tell me more", "What is it?", "Tell me more"),
        ("Why?", "Why? (It rains)", "Why? (It rains)"),
        ("Why so?", "So it is late? (Kenya)", "Why? (So it is late? (Kenya))"),
        ("Thanks a lot", "Who rules Kenya?", "Thanks a lot"),
        ("Since when, then?", "Who rules Kenya?", "Since when? (Who rules Kenya?)"),
    ],
)
def test_going_on(question: str, before: str, wanted: str) -> None:
    assert alone(question, before) == wanted


@pytest.mark.parametrize(
    ("question", "before", "wanted"),
    [
        ("How much did it cost?", ["Which jets did Kenya buy?"], "How much did it cost? (Kenya)"),
        ("Who made them?", ["what is grain?"], "Who made them? (grain)"),
        ("Who made it?", ["What is grain?", "OK, great!"], "Who made it? (grain)"),
        ("Who made it?", ["Where is Lima?", "and the weather there?"], "Who made it? (Lima)"),
        ("When did that war end?", ["Who began the Boer War?", "Where is Lima?"], "When did that war end? (Boer War)"),
        ("How long is the first one?", ["Where is the Orsk bridge?", "And the Lena bridge?"],
         "How long is the first one? (Orsk)"),
        ("Did Peru buy them?", ["Which Mirage jets did Kenya sell?"], "Did Peru buy them? (Mirage, Kenya)"),
    ],
)  # fmt: skip
def test_the_subject_in_brackets(question: str, before: list[str], wanted: str) -> None:
    assert alone(question, *before) == wanted


@pytest.mark.parametrize(
    "question",
    [
        "How long is the Nile?",
        "How much does one Nile boat cost?",
        "Did Peru say that it would pay?",
        "What is a loitering munition?",
        "When did the Lena bridge open?",
    ],
)
def test_a_question_that_leans_on_nothing_is_left_alone(question: str) -> None:
    assert alone(question, "Which jets did Kenya buy?") == question


def test_without_a_history_and_with_answers_in_it() -> None:
    assert alone("Who made them?") == "Who made them?"
    history = [
        {"role": "user", "content": "Which jets did Kenya buy?"},
        {"role": "assistant", "content": "Kenya bought Mirage jets from Peru."},
    ]
    assert standalone("Who made them?", history) == "Who made them? (Kenya)"


def test_follow_ups_lean_on_follow_ups() -> None:
    assert alone("And Chile?", "When did Kenya join?", "And Peru?") == "When did Chile join?"
    assert alone("Why?", "When did Kenya join?", "And Peru?", "And Chile?") == "Why did Chile join?"


def test_a_question_does_not_grow_with_every_turn() -> None:
    long = [{"role": "user", "content": f"And Kenya in {1900 + n}? {'It is so long ago. ' * 40}"} for n in range(20)]
    assert len(standalone("And by whom?", long)) <= LONGEST
    assert standalone("Why?", [{"role": "user", "content": f"Who rules {'Kenya ' * 500}?"}]) == "Why?"
