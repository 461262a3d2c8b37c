"""Stored articles cut and embedded again, as they were when they came: what a damaged index has lost."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import numpy as np

from rag.handover import NewPassage, Vectors
from rag.intake.chunk import chunk, short_title
from rag.intake.steps import key
from rag.intake.text import embedded_text
from rag.protocols import Embedder
from rag.store.faults import Pace
from rag.store.mend import Mending
from rag.types import Fingerprint

KEPT_AT_ONCE = 256
"""Vectors that an interruption may lose, at most."""


def embed_lost(t: Mending, embedder: Embedder, made: Fingerprint, pace: Pace) -> tuple[int, set[int]]:
    """Embed the passages whose vectors are lost, and no other.

    Returns the number of texts embedded, and the ordinals of articles with passages of which the text that was embedded
    is not known: what the model would read for them now has another key than they have, and no vector.
    """
    asked: deque[bytes] = deque()
    seen: set[bytes] = set()
    unknown: set[int] = set()

    def texts() -> Iterator[str]:
        title, short = "", ""
        for lost in t.lost():
            if made.title and lost.title != title:
                title, short = lost.title, short_title(lost.title, embedder, made.passage_tokens)
            text = embedded_text(short, lost.text)
            own = key(made.model_digest, text)
            if own != lost.key:
                if t.cached([own]):
                    # Not the vector was damaged but its name.
                    t.rename(lost.row, own)
                else:
                    unknown.add(lost.article)
            elif own not in seen:
                seen.add(own)
                asked.append(own)
                yield text

    embedded = 0
    fresh: list[Vectors] = []

    def keep() -> None:
        if fresh:
            vectors = np.concatenate(fresh)
            t.remember([asked.popleft() for _ in vectors], vectors)
            fresh.clear()

    try:
        for vectors in embedder.passages(texts()):
            fresh.append(vectors)
            embedded += len(vectors)
            pace.on(len(vectors))
            if sum(map(len, fresh)) >= KEPT_AT_ONCE:
                keep()
    finally:
        keep()
    return embedded, unknown


def cut_again(t: Mending, ord: int, embedder: Embedder, made: Fingerprint) -> int:
    """Add an article that was taken out, and return how many of its texts had to be embedded."""
    article, origin = t.article(ord)
    title = short_title(article.title, embedder, made.passage_tokens) if made.title else ""
    passages = chunk(article, embedder, tokens=made.passage_tokens, overlap=made.overlap_tokens, title=title)
    texts = [embedded_text(title, p.text) for p in passages]
    keys = [key(made.model_digest, text) for text in texts]
    there = t.cached(keys)
    missing = {k: text for k, text in zip(keys, texts, strict=True) if k not in there}
    if missing:
        t.remember(list(missing), np.concatenate(list(embedder.passages(missing.values()))))
    new = [NewPassage(p.start, p.end, p.section, k) for p, k in zip(passages, keys, strict=True)]
    t.add(article, new, origin)
    return len(missing)
