"""Nothing of a removed article stays in any file, whoever looks on and whatever happened to it before."""

from __future__ import annotations

import errno
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from contracts import EMBEDDER, article, put
from fakes import FINGERPRINT, key
from folders import one_segment

from rag import keeping
from rag.errors import StoreError
from rag.handover import NewPassage
from rag.settings import Settings
from rag.store import catalog, cells, segmentfile, wording
from rag.store.check import faults
from rag.store.faults import Fault
from rag.store.local import LocalStore
from rag.store.lock import locked
from rag.store.mend import Mending
from rag.store.sealing import Sealing
from rag.store.transaction import LocalTransaction
from rag.store.vectorfile import VectorFile
from rag.types import Article, Section

HERE = Path(__file__).parent
SECRET = "qzquagga"
"""A word that nothing else holds; kept as it is by every part that writes it."""


def about_it(**fields: Any) -> Article:
    text = f"{SECRET} went to the harbour."
    return Article(**{"id": "gone", "title": f"A {SECRET}", "text": text, "authors": (f"Ann {SECRET}",),
                      "source": f"{SECRET}.md", "url": f"https://example.org/{SECRET}",
                      "sections": (Section(SECRET.upper(), 0, len(text)),), **fields})  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    store = LocalStore.create(tmp_path / "index", FINGERPRINT)
    with store.writer() as t:
        for n in range(5):
            put(t, article(n))
        put(t, about_it())
    assert holding(store)
    return store


def remove(store: LocalStore) -> None:
    with store.writer() as t:
        t.remove("gone")


def holding(store: LocalStore) -> list[str]:
    """Return the files that hold the word in any case."""
    files = [path for path in store.folder.rglob("*") if path.is_file()]
    return [path.name for path in files if SECRET.encode() in path.read_bytes().lower()]


def is_cached(store: LocalStore, text: str) -> bool:
    vectors = VectorFile(store.folder / "vectors.sqlite", FINGERPRINT.dim, write=False)
    try:
        return bool(vectors.known([key(text)]))
    finally:
        vectors.close()


@contextmanager
def server(store: LocalStore, *, looking: bool) -> Iterator[subprocess.Popen[str]]:
    """Give a process that has the index open; it looks at it until it is told a line."""
    code = f"""
import sys
from rag.store.local import LocalStore
store = LocalStore({str(store.folder)!r})
with store.view() as view:
    view.stats()
    if {looking}: print("looking", flush=True); sys.stdin.readline()
print("idle", flush=True); sys.stdin.readline()
"""
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout
        child.stdout.readline()
        yield child
    finally:
        child.kill()
        child.communicate()


def test_text_names_and_vectors(store: LocalStore) -> None:
    remove(store)
    assert holding(store) == []
    assert not is_cached(store, about_it().text)
    assert faults(store.folder) == []


def test_beside_an_idle_server(store: LocalStore) -> None:
    with server(store, looking=False):
        remove(store)
        assert holding(store) == []


def test_a_reader_in_the_way_leaves_it_to_the_next_writer(store: LocalStore) -> None:
    with server(store, looking=True) as child:
        remove(store)
        assert holding(store), "the reader's own state is gone"
        assert child.stdin
        assert child.stdout
        child.stdin.write("\n")
        child.stdin.flush()
        child.stdout.readline()
        with store.writer():
            pass
        assert holding(store) == []


def test_what_shares_its_text_with_another_article(store: LocalStore) -> None:
    shared = article(0).text
    half = shared.index("\n\n")
    with store.writer() as t:
        put(t, about_it(text=shared, sections=(Section(SECRET.upper(), 0, half),)))
    with server(store, looking=False):
        remove(store)
        assert holding(store) == []
    assert is_cached(store, shared[:half]), "the other article needs it"
    assert faults(store.folder) == []


def test_earlier_revisions(store: LocalStore) -> None:
    with store.writer() as t:
        t.add(about_it(text="", sections=()), [])
    remove(store)
    assert holding(store) == []
    assert not is_cached(store, about_it().text)


def test_words_of_earlier_revisions_count_in_a_large_index(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wording, "ERASED_AT_ONCE", 0)
    monkeypatch.setattr(wording, "ERASED_SHARE", 0.45)
    for n in range(4):
        with store.writer() as t:
            put(t, about_it(text=f"{SECRET} of day {n}.", sections=(Section("LEAD", 0, 17),)))
    remove(store)  # five passages where ten are current
    assert holding(store) == []


def test_a_heading_that_others_use_stays(store: LocalStore) -> None:
    remove(store)
    with store.view() as view:
        rows = view.dense(EMBEDDER.query("word1"), 20).rows.tolist()
        assert {p.section for p, _ in view.passages(rows)} == {"LEAD", "BACKGROUND"}


def test_a_rebuild_killed_after_its_commit_forgets_old_vectors(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "rag.store.transaction.LocalTransaction._tidy", lambda _: (_ for _ in ()).throw(OSError(5, "x"))
    )
    with pytest.raises(StoreError), store.writer(FINGERPRINT) as t:
        put(t, article(1))
    assert is_cached(store, about_it().text)
    monkeypatch.undo()
    with store.writer():
        pass
    assert not is_cached(store, about_it().text)
    assert is_cached(store, article(1).text[: article(1).text.index("\n\n")])


def test_what_cannot_be_rewritten_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = one_segment(tmp_path / "index", monkeypatch)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(segmentfile, "write", full)
        with (
            pytest.raises(StoreError, match="vectors of removed articles are still in"),
            store.writer() as t,
        ):
            t.remove("a00001")
    with store.writer():
        pass
    with store.view() as view:
        assert (view.stats().articles, view.stats().tombstones) == (19, 0)


def test_a_commit_that_is_interrupted_is_not_committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = one_segment(tmp_path / "index", monkeypatch)
    with store.view() as view:
        before = view.stats()

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Sealing, "adopt", interrupted)
    with locked(store.folder), closing(LocalTransaction(store.folder)) as t:
        put(t, article(30))
        with pytest.raises(KeyboardInterrupt):
            t.commit()
        assert not t.whole
        with pytest.raises(StoreError, match="broken off half way"):
            t.commit()
    with store.view() as view:
        assert replace(view.stats(), bytes=0) == replace(before, bytes=0)


def test_nothing_is_added_after_sqlite_has_rolled_back(store: LocalStore) -> None:
    with locked(store.folder), closing(LocalTransaction(store.folder)) as t:
        put(t, article(30))
        t._db.execute("ROLLBACK")  # as it does by itself when the disk is full
        with pytest.raises(StoreError, match="broken off half way"):
            put(t, article(31))
    with store.view() as view:
        assert view.current("a00030") is None
        assert view.current("a00031") is None
    assert faults(store.folder) == []


def test_cells_that_the_disk_has_no_room_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library that writes them says nothing when the end is missing."""
    store = LocalStore.create(tmp_path / "index", FINGERPRINT)
    monkeypatch.setattr(segmentfile, "CELLS_FROM", 10)
    monkeypatch.setattr("rag.store.sealing.TAIL_ROWS", 10)
    monkeypatch.setattr(cells, "tuned", lambda *_: (1, 1.0))
    write_index = cells.faiss.write_index

    def cut(index: Any, to: Any, *how: Any) -> None:
        write_index(index, to, *how)
        if isinstance(to, str):
            os.truncate(to, Path(to).stat().st_size - 1)

    monkeypatch.setattr(cells.faiss, "write_index", cut)
    with locked(store.folder), closing(LocalTransaction(store.folder)) as t:
        for n in range(20):
            put(t, article(n))
        with pytest.raises(StoreError, match="no space left"):
            t.commit()
    monkeypatch.undo()
    with store.writer() as t:
        put(t, article(1))
    assert faults(store.folder) == []


def test_a_lost_vector_is_told_when_a_segment_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = LocalStore.create(tmp_path / "index", FINGERPRINT)
    with store.writer() as t:
        for n in range(4):
            put(t, article(n))
    first = article(1).text[: article(1).text.index("\n\n")]
    with store.writer() as t:
        t._vectors.forget([key(first)])
    monkeypatch.setattr("rag.store.sealing.TAIL_ROWS", 2)
    with pytest.raises(StoreError, match=r"vectors.sqlite is damaged: mend it"), store.writer() as t:
        put(t, article(5))


def test_a_source_takes_no_other_that_is_written_alike(store: LocalStore) -> None:
    def note(id: str, origin: str) -> None:
        text = f"The {id} of the harbour."
        new = [NewPassage(0, len(text), "", key(text))]
        t.remember([key(text)], np.array([EMBEDDER.query(text)]))
        t.add(Article(id=id, title=id, text=text), new, origin)

    with store.writer() as t:
        for n, path in enumerate(("/News", "/News/a.md", "/news/b.md", "/News-old/c.md", "/New%/d.md", "/News/é/e.md")):
            note(f"n{n}", path)
        assert t.ids("/News") == {"n0", "n1", "n5"}
        assert t.ids("/New_") == set()
        assert t.ids("/News/é") == {"n5"}


def test_what_is_noted_to_be_done(store: LocalStore) -> None:
    with store.view() as view:
        assert not catalog.is_set(view._db, "log_to_empty")
    remove(store)
    with store.view() as view:
        assert not catalog.is_set(view._db, "log_to_empty")


# -- taken out by a repair --------------------------------------------------------------------


def test_an_article_whose_text_is_lost(store: LocalStore) -> None:
    """Its row is gone, so no later removal could know what else there is of it."""
    with sqlite3.connect(store.folder / "catalog.sqlite") as db:
        db.execute("UPDATE articles SET text = 'other' WHERE id = 'gone'")
    db.close()
    (done,) = keeping.repair(store.folder, Settings.load(), embedder=EMBEDDER)[0]
    assert "'gone' is damaged; it is taken out" in done
    assert holding(store) == []
    assert not is_cached(store, about_it().text)
    assert faults(store.folder) == []


def test_an_article_taken_out_for_lack_of_a_vector_and_removed_later(store: LocalStore) -> None:
    text = f"{SECRET} went to the harbour.\nIt came back."
    end = text.index("\n")
    with store.writer() as t:
        put(t, about_it(text=text, sections=(Section("A", 0, end), Section("B", end + 1, len(text)))))
    with sqlite3.connect(store.folder / "vectors.sqlite") as db:
        db.execute("DELETE FROM vectors WHERE key = ?", (key("It came back."),))
    db.close()
    (*_, done, _) = keeping.repair(store.folder, Settings.load(), embedder=EMBEDDER)[0]
    assert "'gone' are lost; it is taken out" in done
    assert is_cached(store, text[:end])
    remove(store)
    assert holding(store) == []
    assert not is_cached(store, text[:end])
    assert faults(store.folder) == []


def test_taking_out_looks_through_the_tables_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = one_segment(tmp_path / "index", monkeypatch)
    scans: list[str] = []
    with closing(Mending(store.folder)) as t:
        t._db.set_trace_callback(scans.append)
        t.begin([Fault("", store.folder, "passages", n) for n in range(1, 10)])
        t._db.set_trace_callback(None)
        for table in ("passages", "bands", "twins"):
            assert 1 <= sum(sql.startswith(f"DELETE FROM {table}") for sql in scans) <= 2
        t.commit()
