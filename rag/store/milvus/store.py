"""The store in Milvus: a server, or a file of Milvus Lite.

A reader's view is the state that one row tells of, the newest head (head.py); state.py and view.py say how it stays as
it is, and transaction.py in which order a writer changes what readers see.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

from rag.protocols import View
from rag.settings import StoreSettings
from rag.store.milvus import builds, head
from rag.store.milvus.builds import Build
from rag.store.milvus.head import Head
from rag.store.milvus.lease import Lease
from rag.store.milvus.server import BOUNDED, STRONG, Server
from rag.store.milvus.state import State, load
from rag.store.milvus.transaction import MilvusTransaction
from rag.store.milvus.view import MilvusView
from rag.types import Fingerprint

FRESH_SECONDS = 10.0
"""How long after a commit of this process its views ask for the newest head, whatever that takes."""


class MilvusStore:
    """A Store in the Milvus server that some settings name.  Opening reads the newest head.

    Which state a view shows: a store's first one, and any within some seconds of a commit in this process, the newest
    there is (consistency level Strong, which may wait a fifth of a second).  Later ones that of a few seconds ago at
    most (Bounded), at no wait.  Within a view nothing is ever missing: its questions wait for the time that its head
    names (Customized).

    Raises NoIndex, IndexMismatch, IndexDamaged, MissingExtra and StoreError.
    """

    def __init__(self, settings: StoreSettings) -> None:
        self._settings = settings
        self._server = Server(settings)
        self._state: State | None = None
        self._loading = threading.Lock()
        head.check(self._server, settings.name)
        self._fingerprint = head.read(self._server, settings.name, STRONG)[-1].fingerprint

    @classmethod
    def create(cls, settings: StoreSettings, fingerprint: Fingerprint) -> MilvusStore:
        """Return the store of an index, made if there is none."""
        server = Server(settings)
        if server.fields(settings.name) is None:
            # Whether or not some of it is there: a process killed while making it may have left a part.
            build = Build(settings.name, 1)
            builds.create(server, build, fingerprint.dim, settings)
            if not server.rows(build.head, "n >= 0", ["n"], STRONG):
                first = Head(1, 0, 1, 1, 1, 1, 0, time.time(), False, fingerprint)
                server.insert(build.head, [first.row()])
            server.point(settings.name, build.head)
        server.close()
        return cls(settings)

    @staticmethod
    def exists(settings: StoreSettings) -> bool:
        """Say whether a server has an index of that name."""
        server = Server(settings)
        try:
            return server.fields(settings.name) is not None
        finally:
            server.close()

    @staticmethod
    def drop(settings: StoreSettings) -> None:
        """Drop an index, all of it, at once."""
        server = Server(settings)
        try:
            if server.fields(settings.name) is not None:
                head.check(server, settings.name)
            builds.drop_all(server, settings.name)
        finally:
            server.close()

    @property
    def fingerprint(self) -> Fingerprint:
        return self._fingerprint

    @contextlib.contextmanager
    def view(self) -> Iterator[View]:
        view = MilvusView(self._server, self._newest_state())
        try:
            yield view
        finally:
            view.end()

    def _newest_state(self) -> State:
        name, state = self._settings.name, self._state
        recent = time.monotonic() - _written.get(self._key, -FRESH_SECONDS) < FRESH_SECONDS
        if state is None:
            now = head.read(self._server, name, STRONG)[-1]
        else:
            now = head.newest(self._server, name, state.head, STRONG if recent else BOUNDED)
        with self._loading:
            state = self._state
            if state is None or state.head != now:
                build = Build(name, now.build)
                if state is None or state.build != build or now.generation < state.head.generation:
                    builds.load(self._server, build)
                    kind = self._server.kind(build.passages, "vector")
                else:
                    kind = state.kind
                state = self._state = load(self._server, name, now, kind)
            return state

    @contextlib.contextmanager
    def writer(self, restart: Fingerprint | None = None) -> Iterator[MilvusTransaction]:
        """Return a transaction.

        With `restart` it begins an index anew with that fingerprint, beside the one that is read until it commits.
        """
        # Where the connection was lost it is made anew by a question, which may be asked twice.
        head.check(self._server, self._settings.name)
        lease = Lease(self._server, self._settings.name)
        try:
            transaction = MilvusTransaction(self._server, self._settings, lease, restart)
            try:
                yield transaction
                transaction.commit()
                transaction.rest()
            finally:
                _written[self._key] = time.monotonic()
        finally:
            lease.end()

    @property
    def _key(self) -> tuple[str, str]:
        return self._server.address, self._settings.name

    def close(self) -> None:
        """Let the connection go."""
        self._server.close()
        self._state = None


_written: dict[tuple[str, str], float] = {}
"""When this process last wrote which index."""
