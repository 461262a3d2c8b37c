"""What the first passages found say about the question: pseudo-relevance feedback on either side.

Dense: Rocchio's rule on the vectors, as in Li, Mourad, Zhuang, Koopman and Zuccon, "Pseudo Relevance Feedback with Deep
Language Models and Dense Retrievers", TOIS 2023.  Lexical: RM3, as in Abdul-Jaleel et al., "UMass at TREC 2004".
"""

from __future__ import annotations

import numpy as np
from cases import Case, Scores, best_passages, candidates, fused, share, top
from fusion import Idea
from lexical import bm25


def rocchio(case: Case, passages: int, much: float) -> Scores:
    """Return the fusion with each question's vector moved towards those of the first passages found."""
    first = np.argsort(-fused(case), axis=1, kind="stable")[:, :passages]
    asked = (1 - much) * case.asked + much * case.vectors[first].mean(axis=1)
    asked /= np.linalg.norm(asked, axis=1, keepdims=True)
    dense = asked @ case.vectors.T
    among = top(dense, 100) | candidates(case)
    words = np.where(top(case.lexical, 100), case.lexical, 0)
    return best_passages(case, np.where(among, 0.65 * share(dense, among) + 0.35 * share(words, among), -2))


def rm3(case: Case, passages: int, terms: int, much: float) -> Scores:
    """Return the fusion with the question's words joined by the weightiest of the first passages found."""
    model = bm25(case)
    first = np.argsort(-fused(case), axis=1, kind="stable")[:, :passages]
    questions = model.questions(case.texts)
    weights = questions.copy().tolil()
    for n, some in enumerate(first):
        of_them = np.asarray(model.shares[some].mean(axis=0)).ravel() * model.rarity
        best = np.argsort(-of_them)[:terms]
        total = of_them[best].sum()
        own = questions[n].sum()
        weights[n] = questions[n] * (1 - much)
        for t in best:
            weights[n, t] += much * own * of_them[t] / max(total, 1e-9)
    words = np.asarray((weights.tocsr() @ model.weights.T).todense(), np.float32)
    among = candidates(case) | (top(words, 100) & (words > 0))
    words = np.where(top(words, 100), words, 0)
    return best_passages(case, np.where(among, 0.65 * share(case.dense, among) + 0.35 * share(words, among), -2))


IDEAS: dict[str, dict[str, Idea]] = {
    "feedback of vectors": {
        f"{p} passages, {m}": lambda c, p=p, m=m: rocchio(c, p, m) for p in (2, 5) for m in (0.1, 0.3)
    },
    "feedback of words": {
        f"{p} passages, 20 words, {m}": lambda c, p=p, m=m: rm3(c, p, 20, m) for p in (3, 8) for m in (0.2, 0.4)
    },
}
