"""The collections of an index: their fields and indexes.

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


Made = tuple[Any, Any, dict[str, Any]]
"""A schema, its indexes and the options of the collection."""


def head(server: Server) -> Made:
    """Return what the collection of the heads of commits is made with."""
    schema = _schema(server)
    schema.add_field("n", server.api.DataType.INT64, is_primary=True)
    _texts(server, schema, said=MOST_BYTES)
    return schema, _with_none(server, schema), {}


def articles(server: Server) -> Made:
    """Return what the collection of articles, or of former revisions is made with."""
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


def changes(server: Server) -> Made:
    """Return what the collection of changes is made with."""
    kinds = server.api.DataType
    schema = _schema(server)
    schema.add_field("n", kinds.INT64, is_primary=True)
    for name in ("ord", "kind"):
        schema.add_field(name, kinds.INT64)
    _texts(server, schema, origin=MOST_BYTES)
    return schema, _with_none(server, schema), {}


def bodies(server: Server) -> Made:
    """Return what the collection of texts in parts is made with."""
    schema = _schema(server)
    schema.add_field("part", server.api.DataType.INT64, is_primary=True)
    _texts(server, schema, text=MOST_BYTES)
    return schema, _with_none(server, schema), {}


def notes(server: Server) -> Made:
    """Return what the collection of notes is made with."""
    schema = _schema(server)
    schema.add_field("key", server.api.DataType.VARCHAR, max_length=64, is_primary=True)
    _texts(server, schema, text=MOST_BYTES)
    return schema, _with_none(server, schema), {}


def cache(server: Server, dim: int) -> Made:
    """Return what the collection of the cache of vectors is made with."""
    schema = _schema(server)
    schema.add_field("key", server.api.DataType.VARCHAR, max_length=32, is_primary=True)
    schema.add_field("vector", server.api.DataType.FLOAT_VECTOR, dim=dim)
    indexes = server.api.MilvusClient.prepare_index_params()
    # It is never searched: an index that has to be there and costs nothing.
    indexes.add_index("vector", index_type="FLAT", metric_type="IP")
    return schema, indexes, {}


def passages(server: Server, dim: int, settings: StoreSettings) -> Made:
    """Return what the collection of passages is made with."""
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
