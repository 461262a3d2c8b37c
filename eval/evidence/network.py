"""The network of rag/answer/head.py in torch, where it can be fitted; every name and step is the same as there."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from batches import Learning, balanced, in_batches
from cases import Case, States
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from rag.answer.head import LEAST, NO_ANSWER

WIDTH = 48
"""Of the learned product, and of the hidden layers that read it."""
DROPOUT = 0.3
EPOCHS, BATCH, RATE, DECAY = 5, 24, 3e-3, 1e-2
MADE_KINDS = ("withheld", "swapped", "figure")
MADE = 0.35
"""Share of the made cases seen in an epoch, each time others."""
WEIGHT = {"answerable": 1.0, "unanswerable": 1.0, "withheld": 0.4, "swapped": 0.4, "figure": 0.4}
OFF = -1e4


class Network(nn.Module):
    """Scores of candidates, of "none", and of tokens."""

    def __init__(self, rows: np.ndarray, states: int) -> None:
        super().__init__()
        d, features = WIDTH, rows.shape[1]
        self.wq, self.ws, self.imp = nn.Linear(states, d), nn.Linear(states, d), nn.Linear(states, 1)
        self.mix = nn.Parameter(torch.tensor([4.0, 1.0, 1.0]))
        self.a1, self.a2 = nn.Linear(3 * d + 3, d), nn.Linear(d, 1)
        self.c1, self.c2 = nn.Linear(3 * d + 2, d), nn.Linear(d, 1)
        k = features + 6
        self.f1, self.f2, self.flin = nn.Linear(k, 24), nn.Linear(24, 1), nn.Linear(k, 1)
        self.n1, self.n2 = nn.Linear(k + 3, 16), nn.Linear(16, 1)
        self.drop = nn.Dropout(DROPOUT)
        self.register_buffer("mu", torch.tensor(rows.mean(0)))
        self.register_buffer("sd", torch.tensor(rows.std(0) + 1e-6))

    def forward(self, b: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Return scores of shape (cases, candidates), of none (cases,), of tokens (cases, passages, tokens)."""
        said, there, same, sentence = b["said"], b["there"], b["same"], b["sentence"]
        cases, passages, tokens, _ = b["states"].shape
        words, candidates = said.shape[1], b["rows"].shape[1]
        q, t = self.drop(self.wq(b["question"])), self.drop(self.ws(b["states"]))
        product = torch.einsum("bptd,bjd->bptj", t, q) / math.sqrt(WIDTH)
        cosine, unsaid, absent = b["cosine"], ~said[:, None, None, :], ~there[..., None]
        match = self.mix[0] * cosine + self.mix[1] * same + self.mix[2] * torch.tanh(product)
        importance = torch.softmax(self.imp(b["question"])[..., 0].masked_fill(~said, OFF), -1)
        attended = torch.einsum(
            "bptj,bjd->bptd", torch.softmax((product + match).masked_fill(unsaid, OFF), -1), q
        )  # fmt: skip
        of_token = [
            cosine.masked_fill(unsaid, -1).amax(-1, keepdim=True),
            same.amax(-1, keepdim=True),
            torch.einsum("bptj,bj->bpt", same, importance)[..., None],
        ]
        hidden = F.gelu(self.a1(torch.cat([t, attended, t * attended, *of_token], -1)), approximate="tanh")
        answering = self.a2(self.drop(hidden))[..., 0]
        found = torch.einsum(
            "bptj,bptd->bpjd", torch.softmax((product + match).masked_fill(absent, OFF), 2), t
        )  # fmt: skip
        meets = match.masked_fill(absent, LEAST).clamp(min=LEAST)
        met = meets.amax(2)
        wide = q[:, None].expand(cases, passages, words, WIDTH)
        nearest = cosine.masked_fill(absent, -1).amax(2)
        hidden = F.gelu(
            self.c1(torch.cat([wide, found, wide * found, met[..., None], nearest[..., None]], -1)), approximate="tanh"
        )
        fits = 3 * torch.tanh(self.c2(self.drop(hidden))[..., 0])
        fit_sum = fits.masked_fill(~said[:, None], 0).sum(-1) / said.sum(-1)[:, None].clamp(min=1) ** 0.5
        fit_least = fits.masked_fill(~said[:, None], 9).amin(-1)
        flat = sentence.reshape(cases, passages * tokens)
        covered = torch.full((cases, candidates + 1, words), LEAST).scatter_reduce(
            1,
            flat[..., None].expand(-1, -1, words),
            meets.reshape(cases, passages * tokens, words),
            "amax",
        )[:, :-1]
        logits = answering.reshape(cases, passages * tokens)
        likeliest = torch.full((cases, candidates + 1), NO_ANSWER).scatter_reduce(1, flat, logits, "amax")[:, :-1]
        mass = torch.zeros(cases, candidates + 1).scatter_add(1, flat, torch.exp(logits.clamp(max=15)))[:, :-1]

        def of_passage(x: Tensor) -> Tensor:
            return torch.gather(x, 1, b["passage"])

        learned = [
            (covered * importance[:, None]).sum(-1),
            of_passage((met * importance[:, None]).sum(-1)),
            likeliest,
            mass.clamp(min=1e-6).log(),
            of_passage(fit_sum),
            of_passage(fit_least),
        ]
        features = torch.cat([(b["rows"] - self.mu) / self.sd, *[x[..., None] for x in learned]], -1)
        scores = (self.flin(features) + self.f2(torch.tanh(self.f1(features))))[..., 0].masked_fill(~b["held"], OFF)
        best = features[torch.arange(cases), scores.argmax(1)]
        two = scores.topk(2, 1).values if candidates > 1 else scores.expand(cases, 2)
        # A candidate that is only padding leads nothing.
        lead = torch.where(two[:, 1] > OFF / 2, two[:, 0] - two[:, 1], torch.zeros(cases)).clamp(max=20)
        summed = torch.cat([best, two[:, :1], lead[:, None], torch.logsumexp(scores, 1)[:, None]], -1)
        return scores, self.n2(torch.tanh(self.n1(summed)))[..., 0], answering


def batch(cases: Sequence[Case], states: Mapping[str, States]) -> dict[str, Tensor]:
    """Return some cases as tensors, padded to the largest."""
    n, words = len(cases), max(len(c.question.ids) for c in cases)
    passages, tokens = (max(c.tokens.shape[axis] for c in cases) for axis in (0, 1))
    candidates, width = max(len(c.gold) for c in cases), next(iter(states.values())).states.shape[1]
    b = {
        "question": torch.zeros(n, words, width),
        "said": torch.zeros(n, words, dtype=torch.bool),
        "states": torch.zeros(n, passages, tokens, width),
        "there": torch.zeros(n, passages, tokens, dtype=torch.bool),
        "sentence": torch.full((n, passages, tokens), candidates),
        "same": torch.zeros(n, passages, tokens, words),
        "answering": torch.zeros(n, passages, tokens),
        "rows": torch.zeros(n, candidates, cases[0].rows.shape[1]),
        "held": torch.zeros(n, candidates, dtype=torch.bool),
        "passage": torch.zeros(n, candidates, dtype=torch.long),
        "gold": torch.zeros(n, candidates, dtype=torch.bool),
    }
    for i, c in enumerate(cases):
        held, (p, t), k, m = states[c.set_name], c.tokens.shape, len(c.gold), len(c.question.ids)
        there = c.tokens >= 0
        said = c.question.spans[:, 0] < c.question.spans[:, 1]
        b["question"][i, :m] = torch.from_numpy(c.question.states.astype(np.float32))
        b["said"][i, :m] = torch.from_numpy(said)
        b["states"][i, :p, :t][torch.from_numpy(there)] = torch.from_numpy(
            held.states[c.tokens[there]].astype(np.float32)
        )
        b["there"][i, :p, :t] = torch.from_numpy(there)
        b["sentence"][i, :p, :t] = torch.from_numpy(np.where(c.sentence < 0, candidates, c.sentence).astype(np.int64))
        ids = np.where(there, held.ids[c.tokens], -1)
        b["same"][i, :p, :t, :m] = torch.from_numpy(((ids[..., None] == c.question.ids) & said).astype(np.float32))
        b["answering"][i, :p, :t] = torch.from_numpy(c.answering.astype(np.float32))
        b["rows"][i, :k] = torch.from_numpy(c.rows)
        b["held"][i, :k] = True
        b["passage"][i, :k] = torch.from_numpy(c.passage)
        b["gold"][i, :k] = torch.from_numpy(c.gold)
    b["cosine"] = torch.einsum(
        "bptd,bjd->bptj", F.normalize(b["states"], dim=-1), F.normalize(b["question"], dim=-1)
    )  # fmt: skip
    return b


def loss(network: Network, b: Mapping[str, Tensor], weight: Tensor, answerable: Tensor) -> Tensor:
    """Return what is to be made small: the evidence against all else, against the rest, and the answer's tokens."""
    scores, nothing, answering = network(b)
    gold, has = b["gold"], b["gold"].any(1) & answerable
    against_all = torch.log_softmax(torch.cat([scores, nothing[:, None]], 1), 1)
    found = torch.logsumexp(against_all[:, :-1].masked_fill(~gold, OFF), 1)
    first = -torch.logsumexp(torch.log_softmax(scores, 1).masked_fill(~gold, OFF), 1)
    # Where the evidence was not retrieved nothing is to be learnt from an answerable question.
    weight = torch.where(answerable & ~has, 0.0, weight)
    total = torch.where(has, first - found, -against_all[:, -1])
    pointed = F.binary_cross_entropy_with_logits(
        answering, b["answering"], reduction="none", pos_weight=torch.tensor(5.0)
    )
    tokens = (pointed * b["there"]).sum((1, 2)) / b["there"].sum((1, 2)) * (b["answering"].sum((1, 2)) > 0)
    return (weight * (total + 2 * tokens)).sum() / weight.sum().clamp(min=1e-6)


def fit(cases: Sequence[Case], states: Mapping[str, States], epochs: int = EPOCHS, seed: int = 0) -> Network:
    """Return a network fitted to some cases; of each set and kind the square root of their number counts."""
    torch.manual_seed(seed)
    rng = random.Random(seed)
    weight = balanced([(c.set_name, c.kind) for c in cases], WEIGHT)
    made = [i for i, c in enumerate(cases) if c.kind in MADE_KINDS]
    own = [i for i, c in enumerate(cases) if c.kind not in MADE_KINDS]
    width = next(iter(states.values())).states.shape[1]
    network = Network(np.concatenate([c.rows for c in cases]), width)
    steps = math.ceil((len(own) + int(MADE * len(made))) / BATCH) + 1
    learning = Learning(network, rate=RATE, decay=DECAY, steps=epochs * (steps + BATCH) + 1, rising=0.3)
    for epoch in range(epochs):
        network.train()
        total = 0.0
        seen = [*own, *rng.sample(made, int(MADE * len(made)))]
        batches = in_batches(seen, lambda i: cases[i].tokens.size, BATCH, rng)
        for some in batches:
            b = batch([cases[i] for i in some], states)
            answerable = torch.tensor([cases[i].kind == "answerable" for i in some])
            value = loss(network, b, weight[some], answerable)
            total += learning.step(value)
        print(f"epoch {epoch + 1} of {epochs}: loss {total / len(batches):.3f}", flush=True)
    return network.eval()


def scored(network: Network, cases: Sequence[Case], states: Mapping[str, States]) -> list[tuple[np.ndarray, float]]:
    """Return the scores of each case's candidates, and the raw log-odds that any answers."""
    found: list[tuple[np.ndarray, float]] = [(np.empty(0), 0.0)] * len(cases)
    order = sorted(range(len(cases)), key=lambda i: cases[i].tokens.size)
    with torch.inference_mode():
        for at in range(0, len(order), BATCH):
            some = order[at : at + BATCH]
            scores, nothing, _ = network(batch([cases[i] for i in some], states))
            odds = torch.logsumexp(scores, 1) - nothing
            for row, i in enumerate(some):
                found[i] = (scores[row, : len(cases[i].gold)].numpy(), float(odds[row]))
    return found
