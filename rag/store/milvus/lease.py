"""One writer at a time: a collection that is there while somebody writes.

A server makes one collection of a name, and refuses a second that is not like it.  So whoever makes NAME_writer, with a
field that bears a number of its own, may write.  Before it tries, it puts a row among the heads that names it; while it
writes, it renews the row every few seconds.  A lock whose holder has no such row, or has not renewed it for a minute, or
is a process of this machine that is no more, is one that nobody holds: the next writer drops it.

A writer looks whether the lock is still its own before it commits.  What remains: a writer that is stopped for longer
than a minute between that look and the insert of the head, while another has taken its place.  Clocks of machines that
write one index must agree within half a minute.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import threading
import time
from typing import Any

from rag.errors import IndexLocked, StoreError
from rag.store.milvus import layout
from rag.store.milvus.server import STRONG, Server

BEAT_SECONDS = 10.0
LOST_SECONDS = 60.0

_FIELD = "held_by_"


class Lease:
    """The right to write an index.  Raises IndexLocked."""

    def __init__(self, server: Server, name: str) -> None:
        self._server, self._name = server, name
        self._token = secrets.randbits(60) + 1
        self._since = time.strftime("%Y-%m-%d %H:%M:%S")
        self._over = threading.Event()
        self.writing = threading.Lock()
        """Held while a row is written among the heads: a file of Milvus Lite bears one at a time."""
        self._beat()
        try:
            self._acquire()
        except BaseException:
            self._forget([self._token])
            raise
        self._beating = threading.Thread(target=self._beat_on, name="footnote-lease", daemon=True)
        self._beating.start()

    def check(self) -> None:
        """Raise IndexLocked when another writer has taken this one's place."""
        if self._holder() != self._token:
            raise IndexLocked(
                f"{self._this()} was taken over by another writer, since this one did not answer for"
                f" {LOST_SECONDS:g} s: nothing since the last commit is kept, run it again"
            )

    def end(self) -> None:
        """Let the next writer in."""
        self._over.set()
        self._beating.join()
        if self._holder() == self._token:
            self._server.drop(layout.lock(self._name))
        self._forget([self._token])

    def _acquire(self) -> None:
        for _ in range(5):
            if self._server.try_to_create(layout.lock(self._name), self._schema()) and self._holder() == self._token:
                return
            holder = self._holder()
            if holder is None:
                continue
            told = self._told(holder)
            if told is not None and not _is_lost(told):
                raise IndexLocked(
                    f"{self._this()} is being written by process {told['pid']} on {told['host']} since"
                    f" {told['since']}: wait until it is done"
                )
            self._server.drop(layout.lock(self._name))
            self._forget([holder])
        raise IndexLocked(f"{self._this()} is wanted by several writers at once: try again")

    def _this(self) -> str:
        return f"index {self._name!r} in Milvus at {self._server.address}"

    def _schema(self) -> Any:
        schema = self._server.api.MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field(f"{_FIELD}{self._token}", self._server.api.DataType.INT64, is_primary=True)
        schema.add_field("none", self._server.api.DataType.FLOAT_VECTOR, dim=len(layout.NONE))
        return schema

    def _holder(self) -> int | None:
        """Return the number of whoever holds the lock."""
        for field in self._server.fields(layout.lock(self._name)) or ():
            if field.startswith(_FIELD):
                return int(field.removeprefix(_FIELD))
        return None

    def _told(self, token: int) -> dict[str, Any] | None:
        found = self._server.rows(self._name, f"n == {-token}", ["said"], STRONG)
        told: dict[str, Any] | None = json.loads(str(found[0]["said"])) if found else None
        return told

    def move(self, name: str) -> None:
        """Have the lease told in another collection too, which is about to take the place of the one it is told in."""
        self._beat(name)

    def _beat(self, name: str | None = None) -> None:
        said = {"host": _host(), "pid": os.getpid(), "since": self._since, "at": time.time()}
        with self.writing:
            row = {"n": -self._token, "said": json.dumps(said), "none": layout.NONE}
            self._server.upsert(name or self._name, [row])

    def _beat_on(self) -> None:
        while not self._over.wait(BEAT_SECONDS):
            try:
                self._beat()
            except StoreError:
                # Whether it can still write is found out when it commits.
                continue

    def _forget(self, tokens: list[int]) -> None:
        with self.writing:
            self._server.delete(self._name, "n", [-token for token in tokens])


def _host() -> str:
    return socket.gethostname()


def _is_lost(told: dict[str, Any]) -> bool:
    if time.time() - float(told["at"]) > LOST_SECONDS:
        return True
    return told["host"] == _host() and not _runs(int(told["pid"]))


def _runs(pid: int) -> bool:
    if os.name == "nt":
        # There the call below would end the process.
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True
