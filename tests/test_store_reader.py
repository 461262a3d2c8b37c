"""A reader of a folder in which things change below it: other files, a log that is not in its file yet, an end."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from contracts import EMBEDDER, article, check_dense, put
from fakes import FINGERPRINT
from folders import BECOME_NOBODY, one_segment, read_only

from rag.errors import IndexDamaged, StoreError
from rag.store import catalog, columns, lexical, local, sqlite, transaction, vectorfile
from rag.store.local import LocalStore
from rag.store.view import CATALOG
from rag.types import Filter

HERE = Path(__file__).parent


def made(folder: Path, *numbers: int) -> LocalStore:
    store = LocalStore.create(folder, FINGERPRINT)
    with store.writer() as t:
        for n in numbers:
            put(t, article(n))
    return store


def ids(store: LocalStore) -> list[str]:
    with store.view() as view:
        return [h.id for h, _ in view.articles()]


# -- another index in its place ---------------------------------------------------------------


def removed_and_made(folder: Path) -> None:
    shutil.rmtree(folder)
    made(folder, 4, 5, 6).close()


def set_aside_and_made(folder: Path) -> None:
    local.set_aside(folder, CATALOG)
    with LocalStore.create(folder, FINGERPRINT).writer(FINGERPRINT) as t:
        for n in (4, 5, 6):
            put(t, article(n))


def deployed(folder: Path) -> None:
    made(folder.parent / "new", 4, 5, 6).close()
    folder.rename(folder.parent / "old")
    (folder.parent / "new").rename(folder)


def rebuilt(folder: Path) -> None:
    """With a number of the next passage that is one too low, so that rows come again."""
    with sqlite3.connect(folder / CATALOG) as db:
        db.execute("UPDATE meta SET value = '1' WHERE key = 'next_row'")
    db.close()
    with LocalStore(folder).writer(FINGERPRINT) as t:
        for n in (4, 5, 6):
            put(t, article(n))


@pytest.mark.parametrize("again", [0, 1])
@pytest.mark.parametrize("swap", [removed_and_made, set_aside_and_made, deployed, rebuilt])
def test_another_index_in_its_place_is_read_as_it_is(tmp_path: Path, swap: Callable[[Path], None], again: int) -> None:
    """It has as many commits, and the same rows, as the one before."""
    folder = tmp_path / "index"
    made(folder, 1, 2, 3).close()
    reader = LocalStore(folder)
    check_dense(reader, {a.id: a for a in map(article, (1, 2, 3))}, "word2", 3, Filter())
    swap(folder)
    for _ in range(again):
        with LocalStore(folder).writer() as t:
            put(t, article(6))
    check_dense(reader, {a.id: a for a in map(article, (4, 5, 6))}, "word5", 3, Filter())
    assert ids(reader) == ["a00004", "a00005", "a00006"]


def test_a_connection_to_a_file_that_is_no_longer_there_is_not_given_again(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    made(folder, 1, 2).close()
    reader = LocalStore(folder)
    with reader.view() as old:
        deployed(folder)
        assert ids(reader) == ["a00004", "a00005", "a00006"]
        assert [h.id for h, _ in old.articles()] == ["a00001", "a00002"]
    for _ in range(3):
        assert ids(reader) == ["a00004", "a00005", "a00006"]
    assert {db.stamp for db in reader._connections._idle} == {reader._connections._stamp()}


def test_an_index_without_an_identity_is_given_one_by_its_next_writer(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    store = made(folder, 1)
    with sqlite3.connect(folder / CATALOG) as db:
        db.execute("DELETE FROM meta WHERE key IN ('identity', 'fingerprint_sum')")
    assert ids(store) == ["a00001"]
    assert catalog.identity(db) == ""
    with store.writer() as t:
        first = catalog.identity(db)
        put(t, article(2))
    assert len(first) == 16
    with store.writer():
        assert catalog.identity(db) == first
    assert ids(store) == ["a00001", "a00002"]
    with store.writer(FINGERPRINT):
        pass
    assert catalog.identity(db) not in ("", first)
    db.close()


# -- a log that is not in its file yet --------------------------------------------------------

UNFINISHED = f"""
import os, sys
sys.path.insert(0, {str(HERE)!r})
from contracts import article, put
from rag.store.local import LocalStore
reader = LocalStore(sys.argv[1])
with reader.view() as view: view.stats()
with LocalStore(sys.argv[1]).writer() as t: put(t, article(7))
os._exit(0)
"""

SEARCH = f"""
import os, sys
sys.path.insert(0, {str(HERE)!r})
from contracts import EMBEDDER
from rag.errors import RagError
from rag.store import check, sqlite
from rag.store.local import LocalStore
from pathlib import Path
def search(folder):
    with LocalStore(folder).view() as view:
        return len(view.dense(EMBEDDER.query("word7"), 9).rows), [h.id for h, _ in view.articles()]
search(sys.argv[2])
check.faults(sys.argv[2])
{BECOME_NOBODY}
assert not sqlite.is_writable(Path(sys.argv[1]) / "catalog.sqlite")
try:
    print(*search(sys.argv[1]), [str(fault) for fault in check.faults(sys.argv[1])])
except RagError as e:
    print(type(e).__name__, e)
"""


def let_all_read(folder: Path) -> None:
    # What tantivy writes is its owner's.
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


def told(code: str, *arguments: object) -> str:
    run = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(run, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.skipif(os.name == "nt", reason="permission bits are a matter of POSIX")
def test_a_copy_with_a_log_is_read_with_it(tmp_path: Path) -> None:
    folder, other = tmp_path / "index", tmp_path / "other"
    made(folder, 1).close()
    made(other, 1).close()
    told(UNFINISHED, folder)
    assert (folder / "catalog.sqlite-wal").stat().st_size
    with read_only(folder) as copy:
        assert told(SEARCH, copy, other) == "4 ['a00001', 'a00007'] []"
    (folder / "catalog.sqlite-shm").unlink()
    with read_only(folder) as copy:
        said = told(SEARCH, copy, other)
    assert said.startswith("IndexReadOnly")
    assert "catalog.sqlite-wal" in said
    assert "\n" not in said


@pytest.mark.skipif(os.name == "nt", reason="permission bits are a matter of POSIX")
def test_whoever_may_read_the_catalog_may_read_the_words(tmp_path: Path) -> None:
    store = made(tmp_path / "index", 1)
    for n in range(2, 20):
        with store.writer() as t:
            put(t, article(n))
    store.close()
    mode = (tmp_path / "index" / CATALOG).stat().st_mode
    read = [path for path in (tmp_path / "index").rglob("*") if path.is_file() and path.name != ".managed.json"]
    assert {path.name: path.stat().st_mode for path in read} == {path.name: mode for path in read}


@pytest.mark.skipif(os.name == "nt", reason="permission bits are a matter of POSIX")
@pytest.mark.parametrize("watched", [False, True])
def test_a_folder_that_others_write_is_read_as_it_is_now(tmp_path: Path, watched: bool) -> None:
    """As one is that is mounted to be read only, with a server beside its writer or none."""
    reader = f"""
import os, sys, tempfile
sys.path.insert(0, {str(HERE)!r})
from contracts import EMBEDDER
from rag.store.local import LocalStore
from pathlib import Path
store = LocalStore(sys.argv[2])
with store.view() as view: view.lexical("word1", 9), view.dense(EMBEDDER.query("word1"), 9)
{BECOME_NOBODY}
store = LocalStore(sys.argv[1])
for _ in range(3):
    with store.view() as view:
        words = len(view.lexical("Alpha", 99).rows)
        print(len(view.articles()), words, len(view.dense(EMBEDDER.query("word1"), 99).rows), flush=True)
    print(len(list(Path(tempfile.gettempdir()).glob("footnote-lexical-*"))), flush=True)
    sys.stdin.readline()
store.close()
print(len(list(Path(tempfile.gettempdir()).glob("footnote-lexical-*"))), flush=True)
"""
    made(tmp_path / "other", 1).close()
    # Not below pytest's folder, which nobody else may enter.
    with tempfile.TemporaryDirectory(prefix="footnote-test-") as outer:
        Path(outer).chmod(0o755)
        temporary = Path(outer) / "tmp"
        temporary.mkdir()
        temporary.chmod(0o777)
        folder = Path(outer) / "index"
        writer = made(folder, 1)
        if not watched:
            writer.close()
        let_all_read(folder)
        process = subprocess.Popen(
            [sys.executable, "-c", reader, str(folder), str(tmp_path / "other")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "TMPDIR": str(temporary)},
        )
        assert process.stdin is not None
        assert process.stdout is not None
        with process:
            for n in (1, 2, 3):
                assert process.stdout.readline().split() == [str(n), str(n), str(2 * n)]
                assert process.stdout.readline() == "1\n", "copies of the words"
                with LocalStore(folder).writer() as t:
                    put(t, article(n + 1))
                let_all_read(folder)
                process.stdin.write("\n")
                process.stdin.flush()
            assert process.stdout.readline() == "0\n"
        assert process.returncode == 0
        writer.close()


# -- filters ----------------------------------------------------------------------------------


def test_headings_are_folded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = made(tmp_path / "index", 1)
    folded: list[str] = []
    whole = columns.fold

    def counted(text: str) -> str:
        folded.append(text)
        return whole(text)

    def found() -> int:
        with store.view() as view:
            return len(view.dense(EMBEDDER.query("word1"), 9, Filter(sections=("background",))).rows)

    monkeypatch.setattr(columns, "fold", counted)
    assert found() == 1
    folded.clear()
    assert found() == 1
    assert folded == []
    new = article(2)
    with store.writer() as t:
        put(t, replace(new, sections=(new.sections[0], replace(new.sections[1], name="AFTERMATH"))))
        put(t, article(3))
    folded.clear()
    assert found() == 2
    assert folded.count("AFTERMATH") == 1
    assert folded.count("BACKGROUND") == 1, "as it is asked for"
    with store.view() as view:
        assert len(view.dense(EMBEDDER.query("word1"), 9, Filter(sections=("aftermath",))).rows) == 1


def test_an_article_without_passages_is_listed_where_it_satisfies_the_filter(tmp_path: Path) -> None:
    bare = replace(article(1), text="", sections=(), published=None)
    dated = replace(article(4), text="", sections=())
    store = made(tmp_path / "index", 2, 3)
    with store.writer() as t:
        t.add(bare, [], "")
        t.add(dated, [], "")

    def listed(where: Filter) -> list[int]:
        with store.view() as view:
            return [int(h.id[1:]) for h, _ in view.articles(where)]

    assert listed(Filter()) == [1, 2, 3, 4]
    assert listed(Filter(authors=("ann o. 1",))) == [1, 4]
    assert listed(Filter(authors=("ann o. 2",))) == [2]
    assert listed(Filter(sources=("s0",))) == [2, 4]
    assert listed(Filter(articles=("a00001",))) == [1]
    assert listed(Filter(since=article(3).published)) == [3, 4]
    assert listed(Filter(until=article(3).published)) == [2, 3]
    assert listed(Filter(sections=("lead",))) == [2, 3]
    assert listed(Filter(phrases=("Alpha",))) == [2, 3]


# -- its end ----------------------------------------------------------------------------------


def test_a_view_is_over_after_its_block(tmp_path: Path) -> None:
    store = made(tmp_path / "index", 1)
    with store.view() as view:
        assert view.current("a00001")
    uses: list[Callable[[], Any]] = [
        lambda: view.article("a00001"),
        lambda: view.dense(EMBEDDER.query("word1"), 3),
        lambda: view.lexical("word1", 3),
        lambda: view.passages([1]),
        lambda: view.stats(),
    ]
    for use in uses:
        with pytest.raises(StoreError, match="the view is over"):
            use()


def test_a_store_closed_while_a_view_is_open_leaves_nothing_open(tmp_path: Path) -> None:
    store = made(tmp_path / "index", 1)
    with store.view() as view:
        store.close()
        assert view.current("a00001")
    assert store._connections._idle == []
    assert ids(store) == ["a00001"]
    assert store._connections._idle == []


def test_an_unknown_row_is_no_damage_and_a_lost_one_is(tmp_path: Path) -> None:
    store = made(tmp_path / "index", 1, 2)
    with store.view() as view:
        with pytest.raises(KeyError):
            view.passages([99])
    with sqlite3.connect(tmp_path / "index" / CATALOG) as db:
        db.execute("UPDATE passages SET section = 99 WHERE row = 1")
    db.close()
    with store.view() as view:
        with pytest.raises(IndexDamaged):
            view.passages([1])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
def test_a_forked_child_has_threads_of_its_own() -> None:
    code = """
import os, signal
from rag.store import segments
list(segments.threads().map(abs, range(4)))
child = os.fork()
if child == 0:
    signal.alarm(20)
    os._exit(sum(segments.threads().map(abs, range(4))))
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    # Newer Pythons warn of a fork beside threads.
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "6\n"


# -- what fails -------------------------------------------------------------------------------


def test_only_what_tells_of_damage_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "some.sqlite"
    db = sqlite.connect(path, write=True)
    db.execute("CREATE TABLE t (a UNIQUE)")

    def of(sql: str, *values: object) -> None:
        with sqlite.guarded(path):
            db.execute(sql, values)

    for sql in ("SELECT * FROM none", "SELECT b FROM t", "INSERT INTO t VALUES (1), (1)"):
        with pytest.raises(IndexDamaged):
            of(sql)
    with pytest.raises(IndexDamaged, match="no text"), sqlite.guarded(path):
        b"\xff".decode()
    with pytest.raises(StoreError) as caught:
        of("SELECT load_extension('x')")
    assert not isinstance(caught.value, IndexDamaged)
    with pytest.raises((sqlite3.ProgrammingError, sqlite3.InterfaceError)):
        of("SELECT ?", [1])
    db.close()
    with pytest.raises(sqlite3.ProgrammingError):
        of("SELECT 1")


def test_vectors_of_a_change_that_is_broken_off_are_not_kept_in_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors = vectorfile.VectorFile(tmp_path / "vectors.sqlite", 16, write=True)
    whole = vectorfile._packed

    def interrupted(vector: Any) -> bytes:
        if vector[0] == 2:
            raise KeyboardInterrupt
        return whole(vector)

    monkeypatch.setattr(vectorfile, "_packed", interrupted)
    keys = [bytes([n]) * 16 for n in range(4)]
    with pytest.raises(KeyboardInterrupt):
        vectors.put(keys, np.arange(4, dtype=np.float32)[:, None] * np.ones((4, 16), np.float32))
    assert vectors.known(keys) == set()
    vectors.put(keys[:1], np.ones((1, 16), np.float32))
    assert vectors.known(keys) == {keys[0]}
    vectors.close()


def test_a_writer_that_cannot_begin_leaves_nothing_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "index"
    made(folder, 1).close()
    opened: list[sqlite.Connection] = []
    whole = sqlite.connect

    def kept(*args: Any, **options: Any) -> sqlite.Connection:
        opened.append(whole(*args, **options))
        return opened[-1]

    monkeypatch.setattr(sqlite, "connect", kept)
    (folder / "vectors.sqlite").write_bytes(b"no database" * 999)
    with pytest.raises(IndexDamaged):
        transaction.LocalTransaction(folder)
    assert len(opened) == 1
    with pytest.raises(sqlite3.ProgrammingError):
        opened[0].execute("SELECT 1")


def test_a_copy_of_the_words_goes_with_the_last_that_holds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = one_segment(tmp_path / "index", monkeypatch)
    monkeypatch.setattr(lexical, "is_writable", lambda path: False)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)

    def copies() -> int:
        return len(list(tmp_path.glob("footnote-lexical-*")))

    with store.view() as old:
        with store.writer() as t:
            put(t, article(30))
        with store.view() as new:
            assert len(new.lexical("word30", 9).rows) == 1
            assert len(old.lexical("word30", 9).rows) == 0
            assert copies() == 2
    del old, new
    assert copies() == 1
    store.close()
    assert copies() == 0
