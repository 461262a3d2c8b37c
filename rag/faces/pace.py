"""A stream at the pace of the eye: what comes in quickly is put together, and nothing waits for what comes later."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Came(Generic[T]):
    """An item of the stream."""

    item: T


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of the stream, and the error that ended it, if one did."""

    error: BaseException | None = None


PATIENCE = 0.5
"""Seconds of silence after which an empty list is given, so that whoever takes the lists may turn away."""


def paced(stream: Iterator[T], beat: float) -> Iterator[list[T]]:
    """Yield the stream's items in lists, one list at most in `beat` seconds, none of them held back for longer.

    The stream runs on one thread of its own from its beginning to its end, whichever threads take the
    lists, and is closed there at its next item once nobody takes them any more.

    >>> list(paced((n for n in (1, 2, 3)), beat=0.01))[0][0]
    1
    """
    came: SimpleQueue[Came[T] | Ended] = SimpleQueue()
    left = threading.Event()

    def run() -> None:
        error: BaseException | None = None
        try:
            for item in stream:
                came.put(Came(item))
                if left.is_set():
                    break
            if isinstance(stream, Generator):
                stream.close()
        except BaseException as caught:
            error = caught
        came.put(Ended(error))

    threading.Thread(target=run, name="footnote-stream", daemon=True).start()
    due = time.monotonic()
    try:
        while True:
            try:
                waiting = [came.get(timeout=PATIENCE)]
            except Empty:
                yield []
                continue
            time.sleep(max(0.0, due - time.monotonic()))
            waiting += drain(came)
            items = [w.item for w in waiting if isinstance(w, Came)]
            if items:
                due = time.monotonic() + beat
                yield items
            end = waiting[-1]
            if isinstance(end, Ended):
                if end.error is not None:
                    raise end.error
                return
    finally:
        left.set()


def drain(queue: SimpleQueue[T]) -> list[T]:
    """Return what lies in a queue, without waiting for more."""
    items: list[T] = []
    while True:
        try:
            items.append(queue.get_nowait())
        except Empty:
            return items
