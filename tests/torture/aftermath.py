"""What must be so after any misfortune: readers see one committed state, and the next writer makes everything right."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from fakes import FINGERPRINT

from rag.store.local import LocalStore
from torture.checks import Held, Wrong, exact, found, left_behind, remains, unnamed, which
from torture.children import Ended, Fork, in_fork
from torture.scenarios import AFTER_NEXT, Remove, Scenario, State, changed, next_session, write


class Failed(Exception):
    """Something was not as it must be; the text says what."""


def settle(folder: Path, scenario: Scenario, states: Sequence[int], watcher: Watcher | None = None) -> int:
    """Check the index, have the next writer work on it, check again; return which of the states it was in.

    Raises Failed.
    """
    allowed = [scenario.states[n] for n in states]
    now = states[must("a new reader", in_fork(found, folder, allowed))]
    if watcher:
        seen = states[must("a reader open since before", watcher.ended(states))]
        if seen != now:
            raise Failed(f"a reader open since before finds state {seen}, a new one state {now}")
        # Killed after the last page of a commit was written and before readers were told of it: as long as one of them
        # has the log open the commit is not there, and once it is read anew the commit is.
        later = states[must("a new reader, now the only one", in_fork(found, folder, allowed))]
        if later < now:
            raise Failed(f"state {now} was found, and then state {later}")
        now = later
    go_on(folder, scenario, now)
    return now


def go_on(folder: Path, scenario: Scenario, now: int) -> None:
    """Have the next two writers work on an index in a state, and check what they leave.  Raises Failed."""
    state = scenario.states[now]
    before = must("the next writer", in_fork(_next, folder, state))
    problems = must("after the next writer", in_fork(_all_right, folder, scenario, now, before))
    if problems:
        raise Failed(f"after the next writer: {'; '.join(problems[:6])}")


def must(who: str, ended: Ended) -> Any:
    """Return the value of a fork that ended well.  Raises Failed."""
    if not ended.well:
        raise Failed(f"{who}: {ended}")
    return ended.value


def _next(folder: Path, state: State | None) -> list[str]:
    if state is None:
        LocalStore.create(folder, FINGERPRINT).close()
    write(folder, next_session(state), lambda: None)
    before = unnamed(folder)
    write(folder, AFTER_NEXT, lambda: None)
    return before


def _all_right(folder: Path, scenario: Scenario, now: int, before: Sequence[str]) -> list[str]:
    state = scenario.states[now] or {}
    gone = scenario.erased(now)
    for commit in (*next_session(state).commits, *AFTER_NEXT.commits):
        state = changed(state, commit)
        gone |= {c.n for c in commit if isinstance(c, Remove)}
    problems = left_behind(folder, before)
    problems += remains(folder, [(n, scenario.versions(n) or {0}) for n in sorted(gone)])
    store = LocalStore(folder)
    try:
        exact(store, state, [a for s in scenario.states for a in (s or {}).values()])
    finally:
        store.close()
    return problems


class Watcher:
    """A reader that was open before the misfortune; with `hold` it keeps a view of that time, and checks it as well."""

    def __init__(self, folder: Path, scenario: Scenario, *, hold: bool) -> None:
        ready, at_ready = os.pipe()
        self._fork = Fork(_watch, folder, scenario, hold, at_ready, talks=True)
        os.close(at_ready)
        opened = os.read(ready, 1)
        os.close(ready)
        if not opened:
            raise Failed(f"a reader before anything happened: {self._fork.ended()}")

    def ended(self, states: Sequence[int]) -> Ended:
        """Have it look again, and return how it ended: with the place of the state it found."""
        self._fork.say(bytes(states))
        return self._fork.ended()

    def stop(self) -> None:
        """Let it end without a look, if it has not."""
        with suppress(OSError):
            self._fork.give_up()


def _watch(folder: Path, scenario: Scenario, hold: bool, ready: int, ear: int) -> int:
    store = LocalStore(folder)
    before = scenario.states[:1]
    which(store, before)
    if not hold:
        os.write(ready, b".")
        return which(store, [scenario.states[n] for n in os.read(ear, 64)])
    with store.view() as view:
        os.write(ready, b".")
        states = [scenario.states[n] for n in os.read(ear, 64)]
        try:
            which(Held(view), before)
        except (Wrong, sqlite3.Error) as e:
            raise Wrong(f"a view held since before has changed: {e}") from e
        return which(store, states)
