"""A turn from the question to what is kept of it, without a browser."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

pytest.importorskip("gradio", reason="the page needs gradio")

from rag.errors import InvalidFilter, InvalidQuestion
from rag.faces.app import answer
from rag.faces.conversations import FILE, Conversations
from rag.faces.halted import Halted
from rag.faces.requested import QUESTION, Asked, BadRequest, read_question
from rag.types import Answer, Article, Citation, Filter, Fingerprint, Sentence, Stats, Text


class Engine:
    """Says two words, and then what a test wants: an answer, an error, or words without end."""

    def __init__(self, then: str = "answer") -> None:
        self.then, self.histories = then, []  # type: ignore[var-annotated]

    def stream(
        self, question: str, *, history: Sequence[Mapping[str, str]] = (), where: Filter | None = None
    ) -> Iterator[Text | Citation | Answer]:
        self.histories.append([m["content"] for m in history])
        yield Text("It sailed ")
        if self.then == "refuse":
            raise InvalidQuestion("the question is too long")
        if self.then == "crash":
            raise ZeroDivisionError
        while self.then == "endless":
            yield Text("on ")
            time.sleep(0.01)
        yield Text("in 1987.")
        sentences = (Sentence("It sailed in 1987.", (), ()),)
        yield Answer(question, question, "It sailed in 1987.", sentences, (), (), "answered", 0.9)

    def article(self, id: str, revision: str | None = None) -> Article:
        raise NotImplementedError

    def current(self, id: str) -> str | None:
        return None

    def articles(self, where: Filter | None = None) -> list[object]:
        return []

    def cut(self, id: str) -> tuple[Article, list[object]]:
        raise NotImplementedError

    def sections(self) -> list[str]:
        return []

    def stats(self) -> Stats:
        return Stats(1, 1, 1, 0, 1, 0, Fingerprint("m", "0", 1, 64, 48, 0))


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Conversations]:
    kept = Conversations(tmp_path / FILE)
    yield kept
    kept.close()


def asked(turn: str = "t1", question: str = "When?", **more: object) -> Asked:
    return Asked(question, turn, "c1", Filter(), **more)  # type: ignore[arg-type]


def over(engine: Engine, kept: Conversations, what: Asked) -> dict[str, object]:
    """Return the end of a turn."""
    *_, last = answer(engine, kept, "ada", what, Halted())  # type: ignore[arg-type]
    assert last["end"] is not None
    return last["end"]  # type: ignore[no-any-return]


def drawn(kept: Conversations) -> list[dict[str, object]]:
    return [turn["drawn"] for turn in kept.opened("ada", "c1")["turns"]]


def test_an_answer_is_kept_and_remembered(kept: Conversations) -> None:
    engine = Engine()
    assert over(engine, kept, asked())["unkept"] == ""
    over(engine, kept, asked("t2", "And why?", follows=True))
    assert engine.histories == [[], ["When?", "It sailed in 1987."]]
    assert [d["end"]["outcome"] for d in drawn(kept)] == ["answered", "answered"]  # type: ignore[index]
    assert drawn(kept)[0]["end"]["sentences"] == ["It sailed in 1987."]  # type: ignore[index]


def test_what_its_reader_has_stopped_is_not_begun_or_ends_at_the_next_word(kept: Conversations) -> None:
    halted, engine = Halted(), Engine("endless")
    halted.halt("ada", "t1")
    (value,) = answer(engine, kept, "ada", asked(), halted)  # type: ignore[arg-type]
    assert value["end"] == {"outcome": "stopped", "unkept": ""}
    assert (engine.histories, kept.listed("ada")) == ([], [])
    halted.halt("bo", "t2")
    growing = answer(engine, kept, "ada", asked("t2"), halted)  # type: ignore[arg-type]
    for value in growing:
        if "on on" in str(value["pieces"]):
            halted.halt("ada", "t2")
    assert value["end"] == {"outcome": "stopped", "unkept": ""}
    (turn,) = drawn(kept)
    assert "on on" in turn["pieces"][0]["text"]  # type: ignore[index]


def test_an_answer_that_is_left_is_kept_as_far_as_it_came(kept: Conversations) -> None:
    growing = answer(Engine("endless"), kept, "ada", asked(), Halted())  # type: ignore[arg-type]
    for value in growing:
        if "on on" in str(value["pieces"]):
            break
    began = time.monotonic()
    growing.close()  # type: ignore[attr-defined]
    assert time.monotonic() - began < 1
    until = time.monotonic() + 10
    while not drawn(kept)[0]["pieces"] and time.monotonic() < until:
        time.sleep(0.02)
    (turn,) = drawn(kept)
    assert turn["end"] == {"outcome": "stopped", "unkept": ""}
    assert "It sailed on on" in turn["pieces"][0]["text"]  # type: ignore[index]


@pytest.mark.parametrize(("then", "said"), [("refuse", "too long"), ("crash", "The server's log says what")])
def test_what_fails_says_so_and_stays_in_its_place(kept: Conversations, then: str, said: str) -> None:
    end = over(Engine(then), kept, asked())
    assert end["outcome"] == "failed"
    assert said in str(end["message"])
    assert drawn(kept)[0]["end"]["outcome"] == "failed"  # type: ignore[index]


def test_what_cannot_be_kept_is_answered_with_what_was_said_before(kept: Conversations) -> None:
    engine = Engine()
    over(engine, kept, asked())
    twice = over(engine, kept, asked(question="Again?"))
    assert twice["outcome"] == "answered"
    assert "sent before" in str(twice["unkept"])
    assert engine.histories[1] == ["When?", "It sailed in 1987."]
    assert [t["question"] for t in kept.opened("ada", "c1")["turns"]] == ["When?"]
    kept.delete("ada", "c1")
    gone = over(engine, kept, asked("t3", "And now?", follows=True))
    assert "not there any more" in str(gone["unkept"])
    assert kept.listed("ada") == []


@pytest.mark.parametrize(
    "data",
    [
        None,
        "text",
        {"question": "q"},
        {"question": "q", "turn": "a/b", "conversation": "c"},
        {"question": "q", "turn": "t", "conversation": "x" * 65},
        {"question": "q" * (QUESTION + 1), "turn": "t", "conversation": "c"},
        {"question": "q", "turn": "t", "conversation": "c", "where": {"authors": "x"}},
        {"question": "q", "turn": "t", "conversation": "c", "where": {"sources": ["x" * 2_000]}},
        {"question": "q", "turn": "t", "conversation": "c", "where": {"since": "soon"}},
    ],
)
def test_a_question_that_no_page_sends_is_refused(data: object) -> None:
    with pytest.raises((BadRequest, InvalidFilter)):
        read_question(data)
