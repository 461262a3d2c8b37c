"""The benchmark by size: its material is always the same, its filters mean what they say, its recall is right."""

from __future__ import annotations

import importlib
import json
import sys
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rag.types import Filter, Fingerprint, Section

SCALE = Path(__file__).parent.parent / "eval" / "scale"
DIM = 16
NOUNS = "harbour lighthouse orchard windmill railway library aqueduct observatory".split()


@pytest.fixture
def scale(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The benchmark's modules by name; they are scripts, so their folder is on the path only here."""
    monkeypatch.syspath_prepend(str(SCALE))
    yield lambda name: importlib.import_module(name)
    for path in SCALE.glob("*.py"):
        sys.modules.pop(path.stem, None)


@pytest.fixture
def real(scale: Any) -> Any:
    """Small real passages of our own: 60 articles of 4 passages, about eight subjects."""
    rng = np.random.default_rng(0)
    subjects = rng.standard_normal((8, DIM))
    about = np.repeat(np.arange(60) % 8, 4)
    vectors = subjects[about] + 0.4 * rng.standard_normal((240, DIM))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    first = np.repeat(np.arange(60) * 4, 4)
    near = vectors @ vectors.T
    near[first[:, None] == first[None, :]] = -2
    sentences = [
        [f"The {NOUNS[s]} of {NOUNS[(s + n) % 8].title()}ville opened in {1850 + n}.", f"It had {n} keepers then."]
        for n, s in enumerate(about)
    ]
    return scale("real").Real(
        sentences,
        [f"The {NOUNS[s]}" for s in about],
        ["own"] * 240,
        first,
        first + 4,
        vectors,
        np.argsort(-near, axis=1)[:, :8].astype(np.int32),
        "0",
    )


@pytest.fixture
def collection(scale: Any, real: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """About 600 made passages, in chunks of 30 articles."""
    for module in ("plan", "material"):
        monkeypatch.setattr(scale(module), "ARTICLES", 30)
    material = scale("material").Material(tmp_path / "made", 1)
    material.ensure(600, real, words(scale, real), noise=0.3)
    return scale("material").Collection(material, 600)


def words(scale: Any, real: Any) -> Any:
    return scale("vocabulary").Vocabulary(
        scale("vocabulary").Heaps(50.0, 0.5), scale("vocabulary").Open(2.0, 500.0), [(100, 50)], 0.1
    )


def test_the_same_seed_makes_the_same_chunk_whatever_was_made_before(
    scale: Any, real: Any, collection: Any, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    scale("material").Maker(real, words(scale, real), noise=0.3, seed=1).write(other, 1)
    folder = collection.material.folder
    for ending in (".jsonl", ".npy"):
        assert (other / f"000001{ending}").read_bytes() == (folder / f"000001{ending}").read_bytes()
    scale("material").Maker(real, words(scale, real), noise=0.3, seed=2).write(other, 1)
    assert (other / "000001.jsonl").read_bytes() != (folder / "000001.jsonl").read_bytes()


def test_a_larger_collection_begins_with_a_smaller_one(scale: Any, collection: Any) -> None:
    small = scale("material").Collection(collection.material, 200)
    assert 200 <= small.passages < 200 + scale("plan").MOST
    few, many = list(small.articles()), list(collection.articles())
    assert [m.article for m in few] == [m.article for m in many[: len(few)]]
    assert sum(len(m.passages) for m in few) == small.passages == len(small.article)


def test_passages_are_spans_of_their_articles_in_their_sections(collection: Any) -> None:
    number = 0
    keys = set()
    for m in collection.articles():
        for p, line in zip(m.passages, m.article.text.split("\n"), strict=True):
            assert m.article.text[p.start : p.end] == line
            (held,) = (s for s in m.article.sections if s.start <= p.start and p.end <= s.end)
            assert held.name == p.section
            assert isinstance(held, Section)
            assert collection.number(m.article.id, p.start) == number
            keys.add(p.key)
            number += 1
    assert len(keys) == number == collection.passages
    for vectors, sizes in collection.vectors():
        assert len(vectors) == sizes.sum()
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def means(where: Filter, made: Any, section: str) -> bool:
    """Say what a filter means, in the plainest way."""
    a = made.article
    if (where.since or where.until) and not (a.published and where.since <= a.published <= where.until):
        return False
    return all(
        not wanted or set(wanted) & set(there)
        for wanted, there in (
            (where.authors, a.authors), (where.sources, [a.source]), (where.articles, [a.id]),
            (where.sections, [section]),
        )
    )  # fmt: skip


def test_filters_pass_what_they_say_and_are_as_selective_as_wanted(scale: Any, collection: Any) -> None:
    made = [(m, p.section) for m in collection.articles() for p in m.passages]
    for selectivity in (0.1, 0.02):
        told = scale("filters").filters(collection, selectivity, 3, 1)
        assert {t.kind for t in told} >= {"dates", "authors", "articles"}
        assert len({t.where for t in told}) == len(told)
        for t in told:
            mask = t.mask(collection.passages)
            assert mask.sum() == t.matches
            assert abs(t.matches - selectivity * collection.passages) <= max(
                12, 0.5 * selectivity * collection.passages
            )
            assert mask.tolist() == [means(t.where, m, section) for m, section in made]
            assert t.among(13, 99).tolist() == mask[13:99].tolist()


def test_brute_force_is_what_the_formula_says(scale: Any, collection: Any) -> None:
    exact = scale("exact")
    chunks = [exact.in_context(v, sizes, 0.5) for v, sizes in collection.vectors()]
    # Article by article, as it is defined.
    plain = []
    for m in collection.articles():
        mean = m.vectors.sum(axis=0) / np.linalg.norm(m.vectors.sum(axis=0))
        plain += [v if len(m.vectors) == 1 else 0.5 * v + 0.5 * mean for v in m.vectors]
    np.testing.assert_allclose(np.concatenate(chunks), plain, atol=1e-5)
    questions = np.stack([m.vectors[0] for m, _ in zip(collection.articles(), range(3), strict=False)])
    told = scale("filters").filters(collection, 0.1, 1, 1)[0]
    for (n, t), found in zip(
        [(0, None), (2, told)], exact.best(iter(chunks), questions, [(0, None), (2, told)], 7), strict=True
    ):
        scores = np.array(plain) @ questions[n]
        if t:
            scores[~t.mask(len(scores))] = -2
        assert found.numbers.tolist() == np.argsort(-scores, kind="stable")[:7].tolist()


def test_recall_counts_what_was_found_and_what_is_as_near(scale: Any) -> None:
    exact = scale("exact")
    want = exact.Best(3)
    want.take(np.arange(5), np.array([0.9, 0.5, 0.8, 0.7, 0.1], np.float32))
    assert want.numbers.tolist() == [0, 2, 3]

    def recall(got: list[int], scores: list[float], k: int = 3) -> float:
        return float(exact.recall(got, np.array(scores, np.float32), want, k))

    assert recall([0, 2, 3], [0.9, 0.8, 0.7]) == 1
    assert recall([0, 1, 4], [0.9, 0.5, 0.1]) == pytest.approx(1 / 3)
    assert recall([0, 2, 9], [0.9, 0.8, 0.69995]) == 1
    assert recall([2], [0.8], k=1) == 0
    assert recall([0, 0, 0], [0.9, 0.9, 0.9]) == pytest.approx(1 / 3)


def test_words_follow_the_law_they_were_made_by(scale: Any) -> None:
    vocabulary = scale("vocabulary")
    heaps = vocabulary.fit_heaps([(n, int(10 * n**0.5)) for n in (1000, 4000, 16_000, 64_000)])
    assert heaps.b == pytest.approx(0.5, abs=0.01)
    words = vocabulary.Open(2.0, 300.0)
    rng = np.random.default_rng(3)
    drawn = {words.number(float(u)) for u in 1 - rng.random(20_000)}
    assert len(drawn) == pytest.approx(words.distinct(20_000), rel=0.03)
    assert len({vocabulary.made_word(n) for n in range(10_000)}) == 10_000
    found = vocabulary.fit_open(vocabulary.Heaps(60.0, 0.5), 60_000, 0.02)
    law = vocabulary.Heaps(60.0, 0.5).distinct(vocabulary.LARGE)
    assert found.distinct(0.02 * vocabulary.LARGE) + 60_000 == pytest.approx(law, rel=0.01)


def test_a_dimension_is_estimated_as_it_is(scale: Any) -> None:
    rng = np.random.default_rng(4)
    points = rng.random((20_000, 3))
    away = np.sort(np.linalg.norm(points - 0.5, axis=1))[:100]
    cosines = (1 - away**2 / 2).astype(np.float32)
    assert scale("realism").dimension(cosines[None, :])[0] == pytest.approx(3, rel=0.35)


def test_an_index_is_built_asked_compared_and_changed(scale: Any, real: Any, collection: Any, tmp_path: Path) -> None:
    folder = tmp_path / "real"
    folder.mkdir()
    texts = ["Which harbour opened?", "Who kept the windmill?", "When did the railway open?"]
    np.save(folder / "questions-report.npy", real.vectors[[0, 9, 77]])
    (folder / "questions-report.json").write_text(json.dumps([["own", t] for t in texts]), "utf-8")
    fingerprint = Fingerprint("made", "0", DIM, 256, 100, 0, 0.5)
    job = {
        "material": str(collection.material.folder), "real": str(folder), "index": str(tmp_path / "index"), "seed": 1,
        "passages": 600, "fingerprint": {n: getattr(fingerprint, n) for n in Fingerprint.__slots__}, "depth": 20,
        "dense_weight": 0.65, "repeats": 1, "filters_each": 2, "compared_each": 1, "singles": 2, "groups": 1,
        "many": 10, "texts": texts, "vectors": str(folder / "questions-report.npy"),
        "written": str(tmp_path / "job.json"),
    }  # fmt: skip
    (tmp_path / "job.json").write_text(json.dumps(job), "utf-8")
    jobs = scale("jobs")
    built = jobs.build(job)
    assert built["passages"] == collection.passages
    asked = jobs.ask(job)
    assert len(asked["seconds"]["hybrid"]) == 3
    compared = jobs.compare(job)
    assert (compared["short"], compared["outside"]) == (0, 0)
    assert min(v for row in compared["recall"].values() for values in row.values() for v in values) > 0.99
    changed = jobs.change(job)
    assert [r["what"] for r in changed["rows"]] == ["delete", "delete", "add", "add", "delete", "add"]
    assert all(r["seen_s"] > 0 for r in changed["rows"])
    # What was deleted came back.
    assert jobs.compare(job) == compared
    figures = {"build/600": {**built, "peak": {"resident": 1, "anonymous": 1}}, "ask/600": asked}
    figures |= {"compare/600": compared, "change/600": changed}
    text = scale("results").markdown(figures)
    assert "With 600 passages 0 of" in text
    pytest.importorskip("matplotlib", reason="install the eval extra")
    assert scale("curves").draw(scale("curves").panels(figures)).startswith("<svg")


def test_a_filter_crosses_to_another_process_as_json(scale: Any) -> None:
    for where in (Filter(since=date(2020, 1, 2), until=date(2021, 1, 1)), Filter(sources=("a", "b"))):
        crossed = json.loads(json.dumps(scale("measure").as_fields(where)))
        assert scale("searching").as_filter(crossed) == where


def test_what_was_measured_is_not_measured_again(scale: Any, tmp_path: Path, capsys: Any) -> None:
    measure = scale("measure")
    args = SimpleNamespace(work=tmp_path, cache=tmp_path, resume=True, only=["machine"], sizes=[], keep=True)
    bench = measure.Bench(args)
    bench.run()
    bench.run()
    assert capsys.readouterr().out.count("machine") == 1
    assert set(bench.figures()["machine"]) >= {"commit", "cpu", "versions"}
    assert not {"host", "node", "path"} & set(bench.figures()["machine"])
