"""What both fits share: batches of about one size, a step of learning, and what examples weigh."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

TOGETHER = 20
"""Batches whose cases are sorted by size together."""


def in_batches(chosen: list[int], size_of: Callable[[int], int], most: int, rng: random.Random) -> list[list[int]]:
    """Return batches of at most so many in random order, each of cases of about one size; `chosen` is shuffled."""
    rng.shuffle(chosen)
    found = []
    for at in range(0, len(chosen), TOGETHER * most):
        some = sorted(chosen[at : at + TOGETHER * most], key=size_of)
        found += [some[i : i + most] for i in range(0, len(some), most)]
    rng.shuffle(found)
    return found


class Learning:
    """Weights of a network on their way down, by AdamW with one cycle of rates (Smith and Topin 2019)."""

    def __init__(self, network: nn.Module, *, rate: float, decay: float, steps: int, rising: float) -> None:
        self.weights = [p for p in network.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(self.weights, lr=rate, weight_decay=decay)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, rate, total_steps=steps, pct_start=rising
        )  # fmt: skip

    def step(self, value: Tensor) -> float:
        """Take a step against a loss, and return it."""
        self.optimizer.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(self.weights, 1.0)
        self.optimizer.step()
        self.schedule.step()
        return float(value.item())


def balanced(kinds: Sequence[tuple[str, str]], weight: Mapping[str, float]) -> Tensor:
    """Return what each example weighs, 1 on average; `kinds` names the set and the kind of each.

    Of each set and kind the square root of their number counts, so that a large set does not drown a small one.
    """
    count = Counter(kinds)
    found = torch.tensor([weight[kind] / count[name, kind] ** 0.5 for name, kind in kinds])
    return found / found.mean()
