"""A model at work on torch in half precision, where the machine has hardware for that: a GPU, or a CPU with AMX.

Torch takes seconds to load, so it is for many texts.  On AMX it is for those who ask for it: it
embeds twice as fast as float32 on onnxruntime, and takes a gigabyte where that takes a fifth of one.
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
    from rag.handover import Vectors

BATCH = {"cuda": 128, "cpu": 32}
"""Texts in one forward pass."""


def has_amx() -> bool:
    """Say whether the processor multiplies halves."""
    try:
        return "amx_bf16" in Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return False


def has_gpu() -> bool:
    """Say whether torch would find a GPU, without loading torch where there is no driver for one."""
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
        elif has_amx():
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
