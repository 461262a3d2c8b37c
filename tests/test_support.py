"""Verdicts: what a quote bears out, what it bears out in part, and what it does not."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rag
from rag.answer.aligned import replaced
from rag.answer.cite import cite
from rag.answer.support import ENOUGH, SOME, verdict
from rag.embed import weights as w
from rag.errors import InvalidSettings
from rag.handover import Evidence, Mark
from rag.types import Answer, ArticleHead, Hit, Passage, Text

QUOTE = "On 3 May 2020 Peru bought 1,200,000 doses of the vaccine from Iran for $45 million, the ministry said."


@pytest.mark.parametrize(
    "sentence",
    [
        QUOTE,
        "On 3 May 2020  Peru bought 1,200,000 doses of the vaccine from Iran for $45 million",
        "Peru bought 1.2 million doses of the vaccine from Iran on May 3, 2020.",
        "In May 2020 Peru bought doses of the vaccine from Iran for $45m.",
        "Peru bought more than a million doses of the vaccine from Iran.",
    ],
)
def test_supported(sentence: str) -> None:
    assert verdict(sentence, QUOTE).verdict == "supported"


@pytest.mark.parametrize(
    "sentence",
    [
        "On 3 May 2020 Peru bought 1,300,000 doses of the vaccine from Iran for $45 million.",
        "On 3 May 2020 Peru bought 1,200,000 doses of the vaccine from Iran for $54 million.",
        "On 4 May 2020 Peru bought 1,200,000 doses of the vaccine from Iran for $45 million.",
        "On 3 May 2021 Peru bought 1,200,000 doses of the vaccine from Iran for $45 million.",
        "On 3 May 2020 Chile bought 1,200,000 doses of the vaccine from Iran for $45 million.",
        "On 3 May 2020 Iran bought 1,200,000 doses of the vaccine from Peru for $45 million.",
        "On 3 May 2020 Peru never bought 1,200,000 doses of the vaccine from Iran.",
        "On 3 May 2020 Peru sold 1,200,000 doses of the vaccine to Iran.",
        "The ferry to the island sails at nine.",
    ],
)
def test_unsupported(sentence: str) -> None:
    assert verdict(sentence, QUOTE).verdict == "unsupported"


@pytest.mark.parametrize(
    ("sentence", "quote"),
    [
        ("Peru bought doses of the vaccine from Iran with money from Lima.", QUOTE),
        ("Peru bought doses of the vaccine on 3 May 2020.", "In May Peru bought doses of the vaccine."),
        ("Peru bought 1,203,411 doses of the vaccine.", "Peru bought 1.2 million doses of the vaccine."),
    ],
)
def test_what_the_quote_does_not_have_is_never_supported(sentence: str, quote: str) -> None:
    assert verdict(sentence, quote).verdict != "supported"


@pytest.mark.parametrize(
    ("sentence", "quote", "before", "expected"),
    [
        ("The plan is off.", "Officials denied that the plan is off.", "", "unsupported"),
        ("The plan is off.", "It is not true that the plan is off.", "", "unsupported"),
        ("The plan is off.", "It will rain if the plan is off.", "", "partial"),
        ("The plan is off.", "Critics claimed the plan is off.", "", "partial"),
        ("The plan is off.", "Nobody minds, because the plan is off.", "", "supported"),
        ("The plan is off.", "Officials denied it. The plan is off.", "", "supported"),
        ("The plan is off.", "the plan is off.", "Officials denied that ", "unsupported"),
        ("The plan is off.", "the plan is off.", "If it rains and ", "partial"),
        ("The plan is off.", "The claim that the plan is off is false.", "", "unsupported"),
        ("The plan is off.", "The plan is offered to all.", "", "partial"),
        ("The plan is off.", "It is possible that the plan is off.", "", "partial"),
        ("The plan is off.", "It was denied that the plan is off. Now the plan is off.", "", "supported"),
        ("approved the plan", "Officials have not approved the plan.", "", "unsupported"),
        ("Approved the plan", "approved the plan.", "Officials have never ", "unsupported"),
        ("approved the plan", "They did not say why, but approved the plan.", "", "supported"),
    ],
)
def test_a_verbatim_part_may_be_taken_back(sentence: str, quote: str, before: str, expected: str) -> None:
    assert verdict(sentence, quote, before=before).verdict == expected


def test_a_context_names_who_is_meant_and_when() -> None:
    quote, context = "He left office on 20 November.", "Ana Brix resigns. 2024-11-25 Last year President Brix was ill."
    sentence = "Brix left office on 20 November 2024."
    assert verdict(sentence, quote).verdict != "supported"
    assert verdict(sentence, quote, context=context).verdict == "supported"
    assert verdict(sentence.replace("Brix", "Lima"), quote, context=context).verdict != "supported"
    assert verdict(sentence.replace("2024", "2023"), quote, context=context).verdict != "supported"


def test_peoples_and_acronyms_are_the_same_names() -> None:
    assert (
        verdict("The EU and Turkish ministers met.", "Ministers of the European Union and Türkiye met.").score >= ENOUGH
    )


@pytest.mark.parametrize(
    ("sentence", "entailed", "expected"),
    [
        ("The council of Peru purchased medicine.", (0.9, 0.05), "supported"),
        ("The council of Peru purchased medicine.", (0.1, 0.8), "unsupported"),
        ("Peru bought 1.2 million doses of the vaccine from Iran.", (0.1, 0.8), "unsupported"),
        ("Peru bought 1,300,000 doses of the vaccine from Iran.", (0.99, 0.0), "unsupported"),
        ("Chile purchased medicine.", (0.99, 0.0), "partial"),
        (QUOTE, (0.0, 1.0), "supported"),
    ],
)
def test_a_models_reading_lifts_or_settles_but_no_fact_gives_way(
    sentence: str, entailed: tuple[float, float], expected: str
) -> None:
    read = {"entailment": entailed[0], "contradiction": entailed[1]}
    assert verdict(sentence, QUOTE, entailed=read).verdict == expected


def test_places_are_compared_word_for_word() -> None:
    found = replaced("Peru beat Chile 2–5 in Lima on 4 May.", "Peru beat Iran 2–0 in Lima on 3 May.")
    assert (found.names, found.numbers, found.dates, found.negations) == (1, 1, 1, 0)
    assert replaced("Iran beat Peru in Lima.", "Peru beat Iran in Lima.").names == 2
    assert replaced("Iran and Peru met in Lima.", "Peru and Iran met in Lima.").names == 0
    assert replaced("It isn't late.", "It is late.").negations == 1


def test_a_citation_knows_the_words_before_it_and_its_title() -> None:
    text = "Brix denied that she had sold the ferry. She left in May."
    hit = Hit(1, 1.0, {}, Passage("a", "r", 0, len(text), "", text), ArticleHead("a", "Ana Brix"))
    written = [
        Text("She had sold the ferry."),
        Mark(hit, text.index("she had"), text.index(".") + 1),
        Text(" Ana Brix left in May."),
        Mark(hit, text.index("She left"), len(text)),
    ]
    *_, answer = cite("q", written, Evidence("q", (hit,), (), 1.0), "answered")
    assert isinstance(answer, Answer)
    assert [s.support[0].verdict for s in answer.sentences] == ["unsupported", "supported"]


WORDS = st.lists(
    st.sampled_from("Peru Iran bought not sold 40 million 3 May 2020 the ferry, it. denied if “so” he $5 12%".split()),
    max_size=12,
).map(" ".join)


@given(WORDS | st.text(max_size=30), WORDS | st.text(max_size=30), WORDS)
@settings(max_examples=300, deadline=None)
def test_any_texts_get_a_verdict_that_fits_its_score(sentence: str, quote: str, context: str) -> None:
    found = verdict(sentence, quote, context=context)
    assert 0 <= found.score <= 1
    name = "supported" if found.score >= ENOUGH else "partial" if found.score >= SOME else "unsupported"
    assert found.verdict == name


@given(WORDS | st.text(max_size=40))
@settings(max_examples=300, deadline=None)
def test_a_quote_supports_itself(text: str) -> None:
    assert verdict(text, text).verdict == "supported"
    assert verdict(f"  {text}\n", text).verdict == "supported"


@given(WORDS)
@settings(deadline=None)
def test_negations_and_names_are_told_apart_both_ways(text: str) -> None:
    one, other = replaced(text, f"{text} x"), replaced(f"{text} x", text)
    assert one == other == type(one)()


# -- a model that reads citations -------------------------------------------------------------


def nli(folder: Path, labels: list[str]) -> Path:
    """Make a cross-encoder of random weights with those labels."""
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64)
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: n for n, label in enumerate(labels)}
    BertForSequenceClassification(config).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
        shutil.copy(w.bundled_folder() / name, folder)
    return folder


def test_labels_are_read_from_the_model(tmp_path: Path) -> None:
    from sentence_transformers import CrossEncoder

    from rag.embed.entailment import Entailment

    folder = nli(tmp_path / "nli", ["CONTRADICTION", "ENTAILMENT", "NEUTRAL"])
    found = Entailment(str(folder))("Peru paid.", "Iran paid.")
    (expected,) = CrossEncoder(str(folder)).predict([("Peru paid.", "Iran paid.")], apply_softmax=True)
    assert found == pytest.approx({"contradiction": expected[0], "entailment": expected[1]}, abs=1e-6)


def test_a_model_of_something_else_is_refused(tmp_path: Path) -> None:
    from rag.embed.entailment import Entailment

    folder = nli(tmp_path / "other", ["good", "bad"])
    with pytest.raises(InvalidSettings, match=r"answer\.entailment.*good, bad") as caught:
        Entailment(str(folder))("a", "b")
    assert "\n" not in str(caught.value)


def test_the_setting_has_a_model_read_citations(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("The ferry sails at nine in the morning.\n", "utf-8")
    rag.ingest(tmp_path / "a.txt", index=tmp_path / "index")
    folder = nli(tmp_path / "nli", ["entailment", "neutral", "contradiction"])
    settings = rag.Settings.load(answer={"entailment": str(folder), "threshold": 0.0})
    with rag.open(tmp_path / "index", settings=settings) as engine:
        answer = engine.ask("When does the ferry sail?")
        assert engine.entails is not None
    assert [s.support[0].verdict for s in answer.sentences] == ["supported"]


# -- the labelled sentences -------------------------------------------------------------------

ROOT = Path(__file__).parent.parent
# Read here, because tests run without the settings of the environment.
DATA = os.environ.get("RAG_EVAL_DATA")


def test_labelled_sentences_quote_the_articles() -> None:
    with (ROOT / "eval/questions/verdicts.jsonl").open(encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    assert len({r["id"] for r in records}) == len(records) >= 200
    for r in records:
        assert r["label"] in ("supported", "partial", "unsupported")
        article = " ".join((ROOT / f"corpus/{r['article']}.md").read_text("utf-8").split())
        assert r["quote"] in article


@pytest.mark.skipif(DATA is None, reason="RAG_EVAL_DATA names no outside sets")
def test_wrong_facts_are_not_called_supported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "eval"))
    import verdicts

    # A sample: the table of all is eval/results/verdicts.md.
    monkeypatch.setattr(verdicts, "MOST", 800)
    pairs = [p for p in verdicts.made(Path(str(DATA))) if p.half == "report"]
    found = verdicts.counted(pairs, verdicts.by_facts)
    for kind, counts in found.items():
        share = counts["supported"] / sum(counts.values())
        assert share > 0.9 if kind in verdicts.TRUE else share < 0.06, kind
    sys.modules.pop("verdicts")
