"""What nobody is to see any more, taken away by the writer that holds the lease.

Before it begins a writer deletes what one that was killed had written, and what was replaced or removed so long ago
that no view can be reading it.  Every question waits for what was written by the time `at`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from rag.store.milvus import builds, layout, rows
from rag.store.milvus.builds import Build
from rag.store.milvus.head import Head
from rag.store.milvus.layout import ERASED, MOVED, PARTS
from rag.store.milvus.lease import Lease
from rag.store.milvus.server import Row, Server, among, lists_of
from rag.store.milvus.state import GRACE_SECONDS


class Clearing:
    """Deletes from one build and from the cache of vectors."""

    def __init__(self, server: Server, build: Build, cache: str, lease: Lease) -> None:
        self._server, self._build, self._cache, self._lease = server, build, cache, lease

    def unfinished(self, now: Head, at: int) -> None:
        """Delete what a killed writer wrote and no head tells of."""
        build = self._build
        self._erase(build.passages, "row", f"row >= {now.next_row}", at)
        self._erase(build.bodies, "part", f"part >= {now.next_ord * PARTS}", at)
        self._erase(build.articles, "ord", f"ord >= {now.next_ord}", at)
        self._erase(build.changes, "n", f"n >= {now.next_change}", at)

    def changes(self, now: Head, at: int) -> list[Row]:
        """Return the changes that a head tells of and that have not been carried out, in their order."""
        asked = f"n < {now.next_change} and (n >= {now.settled} or kind == {MOVED})"
        found = self._server.rows(self._build.changes, asked, ["n", "ord", "kind", "origin"], at)
        return sorted(found, key=lambda row: int(row["n"]))

    def settle(self, heads: Sequence[Head], settled: int, gone: set[int], at: int) -> int:
        """Delete what no view can be reading: builds before this one, and what was replaced or removed by a head that
        is old enough.  Return up to which change all are carried out then, `settled` if there was none.

        `gone` are the ordinals of all that holds no more.
        """
        over = [known for known in heads if known.at <= time.time() - GRACE_SECONDS]
        if not over:
            return settled
        last, build = over[-1], self._build
        self._drop_others(gone, at)
        self._lease.forget(last.generation)
        # Those changes have been carried out, in a commit that all views know of.
        self._erase(build.changes, "n", f"n < {last.settled} and kind != {MOVED}", at)
        asked = f"n >= {settled} and n < {last.next_change} and kind != {MOVED}"
        changes = self._server.rows(build.changes, asked, ["ord", "kind"], at)
        if not changes:
            return settled
        erased = {int(row["ord"]) for row in changes if row["kind"] == ERASED}
        self._carry_out({int(row["ord"]) for row in changes}, erased, gone, at)
        return last.next_change

    def unused(self, keys: Iterable[str], gone: set[int], at: int) -> set[str]:
        """Erase those of some vectors that no passage of a current article has, and return their keys."""
        erased: set[str] = set()
        for some in lists_of(sorted(keys)):
            found = self._server.rows(self._build.passages, among("key", some), ["key", "ord"], at)
            unused = set(some) - {str(row["key"]) for row in found if row["ord"] not in gone}
            self._server.delete(self._cache, "key", sorted(unused))
            erased |= unused
        return erased

    def keys_of(self, row: Row, at: int) -> list[str]:
        """Return the keys of the vectors of an article's passages."""
        return rows.keys_of(rows.body(self._server, self._build, row, 2, at))

    def _drop_others(self, gone: set[int], at: int) -> None:
        """Drop the builds before this one, and the vectors that were of these alone."""
        server, build = self._server, self._build
        others = builds.numbers(server, build.name) - {build.number}
        for number in others:
            builds.drop(server, Build(build.name, number))
        if others:
            for name in builds.caches(server, build.name) - {self._cache}:
                server.drop(name)
            for some in server.pages(self._cache, 'key >= ""', ["key"], at):
                self.unused((str(row["key"]) for row in some), gone, at)

    def _carry_out(self, over: set[int], erased: set[int], gone: set[int], at: int) -> None:
        server, build, fields = self._server, self._build, layout.ARTICLE_FIELDS
        for some in lists_of(sorted(over)):
            asked = among("ord", some)
            former = server.rows(build.former, asked, fields, at)
            found = {int(r["ord"]): r for r in [*former, *server.rows(build.articles, asked, fields, at)]}
            kept = found.keys() - erased - {int(row["ord"]) for row in former}
            server.insert(build.former, [found[ord] for ord in sorted(kept)])
            lost = [found[ord] for ord in sorted(found.keys() & erased)]
            self.unused({key for row in lost for key in self.keys_of(row, at)}, gone, at)
            spans = [(int(row["first"]), int(row["passages"])) for row in found.values()]
            server.delete(build.passages, "row", [row for first, count in spans for row in range(first, first + count)])
            server.delete(build.bodies, "part", [key for row in lost for key in rows.all_keys(row)])
            server.delete(build.former, "ord", [int(row["ord"]) for row in lost])
            server.delete(build.articles, "ord", sorted(found))
            self._erase(build.changes, "n", f"kind == {MOVED} and {asked}", at)

    def _erase(self, name: str, key: str, where: str, at: int) -> None:
        found = self._server.rows(name, where, [key], at)
        self._server.delete(name, key, [int(row[key]) for row in found])
