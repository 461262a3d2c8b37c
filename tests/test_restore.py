"""A backup read back: into an index in use or a damaged one, all that it holds, and of a stranger's only articles."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import threading
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from contracts import EMBEDDER, article, check_dense, passages, put
from fakes import FINGERPRINT, HashEmbedder
from folders import with_history

from rag import keeping
from rag.errors import BadSource, IndexLocked, IndexMismatch, RagError, StoreError, UnknownArticle
from rag.faces.cli import main
from rag.settings import Settings
from rag.store import backup, catalog, local, restore, sqlite
from rag.store import check as checking
from rag.store.copied import Copied, instead
from rag.store.faults import Pace
from rag.types import Article, Filter, Section, Steps

HERE = Path(__file__).parent

MEMBERS = ("footnote.json", "catalog.sqlite", "vectors.sqlite")


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return with_history(tmp_path / "index", monkeypatch)


@pytest.fixture
def file(built: Path, tmp_path: Path) -> Path:
    backup.save(built, tmp_path / "b.zip")
    return tmp_path / "b.zip"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of three articles, one of them with an earlier revision, and a removed one."""
    folder = tmp_path_factory.mktemp("small")
    store = local.LocalStore.create(folder / "index", FINGERPRINT)
    with store.writer() as t:
        for n in range(4):
            put(t, article(n))
    with store.writer() as t:
        put(t, article(2, version=1))
        t.remove("a00003")
    backup.save(store.folder, folder / "small.zip")
    return folder / "small.zip"


class Used:
    """An index that holds something else than the backup."""

    def __init__(self, folder: Path) -> None:
        self.store = local.LocalStore.create(folder, FINGERPRINT)
        self.kept = {a.id: a for a in (article(50), article(51))}
        with self.store.writer() as t:
            for a in self.kept.values():
                put(t, a)
        self.folder, self.before = folder, self.state()

    def state(self) -> tuple[int, set[bytes], list[str]]:
        with self.store.view() as view, contextlib.closing(sqlite3.connect(self.store.folder / "vectors.sqlite")) as db:
            keys = {key for (key,) in db.execute("SELECT key FROM vectors")}
            return view.generation, keys, sorted(p.name for p in self.store.folder.iterdir() if p.name[0] == ".")

    def is_as_before(self) -> bool:
        check_dense(self.store, self.kept, "word50", 5, Filter())
        return self.state() == self.before


@pytest.fixture
def used(tmp_path: Path) -> Used:
    return Used(tmp_path / "used")


def refused(file: Path, used: Used) -> str:
    """Assert that a backup is refused in one line and nothing changed, and return the line."""
    with pytest.raises(RagError) as told:
        restore.restore(file, used.folder, replace=True)
    assert "\n" not in str(told.value)
    assert used.is_as_before()
    return str(told.value)


def changed(file: Path, to: Path, *, catalog: Sequence[str] = (), vectors: Sequence[str] = ()) -> Path:
    """Write a backup with its files changed by some SQL."""
    with zipfile.ZipFile(file) as packed:
        packed.extractall(to.with_suffix(".d"))
    for name, statements in (("catalog.sqlite", catalog), ("vectors.sqlite", vectors)):
        with contextlib.closing(sqlite3.connect(to.with_suffix(".d") / name)) as db, db:
            for statement in statements:
                db.execute(statement)
    pack(to.with_suffix(".d"), to)
    return to


def pack(folder: Path, to: Path) -> None:
    with zipfile.ZipFile(to, "w") as packed:
        for name in MEMBERS:
            packed.write(folder / name, name)


# -- into what it is read ---------------------------------------------------------------------


def test_into_an_index_in_use(file: Path, built: Path) -> None:
    store = local.LocalStore(built)
    with store.view() as view:
        before = view.articles()
    with store.writer() as t:
        put(t, article(50))
        t.remove("a00007")
    with pytest.raises(StoreError, match="--replace"):
        restore.restore(file, built)
    with store.view() as held:
        rows = held.dense(EMBEDDER.query("word50"), 5).rows.tolist()
        restore.restore(file, built, replace=True)
        assert "a00050" in {head.id for _, head in held.passages(rows)}, "who reads keeps what was there"
    with store.view() as view:
        assert view.articles() == before
    assert checking.faults(built) == []
    with store.writer(), pytest.raises(IndexLocked):
        restore.restore(file, built, replace=True)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def overwrite(path: Path) -> None:
    path.write_bytes(b"not a database at all" * 1000)


def page(n: int) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        with path.open("r+b") as f:
            f.seek(n * catalog.PAGE_BYTES)
            f.write(b"\xff" * 200)

    return spoil


def facts(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE meta SET value = 'x' WHERE key = 'next_row'")


def later(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE meta SET value = '99' WHERE key = 'format'")


def sums(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE vectors SET vector = zeroblob(length(vector))")


@pytest.mark.parametrize(
    ("name", "how"),
    [
        *(("catalog.sqlite", how) for how in (cut, overwrite, facts, later, Path.unlink, *map(page, range(1, 28, 4)))),
        *(("vectors.sqlite", how) for how in (cut, overwrite, sums, Path.unlink)),
    ],
)
def test_in_the_place_of_a_damaged_index(
    small: Path, used: Used, name: str, how: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    backup.save(used.folder, used.folder.with_name("own.zip"))
    used.store.close()
    how(used.folder / name)
    spoiled = (used.folder / name).read_bytes() if (used.folder / name).exists() else None
    if spoiled is not None:
        with pytest.raises(StoreError, match="--replace") as told:
            restore.restore(small, used.folder)
        assert "\n" not in str(told.value)
        assert (used.folder / name).read_bytes() == spoiled
    with caplog.at_level(logging.WARNING):
        # Its own backup has keys in common with it, the small one has none.
        for file, count in ((used.folder.with_name("own.zip"), 2), (small, 3)):
            assert restore.restore(file, used.folder, replace=True).articles == count
            assert checking.faults(used.folder) == []
    kept = list(used.folder.glob(f"damaged-*-{name}"))
    assert [path.read_bytes() for path in kept] == ([] if spoiled is None else [spoiled])
    assert all(str(path) in caplog.text for path in kept)
    with local.LocalStore(used.folder).view() as view:
        assert view.article("a00002", article(2).revision) == article(2)


def test_what_the_doctor_advises_helps(small: Path, used: Used) -> None:
    cut(used.folder / "catalog.sqlite")
    (fault,) = checking.faults(used.folder)
    assert "`rag restore FILE --replace`" in str(fault)
    run = CliRunner().invoke(main, ["restore", str(small), "--index", str(used.folder), "--replace", "--json"])
    assert (run.exit_code, json.loads(run.stdout)) == (0, {"articles": 3, "passages": 6})
    assert checking.faults(used.folder) == []


@pytest.mark.model
@pytest.mark.parametrize("how", [cut, facts, *map(page, (3, 9, 24))])
def test_a_rebuild_of_an_index_damaged_inside(used: Used, how: Callable[[Path], None]) -> None:
    used.store.close()
    how(used.folder / "catalog.sqlite")
    report = keeping.ingest([Article("a", "A", "A few words.")], used.folder, Settings.load(), rebuild=True)
    assert report.articles == 1
    assert checking.faults(used.folder) == []


def test_where_no_folder_can_be(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    for folder, reason in ((tmp_path / "file" / "y" / "z", "cannot be made"), (tmp_path / "file", "is no folder")):
        with pytest.raises(StoreError, match=reason) as told:
            restore.restore(small, folder)
        assert "\n" not in str(told.value)
    whole = Path.mkdir

    def mkdir(path: Path, *args: Any, **options: Any) -> None:
        if path.name == "z":
            raise PermissionError(13, "Permission denied")
        whole(path, *args, **options)

    monkeypatch.setattr(Path, "mkdir", mkdir)
    with pytest.raises(StoreError, match=r"z cannot be made \(Permission denied\)"):
        restore.restore(small, tmp_path / "x" / "y" / "z")
    assert not (tmp_path / "x").exists()


def test_two_at_once(small: Path, tmp_path: Path) -> None:
    begun, go_on, results = threading.Event(), threading.Event(), []

    def wait(_: Steps) -> None:
        begun.set()
        go_on.wait(20)

    first = threading.Thread(target=lambda: results.append(restore.restore(small, tmp_path / "new", on_progress=wait)))
    first.start()
    try:
        assert begun.wait(20)
        with pytest.raises(IndexLocked):
            restore.restore(small, tmp_path / "new")
    finally:
        go_on.set()
        first.join()
    assert [stats.articles for stats in results] == [3]
    with pytest.raises(StoreError, match="holds articles"):
        restore.restore(small, tmp_path / "new")


def test_of_two_processes_one_restores(small: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "rag", "restore", str(small), "--index", str(tmp_path / "new")]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    told = [process.communicate(timeout=60) for process in both]
    assert sorted(process.returncode for process in both) == [0, 1], told


@pytest.mark.parametrize("room", [2, 20])
def test_a_full_disk_is_not_told_as_damage(file: Path, used: Used, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    whole = sqlite.connect

    def connect(path: Path, **how: Any) -> sqlite3.Connection:
        db = whole(path, **how)
        if how["write"] and path == used.folder / "catalog.sqlite":
            pages = db.execute("PRAGMA page_count").fetchone()[0]
            db.execute(f"PRAGMA max_page_count = {pages + room}")
        return db

    with monkeypatch.context() as patch:
        patch.setattr(sqlite, "connect", connect)
        said = refused(changed(file, file.with_name("long.zip"), catalog=[LONGER]), used)
    assert "no space left" in said
    assert str(used.folder) in said
    assert "b.zip" not in said


LONGER = (
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000)"
    " INSERT INTO removed SELECT randomblob(16), '2024-01-01' FROM n"
)


# -- what is read -----------------------------------------------------------------------------


def test_where_an_article_came_from_comes_back(tmp_path: Path) -> None:
    store = local.LocalStore.create(tmp_path / "index", FINGERPRINT)
    origins = {"plain": "/pages/plain.md", "other": "/pages/50%/\udcff.md"}
    with store.writer() as t:
        for id, origin in origins.items():
            t.add(Article(id, "T", ""), [], origin)
    backup.save(store.folder, tmp_path / "b.zip")
    restore.restore(tmp_path / "b.zip", tmp_path / "new")
    with local.LocalStore(tmp_path / "new").writer() as t:
        assert {id: t.origin(id) for id in origins} == origins


def test_a_superseded_text_stays_superseded(built: Path, tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(built / "catalog.sqlite")) as db, db:
        db.execute("UPDATE articles SET text = 'spoiled' WHERE id = 'a00003' AND live")
    done, _ = keeping.repair(built, Settings.load(), embedder=HashEmbedder())
    assert any("a00003" in line for line in done)
    backup.save(built, tmp_path / "b.zip")
    restore.restore(tmp_path / "b.zip", tmp_path / "new")
    with local.LocalStore(built).view() as old, local.LocalStore(tmp_path / "new").view() as new:
        assert new.articles() == old.articles()
        assert new.current("a00003") is None
        assert new.article("a00003", article(3).revision) == article(3)
    assert checking.faults(tmp_path / "new") == []


def test_an_article_without_the_passages_that_its_text_gives_is_a_fault(tmp_path: Path) -> None:
    store = local.LocalStore.create(tmp_path / "index", FINGERPRINT)
    with store.writer() as t:
        put(t, article(1))
        t.add(Article("blank", "Blank", " \n "), [])
        t.add(Article("heading", "Heading", "LEAD\n", sections=(Section("LEAD", 5, 5),)), [])
        t.add(Article("lost", "Lost", "Some words."), [])
    (fault,) = checking.faults(tmp_path / "index")
    assert (fault.mend, "'lost'" in fault.what) == ("passages", True)
    keeping.repair(tmp_path / "index", Settings.load(), embedder=HashEmbedder())
    assert checking.faults(tmp_path / "index") == []


def day_of_removal(folder: Path, id: str) -> str:
    with local.LocalStore(folder).view() as view, pytest.raises(UnknownArticle) as told:
        view.article(id, "0" * 16)
    return str(told.value).rpartition("was removed from the index on ")[2] if "removed" in str(told.value) else ""


def removed_on(folder: Path, id: str, day: str) -> None:
    with contextlib.closing(sqlite3.connect(folder / "catalog.sqlite")) as db, db:
        db.execute("INSERT OR REPLACE INTO removed VALUES (?, ?)", (catalog.digest(id), day))


def test_days_of_removal_come_back_and_those_known_stay(built: Path, used: Used, tmp_path: Path) -> None:
    today = date.today().isoformat()
    for id, day in (("gone", "2024-02-03"), ("both", "2024-02-03"), ("a00050", "2024-02-03")):
        removed_on(built, id, day)
    for id, day in (("both", "2024-03-04"), ("theirs", "2024-03-04"), ("a00004", "2024-03-04")):
        removed_on(used.folder, id, day)
    backup.save(built, tmp_path / "b.zip")
    restore.restore(tmp_path / "b.zip", tmp_path / "new")
    restore.restore(tmp_path / "b.zip", used.folder, replace=True)
    cut_index = Used(tmp_path / "cut").folder
    removed_on(cut_index, "theirs", "2024-03-04")
    facts(cut_index / "catalog.sqlite")
    restore.restore(tmp_path / "b.zip", cut_index, replace=True)
    for folder in (tmp_path / "new", used.folder, cut_index):
        assert day_of_removal(folder, "gone") == "2024-02-03"
        assert day_of_removal(folder, "a00005") == today
        assert day_of_removal(folder, "never") == ""
        assert day_of_removal(folder, "a00004") == "", "it is there"
    for folder in (used.folder, cut_index):
        assert day_of_removal(folder, "theirs") == "2024-03-04"
        assert day_of_removal(folder, "a00051") == today, "the backup lacks it"
        assert day_of_removal(folder, "a00050") == today, "of two days the later"
    assert day_of_removal(used.folder, "both") == "2024-03-04"


def test_a_rebuild_notes_what_does_not_come_back(used: Used) -> None:
    with used.store.writer(FINGERPRINT) as t:
        put(t, article(50))
    assert day_of_removal(used.folder, "a00051") == date.today().isoformat()
    assert day_of_removal(used.folder, "a00050") == ""
    with contextlib.suppress(KeyboardInterrupt), used.store.writer(FINGERPRINT):
        raise KeyboardInterrupt
    assert day_of_removal(used.folder, "a00050") == "", "it was broken off"


def test_going_back_to_an_earlier_text_embeds_nothing(file: Path, tmp_path: Path, used: Used) -> None:
    keys = [p.key for p in passages(article(3))]
    for folder in (tmp_path / "new", used.folder):
        restore.restore(file, folder, replace=True)
        store = local.LocalStore(folder)
        with store.writer() as t:
            assert t.cached(keys) == set(keys)
            t.remove("a00003")
        with store.writer() as t:
            assert t.cached(keys) == set(), "they were known to be its, and are erased with it"


# -- what is no backup, damaged or made to harm -----------------------------------------------


def test_what_is_no_backup_is_told(small: Path, used: Used, tmp_path: Path) -> None:
    whole, case = small.read_bytes(), tmp_path / "case.zip"
    for data in (b"", b"no zip", whole[: len(whole) // 2]):
        case.write_bytes(data)
        assert "case.zip cannot be read as a backup" in refused(case, used)
    case.unlink()
    assert "No such file" in refused(case, used)
    os.mkfifo(case)
    assert "no regular file" in refused(case, used)
    case.unlink()
    with zipfile.ZipFile(small) as packed:
        packed.extractall(tmp_path / "taken")
    for contents in (b"", b"{}", b"[]", b"\xff", b'{"footnote index": null}', b"[" * 10**5):
        (tmp_path / "taken" / "footnote.json").write_bytes(contents)
        pack(tmp_path / "taken", case)
        assert "no backup of Footnote" in refused(case, used)
    shutil.copyfile(small, case)
    with zipfile.ZipFile(case, "a") as packed:
        packed.writestr("../outside", "x")
    assert "no backup of Footnote" in refused(case, used)
    assert not (tmp_path.parent / "outside").exists()
    shutil.copyfile(small, case)
    with zipfile.ZipFile(case, "a") as packed, pytest.warns(UserWarning, match="Duplicate"):
        packed.writestr("catalog.sqlite", "x")
    assert "no backup of Footnote" in refused(case, used)


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_only_what_footnote_packs_is_unpacked(small: Path, used: Used, tmp_path: Path, method: int) -> None:
    with zipfile.ZipFile(small) as packed, zipfile.ZipFile(tmp_path / "case.zip", "w", method) as other:
        for name in MEMBERS:
            other.writestr(name, packed.read(name))
    assert "is damaged" in refused(tmp_path / "case.zip", used)


def test_bytes_changed_at_random(small: Path, used: Used, tmp_path: Path) -> None:
    whole, case = small.read_bytes(), tmp_path / "case.zip"
    # Heads and the list of members are a hundredth of the file, and where its readers trip.
    heads = [n for at in find(whole, b"PK") for n in range(at, min(at + 80, len(whole)))]
    restored = 0
    for seed in range(100):
        rng = random.Random(seed)
        spoiled = bytearray(whole)
        for _ in range(rng.choice((1, 1, 1, 4))):
            spoiled[rng.choice(heads) if rng.random() < 0.8 else rng.randrange(len(whole))] ^= rng.randrange(1, 256)
        case.write_bytes(spoiled)
        said = ""
        try:
            restore.restore(case, used.folder, replace=True)
        except RagError as error:
            said = str(error)
        if said:
            assert "\n" not in said, seed
            assert str(case) in said, seed
            assert used.is_as_before(), seed
        else:
            # What nobody reads, as the day on which a member was packed.
            restored += 1
            assert checking.faults(used.folder) == [], seed
            shutil.rmtree(used.folder)
            used = Used(used.folder)
    assert 0 < restored < 50


def find(data: bytes, what: bytes) -> list[int]:
    found, at = [], data.find(what)
    while at >= 0:
        found.append(at)
        at = data.find(what, at + 1)
    return found


BAD: list[dict[str, Any]] = [
    *({"context": value} for value in ("x", None, float("nan"), float("inf"), -0.1, 1.5, [])),
    *({"model": value} for value in (5, None, "", "a\nb")),
    *({"model_digest": value} for value in (5, "", "\x1b[2J")),
    *({"dim": value} for value in ("16", 16.0, 0, -1, 10**12, True, None, 8)),
    *({"max_tokens": value} for value in ("64", 0, -1, None)),
    *({"passage_tokens": value} for value in ("64", 0, 1.5)),
    *({"overlap_tokens": value} for value in ("0", -1)),
    *({"title": value} for value in ("yes", 1, None)),
    {"more": 1},
]


@pytest.mark.parametrize("bad", BAD, ids=str)
def test_a_fingerprint_that_no_index_has(small: Path, used: Used, tmp_path: Path, bad: dict[str, Any]) -> None:
    told = json.dumps(asdict(FINGERPRINT) | bad).replace("'", "''")
    case = changed(
        small, tmp_path / "case.zip", catalog=[f"UPDATE meta SET value = '{told}' WHERE key = 'fingerprint'"]
    )
    assert "is damaged" in refused(case, used)


def test_a_backup_of_a_later_version(small: Path, used: Used, tmp_path: Path) -> None:
    case = changed(small, tmp_path / "case.zip", catalog=["UPDATE meta SET value = '3' WHERE key = 'format'"])
    assert "later version" in refused(case, used)
    with pytest.raises(IndexMismatch):
        restore.restore(case, used.folder, replace=True)
    for written in ("-1", "0", "x" * 9, "two\nlines", "9" * 5000):
        case = changed(
            small, tmp_path / "case.zip", catalog=[f"UPDATE meta SET value = '{written}' WHERE key = 'format'"]
        )
        assert "is damaged" in refused(case, used)


@pytest.mark.parametrize(
    "statements",
    [
        ["CREATE TRIGGER t AFTER DELETE ON articles BEGIN SELECT 1; END"],
        ["ALTER TABLE removed RENAME TO x", "CREATE VIEW removed AS SELECT id, date('now') AS day FROM x"],
        ["ALTER TABLE sections ADD COLUMN more AS (abs(code))"],
        ["DROP TABLE passages", "CREATE VIRTUAL TABLE passages USING fts5 (row, article, start, section, key, sum)"],
        ["DROP TABLE passages"],
        ["DELETE FROM meta"],
        ["DELETE FROM sections"],
        ["DELETE FROM passages WHERE row = (SELECT MAX(row) FROM passages)"],
        ["UPDATE passages SET end = 10000000"],
        ["UPDATE passages SET start = start + 1"],
        ["UPDATE passages SET key = 3000000000"],
    ],
)
def test_a_catalog_that_says_what_no_catalog_says(
    small: Path, used: Used, tmp_path: Path, statements: Sequence[str]
) -> None:
    assert "is damaged" in refused(changed(small, tmp_path / "case.zip", catalog=statements), used)


def test_vectors_that_are_none(small: Path, used: Used, tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(":memory:")) as db:
        nan = b"\x00\x7e" * FINGERPRINT.dim
        packed = nan + zlib.crc32(nan).to_bytes(4, "little")
        (literal,) = db.execute("SELECT quote(?)", (packed,)).fetchone()
    for statement in (
        f"UPDATE vectors SET vector = {literal}",
        "UPDATE vectors SET vector = 'text'",
        "UPDATE vectors SET vector = zeroblob(7)",
        "UPDATE vectors SET key = CAST(key AS TEXT)",
        "DELETE FROM vectors WHERE rowid = 1",
        "DROP TABLE vectors",
    ):
        assert "is damaged" in refused(changed(small, tmp_path / "case.zip", vectors=[statement]), used), statement


VALUES = (
    *(
        None,
        "",
        "x",
        "null",
        "5",
        "[5]",
        "[[5, 0, 1]]",
        '[["x", "0", 1]]',
        '["\\ud800"]',
        "2024-13-01",
        b"",
        b"\x00\xff",
    ),
    *(0, 1, 2, -1, 3_000_000_000, 10**12, 2**62, -(2**63), 1.5, float("inf")),
)

SPOILED = [
    *(("catalog.sqlite", "articles", c) for c in "ord live first passages origin".split()),
    *(("catalog.sqlite", "articles", c) for c in catalog.ARTICLE.split(", ")),
    *(("catalog.sqlite", "passages", c) for c in "row article start end section key sum".split()),
    *(("catalog.sqlite", "sections", c) for c in ("code", "name")),
    *(("catalog.sqlite", "former", c) for c in ("id", "key")),
    *(("catalog.sqlite", "removed", c) for c in ("id", "day")),
    ("catalog.sqlite", "meta", "value"),
    *(("vectors.sqlite", "vectors", c) for c in ("key", "vector")),
]


@pytest.mark.parametrize(("name", "table", "column"), SPOILED)
def test_a_column_that_holds_something_else(small: Path, tmp_path: Path, name: str, table: str, column: str) -> None:
    """Of whoever can make sums; what is taken all the same makes an index without a fault."""
    with zipfile.ZipFile(small) as packed:
        packed.extractall(tmp_path / "taken")
    with contextlib.closing(sqlite3.connect(tmp_path / "taken" / name)) as db, db:
        columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
        # Without types that turn a number into a text, and without what must be unique.
        db.execute(f"CREATE TABLE loose ({', '.join(columns)})")
        db.execute(f"INSERT INTO loose SELECT * FROM {table}")
        db.execute(f"DROP TABLE {table}")
        db.execute(f"ALTER TABLE loose RENAME TO {table}")
    taken = []
    for n, value in enumerate((*VALUES, "as it is")):
        for where in ("1", f"rowid = (SELECT MAX(rowid) FROM {table})"):
            work = shutil.copytree(tmp_path / "taken", tmp_path / f"{n}-{len(where)}")
            with contextlib.closing(sqlite3.connect(work / name)) as db, db:
                if value != "as it is":
                    db.execute(f"UPDATE {table} SET {column} = ? WHERE {where}", (value,))
                with_sums(db, table, column)
            with contextlib.suppress(RagError):
                with instead(BadSource("damaged"), small):
                    copied = Copied(work)
                with contextlib.closing(copied):
                    copied.check(Pace(None), BadSource("damaged"), small)
                taken.append((value, work))
    assert {value for value, _ in taken} >= {"as it is"}
    for value, work in {*random.Random(column).sample(taken, min(2, len(taken))), taken[-1]}:
        pack(work, work / "case.zip")
        restore.restore(work / "case.zip", tmp_path / "new", replace=True)
        # An article may have lost all its passages: the doctor cuts it again.
        assert {fault.mend for fault in checking.faults(tmp_path / "new")} <= {"passages"}, value
        assert checking.faults(tmp_path / "new") == [] or (column, value) == ("passages", 0), value
        with local.LocalStore(tmp_path / "new").view() as view:
            for head, _ in view.articles():
                view.article(head.id)


@pytest.mark.parametrize("start", ["0.0", "false", "1e400"])
def test_a_section_that_starts_at_no_character(small: Path, used: Used, tmp_path: Path, start: str) -> None:
    case = changed(small, tmp_path / "case.zip")
    with contextlib.closing(sqlite3.connect(tmp_path / "case.d" / "catalog.sqlite")) as db, db:
        db.execute("UPDATE articles SET sections = replace(sections, '\"LEAD\", 0', ?)", (f'"LEAD", {start}',))
        assert db.total_changes == 4
        with_sums(db, "articles", "")
    pack(tmp_path / "case.d", case)
    assert "is damaged" in refused(case, used)


def with_sums(db: sqlite3.Connection, table: str, but: str) -> None:
    """Make the sums and revisions of a changed catalog anew, where that can be done, but for one column."""
    if but == "sum":
        return
    if table == "articles":
        for rowid, *row in db.execute(f"SELECT rowid, {catalog.ARTICLE} FROM articles").fetchall():
            with contextlib.suppress(Exception):  # of what is no article there is no revision
                row[-1] = catalog.sum_of(row[:-1])
                row[-2] = row[-2] if but == "revision" else catalog.read_article(row).revision
            db.execute(
                "UPDATE articles SET revision = ?, sum = ? WHERE rowid = ?",
                (row[-2], catalog.sum_of(row[:-1]), rowid),
            )
    elif table == "passages":
        for rowid, *row in db.execute("SELECT rowid, row, article, start, end, section FROM passages").fetchall():
            db.execute("UPDATE passages SET sum = ? WHERE rowid = ?", (catalog.sum_of(row), rowid))


def test_an_index_of_format_1_in_a_backup(used: Used, tmp_path: Path) -> None:
    with zipfile.ZipFile(HERE / "indexes" / "format-1.zip") as packed:
        packed.extractall(tmp_path / "old")
    for name in ("catalog.sqlite", "vectors.sqlite"):
        with contextlib.closing(sqlite3.connect(tmp_path / "old" / name)) as db:
            db.execute("PRAGMA journal_mode=DELETE")
    (tmp_path / "old" / "footnote.json").write_text('{"footnote index": 1}')
    pack(tmp_path / "old", tmp_path / "old.zip")
    assert restore.restore(tmp_path / "old.zip", used.folder, replace=True).articles == 7
    assert checking.faults(used.folder) == []
