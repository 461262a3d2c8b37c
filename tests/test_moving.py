"""`rag copy` and `rag doctor --against`: an index goes from place to place as it is, and what differs is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from contracts import EMBEDDER, article, passages, put
from fakes import FINGERPRINT

from rag import differences, moving
from rag.errors import IndexMismatch, NoIndex, StoreError
from rag.faces.cli import main
from rag.settings import Settings
from rag.store.local import LocalStore
from rag.types import Filter, Steps

SETTINGS = Settings.load()


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """An index of twenty articles, one of them in its third revision and one printed twice."""
    with LocalStore.create(tmp_path / "built", FINGERPRINT).writer() as t:
        for n in range(20):
            put(t, article(n))
        put(t, article(3, version=1))
        put(t, article(3, version=2))
    return tmp_path / "built"


def test_a_copy_is_the_index_again(built: Path, tmp_path: Path) -> None:
    report = moving.copy(built, tmp_path / "copy", SETTINGS)
    assert (report.added, report.changed, report.removed, report.unchanged) == (20, 0, 0, 0)
    assert (report.articles, report.passages, report.embedded, report.reused) == (20, 40, 0, 40)
    with LocalStore(built).view() as old, LocalStore(tmp_path / "copy").view() as new:
        assert new.articles() == old.articles()
        assert new.sections() == old.sections()
        for revision in (article(3).revision, article(3, version=1).revision, None):
            assert new.article("a00003", revision) == old.article("a00003", revision)
        for where in (None, Filter(authors=("ann o. 1",))):
            a, b = (v.dense(EMBEDDER.query("word3 story"), 10, where) for v in (old, new))
            np.testing.assert_array_equal(a.scores, b.scores)
            assert [p.id for p, _ in old.passages(a.rows.tolist())] == [p.id for p, _ in new.passages(b.rows.tolist())]
    compared = differences.compare(built, tmp_path / "copy", SETTINGS)
    assert compared.differences == ()
    assert (compared.articles, compared.passages, compared.vectors) == (20, 40, 0.0)
    assert (compared.probes, compared.meaning, compared.words) == (20, 1.0, 1.0)


def test_a_second_copy_brings_what_has_changed(built: Path, tmp_path: Path) -> None:
    moving.copy(built, tmp_path / "copy", SETTINGS)
    with LocalStore(built).writer() as t:
        put(t, article(5, version=1))
        put(t, article(30))
        t.remove("a00007")
        put(t, article(8, source="elsewhere"))  # no part of its revision
    report = moving.copy(built, tmp_path / "copy", SETTINGS, prune=True)
    assert (report.added, report.changed, report.removed, report.unchanged) == (1, 2, 1, 17)
    assert differences.compare(built, tmp_path / "copy", SETTINGS).differences == ()


def test_what_only_the_target_has_is_not_taken_out_unasked(built: Path, tmp_path: Path) -> None:
    with LocalStore.create(tmp_path / "copy", FINGERPRINT).writer() as t:
        put(t, article(77))
    with pytest.raises(StoreError, match=r"holds 1 articles that .*built lacks, 'a00077' for one: .*--prune"):
        moving.copy(built, tmp_path / "copy", SETTINGS)
    with LocalStore(tmp_path / "copy").view() as view:
        assert [head.id for head, _ in view.articles()] == ["a00077"]


def test_an_interrupted_copy_goes_on(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moving, "TOGETHER", 4)
    monkeypatch.setattr("rag.store.faults.OFTEN", 0)

    def interrupt(steps: Steps) -> None:
        if steps.doing == "copying" and steps.done >= 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        moving.copy(built, tmp_path / "copy", SETTINGS, on_progress=interrupt)
    with LocalStore(tmp_path / "copy").view() as view:
        kept = len(view.articles())
    assert 6 <= kept < 20
    report = moving.copy(built, tmp_path / "copy", SETTINGS)
    assert (report.added, report.unchanged) == (20 - kept, kept)
    assert differences.compare(built, tmp_path / "copy", SETTINGS).differences == ()


def test_what_is_written_meanwhile_comes_along(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moving, "TOGETHER", 4)
    monkeypatch.setattr("rag.store.faults.OFTEN", 0)
    to_come = [article(40), article(0, version=5)]

    def write(steps: Steps) -> None:
        if to_come and steps.doing == "copying" and steps.done >= 10:
            with LocalStore(built).writer() as t:
                put(t, to_come.pop())
                if not to_come:
                    t.remove("a00001")

    moving.copy(built, tmp_path / "copy", SETTINGS, on_progress=write)
    assert not to_come
    assert differences.compare(built, tmp_path / "copy", SETTINGS).differences == ()


def test_places_that_do_not_do(built: Path, tmp_path: Path) -> None:
    with pytest.raises(NoIndex):
        moving.copy(tmp_path / "nothing", tmp_path / "copy", SETTINGS)
    assert not (tmp_path / "copy").exists()
    with pytest.raises(StoreError, match="is named twice"):
        moving.copy(built, f"{built}/", SETTINGS)
    LocalStore.create(tmp_path / "other", replace(FINGERPRINT, context=0.25)).close()
    with pytest.raises(IndexMismatch, match=r"built with context=.* and .*other with 0.25: name another place"):
        moving.copy(built, tmp_path / "other", SETTINGS)


def test_differences_are_told(built: Path, tmp_path: Path) -> None:
    moving.copy(built, tmp_path / "copy", SETTINGS)
    with LocalStore(tmp_path / "copy").writer() as t:
        put(t, article(2, version=9))
        put(t, article(31))
        put(t, article(8, source="elsewhere"))
        t.remove("a00004")
        # The same article, cut otherwise.
        (first, _), five = passages(article(5)), article(5)
        t.add(five, [first])
        # The same again, but for its vectors.
        six = [replace(p, key=bytes(16 - len(str(n))) + str(n).encode()) for n, p in enumerate(passages(article(6)))]
        t.remember([p.key for p in six], EMBEDDER.queries(["something", "else"]))
        t.add(article(6), six)
    told = "\n".join(differences.compare(built, tmp_path / "copy", SETTINGS).differences)
    for line in (
        "copy lacks article 'a00004'",
        "built lacks article 'a00031'",
        f"article 'a00002': its text is another, revision {article(2).revision}",
        "article 'a00008': its source is 's0' and 'elsewhere'",
        "article 'a00005': its passages are others",
        "article 'a00006': its passages are others",
    ):
        assert line in told
    assert told.count("\n") == 5


def rag(*args: object) -> Any:
    return CliRunner().invoke(main, [*map(str, args)], catch_exceptions=False)


def test_the_commands(corpus_index: Path, tmp_path: Path) -> None:
    result = rag("copy", corpus_index, tmp_path / "copy")
    assert result.exit_code == 0
    assert "0 embedded" in result.stdout
    result = rag("doctor", "--index", tmp_path / "copy", "--against", corpus_index)
    assert result.exit_code == 0
    assert "meaning 1.0, words 1.0" in result.stdout
    with LocalStore(corpus_index).view() as view:
        gone = view.articles()[0][0].id
    assert rag("articles", "remove", gone, "--index", tmp_path / "copy").exit_code == 0
    result = rag("doctor", "--index", tmp_path / "copy", "--against", corpus_index)
    assert result.exit_code == 1
    assert f"problem: {(tmp_path / 'copy').absolute()} lacks article {gone!r}" in result.stdout


def test_what_takes_a_folder_refuses_an_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_STORE__URI", "http://127.0.0.1:19530")
    for args in (("backup", tmp_path / "b"), ("restore", tmp_path / "b")):
        result = rag(*args)
        assert result.exit_code == 1
        assert "takes an index in a folder" in result.output
        assert "rag copy http://127.0.0.1:19530 FOLDER" in result.output
