"""How far something has come, told on the terminal: share, rate and time left."""

from __future__ import annotations

import sys
import time

EVERY = 0.5
"""Seconds between two lines on a terminal; elsewhere twenty times as long."""


class Progress:
    """Tells of things done out of all.  One line that is written anew on a terminal, a few lines in a log."""

    def __init__(self, doing: str, total: int, things: str) -> None:
        self.doing, self.total, self.things = doing, total, things
        self.began = self.told = time.monotonic()
        self.terminal = sys.stderr.isatty()
        self.before: int | None = None

    def at(self, done: int) -> None:
        """Say how far it is, unless that was said a moment ago."""
        now = time.monotonic()
        if self.before is None:
            # What an interrupted run left counts as done and not as quick.
            self.before = done
        if now - self.told < EVERY * (1 if self.terminal else 20) and done < self.total:
            return
        self.told = now
        line = f"{self.doing}: {done:,}/{self.total:,} {self.things}"
        if done > self.before and now - self.began > EVERY:
            rate = (done - self.before) / (now - self.began)
            line += f", {rate:,.3g}/s" if rate < 100 else f", {rate:,.0f}/s"
            line += f", {(self.total - done) / rate:,.0f} s left" if done < self.total else ""
        print(
            f"\r\x1b[K{line}" if self.terminal else line, end="" if self.terminal else "\n", file=sys.stderr, flush=True
        )
        if self.terminal and done >= self.total:
            print(file=sys.stderr)
