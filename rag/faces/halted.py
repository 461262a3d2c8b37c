"""Answers that their readers have stopped, known by the turn: Gradio stops only what it has begun."""

from __future__ import annotations

import threading
from collections import OrderedDict

KEPT = 256
"""Turns remembered; of more the oldest is forgotten."""


class Halted:
    """Which turns are not to be answered any more; safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._turns: OrderedDict[tuple[str, str], None] = OrderedDict()

    def halt(self, reader: str, turn: str) -> None:
        """Remember that a reader has stopped a turn, whether or not it has begun."""
        with self._lock:
            self._turns[reader, turn] = None
            while len(self._turns) > KEPT:
                self._turns.popitem(last=False)

    def has(self, reader: str, turn: str) -> bool:
        """Say whether a reader has stopped a turn."""
        with self._lock:
            return (reader, turn) in self._turns
