"""Evaluation: what is read, what is measured, what is told; the figures against other programs' and by hand."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from sklearn.metrics import brier_score_loss, roc_auc_score

import rag
from rag.errors import BadSource, InvalidSettings
from rag.evaluation import answers, collection, commands, compare, measures, quotes, refusals, report, runs, sweep
from rag.evaluation.collection import Question, Quote
from rag.evaluation.quotes import Place
from rag.faces.cli import main
from rag.types import Answer, Article, ArticleHead, Citation, Passage, Progress, Sentence, Steps, Support

ARTICLES = {
    "lighthouse": "The lighthouse at Cape Hollow was built in 1874. Its keeper, Ada Moor, lit the lamp every evening. "
    "The lamp was moved to a museum in 1961.",
    "ferry": "A ferry crosses the strait twice a day. It was built in Danzig and carries forty cars. "
    "The crossing takes two hours.",
    "bakery": "The bakery on Mill Street sells rye bread. It opens at five in the morning.",
    "bridge": "The bridge over the strait was planned in 1990. It was never built, for want of money.",
}
QUERIES = {
    "q1": "When was the lighthouse built?",
    "q2": "How many cars does the ferry carry?",
    "q3": "When does the bakery open?",
    "q4": "Why was the bridge never built?",
}
JUDGMENTS = [
    ("q1", "lighthouse", 2), ("q1", "bridge", 0), ("q2", "ferry", 2), ("q2", "bridge", 1), ("q3", "bakery", 1),
    ("q4", "bridge", 1),
]  # fmt: skip
ANSWERS = [
    {"id": "q1", "question": QUERIES["q1"], "answers": ["1874"], "doc_ids": ["lighthouse"], "answerable": True,
     "evidence": [{"doc_id": "lighthouse", "text": "built in 1874"}]},
    {"id": "q3", "question": QUERIES["q3"], "answers": ["five"], "doc_ids": ["bakery"], "answerable": True,
     "evidence": [{"doc_id": "bakery", "text": "opens at five in the morning"}]},
    {"id": "n1", "question": "Who won the chess final?", "answers": [], "doc_ids": [], "answerable": False},
]  # fmt: skip


def write_lines(path: Path, records: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(r) + "\n" for r in records), "utf-8")


def make_set(folder: Path) -> Path:
    """Write a small collection in BEIR's form."""
    write_lines(folder / "corpus.jsonl", [{"_id": i, "title": i, "text": t} for i, t in ARTICLES.items()])
    write_lines(folder / "queries.jsonl", [{"_id": i, "text": t} for i, t in QUERIES.items()])
    write_lines(folder / "qa.jsonl", ANSWERS)
    (folder / "qrels").mkdir()
    lines = ["query-id\tcorpus-id\tscore", *(f"{q}\t{a}\t{s}" for q, a, s in JUDGMENTS)]
    (folder / "qrels" / "test.tsv").write_text("\n".join(lines) + "\n", "utf-8")
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return make_set(tmp_path / "coast")


def with_line(name: str, line: str) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        with (folder / name).open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    return change


BAD_DATA = {
    "no folder": (lambda d: d.rename(d.with_name("elsewhere")), ["does not exist"]),
    "neither queries nor questions": (
        lambda d: [(d / n).unlink() for n in ("queries.jsonl", "qa.jsonl")], ["queries.jsonl", "questions.csv"]
    ),
    "a query twice": (
        with_line("queries.jsonl", '{"_id": "q1", "text": "again"}'), ["queries.jsonl:5", "'q1'", "twice"]
    ),
    "a query without text": (with_line("queries.jsonl", '{"_id": "q9"}'), ["queries.jsonl:5", "text"]),
    "no JSON": (with_line("queries.jsonl", "{"), ["queries.jsonl:5", "not JSON"]),
    "a judgment of no query": (with_line("qrels/test.tsv", "q9\tferry\t1"), ["test.tsv:8", "'q9'", "queries.jsonl"]),
    "a judgment twice": (with_line("qrels/test.tsv", "q4\tbridge\t1"), ["test.tsv:8", "'bridge'", "twice"]),
    "a grade that is no number": (with_line("qrels/test.tsv", "q4\tferry\thigh"), ["test.tsv:8", "'high'"]),
    "two columns": (with_line("qrels/test.tsv", "q4\tferry"), ["test.tsv:8", "tabs"]),
    "a question without text": (with_line("qa.jsonl", '{"id": "q7"}'), ["qa.jsonl:4", '"question"']),
    "evidence of no form": (
        with_line("qa.jsonl", '{"id": "q7", "question": "Why?", "evidence": ["words"]}'), ["qa.jsonl:4", "evidence"]
    ),
    "no UTF-8": (lambda d: (d / "queries.jsonl").write_bytes(b"\xff\xfe\x00"), ["queries.jsonl", "UTF-8"]),
    "no judgments": (
        lambda d: [(d / n).unlink() for n in ("qrels/test.tsv", "qa.jsonl")], ["test.tsv", "missing"]
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_DATA)
def test_data_that_cannot_be_used_is_one_line(name: str, data: Path) -> None:
    change, said = BAD_DATA[name]
    change(data)
    with pytest.raises(BadSource) as error:
        collection.read(data)
    assert "\n" not in str(error.value)
    for word in said:
        assert word in str(error.value)


class TestOwnQuestions:
    def test_a_table(self, tmp_path: Path) -> None:
        file = tmp_path / "questions.csv"
        file.write_text(
            '\ufeffquestion,quote,article,answer\nWho?,"Ada Moor, keeper",lighthouse,Ada\n'
            'Who?,"of the lamp",,\n\nNobody knows?,,,\n',
            "utf-8",
        )
        read = collection.read(file)
        (who, nobody) = read.questions.values()
        assert who.quotes == (Quote("Ada Moor, keeper", "lighthouse"), Quote("of the lamp"))
        assert (who.answers, who.answerable, nobody.answerable) == (("Ada",), True, False)
        assert read.judgments == {who.id: {"lighthouse": 1}}
        assert read.articles is None

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("query,quote\n", ["questions.csv:1", "question"]),
            ("question,source\n", ["questions.csv:1", "'source'"]),
            ("question,quote\n,words\n", ["questions.csv:2", "empty"]),
            ("question,quote\n", ["holds no question"]),
            ("question,quote\nWhy?," + "x" * 200_000 + "\n", ["questions.csv:2", "field"]),
        ],
    )
    def test_a_table_of_another_form(self, text: str, said: list[str], tmp_path: Path) -> None:
        file = tmp_path / "questions.csv"
        file.write_text(text, "utf-8")
        with pytest.raises(BadSource) as error:
            collection.read(file)
        for word in said:
            assert word in str(error.value)


class TestQuotes:
    def test_white_space_and_case_may_differ_but_words_are_whole(self) -> None:
        assert quotes.locate("It cost 5\n marks, 5 marks.", "5 marks") == ((8, 16), (18, 25))
        assert quotes.locate("A PARTY of art", "art") == ((11, 14),)
        assert quotes.locate("The Lamp", "the lamp") == ((0, 8),)
        assert quotes.locate("nothing", "") == ()

    def test_a_quote_is_looked_for_everywhere_unless_it_names_its_article(self) -> None:
        texts = {i: Article(id=i, title=i, text=t) for i, t in ARTICLES.items()}
        asked = [
            Question("a", "?", quotes=(Quote("the strait"),)),
            Question("b", "?", quotes=(Quote("the strait", "bridge"), Quote("no such words"))),
            Question("c", "?", quotes=(Quote("built in 1874", "lighthouse"), Quote("was built", "lighthouse"))),
        ]
        found = quotes.places(asked, texts.get, list(texts))
        assert [p.article for p in found.places["a"]] == ["ferry", "bridge"]
        assert [p.article for p in found.places["b"]] == ["bridge"]
        assert found.missing == (("b", "no such words"),)
        (one,) = found.places["c"]
        (start, end), *_ = one.spans
        assert ARTICLES["lighthouse"][start:end] == "was built in 1874"

    def test_values(self) -> None:
        def passage(start: int, end: int, article: str = "a") -> Passage:
            return Passage(article, "", start, end, "", "x" * (end - start))

        wanted = [Place("a", ((100, 200),)), Place("b", ((0, 10), (50, 60)))]
        halves = [passage(0, 150), passage(150, 300)]
        assert quotes.covered(wanted[0], halves[:1]) == 0.5
        assert quotes.covered(wanted[0], [*halves, passage(120, 180)]) == 1
        assert quotes.covered(wanted[1], [passage(0, 5, "b"), passage(50, 60, "b")]) == 1
        assert quotes.quote_values(halves, wanted) == {
            "QuoteRR": 0.5, "QuoteR@5": 0.5, "QuoteR@10": 0.5, "QuoteR@2000c": 0.5
        }  # fmt: skip
        far = [passage(1_000, 2_990), *halves]
        assert quotes.quote_values(far, wanted)["QuoteRR"] == 1 / 3
        assert quotes.quote_values(far, wanted)["QuoteR@2000c"] == 0
        assert quotes.quote_values([], wanted)["QuoteRR"] == 0


class TestRuns:
    def test_a_run_comes_back(self, tmp_path: Path) -> None:
        run = runs.Run("r", {"q": [("b", 0.9), ("a", 0.5)]}, {"set": "s"}, {"nDCG@10": {"q": 1.0}}, {"q": 0.1})
        path = runs.write(run, tmp_path, {"q": {"b": 1}})
        assert runs.read(path) == run
        assert runs.read(path.with_suffix(".json")) == run
        assert runs.read_judgments(tmp_path / "qrels.trec") == {"q": {"b": 1}}

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("", ["empty"]),
            ("q Q0 a 1 0.5\n", [":1", "TREC"]),
            ("q Q0 a 1 high r\n", [":1", "TREC"]),
            ("q Q0 a 1 0.5 r\nq Q0 a 2 0.4 r\n", [":2", "twice"]),
        ],
    )
    def test_a_run_that_is_none(self, text: str, said: list[str], tmp_path: Path) -> None:
        (tmp_path / "r.trec").write_text(text, "utf-8")
        with pytest.raises(BadSource) as error:
            runs.read(tmp_path / "r.trec")
        for word in [*said, "r.trec"]:
            assert word in str(error.value)

    def test_an_id_that_would_break_a_line(self, tmp_path: Path) -> None:
        with pytest.raises(BadSource, match="white space"):
            runs.write(runs.Run("r", {"q 1": [("a", 1.0)]}), tmp_path, {})

    def test_scores_fall_as_ranks_do(self) -> None:
        found = runs.falling([(str(n), 0.5) for n in range(50)])
        written = [float(f"{s:.6f}") for _, s in found]
        assert all(a > b for a, b in itertools.pairwise(written))

    def test_what_a_kill_cut_off_is_asked_again(self, tmp_path: Path) -> None:
        path = tmp_path / "r.unfinished.jsonl"
        with runs.Unfinished(path, "k") as unfinished:
            unfinished.keep("q1", {"n": 1})
            unfinished.keep("q2", {"n": 2})
        path.write_bytes(path.read_bytes()[:-5])
        with runs.Unfinished(path, "k") as unfinished:
            assert unfinished.done() == {"q1": {"n": 1}}
            unfinished.keep("q2", {"n": 3})
        assert runs.Unfinished(path, "k").done() == {"q1": {"n": 1}, "q2": {"n": 3}}
        assert runs.Unfinished(path, "other").done() == {}


class TestTests:
    def test_no_difference_is_no_evidence(self) -> None:
        assert compare.randomisation(np.zeros(30), np.random.default_rng(0)) == 1.0

    def test_a_few_questions_are_counted_out(self) -> None:
        """All of six better: of the 64 ways to set signs, 2 are as extreme."""
        p = compare.randomisation(np.full(6, 0.1), np.random.default_rng(0), 100_000)
        assert p == pytest.approx(2 / 64, abs=0.003)

    def test_chance_is_found_significant_as_often_as_it_should(self) -> None:
        draw = np.random.default_rng(1)
        ps = [compare.randomisation(draw.normal(size=25), draw, 500) for _ in range(400)]
        assert 0.02 <= np.mean(np.array(ps) <= 0.05) <= 0.08

    def test_holm_never_lowers_and_keeps_the_order(self) -> None:
        ps = [0.2, 0.001, 0.04, 0.04]
        corrected = compare.holm(ps)
        assert corrected == [0.2, 0.004, 0.12, 0.12]

    def test_an_interval_holds_the_mean_as_often_as_it_says(self) -> None:
        draw = np.random.default_rng(2)
        inside = 0
        for _ in range(200):
            sample = draw.random(60)
            found = measures.score({str(n): float(v) for n, v in enumerate(sample)})
            inside += found.low <= 0.5 <= found.high
        assert 180 <= inside <= 200


class TestRefusals:
    def test_against_another_program(self) -> None:
        draw = np.random.default_rng(3)
        confidence = np.round(draw.random(300), 2)
        truth = draw.random(300) < confidence
        assert refusals.auroc(confidence, truth) == pytest.approx(roc_auc_score(truth, confidence))
        assert refusals.brier(confidence, truth) == pytest.approx(brier_score_loss(truth, confidence))
        assert refusals.auroc(confidence, np.ones(300, bool)) is None

    def test_calibration_error_by_hand(self) -> None:
        confidence = np.array([0.05, 0.05, 0.95, 0.95, 1.0])
        truth = np.array([False, True, True, True, False])
        low, high = refusals.bins(confidence, truth)
        assert (low.questions, high.questions) == (2, 3)
        assert refusals.ece(confidence, truth) == pytest.approx((2 * 0.45 + 3 * abs(2.9 / 3 - 2 / 3)) / 5)

    def test_risk_and_coverage_by_hand(self) -> None:
        curve = refusals.risk_coverage(np.array([0.9, 0.8, 0.8, 0.1]), np.array([True, False, True, False]))
        assert curve == [(0.25, 0.0), (0.75, pytest.approx(1 / 3)), (1.0, 0.5)]
        assert refusals.area(curve) == pytest.approx(0.5 / 3 + 0.25 * 0.5)

    def test_a_dearer_wrong_answer_raises_the_threshold(self) -> None:
        draw = np.random.default_rng(4)
        confidence = draw.random(500)
        sets = [(confidence, draw.random(500) < confidence)]
        chosen = [refusals.shared_threshold(sets, cost) for cost in (0.5, 1.0, 2.0)]
        assert chosen[0] < chosen[1] < chosen[2]


class TestAnswerValues:
    TEXT = "Rain fell. The lamp was lit in 1874. Nobody came. It was lit again in 1900."

    class Articles:
        """As much of an engine as is asked for articles."""

        def article(self, id: str) -> Article:
            return Article(id=id, title="", text=TestAnswerValues.TEXT)

    def answer(self, *spans: tuple[int, int]) -> Answer:
        cited = [
            Citation(n, ArticleHead("a", ""), "a", "r", s, e, self.TEXT[s:e], Support(n, "supported", 1.0))
            for n, (s, e) in enumerate(spans, 1)
        ]
        said = [Sentence(c.quote, (c.number,), ()) for c in cited]
        text = " ".join(c.quote for c in cited)
        return Answer(
            question="?", standalone="?", outcome="answered", confidence=0.8, text=text, sentences=tuple(said),
            citations=tuple(cited), hits=(),
        )  # fmt: skip

    def places(self) -> list[Place]:
        return [Place("a", quotes.locate(self.TEXT, "lit in 1874"))]

    def judged(self, answer: Answer) -> dict[str, Any]:
        question = Question("q", "?", ("1874",), (Quote("lit in 1874", "a"),))
        return answers.judge(question, answer, self.places(), self.Articles())  # type: ignore[arg-type]

    def test_the_right_sentence_alone(self) -> None:
        found = self.judged(self.answer((11, 36)))
        for name in ("holds_answer", "cited", "evidence_f1", "citation_recall", "citation_precision"):
            assert found[name] == 1, name

    def test_a_citation_of_a_twin_is_found_where_the_twin_is_known_to_answer(self) -> None:
        of_twin = replace(
            self.answer((11, 36)).citations[0], article=ArticleHead("b", ""), article_id="b", start=0, end=25
        )
        answer = replace(self.answer((11, 36)), citations=(replace(of_twin, also=(ArticleHead("a", ""),)),))
        found = self.judged(answer)
        assert (found["evidence_f1"], found["citation_recall"], found["citation_precision"]) == (1, 1, 1)
        # What is written down is what was cited.
        assert found["citations"][0]["article_id"] == "b"
        found = self.judged(replace(answer, citations=(of_twin,)))
        assert (found["evidence_f1"], found["citation_recall"], found["citation_precision"]) == (0, 0, 0)

    def test_one_of_two_is_right(self) -> None:
        found = self.judged(self.answer((11, 36), (37, 49)))
        assert (found["evidence_precision"], found["evidence_recall"]) == (0.5, 1.0)
        assert (found["citation_recall"], found["citation_precision"]) == (0.5, 0.5)

    def test_the_wrong_sentence(self) -> None:
        found = self.judged(self.answer((50, 76)))
        assert not found["holds_answer"]
        for name in ("evidence_f1", "citation_recall", "citation_precision"):
            assert found[name] == 0, name

    def test_a_summary_counts_both_kinds_of_error(self) -> None:
        records = [
            {"answerable": True, "answers": ["x"], "outcome": "answered", "confidence": 0.9, "holds_answer": True},
            {"answerable": True, "answers": ["x"], "outcome": "answered", "confidence": 0.2, "holds_answer": True},
            {"answerable": False, "answers": [], "outcome": "answered", "confidence": 0.7},
            {"answerable": False, "answers": [], "outcome": "abstained", "confidence": 0.0},
        ]
        found = answers.summary([r | {"seconds": 0.1} for r in records], 0.5)
        assert (found["refused_wrongly"], found["answered_wrongly"], found["accuracy"]) == (0.5, 0.5, 0.5)
        assert found["measures"]["answer_recall"]["value"] == 0.5
        assert found["measures"]["holds_answer"]["value"] == 1.0
        assert found["risk_coverage"][0] == (0.25, 0.0)
        assert found["risk_coverage"][-1] == (1.0, 0.5)


@pytest.mark.model
class TestCommands:
    def test_a_run_has_the_values_that_ir_measures_gives(self, data: Path, tmp_path: Path) -> None:
        names = ["nDCG@10", "R@5", "RR@10", "AP@5", "Judged@10"]
        (row,) = rag.evaluate(data, out=tmp_path / "out", measures=names)
        assert set(row["measures"]) == {*names, *quotes.QUOTE_MEASURES}
        assert row["queries"] == 4
        assert row["quotes_not_found"] == 0
        run = Path(row["run"])
        command = [sys.executable, "-m", "ir_measures", str(run.with_name("qrels.trec")), str(run), *names]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        theirs = {name: float(value) for name, value in (line.split("\t") for line in told.splitlines())}
        assert len(theirs) == len(names)
        (second,) = rag.evaluate(data, out=tmp_path / "out", measures=names, config=["search.retriever=lexical"])
        found = commands.compare([run, second["run"]], measures=names)
        for name, value in theirs.items():
            assert f"{row['measures'][name]['value']:.4f}" == f"{value:.4f}"
            (compared,) = [r for r in found["rows"] if r["measure"] == name]
            assert f"{compared['first']:.4f}" == f"{value:.4f}"

    def test_what_is_found_is_what_a_search_finds(self, data: Path, tmp_path: Path) -> None:
        (row,) = rag.evaluate(data, out=tmp_path / "out")
        run = runs.read(row["run"])
        (index,) = (tmp_path / "out" / "indexes").iterdir()
        with rag.open(index) as engine:
            for id, text in QUERIES.items():
                hits = engine.search(text, k=100, group="article")
                assert [a for a, _ in run.ranked[id]] == [h.article.id for h in hits]

    def test_a_question_that_finds_nothing_counts(self, data: Path, tmp_path: Path) -> None:
        with_line("queries.jsonl", json.dumps({"_id": "q5", "text": 'What is said of "purple giraffes"?'}))(data)
        with_line("qrels/test.tsv", "q5\tferry\t1")(data)
        (row,) = rag.evaluate(data, out=tmp_path / "out", measures=["nDCG@10"])
        assert row["queries"] == row["measures"]["nDCG@10"]["queries"] == 5
        assert "q5" not in runs.read(row["run"]).ranked
        assert runs.read(row["run"]).values["nDCG@10"]["q5"] == 0
        assert "not found" in Path(row["report"]).read_text("utf-8")

    def test_an_interrupted_run_goes_on(self, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def stop(progress: Steps | Progress) -> None:
            if isinstance(progress, Steps) and progress.done == 2:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            rag.evaluate(data, out=tmp_path / "out", on_progress=stop)
        asked: list[Steps] = []
        (row,) = rag.evaluate(
            data, out=tmp_path / "out", on_progress=lambda p: asked.append(p) if isinstance(p, Steps) else None
        )
        assert [(p.done, p.total) for p in asked] == [(1, 2), (2, 2)]
        (whole,) = rag.evaluate(data, out=tmp_path / "again")
        assert Path(row["run"]).read_bytes() == Path(whole["run"]).read_bytes()
        assert not list((tmp_path / "out" / "coast").glob("*unfinished*"))

    def test_judgments_of_articles_that_are_not_there(self, data: Path, tmp_path: Path) -> None:
        with_line("qrels/test.tsv", "q4\ttunnel\t1")(data)
        with pytest.raises(BadSource, match=r"1 judgments name articles .*'tunnel' for query 'q4'"):
            rag.evaluate(data, out=tmp_path / "out")

    def test_a_run_of_another_set(self, data: Path, tmp_path: Path) -> None:
        other = make_set(tmp_path / "inland")
        with_line("queries.jsonl", '{"_id": "q5", "text": "Who keeps the lamp?"}')(other)
        rows = rag.evaluate([data, other], out=tmp_path / "out")
        with pytest.raises(BadSource, match=r"of set 'inland' .* first of 'coast'"):
            commands.compare([r["run"] for r in rows])
        (tmp_path / "foreign.trec").write_text("x1 Q0 ferry 1 0.5 theirs\n", "utf-8")
        with pytest.raises(BadSource, match="no question that is judged"):
            commands.compare([rows[0]["run"], tmp_path / "foreign.trec"])

    @pytest.mark.parametrize(
        ("config", "names", "said"),
        [(["dense_weight"], None, "dense_weight"), (["search.wieght=1"], None, "wieght"), ([], ["nDGC@10"], "nDGC@10")],
    )
    def test_unknown_names(self, config: list[str], names: Any, said: str, data: Path, tmp_path: Path) -> None:
        with pytest.raises(InvalidSettings, match=said):
            rag.evaluate(data, config=config, measures=names, out=tmp_path / "out")

    def test_a_foreign_run_is_compared_by_the_data(self, data: Path, tmp_path: Path) -> None:
        for name, order in (("good", ["ferry", "bridge"]), ("bad", ["bakery", "bridge"])):
            lines = [f"q2 Q0 {a} {n} {1 / n} {name}" for n, a in enumerate(order, 1)]
            (tmp_path / f"{name}.trec").write_text("\n".join(lines) + "\n", "utf-8")
        found = commands.compare(
            [tmp_path / "bad.trec", tmp_path / "good.trec"], data=data, measures=["nDCG@10"], out=tmp_path / "told"
        )
        (row,) = found["rows"]
        assert (row["run"], row["wins"], row["ties"], row["losses"]) == ("good", 1, 3, 0)
        (moved,) = found["moved"]
        assert moved["text"] == QUERIES["q2"]
        assert moved["relevant"] == {"ferry": (None, 1), "bridge": (2, 2)}
        assert QUERIES["q2"] in (tmp_path / "told.md").read_text("utf-8")
        assert "<svg" in (tmp_path / "told.html").read_text("utf-8")
        assert json.loads((tmp_path / "told.json").read_text("utf-8"))["rows"][0]["wins"] == 1

    def test_quotes_alone_say_nothing_of_a_foreign_run(self, tmp_path: Path) -> None:
        (tmp_path / "questions.csv").write_text("question,quote\nWhy?,for want of money\n", "utf-8")
        for name in ("a", "b"):
            (tmp_path / f"{name}.trec").write_text("q Q0 ferry 1 0.5 theirs\n", "utf-8")
        with pytest.raises(BadSource, match="names no article that answers"):
            commands.compare([tmp_path / "a.trec", tmp_path / "b.trec"], data=tmp_path / "questions.csv")

    def test_answers_and_their_threshold(self, data: Path, tmp_path: Path) -> None:
        (found,) = commands.answers([data], out=tmp_path / "out")
        assert (found["questions"], found["answerable"]) == (3, 2)
        assert found["measures"]["answer_recall"]["value"] == 1.0
        assert found["measures"]["citation_recall"]["queries"] == 2
        settings = tmp_path / "rag.toml"
        settings.write_text("# mine\n[search]\ndepth = 50 # deep\n", "utf-8")
        chosen = commands.calibrate([data], out=tmp_path / "out", write=settings)
        text = settings.read_text("utf-8")
        assert "# mine" in text
        assert "depth = 50 # deep" in text
        assert re.search(rf"\[answer\]\nthreshold = {chosen['threshold']}\b", text)
        assert len(chosen["rows"]) == 4

    def test_a_question_that_finds_no_sentence_is_refused_at_every_threshold(self, data: Path, tmp_path: Path) -> None:
        asked = {"id": "q9", "question": 'Who painted "purple giraffes"?', "answers": ["Ada Moor"], "answerable": True}
        with_line("qa.jsonl", json.dumps(asked | {"doc_ids": ["ferry"], "evidence": []}))(data)
        (found,) = commands.answers([data], out=tmp_path / "out")
        (record,) = [r for r in json.loads(Path(found["run"]).read_text("utf-8"))["questions"] if r["id"] == "q9"]
        assert (record["outcome"], record["confidence"], record["citations"]) == ("abstained", 0.0, [])
        assert "purple giraffes" in Path(found["report"]).read_text("utf-8")

    def test_a_sweep_embeds_nothing_twice(self, data: Path, tmp_path: Path) -> None:
        axes = ["search.dense_weight=0,1", "passages.tokens=64,200"]
        found = commands.sweep([data], axes=axes, measures=["nDCG@10"], out=tmp_path / "out")
        assert [r["config"] for r in found["rows"]][1] == ["passages.tokens=64", "search.dense_weight=0"]
        assert len(found["rows"]) == 5
        embedded: list[int] = []
        again = commands.sweep(
            [data], axes=axes, measures=["nDCG@10"], out=tmp_path / "out",
            on_progress=lambda p: embedded.append(p.embedded) if isinstance(p, Progress) else None,
        )  # fmt: skip
        assert embedded
        assert max(embedded) == 0
        assert [r["sets"] for r in again["rows"]] == [r["sets"] for r in found["rows"]]
        assert (tmp_path / "out" / "sweep.svg").read_text("utf-8").startswith("<svg")

    def test_an_interrupted_sweep_goes_on(self, data: Path, tmp_path: Path) -> None:
        def stop(progress: Steps | Progress) -> None:
            if isinstance(progress, Steps) and progress.done == 2:
                raise KeyboardInterrupt

        axes, out = ["search.dense_weight=0,1"], tmp_path / "out"
        with pytest.raises(KeyboardInterrupt):
            commands.sweep([data], axes=axes, measures=["nDCG@10"], out=out, on_progress=stop)
        measured: list[Steps] = []
        found = commands.sweep(
            [data], axes=axes, measures=["nDCG@10"], out=out,
            on_progress=lambda p: measured.append(p) if isinstance(p, Steps) else None,
        )  # fmt: skip
        assert [(p.done, p.total, p.things) for p in measured] == [(1, 1, "points")]
        whole = commands.sweep([data], axes=axes, measures=["nDCG@10"], out=tmp_path / "again")
        assert [r["sets"] for r in found["rows"]] == [r["sets"] for r in whole["rows"]]
        assert not list(out.glob("*unfinished*"))

    def test_a_sweep_measures_what_a_run_does(self, data: Path, tmp_path: Path) -> None:
        (row,) = rag.evaluate(data, out=tmp_path / "out", measures=["nDCG@10"], config=["search.retriever=dense"])
        found = commands.sweep([data], axes=["search.retriever=dense"], measures=["nDCG@10"], out=tmp_path / "out")
        assert found["rows"][1]["all"]["coast nDCG@10"] == pytest.approx(row["measures"]["nDCG@10"]["value"])
        assert found["rows"][1]["all"]["coast QuoteRR"] == pytest.approx(row["measures"]["QuoteRR"]["value"])


@pytest.mark.model
class TestCommandLine:
    """What a shell sees of the commands."""

    def run(self, *args: object) -> Result:
        return CliRunner().invoke(main, ["eval", *map(str, args)], catch_exceptions=False)

    def test_every_command_prints_one_json_value(self, data: Path, tmp_path: Path) -> None:
        out = ["--out", tmp_path / "out", "--json"]
        replies = {}
        for command in (["retrieval", data], ["answers", data], ["calibrate", data], ["sweep", data, "--over",
                        "search.depth=50"]):  # fmt: skip
            result = self.run(*command, *out)
            assert result.exit_code == 0, result.stderr
            replies[command[0]] = json.loads(result.stdout)
        assert replies["retrieval"][0]["queries"] == 4
        assert replies["answers"][0]["questions"] == 3
        assert 0 <= replies["calibrate"]["threshold"] <= 1
        assert len(replies["sweep"]["rows"]) == 2
        run = replies["retrieval"][0]["run"]
        compared = self.run("compare", run, run, "--json")
        assert all(row["difference"] == 0 and row["p"] == 1 for row in json.loads(compared.stdout)["rows"])

    def test_tables_for_a_reader(self, data: Path, tmp_path: Path) -> None:
        result = self.run("retrieval", data, "--out", tmp_path / "out", "-m", "nDCG@10 P@1")
        assert "| coast |" in result.stdout
        assert "P@1" in result.stdout
        assert "R@100" not in result.stdout
        assert str(tmp_path / "out" / "coast" / "default.html") in result.stdout
        run = tmp_path / "out" / "coast" / "default.trec"
        assert "p (Holm)" in self.run("compare", run, run).stdout
        assert "refused_wrongly" in self.run("answers", data, "--out", tmp_path / "out").stdout

    @pytest.mark.parametrize(
        ("args", "said"),
        [
            (["retrieval", "nowhere"], "does not exist"),
            (["retrieval", "DATA", "-m", "nDGC"], "nDGC"),
            (["retrieval", "DATA", "--config", "depth=1"], "depth=1"),
            (["retrieval", "DATA", "--split", "dev"], "dev.tsv"),
            (["retrieval", "DATA", "--index", "nowhere"], "no index"),
            (["compare", "a.trec", "b.trec"], "a.trec"),
            (["compare", "a.trec"], "two or more"),
            (["sweep", "DATA", "--over", "search.depth"], "search.depth"),
            (["calibrate", "DATA", "DATA"], "same name"),
        ],
    )
    def test_a_mistake_is_one_line(self, args: list[str], said: str, data: Path, tmp_path: Path) -> None:
        if args == ["retrieval", "DATA", "--split", "dev"]:
            (data / "qa.jsonl").unlink()
        given = [str(data) if a == "DATA" else a for a in args]
        out = [] if args[0] == "compare" else ["--out", str(tmp_path / "out")]
        result = self.run(*given, *out)
        lines = [line for line in result.stderr.splitlines() if line.strip()]
        assert (result.exit_code, len(lines)) == (1, 1), result.stderr
        assert said in lines[0]
        assert result.stdout == ""

    def test_without_the_extra_the_install_command_is_told(
        self, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "ir_measures", None)
        result = self.run("retrieval", data, "--out", tmp_path / "out")
        assert result.exit_code == 1
        assert result.stderr.count("\n") == 1
        assert "pip install 'footnote-rag[eval]'" in result.stderr


HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>"


@pytest.mark.model
def test_a_report_holds_its_texts_harmless_and_leads_nowhere(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    records = [
        {"_id": "a", "title": f"{HOSTILE} title", "text": f"The lamp {HOSTILE} was lit in 1874."},
        {"_id": "b", "title": "Other", "text": f"Nothing of the kind {HOSTILE} is told here."},
    ]
    write_lines(folder / "corpus.jsonl", records)
    (folder / "questions.csv").write_text(
        f'question,quote,answer\nWhen was the lamp lit?,was lit in 1874,1874\n"Nothing of the kind {HOSTILE}?",lamp,\n',
        "utf-8",
    )
    (found,) = rag.evaluate(folder, out=tmp_path / "out")
    (answered,) = commands.answers([folder], out=tmp_path / "out")
    for page in (found["report"], answered["report"]):
        text = Path(page).read_text("utf-8")
        assert "<script" not in text
        assert "<img" not in text
        assert "&lt;script&gt;" in text
        assert not re.search(r"(?:src|href)=[\"'](?!#)", text)
        assert "<svg" in text
    assert found["quotes_not_found"] == 0


def test_a_passage_is_marked_where_it_answers() -> None:
    passage = {"article_id": "a", "start": 100, "text": "one two three"}
    wanted = [{"article": "a", "spans": [[90, 103], [108, 200]]}, {"article": "b", "spans": [[100, 113]]}]
    assert report.marked(passage, wanted) == [("one", True), (" two ", False), ("three", True)]


def test_a_grid_keeps_what_is_cut_alike_together() -> None:
    points = sweep.grid(["search.depth=50,100", "passages.tokens=100,200"])
    assert [p[0] for p in points] == ["passages.tokens=100"] * 2 + ["passages.tokens=200"] * 2
    with pytest.raises(InvalidSettings, match=r"search\.depth"):
        sweep.grid(["search.depth"])
