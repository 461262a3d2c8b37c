"""An index in Milvus looked through: every article with its text, its passages and their vectors.

Milvus sees to its own files.  What is looked for is what would make this index another than was written: a text that is
not what its revision says, passages that are missing, vectors that are not kept.
"""

from __future__ import annotations

from rag.errors import IndexDamaged, StoreError, UnknownArticle
from rag.store.check import Checked
from rag.store.faults import Fault, OnSteps, Pace
from rag.store.milvus.store import MilvusStore

TOGETHER = 64
"""Articles that are looked at at a time."""

HOPELESS = "ingest it again, or bring the index over from another place with `rag copy`"


def check(store: MilvusStore, name: str, on_progress: OnSteps | None = None) -> Checked:
    """Look through an index.  What others write meanwhile is looked at as it is then."""
    pace, found = Pace(on_progress), []
    with store.view() as view:
        stats, listed = view.stats(), view.articles()
    pace.begin("articles", len(listed), "articles")
    for at in range(0, len(listed), TOGETHER):
        some = listed[at : at + TOGETHER]
        try:
            _look(store, [head.id for head, _ in some], [passages for _, passages in some])
        except (StoreError, UnknownArticle):
            for head, passages in some:
                found += _faults(store, name, head.id, passages)
        pace.on(len(some))
    return Checked(stats, tuple(found))


def _faults(store: MilvusStore, name: str, id: str, passages: int) -> list[Fault]:
    try:
        _look(store, [id], [passages])
        return []
    except UnknownArticle:
        return []  # it was removed meanwhile
    except StoreError as error:
        with store.view() as view:
            now = {head.id: n for head, n in view.articles()}
        if now.get(id) != passages:
            return []  # it was changed meanwhile
        return [Fault(f"article {id!r}: {error}; {HOPELESS}", name, "not")]


def _look(store: MilvusStore, ids: list[str], passages: list[int]) -> None:
    """Raise StoreError where one of some articles is not whole."""
    with store.view() as view:
        for kept, count in zip(view.kept(ids), passages, strict=True):
            if len(kept.passages) != count:
                raise IndexDamaged(f"{len(kept.passages)} of its {count} passages are there")
