"""One writer and many readers at once, and who may write.

The long form: python tests/concurrency.py --seconds 60 --readers 8 --threads 8
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from concurrency import Outcome, run
from contracts import EMBEDDER, article, put
from fakes import FINGERPRINT
from filelock import FileLock
from forcing import SEED, TORTURE, slow_openings

from rag.errors import IndexLocked, StoreError
from rag.store.local import LocalStore

HERE = Path(__file__).parent


def clean(outcome: Outcome) -> bool:
    """Say whether all went well, and that it was tried."""
    assert not outcome.errors, "\n".join([*outcome.errors, *outcome.lines()])
    assert outcome.writer["commit"] > 3
    assert all(reader.views > 3 for reader in outcome.readers)
    return outcome.stalest < 1_000


def test_processes_read_while_one_writes(tmp_path: Path) -> None:
    seconds, processes = (60, 8) if TORTURE else (5, 3)
    assert clean(run(tmp_path, seconds=seconds, processes=processes, seed=SEED))


def test_threads_share_a_store_while_another_process_writes(tmp_path: Path) -> None:
    seconds, threads = (60, 16) if TORTURE else (3, 6)
    assert clean(run(tmp_path, seconds=seconds, processes=0, threads=threads, seed=SEED))


HOLDER = """
import sys
sys.path.insert(0, {tests!r})
from contracts import EMBEDDER, article, put
from rag.store.local import LocalStore
with LocalStore({folder!r}).writer() as t:
    put(t, article(2))
    print("held", flush=True)
    sys.stdin.readline()
"""


@contextmanager
def holding(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Give a process that has the writer's lock and changes that it has not committed."""
    code = HOLDER.format(tests=str(HERE), folder=str(folder))
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            yield holder
        finally:
            if holder.poll() is None:
                os.kill(holder.pid, signal.SIGKILL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with LocalStore.create(tmp_path / "index", FINGERPRINT).writer() as t:
        put(t, article(1))
    return tmp_path / "index"


def refused(folder: Path) -> str:
    """Return what a writer is told that comes too late."""
    with pytest.raises(IndexLocked) as caught:
        with LocalStore(folder).writer():
            pass
    return str(caught.value)


def test_a_writer_in_another_process_is_named(folder: Path) -> None:
    with holding(folder) as holder:
        told = refused(folder)
        assert f"process {holder.pid} on {socket.gethostname()} since 20" in told
        assert str(folder) in told
        assert refused(folder) == told
        holder.communicate("\n", timeout=60)
    with LocalStore(folder).writer() as t:
        assert t.ids() == {"a00001", "a00002"}


def test_when_a_writer_is_killed_the_next_takes_over_at_once(folder: Path) -> None:
    with holding(folder) as first:
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
        assert json.loads((folder / "writer.json").read_text("utf-8"))["pid"] == first.pid
        # There is no waiting in it: whoever cannot have the lock is refused.
        with LocalStore(folder).writer() as t:
            assert t.ids() == {"a00001"}
            assert f"process {os.getpid()} " in refused(folder)
        with holding(folder) as second:
            assert f"process {second.pid} " in refused(folder)


def test_the_name_of_a_killed_writer_misleads_nobody(folder: Path) -> None:
    with holding(folder) as killed:
        os.kill(killed.pid, signal.SIGKILL)
        killed.wait()
    with FileLock(folder / "writer.lock"):
        assert str(killed.pid) not in refused(folder)


@pytest.mark.parametrize("pid", ["1e400", "99999999999999999999", "-99999999999999999999", "null", "[]", '"x"'])
def test_a_holder_that_cannot_be_is_another_process(folder: Path, pid: str) -> None:
    with FileLock(folder / "writer.lock"):
        said = f'{{"pid": {pid}, "host": {json.dumps(socket.gethostname())}, "since": ""}}'
        (folder / "writer.json").write_text(said, "utf-8")
        assert "another process" in refused(folder)


def test_a_holder_of_another_user_is_alive(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(pid: int, signal: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "kill", forbidden)
    with LocalStore(folder).writer():
        assert f"process {os.getpid()} " in refused(folder)


def test_no_space_for_the_lock_is_told_as_such(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: FileLock) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(FileLock, "acquire", full)
    with pytest.raises(StoreError, match="no space left"):
        with LocalStore(folder).writer():
            pass


def test_a_name_that_cannot_be_taken_away_holds_no_lock(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Path.unlink

    def forbidden(self: Path, missing_ok: bool = False) -> None:
        if self.name == "writer.json":
            raise PermissionError(13, "Permission denied")
        whole(self, missing_ok)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", forbidden)
        with LocalStore(folder).writer():
            pass
    with LocalStore(folder).writer() as t:
        assert t.ids() == {"a00001"}


def test_a_file_that_goes_while_sizes_are_added_up(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the lexical index's temporary files do at every commit."""
    passing = folder / "lexical-1" / ".tmpabc"
    passing.touch()
    is_file = Path.is_file

    def going(path: Path) -> bool:
        there = is_file(path)
        if path == passing:
            path.unlink(missing_ok=True)
        return there

    monkeypatch.setattr(Path, "is_file", going)
    with LocalStore(folder).view() as view:
        assert view.stats().articles == 1


def test_an_error_of_a_views_user_stays_what_it_is(folder: Path) -> None:
    with pytest.raises(FileNotFoundError):
        with LocalStore(folder).view():
            (folder.parent / "notes of the user").read_text("utf-8")


def test_a_commit_that_comes_while_a_reader_opens(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was opened before it is of the state before, and what is opened after it is not."""
    commits: list[int] = []

    def commit() -> None:
        if len(commits) < 3:
            commits.append(len(commits) + 1)
            with LocalStore(folder).writer() as t:
                put(t, article(1, version=commits[-1]))

    slow_openings(monkeypatch, commit)
    with LocalStore(folder).view() as view:
        (passage,) = [p for p, _ in view.passages(view.dense(EMBEDDER.query("x"), 9).rows.tolist()) if not p.start]
        version = int(passage.text.split("version")[1].split()[0])
        for other in range(4):
            assert len(view.lexical(f"version{other}", 9).rows) == (other == version)
        assert version == commits[-1]


def test_a_rebuild_that_commits_while_a_reader_opens(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rebuilt: list[bool] = []

    def rebuild() -> None:
        if not rebuilt:
            rebuilt.append(True)
            with LocalStore(folder).writer(FINGERPRINT) as t:
                put(t, article(2))

    slow_openings(monkeypatch, rebuild)
    with LocalStore(folder).view() as view:
        assert [head.id for head, _ in view.articles()] == ["a00002"]
