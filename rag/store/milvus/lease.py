"""One writer at a time: a collection that is there while somebody writes.

A server makes one collection of a name, and refuses a second that is not like it.  So whoever makes NAME_writer, with
a field that bears a number of its own, may write.  Before it tries, it puts a row among the heads that names it; while
it writes, it puts another there every few seconds.  A lock whose holder has no such row, or none that is younger than a
minute, or is a process of this machine that is no more, is one that nobody holds: the next writer drops it.

A writer looks whether the lock is still its own before it commits.  What remains: a writer that is stopped for longer
than a minute between that look and the insert of the head, while another has taken its place.  Clocks of machines that
write one index must agree within half a minute.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import socket
import threading
import time
from typing import Any

from rag.errors import IndexLocked, StoreError
from rag.store.milvus import builds, layout
from rag.store.milvus.server import STRONG, Row, Server

log = logging.getLogger(__name__)

BEAT_SECONDS = 10.0
LOST_SECONDS = 60.0

_FIELD = "held_by_"

_held: set[int] = set()
"""Numbers of the writers of this process that are at work."""


class Lease:
    """The right to write an index.  Raises IndexLocked."""

    def __init__(self, server: Server, name: str) -> None:
        self._server, self._name = server, name
        self._token = secrets.randbits(60) + 1
        self._since = time.strftime("%Y-%m-%d %H:%M:%S")
        self._beats: list[int] = []
        self._over = threading.Event()
        self._writing = threading.Lock()
        self.beat()
        try:
            self._acquire()
        except BaseException:
            self._forget(self._beats)
            raise
        _held.add(self._token)
        self._beating = threading.Thread(target=self._beat_on, name="footnote-lease", daemon=True)
        self._beating.start()

    def check(self) -> None:
        """Raise IndexLocked when another writer has taken this one's place."""
        if self._holder() != self._token:
            raise IndexLocked(
                f"{self._this()} was taken over by another writer, since this one did not answer for"
                f" {LOST_SECONDS:g} s: nothing since the last commit is kept, run it again"
            )

    def beat(self, name: str | None = None) -> int:
        """Tell that this writer is at work, and return the server's time, which is later than all it wrote before.

        With a name: in that collection, which is about to take the place of the one where it is told.
        """
        n = -time.time_ns()
        said = {"token": self._token, "host": socket.gethostname(), "pid": os.getpid(), "since": self._since}
        row = {"n": n, "said": json.dumps({**said, "at": time.time()}), "none": layout.NONE}
        with self._writing:
            stamp = self._server.insert(name or self._name, [row])
            if name:
                self._beats = [n]
            else:
                self._server.delete(self._name, "n", self._beats)
                self._beats = [n]
        return stamp

    def commit(self, name: str, row: Row) -> None:
        """Insert a head into a collection of heads, which a file of Milvus Lite lets one thread do at a time."""
        with self._writing:
            self._server.insert(name, [row])

    def forget(self, generation: int) -> None:
        """Delete the heads before a generation."""
        rows = self._server.rows(self._name, f"n >= 0 and n < {generation}", ["n"])
        self._forget([int(row["n"]) for row in rows])

    def end(self) -> None:
        """Let the next writer in."""
        self._over.set()
        self._beating.join()
        _held.discard(self._token)
        try:
            if self._holder() == self._token:
                self._server.drop(builds.lock(self._name))
            self._forget(self._beats)
        except StoreError as e:
            # What went before tells more, and the next writer sees that nobody holds it.
            log.warning("the lock of %s stays for now: %s", self._this(), e)

    def _acquire(self) -> None:
        for _ in range(5):
            if self._server.try_to_create(builds.lock(self._name), self._schema()) and self._holder() == self._token:
                return
            holder = self._holder()
            if holder is None:
                continue
            told = self._told(holder)
            if told and not _is_lost(told[-1]):
                raise IndexLocked(
                    f"{self._this()} is being written by process {told[-1]['pid']} on {told[-1]['host']}"
                    f" since {told[-1]['since']}: wait until it is done"
                )
            self._server.drop(builds.lock(self._name))
            self._forget([int(one["n"]) for one in told])
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
        for field in self._server.fields(builds.lock(self._name)) or ():
            if field.startswith(_FIELD):
                return int(field.removeprefix(_FIELD))
        return None

    def _told(self, token: int) -> list[dict[str, Any]]:
        """Return what a holder has told, the newest last."""
        rows = self._server.rows(self._name, "n < 0", ["n", "said"], STRONG)
        told = [{**json.loads(str(row["said"])), "n": row["n"]} for row in rows]
        return sorted((one for one in told if one["token"] == token), key=lambda one: float(one["at"]))

    def _beat_on(self) -> None:
        while not self._over.wait(BEAT_SECONDS):
            # Whether it can still write, a writer finds out when it commits.
            with contextlib.suppress(StoreError):
                self.beat()

    def _forget(self, beats: list[int]) -> None:
        with self._writing:
            self._server.delete(self._name, "n", beats)


def _is_lost(told: dict[str, Any]) -> bool:
    if time.time() - float(told["at"]) > LOST_SECONDS:
        return True
    if told["host"] != socket.gethostname():
        return False
    return told["token"] not in _held if told["pid"] == os.getpid() else not _runs(int(told["pid"]))


def _runs(pid: int) -> bool:
    if os.name == "nt":
        # There the call below would end the process.
        return True
    try:
        # One that is another user's may not be signalled, and runs.
        with contextlib.suppress(PermissionError):
            os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
