"""The collections of an index: their names, fields and indexes.

NAME            an alias of the heads of the build that is read: all reading begins there
NAME_B_head     one row for each of the last commits of build B (see head.py)
NAME_B_passages a row for each passage, never changed: what a search asks about, and the vector
NAME_B_articles a row for each article, without its text
NAME_B_former   the same for revisions that were replaced some time ago
NAME_B_changes  which articles hold no more, and which come from somewhere else now
NAME_B_bodies   texts in parts, the sections of each, and the keys of its passages' vectors
NAME_B_notes    names of sections by digest, and on which day which article was removed
NAME_vectors_D  the cache of vectors of D numbers, which all builds share
NAME_writer     there while somebody writes (see lease.py)
"""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from rag.settings import StoreSettings
from rag.store.milvus.server import MOST_BYTES, Server

FORMAT = 1

REPLACED, ERASED, MOVED = 1, 2, 3
"""Kinds of changes."""

PART = 16_000
"""Code points of a part of a body: 64,000 bytes at most, and a field takes 65,535."""

PARTS = 2**20
"""Parts that a body may have; part n of ordinal o has the key `o * PARTS + n`."""

MOST_AUTHORS = 4_096
"""Of an article: what an array takes."""

MOST_FOLDERS = 256
"""Folders of an origin that are noted, from the root: what lies deeper is looked through."""

HEAD_FIELDS = ["n", "said", "none"]

ARTICLE_FIELDS = [
    *("ord", "id", "revision", "source", "authors", "day", "within", "bands", "twins", "first", "passages", "said"),
    "none",
]

NONE = [0.0, 0.0]
"""The vector of a collection that has none to search by, since every collection has to have one."""


BUILT: dict[str, dict[str, Any]] = {
    "HNSW": {"M": 16, "efConstruction": 200},
    "IVF_SQ8": {"nlist": 1024},
    # Codes of one bit alone find too little: what they find is compared again by eight.
    "IVF_RABITQ": {"nlist": 1024, "refine": True, "refine_type": "SQ8"},
}
"""What an index of vectors is made with, by its kind."""


def searching(kind: str, limit: int) -> dict[str, Any]:
    """Return how hard an index of vectors of a kind is to look for so many neighbours.

    >>> searching("HNSW", 132)
    {'ef': 264}
    """
    if kind.startswith("IVF"):
        return {"nprobe": 64, **({"refine_k": 2} if kind == "IVF_RABITQ" else {})}
    # Both find fewer than they are asked for when these are smaller than that.
    return {name: max(2 * limit, 128) for of, name in (("HNSW", "ef"), ("DISKANN", "search_list")) if of == kind}


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


def vectors(name: str, dim: int) -> str:
    """Return the name of the cache of vectors of so many numbers."""
    return f"{name}_vectors_{dim}"


def lock(name: str) -> str:
    """Return the name of the collection that is there while somebody writes."""
    return f"{name}_writer"


def builds(server: Server, name: str) -> set[int]:
    """Return the numbers of the builds of which there is a collection."""
    pattern = re.compile(rf"{re.escape(name)}_([0-9]{{1,9}})_(head|passages|articles|former|changes|bodies|notes)")
    return {int(found[1]) for found in map(pattern.fullmatch, server.names()) if found}


def drop_all(server: Server, name: str) -> None:
    """Drop an index."""
    if server.fields(name) is not None:
        server.unname(name)
    for number in builds(server, name):
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
    made: dict[str, Callable[[Server], Made]] = {
        build.head: _head,
        build.articles: _articles,
        build.former: _articles,
        build.changes: _changes,
        build.bodies: _bodies,
        build.notes: _notes,
        vectors(build.name, dim): lambda s: _vectors(s, dim),
        build.passages: lambda s: _passages(s, dim, settings),
    }
    for name, fields in made.items():
        if name not in there:
            schema, indexes, options = fields(server)
            if server.can.mapped and name in (build.bodies, vectors(build.name, dim)):
                # Fetched by key and never searched, it may lie on disk.
                options["properties"] = {"mmap.enabled": "true"}
            server.create(name, schema, indexes, **options)
    load(server, build, vectors(build.name, dim))


def load(server: Server, build: Build, *more: str) -> None:
    """Have the collections of a build ready to be asked, and some more.  After a restart they may not be."""
    names = (*build.all, *more)
    with ThreadPoolExecutor(len(names)) as pool:
        # Together they take no longer than one, some seconds.
        list(pool.map(server.load, names))


Made = tuple[Any, Any, dict[str, Any]]
"""A schema, its indexes and the options of the collection."""


def _head(server: Server) -> Made:
    schema = _schema(server)
    schema.add_field("n", server.api.DataType.INT64, is_primary=True)
    _texts(server, schema, said=MOST_BYTES)
    return schema, _with_none(server, schema), {}


def _articles(server: Server) -> Made:
    kinds = server.api.DataType
    schema = _schema(server)
    schema.add_field("ord", kinds.INT64, is_primary=True)
    _texts(server, schema, id=32, revision=32, source=32, said=MOST_BYTES)
    for name in ("day", "first", "passages"):
        schema.add_field(name, kinds.INT64)
    _array(server, schema, "authors", kinds.VARCHAR, MOST_AUTHORS, max_length=32)
    _array(server, schema, "within", kinds.VARCHAR, MOST_FOLDERS, max_length=32)
    for name in ("bands", "twins"):
        _array(server, schema, name, kinds.INT64, 64)
    indexes = _with_none(server, schema)
    _inverted(server, indexes, "id", "source", "day")
    if server.can.arrays:
        _inverted(server, indexes, "authors", "within", "bands", "twins")
    return schema, indexes, {}


def _changes(server: Server) -> Made:
    kinds = server.api.DataType
    schema = _schema(server)
    schema.add_field("n", kinds.INT64, is_primary=True)
    for name in ("ord", "kind"):
        schema.add_field(name, kinds.INT64)
    _texts(server, schema, origin=MOST_BYTES)
    return schema, _with_none(server, schema), {}


def _bodies(server: Server) -> Made:
    schema = _schema(server)
    schema.add_field("part", server.api.DataType.INT64, is_primary=True)
    _texts(server, schema, text=MOST_BYTES)
    return schema, _with_none(server, schema), {}


def _notes(server: Server) -> Made:
    schema = _schema(server)
    schema.add_field("key", server.api.DataType.VARCHAR, max_length=64, is_primary=True)
    _texts(server, schema, text=MOST_BYTES)
    return schema, _with_none(server, schema), {}


def _vectors(server: Server, dim: int) -> Made:
    schema = _schema(server)
    schema.add_field("key", server.api.DataType.VARCHAR, max_length=32, is_primary=True)
    schema.add_field("vector", server.api.DataType.FLOAT_VECTOR, dim=dim)
    indexes = server.api.MilvusClient.prepare_index_params()
    # It is never searched: an index that has to be there and costs nothing.
    indexes.add_index("vector", index_type="FLAT", metric_type="IP")
    return schema, indexes, {}


def _passages(server: Server, dim: int, settings: StoreSettings) -> Made:
    kinds = server.api.DataType
    schema = _schema(server)
    schema.add_field("row", kinds.INT64, is_primary=True)
    for name in ("ord", "day", "start", "stop"):
        schema.add_field(name, kinds.INT64)
    # Parts of Milvus Lite have statistics of words each, which would make scores of different sources differ.
    schema.add_field("source", kinds.VARCHAR, max_length=32, is_partition_key=not server.can.lite)
    _texts(server, schema, id=32, heading=32, named=32, key=32, section=MOST_BYTES)
    _array(server, schema, "authors", kinds.VARCHAR, MOST_AUTHORS, max_length=32)
    schema.add_field("vector", kinds.FLOAT16_VECTOR if server.can.halves else kinds.FLOAT_VECTOR, dim=dim)
    indexes = server.api.MilvusClient.prepare_index_params()
    kind = settings.index.upper()
    if settings.index == "auto":
        kind = "FLAT" if server.can.lite else "AUTOINDEX"
    indexes.add_index("vector", index_type=kind, metric_type="IP", params=BUILT.get(kind, {}))
    _inverted(server, indexes, "ord", "id", "heading", "named", "key", "day")
    if server.can.arrays:
        _inverted(server, indexes, "authors")
    if server.can.infix:
        _texts(server, schema, said=MOST_BYTES)
    if server.can.words:
        tokenizer = {"tokenizer": "standard" if server.can.lite else "whitespace"}
        schema.add_field("terms", kinds.VARCHAR, max_length=MOST_BYTES, enable_analyzer=True, analyzer_params=tokenizer)
        schema.add_field("sparse", kinds.SPARSE_FLOAT_VECTOR)
        function = server.api.Function("bm25", server.api.FunctionType.BM25, ["terms"], ["sparse"])
        schema.add_function(function)
        # As in tantivy, which the embedded store asks.
        weights = {"bm25_k1": 1.2, "bm25_b": 0.75}
        indexes.add_index("sparse", index_type="SPARSE_INVERTED_INDEX", metric_type="BM25", params=weights)
    options: dict[str, Any] = {"num_shards": settings.shards}
    if not server.can.lite:
        options["num_partitions"] = settings.partitions
    return schema, indexes, options


def _schema(server: Server) -> Any:
    return server.api.MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)


def _texts(server: Server, schema: Any, **lengths: int) -> None:
    for name, most in lengths.items():
        schema.add_field(name, server.api.DataType.VARCHAR, max_length=most)


def _array(server: Server, schema: Any, name: str, member: Any, most: int, **options: Any) -> None:
    schema.add_field(name, server.api.DataType.ARRAY, element_type=member, max_capacity=most, **options)


def _with_none(server: Server, schema: Any) -> Any:
    schema.add_field("none", server.api.DataType.FLOAT_VECTOR, dim=len(NONE))
    indexes = server.api.MilvusClient.prepare_index_params()
    indexes.add_index("none", index_type="FLAT", metric_type="IP")
    return indexes


def _inverted(server: Server, indexes: Any, *names: str) -> None:
    # A file of Milvus Lite is small, and older servers have indexes of other kinds only.
    for name in names if server.can.inverted else ():
        indexes.add_index(name, index_type="INVERTED")
