"""An index from a stranger: whatever its files hold, nothing in them is run."""

from __future__ import annotations

import ast
import hashlib
import json
import pickle
import sqlite3
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest
from contracts import EMBEDDER, article, put
from folders import one_segment

from rag import keeping
from rag.errors import IndexDamaged, RagError, StoreError
from rag.settings import Settings
from rag.store import catalog, local, segmentfile
from rag.store.check import faults

ROOT = Path(__file__).parent.parent


class Payload:
    """Leaves a mark where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    store = one_segment(tmp_path / "index", monkeypatch)
    store.close()
    return store.folder


def vouch(index: Path) -> None:
    """Have the catalog vouch for the segments' files as they are now, as its maker can."""
    with sqlite3.connect(index / "catalog.sqlite") as db:
        for name, files in db.execute("SELECT name, files FROM segments").fetchall():
            told = {}
            for kind in json.loads(files):
                data = segmentfile.path_of(index / "segments", name, kind).read_bytes()
                told[kind] = [len(data), hashlib.sha256(data).hexdigest()]
            db.execute("UPDATE segments SET files = ? WHERE name = ?", (json.dumps(told), name))


def use(index: Path) -> None:
    with local.LocalStore(index).view() as view:
        view.dense(EMBEDDER.query("word1"), 5)
        view.lexical("word1", 5)
        view.articles()
    with local.LocalStore(index).writer() as t:
        put(t, article(50))


def remove(index: Path) -> None:
    with local.LocalStore(index).writer() as t:
        t.remove("a00001")


@pytest.mark.parametrize("kind", ["passages", "articles", "bylines"])
def test_a_table_of_pickled_objects_is_not_unpickled(index: Path, tmp_path: Path, kind: str) -> None:
    mark = tmp_path / "mark"
    payload = np.empty(1, object)
    payload[0] = Payload(mark)
    pickle.loads(pickle.dumps(payload))
    assert mark.exists(), "the payload works"
    mark.unlink()
    (path,) = (index / "segments").glob(f"*.{kind}.npy")
    np.save(path, payload, allow_pickle=True)
    vouch(index)
    with pytest.raises(RagError, match="damaged"):
        use(index)
    assert faults(index)
    path.write_bytes(pickle.dumps(Payload(mark)))
    vouch(index)
    with pytest.raises(RagError, match="damaged"):
        use(index)
    assert not mark.exists()


def test_another_kind_of_faiss_file_is_not_read(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (path,) = (index / "segments").glob("*.rows.faiss")
    rows = faiss.IndexFlatIP(16)
    rows.add(np.ones((40, 16), np.float32))
    faiss.write_index(rows, str(path))
    vouch(index)

    def refuse(*_: object) -> None:
        raise AssertionError("read")

    monkeypatch.setattr(faiss, "read_index", refuse)
    with pytest.raises(RagError, match=r"rows\.faiss is damaged"):
        use(index)


def test_more_rows_than_a_file_has_are_not_believed(index: Path) -> None:
    (path,) = (index / "segments").glob("*.rows.faiss")
    data = bytearray(path.read_bytes())
    count = int.from_bytes(data[8:16], "little")
    assert count == 40
    data[8:16] = (10**9).to_bytes(8, "little")
    path.write_bytes(data)
    vouch(index)
    with sqlite3.connect(index / "catalog.sqlite") as db:
        db.execute("UPDATE segments SET rows = 1000000000")
    with pytest.raises(RagError, match="damaged"):
        use(index)


@pytest.mark.parametrize("call", ["load_extension('/tmp/evil')", "writefile('/tmp/evil', 'x')", "edit('x')"])
def test_a_trigger_of_a_strangers_catalog_can_call_nothing(index: Path, call: str) -> None:
    with sqlite3.connect(index / "catalog.sqlite") as db:
        db.execute(f"CREATE TRIGGER evil AFTER INSERT ON articles BEGIN SELECT {call}; END")
    with pytest.raises(StoreError):
        use(index)


FACTS = {
    "lexical": ["../victim", "lexical-../../victim", "/tmp/victim", "lexical-", "lexical-١", "lexical-1\n", ""],
    "generation": ["-1", "1e3", "x", "٣", "9" * 30],
    "next_row": ["-1", "x", "", "9" * 30],
    "erased_words": ["-1", "x"],
}


@pytest.mark.parametrize(("fact", "value"), [(f, v) for f, values in FACTS.items() for v in values])
def test_a_fact_that_would_be_a_path_or_no_number_is_damage(index: Path, fact: str, value: str) -> None:
    everything = sorted(index.parent.rglob("*"))
    with sqlite3.connect(index / "catalog.sqlite") as db:
        db.execute("UPDATE meta SET value = ? WHERE key = ?", (value, fact))
    for do in (use, remove):
        with pytest.raises(IndexDamaged, match=fact) as caught:
            do(index)
        assert "\n" not in str(caught.value)
    assert [f.mend for f in faults(index)] == ["not"]
    # No word was written outside of the index.
    assert [p for p in index.parent.rglob("*") if p not in everything and index not in p.parents] == []


FINGERPRINTS: list[dict[str, Any]] = [
    *({"dim": n} for n in (0, -1, 1.5, "16", True, None, 10**9)),
    *({"context": x} for x in (-0.1, 1.5, float("nan"), float("inf"), "0.5", True, None)),
    *({"max_tokens": n} for n in (0, "64", 64.0, 10**12)),
    *({"overlap_tokens": n} for n in (-1, "8", None)),
    *({"passage_tokens": n} for n in (0, [48])),
    *({"model": m} for m in (5, "", None, "a\nb", "a\x1b[2J", "a\x00b", "x" * 5_000, ["hash"])),
    *({"model_digest": d} for d in ("../../evil", "", "0/0", 0, None, "0-quarter", "0-half-half", "0\n", "0-../x")),
    *({"title": t} for t in (1, "yes", None)),
    {"another": 1},
]


@pytest.mark.parametrize("said", FINGERPRINTS, ids=str)
def test_a_fingerprint_that_no_writer_makes_is_damage(index: Path, said: dict[str, Any]) -> None:
    with sqlite3.connect(index / "catalog.sqlite") as db:
        known = json.loads(db.execute("SELECT value FROM meta WHERE key = 'fingerprint'").fetchone()[0])
        db.execute("UPDATE meta SET value = ? WHERE key = 'fingerprint'", (json.dumps(known | said),))
    with pytest.raises(IndexDamaged, match="fingerprint") as caught:
        use(index)
    assert "\n" not in str(caught.value)
    assert [f.mend for f in faults(index)] == ["not"]


@pytest.mark.parametrize(
    "change",
    [
        "name = '../../victim'",
        "name = '1-1-1/../../victim'",
        "name = x'00'",
        "first = 'one'",
        "last = -1",
        "rows = 1.5",
        "probes = 'all'",
        "recall = 'good'",
        "files = '[]'",
        "files = '[1'",
        "files = replace(files, 'rows', '../../victim')",
        "files = replace(files, '[', '[-')",
    ],
)
def test_a_segment_that_no_writer_names_is_damage(index: Path, change: str) -> None:
    with sqlite3.connect(index / "catalog.sqlite") as db:
        db.execute(f"UPDATE segments SET {change}")
    with pytest.raises(IndexDamaged, match="segment") as caught:
        use(index)
    assert "\n" not in str(caught.value)
    told = faults(index)
    assert any("segments is damaged" in str(f) for f in told)
    assert {f.mend for f in told} == {"segments"}
    _, left = keeping.repair(index, Settings.load(), embedder=EMBEDDER)
    assert left.faults == ()
    use(index)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("authors", "5"),
        ("authors", "[" * 100_000),
        ("sections", "5"),
        ("sections", '[["a"]]'),
        ("sections", '[["a", "b", "c"]]'),
        ("sections", "[" * 100_000),
        ("published", "2024-99-99"),
    ],
)
def test_an_article_that_no_writer_writes_is_damage(index: Path, column: str, value: str) -> None:
    """With the sum that belongs to it, as its maker can have it."""
    with sqlite3.connect(index / "catalog.sqlite") as db:
        db.execute(f"UPDATE articles SET {column} = ? WHERE id = 'a00001'", (value,))
        row = db.execute(f"SELECT {catalog.ARTICLE} FROM articles WHERE id = 'a00001'").fetchone()
        db.execute("UPDATE articles SET sum = ? WHERE id = 'a00001'", (catalog.sum_of(row[:-1]),))
    db.close()
    with local.LocalStore(index).view() as view:
        with pytest.raises(IndexDamaged, match="a00001"):
            view.article("a00001")
    assert "article" in {f.mend for f in faults(index)}


def test_rows_that_only_an_index_calls_removed_are_not_written_anew_for_ever(index: Path) -> None:
    with sqlite3.connect(index / "catalog.sqlite") as db:
        db.execute("PRAGMA writable_schema = 1")
        db.execute(
            "UPDATE sqlite_master SET rootpage = (SELECT rootpage FROM sqlite_master WHERE name = 'author_bylines')"
            " WHERE name = 'erasing'"
        )
    db.close()
    with pytest.raises(StoreError):
        use(index)


def test_nothing_of_ours_unpickles_or_runs_what_a_file_says() -> None:
    banned = {"pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
    calls = {"eval", "exec", "compile", "__import__"}
    for path in (ROOT / "rag").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {a.name.partition(".")[0] for a in node.names} | {
                    (getattr(node, "module", "") or "").partition(".")[0]
                }
                assert not names & banned, path
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in calls, path
            if isinstance(node, ast.keyword):
                said = isinstance(node.value, ast.Constant) and node.value.value
                assert not (node.arg in ("allow_pickle", "trust_remote_code") and said), path
                assert not (node.arg == "weights_only" and said is False), path
