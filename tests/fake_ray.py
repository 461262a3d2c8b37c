"""As much of Ray as a pool of workers uses, in this process: actors that work in order, and die when told to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any


class RayError(Exception):
    """What all of Ray's errors are."""


class RayTaskError(RayError):
    """What a worker raised."""

    def __init__(self, cause: Exception) -> None:
        super().__init__("a long traceback")
        self.cause = cause


class Killed(BaseException):
    """Raised by a worker's method: the process is gone."""


class Ref:
    """The result of a call, once its actor has come to it."""

    def __init__(self, actor: Actor, call: Callable[[], Any]) -> None:
        self.actor, self.call = actor, call
        self.value: Any = None
        self.error: Exception | None = None
        self.is_done = False

    def compute(self) -> None:
        """Do the call."""
        self.is_done = True
        if self.actor.is_dead:
            self.error = RayError("the actor has died")
            return
        try:
            self.value = self.call()
        except Killed:
            self.actor.is_dead = True
            self.error = RayError("the actor has died")
        except Exception as error:
            self.error = RayTaskError(error)


class Actor:
    """A worker, and the calls that it has."""

    def __init__(self, cls: type, given: Sequence[Any]) -> None:
        self.worker, self.is_dead = cls(*given), False
        self.calls: list[Ref] = []

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.worker, name)

        def remote(*given: Any) -> Ref:
            ref = Ref(self, lambda: method(*given))
            self.calls.append(ref)
            return ref

        return SimpleNamespace(remote=remote)


class FakeRay:
    """Takes the place of the module."""

    exceptions = SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError)

    def __init__(self) -> None:
        self.actors: list[Actor] = []

    def remote(self, **_: Any) -> Callable[[type], Any]:
        def made(cls: type) -> Any:
            def make(*given: Any) -> Actor:
                self.actors.append(Actor(cls, given))
                return self.actors[-1]

            return SimpleNamespace(remote=make)

        return made

    def wait(self, refs: list[Ref], *, num_returns: int = 1, timeout: float) -> tuple[list[Ref], list[Ref]]:
        """Return those that are done; whoever waits lets each actor do one call."""
        if timeout and not any(r.is_done for r in refs):
            for actor in {id(r.actor): r.actor for r in refs}.values():
                next(c for c in actor.calls if not c.is_done).compute()
        done = [r for r in refs if r.is_done][:num_returns]
        return done, [r for r in refs if r not in done]

    def get(self, ref: Ref) -> Any:
        if ref.error:
            raise ref.error
        return ref.value

    def kill(self, actor: Actor) -> None:
        actor.is_dead = True
