"""The store in Milvus: the contract on Milvus Lite, in this process and as a server, and where MILVUS_URI says."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pymilvus
import pytest
from contracts import EMBEDDER, FILTERS, StoreContract, article, check_dense, put, whole_article
from fakes import FINGERPRINT
from milvus_servers import Server, milvus_lite
from milvus_stores import Make, readers_see_whole_articles, refused, settings, swapped_under_a_reader

from rag.errors import IndexDamaged, IndexLocked, IndexMismatch, NoIndex, RagError, StoreError, UnknownArticle
from rag.protocols import Store
from rag.retrieve import Fused
from rag.settings import StoreSettings
from rag.store import local
from rag.store.milvus import MilvusStore, builds, clearing, head, layout, lease
from rag.store.milvus import server as milvus_server
from rag.store.milvus import view as milvus_view
from rag.store.milvus.builds import Build
from rag.types import Article, Filter

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def lite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of Milvus Lite."""
    with milvus_lite(tmp_path_factory.mktemp("lite")) as server:
        yield server


class TestMilvusLite(StoreContract):
    many, steps = 300, 16

    @pytest.fixture
    def make(self, tmp_path: Path) -> Make:
        here = settings(str(tmp_path / "index.db"))
        return lambda: MilvusStore.create(here, FINGERPRINT)


class TestMilvusLiteServer(StoreContract):
    many, steps = 300, 16

    @pytest.fixture
    def make(self, lite: Server) -> Make:
        here = settings(lite.address)
        return lambda: MilvusStore.create(here, FINGERPRINT)


@contextmanager
def named_server() -> Iterator[StoreSettings]:
    """Give settings of an index on the server that MILVUS_URI names, which is gone afterwards."""
    here = settings(os.environ["MILVUS_URI"], token=os.environ.get("MILVUS_TOKEN"))
    try:
        yield here
    finally:
        MilvusStore.drop(here)


@pytest.mark.skipif("MILVUS_URI" not in os.environ, reason="MILVUS_URI does not name a Milvus server")
class TestMilvusServer(StoreContract):
    """The server that MILVUS_URI names, with the token of MILVUS_TOKEN."""

    @pytest.fixture
    def make(self) -> Iterator[Make]:
        with named_server() as here:
            yield lambda: MilvusStore.create(here, FINGERPRINT)

    def test_readers_never_see_half_an_article_while_a_writer_writes_and_is_killed(self) -> None:
        with named_server() as here:
            readers_see_whole_articles(here)

    def test_an_index_is_swapped_under_a_reader(self) -> None:
        with named_server() as here:
            swapped_under_a_reader(here)


def test_readers_never_see_half_an_article_while_a_writer_writes_and_is_killed(lite: Server) -> None:
    readers_see_whole_articles(settings(lite.address))


def test_an_index_is_swapped_under_a_reader(lite: Server) -> None:
    swapped_under_a_reader(settings(lite.address))


def test_what_was_replaced_is_deleted_once_no_view_can_read_it(lite: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    here = settings(lite.address)
    store = MilvusStore.create(here, FINGERPRINT)
    with store.writer() as t:
        for n in range(4):
            put(t, article(n))
    old = article(1)
    with store.writer() as t:
        put(t, article(1, version=2))
        t.remove("a00002")
        t.move("a00003", "/x/y")
    monkeypatch.setattr(clearing, "GRACE_SECONDS", -1.0)
    for _ in range(3):
        with store.writer() as t:
            assert t.ids("/x") == {"a00003"}
    server = milvus_server.Server(here)
    (now,) = head.read(server, here.name, milvus_server.STRONG)[-1:]
    build = Build(here.name, now.build)
    assert server.count(build.passages, "row >= 0") == 6
    assert server.count(build.articles, "ord >= 0") == 3
    assert server.count(build.former, "ord >= 0") == 1
    assert server.count(build.changes, "n >= 0") == 1, "the move stays"
    assert server.count(builds.cache_of(here.name, 16), 'key >= ""') == 7, "of the removed article none"
    with store.view() as view:
        assert view.article(old.id, old.revision) == old
        assert view.stats().tombstones == 0
        with pytest.raises(UnknownArticle, match="was removed from the index on"):
            view.article("a00002")
    kept = {a.id: a for a in (article(0), article(1, version=2), article(3))}
    check_dense(store, kept, "word1", 10, Filter())
    with store.writer(FINGERPRINT) as t:
        put(t, article(0))
    with store.writer():
        pass
    assert builds.numbers(server, here.name) == {now.build + 1}
    assert server.count(builds.cache_of(here.name, 16), 'key >= ""') == 2
    with store.writer() as t:
        put(t, article(3))
        t.remove("a00000")
    with store.writer() as t:
        assert t.ids() == {"a00003"}


def test_a_view_that_is_too_old_says_so(lite: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    store = MilvusStore.create(settings(lite.address), FINGERPRINT)
    monkeypatch.setattr(milvus_view, "GRACE_SECONDS", 0.0)
    with store.view() as view:
        time.sleep(0.01)
        with pytest.raises(StoreError, match="older than"):
            view.articles()
    with pytest.raises(StoreError, match="over"):
        view.articles()


class Heads:
    """A collection of heads as a server that lags behind shows it."""

    address = "nowhere"

    def __init__(self, *heads: head.Head) -> None:
        self._heads = heads

    def rows(self, name: str, where: str, fields: Sequence[str], at: int) -> list[dict[str, Any]]:
        least = int(where.removeprefix("n >= "))
        return [one.row() for one in self._heads if one.generation >= least]


def test_a_reader_never_goes_back() -> None:
    first = head.Head(1, 4, 9, 3, 1, 1, 0, 1_000.0, False, FINGERPRINT)
    known = replace(first, generation=5, next_row=12, at=1_100.0)
    later = replace(first, generation=6, next_row=15, at=1_050.0)  # by a clock that is behind
    again = replace(first, generation=0, next_row=1, at=2_000.0)  # dropped, and made again

    def newest(*heads: head.Head) -> head.Head:
        return head.newest(Heads(*heads), "x", known, milvus_server.BOUNDED)  # type: ignore[arg-type]

    assert newest(first, known) == known
    assert newest(first) == known
    assert newest(first, known, later) == later
    assert newest(again) == again


def test_rows_are_inserted_once(lite: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    here = settings(lite.address)
    MilvusStore.create(here, FINGERPRINT).close()
    server = milvus_server.Server(here)
    tried = []

    class Lost(grpc.RpcError):
        def code(self) -> grpc.StatusCode:
            return grpc.StatusCode.UNAVAILABLE

    def lose(*_: object, **__: object) -> None:
        tried.append(1)
        raise Lost

    monkeypatch.setattr(server._client._get_connection()._stub, "Insert", lose)
    refused(lambda: server.insert(here.name, [{"n": 1, "said": "", "none": layout.NONE}]), StoreError, "be reached")
    assert len(tried) == 1


def test_the_lock_of_a_writer_that_is_lost_is_broken(lite: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    here = settings(lite.address)
    first, second = MilvusStore.create(here, FINGERPRINT), MilvusStore(here)
    monkeypatch.setattr(lease, "LOST_SECONDS", 0.0)

    def lose() -> None:
        with first.writer() as t:
            put(t, article(1))
            t.ids()
            with second.writer() as other:
                put(other, article(2))
            # Another writer has been here.
            with pytest.raises(IndexLocked, match="taken over"):
                t.commit()

    with pytest.raises(StoreError, match="half way"):
        lose()
    monkeypatch.undo()
    check_dense(second, {"a00002": article(2)}, "word1", 10, Filter())
    with first.writer() as t:
        assert t.ids() == {"a00002"}


def test_hits_are_those_of_the_local_store(lite: Server, tmp_path: Path) -> None:
    stores: list[Store] = [
        local.LocalStore.create(tmp_path / "index", FINGERPRINT),
        MilvusStore.create(settings(lite.address), FINGERPRINT),
    ]
    fused = Fused(EMBEDDER, dense_weight=0.65, depth=20)
    shown = []
    for store in stores:
        with store.writer() as t:
            for n in range(40):
                put(t, article(n))
        with store.view() as view:
            shown.append(
                [
                    [(hit.passage.id, round(hit.score, 2)) for hit in fused.search(view, question, 8, where)]
                    for question in ("word3 gokdogan story", "group4 Straße 11", "who says version0", "nothing at all")
                    for where in (None, *FILTERS, Filter(phrases=("more about",)))
                ]
            )
    for mine, milvus in zip(*shown, strict=True):
        assert {id for id, _ in mine} == {id for id, _ in milvus}
        np.testing.assert_allclose([s for _, s in mine], [s for _, s in milvus], atol=0.05)


def test_an_approximate_index_finds_all_that_pass(lite: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    here = settings(lite.address, index="hnsw")
    store = MilvusStore.create(here, FINGERPRINT)
    kept = {a.id: a for a in map(article, range(30))}
    with store.writer() as t:
        for a in kept.values():
            put(t, a)
    search = milvus_server.Server.search

    def forgetful(self: milvus_server.Server, *given: Any) -> list[tuple[int, float]]:
        return search(self, *given)[:3]

    monkeypatch.setattr(milvus_server.Server, "search", forgetful)
    for where in FILTERS:
        check_dense(store, kept, "word3 version0 story", 5, where)


class TestErrors:
    """Each is one line that names the server and says what to do, and leaves what readers see as it was."""

    def test_nobody_is_there(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"http://127.0.0.1:{free.getsockname()[1]}"
        here = settings(address, timeout=1)
        refused(lambda: MilvusStore(here), StoreError, f"{address} cannot be reached: start it")

    def test_no_index(self, lite: Server, tmp_path: Path) -> None:
        here = settings(lite.address)
        assert not MilvusStore.exists(here)
        refused(lambda: MilvusStore(here), NoIndex, f"no index '{here.name}' in Milvus at {lite.address}")
        MilvusStore.create(here, FINGERPRINT).close()
        assert MilvusStore.exists(here)
        MilvusStore.drop(here)
        assert not MilvusStore.exists(here)
        assert not [name for name in milvus_server.Server(here).names() if name.startswith(here.name)]

    def test_a_server_that_hangs_and_one_that_goes_away(self, tmp_path: Path) -> None:
        with milvus_lite(tmp_path) as server:
            here = settings(server.address, timeout=2)
            store = MilvusStore.create(here, FINGERPRINT)
            with store.writer() as t:
                put(t, article(1))

            def write(stop: Callable[[], None]) -> None:
                with store.writer() as t:
                    put(t, article(2))
                    t.ids()
                    stop()
                    t.commit()

            began = time.monotonic()
            refused(lambda: write(server.pause), StoreError, f"{server.address} did not answer within 2 s")
            assert time.monotonic() - began < 30
            server.resume()
            check_dense(store, {"a00001": article(1)}, "word2", 10, Filter())
            refused(lambda: write(server.kill), StoreError, f"{server.address} cannot be reached")
            server.start()
            check_dense(store, {"a00001": article(1)}, "word2", 10, Filter())
            with store.writer() as t:
                assert t.ids() == {"a00001"}

    def test_a_name_that_is_somebody_elses(self, lite: Server) -> None:
        here = settings(lite.address)
        client = pymilvus.MilvusClient(lite.address)
        client.create_collection(here.name, dimension=4)
        refused(lambda: MilvusStore(here), IndexMismatch, f"'{here.name}' in Milvus at .* is none of an index")
        refused(lambda: MilvusStore.create(here, FINGERPRINT), IndexMismatch, "choose another store.name")
        refused(lambda: MilvusStore.drop(here), IndexMismatch, "choose another store.name")
        assert client.has_collection(here.name)
        client.drop_collection(here.name)

    @pytest.mark.parametrize(
        ("said", "kind", "told"),
        [
            ('{"format": 99}', IndexMismatch, "has format 99, this version reads 1"),
            ('{"format": 1, "fingerprint": {}}', IndexDamaged, "cannot be read"),
            ("no JSON", IndexDamaged, "cannot be read"),
        ],
    )
    def test_a_head_of_another_kind(self, lite: Server, said: str, kind: type[RagError], told: str) -> None:
        here = settings(lite.address)
        store = MilvusStore.create(here, FINGERPRINT)
        milvus_server.Server(here).insert(here.name, [{"n": 9, "said": said, "none": layout.NONE}])

        def look() -> None:
            with store.view():
                pass

        refused(look, kind, told)
        refused(lambda: MilvusStore(here), kind, told)

    def test_a_file_that_another_process_has(self, tmp_path: Path) -> None:
        here = settings(str(tmp_path / "index.db"))
        with milvus_lite(tmp_path / "server") as server:
            (tmp_path / "index.db").symlink_to(server.folder / "data")
            refused(lambda: MilvusStore(here), StoreError, "another process may have it open")

    def test_what_fits_no_field(self, lite: Server) -> None:
        store = MilvusStore.create(settings(lite.address), FINGERPRINT)

        def write(a: Article) -> None:
            with store.writer() as t:
                put(t, article(1))
                put(t, a)

        for a, told in (
            (replace(article(2), title="ü" * 30_000), "title, authors and addresses have more than 65,535 bytes"),
            (article(2, authors=tuple(f"a{n}" for n in range(5_000))), "more than 4,096 authors"),
            (whole_article("a00002", "ab " * 40_000), "lower passages.tokens"),
        ):
            refused(lambda a=a: write(a), StoreError, f"article 'a00002' cannot be stored in Milvus: .*{told}")  # type: ignore[misc]
            check_dense(store, {}, "word1", 10, Filter())
