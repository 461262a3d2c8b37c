"""The collections of an index as they come and go: an index built anew has others, and they take turns.

Which collections there are, and what is in them: layout.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from rag.settings import StoreSettings
from rag.store.milvus import layout
from rag.store.milvus.server import Server


@dataclass(frozen=True)
class Build:
    """The names of one build's collections."""

    name: str
    number: int

    def _of(self, kind: str) -> str:
        return f"{self.name}_{self.number}_{kind}"

    @property
    def head(self) -> str:
        return self._of("head")

    @property
    def passages(self) -> str:
        return self._of("passages")

    @property
    def articles(self) -> str:
        return self._of("articles")

    @property
    def former(self) -> str:
        return self._of("former")

    @property
    def changes(self) -> str:
        return self._of("changes")

    @property
    def bodies(self) -> str:
        return self._of("bodies")

    @property
    def notes(self) -> str:
        return self._of("notes")

    @property
    def all(self) -> tuple[str, ...]:
        """The names of all of them."""
        return (self.head, self.passages, self.articles, self.former, self.changes, self.bodies, self.notes)


def cache_of(name: str, dim: int) -> str:
    """Return the name of the cache of vectors of so many numbers."""
    return f"{name}_vectors_{dim}"


def lock(name: str) -> str:
    """Return the name of the collection that is there while somebody writes."""
    return f"{name}_writer"


def numbers(server: Server, name: str) -> set[int]:
    """Return the numbers of the builds of which there is a collection."""
    pattern = re.compile(rf"{re.escape(name)}_([0-9]{{1,9}})_(head|passages|articles|former|changes|bodies|notes)")
    return {int(found[1]) for found in map(pattern.fullmatch, server.names()) if found}


def drop_all(server: Server, name: str) -> None:
    """Drop an index."""
    if server.fields(name) is not None:
        server.unname(name)
    for number in numbers(server, name):
        drop(server, Build(name, number))
    for cache in caches(server, name):
        server.drop(cache)
    server.drop(lock(name))


def caches(server: Server, name: str) -> set[str]:
    """Return the names of the caches of vectors."""
    return {there for there in server.names() if re.fullmatch(rf"{re.escape(name)}_vectors_[0-9]{{1,5}}", there)}


def drop(server: Server, build: Build) -> None:
    """Drop the collections of a build."""
    for name in build.all:
        server.drop(name)


def create(server: Server, build: Build, dim: int, settings: StoreSettings) -> None:
    """Make the collections of a build that are not there yet, and the cache of vectors."""
    there = set(server.names())
    made: dict[str, Callable[[Server], layout.Made]] = {
        build.head: layout.head,
        build.articles: layout.articles,
        build.former: layout.articles,
        build.changes: layout.changes,
        build.bodies: layout.bodies,
        build.notes: layout.notes,
        cache_of(build.name, dim): lambda s: layout.cache(s, dim),
        build.passages: lambda s: layout.passages(s, dim, settings),
    }
    for name, fields in made.items():
        if name not in there:
            schema, indexes, options = fields(server)
            if server.can.mapped and name in (build.bodies, cache_of(build.name, dim)):
                # Fetched by key and never searched, it may lie on disk.
                options["properties"] = {"mmap.enabled": "true"}
            server.create(name, schema, indexes, **options)
    load(server, build, cache_of(build.name, dim))


def load(server: Server, build: Build, *more: str) -> None:
    """Have the collections of a build ready to be asked, and some more.  After a restart they may not be."""
    names = (*build.all, *more)
    with ThreadPoolExecutor(len(names)) as pool:
        # Together they take no longer than one, some seconds.
        list(pool.map(server.load, names))
