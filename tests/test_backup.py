"""An index in one file: taken while it is written, put nowhere it would harm, gone without a trace when broken off."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from contracts import EMBEDDER, article, check_dense, put
from fakes import FINGERPRINT
from folders import BECOME_NOBODY, read_only, with_history

import rag
from rag.errors import BadSource, IndexDamaged, NoIndex, UnknownArticle
from rag.faces import show
from rag.faces.cli import main
from rag.store import backup, catalog, copied, local, restore
from rag.store import sqlite as index_files
from rag.store.scratch import scratch
from rag.store.view import CATALOG
from rag.types import Filter, Steps

HERE = Path(__file__).parent


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return with_history(tmp_path / "index", monkeypatch)


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
        with pytest.raises(UnknownArticle, match="was removed from the index on"):
            view.article("a00005")
    store.close()


def test_a_backup_read_back_is_the_index(built: Path, tmp_path: Path) -> None:
    seen: list[Steps] = []
    size = backup.save(built, tmp_path / "b.zip", on_progress=seen.append)
    assert size == (tmp_path / "b.zip").stat().st_size
    assert {s.doing for s in seen} == {"copy", "copy vectors", "check", "pack"}
    seen.clear()
    stats = restore.restore(tmp_path / "b.zip", tmp_path / "new" / "index", on_progress=seen.append)
    assert (stats.articles, stats.passages) == (21, 40)
    assert {s.doing for s in seen} == {"unpack", "check", "restore"}
    assert (seen[-1].done, seen[-1].total) == (22, 22), "one of them an earlier revision"
    check(tmp_path / "new" / "index")
    assert {p.name for p in tmp_path.iterdir()} == {"index", "new", "b.zip"}, "nothing is left beside it"
    assert {p.name for p in (tmp_path / "new").iterdir()} == {"index"}
    assert not [p.name for p in (tmp_path / "new" / "index").iterdir() if p.name.startswith(".")]
    # What a removed article was embedded to is not in the file either.
    with zipfile.ZipFile(tmp_path / "b.zip") as packed:
        assert b"word5 " not in packed.read("catalog.sqlite")


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


def test_what_is_erased_meanwhile_is_in_a_backup_that_began_before(built: Path, tmp_path: Path) -> None:
    store, erased = local.LocalStore(built), []

    def erase(steps: Steps) -> None:
        if not erased:
            erased.append(steps.doing)
            with store.writer() as t:
                t.remove("a00007")

    backup.save(built, tmp_path / "b.zip", on_progress=erase)
    assert erased == ["copy"]
    restore.restore(tmp_path / "b.zip", tmp_path / "new")
    check(tmp_path / "new")


def test_what_is_erased_between_the_two_files_is_in_neither(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, erased = backup._reading, []

    def reading(path: Path) -> sqlite3.Connection:
        if path.name == "vectors.sqlite" and not erased:
            erased.append("a00007")
            with local.LocalStore(built).writer() as t:
                t.remove("a00007")
        return whole(path)

    monkeypatch.setattr(backup, "_reading", reading)
    backup.save(built, tmp_path / "b.zip")
    restore.restore(tmp_path / "b.zip", tmp_path / "new")
    with local.LocalStore(built).view() as old, local.LocalStore(tmp_path / "new").view() as new:
        assert new.articles() == old.articles()
        assert new.current("a00007") is None


def test_a_backup_holds_no_vector_that_nothing_needs(built: Path, tmp_path: Path) -> None:
    with local.LocalStore(built).writer() as t:
        t.remember([b"k" * 16], EMBEDDER.vectors(["an article that was never finished"]))
    backup.save(built, tmp_path / "b.zip")
    with zipfile.ZipFile(tmp_path / "b.zip") as packed:
        packed.extract("vectors.sqlite", tmp_path)
    with contextlib.closing(sqlite3.connect(tmp_path / "vectors.sqlite")) as db:
        keys = {key for (key,) in db.execute("SELECT key FROM vectors")}
    assert b"k" * 16 not in keys
    assert len(keys) == 40, "two of each article, one of both twins, one of an earlier revision alone"


def test_only_a_backup_is_replaced(built: Path, tmp_path: Path) -> None:
    other = tmp_path / "article.md"
    other.write_text("# Mine")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as packed:
        packed.writestr("a.txt", "a")
    (tmp_path / "empty").touch()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "aside").symlink_to(other)
    (tmp_path / "inside").symlink_to(built / "new.zip")
    os.link(built / "catalog.sqlite", tmp_path / "linked")
    with socket.socket(socket.AF_UNIX) as listening, contextlib.chdir(tmp_path):
        listening.bind("socket")
        before = {p.name: p.lstat() for p in tmp_path.iterdir()}
        for name, reason in {
            "index/catalog.sqlite": "lies in the index",
            "index/new.zip": "lies in the index",
            "index/../index/segments/new.zip": "lies in the index",
            "inside": "lies in the index",
            "linked": "no backup of Footnote",
            "article.md": "no backup of Footnote",
            "aside": "no backup of Footnote",
            "other.zip": "no backup of Footnote",
            "empty": "no backup of Footnote",
            "pipe": "no regular file",
            "socket": "no regular file",
            "index": "folder that is there",
            "none/b.zip": "folder that is there",
            "n" * 256: "File name too long",
        }.items():
            with pytest.raises(BadSource, match=reason) as told:
                backup.save(built, name)
            assert "\n" not in str(told.value)
        unchanged = {p.name: p.lstat() for p in tmp_path.iterdir()}
        assert {n: (s.st_ino, s.st_size) for n, s in unchanged.items()} == {
            n: (s.st_ino, s.st_size) for n, s in before.items()
        }
    check(built)


def test_a_backup_is_replaced_by_a_newer_one(built: Path, tmp_path: Path) -> None:
    (tmp_path / "b.zip").symlink_to("real.zip")
    backup.save(built, tmp_path / "b.zip")
    with local.LocalStore(built).writer() as t:
        put(t, article(50))
    backup.save(built, tmp_path / "b.zip")
    assert (tmp_path / "b.zip").is_symlink()
    restore.restore(tmp_path / "real.zip", tmp_path / "new")
    with local.LocalStore(tmp_path / "new").view() as view:
        assert view.article("a00050") == article(50)


@pytest.mark.parametrize("length", [250, 255])
def test_a_name_may_be_as_long_as_the_system_lets_it(built: Path, tmp_path: Path, length: int) -> None:
    backup.save(built, tmp_path / ("n" * length))
    restore.restore(tmp_path / ("n" * length), tmp_path / "new")
    check(tmp_path / "new")


def test_what_cannot_be_restored_is_not_backed_up(built: Path, tmp_path: Path) -> None:
    with pytest.raises(NoIndex):
        backup.save(tmp_path / "nothing", tmp_path / "b.zip")
    for file, change in (
        ("vectors.sqlite", "DELETE FROM vectors WHERE rowid = 1"),
        ("vectors.sqlite", "UPDATE vectors SET vector = zeroblob(length(vector)) WHERE rowid = 2"),
        ("catalog.sqlite", "UPDATE articles SET text = 'x' WHERE id = 'a00009'"),
    ):
        index = shutil.copytree(built, tmp_path / "spoiled", dirs_exist_ok=True)
        with contextlib.closing(sqlite3.connect(index / file)) as db, db:
            db.execute(change)
        with pytest.raises(IndexDamaged, match="rag doctor --repair"):
            backup.save(index, tmp_path / "b.zip")
    assert {p.name for p in tmp_path.iterdir()} == {"index", "spoiled"}


def test_an_index_that_cannot_be_written_is_backed_up_and_a_folder_that_cannot_is_told(
    built: Path, tmp_path: Path
) -> None:
    code = f"""
import encodings.cp437, os, sys
from rag.errors import RagError
from rag.store import backup, restore
{BECOME_NOBODY}
index, to, closed = sys.argv[1:]
print(backup.save(index, to) > 0, restore.restore(to, to + '-index').articles)
for act in (lambda: backup.save(index, closed + '/b.zip'), lambda: restore.restore(to, closed + '/new'),
            lambda: restore.restore(to, closed, replace=True)):
    try:
        act()
    except RagError as error:
        print(str(error).count(chr(10)), closed in str(error))
"""
    with read_only(built) as copy:
        open_folder = copy.parent / "open"
        open_folder.mkdir(mode=0o777)
        open_folder.chmod(0o777)
        done = subprocess.run(
            [sys.executable, "-c", code, str(copy), str(open_folder / "b.zip"), str(copy)],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.stdout == "True 21\n" + "0 True\n" * 3, done.stderr


def test_what_a_killed_writer_has_left_in_its_log_is_backed_up_from_a_folder_that_cannot_be_written(
    built: Path, tmp_path: Path
) -> None:
    with contextlib.closing(index_files.connect(built / CATALOG, write=True)) as writing:
        writing.execute("UPDATE meta SET value = '77' WHERE key = 'generation'")
        # While it is open, or had it been killed now, what it wrote lies in the log.
        assert (built / f"{CATALOG}-wal").stat().st_size
        code = f"""
import encodings.cp437, os, sys
from rag.store import backup
{BECOME_NOBODY}
backup.save(*sys.argv[1:])
"""
        with read_only(built) as copy:
            to = copy.parent / "open" / "b.zip"
            to.parent.mkdir()
            to.parent.chmod(0o777)
            done = subprocess.run(
                [sys.executable, "-c", code, str(copy), str(to)],
                capture_output=True, text=True, timeout=60, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            with zipfile.ZipFile(to) as packed:
                packed.extract(CATALOG, tmp_path)
    with contextlib.closing(sqlite3.connect(tmp_path / CATALOG)) as db:
        assert catalog.number(db, "generation") == 77


BROKEN_OFF = """
import sys, time
from rag.store import backup, restore
from rag.store.faults import Pace
backup.COPIED = 1000
def stop(steps):
    if steps.doing == {at!r}:
        print(steps.doing, flush=True)
        time.sleep(100)
{act}
"""


def killed(act: str, at: str) -> None:
    """Kill a process that backs up or restores when it is at this."""
    code = BROKEN_OFF.format(act=act, at=at)
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == f"{at}\n"
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()


def left(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.name.startswith(".")]


def test_what_a_killed_backup_leaves_goes_with_the_next(built: Path, tmp_path: Path) -> None:
    own = tmp_path / ".footnote-abcdefgh"
    own.mkdir()
    (own / "diary.txt").touch()
    killed(f"backup.save({str(built)!r}, {str(tmp_path / 'b.zip')!r}, on_progress=stop)", "pack")
    (old,) = set(left(tmp_path)) - {own}
    assert (old / "catalog.sqlite").exists()
    with scratch(tmp_path) as other:
        assert not old.exists()
        (other / "catalog.sqlite").touch()
        backup.save(built, tmp_path / "b.zip")
        assert set(left(tmp_path)) == {own, other}, "neither what another works in nor what is a user's"
    assert left(tmp_path) == [own]


WORKER = """
import sys
from pathlib import Path
from rag.store.scratch import clear, scratch
where = Path(sys.argv[1])
for _ in range(100):
    with scratch(where) as own:
        (own / "catalog.sqlite").touch()
        clear(where)
        assert (own / "catalog.sqlite").exists()
"""


def test_many_at_work_in_one_folder_leave_each_other_alone(tmp_path: Path) -> None:
    workers = [subprocess.Popen([sys.executable, "-c", WORKER, str(tmp_path)]) for _ in range(3)]
    assert [worker.wait(60) for worker in workers] == [0, 0, 0]
    assert list(tmp_path.iterdir()) == []


def vectors(index: Path) -> set[bytes]:
    with contextlib.closing(sqlite3.connect(index / "vectors.sqlite")) as db:
        return {key for (key,) in db.execute("SELECT key FROM vectors")}


@pytest.mark.parametrize("at", ["check", "restore"])
def test_what_a_killed_restore_leaves_goes_with_the_next_writer(built: Path, tmp_path: Path, at: str) -> None:
    backup.save(built, tmp_path / "b.zip")
    index = tmp_path / "other"
    store = local.LocalStore.create(index, FINGERPRINT)
    with store.writer() as t:
        put(t, article(50))
    before = vectors(index)
    killed(f"restore.restore({str(tmp_path / 'b.zip')!r}, {str(index)!r}, replace=True, on_progress=stop)", at)
    assert len(left(index)) == 1
    assert (vectors(index) > before) == (at == "restore")
    with store.writer():
        pass
    assert left(index) == []
    assert vectors(index) == before, "what was put for a commit that never came is erased"
    check_dense(store, {"a00050": article(50)}, "word50", 5, Filter())
    # Where there was no index there is none.
    killed(f"restore.restore({str(tmp_path / 'b.zip')!r}, {str(tmp_path / 'new')!r}, on_progress=stop)", at)
    assert not local.LocalStore.exists(tmp_path / "new")
    restore.restore(tmp_path / "b.zip", tmp_path / "new")
    assert left(tmp_path / "new") == []
    check(tmp_path / "new")


def files(folder: Path) -> dict[str, bytes]:
    """Return what lies in a folder, but for what SQLite and the lock keep for whoever has it open."""
    found = (path for path in folder.iterdir() if path.is_file() and not path.name.endswith(("-shm", ".lock")))
    return {path.name: path.read_bytes() for path in found}


@pytest.fixture
def interrupted_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], None]:
    """Return a function that has the next commands interrupted, as by Ctrl-C, when they are at this; once or twice."""

    def at(doing: str, times: int = 1) -> None:
        @contextlib.contextmanager
        def progress() -> Iterator[Any]:
            def step(steps: Steps) -> None:
                if steps.doing == doing:
                    for _ in range(times):
                        signal.raise_signal(signal.SIGINT)

            yield step

        monkeypatch.setattr(show, "progress", progress)

    return at


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("doing", ["copy", "copy vectors", "check", "pack"])
def test_an_interrupted_backup_leaves_nothing(
    built: Path, tmp_path: Path, interrupted_at: Callable[[str, int], None], doing: str, times: int
) -> None:
    backup.save(built, tmp_path / "b.zip")
    before = (tmp_path / "b.zip").read_bytes()
    interrupted_at(doing, times)
    result = CliRunner().invoke(main, ["backup", str(tmp_path / "b.zip"), "--index", str(built)])
    assert result.exit_code == 130
    assert result.stderr.endswith("stopped; no backup was written\n")
    assert "keeping what is done" not in result.stderr
    assert (tmp_path / "b.zip").read_bytes() == before
    assert {p.name for p in tmp_path.iterdir()} == {"index", "b.zip"}


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("doing", ["unpack", "check", "restore"])
def test_an_interrupted_restore_changes_nothing(
    built: Path, tmp_path: Path, interrupted_at: Callable[[str, int], None], doing: str, times: int
) -> None:
    backup.save(built, tmp_path / "b.zip")
    index = tmp_path / "other"
    store = local.LocalStore.create(index, FINGERPRINT)
    with store.writer() as t:
        put(t, article(50))
    before = vectors(index)
    broken = shutil.copytree(index, tmp_path / "broken")
    (broken / "catalog.sqlite").write_bytes(b"junk" * 1000)
    was = files(broken)
    interrupted_at(doing, times)
    for folder in (index, broken, tmp_path / "new" / "er"):
        result = CliRunner().invoke(main, ["restore", str(tmp_path / "b.zip"), "--index", str(folder), "--replace"])
        assert result.exit_code == 130
        assert result.stderr.endswith("stopped; nothing was changed\n")
        assert result.stdout == ""
    check_dense(store, {"a00050": article(50)}, "word50", 5, Filter())
    assert vectors(index) == before
    assert left(index) == []
    assert files(broken) == was
    assert not (tmp_path / "new").exists()


def test_a_restore_interrupted_after_its_commit_says_so(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup.save(built, tmp_path / "b.zip")

    def settle(_: object) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(restore.Restoring, "settle", settle)
    with local.LocalStore(built).writer() as t:
        t.remove("a00007")
    result = CliRunner().invoke(main, ["restore", str(tmp_path / "b.zip"), "--index", str(built), "--replace"])
    assert result.exit_code == 130
    assert result.stderr.endswith("stopped; the backup is restored already\n")
    check(built)


def test_a_backup_shows_how_far_it_is(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copied, "TOGETHER", 1)
    monkeypatch.setattr("rag.store.faults.OFTEN", 0)
    seen: list[Steps] = []
    rag.backup(tmp_path / "b.zip", index=built, on_progress=seen.append)
    for doing, things in {"copy": "pages", "copy vectors": "vectors", "check": "articles"}.items():
        steps = [s for s in seen if s.doing == doing]
        assert {s.things for s in steps} == {things}
        assert [s.done for s in steps] == sorted(s.done for s in steps)
        assert steps[-1].done >= steps[-1].total > 0


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
