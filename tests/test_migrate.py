"""An index made by an earlier version: it opens, answers as it did, and goes on."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import rag
from rag.errors import IndexLocked, IndexMismatch, UnknownArticle
from rag.store import catalog, local, migrate, sealing, view
from rag.store.lock import locked

HERE = Path(__file__).parent
KNOWN = json.loads((HERE / "indexes" / "format-1.json").read_text("utf-8"))


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """An index of format 1: a segment, a tail, an older revision, a removed article."""
    with zipfile.ZipFile(HERE / "indexes" / "format-1.zip") as packed:
        packed.extractall(tmp_path / "index")
    return tmp_path / "index"


def check(index: Path) -> None:
    """Assert that the index answers as the version that made it did."""
    with rag.open(index) as engine:
        for asked in KNOWN["searches"]:
            where = rag.Filter(**asked["where"]) if asked["where"] else None
            hits = engine.search(asked["question"], k=5, where=where)
            assert [hit.passage.id for hit in hits] == asked["hits"]
        for id, revision, live in KNOWN["articles"]:
            assert engine.article(id, revision).revision == revision
            if live:
                assert engine.article(id).revision == revision
        with pytest.raises(UnknownArticle):
            engine.article("notes/railway")
    with rag.open(index, settings=rag.Settings.load(search={"retriever": "dense"})) as engine:
        for asked in KNOWN["searches"]:
            where = rag.Filter(**asked["where"]) if asked["where"] else None
            hits = engine.search(asked["question"], k=5, where=where)
            assert [hit.passage.id for hit in hits] == [hit["id"] for hit in asked["dense"]]
            assert [hit.score for hit in hits] == pytest.approx([hit["score"] for hit in asked["dense"]], abs=5e-4)


@pytest.mark.model
def test_an_index_of_format_1_answers_as_before_and_goes_on(old: Path) -> None:
    check(old)
    check(old)
    with sqlite3.connect(old / view.CATALOG) as db:
        assert catalog.get(db, "format") == "2"
        # What an earlier revision used is known to be its, so that it can be erased with it.
        assert {r[0] for r in db.execute("SELECT id FROM former")} == {"notes/lighthouse"}
    with rag.open(old) as engine:
        was = engine.article("notes/windmill")
    report = rag.ingest([rag.Article(id="notes/mill", title="A mill", text="It ground flour.")], index=old)
    assert (report.added, report.articles) == (1, 8)
    report = rag.ingest([was], index=old)
    assert (report.unchanged, report.embedded) == (1, 0)


@pytest.mark.model
def test_bringing_forward_makes_segments_of_what_is_large(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "TAIL_ROWS", 5)
    check(old)
    with rag.open(old) as engine:
        assert engine.stats().segments == 1
    assert len(list((old / "segments").iterdir())) == 4, "the old segment's files are gone"


KILLED = """
import os, signal, sys
from rag.store import local, sealing, transaction
def kill(*_): os.kill(os.getpid(), signal.SIGKILL)
setattr({"Sealing": sealing.Sealing, "LocalTransaction": transaction.LocalTransaction}[sys.argv[2]], sys.argv[3], kill)
local.LocalStore(sys.argv[1])
"""


@pytest.mark.model
@pytest.mark.parametrize("at", ["Sealing.seal", "Sealing.adopt", "LocalTransaction._tidy", "LocalTransaction._recover"])
def test_killed_while_it_is_brought_forward_it_is_the_next_time(old: Path, at: str) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(old), *at.split(".")], timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    check(old)


def test_an_old_index_in_use_or_of_a_later_version_says_so_in_one_line(old: Path) -> None:
    with locked(old), pytest.raises(IndexLocked, match=f"process {os.getpid()}"):
        local.LocalStore(old)
    with sqlite3.connect(old / view.CATALOG) as db:
        db.execute("UPDATE meta SET value = '3' WHERE key = 'format'")
    with pytest.raises(IndexMismatch, match=r"format 3.*up to 2.*update Footnote"):
        local.LocalStore(old)


def test_what_is_brought_forward_has_the_tables_of_a_new_index(old: Path, tmp_path: Path) -> None:
    def tables(path: Path) -> set[str]:
        with sqlite3.connect(path / view.CATALOG) as db:
            return {" ".join(str(r[0]).split()) for r in db.execute("SELECT sql FROM sqlite_master WHERE sql NOT NULL")}

    forward = local.LocalStore(old)
    local.LocalStore.create(tmp_path / "new", forward.fingerprint)
    assert tables(old) == tables(tmp_path / "new")
    assert migrate.needed(sqlite3.connect(old / view.CATALOG)) == 0
