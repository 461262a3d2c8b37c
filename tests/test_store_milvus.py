"""The store in Milvus: the contract on Milvus Lite and on servers."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from contracts import StoreContract
from fakes import FINGERPRINT
from milvus_servers import Server, milvus_235, milvus_lite

from rag.protocols import Store
from rag.settings import StoreSettings
from rag.store.milvus import MilvusStore

Make = Callable[[], Store]


@pytest.fixture(scope="module")
def lite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of Milvus Lite."""
    with milvus_lite(tmp_path_factory.mktemp("lite")) as server:
        yield server


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of Milvus 2.3.5."""
    with milvus_235(tmp_path_factory.mktemp("milvus")) as server:
        yield server


def settings(address: str, **more: object) -> StoreSettings:
    """Return settings with a name of their own."""
    return StoreSettings.model_validate({"uri": address, "name": f"t{secrets.token_hex(6)}", **more})


class TestMilvusLite(StoreContract):
    @pytest.fixture
    def make(self, tmp_path: Path) -> Make:
        here = settings(str(tmp_path / "index.db"))
        return lambda: MilvusStore.create(here, FINGERPRINT)


class TestMilvusLiteServer(StoreContract):
    @pytest.fixture
    def make(self, lite: Server) -> Make:
        here = settings(lite.address)
        return lambda: MilvusStore.create(here, FINGERPRINT)


class TestMilvus235(StoreContract):
    """A server from before there was BM25, with vectors of 32 bits only."""

    words = False

    @pytest.fixture
    def make(self, old: Server) -> Make:
        here = settings(old.address, index="flat")
        return lambda: MilvusStore.create(here, FINGERPRINT)


@pytest.mark.skipif("MILVUS_URI" not in os.environ, reason="MILVUS_URI does not name a Milvus server")
class TestMilvusServer(StoreContract):
    """The server that MILVUS_URI names, with the token of MILVUS_TOKEN."""

    @pytest.fixture
    def make(self) -> Iterator[Make]:
        here = settings(os.environ["MILVUS_URI"], token=os.environ.get("MILVUS_TOKEN"))
        try:
            yield lambda: MilvusStore.create(here, FINGERPRINT)
        finally:
            MilvusStore.drop(here)
