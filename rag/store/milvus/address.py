"""An index's place in Milvus."""

from __future__ import annotations

from contextlib import closing

from rag.settings import StoreSettings
from rag.store.check import Checked
from rag.store.faults import OnSteps
from rag.store.milvus.check import check
from rag.store.milvus.store import MilvusStore
from rag.types import Fingerprint


class Address:
    """An index's place on a server.  See `rag.store.places.Place`."""

    def __init__(self, settings: StoreSettings) -> None:
        self._settings = settings

    @property
    def name(self) -> str:
        return f"{self._settings.name!r} at {self._settings.uri}"

    def exists(self) -> bool:
        return MilvusStore.exists(self._settings)

    def open(self) -> MilvusStore:
        return MilvusStore(self._settings)

    def create(self, fingerprint: Fingerprint) -> MilvusStore:
        return MilvusStore.create(self._settings, fingerprint)

    def anew(self, fingerprint: Fingerprint) -> MilvusStore:
        # What is damaged stays beside what is built, until that takes its place.
        return self.create(fingerprint)

    def check(self, on_progress: OnSteps | None = None) -> Checked:
        with closing(self.open()) as store:
            return check(store, self.name, on_progress)
