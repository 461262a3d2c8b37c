"""The head on token states: what it computes is what was fitted."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from rag.answer import evidence as ev
from rag.answer import reading
from rag.answer.head import Head, shipped
from rag.embed.model import Model
from rag.types import ArticleHead, EvidenceSentence, Hit, Passage, TokenStates

sys.path.insert(0, str(Path(__file__).parents[1] / "eval" / "evidence"))

QUESTION = "When did the ferry to Runsa sail first?"
TEXTS = (
    "The ferry to Runsa is old. It sailed first on 3 May 1987, under captain Ilse Brandt. It is painted white.",
    "Runsa has two harbours. " + "x" * 90 + " stands in one of them.",
)


def hits() -> list[Hit]:
    return [
        Hit(n, 1 / n, {}, Passage(f"a{n}", "r", 7 * n, 7 * n + len(t), "", t), ArticleHead(f"a{n}", "Ferries"))
        for n, t in enumerate(TEXTS, 1)
    ]


@pytest.fixture(scope="module")
def model() -> Model:
    return Model()


def test_tokens_stand_where_they_are_said_to(model: Model) -> None:
    text = "Gökdoğan’s 17 ferries " + "abc" * 40 + " end."
    (read,) = model.tokens([text])
    assert len(read.ids) == len(read.spans) == len(read.states)
    assert read.spans[0].tolist() == read.spans[-1].tolist() == [0, 0]
    said = "".join(text[a:b] for a, b in read.spans)
    assert said == text.replace(" ", "")
    assert np.all(np.diff(read.spans[1:-1, 0]) >= 0)


def test_the_mean_of_a_passages_tokens_is_its_vector(model: Model) -> None:
    (read,) = model.tokens([TEXTS[0]])
    mean = read.states.mean(0)
    assert mean / np.linalg.norm(mean) @ model.vectors([TEXTS[0]])[0] > 0.9999


def test_the_head_computes_what_was_fitted(model: Model) -> None:
    from cases import Case, States
    from network import Network, batch

    found = ev.candidates(hits())
    asked, *passages = [reading.halved(t) for t in model.tokens([QUESTION, *reading.printed(hits())])]
    ranges = reading.token_ranges(hits_of(found), found, passages)
    rows = reading.plain_rows(QUESTION, asked, hits_of(found), found, passages, ranges)
    torch.manual_seed(3)
    network = Network(np.random.default_rng(1).normal(size=(20, rows.shape[1])).astype(np.float32), 384).eval()
    weights = {name: value.numpy() for name, value in network.state_dict().items()}
    weights["threshold"] = np.array(0.5, np.float32)
    reading_of = Head({**weights, "digest": np.array("x")}).read(asked, passages, ranges, rows)

    width = max(len(p.ids) for p in passages)
    tokens, sentence = (np.full((len(passages), width), -1) for _ in range(2))
    at = n = 0
    for i, (p, of_hit) in enumerate(zip(passages, ranges, strict=True)):
        tokens[i, : len(p.ids)] = np.arange(at, at + len(p.ids))
        at += len(p.ids)
        for a, b in of_hit:
            sentence[i, a:b] = n
            n += 1
    whole = States(np.concatenate([p.ids for p in passages]), np.concatenate([p.states for p in passages]))
    passage = np.array([i for i, r in enumerate(ranges) for _ in r])
    none = np.zeros(len(found), bool)
    known = ("s", "1", "tune", "answerable", QUESTION, hits_of(found), found, asked)
    case = Case(*known, tokens, sentence, tokens < 0, passage, rows, none, none, marked=False)
    with torch.inference_mode():
        scores, nothing, answering = network(batch([case], {"s": whole}))
    assert reading_of.scores == pytest.approx(scores[0].numpy(), abs=1e-3)
    assert reading_of.odds == pytest.approx(float(torch.logsumexp(scores, 1) - nothing), abs=1e-3)
    for i, p in enumerate(passages):
        assert reading_of.answering[i] == pytest.approx(answering[0, i, : len(p.ids)].numpy(), abs=1e-3)


def hits_of(found: list[EvidenceSentence]) -> list[Hit]:
    """Return the hits of candidates, each once: ranges are told by the identity of a hit."""
    return list({id(s.hit): s.hit for s in found}.values())


def test_the_answering_words_are_found(model: Model) -> None:
    judge = ev.Judge(model)
    best = judge(QUESTION, hits()).sentences[0]
    assert best.text.startswith("It sailed first")
    assert best.answer
    start, end = (x - best.start for x in best.answer)
    assert "1987" in best.text[start:end]
    assert "captain" not in best.text[start:end]


def test_sentences_that_are_not_tokens_are_ranked_too() -> None:
    """As those behind the end of what a model reads."""
    asked = TokenStates(np.array([1, 5, 2]), np.array([[0, 0], [0, 3], [0, 0]]), np.ones((3, 384), np.float32))
    rows = np.zeros((2, 10), np.float32)
    read = shipped().read(asked, [asked], [[(1, 2), (0, 0)]], rows)
    assert np.isfinite(read.scores).all()
    assert np.isfinite(read.odds)


def test_a_model_that_tells_no_tokens_is_judged_by_vectors() -> None:
    from fakes import HashEmbedder

    assert ev.Judge(HashEmbedder()).head is None


def test_a_question_without_a_word_has_no_evidence(model: Model) -> None:
    assert ev.Judge(model)("\u200b", hits()).confidence == 0
