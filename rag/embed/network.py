"""A prepared model at work: the tokenizer and the network on onnxruntime, one text a run, nothing padded.

A run on one text with one thread is the fastest way through a batch on a CPU: no token is padding,
and what a run touches stays in the core's own cache.  Runs go side by side, one a core.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from rag.embed.tokens import Tokens, in_text, readable
from rag.errors import ModelError, TextTooLong

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from rag.handover import Vectors

Ids = npt.NDArray[np.int64]
"""One text's tokens, shape (1, n)."""

NOWHERE = -1e4
"""Log-odds of a token that is no part of the text."""


class Reader:
    """Texts to tokens."""

    def __init__(self, path: Path, max_tokens: int, passage_prompt: str = "", query_prompt: str = "") -> None:
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        self._path, self.max_tokens = path, max_tokens
        self._passage_prompt, self._query_prompt = passage_prompt, query_prompt

    @cached_property
    def _whole(self) -> Tokens:
        return Tokens(self._load())

    @cached_property
    def _cutting(self) -> Tokenizer:
        cutting = self._load()
        cutting.enable_truncation(self.max_tokens)
        return cutting

    def _load(self) -> Tokenizer:
        from tokenizers import Tokenizer

        try:
            return Tokenizer.from_file(str(self._path))
        except Exception as e:  # the library raises bare Exceptions
            raise ModelError(f"{self._path} cannot be read ({e}): delete its folder, it will be made again") from e

    def count(self, texts: Sequence[str]) -> list[int]:
        """Return how many tokens each passage costs, its prompt and special tokens included."""
        return self._whole.count([self._passage_prompt + text for text in texts])

    def passages(self, texts: Sequence[str]) -> list[Ids]:
        """Return the tokens of passages.  Raises TextTooLong."""
        found = self._whole.ids([self._passage_prompt + text for text in texts])
        for ids, text in zip(found, texts, strict=True):
            if len(ids) > self.max_tokens:
                raise TextTooLong(
                    f"a text of {len(ids)} tokens ({text[:40]!r}…) is longer than the {self.max_tokens} "
                    "that the model reads: lower passages.tokens"
                )
        return [np.array([ids], np.int64) for ids in found]

    def query(self, text: str) -> Ids:
        """Return the tokens of a question, at most as many as the model reads."""
        return np.array([self._cutting.encode(self._query_prompt + readable(text)).ids], np.int64)

    def places(self, text: str) -> tuple[Ids, list[tuple[int, int]]]:
        """Return the tokens of a text without a prompt, at most as many as the model reads, and where each stands.

        A token that stands nowhere, as those before and after a text, has an empty span.
        """
        found = self._cutting.encode(readable(text))
        return np.array([found.ids], np.int64), in_text(text, found.offsets)


class Network:
    """Tokens to a vector, to states, or with a question's to odds.

    May run in several threads at once; each run uses `threads` of its own.
    """

    def __init__(self, folder: Path, precision: str, threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # The file holds the network as it should run.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        # A question's threads wait for each other by spinning, which takes a third off its time, and stop
        # when it is done: threads that go on spinning take the processor from whoever asked.
        options.add_session_config_entry("session.intra_op.allow_spinning", "1" if threads > 1 else "0")
        options.add_session_config_entry("session.force_spinning_stop", "1")
        path = folder / f"{precision}.onnx"
        try:
            self._session: Any = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as e:  # the library raises bare Exceptions
            reason = " ".join(str(e).split())[:160]
            raise ModelError(f"{path} cannot be used ({reason}): delete its folder, it will be made again") from e

    def run(self, ids: Ids) -> Vectors:
        """Return the vector of one text, shape (1, dim)."""
        return cast("Vectors", self._session.run(["vectors"], {"ids": ids})[0])

    def states(self, ids: Ids) -> Vectors:
        """Return what the network makes of each token of one text, shape (n, width)."""
        return cast("Vectors", self._session.run(["states"], {"ids": ids})[0][0])

    def pair(self, question: Ids, passage: Ids) -> tuple[float, npt.NDArray[np.float32]]:
        """Return the log-odds that a passage answers a question, and of each of its tokens to be of the answer."""
        # A passage's first token only says where a text begins.
        ids = np.concatenate([question, passage[:, 1:]], 1)
        types = np.repeat(np.array([[0, 1]]), [question.shape[1], passage.shape[1] - 1], axis=1)
        odds, answering = self._session.run(["odds", "answering"], {"ids": ids, "types": types})
        of_passage = answering[0, question.shape[1] - 1 :]
        of_passage[[0, -1]] = NOWHERE
        return float(odds[0]), of_passage
