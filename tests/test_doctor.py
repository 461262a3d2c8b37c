"""`rag doctor`: it names what is damaged, mends it without embedding again, and changes nothing unless asked to."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from contracts import article
from fakes import FINGERPRINT, HashEmbedder
from folders import BECOME_NOBODY, read_only

import rag
from rag import keeping
from rag.embed.model import Model
from rag.errors import IndexDamaged, NoIndex, RagError
from rag.faces.cli import main
from rag.files import sha256
from rag.intake import items, pipeline
from rag.settings import Settings
from rag.store import (
    catalog,
    cells,
    check,
    check_segments,
    check_vectors,
    check_words,
    lexical,
    local,
    mend,
    sealing,
    segmentfile,
    segments,
    vectorfile,
    wording,
)
from rag.types import Filter, Steps

HERE = Path(__file__).parent
SETTINGS = Settings.load(passages={"tokens": 48, "overlap": 8})
QUESTIONS = ["word3 version0 story", "group5 and more", "the Gökdoğan story of word17", "version1 word4"]


def fill(folder: Path) -> None:
    """Make an index with segments, a tail, removed rows, an earlier revision, twins, in one file of each kind."""
    store = local.LocalStore.create(folder, FINGERPRINT)

    def put(*articles: rag.Article) -> None:
        with store.writer() as t:
            pipeline.ingest(items.find(articles), t, HashEmbedder(), SETTINGS)

    long = "\n\n".join(article(n).text for n in range(40, 52))
    put(*map(article, range(20)), rag.Article(id="long", title="Long", text=long))
    put(article(20), rag.Article(id="again", title="Again", text=long, source="else"))
    with store.writer() as t:
        t.remove("a00003")
    put(article(4, 1))
    put(article(21))
    store.close()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "index"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sealing, "TAIL_ROWS", 12)
        patched.setattr(wording, "ERASED_AT_ONCE", 0)
        fill(folder)
    return folder


@pytest.fixture
def index(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sealing, "TAIL_ROWS", 12)
    monkeypatch.setattr(check_segments, "BLOCK", 3)
    monkeypatch.setattr(check_words, "ROWS", 7)
    monkeypatch.setattr(check_vectors, "KEYS", 5)
    return shutil.copytree(made, tmp_path / "index")


def answers(folder: Path) -> list[Any]:
    """Return what an index answers, with scores but without rows, which may be given anew."""
    told: list[Any] = []
    with closing(local.LocalStore(folder)) as store, store.view() as view:
        for question in QUESTIONS:
            for where in (None, Filter(authors=("ann o. 1",)), Filter(sources=("else",)), Filter(sections=("lead",))):
                dense = view.dense(HashEmbedder().query(question), 100, where)
                near = zip(view.passages(dense.rows.tolist()), dense.scores.tolist(), strict=True)
                told.append(sorted((p.id, p.text, h, score) for (p, h), score in near))
                # BM25 counts removed rows until they are out of tantivy's files, so its scores change a little.
                words = view.passages(view.lexical(question, 100, where).rows.tolist())
                told.append(sorted((p.id, p.text, h) for p, h in words))
        heads = view.articles()
        told.append([(view.article(h.id), n) for h, n in heads])
        told.append(view.twins([h.id for h, _ in heads]))
    return told


def bytes_of(folder: Path) -> dict[str, str]:
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in folder.rglob("*")
        if p.is_file() and not p.name.endswith("-shm")
    }


def repair(folder: Path) -> tuple[list[str], list[str]]:
    """Mend and return what was done and the texts that were embedded."""
    embedder = HashEmbedder()
    done, left = keeping.repair(folder, SETTINGS, embedder=embedder)
    assert left.faults == ()
    assert check.faults(folder) == []
    return done, embedder.embedded


def test_what_is_made_has_every_kind_of_thing(made: Path) -> None:
    checked = check.check(made)
    assert checked.faults == ()
    assert checked.stats is not None
    assert checked.stats.segments > 0
    assert checked.stats.tombstones > 0
    with closing(sqlite3.connect(made / "catalog.sqlite")) as db:
        for table in ("twins", "bylines", "former", "tombstones", "removed"):
            assert db.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0], table
    with closing(local.LocalStore(made)) as store, store.view() as view:
        assert view.stats() == checked.stats


# -- every file, damaged everywhere -----------------------------------------------------------


def flip(path: Path, share: float) -> None:
    data = bytearray(path.read_bytes())
    data[int(share * len(data))] ^= 1 << random.Random(share).randrange(8)
    path.write_bytes(data)


def cut(path: Path, share: float) -> None:
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])


def delete(path: Path, _: float) -> None:
    path.unlink()


KINDS = ["rows.faiss", "passages.npy", "articles.npy", "bylines.npy", "vectors.sqlite", "meta.json", ".managed.json"]
KINDS += [f"*.{kind}" for kind in lexical.KINDS]


def files_of(folder: Path, kind: str) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file() and p.match(kind if "*" in kind else f"*{kind}"))


def test_every_file_of_an_index_is_of_a_kind_that_is_tried(made: Path) -> None:
    tried = {p for kind in KINDS for p in files_of(made, kind)}
    rest = {p.name for p in made.rglob("*") if p.is_file()} - {p.name for p in tried}
    assert rest <= {"catalog.sqlite", "writer.lock", ".tantivy-meta.lock", ".tantivy-writer.lock"} | {
        p.name for p in made.rglob("*.del")
    }


@pytest.mark.parametrize("how", [flip, cut, delete])
@pytest.mark.parametrize("kind", [*KINDS, "*.del"])
def test_a_damaged_file_is_named_and_mended(
    index: Path, made: Path, tmp_path: Path, kind: str, how: Callable[[Path, float], None]
) -> None:
    rng = random.Random(f"{kind} {how.__name__}")
    found = files_of(made, kind)
    if not found:
        assert kind == "*.del"
        pytest.skip("tantivy has merged its segments")
    before = answers(made)
    for _ in range(1 if how is delete else 6):
        path, share = rng.choice(found), rng.random()
        shutil.rmtree(index)
        shutil.copytree(made, index)
        how(index / path.relative_to(made), share)
        faults = check.faults(index)
        if not faults:
            assert answers(index) == before, "what is not noticed changes nothing"
            continue
        assert any(path.name in str(f) or path.parent.name in str(f) for f in faults), faults
        assert all("\n" not in str(f) for f in faults)
        _, embedded = repair(index)
        if kind != "vectors.sqlite":
            assert embedded == []
        assert answers(index) == before


@pytest.mark.parametrize("at", [0, 50, 100, "first", "last"])
def test_of_a_file_of_vectors_what_is_whole_is_used_again(index: Path, made: Path, at: int | str) -> None:
    before = answers(made)
    path = index / "vectors.sqlite"
    data = bytearray(path.read_bytes())
    if isinstance(at, str):
        places = sorted(data.index(packed) for _, packed in mend.carved(path, 16))
        at = places[0 if at == "first" else -1]
    data[at : at + 300] = bytes(byte ^ 0xFF for byte in data[at : at + 300])
    path.write_bytes(data)
    faults = check.faults(index)
    assert {f.mend for f in faults} == {"vectors"}
    _, embedded = repair(index)
    # A record has 60 bytes.
    assert len(embedded) <= 8
    assert answers(index) == before
    assert not list(index.glob("mended-*"))


@pytest.mark.parametrize("sound", [False, True])
def test_a_log_of_vectors_is_never_lost_while_they_are_mended(
    index: Path, monkeypatch: pytest.MonkeyPatch, sound: bool
) -> None:
    """Interrupted before every step, with a file that is sound without its log and one that never is."""
    killed = "import os, sys; sys.path.insert(0, {!r})\nfrom contracts import article, put\n"
    killed += "from rag.store import transaction; from pathlib import Path\n"
    killed += "t = transaction.LocalTransaction(Path({!r}))\n"
    killed += "for n in range(100, 130): put(t, article(n))\n"
    killed += "t.commit(); os._exit(0)"
    subprocess.run([sys.executable, "-c", killed.format(str(HERE), str(index))], check=True, timeout=60)
    path = index / "vectors.sqlite"
    assert (index / "vectors.sqlite-wal").stat().st_size
    if not sound:
        path.write_bytes(bytes(16) + path.read_bytes()[16:])
    damaged = shutil.copytree(index, index.parent / "damaged")
    wanted = mend._keys(index / "catalog.sqlite")

    def interrupted(whole: Any, after: int) -> Any:
        def step(*args: Any, **options: Any) -> Any:
            steps.append(whole)
            if len(steps) > after:
                raise KeyboardInterrupt
            return whole(*args, **options)

        return step

    for after in range(100):
        shutil.rmtree(index)
        shutil.copytree(damaged, index)
        steps: list[Any] = []
        with monkeypatch.context() as patched:
            patched.setattr(vectorfile.VectorFile, "is_sound", lambda self: False)
            for name in ("unlink", "replace"):
                patched.setattr(Path, name, interrupted(getattr(Path, name), after))
            patched.setattr(mend, "sync", interrupted(mend.sync, after))
            try:
                mend.mend_vectors(index, 16)
            except KeyboardInterrupt:
                ended = False
            else:
                ended = True
        mend.mend_vectors(index, 16)
        with closing(vectorfile.VectorFile(path, 16, write=False)) as vectors:
            assert wanted <= set(vectors.keys()), after
        assert not list(index.glob("mend*"))
        if ended:
            break
    assert 6 <= after < 20
    (index / "mended-vectors.sqlite").write_bytes(path.read_bytes())
    assert [f.mend for f in check.faults(index)] == ["vectors"]
    repair(index)


def test_only_lost_vectors_are_embedded(index: Path, made: Path) -> None:
    with sqlite3.connect(index / "catalog.sqlite") as db:
        keys = [k for (k,) in db.execute("SELECT DISTINCT key FROM passages ORDER BY row")]
    with sqlite3.connect(index / "vectors.sqlite") as db:
        db.execute("DELETE FROM vectors WHERE key = ?", keys[3:4])
        db.execute("UPDATE vectors SET vector = zeroblob(length(vector)) || x'00' WHERE key = ?", keys[7:8])
        db.execute("UPDATE vectors SET vector = 'text' WHERE key = ?", keys[9:10])
    told = [str(f) for f in check.faults(index)]
    assert [t.partition(": ")[2] for t in told] == [
        "2 vectors are not what was stored",
        "vectors of 1 passages are missing",
    ]
    _, embedded = repair(index)
    assert len(embedded) == 3
    assert answers(index) == answers(made)


def test_without_any_vector_all_are_embedded_once(index: Path, made: Path) -> None:
    (index / "vectors.sqlite").unlink()
    with sqlite3.connect(index / "catalog.sqlite") as db:
        count = db.execute("SELECT COUNT(DISTINCT key) FROM passages").fetchone()[0]
    _, embedded = repair(index)
    assert len(embedded) == len(set(embedded)) == count
    assert answers(index) == answers(made)


def test_an_erased_vector_does_not_come_back(index: Path) -> None:
    path = index / "vectors.sqlite"
    with local.LocalStore(index).writer() as t:
        t.remember([b"k" * 16], np.ones((1, 16), np.float32))
    assert tuple(k for k, _ in mend.carved(path, 16) if k == b"k" * 16) == (b"k" * 16,)
    flip(path, 0.0)
    repair(index)
    assert b"k" * 16 not in path.read_bytes()


# -- the catalog ------------------------------------------------------------------------------


def change(folder: Path, sql: str, *values: object) -> None:
    """Change the catalog behind its sums."""
    db = sqlite3.connect(folder / "catalog.sqlite")
    with db:
        assert db.execute(sql, values).rowcount > 0
    db.close()


@pytest.mark.parametrize(
    "column", ["title", "authors", "text", "sections", "published", "url", "id", "source", "revision", "title_made"]
)
def test_a_damaged_article_is_taken_out_and_named(index: Path, made: Path, column: str) -> None:
    value = 1 if column == "title_made" else "changed"
    change(index, f"UPDATE articles SET {column} = ? WHERE id = 'a00007' AND live", value)
    named = "changed" if column == "id" else "a00007"
    (fault,) = [f for f in check.faults(index) if f.mend == "article"]
    assert named in str(fault)
    done, embedded = repair(index)
    assert embedded == []
    assert any(named in line and "ingest it again" in line for line in done)
    with local.LocalStore(index).view() as view:
        assert not {"a00007", "changed"} & {h.id for h, _ in view.articles()}
        assert len(view.lexical("word7", 10).rows) == 0
        assert len(view.articles()) == 22
    store = local.LocalStore(index)
    embedder = HashEmbedder()
    with store.writer() as t:
        pipeline.ingest(items.find([article(7)]), t, embedder, SETTINGS)
    assert len(embedder.embedded) == 2, "nothing of it was left"
    assert sorted(map(repr, answers(index)[-2])) == sorted(map(repr, answers(made)[-2]))


def test_a_revision_that_is_not_that_of_its_text(index: Path) -> None:
    """As a fault of ours would write it: with the sum that belongs to it."""
    db = sqlite3.connect(index / "catalog.sqlite")
    with db:
        row = db.execute(f"SELECT {catalog.ARTICLE} FROM articles WHERE id = 'a00007'").fetchone()
        said = (*row[:-2], "0" * 16)
        db.execute("UPDATE articles SET revision = ?, sum = ? WHERE id = 'a00007'", (said[-1], catalog.sum_of(said)))
    db.close()
    assert [f.mend for f in check.faults(index)] == ["article"]


def test_bytes_that_are_no_text_are_noticed_and_never_served(index: Path) -> None:
    path = index / "catalog.sqlite"
    data = path.read_bytes()
    at = data.index(b"Alpha word9 says")
    path.write_bytes(data[:at] + b"\xff" + data[at + 1 :])
    with local.LocalStore(index).view() as view:
        with pytest.raises(RagError, match="a00009") as caught:
            view.article("a00009")
        assert "\n" not in str(caught.value)
    repair(index)


def test_an_index_in_a_folder_called_segments(index: Path) -> None:
    folder = index.rename(index.parent / "segments")
    change(folder, "UPDATE articles SET text = 'forged' WHERE id = 'a00007' AND live")
    assert [f.mend for f in check.faults(folder)] == ["article"]


def root_page(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "catalog.sqlite")) as db:
        (page,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'articles'").fetchone()
    path = folder / "catalog.sqlite"
    data = bytearray(path.read_bytes())
    data[(page - 1) * catalog.PAGE_BYTES] ^= 0x10
    path.write_bytes(data)


HOPELESS: dict[str, Callable[[Path], None]] = {
    "root page": root_page,
    **{
        fact: lambda folder, fact=fact: change(folder, "UPDATE meta SET value = 'q' WHERE key = ?", fact)  # type: ignore[misc]
        for fact in ("generation", "next_row", "erased_words", "lexical", "fingerprint")
    },
    "no generation": lambda folder: change(folder, "DELETE FROM meta WHERE key = 'generation'"),
    "other fingerprint": lambda folder: change(
        folder, "UPDATE meta SET value = replace(value, '0.5', '0.7') WHERE key = 'fingerprint'"
    ),
}


@pytest.mark.parametrize("what", HOPELESS)
def test_what_is_hopeless_is_rebuilt_by_the_command_that_is_named(index: Path, what: str) -> None:
    HOPELESS[what](index)
    (*_, fault) = check.faults(index)
    assert (fault.mend, "--rebuild" in str(fault)) == ("not", True)
    with closing(local.Folder(index).anew(FINGERPRINT)) as store:
        with store.writer(FINGERPRINT) as t:
            pipeline.ingest(items.find([article(7)]), t, HashEmbedder(), SETTINGS)
        with store.view() as view:
            assert [h.id for h, _ in view.articles()] == ["a00007"]
    assert len(list(index.glob("damaged-*-catalog.sqlite"))) == 1
    assert check.faults(index) == []


def test_what_can_be_mended_is_not_set_aside_to_be_rebuilt(index: Path) -> None:
    change(index, "DELETE FROM bylines WHERE article = 6")
    change(index, "UPDATE meta SET value = '3' WHERE key = 'next_row'")
    local.Folder(index).anew(FINGERPRINT).close()
    assert list(index.glob("damaged-*")) == []


CHANGES = {
    "UPDATE passages SET start = start + 1 WHERE row = 5": "passages of article",
    "UPDATE passages SET article = 2 WHERE row = 11": "passages of article",
    "UPDATE passages SET section = 99 WHERE row = 11": "passages of article",
    "UPDATE passages SET row = 900 WHERE row = 11": "passages of article",
    "DELETE FROM passages WHERE row = 11": "passages of article",
    "UPDATE articles SET first = first + 1 WHERE id = 'a00009'": "passages of article",
    "UPDATE articles SET passages = passages - 1 WHERE id = 'a00009'": "passages of article",
    "UPDATE articles SET passages = 0 WHERE id = 'a00009'": "passages of article",
    "UPDATE articles SET live = 0 WHERE id = 'nothing' OR id = 'a00009'": "passages of article",
    "UPDATE passages SET key = x'00112233445566778899aabbccddeeff' WHERE row = 11": "vectors of 1 passages",
    "UPDATE passages SET key = 'text' WHERE row = 11": "vectors of 1 passages",
    "UPDATE sections SET name = 'OTHER' WHERE name = 'LEAD'": "passages of article",
    "UPDATE sources SET name = 'other' WHERE name = 's0'": "authors or sources",
    "UPDATE authors SET name = 'other' WHERE name = 'ann o. 1'": "authors or sources",
    "DELETE FROM bylines WHERE article = 6": "authors or sources",
    "INSERT INTO bylines VALUES (999, 1)": "authors are listed",
    "DELETE FROM twins WHERE article < twin": "links between articles",
    "UPDATE meta SET value = '3' WHERE key = 'next_row'": "next passage",
    "UPDATE segments SET files = replace(files, '\"rows\": [', '\"rows\": [1')": "does not hold",
    "UPDATE segments SET last = last - 1": "does not say",
    "INSERT INTO tombstones (row, article) VALUES (11, 6)": "marked as removed",
    "INSERT INTO tombstones (row, article) VALUES (7, 4)": "does not say",
    "INSERT INTO tombstones (row, article, unworded) VALUES (9000, 5, 1)": "marked as removed",
    "DELETE FROM tombstones": "does not say",
    "DELETE FROM segments WHERE name = (SELECT MIN(name) FROM segments)": "",
}


@pytest.mark.parametrize("sql", CHANGES)
def test_what_stands_in_two_places_is_compared_and_mended(index: Path, made: Path, sql: str) -> None:
    before = answers(made)
    change(index, sql)
    faults = check.faults(index)
    if not CHANGES[sql] and not faults:
        assert answers(index) == before
        return
    assert any(CHANGES[sql] in str(f) for f in faults), [str(f) for f in faults]
    _, embedded = repair(index)
    assert embedded == []
    assert answers(index) == before


def test_columns_that_say_something_else_than_the_catalog(index: Path, made: Path) -> None:
    """As a fault of ours would write them: with the sum that belongs to them."""
    before = answers(made)
    for kind, field in [
        ("passages", "section"), ("passages", "row"), ("articles", "day"), ("articles", "source"), ("articles", "ord"),
        ("articles", "first"), ("bylines", "author"),
    ]:  # fmt: skip
        (path, *_) = files_of(index, f"{kind}.npy")
        table = np.load(path)
        table[field][1] += 1
        np.save(path, table)
        name = path.name.partition(".")[0]
        db = sqlite3.connect(index / "catalog.sqlite")
        with db:
            (files,) = db.execute("SELECT files FROM segments WHERE name = ?", (name,)).fetchone()
            known = json.loads(files) | {kind: [path.stat().st_size, sha256(path)]}
            db.execute("UPDATE segments SET files = ? WHERE name = ?", (json.dumps(known), name))
        db.close()
        assert "does not say" in str(check.faults(index)[0]), (kind, field)
        repair(index)
        assert answers(index) == before


def without_an_index(catalog: Path, sql: str) -> None:
    """Change the articles of a catalog behind the back of the index that lists the current ones."""
    with closing(sqlite3.connect(catalog)) as db, db:
        db.execute("PRAGMA writable_schema = 1")
        (root,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'live_article'").fetchone()
        db.execute("DELETE FROM sqlite_master WHERE name = 'live_article'")
    with closing(sqlite3.connect(catalog)) as db, db:
        db.execute(sql)
        db.execute("PRAGMA writable_schema = 1")
        db.execute(
            "INSERT INTO sqlite_master VALUES ('index', 'live_article', 'articles', ?,"
            " 'CREATE UNIQUE INDEX live_article ON articles (id) WHERE live')",
            (root,),
        )


def test_an_index_of_a_table_is_mended(index: Path, made: Path) -> None:
    before = answers(made)
    without_an_index(index / "catalog.sqlite", "UPDATE articles SET live = 0 WHERE id = 'a00001' AND live")
    assert any("an index of them is not" in str(f) for f in check.faults(index))
    keeping.repair(index, SETTINGS, embedder=HashEmbedder())
    assert check.faults(index) == []
    assert answers(index)[-2] == [a for a in before[-2] if a[0].id != "a00001"]


def test_passages_of_an_article_that_is_said_not_to_be_current_are_not_shown(index: Path) -> None:
    without_an_index(index / "catalog.sqlite", "UPDATE articles SET live = 0 WHERE id = 'a00001' AND live")
    with closing(local.LocalStore(index)) as store, store.view() as view:
        rows = view.dense(HashEmbedder().query("word1"), 1_000).rows.tolist()
        with pytest.raises(IndexDamaged, match="rag doctor --repair"):
            view.passages(rows)


def test_articles_are_listed_that_an_index_of_their_table_lacks(index: Path, made: Path) -> None:
    with closing(sqlite3.connect(index / "catalog.sqlite")) as db, db:
        (ord,) = db.execute("SELECT ord FROM articles WHERE id = 'a00001' AND live").fetchone()
        db.execute("UPDATE articles SET live = 0 WHERE ord = ?", (ord,))
    without_an_index(index / "catalog.sqlite", f"UPDATE articles SET live = 1 WHERE ord = {ord}")
    assert any("an index of them is not" in str(f) for f in check.faults(index))
    with closing(local.LocalStore(index)) as store, store.view() as view:
        listed = view.articles()
    with closing(local.LocalStore(made)) as store, store.view() as view:
        assert listed == view.articles()


@pytest.mark.parametrize("how", [flip, cut, delete])
def test_a_damaged_catalog_answers_rightly_or_says_what_helps(
    index: Path, made: Path, how: Callable[[Path, float], None]
) -> None:
    before = answers(made)
    rng = random.Random(how.__name__)
    for _ in range(1 if how is delete else 40 if how is flip else 8):
        shutil.rmtree(index)
        shutil.copytree(made, index)
        how(index / "catalog.sqlite", rng.random())
        faults = check.faults(index)
        if not faults:
            assert answers(index) == before
        elif any(f.mend == "not" for f in faults):
            assert all("rag restore FILE" in str(f) and "--rebuild" in str(f) for f in faults if f.mend == "not")
            was = bytes_of(index)
            assert keeping.repair(index, SETTINGS, embedder=HashEmbedder())[1].faults
            assert {k: v for k, v in bytes_of(index).items() if k != "writer.lock"} == {
                k: v for k, v in was.items() if k != "writer.lock"
            }
        else:
            repair(index)
            lost = {f.what for f in faults if f.mend == "article"}
            if not lost:
                assert answers(index) == before


# -- words ------------------------------------------------------------------------------------


def test_rows_missing_in_the_lexical_index_or_too_many(index: Path, made: Path) -> None:
    before = answers(made)
    (folder,) = index.glob("lexical-*")
    for change_words, told in (
        (lambda w: w.remove([5, 6]), "2 passages are missing"),
        (lambda w: w.add(1, "T", [(5, 1, "text")], lexical.About(1, 0, [])), "1 passages that are not current"),
        (lambda w: w.add(1, "T", [(0, 1, "text")], lexical.About(1, 0, [])), "1 passages that are not current"),
    ):
        (folder,) = index.glob("lexical-*")
        words = lexical.WordsWriter(folder, create=False)
        change_words(words)
        words.commit()
        words.close()
        (fault,) = check.faults(index)
        assert told in str(fault)
        assert fault.mend == "words"
        done, embedded = repair(index)
        assert done == ["the lexical index is made anew"]
        assert embedded == []
        assert answers(index) == before


@pytest.mark.parametrize("kind", lexical.KINDS)
def test_a_flipped_bit_of_the_lexical_index_is_noticed_when_it_is_opened(index: Path, kind: str) -> None:
    path = next(p for p in lexical.files(next(index.glob("lexical-*"))) if p.suffix == f".{kind}")
    flip(path, 0.3)
    with pytest.raises(lexical.Damaged, match=f"{path.name} is not what was written.*--repair"):
        with local.LocalStore(index).view():
            pass
    with pytest.raises(lexical.Damaged, match=path.name):
        with local.LocalStore(index).writer():
            pass


def test_what_a_killed_writer_left_does_not_stand_there_twice(index: Path, made: Path) -> None:
    """It had written the new lexical index and not named it yet."""
    before = answers(made)
    (folder,) = index.glob("lexical-*")
    number = int(folder.name.rpartition("-")[2])
    shutil.copytree(folder, index / f"lexical-{number + 1}")
    for path in files_of(index, "*.idx"):
        if path.parent == folder:
            path.unlink()
    repair(index)
    assert answers(index) == before


def test_an_index_built_anew_after_a_killed_rebuild_has_every_row_once(index: Path) -> None:
    (folder,) = index.glob("lexical-*")
    shutil.copytree(folder, index / f"lexical-{int(folder.name.rpartition('-')[2]) + 1}")
    with local.LocalStore(index).writer(FINGERPRINT) as t:
        pipeline.ingest(items.find([article(1)]), t, HashEmbedder(), SETTINGS)
    assert check.faults(index) == []


# -- recall -----------------------------------------------------------------------------------


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An index of a segment with cells."""
    monkeypatch.setattr(segmentfile, "CELLS_FROM", 1_000)
    monkeypatch.setattr(segments, "EXACT", 100)
    monkeypatch.setattr(segments, "FEW", 10)
    monkeypatch.setattr(sealing, "TAIL_ROWS", 500)
    monkeypatch.setattr(cells, "SOUND", 0.5)
    monkeypatch.setattr(cells, "CANDIDATES", 20)
    monkeypatch.setattr(pipeline, "COMMIT_SECONDS", 1e9)  # one commit, one segment
    folder = tmp_path / "large"
    store = local.LocalStore.create(folder, FINGERPRINT)
    with store.writer() as t:
        pipeline.ingest(items.find([article(n) for n in range(700)]), t, HashEmbedder(), SETTINGS)
    store.close()
    return folder


def test_recall_is_measured_now(large: Path) -> None:
    checked = check.check(large)
    assert checked.faults == ()
    assert checked.stats is not None
    assert checked.stats.approximate >= 1_000
    assert 0.5 < checked.stats.recall < 1.0 or checked.stats.recall == 1.0
    change(large, "UPDATE segments SET recall = recall + 0.2 WHERE probes")
    (fault,) = check.faults(large)
    assert "of the ten nearest" in str(fault)
    assert fault.mend == "segments"


def test_a_segment_that_finds_less_is_made_anew(large: Path) -> None:
    change(large, "UPDATE segments SET probes = 1, recall = 1 WHERE probes")
    (fault,) = check.faults(large)
    assert "of the ten nearest" in str(fault)
    _, embedded = repair(large)
    assert embedded == []


# -- what it leaves alone ---------------------------------------------------------------------


def test_looking_changes_no_byte(index: Path) -> None:
    killed = "import os, sys; sys.path.insert(0, {!r})\nfrom contracts import article, put\n"
    killed += "from rag.store import transaction; from pathlib import Path\n"
    killed += "t = transaction.LocalTransaction(Path({!r})); put(t, article(77)); t.commit(); put(t, article(78))\n"
    killed += "os._exit(0)"
    assert check.faults(index) == []
    was = bytes_of(index)
    assert check.faults(index) == []
    assert bytes_of(index) == was
    subprocess.run([sys.executable, "-c", killed.format(str(HERE), str(index))], check=True, timeout=60)
    assert (index / "catalog.sqlite-wal").stat().st_size
    was = bytes_of(index)
    assert check.faults(index) == []
    assert bytes_of(index) == was, "what a killed writer left is for the next one"
    flip(files_of(index, "rows.faiss")[0], 0.5)
    was = bytes_of(index)
    assert len(check.faults(index)) == 1
    assert bytes_of(index) == was


def test_looking_while_a_writer_is_at_work(index: Path) -> None:
    writer = f"""
import sys; sys.path.insert(0, {str(HERE)!r})
from contracts import article
from fakes import HashEmbedder
from rag.store import local, sealing
from rag.intake import items, pipeline
from rag.settings import Settings
sealing.TAIL_ROWS = 12
store = local.LocalStore({str(index)!r})
for n in range(10**6):
    with store.writer() as t:
        few = [article(i, n) for i in range(n % 9, 40, 9)]
        pipeline.ingest(items.find(few), t, HashEmbedder(), Settings.load(passages={{"tokens": 48, "overlap": 8}}))
        if n % 4 == 3: t.remove(few[0].id)
    print(n, flush=True)
"""
    process = subprocess.Popen([sys.executable, "-c", writer], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        process.stdout.readline()
        for _ in range(12):
            assert [str(f) for f in check.faults(index)] == []
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert check.faults(index) == []


@pytest.mark.parametrize("at", ["opened", "spoiled"])
def test_a_commit_in_between_is_no_fault(index: Path, monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    """One after the snapshot began and before its words are opened; one that takes its segments away."""
    monkeypatch.setattr(wording, "ERASED_AT_ONCE", 0)
    monkeypatch.setattr(wording, "ERASED_SHARE", 1)
    where: Any = check_words.WordsCheck if at == "opened" else segmentfile
    whole, committed = getattr(where, at), False

    def commit_first(*args: Any) -> Any:
        nonlocal committed
        if not committed:
            committed = True
            with closing(local.LocalStore(index)) as store, store.writer() as t:
                if at == "spoiled":
                    t.remove("a00005")
                else:
                    pipeline.ingest(items.find([article(5, 1)]), t, HashEmbedder(), SETTINGS)
        return whole(*args)

    monkeypatch.setattr(where, at, commit_first)
    assert [str(f) for f in check.faults(index)] == []
    assert committed


@pytest.mark.skipif(os.name == "nt", reason="permission bits are a matter of POSIX")
def test_a_read_only_folder_is_looked_through(made: Path) -> None:
    code = (
        "import os, sys\nfrom rag.store import check\n"
        "check.faults(sys.argv[1])\n"
        f"{BECOME_NOBODY}"
        "print(check.faults(sys.argv[1]))"
    )
    with read_only(made) as index:
        run = [sys.executable, "-c", code, str(index)]
        done = subprocess.run(run, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


def test_interrupted_anywhere_it_goes_on_the_next_time(index: Path, made: Path) -> None:
    before = answers(made)
    (index / "vectors.sqlite").unlink()
    flip(files_of(index, "rows.faiss")[0], 0.5)
    flip(files_of(index, "*.term")[0], 0.5)
    damaged = shutil.copytree(index, index.parent / "damaged")
    killed = f"""
import os, signal, sys
sys.path.insert(0, {str(HERE)!r})
from fakes import HashEmbedder
from rag import keeping
from rag.settings import Settings
from rag.store import mend, sealing, segmentfile, transaction, vectorfile, wording
sealing.TAIL_ROWS = 12
module, owner, name, n = sys.argv[2:]
where = getattr(globals()[module], owner) if owner else globals()[module]
whole = getattr(where, name)
calls = 0
def kill(*a, **k):
    global calls
    calls += 1
    if calls > int(n): os.kill(os.getpid(), signal.SIGKILL)
    return whole(*a, **k)
setattr(where, name, kill)
settings = Settings.load(passages={{"tokens": 48, "overlap": 8}})
keeping.repair(sys.argv[1], settings, embedder=HashEmbedder())
"""
    for at in (
        ("mend", "", "sync", 0),
        ("mend", "Mending", "begin", 0),
        ("vectorfile", "VectorFile", "put", 0),
        ("wording", "Wording", "write_anew", 0),
        ("sealing", "Sealing", "seal", 0),
        ("transaction", "LocalTransaction", "_tidy", 0),
        ("segmentfile", "", "write", 0),
        ("transaction", "LocalTransaction", "settle", 0),
    ):
        shutil.rmtree(index)
        shutil.copytree(damaged, index)
        run = [sys.executable, "-c", killed, str(index), *map(str, at)]
        done = subprocess.run(run, timeout=60, check=False, capture_output=True)
        assert done.returncode == -9, (at, done.stderr)
        repair(index)
        assert answers(index) == before, at


def test_progress_is_told(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Steps] = []
    check.check(index, told.append)
    assert {"articles", "segments", "vectors", "words"} <= {t.doing for t in told}


def test_no_index(tmp_path: Path) -> None:
    with pytest.raises(NoIndex):
        check.faults(tmp_path)
    with pytest.raises(NoIndex):
        keeping.repair(tmp_path, Settings())
    assert list(tmp_path.iterdir()) == []


# -- the command ------------------------------------------------------------------------------


def doctor(*args: object) -> Any:
    return CliRunner().invoke(main, ["doctor", *map(str, args)], catch_exceptions=False)


@pytest.mark.model
def test_the_command_mends_an_index_of_the_corpus(
    corpus_index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = shutil.copytree(corpus_index, tmp_path / "index")
    asked = ["Which missiles did Turkey test?", "wakhan corridor road"]

    def found() -> list[Any]:
        with rag.open(index) as opened:
            return [[(h.passage.id, h.score) for h in opened.search(q, k=20)] for q in asked]

    before = found()
    was = bytes_of(index)
    result = doctor("--index", index, "--json")
    told = json.loads(result.stdout)
    assert (result.exit_code, told["problems"]) == (0, [])
    assert (told["index"]["approximate"], told["index"]["recall"]) == (0, 1.0)
    assert bytes_of(index) == was

    texts: list[str] = []
    from rag.embed.model import Model

    whole = Model.passages

    def counted(self: Model, some: Any) -> Iterator[Any]:
        def each() -> Iterator[str]:
            for text in some:
                texts.append(text)
                yield text

        return whole(self, each())

    monkeypatch.setattr(Model, "passages", counted)
    (term, *_) = files_of(index, "*.term")
    flip(term, 0.4)
    with sqlite3.connect(index / "vectors.sqlite") as db:
        db.execute("UPDATE vectors SET vector = zeroblob(772) WHERE rowid IN (3, 11)")
    result = doctor("--index", index)
    assert result.exit_code == 1
    assert f"{term.name}: is not what was written: mend it with `rag doctor --repair`" in result.stdout
    assert texts == []
    result = doctor("--index", index, "--repair", "--json")
    told = json.loads(result.stdout)
    assert (result.exit_code, told["problems"]) == (0, []), told
    assert "the lexical index is made anew" in told["repaired"]
    assert len(texts) == 2
    assert found() == before
    result = doctor("--index", index, "--repair")
    assert result.exit_code == 0
    assert "nothing is wrong" in result.stdout

    with sqlite3.connect(index / "catalog.sqlite") as db:
        (id,) = db.execute("SELECT id FROM articles ORDER BY ord LIMIT 1").fetchone()
        db.execute("UPDATE articles SET text = replace(text, 'a', 'b') WHERE id = ?", (id,))
    result = doctor("--index", index)
    assert result.exit_code == 1
    assert id in result.stdout
    result = doctor("--index", index, "--repair")
    assert result.exit_code == 0
    assert f"article {id!r} is damaged; it is taken out: ingest it again" in result.stdout
    (index / "catalog.sqlite").write_bytes(b"not a database at all" * 1000)
    result = doctor("--index", index, "--repair")
    assert result.exit_code == 1
    assert "rag restore FILE" in result.stdout


def test_what_is_wrong_is_told_of_an_index_whose_model_is_not_loaded_too(
    index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (term, *_) = files_of(index, "*.term")
    flip(term, 0.4)
    said = doctor("--index", index).stdout
    assert f"{term.name}: is not what was written" in said
    assert "RAG_MODEL__NAME=" in said
    monkeypatch.setenv("RAG_MODEL__NAME", "another/model")
    said = doctor("--index", index).stdout
    assert f"{term.name}: is not what was written" in said
    assert "was built with model" in said


def test_a_vector_whose_text_is_not_known_is_named(tmp_path: Path) -> None:
    """A program that stores passages under keys of its own."""
    from contracts import put

    folder = tmp_path / "index"
    store = local.LocalStore.create(folder, FINGERPRINT)
    with store.writer() as t:
        put(t, article(1))
        put(t, article(2))
    store.close()
    with sqlite3.connect(folder / "vectors.sqlite") as db:
        db.execute("DELETE FROM vectors WHERE rowid = 1")
    done, embedded = repair(folder)
    assert embedded == []
    assert any("a00001" in line and "ingest it again" in line for line in done)
    with local.LocalStore(folder).view() as view:
        assert [h.id for h, _ in view.articles()] == ["a00002"]


def test_the_sum_of_a_vector_is_looked_at(tmp_path: Path) -> None:
    assert vectorfile.is_whole(vectorfile._packed(np.ones(4, np.float32)))
    assert not vectorfile.is_whole(bytes(12))


# -- an index of an earlier format ------------------------------------------------------------


@pytest.fixture
def old(tmp_path: Path) -> Path:
    with zipfile.ZipFile(HERE / "indexes" / "format-1.zip") as packed:
        packed.extractall(tmp_path / "old")
    return tmp_path / "old"


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    monkeypatch.setattr(keeping, "model_of", lambda *_, **__: Wide())
    monkeypatch.setattr(Model, "is_prepared", lambda _: True)
    monkeypatch.setattr(Model, "damaged", lambda _: [])

    def run(*args: object) -> tuple[int, str]:
        result = CliRunner().invoke(main, ["doctor", *map(str, args)], catch_exceptions=False)
        return result.exit_code, result.stdout

    return run


class Wide(HashEmbedder):
    """A model of the dimension of the index of format 1."""

    dim, max_tokens = 384, 256


def page(path: Path, number: int) -> None:
    """Put junk in the place of a page of an SQLite file."""
    data = bytearray(path.read_bytes())
    size = int.from_bytes(data[16:18], "big")
    assert len(data) > number * size
    data[number * size : (number + 1) * size] = b"\x55" * size
    path.write_bytes(data)


def test_an_index_of_format_1_is_said_not_to_be_looked_through(old: Path, looked_at: Any) -> None:
    was = bytes_of(old)
    code, told = looked_at("--index", old)
    assert code == 0
    assert "format 1" in told
    assert "not what they say" in told
    assert told.endswith("nothing is wrong with what was looked through\n")
    assert bytes_of(old) == was
    code, told = looked_at("--index", old, "--repair")
    assert (code, told.splitlines()[-1]) == (0, "nothing is wrong")


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("name", ["catalog.sqlite", "vectors.sqlite"])
def test_junk_in_a_file_of_format_1_is_told(old: Path, looked_at: Any, name: str, number: int) -> None:
    page(old / name, number)
    code, told = looked_at("--index", old)
    assert code == 1
    assert f"problem: {old / name}" in told
    code, told = looked_at("--index", old, "--repair")
    # Vectors are made anew; the truth is lost.
    assert code == (name == "catalog.sqlite"), told
    assert ("rag restore FILE" in told) == (name == "catalog.sqlite")


def test_missing_vectors_of_format_1_are_told(old: Path, looked_at: Any) -> None:
    (old / "vectors.sqlite").unlink()
    code, told = looked_at("--index", old)
    assert (code, "damaged or missing" in told) == (1, True)


@pytest.mark.parametrize(
    "change", ["authors = '[x'", "published = 'soon'", "text = x'ff00'", "authors = '5'", "authors = 'null'"]
)
def test_an_index_of_format_1_that_cannot_be_brought_forward(old: Path, looked_at: Any, change: str) -> None:
    with closing(sqlite3.connect(old / "catalog.sqlite")) as db, db:
        db.execute(f"UPDATE articles SET {change} WHERE live")
    was = bytes_of(old)
    code, told = looked_at("--index", old, "--repair")
    assert code == 1
    assert "cannot be brought forward" in told
    with pytest.raises(IndexDamaged, match=r"format 1.*rag restore FILE.*--rebuild") as caught:
        local.LocalStore(old)
    assert "\n" not in str(caught.value)
    assert bytes_of(old)["catalog.sqlite"] == was["catalog.sqlite"]
