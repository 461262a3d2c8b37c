"""What runs on a core elsewhere: the steps of an ingest, with a model of its own."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

import rag
from rag.embed.model import Model
from rag.errors import ModelError
from rag.handover import Vectors
from rag.intake import steps
from rag.intake.steps import Cut, Unread
from rag.settings import PassageSettings
from rag.types import Article, Failure


@dataclass(frozen=True, slots=True)
class Wanted:
    """What every worker must have and do alike."""

    version: str
    model: str
    digest: str
    dim: int
    max_tokens: int
    cache: str | None
    passages: PassageSettings


class Worker:
    """Reads, cuts and embeds on one thread; each method takes a batch and gives a result for each of it, in order."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted

    @cached_property
    def _model(self) -> Model:
        w = self._wanted
        return Model(w.model, digest=w.digest, cache=w.cache, threads=1)

    def start(self) -> str:
        """Return the name of this machine, once it is sure that the worker does what the others do.

        Raises ModelError.
        """
        w, machine = self._wanted, platform.node()
        if rag.__version__ != w.version:
            raise ModelError(
                f"{machine} has Footnote {rag.__version__}, this machine {w.version}: install the same on every machine"
            )
        try:
            has = self._model.digest, self._model.dim, self._model.max_tokens
        except ModelError as error:
            raise ModelError(f"on {machine}: {error}") from error
        if has != (w.digest, w.dim, w.max_tokens):
            raise ModelError(
                f"on {machine} the model {w.model!r} is another than here: install the same one on every machine"
            )
        return machine

    def read(self, given: Sequence[Unread]) -> list[Sequence[Article | Failure]]:
        """Return the articles of each."""
        return [steps.read(one) for one in given]

    def cut(self, articles: Sequence[Article]) -> list[Cut | Failure]:
        """Return the passages of each."""
        return [steps.cut(article, self._model, self._wanted.passages) for article in articles]

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors, shape (n, dim)."""
        return np.concatenate(list(self._model.passages(texts)))
