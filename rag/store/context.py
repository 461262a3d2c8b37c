"""The vector that a passage is found by: its own, with a share of its article's.

A short passage seldom names what its article is about; the article's mean vector does.  The sum of both cosines is the
inner product with one vector, so that a search costs nothing more.  Passages judged with their article: Callan,
"Passage-Level Evidence in Document Retrieval", SIGIR 1994.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rag.handover import Vectors


def in_context(vectors: Vectors, articles: npt.NDArray[np.int64], share: float) -> Vectors:
    """Return (1 - share) of each vector plus `share` of its article's mean vector brought to length 1.

    `articles`, shape (n,), names the article of each vector, shape (n, dim); those of an article lie together and are
    all there.  The only passage of an article keeps its vector.
    """
    if not share or not len(vectors):
        return vectors
    firsts = np.flatnonzero(np.append(True, articles[1:] != articles[:-1]))
    sizes = np.diff(np.append(firsts, len(vectors)))
    sums = np.add.reduceat(vectors, firsts, axis=0)
    means = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9)
    mixed = (1 - share) * vectors + share * np.repeat(means, sizes, axis=0)
    return np.where(np.repeat(sizes, sizes)[:, None] > 1, mixed, vectors).astype(np.float32)
