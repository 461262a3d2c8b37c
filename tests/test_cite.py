"""Citations: exact, numbered by first use, and impossible to forge."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.answer.cite import BadMark, abstain, cite, marked
from rag.answer.refuse import refusal
from rag.answer.support import verdict
from rag.handover import End, Evidence, Mark, Note, Written
from rag.types import Answer, ArticleHead, Citation, Hit, Passage, Text

BODY = "Pad. It has two [2] engines. They are old. 😀 Später mehr."


def hit(n: int, start: int = 0) -> Hit:
    """Return a hit on the n-th article, whose passage begins at `start`."""
    text = BODY[start:]
    passage = Passage(f"a{n}", f"r{n}", start, len(BODY), "", text)
    return Hit(n + 1, 1.0, {}, passage, ArticleHead(f"a{n}", f"T{n}"))


HITS = (hit(0), hit(1, 5), hit(2, 29))


def run(written: Sequence[Written]) -> tuple[list[Text | Citation | Answer], Answer]:
    out = list(cite("q", written, Evidence("q", HITS, (), 0.9), "answered"))
    answer = out[-1]
    assert isinstance(answer, Answer)
    return out, answer


SPANS = st.sampled_from(HITS).flatmap(
    lambda h: st.tuples(st.integers(h.passage.start, h.passage.end - 1), st.integers(1, 12)).map(
        lambda t: Mark(h, t[0], min(t[0] + t[1], h.passage.end))
    )
)
PIECES = st.lists(st.one_of(st.text("ab [1]2.", min_size=1, max_size=8).map(Text), SPANS), max_size=12).map(
    lambda p: [Text("x"), *p]
)


def test_an_end_keeps_a_sentence_without_a_mark_from_the_next_ones() -> None:
    written = [
        End(),
        Text("It flies."),
        End(),
        End(),
        Text(" They are old."),
        Mark(HITS[0], 28, 41),
        Text(" So."),
        End(),
    ]
    _, answer = run(written)
    assert [(s.text, s.citations) for s in answer.sentences] == [
        ("It flies.", ()),
        ("They are old.", (1,)),
        ("So.", ()),
    ]
    assert answer.text == "It flies. They are old. [1] So."


def test_a_note_is_no_text_and_may_say_the_outcome() -> None:
    said: list[Written] = [
        Note("One."),
        Text("They are old."),
        Mark(HITS[0], 28, 41),
        Note("Two.", "partly"),
        Note("Three."),
    ]
    out, answer = run(said)
    assert (answer.outcome, answer.notes) == ("partly", ("One.", "Two.", "Three."))
    assert (answer.text, len(out)) == ("They are old. [1]", 3)
    assert run([])[1].outcome == "answered"


def test_a_writer_can_find_no_answer_only_where_it_wrote_none() -> None:
    out, answer = run([Note("Nothing.", "abstained")])
    assert [p.text for p in out if isinstance(p, Text)] == [answer.text] == [refusal(Evidence("q", HITS, (), 0.9))]
    assert (answer.outcome, answer.sentences, answer.hits, answer.notes) == ("abstained", (), HITS, ("Nothing.",))
    _, answer = run([Text("They are old."), Mark(HITS[0], 28, 41), Note("Nothing.", "abstained")])
    assert (answer.outcome, answer.text) == ("partly", "They are old. [1]")


def test_roles_are_spans_of_their_sentence() -> None:
    _, answer = run(
        [
            Text(" On "),
            Text("Monday", "strong"),
            Text(" it"),
            Text(" [the car]", "added"),
            Text(" came. "),
            Mark(HITS[0], 5, 27),
            Text("Then "),
            Text("two.", "strong"),
        ]
    )
    one, two = answer.sentences
    assert (one.text, two.text) == ("On Monday it [the car] came.", "Then two.")
    assert [one.text[a:b] for a, b in one.strong] == ["Monday"]
    assert [one.text[a:b] for a, b in one.added] == [" [the car]"]
    assert [two.text[a:b] for a, b in two.strong] == ["two."]


def test_what_was_added_needs_no_support() -> None:
    _, answer = run([Text("It "), Text("[the Zmork] ", "added"), Text("has two [2] engines."), Mark(HITS[0], 5, 27)])
    assert answer.sentences[0].support[0].verdict == "supported"


def test_a_mark_that_repeats_a_twin_is_left_out() -> None:
    twins = {"a0": ("a1", ArticleHead("a1", "T1")), "a1": ("a0", ArticleHead("a0", "T0"))}

    def printing(id: str, quote: str) -> tuple[ArticleHead, ...]:
        return (twins[id][1],) if id in twins else ()

    def cited(*marks: Mark | Text) -> list[tuple[int, ...]]:
        written = [Text("It has two."), *marks]
        *_, answer = cite("q", written, Evidence("q", HITS, (), 0.9), "answered", printing=printing)
        assert isinstance(answer, Answer)
        assert [c.number for c in answer.citations] == list(range(1, len(answer.citations) + 1))
        return [tuple(answer.citations[n - 1].start for n in s.citations) for s in answer.sentences]

    one, two, other = (Mark(h, 29, 43) for h in HITS)
    assert cited(one, two) == [(29,)]
    assert cited(one, two, other) == [(29, 29)]
    # Fewer words of a twin add nothing, more do.
    assert cited(one, Mark(HITS[1], 29, 38)) == [(29,)]
    assert cited(one, Mark(HITS[1], 5, 43)) == [(29, 5)]
    # Another sentence may rest on it.
    assert cited(one, Text(" Old."), two) == [(29,), (29,)]


@given(PIECES)
@settings(max_examples=200, deadline=None)
def test_every_marker_names_one_citation_and_every_citation_is_marked(written: list[Text | Mark]) -> None:
    out, answer = run(written)
    assert [c.number for c in answer.citations] == list(range(1, len(answer.citations) + 1))
    assert {n for s in answer.sentences for n in s.citations} == {c.number for c in answer.citations}
    spans = [(c.article_id, c.revision, c.start, c.end) for c in answer.citations]
    assert len(set(spans)) == len(spans)
    for c in answer.citations:
        assert BODY[c.start : c.end] == c.quote != ""
        uses = [s for sentence in answer.sentences for s in sentence.support if s.number == c.number]
        assert c.support.score == min(s.score for s in uses)
    for s in answer.sentences:
        assert [x.number for x in s.support] == list(s.citations)
    # What streamed is what the answer says, and numbers first appear in order.
    streamed = [p.number for p in out if isinstance(p, Citation)]
    assert list(dict.fromkeys(streamed)) == sorted(set(streamed))
    said = re.sub(r"\s", "", "".join(p.text for p in out if isinstance(p, Text)))
    assert said == re.sub(r"\s", "", "".join(s.text for s in answer.sentences))
    assert answer.text == marked(answer.sentences)


def test_text_that_looks_like_a_marker_stays_text() -> None:
    start = BODY.index("It has")
    quote = "It has two [2] engines."
    out, answer = run([Text(quote), Mark(HITS[0], start, start + len(quote))])
    (sentence,), (citation,) = answer.sentences, answer.citations
    assert sentence.text == citation.quote == quote
    assert sentence.citations == (1,)
    assert answer.text == "It has two [2] engines. [1]"
    assert [type(p).__name__ for p in out] == ["Text", "Citation", "Answer"]


def test_the_same_span_keeps_its_number() -> None:
    mark = Mark(HITS[0], 0, 4)
    _, answer = run([Text("Pad."), mark, Text(" They are old."), Mark(HITS[1], 29, 43), Text(" Pad."), mark])
    assert [s.citations for s in answer.sentences] == [(1,), (2,), (1,)]


@pytest.mark.parametrize(
    "mark",
    [Mark(hit(9), 0, 4), Mark(HITS[1], 0, 4), Mark(HITS[0], 3, 10_000), Mark(HITS[0], 4, 4), Mark(HITS[0], -3, 4)],
    ids=["not given", "before the passage", "behind it", "empty", "negative"],
)
def test_a_writer_cannot_point_elsewhere(mark: Mark) -> None:
    with pytest.raises(BadMark):
        run([Text("x"), mark])


def test_an_abstention_cites_nothing_and_shows_what_is_near() -> None:
    *_, answer = abstain("q", Evidence("q", HITS, (), 0.1))
    assert isinstance(answer, Answer)
    assert (answer.outcome, answer.sentences, answer.citations) == ("abstained", (), ())
    assert answer.hits == HITS
    assert not re.search(r"\[\d", answer.text)


def test_verdicts() -> None:
    assert verdict("They  are old.", "Pad. They are\nold.").verdict == "supported"
    assert verdict("Old engines are heavy and cost money.", "The engines are old.").verdict == "unsupported"
    assert verdict("The old engines cost money", "The engines are old.").verdict == "partial"


@pytest.mark.parametrize("before", [[], [Text(" \n")]])
def test_a_mark_for_nothing_written_is_refused(before: list[Text | Mark]) -> None:
    with pytest.raises(BadMark, match="nothing that it wrote"):
        run([*before, Mark(HITS[0], 0, 4)])


def test_white_space_between_marks_begins_no_sentence() -> None:
    _, answer = run([Text("x"), Mark(HITS[0], 0, 2), Text(" "), Mark(HITS[0], 0, 1)])
    assert [s.citations for s in answer.sentences] == [(1, 2)]
