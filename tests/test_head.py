"""The head on token states: what it computes is what was fitted."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from rag.answer import evidence as ev
from rag.answer import reading
from rag.answer.asked import asked
from rag.answer.head import Head, product, shipped
from rag.answer.pointed import SURE, SURE_OF_OTHERS, pointed
from rag.embed.model import Model
from rag.handover import EvidenceSentence, TokenStates
from rag.types import ArticleHead, Hit, Passage

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
    # Tokens are read with weights of 8 bits.
    assert mean / np.linalg.norm(mean) @ model.vectors([TEXTS[0]])[0] > 0.99


def test_the_head_computes_what_was_fitted(model: Model) -> None:
    from cases import Case, States
    from fit import meant
    from network import Network, batch

    found = ev.candidates(hits())
    asked, *passages = [reading.halved(t) for t in model.tokens([QUESTION, *reading.printed(hits())])]
    ranges = reading.token_ranges(hits_of(found), found, passages)
    rows = reading.plain_rows(QUESTION, asked, hits_of(found), found, passages, ranges)
    torch.manual_seed(3)
    some = np.random.default_rng(1).normal(size=(20, rows.shape[1])).astype(np.float32)
    networks = [Network(some, 384).eval() for _ in range(2)]
    weights = {f"{n}.{name}": v.numpy() for n, of in enumerate(networks) for name, v in of.state_dict().items()}
    weights |= {name: np.array(0.5, np.float32) for name in ("threshold", "pair.weight", "sure.weight", "sure.bias")}
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
    ((of_scored, odds),) = meant(networks, [case], {"s": whole})
    assert reading_of.scores == pytest.approx(of_scored, abs=1e-3)
    assert reading_of.odds == pytest.approx(odds, abs=1e-3)
    with torch.inference_mode():
        each = [network(batch([case], {"s": whole})) for network in networks]
    scores, _, answering = (torch.stack(of).mean(0) for of in zip(*each, strict=True))
    assert reading_of.scores == pytest.approx(scores[0].numpy(), abs=1e-3)
    assert reading_of.scores != pytest.approx(each[0][0][0].numpy(), abs=1e-2)
    for i, p in enumerate(passages):
        assert reading_of.answering[i] == pytest.approx(answering[0, i, : len(p.ids)].numpy(), abs=1e-3)


def test_pairs_are_read_as_was_fitted(model: Model) -> None:
    from fit import Judged
    from pairs import Pair, Taught, read

    from rag.embed import pairs, weights

    asked, *passages = model.tokens([QUESTION, *reading.printed(hits())])
    taught = Taught()
    taught.learn(pairs.weights(model.digest))
    taught.exact = True
    assert {n: w.shape for n, w in taught.learnt().items()} == {
        n: w.shape for n, w in pairs.weights(model.digest).items()
    }
    fitted = read(
        taught.eval(),
        [Pair("s", "answerable", asked.ids, p.ids[1:], np.zeros(len(p.ids) - 1, bool), True) for p in passages],
    )
    # What is made ready is what was fitted, the thin products merged into the model's own matrices.
    merged = pairs.taught(
        weights.load(model.name, weights.folder_of(model.name))[0].auto_model, pairs.weights(model.digest)
    )
    for p, (odds, answering) in zip(passages, fitted, strict=True):
        ids = np.concatenate([asked.ids, p.ids[1:]])[None, :]
        types = np.repeat([0, 1], [len(asked.ids), len(p.ids) - 1])[None, :]
        with torch.inference_mode():
            of_merged, at_tokens = merged(torch.from_numpy(ids), torch.from_numpy(types))
        assert float(of_merged[0]) == pytest.approx(odds, abs=1e-3)
        assert at_tokens[0, len(asked.ids) : -1].numpy() == pytest.approx(answering[:-1], abs=1e-3)
    # And then run with weights of 8 bits, which is a little coarser.
    for p, (odds, answering), found in zip(passages, fitted, model.pairs(asked, passages), strict=True):
        assert found.odds == pytest.approx(odds, abs=0.3)
        assert np.corrcoef(found.answering[1:-1], answering[:-1])[0, 1] > 0.99
        # What stands nowhere in the text is no part of an answer.
        assert len(found.answering) == len(p.ids)
        assert found.answering[0] == found.answering[-1] < -100
    last = len(passages[0].ids) - 1
    ranges = [[(1, 10), (10, last)], [(1, 4), (0, 0)]]
    masses = reading.masses(ranges, {0: model.pairs(asked, passages)[0]})
    tokens = np.arange(len(passages[0].ids))
    sentence = np.where(tokens < 1, -1, np.where(tokens < 10, 0, np.where(tokens < last, 1, -1)))
    case = SimpleNamespace(gold=np.zeros(4, bool), tokens=tokens[None, :], sentence=sentence[None, :])
    judged = Judged(np.zeros(4), 0.0, [(0, fitted[0][0], fitted[0][1][:-1])])
    assert masses == pytest.approx(judged.mass(case), abs=0.3)  # type: ignore[arg-type]
    assert masses[1] > 0, "the captain's year stands there"
    assert masses[2:].tolist() == [reading.LEAST_MASS] * 2


def test_a_pair_is_more_than_two_texts(model: Model) -> None:
    """The same words answer one question and not the other."""
    text = "In 2016 Ana Brix was the manager of the Lima zoo; from 2019 on it was Otto Vane."
    passages = model.tokens([f"Lima zoo\n{text}"])
    right, wrong = (
        model.pairs(model.tokens([q])[0], passages)[0].odds
        for q in ("Who managed the Lima zoo in 2016?", "Who managed the Quito aquarium in 2016?")
    )
    assert right > wrong + 1


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


def test_made_questions_ask_for_what_is_not_there() -> None:
    from cases import another_figure, confused

    question = "How many ferries did Ana Brix sell to Otto Vane in 1987?"
    text = "In 1987 Ana Brix sold 17 ferries to Otto Vane. Ilse Brandt had refused them."
    years = "In 1985, 1986, 1988 and 1989 nothing was sold."
    found = [
        Hit(n, 1.0, {}, Passage(f"a{n}", "r", 0, len(t), "", t), ArticleHead(f"a{n}", "Ferries"))
        for n, t in enumerate((text, years), 1)
    ]
    case = SimpleNamespace(hits=found, found=[SimpleNamespace(hit=found[0])], gold=np.array([True]))
    made = {confused(question, case, ["17"], random.Random(seed)) for seed in range(40)}  # type: ignore[arg-type]
    assert made == {
        "How many ferries did Otto Vane sell to Ana Brix in 1987?",
        "How many ferries did Ilse Brandt sell to Otto Vane in 1987?",
        "How many ferries did Ana Brix sell to Ilse Brandt in 1987?",
    }
    others = {another_figure(question, found, random.Random(seed)) for seed in range(40)}
    assert len(others) > 3
    for other in others:
        assert other
        year = int(other[-5:-1])
        assert other == question.replace("1987", str(year))
        assert 0 < abs(year - 1987) <= 12
        assert year not in (1985, 1986, 1988, 1989)
    answered = {confused(question, case, ["Ilse Brandt"], random.Random(seed)) for seed in range(40)}  # type: ignore[arg-type]
    assert answered == {"How many ferries did Otto Vane sell to Ana Brix in 1987?", None}
    alike = "What was sold between Ana Brix and Otto Vane in 1987?"
    both = {confused(alike, case, [], random.Random(seed)) for seed in range(40)}  # type: ignore[arg-type]
    assert not any(
        b and b.index("Otto Vane") < b.index("Ana Brix") for b in both if b and "Ana Brix" in b and "Otto" in b
    )


def test_the_second_is_not_the_first(model: Model) -> None:
    texts = (
        "The second flight of the Kaan was in May and lasted 14 minutes.",
        "The first flight was in March, for 9 minutes.",
    )
    found = [
        Hit(n, 1 / n, {}, Passage(f"a{n}", "r", 0, len(t), "", t), ArticleHead(f"a{n}", "Kaan"))
        for n, t in enumerate(texts, 1)
    ]
    assert ev.Judge(model)("How long did the first flight of the Kaan last?", found).sentences[0].text == texts[1]
    assert ev.Judge(model)("How long did the second flight of the Kaan last?", found).sentences[0].text == texts[0]


def hits_saying(*texts: str, title: str = "Ferries") -> list[Hit]:
    return [
        Hit(n, 1 / n, {}, Passage(f"a{n}", "r", 0, len(t), "", t), ArticleHead(f"a{n}", title))
        for n, t in enumerate(texts, 1)
    ]


def test_a_number_otherwise_in_the_best_sentence_counts_against_an_answer(model: Model) -> None:
    judge = ev.Judge(model)
    text = "In May the Runsa line sold 17 old ferries to Otto Vane, its captain."
    asked_as_it_is = judge("Who bought 17 old ferries from the Runsa line?", hits_saying(text)).confidence
    asked_otherwise = judge("Who bought 19 old ferries from the Runsa line?", hits_saying(text)).confidence
    assert asked_as_it_is > judge.threshold > asked_otherwise


def test_what_was_read_together_orders_sentences(model: Model) -> None:
    """Without the words that the second reading points to, the scores are others."""
    found = ev.candidates(hits())
    asked_, *passages = [reading.halved(t) for t in model.tokens([QUESTION, *reading.printed(hits())])]
    head = shipped()
    ranges = reading.token_ranges(hits_of(found), found, passages)
    alone = head.read(
        asked_, passages, ranges, reading.plain_rows(QUESTION, asked_, hits_of(found), found, passages, ranges)
    )
    read = reading.read(head, model, QUESTION, asked_, hits_of(found), found, passages)
    together = dict(enumerate(model.pairs(asked_, passages)))
    added = head.pair_weight * reading.masses(ranges, together)
    scores = {(s.hit.article.id, s.start): s.score for s in read.sentences}
    for s, score, more in zip(found, alone.scores, added, strict=True):
        assert scores[s.hit.article.id, s.start] == pytest.approx(float(score + more), abs=1e-3)
    assert head.pair_weight > 0
    assert added.max() - added.min() > 1


@pytest.mark.parametrize(
    ("rows", "inner", "columns"), [(0, 3, 2), (1, 5, 1), (1200, 384, 64), (37, 384, 900), (20, 4, 1)]
)
def test_a_product_in_blocks_is_the_product(rows: int, inner: int, columns: int) -> None:
    random_ = np.random.default_rng(rows)
    x, y = (random_.normal(size=shape).astype(np.float32) for shape in ((rows, inner), (inner, columns)))
    assert product(x, y) == pytest.approx(x @ y, abs=1e-3)


def test_words_are_pointed_to_only_by_a_model_that_is_sure() -> None:
    text = "It sailed under Ilse Brandt, its captain."
    tokens = [(16, 20, 2.0), (21, 27, 2.0)]
    for question, least in (("Who sailed it?", SURE["who"]), ("What was it named for?", SURE_OF_OTHERS)):
        assert pointed(question, text, tokens, least + 0.01) == (16, 27)
        assert pointed(question, text, tokens, least - 0.01) is None
        assert pointed(question, text, tokens, None) is None


def test_an_altitude_is_no_length() -> None:
    about = asked("How long is the pass?")
    assert about.kind_in("The pass lies at an altitude of 4,900 metres.") == 0
    assert about.kind_in("The pass is 40 kilometres long, at an altitude of 4,900 metres.") == 1
    assert about.kind_in("The pass measures 40 kilometres.") == 1
    assert asked("How high is the pass?").kind_in("The pass lies at an altitude of 4,900 metres.") == 1


def test_the_weight_of_words_read_together_counts_the_first_sentence_and_the_first_three(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import fit

    case = SimpleNamespace(kind="answerable", marked=True, answer=np.array([True, False]))

    def weighed(_: object, __: object, weight: float) -> list[fit.Judged]:
        # The answer is among three at any weight, and first at one.
        return [fit.Judged(np.array([1.0 if round(weight, 1) == 0.3 else -1.0, 0.0]), 0.0)]

    monkeypatch.setattr(fit, "weighed", weighed)
    assert fit.weight_of([case], [None]) == 0.3  # type: ignore[list-item]


def test_one_question_of_a_small_set_does_not_decide_the_threshold() -> None:
    import fit

    def cases(name: str, kind: str, n: int) -> list[SimpleNamespace]:
        return [SimpleNamespace(set_name=name, kind=kind) for _ in range(n)]

    told = [*cases("large", "answerable", 400), *cases("large", "unanswerable", 400)]
    told += [*cases("small", "answerable", 4), *cases("small", "unanswerable", 4)]
    # Of the large set a tenth of either kind is lost by going further than .45; all of the small one is won by it.
    sure = np.concatenate([np.linspace(0.4, 0.9, 400), np.linspace(0.1, 0.45, 400), np.full(4, 0.95), np.full(4, 0.75)])
    assert fit.threshold_of(told, sure) < 0.6  # type: ignore[arg-type]
