"""An ingest spread over workers: the same index as a local one, whatever is lost on the way."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import machines
import numpy as np
import pytest
from fake_ray import FakeRay, Killed
from fakes import HashEmbedder

import rag
from rag import keeping
from rag.errors import ClusterError, InvalidSettings, MissingExtra, ModelError
from rag.handover import Vectors
from rag.intake import steps
from rag.intake.sources import Page, Raw
from rag.intake.steps import Cut, Unread
from rag.settings import Settings
from rag.spread import pool
from rag.spread.pool import Pool
from rag.spread.spread import Spread
from rag.store.vectorfile import SUM_BYTES
from rag.types import Article, Failure, Report

CORPUS = Path(__file__).parent.parent / "corpus"
SETTINGS = Settings.load(passages={"tokens": 32})


# -- workers that are lost, without Ray ---------------------------------------------------------------


class Frail:
    """A worker with made vectors that dies over some texts, and once over others."""

    died: set[str]

    def __init__(self, wanted: object) -> None:
        self.embedder = HashEmbedder()

    def start(self) -> str:
        return "here"

    def fall(self, text: str) -> None:
        if "deadly" in text or ("frightful" in text and text not in self.died):
            self.died.add(text)
            raise Killed

    def read(self, given: Sequence[Unread]) -> list[Sequence[Article | Failure]]:
        for one in given:
            self.fall(one.data.decode("utf-8") if isinstance(one, Raw) and "read" in one.page.name else "")
        return [steps.read(one) for one in given]

    def cut(self, articles: Sequence[Article]) -> list[Cut | Failure]:
        for article in articles:
            self.fall(article.text if "cut" in article.id else "")
        return [steps.cut(a, self.embedder, SETTINGS.passages) for a in articles]

    def embed(self, texts: Sequence[str]) -> Vectors:
        for text in texts:
            self.fall(text if "embedded" in text else "")
        return self.embedder.vectors(texts)


@pytest.fixture
def frail(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pool]:
    monkeypatch.setattr(Frail, "died", set(), raising=False)
    made = Pool(FakeRay(), Frail, None, 3)  # type: ignore[arg-type]
    yield made
    made.close()


def ingested(monkeypatch: pytest.MonkeyPatch, source: Path, index: Path, spread: Spread | None) -> Report:
    """Ingest with made vectors, here or spread."""
    monkeypatch.setattr(keeping, "model_of", lambda *_, **__: HashEmbedder())

    monkeypatch.setattr(keeping, "_work", lambda *_: nullcontext(spread))
    return replace(keeping.ingest([source], index, SETTINGS), seconds=0.0)


def notes(folder: Path, *named: str) -> Path:
    """Write pages, each with its name and number in its text."""
    folder.mkdir()
    for n, name in enumerate(named):
        text = f"Of {name}, {n} things are told. The tide took {3 * n} of the buoys."
        (folder / f"{n:03}-{name.replace(' ', '-')}.txt").write_text(text, "utf-8")
    return folder


def test_what_kills_every_worker_is_reported_and_the_rest_goes_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, frail: Pool
) -> None:
    plain = ["plain"] * 40
    names = [*plain, "deadly read", *plain, "deadly cut", *plain, "deadly embedded", *plain]
    report = ingested(monkeypatch, notes(tmp_path / "pages", *names), tmp_path / "i", Spread(frail, batch=8))
    assert (report.added, report.articles) == (160, 160)
    assert {Path(f.source).name[4:] for f in report.failed} == {
        "deadly-read.txt",
        "deadly-cut.txt",
        "deadly-embedded.txt",
    }
    assert all("4 workers were lost over it" in f.reason for f in report.failed)
    assert frail.counts["lost"] == 12
    again = ingested(monkeypatch, tmp_path / "pages", tmp_path / "i", None)
    assert (again.added, again.unchanged, again.failed) == (3, 160, ())


def test_what_costs_one_worker_is_taken_up_by_another(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, frail: Pool
) -> None:
    names = ["plain", "frightful read", "frightful cut", "frightful embedded"] * 9
    pages = notes(tmp_path / "pages", *names)
    report = ingested(monkeypatch, pages, tmp_path / "i", Spread(frail, batch=5))
    assert report == ingested(monkeypatch, pages, tmp_path / "here", None)
    assert contents(tmp_path / "i") == contents(tmp_path / "here")
    assert frail.counts["lost"] == frail.counts["again"] > 3


def test_no_more_is_under_way_than_there_is_room_for(frail: Pool) -> None:
    taken = given = 0

    def texts() -> Iterator[str]:
        nonlocal taken
        for n in range(1_000):
            taken += 1
            yield f"text {n}"

    for vectors in Spread(frail, batch=4).embed(texts()):
        given += len(vectors)
        # One batch has been asked for, and one text has been seen to find that it is full.
        assert taken - given <= 4 * 3 * 3 + 1
    assert given == 1_000
    assert frail.counts["most"] == pool.HELD * 3


def test_large_pages_go_alone(frail: Pool) -> None:
    page = Page("p.txt", "/p.txt", "txt")
    sizes = [10, 4_000, 30, 50_000, 90_000, 20, 10]
    spread = Spread(frail, batch=4)
    raws = [Raw(page, b"a " * (n // 2)) for n in sizes]
    found = spread._each("read", raws, lambda r: len(r.data), 2_560, 8)
    batches = [[len(r.data) for r in batch] for batch, _ in found]
    assert batches == [[10], [4_000], [30], [50_000], [90_000], [20, 10]]


@pytest.mark.parametrize(
    ("error", "expected"),
    [(ModelError("another model"), ModelError), (Killed(), ClusterError), (ZeroDivisionError(), ZeroDivisionError)],
)
def test_workers_that_do_not_start(error: BaseException, expected: type, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_: Frail) -> str:
        raise error

    monkeypatch.setattr(Frail, "start", start)
    unusable = Pool(FakeRay(), Frail, None, 2)  # type: ignore[arg-type]
    with pytest.raises(expected):
        unusable.result(unusable.submit("embed", ["text"]))


def test_a_cluster_without_room_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "START_SECONDS", 0.0)
    monkeypatch.setattr(FakeRay, "wait", lambda _, refs, **__: ([], refs))
    full = Pool(FakeRay(), Frail, None, 2)  # type: ignore[arg-type]
    with pytest.raises(ClusterError, match="no worker of the Ray cluster has started"):
        full.result(full.submit("embed", ["text"]))


def test_it_stops_while_it_waits(frail: Pool) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    spread = Spread(frail, batch=4)
    spread.on_wait = stop
    with pytest.raises(KeyboardInterrupt):
        list(spread.embed(["text"]))


def test_articles_handed_over_and_dry_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, frail: Pool) -> None:
    spread = Spread(frail, batch=4)
    pages = notes(tmp_path / "pages", "plain", "plain")
    found = list(
        spread.read([Article("x", "T", "Text."), Failure("y", "gone"), Raw(Page("p", "/p", "txt"), b"Words.")])
    )
    assert [type(a).__name__ for some in found for a in some] == ["Article", "Failure", "Article"]
    monkeypatch.setattr(keeping, "_work", lambda *_: nullcontext(spread))
    monkeypatch.setattr(keeping, "model_of", lambda *_, **__: HashEmbedder())
    report = keeping.ingest([pages], tmp_path / "i", SETTINGS, dry_run=True)
    assert (report.added, report.embedded) == (2, 0)


# -- one line for what is wrong -----------------------------------------------------------------------


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    for name in ("RAY_USAGE_STATS_ENABLED", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN"):
        monkeypatch.setenv(name, "token" if name == "RAY_AUTH_MODE" else "0")
    with pytest.raises(MissingExtra, match=r"pip install 'footnote-rag\[ray\]'"):
        rag.ingest([Article("x", "T", "Text.")], index=tmp_path / "i", with_="ray")


def test_what_cannot_be_spread(tmp_path: Path) -> None:
    given = [Article("x", "T", "Text.")]
    with pytest.raises(InvalidSettings, match="cannot be sent"):
        keeping.ingest(given, tmp_path / "i", SETTINGS, with_="ray", embedder=HashEmbedder())
    with pytest.raises(InvalidSettings, match="with_='dask'"):
        keeping.ingest(given, tmp_path / "i", SETTINGS, with_="dask", embedder=HashEmbedder())  # type: ignore[arg-type]


# -- Ray on two machines ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def needed() -> None:
    """Skip where there is no Ray or there can be no such machines."""
    pytest.importorskip("ray", reason="install the ray extra")
    reason = machines.reason_against()
    if reason:
        pytest.skip(reason)


@pytest.fixture(scope="module")
def two(needed: None) -> Iterator[machines.Machines]:
    with machines.Machines() as made:
        made.join()
        yield made


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pages of every kind, some of them bad."""
    folder = tmp_path_factory.mktemp("spread") / "pages"
    folder.mkdir()
    for page in CORPUS.glob("*.md"):
        (folder / page.name).write_bytes(page.read_bytes())
    lines = [
        json.dumps({"_id": f"line-{n}", "title": f"Tide {n}", "text": f"The tide of day {n} took {3 * n} buoys."})
        for n in range(40)
    ]
    (folder / "lines.jsonl").write_text("\n".join([*lines, "{broken", lines[3]]) + "\n", "utf-8")
    (folder / "empty.md").write_text("", "utf-8")
    (folder / "page.html").write_text("<title>Pier</title><article><p>The pier was built in 1911.</article>", "utf-8")
    (folder / "twice.md").write_text("---\nid: line-7\ntitle: Twice\n---\nIt names the id of another.\n", "utf-8")
    return folder


@pytest.fixture(scope="module")
def local(pages: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The index of these pages made here, and its report."""
    index = tmp_path_factory.mktemp("local") / "index"
    return index, rag.to_dict(rag.ingest(pages, index=index))


def contents(index: Path) -> dict[str, Any]:
    """Return all that an index says: articles in the order of their numbers, passages, vectors."""
    catalog = sqlite3.connect(index / "catalog.sqlite")
    vectors = sqlite3.connect(index / "vectors.sqlite")
    try:
        return {
            "articles": catalog.execute(
                "SELECT id, revision, source, origin, text FROM articles ORDER BY ord"
            ).fetchall(),
            "passages": catalog.execute("SELECT row, article, start, end, section, key FROM passages").fetchall(),
            "vectors": dict(vectors.execute("SELECT key, vector FROM vectors").fetchall()),
        }
    finally:
        catalog.close()
        vectors.close()


def assert_same(index: Path, other: Path) -> None:
    """See that two indexes have the same articles, revisions, passages in the same rows, and vectors within 1e-5."""
    one, two = contents(index), contents(other)
    assert one["articles"] == two["articles"]
    assert one["passages"] == two["passages"]
    assert one["vectors"].keys() == two["vectors"].keys()
    for key, vector in one["vectors"].items():
        a, b = (np.frombuffer(v[:-SUM_BYTES], np.float16).astype(np.float32) for v in (vector, two["vectors"][key]))
        assert np.abs(a - b).max() <= 1e-5


class Run:
    """An ingest on the first machine."""

    def __init__(self, two: machines.Machines, source: Path, index: Path, half: int, **env: str) -> None:
        driver = [str(Path(__file__).with_name("spread_driver.py")), str(source), str(index), str(half)]
        self.process = two.start(
            0,
            driver,
            env={"RAG_RAY__BATCH": "8", **env},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def half_way(self) -> None:
        """Return when it is half way, where it waits."""
        assert self.process.stdout
        assert self.process.stdout.readline() == "half\n", self.process.communicate(timeout=60)

    def result(self) -> dict[str, Any]:
        """Let it go on, and return what it tells in the end."""
        out, err = self.process.communicate("\n", timeout=120)
        assert self.process.returncode == 0, err
        found: dict[str, Any] = json.loads(out.splitlines()[-1])
        return found


@pytest.mark.model
def test_a_cluster_started_for_the_run_is_for_this_machine_alone_and_ends_with_it(
    needed: None, pages: Path, tmp_path: Path
) -> None:
    with machines.Machines() as alone:
        run = Run(
            alone, pages, tmp_path / "index", half=64, RAY_ADDRESS="", RAY_AUTH_TOKEN="", TMPDIR=str(alone.folder)
        )
        run.half_way()
        listening = subprocess.run(
            ["ip", "netns", "exec", alone.names[0], "ss", "-ltnH"], capture_output=True, text=True, check=True
        )
        addresses = {line.split()[3].rpartition(":")[0] for line in listening.stdout.splitlines()}
        assert addresses
        assert addresses <= {"127.0.0.1", "[::ffff:127.0.0.1]", "[::1]"}
        # Ctrl-C: what is complete is kept, and what was started is ended.
        run.process.send_signal(signal.SIGINT)
        _, err = run.process.communicate(timeout=60)
        assert err.endswith("KeyboardInterrupt\n")
        machines.until(lambda: not alone.processes(0), seconds=20)
        assert not list(alone.folder.glob("footnote-ray*"))
    assert len(contents(tmp_path / "index")["articles"]) > 0


def same_report(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return {**one, "seconds": 0} == {**other, "seconds": 0}


@pytest.mark.model
def test_two_machines_make_the_index_that_one_makes(
    two: machines.Machines, pages: Path, local: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    run = Run(two, pages, tmp_path / "index", half=local[1]["embedded"] // 2)
    run.half_way()
    # One worker on each, and no more batches in their hands than two each.
    assert [len(two.processes(n, "ray::Worker")) for n in (0, 1)] == [1, 1]
    found = run.result()
    assert same_report(found["report"], local[1])
    assert_same(tmp_path / "index", local[0])
    assert (found["workers"], found["lost"], found["again"]) == (2, 0, 0)
    assert found["most"] <= pool.HELD * 2


def assert_cost_a_batch(run: Run, local: tuple[Path, dict[str, Any]], index: Path) -> None:
    """Assert that a run comes to what one on this machine comes to, with one worker lost and one batch given again."""
    found = run.result()
    assert same_report(found["report"], local[1])
    assert_same(index, local[0])
    assert (found["lost"], found["again"]) == (1, 1)


@pytest.mark.model
def test_a_worker_killed_half_way_costs_its_batch(
    two: machines.Machines, pages: Path, local: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    run = Run(two, pages, tmp_path / "index", half=local[1]["embedded"] // 2)
    run.half_way()
    (worker,) = two.processes(1, "ray::Worker")
    os.kill(worker, signal.SIGKILL)
    assert_cost_a_batch(run, local, tmp_path / "index")


@pytest.mark.model
def test_a_killed_ingest_goes_on_where_it_was(
    two: machines.Machines, pages: Path, local: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    # Every result is committed at once; what is kept is whole articles.
    killed = Run(two, pages, tmp_path / "index", half=local[1]["embedded"] // 2)
    killed.half_way()
    killed.process.kill()
    killed.process.communicate()
    found = Run(two, pages, tmp_path / "index", half=10_000).result()["report"]
    assert found["articles"] == local[1]["articles"]
    assert found["added"] + found["unchanged"] == local[1]["articles"]
    assert found["embedded"] < local[1]["embedded"]
    assert {a[:2] for a in contents(tmp_path / "index")["articles"]} == {a[:2] for a in contents(local[0])["articles"]}


@pytest.mark.model
def test_a_wrong_token_is_one_line(two: machines.Machines, pages: Path, tmp_path: Path) -> None:
    command = ["-m", "rag", "ingest", str(pages), "--index", str(tmp_path / "index"), "--with", "ray"]
    asked = two.start(0, command, env={"RAY_AUTH_TOKEN": "0" * 64}, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = asked.communicate(timeout=100)
    assert (asked.returncode, out) == (1, "")
    assert err.startswith("Error: the Ray cluster at 10.77.0.1:6379 cannot be joined")
    assert err.count("\n") == 1


@pytest.mark.model
def test_a_machine_that_is_lost_costs_its_batch(
    two: machines.Machines, pages: Path, local: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    """The last of these: the machine stays lost."""
    run = Run(two, pages, tmp_path / "index", half=local[1]["embedded"] // 2)
    run.half_way()
    two.cut_power(1)
    assert_cost_a_batch(run, local, tmp_path / "index")
