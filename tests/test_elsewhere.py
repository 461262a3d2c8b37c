"""An index on a Milvus server, used as users use it: the setting store.uri is all that differs from a folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from milvus_servers import milvus_lite

import rag
from rag.errors import InvalidSettings, NoIndex, StoreError
from rag.faces.cli import main
from rag.faces.serving import kept_in
from rag.settings import Settings, StoreSettings

CORPUS = Path(__file__).parent.parent / "corpus"
QUESTIONS = (
    "How long is the Wakhan Corridor?",
    "Who signed the Shusha Declaration?",
    "What is the population of Atlantis?",
)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with milvus_lite(tmp_path_factory.mktemp("milvus")) as server:
        yield server.address


@pytest.fixture(scope="module")
def copied(address: str, corpus_index: Path) -> Settings:
    """Settings by which the sample articles are on a server, copied from the folder."""
    settings = Settings.load(store={"uri": address, "name": "sample"})
    report = rag.copy(corpus_index, address, settings=settings)
    assert report.added == report.articles
    return settings


def command(*args: object) -> Any:
    return CliRunner().invoke(main, [*map(str, args)], catch_exceptions=False)


def process(*args: str, cwd: Path, uri: str) -> subprocess.CompletedProcess[str]:
    """Run Python with an index elsewhere, and return what it said."""
    return subprocess.run(
        [sys.executable, *args],
        env={**os.environ, "RAG_STORE__URI": uri},
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=120,
        check=False,
    )


@pytest.fixture
def chosen(copied: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder that holds nothing, while the environment names the server."""
    monkeypatch.setenv("RAG_STORE__URI", str(copied.store.uri))
    monkeypatch.setenv("RAG_STORE__NAME", copied.store.name)
    return tmp_path / "index"


def test_a_copy_is_the_same_to_search_and_answers(copied: Settings, corpus_index: Path) -> None:
    with rag.open(corpus_index) as here, rag.open("nowhere", settings=copied) as there:
        assert there.stats().passages == here.stats().passages
        assert there.articles() == here.articles()
        for question in QUESTIONS:
            mine, yours = here.search(question), there.search(question)
            # BM25 has the exact lengths of passages there, and here rounded ones.
            assert mine[0].passage in [h.passage for h in yours[:2]]
            assert len({h.passage.id for h in mine} & {h.passage.id for h in yours}) >= 9
            assert [h.score for h in yours] == pytest.approx([h.score for h in mine], abs=0.05)
            a, b = here.ask(question), there.ask(question)
            assert (b.outcome, b.text, b.citations) == (a.outcome, a.text, a.citations)


def test_there_and_back_again(copied: Settings, corpus_index: Path, tmp_path: Path) -> None:
    assert copied.store.uri
    report = rag.copy(copied.store.uri, tmp_path / "back", settings=copied)
    assert (report.embedded, report.articles) == (0, report.added)
    found = rag.doctor(tmp_path / "back", against=corpus_index)
    assert found["problems"] == []
    assert found["compared"]["vectors"] == 0.0
    assert found["compared"]["meaning"] == found["compared"]["words"] == 1.0


def test_commands_use_it(chosen: Path, corpus_index: Path) -> None:
    told = command("doctor", "--index", chosen, "--against", corpus_index, "--json")
    assert told.exit_code == 0, told.output
    found = json.loads(told.stdout)
    assert found["index"]["address"].startswith("http://127.0.0.1:")
    assert found["index"]["name"] == "sample"
    assert "bytes" not in found["index"]
    assert found["compared"]["meaning"] > 0.99
    listed = json.loads(command("articles", "list", "--index", chosen, "--json").stdout)
    assert len(listed) == found["index"]["articles"]
    assert json.loads(command("articles", "show", listed[0]["id"], "--index", chosen, "--json").stdout)["current"]
    assert "Wakhan" in command("search", QUESTIONS[0], "--index", chosen).stdout
    assert "[1]" in command("ask", QUESTIONS[0], "--index", chosen).stdout
    assert not chosen.exists()


def test_articles_come_and_go(chosen: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_STORE__NAME", "small")
    with pytest.raises(NoIndex, match="no index 'small' in Milvus at http"):
        rag.open(chosen)
    page = tmp_path / "lamp.md"
    page.write_text("# The lamp\n\nThe lamp was lit in 1874.\n")
    result = command("ingest", page, "--index", chosen)
    assert result.exit_code == 0, result.output
    assert "1 added" in result.stdout
    assert "1 unchanged" in command("ingest", page, "--index", chosen).stdout
    page.write_text("# The lamp\n\nThe lamp was lit in 1875.\n")
    assert "1 changed" in command("ingest", page, "--index", chosen).stdout
    assert "1875" in command("ask", "When was the lamp lit?", "--index", chosen).stdout
    (id,) = [a["id"] for a in json.loads(command("articles", "list", "--index", chosen, "--json").stdout)]
    assert command("articles", "remove", id, "--index", chosen).exit_code == 0
    assert json.loads(command("articles", "list", "--index", chosen, "--json").stdout) == []
    assert "1 added" in command("ingest", page, "--index", chosen, "--rebuild").stdout


def test_a_file_of_milvus_lite_is_opened_by_one_process_after_another(tmp_path: Path) -> None:
    (tmp_path / "lamp.md").write_text("# The lamp\n\nThe lamp was lit in 1874.\n")
    for args, told in (
        (["ingest", "lamp.md"], "1 added"),
        (["ask", "When was the lamp lit?"], "1874"),
        (["articles", "remove", "lamp.md"], "removed lamp.md"),
        (["articles", "list"], ""),
    ):
        done = process("-m", "rag", *args, cwd=tmp_path, uri="index.db")
        assert done.returncode == 0, done.stderr
        assert told in done.stdout
        assert "Traceback" not in done.stderr
        assert "ERROR" not in done.stderr


def test_an_evaluation_leaves_it_alone(chosen: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    (mine / "articles").mkdir(parents=True)
    (mine / "articles" / "lamp.md").write_text("# The lamp\n\nThe lamp was lit in 1874.\n")
    (mine / "questions.csv").write_text("question,quote\nWhen was the lamp lit?,lit in 1874\n")
    before = json.loads(command("articles", "list", "--index", chosen, "--json").stdout)
    result = command("eval", "retrieval", mine, "--out", tmp_path / "out", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(command("articles", "list", "--index", chosen, "--json").stdout) == before


def test_the_page_keeps_conversations_in_the_folder(chosen: Path) -> None:
    with ExitStack() as stack:
        stack.enter_context(closing(kept_in(chosen, stack)))
        assert (chosen / "conversations.sqlite").exists()


def test_addresses_that_do_not_do() -> None:
    for uri, told in (
        ("http://root:secret@127.0.0.1:19530", "they go into store.token"),
        ("ftp://127.0.0.1", "neither an http:// or https:// address nor a file.db"),
    ):
        with pytest.raises(InvalidSettings, match=told) as error:
            Settings.load(store={"uri": uri})
        assert "secret" not in str(error.value)
        with pytest.raises(InvalidSettings, match=told) as error:
            StoreSettings().at(uri)
        assert "secret" not in str(error.value)


def test_an_absent_extra_is_one_line(tmp_path: Path) -> None:
    code = "import sys; sys.modules['pymilvus'] = None; from rag.__main__ import main; main()"
    done = process("-c", code, "search", "x", cwd=tmp_path, uri="http://127.0.0.1:19530")
    assert done.returncode == 1
    assert done.stderr.strip() == (
        "Error: an index in Milvus needs an optional package: pip install 'footnote-rag[milvus]'"
    )


def test_nobody_there_is_one_line(tmp_path: Path) -> None:
    settings = Settings.load(store={"uri": "http://127.0.0.1:9", "timeout": 2, "token": "root:hush"})
    with pytest.raises(StoreError, match="cannot be reached") as error:
        rag.open(tmp_path, settings=settings)
    assert "hush" not in str(error.value)
    assert "\n" not in str(error.value)
