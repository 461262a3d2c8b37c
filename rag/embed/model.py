"""The Embedder that everyone gets: any sentence-transformers model, run without torch wherever that is as good."""

from __future__ import annotations

import itertools
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import cast

import numpy as np
import platformdirs

from rag.embed import half, prepare, weights
from rag.embed.network import Network, Reader
from rag.embed.prepare import Prepared
from rag.embed.weights import BUNDLED
from rag.errors import ModelError
from rag.files import sha256
from rag.handover import PairReading, TokenStates, Vector, Vectors

TEXTS_A_TASK = 8
"""Texts that one thread takes at a time."""

MANY = 2_000
"""Texts from which on half precision pays for loading torch; fewer are embedded in float32."""

Encode = Callable[[Sequence[str]], Vectors]
"""Embeds some passages in the calling thread."""


class Model:
    """An Embedder.  Made without loading anything; each part is loaded when first needed.

    Passages are embedded in the model's precision (half: at least), all else in float32.  `digest` is
    that of the weights, with the precision where it is not float32; one given here, as an index
    records it, names weights that need not be looked at again once they have been prepared.
    Texts are embedded side by side on so many `threads`, unset: one a core.

    Raises ModelError for a model that is not there, or a bundled one whose weights are not its authors'.
    """

    def __init__(
        self,
        name: str | None = None,
        *,
        digest: str | None = None,
        precision: str | None = None,
        batch: int | None = None,
        cache: str | Path | None = None,
        threads: int | None = None,
    ) -> None:
        self.name = name or BUNDLED
        self._threads = threads or cores()
        self._batch = batch
        self._cache = Path(cache).expanduser() if cache else platformdirs.user_cache_path("footnote") / "models"
        recorded, _, of_it = (digest or "").partition("-")
        if digest and not prepare.DIGEST.fullmatch(recorded):
            # It names a folder.
            raise ModelError(f"{digest[:80]!r} is no digest of a model: build the index anew with --rebuild")
        self._recorded = recorded
        self._precision = precision or (of_it or "float32" if digest else None)
        self._lock = threading.RLock()
        if not self._recorded:
            _ = self._folder  # A folder that does not exist is told at once.

    @cached_property
    def _folder(self) -> Path | None:
        return weights.folder_of(self.name)

    @cached_property
    def precision(self) -> str:
        """float32, int8 or half: as asked for, else half with a GPU."""
        return self._precision or ("half" if half.has_gpu() else "float32")

    @property
    def digest(self) -> str:
        return self._weights if self.precision == "float32" else f"{self._weights}-{self.precision}"

    @cached_property
    def _weights(self) -> str:
        return self._recorded or weights.digest(self.name, self._folder)

    @property
    def prepared(self) -> Prepared:
        """What is known of the prepared model, which is made when there is none."""
        with self._lock:
            return self._prepared

    @cached_property
    def _prepared(self) -> Prepared:
        found = prepare.find(self._cache, self._weights)
        if found:
            return found
        there = weights.digest(self.name, self._folder)
        if there != self._weights:
            raise ModelError(
                f"model {self.name!r} of digest {self._weights} is wanted, the one installed has {there}: "
                "install that one, or build the index anew with `rag ingest SOURCE --rebuild`"
            )
        return prepare.prepare(self._cache, self._weights, self.name, weights.load(self.name, self._folder))

    @property
    def folder(self) -> Path:
        """Where the prepared model lies, or will."""
        return self._cache / self._weights

    def is_known(self) -> bool:
        """Say whether it may be loaded though only an index names it: it is the bundled one or was prepared here."""
        return self.name == BUNDLED or prepare.known_as(self._cache, self._weights) == self.name

    def is_prepared(self) -> bool:
        """Say whether the model can be used without torch already."""
        return prepare.find(self._cache, self._weights) is not None

    def damaged(self) -> list[Path]:
        """Return the files whose content is not what was written: of the prepared model, and of the bundled one."""
        found = prepare.find(self._cache, self._weights)
        held = found.sha256 if found else {}
        spoiled = [self.folder / name for name, told in held.items() if sha256(self.folder / name) != told]
        if self.name == BUNDLED and self._folder and not weights.is_published(self._folder):
            spoiled.append(self._folder / weights.FILE)
        return spoiled

    @property
    def dim(self) -> int:
        return self.prepared.dim

    @property
    def max_tokens(self) -> int:
        return self.prepared.max_tokens

    @cached_property
    def _reader(self) -> Reader:
        p = self.prepared
        path = self.folder / "tokenizer.json"
        return Reader(path, p.max_tokens, p.passage_prompt, p.query_prompt)

    def _network(self, precision: str, threads: int) -> Network:
        _ = self.prepared
        return Network(self.folder, precision, threads)

    @cached_property
    def _for_queries(self) -> Network:
        return self._network("float32", threads=self._threads)

    @cached_property
    def _side_by_side(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._threads, thread_name_prefix="embed")

    @cached_property
    def _exact(self) -> Network:
        return self._network("float32", threads=1)

    @cached_property
    def _for_pairs(self) -> Network:
        return self._network("pairs", threads=1)

    @cached_property
    def _small(self) -> Network:
        return self._network("int8", threads=1)

    def _on_onnx(self, network: Network) -> Encode:
        reader = self._reader
        return lambda texts: np.concatenate([network.run(ids) for ids in reader.passages(texts)])

    @cached_property
    def _half(self) -> tuple[Encode, int]:
        """How to embed on torch, and how many texts to give it at a time."""
        reader = self._reader
        model = half.HalfPrecision(
            self.name, self._folder, batch=self._batch, passage_prompt=self.prepared.passage_prompt
        )

        def encode(texts: Sequence[str]) -> Vectors:
            reader.passages(texts)  # Raises for a text that torch would cut silently.
            return model.encode(texts)

        # It sorts what it is given by length, and from many it makes batches with little padding.
        return encode, 16 * model.batch

    def count(self, texts: Sequence[str]) -> list[int]:
        return self._reader.count(texts)

    def passages(self, texts: Iterable[str]) -> Iterator[Vectors]:
        waiting = iter(texts)
        if self.precision == "half":
            first = list(itertools.islice(waiting, MANY))
            waiting = itertools.chain(first, waiting)
            if len(first) == MANY:
                with self._lock:
                    encode, size = self._half
                # While one task computes, another's texts are turned into tokens: half as fast again as one by one.
                return self._stream(encode, waiting, size, ahead=2)
        with self._lock:
            encode = self._on_onnx(self._small if self.precision == "int8" else self._exact)
        return self._stream(encode, waiting, TEXTS_A_TASK, ahead=2 * self._threads)

    def vectors(self, texts: Sequence[str]) -> Vectors:
        with self._lock:
            encode = self._on_onnx(self._exact)
        return self._all(encode, texts)

    def queries(self, texts: Sequence[str]) -> Vectors:
        if len(texts) == 1:
            return self.query(texts[0])[None, :]
        with self._lock:
            reader, network = self._reader, self._exact
        return self._all(lambda some: np.concatenate([network.run(reader.query(t)) for t in some]), texts)

    def tokens(self, texts: Sequence[str]) -> list[TokenStates]:
        """Return what the model makes of each token of some texts; see TokenReader.

        With weights of 8 bits, which read twice as many and find the same answers (eval/results/choices.md).
        """
        with self._lock:
            reader, network = self._reader, self._small

        def read(text: str) -> TokenStates:
            ids, spans = reader.places(text)
            return TokenStates(ids[0], np.array(spans, np.int64).reshape(-1, 2), network.states(ids))

        return list(self._side_by_side.map(read, texts))

    def pairs(self, question: TokenStates, passages: Sequence[TokenStates]) -> list[PairReading]:
        """Return what the model makes of a question and each of some passages read together; see TokenReader."""
        with self._lock:
            network = self._for_pairs
        ids = question.ids[None, :]
        found = self._side_by_side.map(lambda p: network.pair(ids, p.ids[None, :]), passages)
        return [PairReading(odds, answering) for odds, answering in found]

    def _all(self, encode: Encode, texts: Sequence[str]) -> Vectors:
        found = list(self._stream(encode, iter(texts), TEXTS_A_TASK, ahead=len(texts)))
        return np.concatenate(found) if found else np.empty((0, self.dim), np.float32)

    def _stream(self, encode: Encode, texts: Iterator[str], size: int, ahead: int) -> Iterator[Vectors]:
        """Yield the vectors of texts in order; `ahead` tasks of `size` texts are taken before their turn."""
        running: deque[Future[Vectors]] = deque()
        try:
            while True:
                while len(running) < ahead and (task := list(itertools.islice(texts, size))):
                    running.append(self._side_by_side.submit(encode, task))
                if not running:
                    return
                yield running.popleft().result()
        finally:
            for future in running:
                future.cancel()

    def query(self, text: str) -> Vector:
        with self._lock:
            reader, network = self._reader, self._for_queries
        return cast(Vector, network.run(reader.query(text))[0])


def cores() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
