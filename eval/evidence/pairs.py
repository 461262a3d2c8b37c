"""Teach the bundled model to read a question and a passage together: what rag/embed/pairs.py adds to it, in torch."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from batches import Learning, balanced, in_batches
from cases import Case, States
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from transformers import AutoModel

from rag.embed.pairs import SCALE
from rag.embed.weights import BUNDLED, folder_of

THIN = 16
"""Columns of the thin matrices whose product is added to a matrix of the model."""
EPOCHS, BATCH, RATE, DECAY, DROPOUT = 4, 16, 1e-3, 1e-2, 0.1
POINTING = 0.3
"""What finding the answer's tokens weighs beside telling whether there is one."""
LONGEST = 320
"""Tokens of a question and a passage that are learnt from."""
WEIGHT = {
    "answerable": 1.0,
    "unanswerable": 1.0,
    "withheld": 0.3,
    "swapped": 0.3,
    "other": 0.4,
    "figure": 0.4,
    "confused": 0.5,
}
SHARE = {"withheld": 0.3, "swapped": 0.3, "other": 0.4, "figure": 0.6, "confused": 0.7}
"""Of the made pairs, how many are seen in an epoch, each time others."""
MOST_WEIGHT = 4.0
OFF = -1e4


@dataclass(eq=False)
class Pair:
    """A question and a passage as token ids, which of the passage's tokens are the answer's, and whether it answers."""

    set_name: str
    kind: str  # of a Case, or other: a passage beside the one that answers
    question: np.ndarray
    passage: np.ndarray
    answering: np.ndarray
    answers: bool


class Thin(nn.Module):
    """A fixed linear layer with a thin product added."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.layer = layer
        self.thin = nn.Linear(layer.in_features, THIN, bias=False)
        self.wide = nn.Linear(THIN, layer.out_features, bias=False)
        nn.init.zeros_(self.wide.weight)
        self.drop = nn.Dropout(DROPOUT)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) + SCALE * self.wide(self.thin(self.drop(x)))  # type: ignore[no-any-return]


class Taught(nn.Module):
    """The bundled model with what is learnt: log-odds of an answer, and of each token."""

    def __init__(self) -> None:
        super().__init__()
        # In halves four times as fast, and no worse to learn with or to measure by.
        self.exact = False
        self.body = AutoModel.from_pretrained(folder_of(BUNDLED), add_pooling_layer=False)
        for p in self.body.parameters():
            p.requires_grad = False
        for part in [m for layer in self.body.encoder.layer for m in layer.modules()]:
            for name, child in list(part.named_children()):
                if isinstance(child, nn.Linear):
                    setattr(part, name, Thin(child))
                if isinstance(child, nn.LayerNorm):
                    for p in child.parameters():
                        p.requires_grad = True
        self.answers, self.answering = (nn.Linear(self.body.config.hidden_size, 1) for _ in range(2))
        # At first nearly every token is no answer.
        nn.init.constant_(self.answering.bias, -5.0)

    def forward(self, b: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=not self.exact):
            states = self.body(
                input_ids=b["ids"], token_type_ids=b["types"], attention_mask=b["there"].long()
            ).last_hidden_state
        states = states.float()
        answering = self.answering(states)[..., 0].masked_fill(~b["may"], OFF)
        return self.answers(states[:, 0])[:, 0], answering

    def learnt(self) -> dict[str, np.ndarray]:
        """Return what is shipped, by name."""
        found = {}
        for name, p in self.named_parameters():
            if p.requires_grad:
                name = name.removeprefix("body.")
                # "…query.thin.weight" -> "…query.thin": there is nothing else.
                name = name.removesuffix(".weight") if ".thin." in name or ".wide." in name else name
                found[name] = p.detach().numpy().astype(np.float16)
        return found

    def learn(self, held: Mapping[str, np.ndarray]) -> None:
        """Take what is shipped."""
        own = self.state_dict()
        for name, w in held.items():
            full = f"{name}.weight" if name.endswith((".thin", ".wide")) else name
            full = full if full.startswith("answer") else f"body.{full}"
            own[full] = torch.from_numpy(np.asarray(w, np.float32))
        self.load_state_dict(own)


def pairs_of(cases: Sequence[Case], states: Mapping[str, States], scores: Sequence[np.ndarray]) -> list[Pair]:
    """Return what is to be learnt from some cases; `scores` are those that the network gave their candidates."""
    found: list[Pair] = []
    for c, s in zip(cases, scores, strict=True):
        order = passages_by(c, s)
        if c.kind != "answerable":
            found.append(pair(c, states, order[0]))
            continue
        if not c.gold.any():
            continue
        good = c.gold & c.answer
        here = int(c.passage[np.flatnonzero(good if good.any() else c.gold)[0]])
        found.append(pair(c, states, here))
        also = set(c.passage[c.gold | c.answer].tolist())
        others = [p for p in order if p not in also]
        if others and c.marked:
            found.append(pair(c, states, others[0], "other"))
    return found


def passages_by(case: Case, scores: np.ndarray) -> list[int]:
    """Return the passages of a case in the order of their best sentences."""
    return list(dict.fromkeys(case.passage[np.argsort(-scores, kind="stable")].tolist()))


def pair(case: Case, states: Mapping[str, States], passage: int, kind: str | None = None) -> Pair:
    """Return a case's question with one of its passages, `kind` being the case's unless told."""
    kind = kind or case.kind
    there = case.tokens[passage] >= 0
    # Of the passage's tokens the first only says where a text begins.
    ids = states[case.set_name].ids[case.tokens[passage][there]][1:]
    answering = case.answering[passage][there][1:] & (kind == "answerable")
    room = LONGEST - len(case.question.ids)
    return Pair(case.set_name, kind, case.question.ids, ids[:room], answering[:room], kind == "answerable")


def batch(pairs: Sequence[Pair]) -> dict[str, Tensor]:
    """Return some pairs as tensors, padded to the longest; `may` tells which tokens may be of the answer."""
    shape = len(pairs), max(len(p.question) + len(p.passage) for p in pairs)
    b = {name: torch.zeros(shape, dtype=torch.long) for name in ("ids", "types")}
    b |= {name: torch.zeros(shape, dtype=torch.bool) for name in ("there", "may", "answering")}
    for i, p in enumerate(pairs):
        start, end = len(p.question), len(p.question) + len(p.passage)
        b["ids"][i, :start] = torch.from_numpy(p.question)
        b["ids"][i, start:end] = torch.from_numpy(p.passage)
        b["types"][i, start:end] = 1
        b["there"][i, :end] = True
        b["may"][i, start : end - 1] = True
        b["answering"][i, start:end] = torch.from_numpy(p.answering)
    return b


def loss(taught: Taught, b: Mapping[str, Tensor], answers: Tensor, weight: Tensor) -> Tensor:
    """Return what is to be made small: whether the passage answers, and where."""
    odds, answering = taught(b)
    whether = F.binary_cross_entropy_with_logits(odds, answers.float(), weight=weight)
    has = b["answering"].any(1)
    shares = torch.log_softmax(torch.cat([answering, torch.zeros(len(answering), 1)], 1), 1)
    pointed = torch.logsumexp(shares[:, :-1].masked_fill(~b["answering"], OFF), 1)
    used = has | ~answers
    where = -(torch.where(has, pointed, shares[:, -1]) * used * weight).sum() / used.sum().clamp(min=1)
    return whether + POINTING * where


def fit(pairs: Sequence[Pair], epochs: int = EPOCHS, seed: int = 0) -> Taught:
    """Return the model taught by some pairs; of each set and kind the square root of their number counts."""
    torch.manual_seed(seed)
    rng = random.Random(seed)
    weight = balanced([(p.set_name, p.kind) for p in pairs], WEIGHT).clamp(max=MOST_WEIGHT)
    taught = Taught()
    steps = math.ceil(sum(SHARE.get(p.kind, 1.0) for p in pairs) / BATCH) + 30
    learning = Learning(taught, rate=RATE, decay=DECAY, steps=epochs * steps + 1, rising=0.1)
    for epoch in range(epochs):
        taught.train()
        began, total = time.monotonic(), 0.0
        seen = [i for i, p in enumerate(pairs) if rng.random() < SHARE.get(p.kind, 1.0)]
        batches = in_batches(seen, lambda i: len(pairs[i].question) + len(pairs[i].passage), BATCH, rng)[:steps]
        for some in batches:
            answers = torch.tensor([pairs[i].answers for i in some])
            value = loss(taught, batch([pairs[i] for i in some]), answers, weight[some])
            total += learning.step(value)
        took = time.monotonic() - began
        print(f"epoch {epoch + 1} of {epochs}: loss {total / len(batches):.3f}, {took:.0f} s", flush=True)
    return taught.eval()


def read(taught: Taught, pairs: Sequence[Pair]) -> list[tuple[float, np.ndarray]]:
    """Return the log-odds of each pair, and of each of its passage's tokens behind the first."""
    found: list[tuple[float, np.ndarray]] = [(0.0, np.empty(0))] * len(pairs)
    order = sorted(range(len(pairs)), key=lambda i: len(pairs[i].question) + len(pairs[i].passage))
    with torch.inference_mode():
        for at in range(0, len(order), 2 * BATCH):
            some = order[at : at + 2 * BATCH]
            odds, answering = taught(batch([pairs[i] for i in some]))
            for row, i in enumerate(some):
                start = len(pairs[i].question)
                found[i] = float(odds[row]), answering[row, start : start + len(pairs[i].passage)].numpy()
    return found
