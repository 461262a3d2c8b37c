"""One Milvus server, and requests to it.

What this asks of the client is little: rows in and out by primary key or expression, and searches.  Every answer is
whole: what does not fit one answer of the server comes in several.
"""

from __future__ import annotations

import contextlib
import inspect
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from rag.errors import MissingExtra, RagError, StoreError
from rag.settings import StoreSettings
from rag.store.milvus import failures
from rag.store.milvus.abilities import Abilities

Row = dict[str, Any]
"""One entity of a collection, by field."""

Answer = TypeVar("Answer")

MOST = 16_384
"""Rows of one answer, and neighbours of one search: the server's own limit."""

BATCH_ROWS = 2_000
BATCH_BYTES = 16 * 2**20
"""What one request carries at most; servers take 64 MiB."""

ASKED = 1_000
"""Values in one expression."""

MOST_BYTES = 65_535
"""Of a text in a field."""

STRONG = 0
"""As the state that is read: whatever was written before the request came in, by whomever."""

BOUNDED = -1
"""As the state that is read: at most some seconds old, at no wait."""


class Server:
    """A connection to the server that some settings name.  Safe to share between threads.

    Raises MissingExtra and StoreError.
    """

    def __init__(self, settings: StoreSettings) -> None:
        try:
            import pymilvus
        except ImportError as e:
            raise MissingExtra("an index in Milvus", "milvus") from e
        for name in ("pymilvus", "milvus_lite"):
            # They log every error that they raise as well, with a traceback, and tell the terminal of it themselves.
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self.api = pymilvus
        self.address = str(settings.uri)
        self._token = settings.token.get_secret_value() if settings.token else ""
        self._timeout = settings.timeout
        self._connecting = threading.Lock()
        self._connected: Any = None
        if self.address.endswith(".db"):
            self._check_lite(Path(self.address))
        with self._guarded():
            self.can = Abilities.of(str(self._client.get_server_version(timeout=self._timeout)))

    @property
    def _client(self) -> Any:
        """The client; where the one before lost its server it is another."""
        with self._connecting:
            if self._connected is None:
                self._connected = self.api.MilvusClient(
                    self.address, token=self._token, timeout=self._timeout, grpc_options=_CHANNEL, dedicated=True
                )
            return self._connected

    def _check_lite(self, path: Path) -> None:
        try:
            import milvus_lite  # noqa: F401
        except ImportError as e:
            raise MissingExtra("an index in a file of Milvus Lite", "milvus-lite") from e
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise StoreError(f"folder {path.parent.absolute()} cannot be made ({e.strerror}): see to it") from e

    # -- collections --------------------------------------------------------------------------

    def names(self) -> list[str]:
        """Return the names of all collections."""
        with self._guarded():
            return [str(name) for name in self._client.list_collections(timeout=self._timeout)]

    def fields(self, name: str) -> list[str] | None:
        """Return the names of a collection's fields, None where there is no such collection; aliases are names too."""
        with self._guarded():
            if not self._client.has_collection(name, timeout=self._timeout):
                return None
            told = self._client.describe_collection(name, timeout=self._timeout)
            return [str(field["name"]) for field in told["fields"]]

    def kind(self, name: str, field: str) -> str:
        """Return the kind of the index of a collection's field."""
        with self._guarded():
            return str(self._client.describe_index(name, field, timeout=self._timeout)["index_type"])

    def create(self, name: str, schema: Any, indexes: Any = None, **options: Any) -> None:
        """Make a collection, with its indexes; one without is none to be asked or searched."""
        with self._guarded():
            self._client.create_collection(name, schema=schema, timeout=self._timeout, **options)
            if indexes is not None:
                # There is nothing yet to be made an index of, so nothing to wait for.
                self._client.create_index(name, indexes, timeout=self._timeout, sync=False)

    def try_to_create(self, name: str, schema: Any) -> bool:
        """Make a collection, unless there is another of that name; say whether it was made."""
        try:
            self.create(name, schema)
        except StoreError:
            if self.fields(name) is None:
                raise
            return False
        return True

    def drop(self, name: str) -> None:
        """Drop a collection, if it is there."""
        with self._guarded():
            if self._client.has_collection(name, timeout=self._timeout):
                self._client.drop_collection(name, timeout=self._timeout)

    def unname(self, alias: str) -> None:
        """Have an alias name nothing any more."""
        with self._guarded():
            self._client.drop_alias(alias, timeout=self._timeout)

    def point(self, alias: str, name: str) -> None:
        """Have an alias name a collection from now on."""
        with self._guarded():
            if self._client.has_collection(alias, timeout=self._timeout):
                self._client.alter_alias(name, alias, timeout=self._timeout)
            else:
                self._client.create_alias(name, alias, timeout=self._timeout)

    def load(self, name: str) -> None:
        """Have a collection ready to be asked."""
        with self._guarded():
            self._client.load_collection(name, timeout=self._timeout)

    def flush(self, name: str) -> None:
        """Have what was written to a collection put where searches of it are fast."""
        with self._guarded():
            self._client.flush(name, timeout=self._timeout)

    # -- rows ---------------------------------------------------------------------------------

    def insert(self, name: str, rows: Sequence[Row]) -> int:
        """Insert rows and return the time of it by the server's clock, 0 for none."""
        stamp = 0
        for part in _batches(rows):
            with self._guarded():
                # Of the client only what lies below tells the time of a write, which is what readers wait for.
                connection, context = self._client._get_connection(), self._client._generate_call_context()
                # Without what would try it again where the answer is lost: a server keeps rows that come twice.
                once = inspect.unwrap(type(connection).insert_rows)
                done = once(connection, name, part, timeout=self._timeout, context=context)
                stamp = max(stamp, int(done.timestamp))
        return stamp

    def delete(self, name: str, field: str, keys: Sequence[int] | Sequence[str]) -> None:
        """Delete rows by their primary keys, which the field holds."""
        for at in range(0, len(keys), BATCH_ROWS):
            with self._guarded():
                some = keys[at : at + BATCH_ROWS]
                self._client.delete(name, filter=among(field, some), timeout=self._timeout)

    def rows(
        self, name: str, where: str, fields: Sequence[str], at: int = STRONG, limit: int | None = None
    ) -> list[Row]:
        """Return the rows that satisfy an expression, in no order: all, or as many as the limit says."""
        most = min(limit or MOST, MOST)
        asked: Mapping[str, Any] = {"output_fields": list(fields), "timeout": self._timeout, **_state(at)}
        found = self._loaded_for(name, lambda: self._client.query(name, where, limit=most, **asked))
        if len(found) < MOST or limit is not None:
            return [dict(row) for row in found]
        return [row for page in self.pages(name, where, fields, at) for row in page]

    def pages(self, name: str, where: str, fields: Sequence[str], at: int = STRONG) -> Iterator[list[Row]]:
        """Yield the rows that satisfy an expression, some at a time."""
        asked: Mapping[str, Any] = {"output_fields": list(fields), "timeout": self._timeout, **_state(at)}
        with self._guarded():
            pages = self._client.query_iterator(name, batch_size=BATCH_ROWS, filter=where, **asked)
        try:
            while True:
                with self._guarded():
                    page = [dict(row) for row in pages.next()]
                if not page:
                    return
                yield page
        finally:
            pages.close()

    def count(self, name: str, where: str, at: int = STRONG) -> int:
        """Return how many rows satisfy an expression."""
        asked: Mapping[str, Any] = {"output_fields": ["count(*)"], "timeout": self._timeout, **_state(at)}
        found = self._loaded_for(name, lambda: self._client.query(name, where, **asked))
        return int(found[0]["count(*)"])

    def search(
        self,
        name: str,
        field: str,
        asked: Any,
        limit: int,
        where: str,
        at: int,
        params: Mapping[str, Any],
    ) -> list[tuple[int, float]]:
        """Return the primary keys and scores of what is nearest to a vector or a text, best first."""
        more: Mapping[str, Any] = {"search_params": dict(params), "timeout": self._timeout, **_state(at)}
        found = self._loaded_for(
            name, lambda: self._client.search(name, [asked], where, limit, anns_field=field, **more)
        )
        return [(int(hit.id), float(hit.distance)) for hit in found[0]]

    def _loaded_for(self, name: str, ask: Callable[[], Answer]) -> Answer:
        """Return the answer to a question of a collection, which is loaded first if it has to be."""
        with self._guarded():
            try:
                return ask()
            except self.api.MilvusException as e:
                if "load" in str(e):
                    # After a restart of the server it is not, or somebody has released it.
                    self._client.load_collection(name, timeout=self._timeout)
                elif "delegator" not in str(e):
                    raise
            # Where an alias has just been given to another, a server may be at a loss for a moment.
            return ask()

    def close(self) -> None:
        """Let the connection go.  A file of Milvus Lite stays open until the process ends."""
        with self._connecting:
            client, self._connected = self._connected, None
        if client is not None:
            with contextlib.suppress(Exception):
                client.close()

    # -- errors -------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except RagError:
            raise
        except Exception as e:
            if failures.is_of_connection(e):
                self.close()
            raise failures.as_ours(e, self.address, self._timeout) from e


_CHANNEL = {
    # The client's own choice, every ten seconds, is too often for Milvus Lite, which hangs up.
    "grpc.keepalive_time_ms": 60_000,
    "grpc.keepalive_permit_without_calls": False,
    # A server that comes back is found again soon.
    "grpc.initial_reconnect_backoff_ms": 200,
    "grpc.min_reconnect_backoff_ms": 200,
    "grpc.max_reconnect_backoff_ms": 1_000,
}
"""How the connection is kept."""


def among(field: str, values: Iterable[int] | Iterable[str]) -> str:
    """Return the expression that a field has one of some values, which are numbers, or digests made here.

    >>> among("row", [1, 2]), among("id", ["ab"])
    ('row in [1, 2]', 'id in ["ab"]')
    """
    return f"{field} in [{', '.join(str(v) if isinstance(v, int) else chr(34) + v + chr(34) for v in values)}]"


def lists_of(values: Sequence[Any]) -> Iterator[list[Any]]:
    """Yield some values in lists that an expression can hold."""
    for at in range(0, len(values), ASKED):
        yield list(values[at : at + ASKED])


def _state(at: int) -> dict[str, Any]:
    if at == STRONG:
        return {"consistency_level": "Strong"}
    if at == BOUNDED:
        return {"consistency_level": "Bounded"}
    return {"consistency_level": "Customized", "guarantee_timestamp": at}


def _batches(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Yield rows in order, in lists that fit a request."""
    batch: list[Row] = []
    size = 0
    for row in rows:
        weight = sum(_bytes(value) for value in row.values())
        if batch and (len(batch) >= BATCH_ROWS or size + weight > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += weight
    if batch:
        yield batch


def _bytes(value: Any) -> int:
    if isinstance(value, str):
        return 4 * len(value)
    return int(getattr(value, "nbytes", 0)) or 8 + 40 * (len(value) if isinstance(value, list) else 0)
