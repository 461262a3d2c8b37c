"""An index in one file: taken while it is written, read back as it was, and of a stranger's no more than articles."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from contracts import EMBEDDER, article, check_dense, put
from fakes import FINGERPRINT
from folders import one_segment

import rag
from rag.errors import BadSource, IndexLocked, NoIndex, StoreError, UnknownArticle
from rag.store import backup, local, restore
from rag.types import Article, Filter

HERE = Path(__file__).parent


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An index with segments, a tail, an earlier revision, a removed article and twins."""
    store = one_segment(tmp_path / "index", monkeypatch)
    with store.writer() as t:
        put(t, article(3, version=2))
        t.remove("a00005")
        for id in ("one", "two"):
            put(t, Article(id=id, title="T", text="The same words in both.", sections=(rag.Section("", 0, 23),)))
    return store.folder


KEPT = {a.id: a for a in [*(article(n) for n in range(20) if n not in (3, 5)), article(3, version=2)]}


def check(index: Path) -> None:
    store = local.LocalStore(index)
    where = Filter(articles=tuple(KEPT))
    check_dense(store, KEPT, "word3 version2 story", 7, where)
    with store.view() as view:
        assert {h.id for h, _ in view.articles()} == {*KEPT, "one", "two"}
        assert view.article("a00003", article(3).revision) == article(3)
        assert [h.id for h in view.twins(["one"])["one"]] == ["two"]
        assert len(view.lexical("alpha", 100).rows) == 19
        with pytest.raises(UnknownArticle):
            view.article("a00005")
    store.close()


def test_a_backup_read_back_is_the_index(built: Path, tmp_path: Path) -> None:
    size = backup.save(built, tmp_path / "b.zip")
    assert size == (tmp_path / "b.zip").stat().st_size
    seen = []
    stats = restore.restore(tmp_path / "b.zip", tmp_path / "new" / "index", on_progress=seen.append)
    assert (stats.articles, stats.passages) == (21, 40)
    assert (seen[-1].done, seen[-1].total) == (22, 22), "one of them an earlier revision"
    check(tmp_path / "new" / "index")
    assert {p.name for p in tmp_path.iterdir()} == {"index", "new", "b.zip"}, "nothing is left beside it"
    assert {p.name for p in (tmp_path / "new").iterdir()} == {"index"}
    # What a removed article was embedded to is not in the file either.
    with zipfile.ZipFile(tmp_path / "b.zip") as packed:
        assert b"word5 " not in packed.read("catalog.sqlite")


def test_reading_back_into_an_index_in_use(built: Path, tmp_path: Path) -> None:
    backup.save(built, tmp_path / "b.zip")
    store = local.LocalStore(built)
    with store.writer() as t:
        put(t, article(50))
        t.remove("a00007")
    with pytest.raises(StoreError, match="--replace"):
        restore.restore(tmp_path / "b.zip", built)
    with store.view() as held:
        rows = held.dense(EMBEDDER.query("word50"), 5).rows.tolist()
        restore.restore(tmp_path / "b.zip", built, replace=True)
        assert "a00050" in {head.id for _, head in held.passages(rows)}, "who reads keeps what was there"
    check(built)
    with store.writer(), pytest.raises(IndexLocked):
        restore.restore(tmp_path / "b.zip", built, replace=True)


WRITER = """
import sys
sys.path.insert(0, {tests!r})
from contracts import article, put
from rag.store import local, sealing
sealing.TAIL_ROWS = 20
store = local.LocalStore({folder!r})
version = 0
while True:
    version += 1
    with store.writer() as t:
        for n in range(8):
            put(t, article(n, version))
    with store.writer() as t:
        t.remove("a00003")
    print(version, flush=True)
"""


def test_backups_taken_while_a_writer_works_are_each_one_commit(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    local.LocalStore.create(folder, FINGERPRINT)
    code = WRITER.format(tests=str(HERE), folder=str(folder))
    writer = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    try:
        assert writer.stdout.readline(), "the writer works"
        rng = random.Random(3)
        for n in range(6):
            time.sleep(rng.uniform(0, 0.1))
            backup.save(folder, tmp_path / f"{n}.zip")
    finally:
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
    for n in range(6):
        restore.restore(tmp_path / f"{n}.zip", tmp_path / str(n))
        with local.LocalStore(tmp_path / str(n)).view() as view:
            found = view.passages(view.dense(EMBEDDER.query("alpha"), 100).rows.tolist())
            versions = {p.text.split("version")[1].split()[0] for p, _ in found if "version" in p.text}
            assert len(versions) == 1
            assert len({head.id for _, head in found}) in (7, 8)


def test_what_is_no_backup_or_damaged_restores_nothing(built: Path, tmp_path: Path) -> None:
    file, target = tmp_path / "b.zip", tmp_path / "target"
    backup.save(built, file)
    whole = file.read_bytes()
    for case in (b"", b"no zip", whole[: len(whole) // 2]):
        file.write_bytes(case)
        with pytest.raises(BadSource, match=r"b\.zip cannot be read as a backup"):
            restore.restore(file, target)
    rng = random.Random(5)
    for _ in range(25):
        spoiled = bytearray(whole)
        spoiled[rng.randrange(len(whole) - 400)] ^= 1 << rng.randrange(8)
        file.write_bytes(spoiled)
        with contextlib.suppress(BadSource):
            restore.restore(file, target, replace=True)
            check(target)
    file.unlink()
    with pytest.raises(BadSource, match="No such file"):
        restore.restore(file, tmp_path / "other")
    with pytest.raises(NoIndex):
        backup.save(tmp_path / "nothing", file)
    with pytest.raises(BadSource, match="folder that is there"):
        backup.save(built, tmp_path / "none" / "b.zip")
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


def test_a_strangers_catalog_with_a_passage_outside_its_text_is_refused(built: Path, tmp_path: Path) -> None:
    backup.save(built, tmp_path / "b.zip")
    with zipfile.ZipFile(tmp_path / "b.zip") as packed:
        packed.extractall(tmp_path / "taken")
    with sqlite3.connect(tmp_path / "taken" / "catalog.sqlite") as db:
        db.execute("UPDATE passages SET end = 10000000")
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as packed:
        for name in ("footnote.json", "catalog.sqlite", "vectors.sqlite"):
            packed.write(tmp_path / "taken" / name, name)
    with pytest.raises(BadSource, match="damaged"):
        restore.restore(tmp_path / "b.zip", tmp_path / "new")
    with zipfile.ZipFile(tmp_path / "b.zip", "a") as packed:
        packed.writestr("../outside", "x")
    with pytest.raises(BadSource, match="no backup of Footnote"):
        restore.restore(tmp_path / "b.zip", tmp_path / "new")
    assert not (tmp_path.parent / "outside").exists()


@pytest.mark.model
def test_by_the_command_line(corpus_index: Path, tmp_path: Path) -> None:
    def cli(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "rag", *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path, check=False)

    taken = cli("backup", "b.zip", "--index", str(corpus_index), "--json")
    assert json.loads(taken.stdout) == {"file": "b.zip", "bytes": (tmp_path / "b.zip").stat().st_size}
    back = cli("restore", "b.zip", "--index", "new", "--json")
    with rag.open(corpus_index) as old, rag.open(tmp_path / "new") as new:
        assert json.loads(back.stdout) == {"articles": old.stats().articles, "passages": old.stats().passages}
        for question in ("What is KAAN?", "Who opened the corridor?"):
            assert new.search(question) == old.search(question)
    again = cli("restore", "b.zip", "--index", "new")
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr.count("\n") == 1
    assert "--replace" in again.stderr
