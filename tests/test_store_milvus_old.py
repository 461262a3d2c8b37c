"""The store in a real Milvus server, of 2.3.5: from before there was BM25, with vectors of 32 bits only."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from contracts import EMBEDDER, FILTERS, StoreContract, article, check_dense, put
from fakes import FINGERPRINT
from forcing import LONG, TORTURE
from milvus_servers import Milvus235, milvus_235
from milvus_stores import Make, readers_see_whole_articles, refused, settings, swapped_under_a_reader

from rag.errors import StoreError
from rag.store.milvus import MilvusStore
from rag.types import Filter


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Milvus235]:
    """A server of Milvus 2.3.5."""
    with milvus_235(tmp_path_factory.mktemp("milvus")) as server:
        yield server


LATER = {
    "test_sections_are_those_of_current_passages",
    "test_a_vector_that_another_article_uses_stays",
    "test_what_is_left_by_an_exception_in_an_index_begun_anew",
    "test_an_index_begun_anew_has_nothing_of_the_old_one",
    "test_rows_are_never_used_again",
    "test_twins_are_told_while_both_are_current",
    "test_origins_are_known_and_move",
    "test_a_long_text_comes_back_as_it_was",
    "test_no_name_is_taken_for_anything_but_a_name",
    "test_what_is_kept_is_what_was_added",
    "test_a_change_broken_off_half_way_is_never_committed",
}
"""Tests of the contract that have little to do with the server, whose every writer takes seconds."""


class TestMilvus235(StoreContract):
    """The long form: FOOTNOTE_TORTURE=1 python -m pytest tests/test_store_milvus_old.py."""

    words, many, steps = False, 100, 40 if TORTURE else 6

    @pytest.fixture(autouse=True)
    def in_time(self, request: pytest.FixtureRequest) -> None:
        if not TORTURE and request.node.name in LATER:
            pytest.skip("of the long form, which make torture runs")

    @pytest.fixture
    def make(self, old: Milvus235) -> Make:
        here = settings(old.address, index="flat")
        return lambda: MilvusStore.create(here, FINGERPRINT)


@LONG
def test_readers_never_see_half_an_article_while_a_writer_writes_and_is_killed(old: Milvus235) -> None:
    readers_see_whole_articles(settings(old.address, index="flat"), words=False)


@LONG
def test_an_index_is_swapped_under_a_reader(old: Milvus235) -> None:
    swapped_under_a_reader(settings(old.address, index="flat"))


def test_a_restart_keeps_everything(old: Milvus235) -> None:
    here = settings(old.address, index="flat")
    kept = {a.id: a for a in map(article, range(12))}
    store = MilvusStore.create(here, FINGERPRINT)
    with store.writer() as t:
        for a in kept.values():
            put(t, a)
    with store.writer() as t:
        t.remove("a00003")
        put(t, article(4, version=1))
    old.kill()
    old.start()
    del kept["a00003"]
    kept["a00004"] = article(4, version=1)
    for again in (MilvusStore(here), store):
        for where in FILTERS:
            check_dense(again, kept, "word4 version1 story", 5, where)
    with store.view() as view:
        assert view.article("a00004", article(4).revision) == article(4)
        assert view.article("a00004") == kept["a00004"]
    with store.writer() as t:
        put(t, article(3))
    check_dense(store, {**kept, "a00003": article(3)}, "word3", 10, Filter())


def test_an_old_server_says_what_it_cannot_do(old: Milvus235) -> None:
    store = MilvusStore.create(settings(old.address, index="flat"), FINGERPRINT)
    with store.writer() as t:
        put(t, article(1))
    with store.view() as view:
        refused(lambda: view.lexical("word1", 5), StoreError, "is of version v2.3.5.* search by words: 2.5")
        where = Filter(phrases=("some words",))
        refused(lambda: view.articles(where), StoreError, "filter by phrases: 2.4")
        refused(lambda: view.dense(EMBEDDER.query("x"), 5, where), StoreError, "filter by phrases: 2.4")


def test_a_full_server_can_still_be_read(old: Milvus235) -> None:
    here = settings(old.address, index="flat")
    store = MilvusStore.create(here, FINGERPRINT)
    with store.writer() as t:
        put(t, article(1))

    def write() -> None:
        with store.writer() as t:
            put(t, article(2))

    def fill() -> None:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            write()

    try:
        old.configure({"quotaAndLimits.limitWriting.forceDeny": True})
        refused(fill, StoreError, "has no room left: free some")
        with store.view() as view:
            assert "a00001" in {head.id for head, _ in view.articles()}
    finally:
        old.configure({"quotaAndLimits.limitWriting.forceDeny": False})
    end = time.monotonic() + 60
    while True:
        try:
            write()
            break
        except StoreError:
            assert time.monotonic() < end
            time.sleep(1)
    check_dense(store, {a.id: a for a in map(article, (1, 2))}, "word2", 10, Filter())


def test_a_wrong_token(tmp_path: Path) -> None:
    with milvus_235(tmp_path, {"common.security.authorizationEnabled": True}) as server:
        right = settings(server.address, token="root:Milvus", timeout=10)
        assert not MilvusStore.exists(right)
        for token in ("root:wrong-secret", None):
            wrong = settings(server.address, token=token, timeout=10)
            refused(lambda wrong=wrong: MilvusStore.exists(wrong), StoreError, "refuses the token")  # type: ignore[misc]
