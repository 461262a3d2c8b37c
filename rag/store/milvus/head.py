"""What a commit writes last: one row, from which all else follows for whoever reads it.

A commit is the insert of one row, and a reader takes the newest there is: either it sees the row or it does not.  Rows
of earlier commits stay for a while, since they tell which states somebody may still be reading.

Nothing is ever changed in place, here or elsewhere: where a server puts a new row in place of an old one, readers may
miss both for a moment, or see the old one again (Milvus 2.3.5 does either).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from rag.errors import IndexDamaged, IndexMismatch, NoIndex
from rag.store import catalog
from rag.store.milvus import layout
from rag.store.milvus.server import Row, Server
from rag.types import Fingerprint


@dataclass(frozen=True)
class Head:
    """One state of an index, told by the numbers that passages, articles and changes of it are below.

    Of changes those below `settled` have been carried out.  `stamp` is the server's time by which all of it was
    written, `at` the writer's own; `twins` says whether any article was ever linked with another.
    """

    build: int
    generation: int
    next_row: int
    next_ord: int
    next_change: int
    settled: int
    stamp: int
    at: float
    twins: bool
    fingerprint: Fingerprint

    def row(self) -> Row:
        """Return this as a row."""
        said = json.dumps({"format": layout.FORMAT, **asdict(self)})
        return {"n": self.generation, "said": said, "none": layout.NONE}


def check(server: Server, name: str) -> None:
    """Raise NoIndex where there is no index of that name, and IndexMismatch where the name is somebody else's."""
    fields = server.fields(name)
    if fields is None:
        raise NoIndex(f"no index {name!r} in Milvus at {server.address}: make one with `rag ingest SOURCE`")
    if set(fields) != set(layout.HEAD_FIELDS):
        raise IndexMismatch(
            f"collection {name!r} in Milvus at {server.address} is none of an index: choose another store.name"
        )


def read(server: Server, name: str, at: int) -> list[Head]:
    """Return the heads of the last commits, the newest last.  Raises IndexMismatch and IndexDamaged."""
    heads = _since(server, name, 0, at)
    if not heads:
        raise IndexDamaged(f"index {name!r} in Milvus at {server.address} has no head: rebuild with {_AGAIN}")
    return heads


def newest(server: Server, name: str, known: Head, at: int) -> Head:
    """Return the newest head, of which one is known already that is seldom another.  Raises what `read` raises."""
    if heads := _since(server, name, known.generation, at):
        return heads[-1]
    # What is read is some seconds old and has not got the known one yet, or the index was dropped and made again.
    found = read(server, name, at)[-1]
    return found if found.at > known.at else known


def _since(server: Server, name: str, generation: int, at: int) -> list[Head]:
    rows = server.rows(name, f"n >= {generation}", ["n", "said"], at)
    return [_head(server, name, str(row["said"])) for row in sorted(rows, key=lambda row: int(row["n"]))]


def _head(server: Server, name: str, said: str) -> Head:
    this = f"index {name!r} in Milvus at {server.address}"
    try:
        told = json.loads(said)
        written = told.pop("format")
        if written != layout.FORMAT:
            raise IndexMismatch(
                f"{this} has format {written}, this version reads {layout.FORMAT}: rebuild with {_AGAIN}"
            )
        fingerprint = Fingerprint(**told.pop("fingerprint"))
        if not catalog.is_possible(fingerprint):
            raise ValueError(fingerprint)
        return Head(**told, fingerprint=fingerprint)
    except (TypeError, ValueError, KeyError, AttributeError, RecursionError) as e:
        raise IndexDamaged(f"{this} has a head that cannot be read: rebuild with {_AGAIN}") from e


_AGAIN = "`rag ingest SOURCE --rebuild`"
