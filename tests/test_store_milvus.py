"""The store in Milvus: the contract on Milvus Lite and on servers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from contracts import StoreContract
from fakes import FINGERPRINT

from rag.protocols import Store
from rag.settings import StoreSettings
from rag.store.milvus import MilvusStore


class TestMilvusLite(StoreContract):
    @pytest.fixture
    def make(self, tmp_path: Path) -> Callable[[], Store]:
        settings = StoreSettings(uri=str(tmp_path / "index.db"))
        return lambda: MilvusStore.create(settings, FINGERPRINT)
