"""Vectors put in another place: the common direction taken out, hubs pushed back, the question without its question.

Common direction: Mu and Viswanath, "All-but-the-Top", ICLR 2018.  Hubs, the passages near to everything: Lample et al.,
"Word Translation Without Parallel Data", ICLR 2018 (CSLS).
"""

from __future__ import annotations

import numpy as np
from articles import unit, with_dense
from cases import Case, Scores
from fusion import Idea


def centred(case: Case, much: float) -> Scores:
    """Return the fusion with a part of the mean vector of all passages taken out of passages and questions."""
    middle = much * case.vectors.mean(axis=0)
    return with_dense(case, unit(case.asked - middle) @ unit(case.vectors - middle).T)


def without_hubs(case: Case, much: float, k: int = 10) -> Scores:
    """Return the fusion with a part of a passage's mean cosine with its nearest others taken off its dense score."""
    apart = np.empty(len(case.own), np.float32)
    for at in range(0, len(case.own), 1_000):
        # One more than k, because each is nearest to itself.
        near = case.own[at : at + 1_000] @ case.own.T
        apart[at : at + 1_000] = (np.partition(near, -k - 1, axis=1)[:, -k - 1 :].sum(axis=1) - 1) / k
    return with_dense(case, case.dense - much * apart)


def keywords(case: Case, much: float) -> Scores:
    """Return the fusion with the question's vector moved towards that of its content words alone."""
    return with_dense(case, unit((1 - much) * case.asked + much * case.keywords) @ case.vectors.T)


IDEAS: dict[str, dict[str, Idea]] = {
    "common direction taken out": {f"{m}": lambda c, m=m: centred(c, m) for m in (0.5, 1.0)},
    "hubs pushed back": {f"{m}": lambda c, m=m: without_hubs(c, m) for m in (0.1, 0.3)},
    "vector of the question's keywords": {f"{m}": lambda c, m=m: keywords(c, m) for m in (0.25, 0.5)},
}
