"""A model at work on torch in half precision, where the machine has hardware for that: a GPU, or a CPU with AMX.

In bfloat16 on AMX a token costs under a third of what it costs in float32, and nDCG does not move
(eval/results/precision.md).  Torch takes seconds to load, so it is for many texts.
"""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rag.embed import weights
from rag.embed.tokens import readable

if TYPE_CHECKING:
    from rag.types import Vectors

BATCH = {"cuda": 128, "cpu": 8}
"""Texts in one forward pass: on a CPU more of them no longer fit its cache (30,000 tokens a second with 32 of 240
tokens, 38,000 with 8)."""


def is_fast() -> bool:
    """Say whether this machine multiplies halves faster than float32, without loading torch where it does not."""
    return _has_amx() or _has_gpu()


def _has_amx() -> bool:
    try:
        return "amx_bf16" in Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return False


def _has_gpu() -> bool:
    try:
        driver = ctypes.CDLL("nvcuda.dll" if platform.system() == "Windows" else "libcuda.so.1")
        count = ctypes.c_int(0)
        if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)) or not count.value:
            return False
    except (OSError, AttributeError):
        return False
    import torch

    return torch.cuda.is_available()


class HalfPrecision:
    """Texts to vectors in float16 on a GPU, in bfloat16 on a CPU that multiplies it, else in float32."""

    def __init__(self, name: str, folder: Path | None, *, batch: int | None, passage_prompt: str) -> None:
        import torch

        self._prompt = passage_prompt
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self.batch = batch or BATCH[device]
        self._model: Any = weights.load(name, folder).to(device)
        if device == "cuda":
            self._model = self._model.half()
        elif _has_amx():
            self._model = self._model.bfloat16()

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of passages, shape (n, dim).  None may be longer than the model reads."""
        vectors = self._model.encode(
            [self._prompt + readable(t) for t in texts],
            batch_size=self.batch,
            convert_to_tensor=True,
            normalize_embeddings=False,
            prompt="",
            show_progress_bar=False,
        )
        # Normalised in float32: a half has too few bits for a length of 1.
        exact = vectors.float().cpu().numpy()
        return np.asarray(exact / np.linalg.norm(exact, axis=1, keepdims=True), np.float32)
