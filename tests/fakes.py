"""Small deterministic stand-ins, for tests in which a real part cannot force what is wanted."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from rag.handover import Vector, Vectors
from rag.types import Fingerprint

FINGERPRINT = Fingerprint("hash", "0", 16, 64, 48, 8, 0.5)


class HashEmbedder:
    """An Embedder whose vectors are a function of the text's words; one token a word."""

    name, digest, dim, max_tokens = "hash", "0", 16, 64

    def __init__(self) -> None:
        self.embedded: list[str] = []

    def count(self, texts: Sequence[str]) -> list[int]:
        return [len(t.split()) + 2 for t in texts]

    def passages(self, texts: Iterable[str]) -> Iterator[Vectors]:
        for text in texts:
            yield self.vectors([text])

    def vectors(self, texts: Sequence[str]) -> Vectors:
        self.embedded += texts
        return np.array([self.query(t) for t in texts], np.float32).reshape(len(texts), self.dim)

    def queries(self, texts: Sequence[str]) -> Vectors:
        return np.stack([self.query(t) for t in texts])

    def query(self, text: str) -> Vector:
        total = np.zeros(self.dim, np.float32)
        for word in text.lower().split() or [""]:
            seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "little")
            total += np.random.default_rng(seed).standard_normal(self.dim).astype(np.float32)
        return np.asarray(total / (np.linalg.norm(total) or 1), np.float32)


def key(text: str) -> bytes:
    """Return a cache key for a text."""
    return hashlib.sha256(text.encode()).digest()[:16]
