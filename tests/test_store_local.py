"""The local store: the contract, and what only a folder of files can suffer."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import faiss
import numpy as np
import pytest
from contracts import EMBEDDER, StoreContract, article, check_dense, consistent, put
from fakes import FINGERPRINT
from folders import BECOME_NOBODY, one_segment, read_only
from forcing import small_segments

from rag.errors import IndexDamaged, IndexLocked, NoIndex
from rag.protocols import Store
from rag.store import columns, local, segmentfile, segments, transaction, vectorfile
from rag.store.columns import Columns
from rag.types import Filter

HERE = Path(__file__).parent


class TestLocalStore(StoreContract):
    @pytest.fixture
    def make(self, tmp_path: Path) -> Callable[[], Store]:
        return lambda: local.LocalStore.create(tmp_path / "index", FINGERPRINT)


class TestLocalStoreInSegments(StoreContract):
    """The same with segments and merges at every turn."""

    many = 300

    @pytest.fixture
    def make(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Store]:
        small_segments(monkeypatch)
        return lambda: local.LocalStore.create(tmp_path / "index", FINGERPRINT)


class TestLocalStoreScanned(StoreContract):
    """The same with no set of matches small enough to be picked, and each question scanned on one core."""

    many = 300

    @pytest.fixture
    def make(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Store]:
        monkeypatch.setattr(segments, "FEW", 0)
        return lambda: local.LocalStore.create(tmp_path / "index", FINGERPRINT)


WRITER = """
import sys
sys.path.insert(0, {tests!r})
from contracts import article, put
from rag.store import local, sealing, segments, view
sealing.TAIL_ROWS = 20
store = local.LocalStore({folder!r})
version = int(sys.argv[1])
while True:
    version += 1
    with store.writer() as t:
        for n in range(8):
            put(t, article(n, version))
            if n == 5:
                t.remove("a00003")
    print(version, flush=True)
"""


class TestCrashAtomicity:
    """A writer killed at a random moment leaves the state before or after a commit, never a mix."""

    def test_killed_at_random_moments(self, tmp_path: Path) -> None:
        folder = tmp_path / "index"
        local.LocalStore.create(folder, FINGERPRINT)
        code = WRITER.format(tests=str(HERE), folder=str(folder))
        rng = random.Random(11)
        reader = local.LocalStore(folder)
        version = 0
        for _ in range(6):
            writer = subprocess.Popen([sys.executable, "-c", code, str(version)], stdout=subprocess.PIPE, text=True)
            assert writer.stdout is not None
            try:
                first = writer.stdout.readline()
                assert first, "the writer could not start after the one before was killed"
                end = time.monotonic() + rng.uniform(0.05, 0.6)
                while time.monotonic() < end:
                    consistent(reader)
            finally:
                os.kill(writer.pid, signal.SIGKILL)
                writer.wait()
                writer.stdout.close()
            version = max(consistent(reader), consistent(local.LocalStore(folder)))
        with local.LocalStore(folder).writer() as t:
            put(t, article(100))
        names = list((folder / "segments").glob("*"))
        with reader.view() as view:
            stats = view.stats()
        assert len(names) == 4 * stats.segments, "files that no commit names stay behind"


def test_a_second_process_sees_a_commit_at_once(tmp_path: Path) -> None:
    store = local.LocalStore.create(tmp_path / "index", FINGERPRINT)
    with store.writer() as t:
        put(t, article(1))
    code = (
        f"import sys; sys.path.insert(0, {str(HERE)!r})\n"
        "from contracts import EMBEDDER\n"
        "from rag.store.local import LocalStore\n"
        f"store = LocalStore({str(tmp_path / 'index')!r})\n"
        "for line in sys.stdin:\n"
        "    with store.view() as v:\n"
        "        rows = v.dense(EMBEDDER.query('word'), 10).rows.tolist()\n"
        "        print(sorted({h.id for _, h in v.passages(rows)}), flush=True)\n"
    )
    reader = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    assert reader.stdin is not None
    assert reader.stdout is not None
    try:

        def seen() -> str:
            assert reader.stdin is not None
            assert reader.stdout is not None
            reader.stdin.write("\n")
            return reader.stdout.readline().strip()

        assert seen() == "['a00001']"
        with store.writer() as t:
            put(t, article(2))
        assert seen() == "['a00001', 'a00002']"
        with store.writer() as t:
            t.remove("a00001")
        assert seen() == "['a00002']"
    finally:
        reader.stdin.close()
        reader.wait(30)
        reader.stdout.close()


def test_a_segment_written_anew_is_left_alone_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = one_segment(tmp_path / "index", monkeypatch)
    with store.writer() as t:
        for n in range(5, 12):
            t.remove(f"a{n:05}")
    files = sorted((tmp_path / "index" / "segments").iterdir())
    with store.view() as v:
        assert v.stats().tombstones == 0
    with store.writer() as t:
        put(t, article(30))
    assert sorted((tmp_path / "index" / "segments").iterdir()) == files
    kept = {a.id: a for a in (article(n) for n in [*range(5), *range(12, 20), 30])}
    check_dense(store, kept, "word3 version0", 20, Filter())


def table(rows: int, per_article: int = 3) -> Columns:
    """Return columns of articles of so many passages each."""
    passages = np.array([(n + 1, n % 2) for n in range(rows)], columns.PASSAGES)
    firsts = range(0, rows, per_article)
    articles = np.array([(n + 1, first, 0, 1) for n, first in enumerate(firsts)], columns.ARTICLES)
    return Columns(passages, articles, np.array([(n, 1) for n in range(0, len(articles), 2)], columns.BYLINES))


def test_a_segment_made_of_blocks_is_the_file_that_faiss_writes(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    vectors = rng.standard_normal((1_000, 48), np.float32)
    blocks = np.split(vectors.astype(np.float16), [0, 1, 400, 990])
    named = segmentfile.write(tmp_path, "s", table(1_000), iter(blocks), 48)
    whole = faiss.IndexScalarQuantizer(48, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    whole.add(vectors.astype(np.float16).astype(np.float32))
    faiss.write_index(whole, str(tmp_path / "whole"))
    assert (tmp_path / "s.rows.faiss").read_bytes() == (tmp_path / "whole").read_bytes()
    found = segmentfile.read(tmp_path, named, 48)
    np.testing.assert_array_equal(found.vectors(slice(None)), vectors.astype(np.float16).astype(np.float32))
    for kind, column in table(1_000).tables.items():
        np.testing.assert_array_equal(found.columns.tables[kind], column)
    kept = rng.random(1_000) < 0.3
    np.testing.assert_array_equal(
        np.concatenate(list(segmentfile.blocks(tmp_path, named, 48, kept))), vectors[kept].astype(np.float16)
    )


def test_a_column_that_the_disk_has_no_room_for_is_told(tmp_path: Path) -> None:
    code = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from rag.store.segmentfile import _save
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (130, 130))  # room for the head of the file
_save(Path(sys.argv[1]), np.zeros(3, [("row", "<i8")]))
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "x.npy")], capture_output=True, text=True)
    assert "OSError: [Errno 27] File too large" in done.stderr


def test_making_a_large_segment_of_others_takes_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segmentfile, "CELLS_FROM", 10**9)
    dim, rows = 256, 40_000
    made = (np.ones((4_000, dim), np.float16) for _ in range(10))
    first = segmentfile.write(tmp_path, "first", table(rows), made, dim)
    tracemalloc.start()
    try:
        everything = np.ones(rows, bool)
        again = segmentfile.write(
            tmp_path, "again", table(rows), segmentfile.blocks(tmp_path, first, dim, everything), dim
        )
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert again.files["rows"][1] == first.files["rows"][1]
    assert peak < first.files["rows"][0] / 2


def test_keys_taken_for_stored_are_those_that_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectorfile, "RECENT", 3)
    vectors = vectorfile.VectorFile(tmp_path / "vectors.sqlite", 4, write=True)
    keys = [bytes([n]) * 16 for n in range(10)]
    for key in keys[:8]:
        vectors.put([key], np.ones((1, 4), np.float32))
        assert vectors.known(keys) == set(keys[: keys.index(key) + 1])
    vectors.forget(keys[5:7])
    assert vectors.known(keys) == {*keys[:5], keys[7]}
    vectors.close()


def test_a_second_writer_is_told_who_holds_the_lock(tmp_path: Path) -> None:
    store = local.LocalStore.create(tmp_path / "index", FINGERPRINT)
    with store.writer():
        with pytest.raises(IndexLocked, match=f"process {os.getpid()} "):
            with local.LocalStore(tmp_path / "index").writer():
                pass
    with store.writer() as t:
        put(t, article(1))


def test_an_index_killed_while_it_was_made_is_made(tmp_path: Path) -> None:
    (tmp_path / "catalog.sqlite").touch()
    store = local.LocalStore.create(tmp_path, FINGERPRINT)
    with store.writer() as t:
        put(t, article(1))
    check_dense(store, {"a00001": article(1)}, "word1", 10, Filter())


def test_no_index(tmp_path: Path) -> None:
    with pytest.raises(NoIndex, match=str(tmp_path)):
        local.LocalStore(tmp_path)


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An index with a segment and a tail."""
    store = one_segment(tmp_path / "index", monkeypatch)
    with store.writer() as t:
        put(t, article(20))
    store.close()
    return store.folder


def spoil(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for at in range(0, len(data), max(len(data) // 64, 1)):
        data[at] ^= 0xFF
    path.write_bytes(data)


@pytest.mark.parametrize("what", ["catalog.sqlite", "vectors.sqlite", "*.rows.faiss", "*.passages.npy", "meta.json"])
@pytest.mark.parametrize("how", ["spoiled", "cut", "missing"])
def test_a_damaged_file_is_named_in_one_line(built: Path, what: str, how: str) -> None:
    if what.endswith(".sqlite"):
        # What is in the log would mend it.
        for name in (f"{what}-wal", f"{what}-shm"):
            assert not (built / name).exists(), "closing the last connection checkpoints"
    (path,) = built.rglob(what)
    if how == "spoiled":
        spoil(path)
    elif how == "cut":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    else:
        path.unlink()

    def use() -> None:
        with local.LocalStore(built).view() as view:
            view.dense(EMBEDDER.query("word1"), 5)
            view.lexical("word1", 5)
            view.articles()

    with pytest.raises((IndexDamaged, NoIndex)) as caught:
        use()
    assert "\n" not in str(caught.value)
    assert "`rag " in str(caught.value), "what to do"


@pytest.mark.skipif(os.name == "nt", reason="permission bits are a matter of POSIX")
def test_a_read_only_folder_can_be_searched_and_says_that_it_cannot_be_written(built: Path) -> None:
    code = (
        "import os, sys\n"
        f"sys.path.insert(0, {str(HERE)!r})\n"
        "from contracts import EMBEDDER, article, put\n"
        "from rag.errors import IndexReadOnly\n"
        "from rag.store.local import LocalStore\n"
        "def search(folder):\n"
        "    store = LocalStore(folder)\n"
        "    with store.view() as view:\n"
        "        return store, len(view.dense(EMBEDDER.query('word1'), 5).rows), len(view.lexical('word7', 5).rows)\n"
        f"search({str(built)!r})\n"
        f"{BECOME_NOBODY}"
        "store, *found = search(sys.argv[1])\n"
        "print(*found)\n"
        "try:\n"
        "    with store.writer() as t: put(t, article(99))\n"
        "except IndexReadOnly as e: print(e)\n"
    )
    with read_only(built) as index:
        run = [sys.executable, "-c", code, str(index)]
        done = subprocess.run(run, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "5 1"
    assert "cannot be written" in lines[1]


def test_what_a_killed_writer_left_in_the_lexical_index_is_not_resurrected(tmp_path: Path) -> None:
    """Its rows reached the lexical index and were never committed: they must not come back as another article's."""
    folder = tmp_path / "index"
    store = local.LocalStore.create(folder, FINGERPRINT)
    killed = transaction.LocalTransaction(folder)
    put(killed, article(1))
    assert killed._words is not None
    killed._words.commit()
    killed.close()
    with store.writer() as t:
        put(t, article(2))
    with store.view() as view:
        assert len(view.lexical("word1", 10).rows) == 0
        assert len(view.lexical("word2", 10).rows) == 1
    check_dense(store, {"a00002": article(2)}, "word1", 10, Filter())
