"""A prepared model at work: the tokenizer and the network on onnxruntime, one text a run, nothing padded.

A run on one text with one thread is the fastest way through a batch on a CPU: no token is padding,
and what a run touches stays in the core's own cache.  Runs go side by side, one a core.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from rag.errors import ModelError, TextTooLong

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

    from rag.types import Vectors

Ids = npt.NDArray[np.int64]
"""One text's tokens, shape (1, n)."""

LONGEST_WORD = 40
"""Letters that stand together in what a model reads.

WordPiece gives a word of over 100 letters the one token for unknown words, so such a run would
count as nothing; broken up it is read.  Few real words are longer than this.
"""
_LONG_RUN = re.compile(rf"\S{{{LONGEST_WORD}}}(?=\S)")


def readable(text: str) -> str:
    """Return the text as the model should read it: long unspaced runs broken up."""
    return _LONG_RUN.sub(lambda m: m.group() + " ", text)


class Reader:
    """Texts to tokens."""

    def __init__(self, path: Path, max_tokens: int, passage_prompt: str = "", query_prompt: str = "") -> None:
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        self._path, self.max_tokens = path, max_tokens
        self._passage_prompt, self._query_prompt = passage_prompt, query_prompt

    @cached_property
    def _whole(self) -> Tokenizer:
        return self._load()

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
        return [len(e.ids) for e in self._encoded(texts)]

    def passages(self, texts: Sequence[str]) -> list[Ids]:
        """Return the tokens of passages.  Raises TextTooLong."""
        encoded = self._encoded(texts)
        for e, text in zip(encoded, texts, strict=True):
            if len(e.ids) > self.max_tokens:
                raise TextTooLong(
                    f"a text of {len(e.ids)} tokens ({text[:40]!r}…) is longer than the {self.max_tokens} "
                    "that the model reads: lower passages.tokens"
                )
        return [np.array([e.ids], np.int64) for e in encoded]

    def query(self, text: str) -> Ids:
        """Return the tokens of a question, at most as many as the model reads."""
        return np.array([self._cutting.encode(self._query_prompt + readable(text)).ids], np.int64)

    def _encoded(self, texts: Sequence[str]) -> list[Encoding]:
        return self._whole.encode_batch_fast([self._passage_prompt + readable(t) for t in texts])


class Network:
    """Tokens to a vector.  May run in several threads at once; each run uses `threads` of its own."""

    def __init__(self, folder: Path, precision: str, threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # The file holds the network as it should run.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        # Threads that wait by spinning take the processor from whoever asked.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        path = folder / f"{precision}.onnx"
        try:
            self._session: Any = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as e:  # the library raises bare Exceptions
            reason = " ".join(str(e).split())[:160]
            raise ModelError(f"{path} cannot be used ({reason}): delete its folder, it will be made again") from e

    def run(self, ids: Ids) -> Vectors:
        """Return the vector of one text, shape (1, dim)."""
        return cast("Vectors", self._session.run(None, {"ids": ids})[0])
