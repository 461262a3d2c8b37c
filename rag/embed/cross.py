"""A cross-encoder: it reads a question and a passage together, which takes far longer than comparing two vectors."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from rag.embed.weights import folder_of
from rag.errors import ModelError

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

log = logging.getLogger(__name__)

Scores = npt.NDArray[np.float32]


def cross_encoder(name: str, folder: Path | None) -> CrossEncoder:
    """Return a sentence-transformers CrossEncoder of that name or in that folder, loaded.  Raises ModelError."""
    if folder:
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from sentence_transformers import CrossEncoder

    log.info("loading cross-encoder %s", name)
    try:
        # Weights in any other format would be unpickled; Python that lies beside them is not run.
        model: CrossEncoder = CrossEncoder(
            str(folder or name), model_kwargs={"use_safetensors": True}, trust_remote_code=False
        )
    except Exception as e:  # the library raises whatever its many back ends do
        reason = " ".join(str(e).split())[:200]
        raise ModelError(f"cross-encoder {name!r} cannot be loaded: {reason}; check the name or folder") from e
    return model


class PairScorer:
    """Any sentence-transformers CrossEncoder with one output, by name or folder; loaded when first needed.

    Raises ModelError for a model that is not there or does not give one score a pair.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._folder = folder_of(name)
        self._lock = threading.Lock()

    @cached_property
    def _model(self) -> CrossEncoder:
        model = cross_encoder(self.name, self._folder)
        if model.num_labels != 1:
            raise ModelError(
                f"cross-encoder {self.name!r} gives {model.num_labels} numbers for a pair: name one that gives one"
            )
        return model

    def scores(self, question: str, texts: Sequence[str]) -> Scores:
        """Return how well each text answers the question, 0 to 1, shape (texts,).  The model cuts what is too long."""
        if not texts:
            return np.empty(0, np.float32)
        import torch

        with self._lock:
            found = self._model.predict(
                [(question, t) for t in texts],
                # Whatever its authors set: all that follows counts on a score between 0 and 1.
                activation_fn=torch.nn.Sigmoid(),
                show_progress_bar=False,
                convert_to_numpy=True,
            )
        return np.asarray(found, np.float32).reshape(len(texts))
