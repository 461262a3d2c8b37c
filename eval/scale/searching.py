"""A fresh process that opens an index, searches and tells its times and memory: `python searching.py JOB`.

It imports nothing of the benchmark but what it needs, so that what is measured is a process that searches.
"""

import time

BEGAN = time.monotonic()

import json  # noqa: E402
import sys  # noqa: E402
from collections.abc import Iterable, Sequence  # noqa: E402
from datetime import date  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402

from rag.handover import Vector, Vectors  # noqa: E402
from rag.retrieve import Fused  # noqa: E402
from rag.store.local import LocalStore  # noqa: E402
from rag.types import Filter, Hit  # noqa: E402

K = 10


class Given:
    """An Embedder of questions whose vectors are there already."""

    name, digest, max_tokens = "given", "0", 256

    def __init__(self, texts: Sequence[str], vectors: Vectors) -> None:
        self._known = dict(zip(texts, vectors, strict=True))
        self.dim = vectors.shape[1]

    def count(self, texts: Sequence[str]) -> list[int]:
        return [len(t.split()) for t in texts]

    def passages(self, texts: Iterable[str]) -> Iterable[Vectors]:
        for text in texts:
            yield self._known[text][None, :]

    def vectors(self, texts: Sequence[str]) -> Vectors:
        return np.stack([self._known[t] for t in texts])

    def query(self, text: str) -> Vector:
        return np.asarray(self._known[text])

    def queries(self, texts: Sequence[str]) -> Vectors:
        return self.vectors(texts)


class Searcher:
    """Hybrid search over an index as the product does it, the question's vector given."""

    def __init__(self, job: dict[str, Any], texts: Sequence[str], vectors: Vectors) -> None:
        self.store = LocalStore(job["index"])
        embedder: Any = Given(texts, vectors)
        self.retriever = Fused(embedder, dense_weight=job["dense_weight"], depth=job["depth"])

    def search(self, text: str, where: Filter | None = None) -> list[Hit]:
        """Return the hits with their texts, of the newest state."""
        with self.store.view() as view:
            return self.retriever.search(view, text, K, where)


def as_filter(fields: dict[str, Any]) -> Filter:
    """Return a filter written as JSON."""
    days = {n: date.fromisoformat(fields[n]) for n in ("since", "until") if fields.get(n)}
    return Filter(**{**{n: tuple(v) for n, v in fields.items() if n not in ("since", "until")}, **days})


def main() -> None:
    """Search the job's questions, then with its filters, and print what that took."""
    imported = time.monotonic()
    job = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    texts, vectors = job["texts"], np.load(job["vectors"])[: len(job["texts"])]
    began = time.monotonic()
    searcher = Searcher(job, texts, vectors)
    found = searcher.search(texts[0])
    told: dict[str, Any] = {
        "answered_at": time.monotonic(), "began_at": BEGAN, "imports_s": imported - BEGAN,
        "first_s": time.monotonic() - began, "hits": len(found),
    }  # fmt: skip
    if len(texts) > 1:
        from memory import held

        told["memory_at_first"] = held()
        for text in texts[1:]:
            searcher.search(text)
        told["memory"] = held()
        for n, fields in enumerate(job["filters"]):
            searcher.search(texts[n % len(texts)], as_filter(fields))
        told["memory_with_filters"] = held()
    print(json.dumps(told))


if __name__ == "__main__":
    main()
