"""A state of an index as a head tells of it, and the expressions for what is of it.

Of passages and articles those are of it that are below the head's numbers and not of an article that was replaced or
removed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from rag.store.milvus import layout
from rag.store.milvus.builds import Build
from rag.store.milvus.head import Head
from rag.store.milvus.server import Server

GRACE_SECONDS = 600.0
"""How long what a commit replaced stays where views of the state before can read it; a view is good for half of it."""


@dataclass
class State:
    """One state of an index, as far as it is read once for all its views.

    `gone` are the ordinals of articles that hold no more and may still be there, `erased` those of them, and of earlier
    revisions, that nobody is to see again; `kind` is that of the index of vectors.
    """

    head: Head
    build: Build
    gone: list[int]
    erased: frozenset[int]
    kind: str
    sections: list[str] | None = field(default=None)

    @property
    def passages(self) -> str:
        """The expression for the passages of this state."""
        return self._below("row", self.head.next_row)

    @property
    def articles(self) -> str:
        """The expression for the articles of this state."""
        return self._below("ord", self.head.next_ord)

    def _below(self, key: str, end: int) -> str:
        return f"{key} < {end} and ord not in {self.gone}" if self.gone else f"{key} < {end}"


def load(server: Server, name: str, head: Head, kind: str) -> State:
    """Return the state that a head tells of."""
    build = Build(name, head.build)
    asked = f"n >= {head.settled} and n < {head.next_change} and kind != {layout.MOVED}"
    changes = server.rows(build.changes, asked, ["ord", "kind"], head.stamp)
    gone = sorted({int(row["ord"]) for row in changes})
    erased = frozenset(int(row["ord"]) for row in changes if row["kind"] == layout.ERASED)
    return State(head, build, gone, erased, kind)
