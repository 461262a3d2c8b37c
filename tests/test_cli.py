"""The command line: what it prints, its exit codes, and one clear line for every bad input."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import rag
from rag.faces.cli import main

pytestmark = pytest.mark.model


def rag_command(*args: object, env: dict[str, str] | None = None) -> Result:
    """Run the command in this process, as a shell would."""
    return CliRunner().invoke(main, [str(a) for a in args], env=env, catch_exceptions=False)


def assert_one_line(result: Result, code: int, *words: str) -> None:
    """Assert the exit code and that standard error is one line that holds the words."""
    assert result.exit_code == code, result.stderr
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, result.stderr
    assert "Traceback" not in result.stderr
    for word in words:
        assert word in lines[0]


class TestReplies:
    def test_search_json(self, corpus_index: Path) -> None:
        result = rag_command("search", "How long is the Wakhan Corridor?", "-k", 3, "--index", corpus_index, "--json")
        reply = json.loads(result.stdout)
        assert result.exit_code == 0
        assert list(reply) == ["question", "hits"]
        assert [h["rank"] for h in reply["hits"]] == [1, 2, 3]
        first = reply["hits"][0]
        assert list(first) == ["rank", "score", "ranks", "article", "passage", "also"]
        assert list(first["article"]) == ["id", "title", "authors", "published", "url"]
        assert list(first["passage"]) == ["article_id", "revision", "start", "end", "section", "text"]
        assert first["article"]["id"] == "wakhan-corridor"

    def test_a_phrase_that_stands_nowhere_is_named(self, corpus_index: Path) -> None:
        result = rag_command("search", 'who painted the "purple giraffe"', "--index", corpus_index)
        assert result.exit_code == 0
        assert result.stdout == 'nothing found: no passage holds "purple giraffe", as quotation marks demand\n'

    def test_search_by_article(self, corpus_index: Path) -> None:
        result = rag_command("search", "Azerbaijan", "-k", 5, "--group", "article", "--index", corpus_index, "--json")
        hits = json.loads(result.stdout)["hits"]
        assert len({h["article"]["id"] for h in hits}) == 5

    def test_ask_json_is_what_to_dict_gives(self, corpus_index: Path) -> None:
        question = "When did the Kaan make its first flight?"
        result = rag_command("ask", question, "--index", corpus_index, "--json")
        reply = json.loads(result.stdout)
        with rag.open(corpus_index) as engine:
            assert reply == rag.to_dict(engine.ask(question))
            for c in reply["citations"]:
                assert engine.article(c["article_id"], c["revision"]).text[c["start"] : c["end"]] == c["quote"]
        assert reply["outcome"] == "answered"
        assert "2024" in reply["text"]
        assert set(reply) == {
            "question", "standalone", "outcome", "confidence", "text", "sentences", "citations", "hits",
            "notes",
        }  # fmt: skip

    def test_ask_streams_with_sources_below(self, corpus_index: Path) -> None:
        result = rag_command("ask", "When did the Kaan make its first flight?", "--index", corpus_index)
        assert result.exit_code == 0
        assert result.stdout.index("[1]") < result.stdout.index("Sources:")

    def test_an_abstention_is_done(self, corpus_index: Path) -> None:
        result = rag_command("ask", "Who won the chess olympiad in Budapest?", "--index", corpus_index, "--json")
        reply = json.loads(result.stdout)
        assert result.exit_code == 0
        assert (reply["outcome"], reply["citations"], reply["sentences"]) == ("abstained", [], [])
        assert reply["hits"]

    def test_many_questions_give_one_answer_a_line(self, corpus_index: Path, tmp_path: Path) -> None:
        asked = ["How long is the Wakhan Corridor?", "When did the Kaan make its first flight?"]
        file = tmp_path / "q.jsonl"
        file.write_text("\n".join(json.dumps({"question": q}) for q in asked) + "\n\n", "utf-8")
        result = rag_command("ask", "--questions", file, "--index", corpus_index, "--json")
        assert [json.loads(line)["question"] for line in result.stdout.splitlines()] == asked
        before = [{"role": "user", "content": asked[0]}]
        file.write_text(json.dumps({"question": "And the Karakoram Highway?", "history": before}), "utf-8")
        result = rag_command("ask", "--questions", file, "--index", corpus_index, "--json")
        assert json.loads(result.stdout)["standalone"] == "How long is the Karakoram Highway?"
        result = rag_command("ask", "--questions", file, "--index", corpus_index)
        assert "How long is the Karakoram Highway?" in result.stdout
        file.write_text(json.dumps({"question": "And the Karakoram Highway?", "history": "?"}), "utf-8")
        assert "history" in rag_command("ask", "--questions", file, "--index", corpus_index, "--json").stderr

    def test_filters(self, corpus_index: Path) -> None:
        args = ["search", "agreement", "-k", 50, "--index", corpus_index, "--json"]
        sections = json.loads(rag_command(*args, "--section", "background").stdout)["hits"]
        assert sections
        assert {h["passage"]["section"] for h in sections} == {"BACKGROUND"}
        day = "2026-10-31"
        for option, keeps in (("--since", lambda d: d >= day), ("--until", lambda d: d <= day)):
            hits = json.loads(rag_command(*args, option, day).stdout)["hits"]
            assert hits
            assert all(keeps(h["article"]["published"]) for h in hits)
        assert json.loads(rag_command(*args, "--author", "nobody").stdout)["hits"] == []

    def test_articles(self, corpus_index: Path) -> None:
        listed = json.loads(rag_command("articles", "list", "--index", corpus_index, "--json").stdout)
        assert len(listed) >= 12
        assert list(listed[0]) == ["id", "title", "title_made", "authors", "published", "url", "source", "passages"]
        assert json.loads(rag_command("articles", "--index", corpus_index, "--json").stdout) == listed
        assert json.loads(rag_command("articles", "--index", corpus_index, "--json", "list").stdout) == listed
        shown = json.loads(rag_command("articles", "show", listed[0]["id"], "--index", corpus_index, "--json").stdout)
        assert set(shown) == {*listed[0], "text", "revision", "sections", "current"}
        assert shown["current"] is True
        told = rag_command("articles", "show", listed[0]["id"], "--index", corpus_index).stdout
        assert shown["text"].strip() in told

    def test_doctor(self, corpus_index: Path) -> None:
        result = rag_command("doctor", "--index", corpus_index, "--json")
        found = json.loads(result.stdout)
        assert (result.exit_code, found["problems"]) == (0, [])
        assert found["index"]["articles"] >= 12


class TestLifecycle:
    def test_add_change_remove_prune(self, tmp_path: Path) -> None:
        source, index = tmp_path / "in", tmp_path / "index"
        source.mkdir()
        (source / "one.md").write_text("---\ntitle: One\n---\nThe lighthouse at Hirta was lit in 1902.\n", "utf-8")
        (source / "two.md").write_text("---\ntitle: Two\n---\nThe harbour of Skala freezes in winter.\n", "utf-8")

        def run(*args: object) -> dict[str, Any]:
            result = rag_command("ingest", source, "--index", index, "--json", *args)
            assert result.exit_code == 0, result.stderr
            reply: dict[str, Any] = json.loads(result.stdout)
            return reply

        def first(question: str) -> str:
            hits = json.loads(rag_command("search", question, "--index", index, "--json").stdout)["hits"]
            return str(hits[0]["passage"]["text"])

        assert run("--dry-run")["added"] == 2
        assert not index.exists()
        report = run()
        counts = ("added", "changed", "removed", "unchanged", "duplicates", "articles", "passages")
        assert [report[c] for c in counts] == [2, 0, 0, 0, 0, 2, 2]
        assert set(report) >= {*counts, "seconds", "failed"}
        again = run()
        assert (again["unchanged"], again["embedded"]) == (2, 0)
        (source / "one.md").write_text("---\ntitle: One\n---\nThe lighthouse at Hirta was lit in 1904.\n", "utf-8")
        changed = run()
        assert (changed["changed"], changed["unchanged"], changed["embedded"]) == (1, 1, 1)
        assert "1904" in first("When was the lighthouse lit?")
        (source / "two.md").unlink()
        assert run()["removed"] == 0
        assert run("--dry-run", "--prune")["removed"] == 1
        assert run("--prune")["removed"] == 1
        assert "harbour" not in first("Which harbour freezes?")
        rebuilt = run("--rebuild")
        assert (rebuilt["added"], rebuilt["embedded"], rebuilt["reused"]) == (1, 0, 1)
        assert rag_command("articles", "--index", index, "remove", "one.md").exit_code == 0
        listed = json.loads(rag_command("articles", "list", "--index", index, "--json").stdout)
        assert listed == []
        assert json.loads(rag_command("search", "lighthouse", "--index", index, "--json").stdout)["hits"] == []

    def test_an_older_revision_is_shown_and_said_to_be_older(self, tmp_path: Path) -> None:
        page, index = tmp_path / "one.md", tmp_path / "index"

        def shown(*args: object) -> dict[str, Any]:
            result = rag_command("articles", "show", "one.md", *args, "--index", index, "--json")
            assert result.exit_code == 0, result.stderr
            reply: dict[str, Any] = json.loads(result.stdout)
            return reply

        page.write_text("---\ntitle: One\n---\nThe lighthouse at Hirta was lit in 1902.\n", "utf-8")
        rag_command("ingest", page, "--index", index)
        old = shown()
        page.write_text("---\ntitle: One\n---\nThe lighthouse at Hirta was lit in 1904.\n", "utf-8")
        rag_command("ingest", page, "--index", index)
        new = shown()
        assert (old["current"], new["current"], "1904" in new["text"]) == (True, True, True)
        assert shown("--revision", new["revision"]) == new
        assert shown("--revision", old["revision"]) == {**old, "current": False, "passages": 0}
        told = rag_command("articles", "show", "one.md", "--revision", old["revision"], "--index", index).stdout
        (line,) = [line for line in told.splitlines() if new["revision"] in line]
        assert "has changed" in line
        assert "1902" in told
        told = rag_command("articles", "show", "one.md", "--index", index).stdout
        assert "has changed" not in told
        result = rag_command("articles", "show", "one.md", "--revision", "0000", "--index", index)
        assert_one_line(result, 1, "one.md", "0000", "rag articles show")
        rag_command("articles", "remove", "one.md", "--index", index)
        for args in ([], ["--revision", old["revision"]]):
            result = rag_command("articles", "show", "one.md", *args, "--index", index)
            assert_one_line(result, 1, "one.md", "was removed from the index on 20")

    def test_one_id_from_two_sources_names_both(self, tmp_path: Path) -> None:
        for folder in ("a", "b"):
            (tmp_path / folder).mkdir()
            (tmp_path / folder / "x.md").write_text(f"---\nid: same\n---\nText of {folder}.\n", "utf-8")
        result = rag_command("ingest", tmp_path / "a", tmp_path / "b", "--index", tmp_path / "index")
        assert_one_line(result, 3, str(tmp_path / "a" / "x.md"), str(tmp_path / "b"), "same")
        assert rag_command("ingest", tmp_path / "a", "--index", tmp_path / "index").exit_code == 0
        result = rag_command("ingest", tmp_path / "b", "--index", tmp_path / "index")
        assert_one_line(result, 3, str(tmp_path / "a"), str(tmp_path / "b"), "same")

    def test_another_way_to_write_a_path_is_not_another_source(self, tmp_path: Path) -> None:
        (tmp_path / "in").mkdir()
        (tmp_path / "in" / "x.md").write_text("---\nid: same\n---\nThe ferry sails at nine.\n", "utf-8")
        for way in (tmp_path / "in", tmp_path / "in" / ".." / "in", tmp_path / "in" / "x.md"):
            report = json.loads(rag_command("ingest", way, "--index", tmp_path / "index", "--json").stdout)
            assert (report["articles"], report["failed"]) == (1, [])

    def test_an_unreadable_page_is_not_pruned(self, tmp_path: Path) -> None:
        source = tmp_path / "in"
        source.mkdir()
        for name in ("a", "b"):
            (source / f"{name}.md").write_text(f"---\nid: {name}\n---\nThe ferry {name} sails at nine.\n", "utf-8")
        rag_command("ingest", source, "--index", tmp_path / "index")
        (source / "a.md").write_text("---\nid: [broken\n---\nText.\n", "utf-8")
        (source / "b.md").rename(source / "c.md.gone")
        result = rag_command("ingest", source, "--index", tmp_path / "index", "--prune", "--json")
        assert result.exit_code == 3
        assert json.loads(result.stdout)["removed"] == 1
        listed = json.loads(rag_command("articles", "--index", tmp_path / "index", "--json").stdout)
        assert [a["id"] for a in listed] == ["a"]

    def test_ctrl_c_keeps_what_is_done(self, tmp_path: Path) -> None:
        """Interrupted half way and run again: it goes on, and no text goes through the model twice."""
        source, index = tmp_path / "in.jsonl", tmp_path / "index"
        with source.open("w", encoding="utf-8") as f:
            for n in range(600):
                f.write(
                    json.dumps({"_id": f"d{n}", "title": f"Report {n}", "text": f"Line {n} of the ledger. " * 8}) + "\n"
                )
        command = [sys.executable, "-m", "rag", "ingest", str(source), "--index", str(index), "--json"]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            deadline = time.monotonic() + 120
            while vectors_in(index) < 100 and time.monotonic() < deadline and child.poll() is None:
                time.sleep(0.05)
            child.send_signal(signal.SIGINT)
            out, err = child.communicate(timeout=60)
        finally:
            child.kill()
        assert child.returncode == 130, err
        assert out == ""
        assert "Traceback" not in err
        kept = vectors_in(index)
        assert 100 <= kept < 600
        result = rag_command("ingest", source, "--index", index, "--json")
        report = json.loads(result.stdout)
        assert report["articles"] == 600
        assert report["added"] + report["unchanged"] == 600
        assert report["embedded"] + kept == vectors_in(index) == 600


def test_ctrl_c_ends_a_command_in_one_line(tmp_path: Path) -> None:
    asked = tmp_path / "asked.jsonl"
    os.mkfifo(asked)
    command = [sys.executable, "-m", "rag", "ask", "--questions", str(asked), "--index", "none"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        try:
            with asked.open("wb"):  # given when the command has opened it too, and waits for questions
                for _ in range(10):
                    child.send_signal(signal.SIGINT)
                    # One that comes just before the command begins to read waits until there is something.
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        child.wait(timeout=6)
                        break
                err = child.communicate(timeout=60)[1]
        finally:
            child.kill()
    assert (child.returncode, err.strip()) == (130, "stopped")


def vectors_in(index: Path) -> int:
    """Count the vectors in an index from outside."""
    import sqlite3

    path = index / "vectors.sqlite"
    if not path.exists():
        return 0
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)
    try:
        return int(db.execute("SELECT COUNT(*) FROM vectors").fetchone()[0])
    except sqlite3.OperationalError:
        return 0  # The table is not made yet.
    finally:
        db.close()


def write(name: str, data: bytes) -> Callable[[Path], Sequence[object]]:
    """Return a function that makes a file and gives the arguments to ingest it."""

    def make(folder: Path) -> Sequence[object]:
        (folder / name).write_bytes(data)
        return ["ingest", folder / name]

    return make


def long_line(folder: Path) -> Sequence[object]:
    with (folder / "long.jsonl").open("wb") as f:
        f.write(b'{"_id": "a", "text": "')
        for _ in range(200):
            f.write(b"x" * 1_000_000)
        f.write(b'"}\n{"_id": "b", "title": "", "text": "The next line is read."}\n')
    return ["ingest", folder / "long.jsonl"]


def long_text(folder: Path) -> Sequence[object]:
    with (folder / "long.txt").open("wb") as f:
        f.truncate(200_000_000)
    return ["ingest", folder / "long.txt"]


def empty(folder: Path) -> Sequence[object]:
    (folder / "none").mkdir()
    return ["ingest", folder / "none"]


BAD_SOURCES: dict[str, tuple[Callable[[Path], Sequence[object]], int, Sequence[str]]] = {
    "an empty folder": (empty, 1, ["none", "holds no articles"]),
    "a missing path": (lambda f: ["ingest", f / "missing"], 1, ["missing", "does not exist"]),
    "an unknown kind": (write("a.docx", b"PK"), 1, ["a.docx", "unknown kind"]),
    "a binary file named .txt": (write("b.txt", bytes(range(256)) * 40), 3, ["b.txt"]),
    "a 200 MB line": (long_line, 3, ["long.jsonl:1"]),
    "a 200 MB text": (long_text, 3, ["long.txt"]),
    "broken UTF-8": (write("u.txt", b"Good line.\nBad \xff\xfe here.\n" * 3), 3, ["u.txt", "UTF-8"]),
    "broken front matter": (write("f.md", b"---\ntitle: [one\nauthors: x\n---\nText.\n"), 3, ["f.md"]),
    "unclosed front matter": (write("f.md", b"---\ntitle: one\n\nText.\n"), 3, ["f.md"]),
    "a malformed JSONL line": (write("j.jsonl", b'{"_id": "a", "text": "Fine."}\n{"_id": \n'), 3, ["j.jsonl:2"]),
    "an empty file": (write("e.txt", b"  \n\n"), 3, ["e.txt"]),
    "a page without an article": (write("n.html", b"<html><body></body></html>"), 3, ["n.html"]),
}


@pytest.mark.parametrize("name", BAD_SOURCES)
def test_a_bad_source_gives_one_line(name: str, tmp_path: Path) -> None:
    make, code, words = BAD_SOURCES[name]
    index = tmp_path / "index"
    result = rag_command(*make(tmp_path), "--index", index)
    assert_one_line(result, code, *words)
    if code == 1:
        assert not index.exists(), "a source that cannot be read leaves nothing behind"


def test_the_rest_of_a_source_is_read(tmp_path: Path) -> None:
    (tmp_path / "good.txt").write_text("The ferry to Aland sails at nine. It takes five hours.\n", "utf-8")
    (tmp_path / "bad.txt").write_bytes(b"\x00\x01\x02" * 100)
    result = rag_command("ingest", tmp_path, "--index", tmp_path / "index", "--json")
    assert result.exit_code == 3
    report = json.loads(result.stdout)
    assert report["added"] == 1
    assert [Path(f["source"]).name for f in report["failed"]] == ["bad.txt"]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["search", ""], ["question is empty"]),
        (["ask", "  \n "], ["question is empty"]),
        (["ask", "why " * 25_000], ["100000 characters"]),
        (["search", "x", "-k", "0"], ["k is 0"]),
        (["search", "x", "-k", "-5"], ["k is -5"]),
        (["search", "x", "-k", "1000000"], ["k is 1000000"]),
        (["search", "x", "--since", "soon"], ["soon", "YYYY-MM-DD"]),
        (["articles", "show", "nothing"], ["nothing"]),
        (["articles", "remove", "nothing"], ["nothing"]),
        (["ask", "--questions", "/does/not/exist.jsonl"], ["/does/not/exist.jsonl"]),
    ],
    ids=lambda v: " ".join(v)[:30] if isinstance(v, list) else None,
)
def test_a_bad_question_gives_one_line(args: list[str], words: list[str], corpus_index: Path) -> None:
    assert_one_line(rag_command(*args, "--index", corpus_index), 1, *words)


def test_bad_usage_is_2(corpus_index: Path) -> None:
    assert rag_command("search").exit_code == 2
    assert rag_command("ask", "--index", corpus_index).exit_code == 2
    assert rag_command("search", "x", "--group", "author", "--index", corpus_index).exit_code == 2


class TestBadIndexes:
    def test_none(self, tmp_path: Path) -> None:
        for args in (["search", "x"], ["ask", "x"], ["articles", "list"], ["articles", "remove", "x"], ["serve"]):
            assert_last_line(rag_command(*args, "--index", tmp_path / "none"), 1, str(tmp_path / "none"), "rag ingest")
        assert not (tmp_path / "none").exists()

    def test_of_another_model(self, corpus_index: Path, tmp_path: Path) -> None:
        env = {"RAG_MODEL__NAME": "another/model"}
        assert_one_line(
            rag_command("search", "x", "--index", corpus_index, env=env), 1, "another/model", "all-MiniLM-L6-v2"
        )

    def test_of_other_passages(self, corpus_index: Path, tmp_path: Path) -> None:
        (tmp_path / "a.txt").write_text("Some text to add.", "utf-8")
        env = {"RAG_PASSAGES__TOKENS": "150"}
        result = rag_command("ingest", tmp_path / "a.txt", "--index", corpus_index, env=env)
        assert_one_line(result, 1, "passage_tokens", "100", "150", "--rebuild")
        with rag.open(corpus_index) as engine:
            assert "a.txt" not in [h.id for h, _ in engine.articles()]

    def test_damaged_then_rebuilt(self, tmp_path: Path) -> None:
        (tmp_path / "a.txt").write_text("The ferry to Aland sails at nine. It takes five hours.\n", "utf-8")
        index = tmp_path / "index"
        assert rag_command("ingest", tmp_path / "a.txt", "--index", index).exit_code == 0
        for name in ("catalog.sqlite", "vectors.sqlite"):
            (index / name).write_bytes(b"not a database, and long enough to be looked at" * 100)
            result = rag_command("search", "ferry", "--index", index)
            assert_one_line(result, 1, name, "rag doctor --repair")
            assert_one_line(rag_command("ingest", tmp_path / "a.txt", "--index", index), 1, name)
            assert rag_command("doctor", "--index", index).exit_code == 1
            assert rag_command("ingest", tmp_path / "a.txt", "--index", index, "--rebuild").exit_code == 0
            assert rag_command("search", "ferry", "--index", index).exit_code == 0
            assert list(index.glob(f"damaged-*-{name}")), "the damaged file is kept"

    def test_a_bad_setting(self, corpus_index: Path) -> None:
        for env, word in (
            ({"RAG_SEARCH__RETRIEVER": "magic"}, "magic"),
            ({"RAG_SEARCH__DENSE_WEIGHT": "7"}, "dense_weight"),
            ({"RAG_SEARCH__NOTHING": "1"}, "nothing"),
        ):
            assert_one_line(rag_command("search", "x", "--index", corpus_index, env=env), 1, word)


def assert_last_line(result: Result, code: int, *words: str) -> None:
    """Assert the exit code and the words in the last line of standard error."""
    assert result.exit_code == code
    last = result.stderr.strip().splitlines()[-1]
    assert all(w in last for w in words), result.stderr


def test_the_program_itself(corpus_index: Path) -> None:
    """Once as a process of its own: standard output holds the JSON and nothing else."""
    done = subprocess.run(
        [sys.executable, "-m", "rag", "search", "Wakhan", "--index", str(corpus_index), "--json"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONWARNINGS": "default"},
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["hits"]
    assert done.stderr == ""
