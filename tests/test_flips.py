"""One bit of the catalog flipped, anywhere: it answers as before, or says in one line what is wrong."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from contracts import article
from fakes import FINGERPRINT, HashEmbedder
from forcing import SEED, TORTURE

from rag import keeping
from rag.errors import RagError
from rag.intake import items, pipeline
from rag.settings import Settings
from rag.store import check, sealing
from rag.store.local import LocalStore
from rag.types import Article, Filter

SETTINGS = Settings.load(passages={"tokens": 48, "overlap": 8})
FLIPS = 5_000 if TORTURE else 200

Answers = dict[str, list[Any]]


def store(index: Path, *articles: Article) -> None:
    with closing(LocalStore.create(index, FINGERPRINT)) as made, made.writer() as t:
        pipeline.ingest(items.find(articles), t, HashEmbedder(), SETTINGS)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An index with segments, a tail, an earlier revision, a removed article and twins."""
    monkeypatch.setattr(sealing, "TAIL_ROWS", 6)
    folder = tmp_path / "index"
    long = "\n\n".join(article(n).text for n in range(40, 50))
    store(folder, *map(article, range(4)), Article(id="long", title="Long", text=long))
    store(folder, article(1, 1), Article(id="again", title="Again", text=long, source="else"), article(5))
    with closing(LocalStore(folder)) as made, made.writer() as t:
        t.remove("a00000")
    return folder


def answers(index: Path) -> Answers:
    """Return what is told of each article."""
    told: Answers = {}
    with closing(LocalStore(index)) as opened, opened.view() as view:
        heads = view.articles()
        for head, count in heads:
            told[head.id] = [head, count, view.article(head.id), [t.id for t in view.twins([head.id]).get(head.id, ())]]
        view.stats()
        for where in (None, Filter(authors=("ann o. 1",)), Filter(sections=("lead",)), Filter(sources=("s1", "else"))):
            dense = view.dense(HashEmbedder().query("word1 version1"), 99, where)
            words = view.lexical("alpha word1 group", 99, where)
            scores = [*dense.scores.tolist(), *([None] * len(words.rows))]
            for (p, h), score in zip(view.passages([*dense.rows.tolist(), *words.rows.tolist()]), scores, strict=True):
                told[h.id].append((str(where), p.start, p.text, score))
    return {id: [*of_one[:4], *sorted(of_one[4:], key=str)] for id, of_one in told.items()}


def without(told: Answers, gone: set[str]) -> Answers:
    return {
        id: [*of_one[:3], [twin for twin in of_one[3] if twin not in gone], *of_one[4:]]
        for id, of_one in told.items()
        if id not in gone
    }


def tried(what: Callable[[], Any]) -> Any:
    """Return what comes of it, None for an error that users are told in one line."""
    try:
        return what()
    except RagError as error:
        told = str(error)
    assert "\n" not in told
    return None


def test_a_bit_of_the_catalog(index: Path, tmp_path: Path) -> None:
    before = answers(index)
    assert check.faults(index) == []
    data = (index / "catalog.sqlite").read_bytes()
    rng = random.Random(SEED)
    used = [at for at, byte in enumerate(data) if byte]
    copy = tmp_path / "copy"
    outcomes = {"sound": 0, "mended": 0, "hopeless": 0}
    for _ in range(FLIPS):
        at, bit = rng.choice(used), rng.randrange(8)
        spoiled = bytearray(data)
        spoiled[at] ^= 1 << bit
        where = f"bit {bit} of byte {at} flipped"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(index, copy)
        (copy / "catalog.sqlite").write_bytes(spoiled)
        try:
            tried(lambda: answers(copy))
            tried(lambda: check.faults(copy))
            repaired = tried(lambda: keeping.repair(copy, SETTINGS, embedder=HashEmbedder()))
            if repaired and not repaired[1].faults:
                after = answers(copy)
                gone = set(before) - set(after)
                assert len(gone) <= sum("taken out" in line for line in repaired[0]), where
                assert without(before, gone) == after, where
            outcome = "hopeless" if not repaired or repaired[1].faults else "mended" if repaired[0] else "sound"
            outcomes[outcome] += 1
            tried(lambda: store(copy, article(9)))
        except Exception as error:
            raise AssertionError(where) from error
    assert min(outcomes.values()) > FLIPS / 50, outcomes
