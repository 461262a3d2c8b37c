"""The engine over the sample articles, with the real model."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import rag
from rag.engine import Engine, open_engine
from rag.errors import InvalidQuestion, UnknownArticle
from rag.handover import Evidence, Mark
from rag.keeping import ingest
from rag.store.local import LocalStore
from rag.types import Answer, Citation, Text

pytestmark = pytest.mark.model

QUESTIONS = [
    "How long is the Wakhan Corridor?",
    "When did the Kaan make its first flight?",
    "Which guns did France sell to Armenia?",
    "Who signed the Shusha Declaration?",
    "What did the moon cost?",
]


@pytest.fixture(scope="module")
def engine(corpus_index: Path) -> Iterator[Engine]:
    with rag.open(corpus_index) as engine:
        yield engine


def test_many_questions_at_once_give_what_each_gives_alone(engine: Engine) -> None:
    together = engine.search_many(QUESTIONS, k=5, group="article")
    assert together == [engine.search(q, k=5, group="article") for q in QUESTIONS]


def test_the_functions_give_what_the_engine_gives(engine: Engine, corpus_index: Path) -> None:
    where = rag.Filter(sections=["background"])
    assert rag.search(QUESTIONS[0], k=3, where=where, index=corpus_index) == engine.search(
        QUESTIONS[0], k=3, where=where
    )
    assert rag.ask(QUESTIONS[1], index=corpus_index) == engine.ask(QUESTIONS[1])


def test_threads_share_it(engine: Engine) -> None:
    alone = {q: engine.ask(q) for q in QUESTIONS}
    asked = random.Random(5).choices(QUESTIONS, k=40)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(engine.ask, asked)) == [alone[q] for q in asked]


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_stream_ends_in_the_answer_it_was(engine: Engine, question: str) -> None:
    pieces = list(engine.stream(question))
    answer = pieces[-1]
    assert isinstance(answer, Answer)
    assert answer == engine.ask(question)
    assert sum(isinstance(p, Answer) for p in pieces) == 1
    if answer.outcome == "abstained":
        assert [type(p) for p in pieces] == [Text, Answer]
    else:
        said = "".join(p.text for p in pieces if isinstance(p, Text))
        assert said == " ".join(s.text for s in answer.sentences)
        assert {p.number for p in pieces if isinstance(p, Citation)} == {c.number for c in answer.citations}
    assert 0 <= answer.confidence <= 1
    for c in answer.citations:
        assert engine.article(c.article_id, c.revision).text[c.start : c.end] == c.quote
        assert any(h.passage.article_id == c.article_id for h in answer.hits)


def test_a_follow_up_is_understood(engine: Engine) -> None:
    history = [
        {"role": "user", "content": "Who builds the Kaan fighter?"},
        {"role": "assistant", "content": "TAI. [1]"},
    ]
    answer = engine.ask("When did it make its first flight?", history=history)
    assert answer.question == "When did it make its first flight?"
    assert answer.standalone == "When did it make its first flight? (Kaan)"
    assert "21 February 2024" in answer.text


@pytest.mark.parametrize("k", [0, -1, 10**9])
def test_a_bad_k(engine: Engine, k: int) -> None:
    with pytest.raises(InvalidQuestion, match=f"k is {k}"):
        engine.search("x", k=k)


def test_bad_arguments_are_named(engine: Engine) -> None:
    group: Any = "author"
    with pytest.raises(InvalidQuestion, match="author"):
        engine.search("x", group=group)
    with pytest.raises(UnknownArticle, match="nothing"):
        engine.article("nothing")
    with pytest.raises(UnknownArticle, match="0000"):
        engine.article("wakhan-corridor", "0000")


def test_articles_that_are_handed_over(tmp_path: Path) -> None:
    articles = [rag.Article(id=f"n{n}", title=f"Note {n}", text=f"The buoy {n} is painted red.") for n in range(3)]
    report = rag.ingest(articles, index=tmp_path / "index")
    assert (report.added, report.articles) == (3, 3)
    assert rag.ingest(articles, index=tmp_path / "index").unchanged == 3
    (hit,) = rag.search("Which colour is the buoy?", k=1, index=tmp_path / "index")
    assert hit.article.id.startswith("n")
    unclean = rag.Article(id="x", title="", text="e\u0301 is two code points", sections=(rag.Section("A", 0, 2),))
    assert rag.ingest([unclean], index=tmp_path / "index").failed[0].source == "x"
    with pytest.raises(rag.InvalidArticle, match="white space"):
        rag.Article(id="a b", title="", text="")
    with pytest.raises(rag.InvalidArticle, match="YYYY-MM-DD"):
        rag.Article(id="a", title="", text="", published="yesterday")  # type: ignore[arg-type]
    with pytest.raises(rag.BadSource):
        rag.ingest([], index=tmp_path / "index")


def test_a_running_reader_sees_what_is_ingested(tmp_path: Path) -> None:
    rag.ingest([rag.Article(id="a", title="A", text="The buoy is painted red.")], index=tmp_path / "index")
    with rag.open(tmp_path / "index") as engine:
        assert "red" in engine.search("colour of the buoy", k=1)[0].passage.text
        rag.ingest([rag.Article(id="a", title="A", text="The buoy is painted green.")], index=tmp_path / "index")
        assert "green" in engine.search("colour of the buoy", k=1)[0].passage.text


def test_an_old_citation_opens_until_its_article_is_removed(tmp_path: Path) -> None:
    def buoy(colour: str) -> rag.Article:
        return rag.Article(id="a", title="A", text=f"The buoy is painted {colour}.")

    rag.ingest([buoy("red")], index=tmp_path / "index")
    with rag.open(tmp_path / "index") as engine:
        hit = engine.search("colour of the buoy", k=1)[0].passage
        assert engine.current("a") == hit.revision
        rag.ingest([buoy("green")], index=tmp_path / "index")
        assert engine.current("a") == engine.article("a").revision != hit.revision
        assert engine.article("a", hit.revision).text[hit.start : hit.end] == hit.text == "The buoy is painted red."
        rag.ingest([buoy("red")], index=tmp_path / "index")
        assert engine.current("a") == hit.revision
        rag.remove("a", index=tmp_path / "index")
        assert engine.current("a") is None
        with pytest.raises(UnknownArticle, match=r"was removed from the index on \d{4}-\d\d-\d\d$"):
            engine.article("a", hit.revision)


class TestTwins:
    """One story in three papers, one of which cuts it into other passages."""

    QUESTION = "When does the ferry to Hirta sail?"
    QUOTE = "The ferry to Hirta sails at nine in the morning and takes five hours, says Mira Castellan of the port."
    STORY = (
        "The old harbour of Hirta is being dredged for the first time since 1978, and the work takes two summers.\n\n"
        f"{QUOTE} In winter it sails on Tuesdays only, and when the swell is high it does not sail at all.\n\n"
        "A ticket costs 40 crowns. Islanders pay half of that, and children travel free until they are twelve.\n\n"
        "Nordsund Line, which runs the ferry, carried 61,000 people last year, more than in any year before. It has "
        "ordered a second ship, which is built in Gdansk and is to be delivered in the spring."
    )
    NOTE = "Photographs by the author are on page two of this newspaper, with a map of all the islands.\n\n"

    class Greedy:
        """A writer that backs its one sentence with every hit that holds it."""

        def __init__(self, quote: str) -> None:
            self.quote = quote

        def write(self, evidence: Evidence) -> Iterable[Text | Mark]:
            yield Text(self.quote)
            for hit in evidence.hits:
                at = hit.passage.text.find(self.quote)
                if at >= 0:
                    yield Mark(hit, hit.passage.start + at, hit.passage.start + at + len(self.quote))

    @pytest.fixture
    def index(self, tmp_path: Path) -> Path:
        index = tmp_path / "index"
        report = rag.ingest(
            [
                rag.Article(id="gull", title="The ferry to Hirta", text=self.STORY, source="gull"),
                rag.Article(id="tern", title="Hirta's ferry", text=self.STORY, source="tern", published="2024-05-04"),
                rag.Article(id="skua", title="Sailing to Hirta", text=self.NOTE + self.STORY, source="skua"),
                rag.Article(id="reader", title="A letter", text=f"A reader writes to us. {self.QUOTE}"),
            ],
            index=index,
        )
        assert report.duplicates == 3
        return index

    def test_a_citation_names_the_twins_that_print_its_words(self, index: Path) -> None:
        with rag.open(index) as engine:
            answer = engine.ask(self.QUESTION)
            assert answer.outcome == "answered"
            first = answer.citations[0]
            assert first.quote == self.QUOTE
            # The letter prints them too, but is not the same article.
            assert {first.article_id, *(a.id for a in first.also)} == {"gull", "tern", "skua"}
            assert [a["id"] for a in rag.to_dict(first)["also"]] == [a.id for a in first.also]
            note = engine.search("Who took the photographs on page two?", k=1)[0]
            assert note.passage.text.startswith("Photographs")

    @pytest.mark.parametrize("greedy", [False, True], ids=["quoting", "greedy"])
    def test_no_sentence_rests_on_two_twins(self, index: Path, greedy: bool) -> None:
        with rag.open(index) as engine:
            if greedy:
                engine.writer = self.Greedy(self.QUOTE)
            answer = engine.ask(self.QUESTION)
        holding = [h.article.id for h in answer.hits if self.QUOTE in h.passage.text]
        assert len({"gull", "tern", "skua"}.intersection(holding)) == 2, "folding leaves what is cut otherwise"
        for sentence in answer.sentences:
            ids = [answer.citations[n - 1].article_id for n in sentence.citations]
            assert len({"gull", "tern", "skua"}.intersection(ids)) <= 1
        quoting = [c.article_id for c in answer.citations if c.quote == self.QUOTE]
        # Another article that says the same is a source of its own.
        assert ("reader" in quoting) == greedy
        assert len(quoting) == 1 + greedy

    def test_a_twin_without_the_quoted_words_is_not_named(self, index: Path) -> None:
        fares = "Islanders pay half of that, and children travel free until they are twelve."
        without = self.STORY.replace(" " + fares, "")
        assert rag.ingest([rag.Article(id="tern", title="Hirta's ferry", text=without)], index=index).duplicates == 1
        rag.remove("skua", index=index)
        with rag.open(index) as engine:
            engine.writer = self.Greedy(fares)
            (only,) = engine.ask(self.QUESTION).citations
            assert (only.article_id, only.also) == ("gull", ())
            engine.writer = self.Greedy(self.QUOTE)
            first = engine.ask(self.QUESTION).citations[0]
            assert {first.article_id, *(a.id for a in first.also)} == {"gull", "tern"}

    def test_a_twin_that_has_changed_is_not_named(self, index: Path) -> None:
        cut = self.STORY.replace(self.QUOTE + " ", "")
        with rag.open(index) as engine:
            rag.ingest([rag.Article(id="tern", title="Hirta's ferry", text=cut)], index=index)
            first = engine.ask(self.QUESTION).citations[0]
            assert first.quote == self.QUOTE
            assert {first.article_id, *(a.id for a in first.also)} == {"gull", "skua"}


def test_what_a_passage_is_embedded_with(tmp_path: Path) -> None:
    """The title above it and a share of its article, each only if the settings say so."""
    paragraph = "The boat is red. " * 30
    article = rag.Article(id="a", title="Lighthouse keepers", text=f"{paragraph}\n\nThe ferry sails at nine.")

    def score(**passages: Any) -> float:
        place = tmp_path / "-".join(f"{k}={v}" for k, v in passages.items())
        settings = rag.Settings.load(passages=passages, search={"retriever": "dense"})
        ingest([article], place, settings)
        with open_engine(place, settings) as engine:
            (hit,) = [h for h in engine.search("Who keeps the lighthouse?", k=50) if "ferry" in h.passage.text]
        return hit.score

    plain = score(tokens=32, context=0.0, title=False)
    assert score(tokens=32, context=0.0, title=True) > plain + 0.1
    boat = score(tokens=32, context=0.5, title=False)
    assert boat != pytest.approx(plain, abs=0.01)


def test_progress_grows_to_its_total(tmp_path: Path) -> None:
    lines = [f'{{"_id": "d{n}", "title": "", "text": "Entry {n} of the log."}}' for n in range(300)]
    (tmp_path / "log.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    (tmp_path / "note.txt").write_text("The ferry sails at nine. It takes five hours to Aland.\n", "utf-8")
    seen: list[rag.Progress] = []
    rag.ingest(tmp_path, index=tmp_path / "index", on_progress=seen.append)
    assert [p.done for p in seen] == sorted(p.done for p in seen)
    assert {p.total for p in seen} == {301}
    assert (seen[-1].done, seen[-1].embedded) == (301, 301)
    assert any(0 < p.done < 301 for p in seen)


def test_a_question_of_two_parts_may_be_answered_in_part(engine: Engine) -> None:
    both = engine.ask("When was the Shusha Declaration signed, and when did the Baku–Tbilisi–Kars railway open?")
    assert both.outcome == "answered"
    assert "15 June 2021" in both.text
    assert "30 October 2017" in both.text
    half = engine.ask("When was the Shusha Declaration signed, and how many ships does the navy of Ghana have?")
    assert half.outcome == "partly"
    assert all("Shusha" in f"{c.quote} {c.article.title}" or "declaration" in c.quote for c in half.citations)
    assert "15 June 2021" in half.text
    assert half.notes == (
        "The articles do not seem to answer a part of this: how many ships does the navy of Ghana have?",
    )
    neither = engine.ask("When was the Lima Declaration signed, and how many ships does the navy of Ghana have?")
    assert neither.outcome == "abstained"


@pytest.mark.parametrize(
    ("question", "several"),
    [
        ("Who built the Orsk bridge? And when did it open?", ["Who built the Orsk bridge", "when did it open? (Orsk)"]),
        ("Where was the last regatta held and who won", ["Where was the last regatta held and who won"]),
        ("Who came and went?", ["Who came and went?"]),
        ("Who founded the Orsk zoo and when?", ["Who founded the Orsk zoo", "when? (Who founded the Orsk zoo)"]),
        ("How long is the Nile and the Tana?", ["How long is the Nile and the Tana?"]),
        ("How many men and how many women died in Orsk?", ["How many men and how many women died in Orsk?"]),
        ("What do we know of how it fell and why?", ["What do we know of how it fell and why?"]),
        ("Who won in 1990 and who won in 1994?", ["Who won in 1990", "who won in 1994?"]),
        ("How long is the Orsk bridge and what did it cost in 1990?",
         ["How long is the Orsk bridge", "what did it cost in 1990? (Orsk)"]),
        ("Who ruled Orsk? When did Orsk fall? Who took Orsk? Why did Orsk fall?",
         ["Who ruled Orsk? When did Orsk fall? Who took Orsk? Why did Orsk fall?"]),
    ],
)  # fmt: skip
def test_what_asks_several_things(question: str, several: list[str]) -> None:
    from rag.answer.parts import parts

    assert parts(question) == several


def test_each_of_several_questions_may_have_sources_that_differ(tmp_path: Path) -> None:
    told = {
        "a": ("2021-05-03", "The Orsk railway tunnel is 15 kilometres long."),
        "b": ("2022-05-03", "The Orsk railway tunnel is 12 kilometres long. Engineers from Acme Brixton built the Orsk"
              " railway tunnel."),
    }  # fmt: skip
    rag.ingest([rag.Article(id=i, title="News", text=t, published=d) for i, (d, t) in told.items()], index=tmp_path)
    with rag.open(tmp_path) as engine:
        both = engine.ask("How long is the Orsk railway tunnel, and who built it?")
        assert both.outcome == "conflict"
        assert {"15", "12"} <= {w for s in both.sentences for w in s.text.split()}
        assert both.sentences[-1].text.startswith("Engineers from Acme Brixton")
        assert len(both.notes) == 1
        part = engine.ask("How long is the Orsk railway tunnel, and when was Napoleon (the emperor) born?")
        assert part.outcome == "conflict"
        assert any("a part of this: when was Napoleon (the emperor) born?" in n for n in part.notes)
        assert any("The articles differ" in n for n in part.notes)


def test_an_index_that_is_refused_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rag.ingest([rag.Article(id="a", title="A", text="The ferry sails.")], index=tmp_path)
    closed = []
    monkeypatch.setattr(LocalStore, "close", lambda store: closed.append(store))
    with pytest.raises(rag.IndexMismatch):
        rag.open(tmp_path, settings=rag.Settings(model={"name": "another"}))
    assert len(closed) == 1


def test_the_first_questions_of_the_page_are_as_rag_toml_says(engine: Engine) -> None:
    """The fourth is answered from two articles, the last from none, the others from one or more."""
    import tomllib

    examples = tomllib.loads((Path(__file__).parent.parent / "rag.toml").read_text("utf-8"))["page"]["examples"]
    answers = [engine.ask(q) for q in examples]
    assert [a.outcome for a in answers] == ["answered"] * (len(examples) - 1) + ["abstained"]
    assert len({c.article_id for c in answers[3].citations}) == 2
