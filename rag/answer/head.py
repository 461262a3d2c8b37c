"""Small networks on top of the embedding model's token states: which sentences answer, and whether any does.

Every token of a passage is compared with every token of the question, by the cosine of their states, by
being the same word piece, and by a learned product.  Three things come of that: how well each word of the
question is met in a sentence and in its passage; for each word of the question, what in the passage answers
to it and whether that fits; and for each token of the passage, how likely it is a part of the answer.  With a
few plain features they make the score of a sentence; the best of them, against a learned score of "none",
give the odds that anything answers.

Comparing word by word and then adding up is after Parikh, Täckström, Das and Uszkoreit, "A Decomposable Attention Model
for Natural Language Inference", EMNLP 2016; the option to answer nothing after Rajpurkar, Jia and Liang, "Know What You
Don't Know: Unanswerable Questions for SQuAD", ACL 2018.  Some networks of the same kind, begun from different random
numbers, are asked and their means taken: Hansen and Salamon, "Neural Network Ensembles", IEEE Transactions on Pattern
Analysis and Machine Intelligence 12, 1990.  The weights are fitted by eval/evidence/fit.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
import numpy.typing as npt

from rag.handover import TokenStates

Array = npt.NDArray[np.float32]
Range = tuple[int, int]
"""Tokens [start:end] of a passage."""

FILE = "evidence.npz"
ONE_THREAD = 1 << 18
"""Multiplications up to which OpenBLAS keeps a product on one thread (interface/gemm.c: 4 times 65,536)."""

LEAST_ROWS = 8
"""Rows of a block from which such blocks pay."""

LEAST = -8.0
"""The match of a word of the question that nothing meets."""
NO_ANSWER = -20.0
"""The score of a sentence's likeliest answering token when it has no token."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the network makes of a question's candidates.

    `scores` are log-odds of each sentence against the others, shape (n,); `odds` the log-odds that any answers, not
    calibrated; `answering` for each passage the log-odds of each token to be a part of the answer.
    """

    scores: Array
    odds: float
    answering: list[Array]


@dataclass(frozen=True, slots=True)
class Compared:
    """A question's tokens and those of all its passages, and how they compare before any network looks.

    `asked` and `states` have shape (tokens, size of a state), `cosine` and `same` (tokens, words of the question);
    `passages` are the rows that each passage has.
    """

    asked: Array
    states: Array
    cosine: Array
    same: Array
    passages: list[slice]


class Head:
    """The networks, whose `weights` are named as in eval/evidence/network.py after the number of the network."""

    def __init__(self, weights: Mapping[str, npt.NDArray[np.generic]]) -> None:
        w = {name: np.asarray(w, np.float32) for name, w in weights.items() if w.dtype.kind == "f"}
        numbers = sorted({number for number in (name.partition(".")[0] for name in w) if number.isdigit()})
        self._networks = [
            Network({name.removeprefix(f"{n}."): x for name, x in w.items() if name.startswith(f"{n}.")})
            for n in numbers
        ]
        self._sure, self._bias = w["sure.weight"], w["sure.bias"]
        self.digest = str(weights["digest"])
        self.threshold = float(w["threshold"])
        self.pair_weight = float(w["pair.weight"])

    def read(
        self, question: TokenStates, passages: Sequence[TokenStates], ranges: Sequence[Sequence[Range]], rows: Array
    ) -> Reading:
        """Return what the networks make of sentences.

        `ranges` tells for each passage which of its tokens make up each of its sentences; `rows` holds the plain
        features of all sentences, in the same order, shape (n, features).
        """
        compared = _compared(question, passages)
        each = [network.read(compared, ranges, rows) for network in self._networks]
        return Reading(
            np.asarray(np.mean([r.scores for r in each], axis=0), np.float32),
            float(np.mean([r.odds for r in each])),
            [np.asarray(np.mean(of, axis=0), np.float32) for of in zip(*(r.answering for r in each), strict=True)],
        )

    def probability(self, row: npt.NDArray[np.float64]) -> float:
        """Return the calibrated probability that a question is answered, from its features.SURE."""
        odds = float(row @ self._sure + self._bias)
        return 1 / (1 + math.exp(-min(max(odds, -500.0), 500.0)))


class Network:
    """One network, by its weights."""

    def __init__(self, weights: Mapping[str, Array]) -> None:
        self._w = weights

    def read(self, compared: Compared, ranges: Sequence[Sequence[Range]], rows: Array) -> Reading:
        """Return what this network makes of sentences; see Head.read."""
        w, each, cosine, same = self._w, compared.passages, compared.cosine, compared.same
        q = self._linear("wq", compared.asked)
        importance = _softmax(self._linear("imp", compared.asked)[:, 0])
        # The tokens of all passages at once: a few products instead of many.
        t = self._linear("ws", compared.states)
        dots = product(t, q.T) / np.float32(math.sqrt(q.shape[1]))
        match = w["mix"][0] * cosine + w["mix"][1] * same + w["mix"][2] * np.tanh(dots)
        logits = self._answering(t, q, dots + match, cosine, same, importance)
        match = np.maximum(match, LEAST)
        met_by = np.stack([match[of].max(0) for of in each])
        fits = self._fitting(t, q, dots + match, each, met_by, np.stack([cosine[of].max(0) for of in each]))
        whole = np.stack([met_by @ importance, fits.sum(1) / math.sqrt(len(q)), fits.min(1)], 1)
        learned = []
        for of, told, sentences in zip(each, whole, ranges, strict=True):
            for start, end in sentences:
                met = match[of][start:end].max(0) if start < end else np.full(len(q), LEAST, np.float32)
                some = logits[of][start:end]
                likeliest = max(float(some.max()), NO_ANSWER) if start < end else NO_ANSWER
                mass = math.log(max(float(np.exp(np.minimum(some, 15)).sum()), 1e-6))
                learned.append([met @ importance, told[0], likeliest, mass, told[1], told[2]])
        features = np.concatenate([(rows - w["mu"]) / w["sd"], np.array(learned, np.float32)], 1)
        hidden = np.tanh(self._linear("f1", features))
        scores = (self._linear("flin", features) + self._linear("f2", hidden))[:, 0]
        return Reading(scores, self._odds(features, scores), [logits[of] for of in each])

    def _answering(self, t: Array, q: Array, match: Array, cosine: Array, same: Array, importance: Array) -> Array:
        attended = product(_softmax(match), q)
        x = np.concatenate(
            [t, attended, t * attended, cosine.max(1)[:, None], same.max(1)[:, None], (same @ importance)[:, None]], 1
        )
        return self._linear("a2", _gelu(self._linear("a1", x)))[:, 0]

    def _fitting(self, t: Array, q: Array, match: Array, passages: Sequence[slice], met: Array, cosine: Array) -> Array:
        """Return for each passage and word of the question how well what the one says of the other fits."""
        found = np.stack([_softmax(match[of].T) @ t[of] for of in passages])
        asked = np.broadcast_to(q, found.shape)
        x = np.concatenate([asked, found, asked * found, met[..., None], cosine[..., None]], -1)
        x = x.reshape(-1, x.shape[-1])
        return 3 * np.tanh(self._linear("c2", _gelu(self._linear("c1", x)))[:, 0]).reshape(met.shape)

    def _odds(self, features: Array, scores: Array) -> float:
        order = np.argsort(-scores, kind="stable")
        best = scores[order[0]]
        lead = min(float(best - scores[order[1]]), 20.0) if len(scores) > 1 else 0.0
        total = float(best) + math.log(float(np.exp(scores - best).sum()))
        x = np.append(features[order[0]], [best, lead, total]).astype(np.float32)[None, :]
        nothing = float(self._linear("n2", np.tanh(self._linear("n1", x)))[0, 0])
        return total - nothing

    def _linear(self, name: str, x: Array) -> Array:
        return np.asarray(product(x, self._w[f"{name}.weight"].T) + self._w[f"{name}.bias"], np.float32)


@cache
def shipped() -> Head:
    """Return the head that comes with the package, fitted on the bundled model's states."""
    with (resources.files("rag.answer") / FILE).open("rb") as file, np.load(file, allow_pickle=False) as held:
        return Head({name: held[name] for name in held.files})


def _compared(question: TokenStates, passages: Sequence[TokenStates]) -> Compared:
    said = question.spans[:, 0] < question.spans[:, 1]
    asked = np.asarray(question.states[said], np.float32)
    states = np.concatenate([p.states for p in passages]).astype(np.float32)
    ids = np.concatenate([p.ids for p in passages])
    same = np.asarray(ids[:, None] == question.ids[said][None, :], np.float32)
    ends = np.cumsum([len(p.ids) for p in passages])
    each = [slice(int(end) - len(p.ids), int(end)) for end, p in zip(ends, passages, strict=True)]
    return Compared(asked, states, product(_unit(states), _unit(asked).T), same, each)


def product(x: Array, y: Array) -> Array:
    """Return x @ y, computed in blocks of rows that BLAS does not spread over threads.

    Threads that wait for each other cost more than such a product: on a busy machine ten times as much.
    """
    rows = ONE_THREAD // y.size
    # Blocks of few rows cost more than they save.
    if rows < LEAST_ROWS:
        return np.asarray(x @ y, np.float32)
    whole = len(x) // rows * rows
    blocks = np.matmul(x[:whole].reshape(-1, rows, x.shape[1]), y).reshape(whole, y.shape[1])
    return np.concatenate([blocks, x[whole:] @ y])


def _softmax(x: Array) -> Array:
    e = np.exp(x - x.max(-1, keepdims=True))
    return np.asarray(e / e.sum(-1, keepdims=True), np.float32)


def _unit(x: Array) -> Array:
    return np.asarray(x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-12), np.float32)


def _gelu(x: Array) -> Array:
    return np.asarray(0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x))), np.float32)
