"""The comparison with others: what it counts, the limits it derives, and that its report says what the figures say."""

from __future__ import annotations

import ast
import importlib
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BENCH = Path(__file__).parent.parent / "eval" / "bench"
MODULES = ("protocol", "limits", "peers", "figures", "targets", "report", "sets", "tasks")


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The comparison's modules by name; they are scripts, so their folder is on the path only here."""
    monkeypatch.syspath_prepend(str(BENCH))
    yield lambda name: importlib.import_module(name)
    for name in (*MODULES, "picture"):
        sys.modules.pop(name, None)


def figure(key: str, **value: Any) -> dict[str, Any]:
    return {"key": key, "at": "2026-01-01T00:00:00+00:00", "value": value}


def query(key: str, seconds: list[float]) -> dict[str, Any]:
    return figure(f"query/little/{key}", seconds=seconds, queries=len(seconds), **{"nDCG@10": 0.5, "R@10": 0.75})


def index(key: str, peak: int, truncated: int = 0) -> dict[str, Any]:
    return figure(
        f"index/little/{key}", load_s=1.0, index_s=2.0, peak_bytes=peak << 20, articles=10, pieces=20, tokens=4000,
        reads=256, truncated=truncated, over_positions=truncated,
    )  # fmt: skip


FIGURES = [
    figure(
        "machine", date="2026-01-01", cpu="A processor", cores=2, flags=["avx2"], memory_bytes=1 << 34, system="Linux",
        load=0.1, threads="1", commit="0", default_precision="float32", settings=[], sample=None,
        versions={"txtai": {"txtai": "9"}},
    ),
    figure("limits", products=[{"library": "numpy", "product": "2x2x2", "gflops": 100.0}],
           scan={"rows": 10, "bytes_per_s": 1e9, "limit_s": 0.01, "ours_s": 0.02}),
    figure("passages", passages=10, tokens=1000, longest=200, flops=20_000_000_000),
    figure("embed/1/footnote/float32", seconds=0.25, sample=[[0.6, 0.8]]),
    figure("embed/2/footnote/float32", seconds=0.5, sample=[[0.6, 0.8]]),
    figure("embed/1/txtai/quick", seconds=0.5, sample=[[0.6, 0.8]]),
    figure("embed/2/txtai/quick", seconds=0.5, sample=[[0.6, 0.8]]),
    figure("embed/1/chroma/quick", seconds=1.0, sample=[[0.8, 0.6]]),
    figure("imports/footnote", seconds=[0.1]),
    figure("cold/little/footnote/hybrid/float32", first_hit_s=[0.5, 0.4, 0.6], exit_s=[0.7, 0.6, 0.8]),
    figure("cold/little/txtai/hybrid/quick", first_hit_s=[5.0], exit_s=[5.5]),
    index("footnote/hybrid/float32", 100),
    index("txtai/dense/quick", 300, truncated=1000),
    index("txtai/dense/tuned", 200),
    query("footnote/hybrid/float32", [0.004, 0.005, 0.009]),
    query("txtai/hybrid/quick", [0.018]),
    query("txtai/hybrid/tuned", [0.012]),
    figure("parts/little", tokens=8, passages=20, model_s=0.002, scan_s=0.001, lexical_s=0.001, export="plain"),
    {"key": "query/little/chroma/dense/quick", "at": "", "failed": "Missing: there is no environment peer-chroma"},
]  # fmt: skip


def test_tokens_beyond_what_is_read_are_counted(bench: Any) -> None:
    truncated = bench("protocol").truncated
    assert truncated([10, 256, 257, 512], 256) == 257
    assert truncated([10, 256, 257, 512], 512) == 0


def test_an_article_ranks_by_its_best_piece_however_many_pieces_others_have(bench: Any) -> None:
    protocol = bench("protocol")

    class Fixed:
        def search(self, question: str, k: int) -> list[Any]:
            pieces = ["a"] * 50 + ["b"] * 9 + ["c"]
            return [protocol.Hit(article, "text", -n) for n, article in enumerate(pieces[:k])]

    assert protocol.best_articles(Fixed(), "?", 3) == ["a", "b", "c"]
    assert protocol.best_articles(Fixed(), "?", 5) == ["a", "b", "c"]


def test_shortened_embedding_keeps_the_texts(bench: Any) -> None:
    class Embedder:
        def embed(self, texts: list[str]) -> list[int]:
            return [len(t) for t in texts]

    bench("protocol").shorten(Embedder, "embed", None)
    assert Embedder().embed(["long text"]) == [9]
    bench("protocol").shorten(Embedder, "embed", 4)
    assert Embedder().embed(["long text", "abc"]) == [4, 3]


def test_operations_are_those_of_the_models_products(bench: Any) -> None:
    limits = bench("limits")
    shape = limits.Shape(6, 384, 1536)
    # 4 square weights and 2 of the inner layer, a multiplication and an addition each, and attention.
    one = 6 * (2 * (4 * 384 * 384 + 2 * 384 * 1536) + 4 * 384)
    assert limits.flops(shape, [1]) == one
    assert limits.flops(shape, [100]) == 100 * one + 6 * 4 * 384 * (100 * 100 - 100)
    assert limits.flops(shape, [7, 9]) == limits.flops(shape, [7]) + limits.flops(shape, [9])


def test_copies_of_an_article_share_no_text(bench: Any, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text(json.dumps({"_id": "x", "title": "T", "text": "Some text."}) + "\n", "utf-8")
    made = list(bench("sets").multiplied([corpus], 3))
    for name in ("_id", "title", "text"):
        assert len({record[name] for record in made}) == 3
    assert len({record["text"].split()[0] for record in made}) == 3


def test_the_better_configuration_counts_figure_by_figure(bench: Any) -> None:
    module = bench("figures")
    figures = module.Figures(FIGURES)
    peak, articles = module.PEAK, module.MEASURES[0]
    assert figures.best(peak, "little", "txtai")[:3] == (200 << 20, "dense", "tuned")
    assert figures.best(articles, "little", "txtai").value == 5
    assert figures.leader(module.HYBRID, "little")[1].variant == "tuned"
    # What was cut off was not indexed.
    assert figures.best(module.RATE, "little", "txtai", "quick").value == 1500


def test_ratios_are_taken_within_a_round_against_the_fastest_peer(bench: Any) -> None:
    figures = bench("figures").Figures(FIGURES)
    assert figures.embed_ratios("float32") == [2.0, 1.0]
    assert figures.embed_ratios("int8") == []
    assert figures.embed_limit() == 5000


def test_targets_are_measured_never_assumed(bench: Any) -> None:
    targets = bench("targets").targets(bench("figures").Figures(FIGURES))
    reached = {(t.name, t.wanted): t.reached for t in targets}
    assert reached == {
        ("cold start, little", "at most 1/8 of the best peer's"): True,
        ("warm hybrid question, p50, little", "at most 1/3 of the best peer's"): False,
        ("warm hybrid question, p50, little", "at most 1.5 times its bare parts"): True,
        ("embedding in float32", "at least 1.15 times the fastest peer"): True,
        ("embedding in int8 or half", "at least 1.7 times the fastest peer"): None,
        ("embedding in float32", "at least 0.85 of the limit of this machine"): False,
        ("peak memory of indexing, little", "below every peer's"): True,
    }
    assert all(t.reached is None for t in bench("targets").targets(bench("figures").Figures([])))


def test_the_report_tells_what_was_and_was_not_measured(bench: Any, tmp_path: Path) -> None:
    source = tmp_path / "figures.jsonl"
    source.write_text("".join(json.dumps(f) + "\n" for f in FIGURES), "utf-8")
    report = bench("report")
    figures = bench("figures").Figures(bench("figures").read(source))
    text = report.markdown(figures)
    assert "| footnote | 0.10 | 0.50 (hybrid float32) |" in text
    assert "| txtai | 5.0 (dense tuned) | 2,000 (dense tuned) | 200 (dense tuned) |" in text
    assert "- `query/little/chroma/dense/quick`: Missing: there is no environment peer-chroma" in text
    assert "0.96000" in text  # the cosine of a peer whose vectors are not ours
    assert report.markdown(bench("figures").Figures([])).startswith("# ")


def test_the_report_is_written_in_three_forms(bench: Any, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="install the bench extra")
    source = tmp_path / "figures.jsonl"
    source.write_text("".join(json.dumps(f) + "\n" for f in FIGURES), "utf-8")
    written = bench("report").write(source, tmp_path / "out" / "bench")
    assert [p.suffix for p in written] == [".md", ".json", ".png"]
    assert "sample" not in json.loads(written[1].read_text("utf-8"))["figures"][3]["value"]


def test_what_fails_is_one_line_and_the_rest_goes_on(bench: Any, tmp_path: Path, capsys: Any) -> None:
    tasks, read = bench("tasks"), bench("figures").read

    def fails() -> dict[str, Any]:
        raise ValueError("two\nlines")

    path = tmp_path / "out" / "figures.jsonl"
    tasks.take([tasks.Task("index/a", fails), tasks.Task("index/b", lambda: {"n": 1})], path, resume=False)
    assert [f.get("failed") or f["value"] for f in read(path)] == ["ValueError: two lines", {"n": 1}]
    # Only what is missing is measured again.
    tasks.take([tasks.Task("index/a", lambda: {"n": 2}), tasks.Task("index/b", fails)], path, resume=True)
    assert {f["key"]: f["value"] for f in read(path)} == {"index/a": {"n": 2}, "index/b": {"n": 1}}
    assert "[1/1] index/a: done" in capsys.readouterr().out


@pytest.mark.parametrize("path", sorted((BENCH / "systems").glob("*.py")), ids=lambda p: p.stem)
def test_a_system_imports_its_library_only_when_it_is_used(path: Path) -> None:
    top = {n.module if isinstance(n, ast.ImportFrom) else n.names[0].name
           for n in ast.parse(path.read_text("utf-8")).body if isinstance(n, (ast.Import, ast.ImportFrom))}  # fmt: skip
    assert top <= {"__future__", "collections.abc", "pathlib", "typing", "protocol"}


def test_every_system_has_imports_and_every_environment_its_requirements(bench: Any) -> None:
    peers: ModuleType = bench("peers")
    for system in (peers.OURS, *peers.PEERS):
        ast.parse(peers.imports(system))
    for config in peers.configs(list(peers.PEERS), list(peers.VARIANTS), []):
        assert (BENCH / "requirements" / f"{config.environment}.txt").exists()
