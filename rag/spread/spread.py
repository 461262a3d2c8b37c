"""The steps of an ingest on the workers of a pool.

The results of each step come in the order of what it was given, so an ingest decides as it does when nothing is spread,
and no more is under way at a time than a few batches a worker: whoever makes what is given is asked for more only when
there is room.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np

import rag
from rag.embed.model import MANY, Model
from rag.handover import Vectors
from rag.intake.sources import Raw
from rag.intake.steps import Cut, Unread
from rag.settings import Settings
from rag.spread.cluster import cluster
from rag.spread.pool import Pool, Task
from rag.spread.worker import Wanted, Worker
from rag.types import Article, Failure

READ_BYTES = 256 * 1024
"""Of pages in a batch; a larger page is one by itself."""

CUT_CHARS = 128 * 1024
"""Of articles in a batch."""

READ_AHEAD, CUT_AHEAD, EMBED_AHEAD = 8, 4, 3
"""Batches under way for each worker, at most.  A page may hold much that is no text, so most are read ahead."""

T = TypeVar("T")


class Spread:
    """Work done by the workers of a pool; see `rag.intake.steps.Work`."""

    def __init__(self, pool: Pool, *, batch: int) -> None:
        self.pool, self._batch = pool, batch

    @property
    def on_wait(self) -> Callable[[], None]:
        return self.pool.on_wait

    @on_wait.setter
    def on_wait(self, on_wait: Callable[[], None]) -> None:
        self.pool.on_wait = on_wait

    def read(self, given: Iterable[Unread]) -> Iterator[Sequence[Article | Failure]]:
        for batch, results in self._each("read", given, _size, READ_BYTES, READ_AHEAD):
            for one, found in zip(batch, results, strict=True):
                yield [Failure(_named(one), found.reason)] if isinstance(found, Failure) else found

    def cut(self, articles: Iterable[Article]) -> Iterator[Cut | Failure]:
        for _, results in self._each("cut", articles, lambda a: len(a.text), CUT_CHARS, CUT_AHEAD):
            yield from results

    def embed(self, texts: Iterable[str]) -> Iterator[Vectors | Failure]:
        for _, results in self._each("embed", texts, lambda _: 1, self._batch, EMBED_AHEAD):
            if isinstance(results, np.ndarray):
                yield results
            else:
                yield from (found if isinstance(found, Failure) else found[None, :] for found in results)

    def _each(
        self, step: str, given: Iterable[T], size: Callable[[T], int], most: int, ahead: int
    ) -> Iterator[tuple[Sequence[T], Any]]:
        """Yield batches of up to `most` in size and what came of them, in order; `ahead` are under way a worker."""
        batches = _batches(given, size, most)
        running: deque[tuple[Task, int]] = deque()
        room = most * ahead * self.pool.workers
        while True:
            # One that is larger than all the room goes by itself.
            while (not running or room > 0) and (batch := next(batches, None)):
                weight = sum(map(size, batch))
                room -= weight
                running.append((self.pool.submit(step, batch), weight))
            if not running:
                return
            task, weight = running.popleft()
            yield task.given, self.pool.result(task)
            room += weight


@contextmanager
def spread(model: Model, settings: Settings) -> Iterator[Spread]:
    """Give steps done by workers that embed with this model, on the cluster that the settings name.

    Raises MissingExtra, ClusterError, and ModelError where a worker has another model.
    """
    s = settings.ray
    wanted = Wanted(
        rag.__version__,
        model.name,
        model.digest,
        model.dim,
        model.max_tokens,
        settings.model.cache,
        settings.passages,
    )
    with cluster(s) as ray:
        # A GPU takes texts by the thousand, and one worker.
        half = model.precision == "half"
        there = ray.cluster_resources()
        gpus = half and there.get("GPU", 0) >= 1
        workers = s.workers or max(int(there.get("GPU" if gpus else "CPU", 1)), 1)
        pool = Pool(ray, Worker, wanted, workers, gpus=int(gpus))
        try:
            yield Spread(pool, batch=max(s.batch, MANY) if half else s.batch)
        finally:
            pool.close()


def _batches(given: Iterable[T], size: Callable[[T], int], most: int) -> Iterator[list[T]]:
    """Yield what is given in lists of up to `most` in size, larger ones alone."""
    batch: list[T] = []
    held = 0
    for one in given:
        if batch and held + size(one) > most:
            yield batch
            batch, held = [], 0
        batch.append(one)
        held += size(one)
    if batch:
        yield batch


def _size(given: Unread) -> int:
    # What is no page costs next to nothing to read, and its place in a list.
    return len(given.data) if isinstance(given, Raw) else len(given.text) if isinstance(given, Article) else 100


def _named(given: Unread) -> str:
    if isinstance(given, Raw):
        return f"{given.page.path}:{given.line}" if given.line else given.page.path
    return given.id if isinstance(given, Article) else given.source
