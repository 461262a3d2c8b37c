"""The bundled model as it was taught to read a question and a passage together.

Two texts read apart tell how near they are; whether one answers the other shows only when every word of the
question is read beside every word of the passage.  Each matrix of its layers has a product of two thin ones
added to it, and their norms are fitted again, which makes a thirtieth of the model's numbers; this is all that comes
with the package.  The first token then gives the log-odds that the passage answers, every other one how likely it is a
part of the answer.

Thin products after Hu and others, "LoRA: Low-Rank Adaptation of Large Language Models", ICLR 2022; reading both
at once after Nogueira and Cho, "Passage Re-ranking with BERT", 2019.  Fitted by eval/evidence/pairs.py.
"""

from __future__ import annotations

import copy
import hashlib
import io
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch

SCALE = 2.0
"""What the thin products are multiplied by."""

Weights = dict[str, npt.NDArray[np.float32]]


def file_of(model: str) -> Traversable:
    """Return where lies what the model of a digest was taught, whether or not there is such a file."""
    return resources.files("rag.embed") / f"{model[:16]}.npz"


@cache
def digest(model: str) -> str:
    """Return the digest of what the model of a digest was taught, empty for one that was taught nothing."""
    file = file_of(model)
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16] if file.is_file() else ""


def weights(model: str) -> Weights:
    """Return what the model of a digest was taught, by the names of eval/evidence/pairs.py."""
    with np.load(io.BytesIO(file_of(model).read_bytes()), allow_pickle=False) as held:
        return {name: np.asarray(held[name], np.float32) for name in held.files}


def taught(model: Any, weights: Weights) -> torch.nn.Module:
    """Return a BERT `model` as it was taught, a network of token ids and types, both of shape
    (texts, tokens), to log-odds of shapes (texts,) and (texts, tokens).
    """
    import torch

    body = copy.deepcopy(model)
    state = body.state_dict()
    for name, w in weights.items():
        if name.endswith(".thin"):
            name = name.removesuffix(".thin")
            wide = torch.from_numpy(weights[f"{name}.wide"] @ w)
            state[f"{name}.weight"] = state[f"{name}.weight"] + SCALE * wide
        elif name in state:
            state[name] = torch.from_numpy(w)
    body.load_state_dict(state)

    class Pair(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = body
            self.answers, self.answering = (_line(weights, part) for part in ("answers", "answering"))

        def forward(self, ids: torch.Tensor, types: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            states = self.body(input_ids=ids, token_type_ids=types).last_hidden_state
            return self.answers(states[:, 0])[:, 0], self.answering(states)[..., 0]

    return Pair()


def _line(weights: Weights, name: str) -> torch.nn.Linear:
    import torch

    layer = torch.nn.Linear(weights[f"{name}.weight"].shape[1], 1)
    layer.load_state_dict({part: torch.from_numpy(weights[f"{name}.{part}"]) for part in ("weight", "bias")})
    return layer
