"""Conversations of the page: kept, found, each its owner's alone."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rag.errors import RagError
from rag.faces import conversations
from rag.faces.conversations import FILE, Conversations, NoConversation


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Conversations]:
    ticks = iter(range(1, 1_000_000))
    made = Conversations(tmp_path / FILE, clock=lambda: float(next(ticks)))
    yield made
    made.close()


def say(kept: Conversations, owner: str, id: str, turn: str, question: str, answer: str = "It sailed.") -> None:
    filters, drawn = {"authors": ["Ada Brix"]}, {"turn": turn}
    kept.begin(owner, id, turn, question=question, filters=filters)
    kept.end(owner, id, turn, answer={"text": answer, "sentences": [{}, {}, {}]}, drawn=drawn)


def test_a_conversation_comes_back_as_it_was_drawn(kept: Conversations, tmp_path: Path) -> None:
    say(kept, "ada", "c1", "t1", "When did the ferry sail?")
    say(kept, "ada", "c1", "t2", "And why?", "The ice had gone.")
    for store in (kept, Conversations(tmp_path / FILE)):
        opened = store.opened("ada", "c1")
        assert opened["title"] == "When did the ferry sail?"
        assert [t["question"] for t in opened["turns"]] == ["When did the ferry sail?", "And why?"]
        assert [t["drawn"] for t in opened["turns"]] == [{"turn": "t1"}, {"turn": "t2"}]
        assert opened["turns"][0]["filters"] == {"authors": ["Ada Brix"]}
    assert kept.history("ada", "c1") == [
        {"role": "user", "content": "When did the ferry sail?"},
        {"role": "assistant", "content": "It sailed."},
        {"role": "user", "content": "And why?"},
        {"role": "assistant", "content": "The ice had gone."},
    ]


def test_the_last_changed_comes_first_and_words_find(kept: Conversations) -> None:
    say(kept, "ada", "c1", "t1", "When did the ferry sail?", "In März, from Göteborg.")
    say(kept, "ada", "c2", "t1", "Who built the bridge?")
    assert [c["id"] for c in kept.listed("ada")] == ["c2", "c1"]
    say(kept, "ada", "c1", "t2", "And why?")
    assert [(c["id"], c["turns"]) for c in kept.listed("ada")] == [("c1", 2), ("c2", 1)]
    assert [c["id"] for c in kept.listed("ada", "GOTEBORG ferry")] == ["c1"]
    assert [c["id"] for c in kept.listed("ada", "zeppelin")] == []
    kept.rename("ada", "c2", "  The zeppelin\nand the bridge ")
    assert [c["title"] for c in kept.listed("ada", "zeppelin")] == ["The zeppelin and the bridge"]


def test_nobody_sees_or_changes_what_is_anothers(kept: Conversations) -> None:
    say(kept, "ada", "c1", "t1", "When did the ferry sail?")
    assert kept.listed("bo") == []
    assert kept.history("bo", "c1") == []
    for attempt in (
        lambda: kept.opened("bo", "c1"),
        lambda: kept.rename("bo", "c1", "Mine"),
        lambda: kept.delete("bo", "c1"),
        lambda: say(kept, "bo", "c1", "t2", "And why?"),
        lambda: kept.judge("bo", "c1", "t1", sentence=None, good=True),
        lambda: kept.opened("ada", "c9"),
    ):
        with pytest.raises(NoConversation):
            attempt()
    assert len(kept.opened("ada", "c1")["turns"]) == 1


def test_what_is_deleted_is_in_no_file(kept: Conversations, tmp_path: Path) -> None:
    say(kept, "ada", "c1", "t1", "When did the unmistakable ferry sail?")
    say(kept, "ada", "c2", "t1", "Who built the bridge?")
    kept.judge("ada", "c1", "t1", sentence=0, good=False, reason="Another unmistakable one.")
    assert any(b"unmistakable" in p.read_bytes() for p in tmp_path.iterdir())
    kept.delete("ada", "c1")
    assert not any(b"unmistakable" in p.read_bytes() for p in tmp_path.iterdir())
    assert [c["id"] for c in kept.listed("ada")] == ["c2"]
    assert list(kept.opinions()) == []


def test_opinions_are_one_a_sentence_and_can_be_taken_back(kept: Conversations) -> None:
    say(kept, "ada", "c1", "t1", "When did the ferry sail?")
    kept.judge("ada", "c1", "t1", sentence=None, good=True)
    kept.judge("ada", "c1", "t1", sentence=0, good=True)
    kept.judge("ada", "c1", "t1", sentence=0, good=False, reason=" wrong\nferry ")
    told = [(o["question"], o["answer"], o["sentence"], o["good"], o["reason"]) for o in kept.opinions()]
    about = ("When did the ferry sail?", {"text": "It sailed.", "sentences": [{}, {}, {}]})
    assert told == [(*about, None, True, ""), (*about, 0, False, "wrong ferry")]
    kept.judge("ada", "c1", "t1", sentence=None, good=None)
    assert [o["sentence"] for o in kept.opinions()] == [0]
    assert kept.opened("ada", "c1")["turns"][0]["opinions"] == [{"sentence": 0, "good": False, "reason": "wrong ferry"}]
    with pytest.raises(NoConversation):
        kept.judge("ada", "c1", "t9", sentence=0, good=True)


def test_sizes_are_limited(kept: Conversations, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversations, "TURNS", 2)
    say(kept, "ada", "c1", "t1", "Why is it " + "so " * 100 + "late?")
    assert len(kept.opened("ada", "c1")["title"]) <= conversations.TITLE
    say(kept, "ada", "c1", "t2", "And why?")
    with pytest.raises(RagError, match="begin another"):
        say(kept, "ada", "c1", "t3", "And why?")
    kept.judge("ada", "c1", "t1", sentence=0, good=False, reason="x" * 10_000)
    assert len(next(kept.opinions())["reason"]) == conversations.REASON
    with pytest.raises(RagError, match="a few words"):
        kept.rename("ada", "c1", " \n ")


def test_many_threads_and_two_openers(tmp_path: Path) -> None:
    stores = [Conversations(tmp_path / FILE) for _ in range(2)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: say(stores[n % 2], f"u{n % 4}", f"c{n % 4}", f"t{n}", f"Question {n}?"), range(80)))
    for n in range(4):
        turns = stores[0].opened(f"u{n}", f"c{n}")["turns"]
        assert sorted(int(t["id"][1:]) for t in turns) == list(range(n, 80, 4))
    assert stores[0].secret == stores[1].secret
    assert len(stores[0].secret) > 30


def test_a_file_of_another_kind_is_told_in_a_line(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"no database " * 100)
    with pytest.raises(RagError, match="cannot be used for conversations"):
        Conversations(tmp_path / FILE)
    (tmp_path / FILE).unlink()
    with sqlite3.connect(tmp_path / FILE) as db:
        db.execute("PRAGMA user_version = 7")
    with pytest.raises(RagError, match="format 7"):
        Conversations(tmp_path / FILE)
    with pytest.raises(RagError, match="cannot be used"):
        Conversations(tmp_path / "missing" / FILE)


def test_a_turn_asked_anew_takes_the_place_of_the_old_one_and_of_what_followed(kept: Conversations) -> None:
    for n in range(4):
        say(kept, "ada", "c1", f"t{n}", f"Question {n}?", f"Answer {n}.")
    say(kept, "ada", "c2", "t1", "Another?")
    assert [m["content"] for m in kept.history("ada", "c1", "t2")] == [
        "Question 0?",
        "Answer 0.",
        "Question 1?",
        "Answer 1.",
    ]
    kept.judge("ada", "c1", "t3", sentence=None, good=False, reason="wrong")
    kept.begin("ada", "c1", "t9", question="Question two?", filters={}, instead_of="t2")
    assert [t["question"] for t in kept.opened("ada", "c1")["turns"]] == ["Question 0?", "Question 1?", "Question two?"]
    assert kept.opened("ada", "c1")["turns"][2]["drawn"]["end"] == {"outcome": "stopped"}
    # What a reader thought of the old answer is not lost with it.
    assert [(o["question"], o["reason"]) for o in kept.opinions()] == [("Question 3?", "wrong")]
    # A turn of another conversation is no turn of this one.
    kept.begin("ada", "c1", "t10", question="Last?", filters={}, instead_of="t1x")
    say(kept, "ada", "c3", "u1", "Other?")
    kept.begin("ada", "c3", "u2", question="More?", filters={}, instead_of="t0")
    assert len(kept.opened("ada", "c3")["turns"]) == 2
    assert len(kept.opened("ada", "c1")["turns"]) == 4


def test_a_turn_is_answered_once_and_by_its_owner(kept: Conversations) -> None:
    say(kept, "ada", "c1", "t1", "First?", "One.")
    with pytest.raises(RagError, match="sent before"):
        kept.begin("ada", "c1", "t1", question="Second?", filters={})
    kept.end("bo", "c1", "t1", answer={"text": "Not mine."}, drawn={})
    kept.end("ada", "c1", "t7", answer={"text": "Of nothing."}, drawn={})
    assert [m["content"] for m in kept.history("ada", "c1")] == ["First?", "One."]


def test_a_follow_up_may_refer_to_the_last_dozen(kept: Conversations) -> None:
    for n in range(20):
        say(kept, "ada", "c1", f"t{n}", f"Question {n}?")
    asked = [m["content"] for m in kept.history("ada", "c1") if m["role"] == "user"]
    assert asked == [f"Question {n}?" for n in range(8, 20)]


def test_nobody_else_may_read_the_file_and_a_later_format_is_left_alone(kept: Conversations, tmp_path: Path) -> None:
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    later = tmp_path / "later.sqlite"
    db = sqlite3.connect(later)
    db.execute("PRAGMA user_version = 99")
    db.close()
    before = later.read_bytes()
    with pytest.raises(RagError, match="format 99"):
        Conversations(later)
    assert later.read_bytes() == before


def test_who_reads_waits_for_nobody_and_who_writes_not_long(kept: Conversations, tmp_path: Path) -> None:
    say(kept, "ada", "c1", "t1", "First?")
    other = sqlite3.connect(tmp_path / FILE, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    assert len(kept.listed("ada")) == 1
    assert time.monotonic() - began < 1
    with pytest.raises(RagError, match="locked"):
        kept.begin("ada", "c1", "t2", question="Second?", filters={})
    assert time.monotonic() - began < 10
    other.execute("ROLLBACK")
    other.close()
    kept.begin("ada", "c1", "t2", question="Second?", filters={})


def test_what_was_asked_anew_and_taken_back_is_in_no_file(kept: Conversations, tmp_path: Path) -> None:
    say(kept, "ada", "c1", "t1", "Where is the zanzibarian ferry?")
    kept.judge("ada", "c1", "t1", sentence=None, good=True, reason="quetzalcoatlian")
    kept.judge("ada", "c1", "t1", sentence=None, good=None)
    kept.begin("ada", "c1", "t2", question="Where is the ferry?", filters={}, instead_of="t1")
    kept.rename("ada", "c1", "Ferries")
    kept.delete("ada", "c1")
    for word in (b"zanzibarian", b"quetzalcoatlian"):
        assert not any(word in p.read_bytes() for p in tmp_path.iterdir())
