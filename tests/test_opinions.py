"""Readers' opinions become questions that evaluation reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import rag
from rag.evaluation import collection, opinions
from rag.faces.cli import main
from rag.faces.conversations import FILE, Conversations

pytestmark = pytest.mark.model

BRIDGE = "The bridge at Kilda was built in 1911. It is long. Nobody has counted the steps."


def opinion(
    question: str, answer: dict[str, Any], good: bool, sentence: int | None = None, reason: str = "", **filters: Any
) -> Any:
    told = {"turn": "c/t", "filters": filters, "given": 1.0, "reason": reason}
    return {**told, "question": question, "answer": answer, "good": good, "sentence": sentence}


ANSWER = {
    "outcome": "answered",
    "text": "It was built in 1911. [1] It is long. [2]",
    "sentences": [{"text": "It was built in 1911.", "citations": [1]}, {"text": "It is long.", "citations": [2]}],
    "citations": [
        {"number": 1, "article_id": "bridge", "quote": "built in 1911"},
        {"number": 2, "article_id": "bridge", "quote": "It is long."},
    ],
}
REFUSAL = {"outcome": "abstained", "text": "The articles do not say.", "sentences": [], "citations": []}


def test_what_was_called_good_answers_its_question() -> None:
    assert opinions.questions([opinion("When?", ANSWER, True)]) == [
        {
            "question": "When?",
            "evidence": [{"doc_id": "bridge", "text": "built in 1911"}, {"doc_id": "bridge", "text": "It is long."}],
            "answerable": True,
        }
    ]
    (one,) = opinions.questions([opinion("When? ", ANSWER, True, 0), opinion("When?", ANSWER, True, 0)])
    assert one["evidence"] == [{"doc_id": "bridge", "text": "built in 1911"}]
    assert opinions.questions([opinion("Who?", REFUSAL, True)]) == [
        {"question": "Who?", "evidence": [], "answerable": False}
    ]
    # Later somebody found it after all.
    (both,) = opinions.questions([opinion("Who?", REFUSAL, True), opinion("Who?", ANSWER, True, 0)])
    assert both["answerable"] is True
    # A stopped answer, a sentence without a citation: nothing is known of them.
    assert opinions.questions([opinion("Who?", {}, True), opinion("Who?", ANSWER, True, 7)]) == []
    assert opinions.questions([opinion("When?", ANSWER, False)]) == []
    # Under a filter nothing found tells little; a follow-up is its whole question; a bad sentence is no evidence.
    assert opinions.questions([opinion("Who?", REFUSAL, True, authors=["Bo"])]) == []
    (whole,) = opinions.questions([opinion("And when?", {**ANSWER, "standalone": "When was it built?"}, True)])
    assert whole["question"] == "When was it built?"
    (part,) = opinions.questions([opinion("When?", ANSWER, True), opinion("When?", ANSWER, False, 1)])
    assert part["evidence"] == [{"doc_id": "bridge", "text": "built in 1911"}]


def test_what_was_called_bad_is_listed_with_the_reason() -> None:
    told = opinions.criticised([opinion("When?", ANSWER, False, 1, "It is short"), opinion("When?", ANSWER, True)])
    assert told == [
        {
            "question": "When?",
            "outcome": "answered",
            "answer": ANSWER["text"],
            "sentence": "It is long.",
            "reason": "It is short",
            "cited": [{"doc_id": "bridge", "text": "It is long."}],
        }
    ]


def test_from_the_page_to_a_measure(tmp_path: Path) -> None:
    index, out = tmp_path / "index", tmp_path / "mine"
    rag.ingest([rag.Article(id="bridge", title="The bridge", text=BRIDGE)], index=index)
    runner = CliRunner()
    nobody = runner.invoke(main, ["eval", "opinions", str(out), "--index", str(index)])
    assert nobody.exit_code == 1
    assert "nobody has asked anything" in nobody.output
    kept = Conversations(index / FILE)
    with rag.open(index) as engine:
        for n, question in enumerate(("When was the bridge at Kilda built?", "Who won the chess final of 2024?")):
            answer = rag.to_dict(engine.ask(question))
            kept.begin("ada", "c1", f"t{n}", question=question, filters={})
            kept.end("ada", "c1", f"t{n}", answer=answer, drawn={})
            kept.judge("ada", "c1", f"t{n}", sentence=None, good=True)
    kept.close()
    done = runner.invoke(main, ["eval", "opinions", str(out), "--index", str(index), "--json"])
    assert json.loads(done.output) == {"questions.jsonl": 2, "criticised.jsonl": 0}
    twice = runner.invoke(main, ["eval", "opinions", str(out), "--index", str(index)])
    assert (twice.exit_code, len(twice.output.strip().splitlines())) == (1, 1)
    assert "is there already" in twice.output
    read = collection.read(out / "questions.jsonl")
    asked = {q.text: q for q in read.questions.values()}
    assert asked["When was the bridge at Kilda built?"].quotes[0].article == "bridge"
    assert not asked["Who won the chess final of 2024?"].answerable
    row = rag.evaluate(out / "questions.jsonl", index=index, out=tmp_path / "out")[0]
    assert row["measures"]["RR@10"]["value"] == 1.0
