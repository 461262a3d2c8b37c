"""What a writer does, and what the index must hold after each of its commits."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from contracts import article, put
from fakes import FINGERPRINT

from rag.store.local import LocalStore
from rag.types import Article

State = dict[str, Article]
"""What an index holds: id to article."""


def told(n: int, version: int = 0) -> Article:
    """Return an article whose title and text occur nowhere else."""
    return replace(article(n, version), title=f"Heading-{n:05}-{version:03}.")


def traces(id: str, version: int) -> list[bytes]:
    """Return what an article leaves in a file, if it leaves anything: its text, its title."""
    n = int(id[1:])
    return [
        f"word{n} says version{version} of".encode(),
        f"more about Straße {n}.".encode(),
        told(n, version).title.encode(),
    ]


@dataclass(frozen=True)
class Put:
    """An article is added or changed."""

    n: int
    version: int = 0


@dataclass(frozen=True)
class Remove:
    """An article is removed, and every trace of it is to be erased."""

    n: int


Change = Put | Remove


@dataclass(frozen=True)
class Session:
    """One writer, and its commits.  With `restart` it begins by dropping everything."""

    commits: tuple[tuple[Change, ...], ...]
    restart: bool = False
    create: bool = False


def puts(*numbers: int, version: int = 0) -> tuple[Put, ...]:
    """Return that these articles are put."""
    return tuple(Put(n, version) for n in numbers)


@dataclass(frozen=True)
class Scenario:
    """Sessions one after the other, upon an index that is there or, where `base` is empty, is not."""

    name: str
    base: tuple[Session, ...]
    sessions: tuple[Session, ...]

    @cached_property
    def states(self) -> list[State | None]:
        """The states from before the first commit to after the last; None where there is no index."""
        state: State | None = None
        for session in self.base:
            for commit in session.commits:
                state = changed({} if session.restart else state or {}, commit)
        states = [state]
        for session in self.sessions:
            for n, commit in enumerate(session.commits):
                states.append(changed({} if session.restart and not n else states[-1] or {}, commit))
        return states

    def erased(self, n: int) -> set[int]:
        """Return the articles whose removal was committed when state n was, and that nothing puts again."""
        at = -sum(len(s.commits) for s in self.base)
        removed: dict[int, int] = {}
        for session in (*self.base, *self.sessions):
            for commit in session.commits:
                at += 1
                for change in commit:
                    if isinstance(change, Remove):
                        removed[change.n] = at
                    else:
                        removed.pop(change.n, None)
        return {number for number, when in removed.items() if when <= n}

    def versions(self, n: int) -> set[int]:
        """Return the versions in which an article is ever put."""
        return {
            c.version
            for s in (*self.base, *self.sessions)
            for k in s.commits
            for c in k
            if isinstance(c, Put) and c.n == n
        }

    def make_base(self, folder: Path) -> None:
        """Make the index that the writer finds."""
        if self.base:
            for session in (Session((), create=True), *self.base):
                write(folder, session, lambda: None)

    def write(self, folder: Path, report: Callable[[], Any]) -> None:
        """Do the work, and report each commit once it has returned."""
        for session in self.sessions:
            write(folder, session, report)


def changed(state: State, commit: tuple[Change, ...]) -> State:
    """Return the state after a commit."""
    after = dict(state)
    for change in commit:
        a = told(change.n, change.version if isinstance(change, Put) else 0)
        if isinstance(change, Put):
            after[a.id] = a
        else:
            del after[a.id]
    return after


def write(folder: Path, session: Session, report: Callable[[], Any]) -> None:
    """Do the work of one session, and report each commit once it has returned."""
    if session.create:
        LocalStore.create(folder, FINGERPRINT).close()
    if not session.commits:
        return
    store = LocalStore(folder)
    with store.writer(FINGERPRINT if session.restart else None) as t:
        for n, commit in enumerate(session.commits):
            for change in commit:
                if isinstance(change, Put):
                    put(t, told(change.n, change.version))
                else:
                    t.remove(told(change.n).id)
            if n < len(session.commits) - 1:
                t.commit()
                report()
    report()
    store.close()


def reporter(handle: int) -> Callable[[], Any]:
    """Return a function that reports one commit to a descriptor."""
    return lambda: os.write(handle, b".")


OLD = (Session((puts(0, 1, 2, 3, 4, 5), puts(6, 7, 8, 9))), Session((puts(10, 11), puts(2, version=1))))
"""An index of twelve articles, with segments, a tail and a tombstone."""

SCENARIOS = {
    s.name: s
    for s in (
        Scenario(
            "grow",
            OLD,
            (
                Session((puts(20, 21, 22), (*puts(1, 5, version=1), *puts(23, 24)))),
                Session(((Remove(3), *puts(25, 26, 27)), puts(28, 29, 30, 31))),
            ),
        ),
        Scenario(
            "shrink",
            OLD,
            (
                Session(((Remove(0), Remove(4), Remove(7)), (Remove(8), *puts(9, version=2)))),
                Session(((Remove(1), Remove(2)),)),
                Session(((*puts(40, 41), Remove(10)), (Remove(40), Remove(11)))),
            ),
        ),
        Scenario(
            "rebuild",
            OLD,
            (
                Session(((Remove(6), *puts(50)),)),
                Session((puts(0, 1, 2, 51, 52, 53), puts(54)), restart=True),
                Session(((Remove(51), *puts(55, 56)),)),
            ),
        ),
        Scenario("make", (), (Session((puts(60, 61), puts(62, 63, 64)), create=True), Session(((Remove(61),),)))),
    )
}

NEXT = Session(((Put(90), Put(91), Put(92)), (Remove(91),)))
"""What the next writer does, whatever happened to the one before; it also removes and changes what is there."""

AFTER_NEXT = Session((puts(93),))
"""What the one after does, who takes away what is left."""


def next_session(state: State | None) -> Session:
    """Return the work of the next writer upon a state."""
    there = sorted(state or {})
    first: tuple[Change, ...] = tuple(Remove(int(id[1:])) for id in there[:1])
    second = puts(*(int(id[1:]) for id in there[1:2]), version=9)
    return Session(((*first, *second, *NEXT.commits[0]), *NEXT.commits[1:]))
