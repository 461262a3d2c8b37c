"""Sources that answer a question differently, and the many that only seem to."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rag
from rag.answer.disagree import MOST, NEAR, disagreement
from rag.answer.facts import numbers
from rag.answer.measured import measured
from rag.answer.sides import note, quoted
from rag.answer.wanted import wanted
from rag.engine import Engine
from rag.faces import show
from rag.faces.view import Turn
from rag.handover import Evidence, EvidenceSentence, Mark
from rag.types import ArticleHead, Hit, Passage, Text

CONFLICT = Path(__file__).parent.parent / "eval" / "questions" / "conflict"


def evidence(question: str, *told: str, days: Sequence[date | None] = (), titles: Sequence[str] = ()) -> Evidence:
    """Return evidence in which each text is a sentence of an article of its own, best first."""
    sentences = []
    for n, text in enumerate(told):
        day = days[n] if n < len(days) else date(2020, 1, 1 + n)
        head = ArticleHead(f"a{n}", titles[n] if n < len(titles) else "News", published=day)
        hit = Hit(n + 1, 1 - n / 100, {}, Passage(head.id, "r", 0, len(text), "", text), head)
        sentences.append(EvidenceSentence(hit, 0, len(text), text, 5.0 - n))
    return Evidence(question, tuple(s.hit for s in sentences), tuple(sentences), 0.9)


LIMA = "How many people were killed in the Lima bombing?"
IRAN = "How many soldiers does Iran have?"
TREATY = "Did the parliament approve the treaty?"
PERU = "Who is the prime minister of Peru?"


@pytest.mark.parametrize(
    ("question", "one", "other"),
    [
        (LIMA, "The bombing in Lima killed 12 people.", "Officials said 19 people were killed in the Lima bombing."),
        (LIMA, "The bombing in Lima killed twelve people.", "At least 15 people were killed in the bombing in Lima."),
        (IRAN, "Iran has 500,000 soldiers.", "Iran has 350,000 soldiers."),
        ("how many soldiers does iran have", "Iran has 500,000 soldiers.", "Iran has 350,000 soldiers."),
        ("How much did the drone cost?", "The drone cost 5 million dollars.", "The drone cost about $7m."),
        ("How deep is the lake?", "The lake is 1,620 metres deep.", "The depth of the lake is 1.7 kilometres."),
        ("What share of voters is left-handed?", "One voter in ten is left-handed.", "Of voters 15% are left-handed."),
        ("What is the unemployment rate in Peru?", "The unemployment rate in Peru is 7 per cent.",
         "The unemployment rate in Peru is 9.5%."),
        ("How high is the Rose Tower?", "The Rose Tower is 90 metres high.",
         "The height of the Rose Tower is 80 metres."),
        ("When will the bridge open?", "The bridge will open in March 2021.", "The bridge will open in June 2022."),
        ("On which day did the bridge open?", "The bridge opened on 7 May 2021.", "On 8 May the bridge opened."),
        ("When did the new film of Orr come out?", "The new film of Orr was released in 2017.",
         "Orr saw his new film released in 2018."),
        (PERU, "Ana Orr is the prime minister of Peru.", "The prime minister of Peru is Bo Venn."),
        ("Who won the 2020 election in Peru?", "Ana Orr won the 2020 election in Peru.",
         "The 2020 election in Peru was won by Bo Venn."),
        ("Which company built the bridge?", "Acme Steel built the bridge.", "The bridge was built by Zeta Works."),
        ("What is the capital of Brisk?", "The capital of Brisk is Orr.", "Venn Town is the capital of Brisk."),
        ("Where was the drone shot down?", "The drone was shot down over Libya.", "The drone was shot down over Chad."),
        ("Which is the longest river?", "The Nile is the longest river.", "Some say the Amazon is the longest river."),
        (TREATY, "The parliament approved the treaty.", "The parliament did not approve the treaty."),
        (TREATY, "The parliament approved the treaty on Monday.", "The parliament rejected the treaty."),
        ("Was anyone hurt in the Lima fire?", "No one was hurt in the Lima fire.", "Two were hurt in the Lima fire."),
        ("When was the parade in Baku?", "Ana Orr said the parade in Baku was on 3 May 2020.",
         "Bo Venn said the parade in Baku was on 5 June 2025."),
        ("What is the highest air temperature ever recorded?", 
         "The highest air temperature recorded is 57.8 °C, in Libya.",
         "The highest air temperature recorded is 134 °F, in California on 10 July 1913."),
    ],
)  # fmt: skip
def test_sources_differ(question: str, one: str, other: str) -> None:
    found = disagreement(evidence(question, one, other))
    assert found
    assert {s.sentence.text for s in found.sides} == {one, other}
    assert disagreement(evidence(question, other, one)), "the order must not matter"


@pytest.mark.parametrize(
    ("question", "one", "other"),
    [
        (LIMA, "The bombing in Lima killed 12 people.", "The bombing in Lima killed a dozen people."),
        (LIMA, "The bombing in Lima killed 12 people.", "The bombing in Lima killed more than 10 people."),
        (LIMA, "The bombing in Lima killed 12 people.", "12 people were killed in the Lima bombing, 40 people hurt."),
        (LIMA, "The bombing in Lima killed 12 people.", "The bombing in Quito killed 19 people."),
        (LIMA, "The bombing in Lima killed 12 people.", "The Lima bombing killed 19 people, it was said earlier."),
        (LIMA, "The bombing in Lima killed 12 people.", "The Lima bombing may have killed 19 people."),
        (IRAN, "Iran has 500,000 soldiers.", "Iran had 400,000 soldiers in 1990."),
        (IRAN, "Iran has 500,000 soldiers.", "Iran has 20,000 soldiers in Syria."),
        (IRAN, "Iran has 500,000 soldiers.", "Iran has 20,000 professional soldiers."),
        (IRAN, "Iran has 500,000 soldiers.", "Iran has 300 ships."),
        (IRAN, "Iran has 500,000 soldiers.", "Iran has half a million soldiers."),
        (IRAN, "Iran has about 500,000 soldiers.", "Iran has 512,340 soldiers."),
        (IRAN, "Iran has 500,000 soldiers.", "Iran has many soldiers, while Iraq has 200,000 soldiers."),
        ("How much did the drone cost?", "The drone cost 5 million dollars.", "The drone cost about $5.1m."),
        ("How much did the drone cost?", "The drone cost 5 million dollars.", "The drone cost 4 million euros."),
        ("How long is the line?", "The line is 118 kilometres long.", "The line is 73 miles long."),
        ("How long is the bridge?", "The bridge is 5 kilometres long.", "The bridge, 30 metres wide, took 5 years."),
        ("How long is the Nile?", "The Nile is 6,650 kilometres long.", "The Blue Nile is 1,450 kilometres long."),
        ("How long is the Nile?", "The Nile is 6,650 kilometres long.",
         "The Amazon is 6,992 kilometres long, and the Nile is 6,650 kilometres long."),
        ("How high is Denali?", "Denali is 6,190 metres high.", "Denali lies 210 kilometres north of the town."),
        ("How high is Denali?", "Denali is 6,190 metres high.", "Denali is 20,310 feet high."),
        ("What share of people is left-handed?", "One in ten people is left-handed.", "10% of people are left-handed."),
        ("When will the bridge open?", "The bridge will open in March 2021.", "The bridge opens on 4 March."),
        ("When did the bridge open?", "The bridge opened on 4 March 2021.", "The bridge opened in 2021."),
        ("When did the bridge open?", "The bridge opened in 2021.", "The bridge opened late, by a study of 2023."),
        ("When did the bridge open?", "The bridge opened in 2021.", "Work on the bridge began in 2018."),
        ("What percentage of power is made by steam?", "Of power 90% is made by steam.",
         "Of power 80% is made by steam, while turbines, with all that turns them, make 90%."),
        (PERU, "Ana Orr is the prime minister of Peru.", "The prime minister of Peru is Ana Maria Orr."),
        (PERU, "Ana Orr is the prime minister of Peru.", "Bo Venn met the prime minister of Peru."),
        (PERU, "Ana Orr is the prime minister of Peru.", "Bo Venn is the prime minister of Chile."),
        ("Who won the election in Peru?", "Ana Orr won the 2020 election in Peru.",
         "Bo Venn won the 2016 election in Peru."),
        ("Which planet has the most moons?", "Saturn has the most moons.", "Jupiter has 95 moons."),
        (TREATY, "The parliament approved the treaty.", "The parliament approved the treaty on Monday."),
        (TREATY, "The parliament approved the treaty.", "The parliament did not debate the law."),
        ("When does season 4 of the show start?", "The fourth season of the show starts in 2017.",
         "The fifth season of the show starts in 2018."),
        ("When did the producers of oil lift the embargo?", "The producers of oil lifted the embargo in 1974.",
         "The producers of oil joined the embargo in 1973."),
        ("When were the Normans in Normandy?", "Normans left Normandy by 1066.",
         "The Normans were in Normandy in 911."),
        ("What is the protocol suite?", "X.25 is the protocol suite.", "AppleTalk is the protocol suite."),
        ("Who played the bear?", "An American played the bear.", "A Briton played the bear."),
        ("When was the parade in Baku?", "The Guild held the parade in Baku on 3 May 2020.",
         "The Navy held the parade in Baku on 5 June 2025."),
        ("Why was the bridge closed?", "The bridge was closed in 2020.", "The bridge was closed in 2021."),
    ],
)  # fmt: skip
def test_sources_do_not_differ(question: str, one: str, other: str) -> None:
    assert disagreement(evidence(question, one, other)) is None
    assert disagreement(evidence(question, other, one)) is None


TWO = ("Iran has 500,000 soldiers.", "Iran has 350,000 soldiers.")


def test_an_article_does_not_differ_from_itself_or_from_its_twin() -> None:
    found = evidence(IRAN, *TWO)
    assert disagreement(found)
    one, two = found.sentences
    assert disagreement(found, {"a0": [two.hit.article]}) is None
    assert disagreement(found, {"a1": [one.hit.article]}) is None
    assert disagreement(found, {"a0": [ArticleHead("b", "T")]})
    printed = replace(one, hit=replace(one.hit, also=(two.hit.article,)))
    assert disagreement(replace(found, sentences=(printed, two))) is None
    same = replace(two, hit=replace(two.hit, article=one.hit.article))
    assert disagreement(replace(found, sentences=(one, same))) is None


def test_a_side_stands_near_the_top() -> None:
    between = ["Nothing is told here."] * NEAR
    assert disagreement(evidence(IRAN, TWO[0], *between[:3], TWO[1]))
    assert disagreement(evidence(IRAN, TWO[0], *between, TWO[1])) is None
    assert disagreement(evidence(IRAN, *between[:4], *TWO)) is None


def test_a_name_may_stand_in_the_title() -> None:
    told = ("The telescope cost 9 billion dollars.", "The telescope has cost 10.5 billion dollars.")
    question = "How much did the Hubbard telescope cost?"
    assert disagreement(evidence(question, *told, titles=("Hubbard at last", "Hubbard is late")))
    assert disagreement(evidence(question, *told, titles=("Hubbard at last", "Webb is late"))) is None


def test_the_time_of_the_question_decides() -> None:
    told = ("Saturn has 82 known moons.", "Saturn has 145 known moons.")
    days = (date(2019, 10, 7), date(2023, 5, 23))
    assert disagreement(evidence("How many known moons does Saturn have?", *told, days=days))
    assert disagreement(evidence("How many known moons did Saturn have in 2019?", *told, days=days)) is None
    assert disagreement(evidence("How many known moons did Saturn have in 2005?", *told, days=days))


def test_the_newest_side_comes_first_and_undated_ones_last() -> None:
    told = [f"Iran has {n}00,000 soldiers." for n in (1, 3, 5, 7, 9)]
    days = (date(2001, 5, 3), None, date(2021, 6, 9), date(2011, 1, 1), date(2012, 1, 1))
    found = disagreement(evidence(IRAN, *told, days=days))
    assert found
    assert len(found.sides) == MOST
    for most, sides in ((1, 2), (3, 3), (9, 5)):
        fewer = disagreement(evidence(IRAN, *told, days=days), most=most)
        assert fewer
        assert len(fewer.sides) == sides
    assert note(found) == (
        "The articles differ: 500,000 (9 June 2021), 700,000 (1 January 2011), 100,000 (3 May 2001), 300,000 (undated)."
    )


def test_sides_are_quoted_and_their_dates_are_ours() -> None:
    found = disagreement(evidence(IRAN, *TWO, days=(None, date(2021, 6, 9))))
    assert found
    pieces = list(quoted(found))
    assert [p.text for p in pieces if isinstance(p, Text) and p.role == "added"] == ["9 June 2021: ", " Undated: "]
    assert [p.text for p in pieces if isinstance(p, Text) and p.role == "strong"] == ["350,000", "500,000"]
    said = "".join(p.text for p in pieces if isinstance(p, Text) and p.role != "added")
    assert said == TWO[1] + TWO[0]
    assert [(m.start, m.end) for m in pieces if isinstance(m, Mark)] == [(0, 26), (0, 26)]


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (("The drone cost about 5 million dollars.", "The drone cost over $9m."), "over $9m"),
        (("The drone cost about 5 million dollars.", "The drone cost over $9m."), "about 5 million dollars"),
    ],
)
def test_a_note_says_how_sure_a_figure_is(told: tuple[str, str], said: str) -> None:
    found = disagreement(evidence("How much did the drone cost?", *told))
    assert found
    assert said in note(found)


def test_a_note_says_yes_and_no() -> None:
    found = disagreement(evidence(TREATY, "The parliament rejected the treaty.", "The parliament approved the treaty."))
    assert found
    assert note(found) == "The articles differ: yes (2 January 2020), no (1 January 2020)."


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("How many people died?", "figure"),
        ("What is the launch date of the probe?", "date"),
        ("Since when have trains run?", "date"),
        ("In which year was it made?", "date"),
        ("Of how many islands does it consist?", "figure"),
        ("Is it true?", "truth"),
        ("Where is it?", "name"),
        ("How did it happen?", None),
        ("Tell me about it", None),
        ("", None),
    ],
)
def test_what_is_wanted(question: str, kind: str | None) -> None:
    assert wanted(question).kind == kind


@pytest.mark.parametrize(
    ("one", "other", "agree"),
    [
        ("8,848.86 metres", "8.85 kilometres", True),
        ("8,848.86 metres", "8,848 metres", False),
        ("57 kilometres", "57.09 kilometres", True),
        ("134 °F", "56.7 °C", True),
        ("134 °F", "57.8 °C", False),
        ("20,310 feet", "6,190 metres", True),
        ("20,310 feet", "6,194 metres", False),
        ("1.5 million kilometres", "about a million miles", True),
        ("one fifth", "20 per cent", True),
        ("about 10 billion dollars", "8.8 billion dollars", False),
        ("more than 40 tanks", "45 tanks", True),
        ("more than 40 tanks", "400 tanks", False),
        ("more than 40 tanks", "30 tanks", False),
        ("up to 40 tanks", "35 tanks", True),
        ("5 metres", "5 dollars", False),
        ("67 kilometres per second", "67 kilometres", False),
        ("20 square kilometres", "20 kilometres", False),
        ("2 days", "48 hours", True),
        ("two decades", "20 years", True),
    ],
)
def test_figures_in_other_units_and_roundings(one: str, other: str, agree: bool) -> None:
    a, b = (measured(numbers(text)[0], text) for text in (one, other))
    assert a.agrees(b) == b.agrees(a) == agree


WORDS = st.lists(
    st.sampled_from(
        "How many When Who Which Where Did is the bridge bridges Lima Nile Orr killed opened long deep most 12 1,500 "
        "2019 5 May million metres km % $ not rejected about over in of by which and , ( – ? . ' \u0301 \ud7ff".split()
    ),
    max_size=25,
).map(" ".join)


@settings(deadline=None)
@given(st.one_of(WORDS, st.text(max_size=60)), st.lists(st.one_of(WORDS, st.text(max_size=80)), max_size=4))
def test_nothing_raises_and_sides_are_sentences_of_their_own(question: str, told: list[str]) -> None:
    found = evidence(question, *told)
    differ = disagreement(found)
    if differ:
        assert len({s.sentence.hit.article.id for s in differ.sides}) == len(differ.sides) > 1
        assert all(s.sentence in found.sentences for s in differ.sides)
        assert "differ" in note(differ)
        for side in differ.sides:
            assert all(0 <= a < b <= len(side.sentence.text) for a, b in side.spans)
        said = "".join(p.text for p in quoted(differ) if isinstance(p, Text) and p.role != "added")
        assert said == "".join(s.sentence.text for s in differ.sides)


QUESTIONS = ("conflict-09", "conflict-22", "conflict-33", "conflict-05", "answered-17", "answered-24", "answered-28")


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("conflict")
    rag.ingest(CONFLICT / "articles", index=folder)
    return folder


@pytest.fixture(scope="module")
def engine(index: Path) -> Iterator[Engine]:
    with rag.open(index) as opened:
        yield opened


def record(id: str) -> dict[str, Any]:
    with (CONFLICT / "questions.jsonl").open(encoding="utf-8") as lines:
        found: dict[str, Any] = next(r for r in map(json.loads, lines) if r["id"] == id)
    return found


@pytest.mark.parametrize("id", QUESTIONS)
def test_articles_that_differ_are_quoted_with_their_dates(engine: Engine, id: str) -> None:
    asked = record(id)
    answer = engine.ask(asked["question"])
    assert answer.outcome == asked["outcome"]
    if answer.outcome == "answered":
        assert answer.notes == ()
        return
    assert len(answer.notes) == 1
    assert 2 <= len(answer.sentences) == len(answer.citations) <= MOST
    days = [c.article.published for c in answer.citations]
    assert days == sorted((d for d in days if d), reverse=True)
    assert {c.article_id for c in answer.citations} <= {side["doc_id"] for side in asked["sides"]}
    for sentence, citation in zip(answer.sentences, answer.citations, strict=True):
        (start, end), *_ = sentence.added
        assert start == 0
        day = citation.article.published
        assert day
        assert str(day.year) in sentence.text[:end]
        assert sentence.text[end:] == citation.quote
        assert citation.support.verdict == "supported"
        assert engine.article(citation.article_id).text[citation.start : citation.end] == citation.quote


def test_a_filter_that_leaves_one_source_leaves_no_conflict(engine: Engine) -> None:
    question = record("conflict-22")["question"]
    assert engine.ask(question).outcome == "conflict"
    for filtered in (rag.Filter(articles=("lagos-census-state",)), rag.Filter(until=date(2007, 1, 31))):
        answer = engine.ask(question, where=filtered)
        assert answer.outcome == "answered"
        assert answer.notes == ()


def test_a_refusal_under_a_filter_says_so(engine: Engine) -> None:
    question = "Who painted the ceiling of the opera house in Oslo?"
    told = engine.ask(question, where=rag.Filter(articles=("lagos-census-state",)))
    assert told.outcome == "abstained"
    assert told.notes == ("Only the articles within the filter were searched.",)
    assert engine.ask(question, where=rag.Filter()).notes == engine.ask(question).notes == ()


def test_another_writer_writes_and_the_outcome_and_a_note_say_it(index: Path) -> None:
    class One:
        def write(self, evidence: Evidence) -> Iterator[Text | Mark]:
            best = evidence.sentences[0]
            yield Text("It has some.")
            yield Mark(best.hit, best.start, best.end)

    with rag.open(index) as engine:
        engine.__dict__["writer"] = One()
        answer = engine.ask(record("conflict-09")["question"])
    assert (answer.outcome, answer.text) == ("conflict", "It has some. [1]")
    assert answer.notes[0].startswith("The articles differ: 274 (18 March 2025)")


def test_every_face_says_that_articles_differ(engine: Engine) -> None:
    answer = engine.ask(record("conflict-05")["question"])
    assert answer.notes[0] in show.sources(answer)
    turn = Turn("t")
    turn.finish(answer, engine.stats(), 0.1)
    assert turn.value()["end"]["outcome"] == "conflict"
    assert turn.value()["end"]["notes"] == list(answer.notes)
