"""A model of natural language inference: how likely a quote entails a sentence, and how likely it contradicts it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from rag.embed.cross import cross_encoder
from rag.embed.weights import folder_of
from rag.errors import InvalidSettings

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

WANTED = ("entailment", "contradiction")


class Entailment:
    """Any sentence-transformers CrossEncoder with those labels, by name or folder; loaded when first needed.

    The order of the labels is the model's own.  Raises ModelError for a model that is not there, and InvalidSettings
    for one that has no such labels.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._folder = folder_of(name)
        self._lock = threading.Lock()

    @cached_property
    def _model(self) -> CrossEncoder:
        return cross_encoder(self.name, self._folder)

    @cached_property
    def _columns(self) -> dict[str, int]:
        """Where each label stands in what the model gives."""
        config: Any = self._model.config
        labels = {int(n): str(label).lower() for n, label in config.id2label.items()}
        found = {w: n for w in WANTED for n, label in labels.items() if label == w}
        if len(found) < len(WANTED):
            raise InvalidSettings(
                f"setting answer.entailment={self.name!r}: its labels are {', '.join(labels.values())}, not those of "
                "natural language inference: name a model with the labels entailment and contradiction"
            )
        return found

    def __call__(self, quote: str, sentence: str) -> Mapping[str, float]:
        """Return the probabilities of "entailment" and "contradiction".  The model cuts what is too long."""
        with self._lock:
            columns = self._columns
            given = self._model.predict([(quote, sentence)], apply_softmax=True, show_progress_bar=False)
        row = np.asarray(given, np.float64).reshape(-1)
        return {label: float(row[n]) for label, n in columns.items()}
