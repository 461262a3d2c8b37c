"""Batches given to workers, and given again when a worker is lost.

A worker holds two batches, the one it works on and the next; all others wait here, so that the loss of a worker costs
one.  A batch that two workers were lost with is given piece by piece, and a piece that costs two more is given up, so
that a page that kills whoever reads it does not keep the rest.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from rag.errors import ClusterError
from rag.types import Failure

log = logging.getLogger(__name__)

HELD = 2
"""Batches that a worker has at a time: while a result is on its way, the next is computed."""

TRIES = 2
"""Workers that a batch may cost before it is given piece by piece, and that a piece may cost then."""

STARTS = 3
"""Times that each worker may be lost before any has done anything."""

START_SECONDS = 180.0
"""To wait for the first worker, which loads the model, and may have to make it ready."""

TURN_SECONDS = 0.5
"""To wait for results before looking whether the run is to be stopped."""

RANK = {"start": 0, "read": 1, "cut": 2, "embed": 3}
"""Steps in the order in which they are given: the short ones first, since others wait for what they give."""


@dataclass(slots=True, eq=False)
class Task:
    """A batch, the step to take with it, and what came of it; those of one step are done in the order of `number`."""

    step: str
    given: Sequence[Any]
    number: int = 0
    is_piece: bool = False
    lost: int = 0
    result: Sequence[Any] | None = None
    parts: list[Task] = field(default_factory=list)

    def outcome(self) -> Sequence[Any] | None:
        """Return a result for each that was given, None while they are not there."""
        if not self.parts:
            return self.result
        found: list[Any] = []
        for part in self.parts:
            outcome = part.outcome()
            if outcome is None:
                return None
            found.extend(outcome)
        return found


@dataclass(slots=True, eq=False)
class _Hand:
    """A worker: the actor, the machine it is on once it has started, and what it has, in order."""

    actor: Any
    machine: str = ""
    holds: deque[tuple[Any, Task]] = field(default_factory=deque)


class Pool:
    """Workers of one core each on a Ray cluster, and of so many GPUs.

    `counts` tells how many workers were lost, how many batches were given again for it, and how many were in the hands
    of workers at a time, at most.
    """

    def __init__(
        self,
        ray: ModuleType,
        worker: type,
        wanted: object,
        workers: int,
        gpus: int = 0,
        on_wait: Callable[[], None] = lambda: None,
    ) -> None:
        self._ray, self._wanted, self.on_wait = ray, wanted, on_wait
        self._actor = ray.remote(num_cpus=1, num_gpus=gpus, max_restarts=0, max_task_retries=0)(worker)
        self._waiting: list[tuple[int, int, int, Task]] = []
        self._numbers = itertools.count()
        self._hands: list[_Hand] = []
        self._starts_lost, self._began = 0, time.monotonic()
        self.workers = workers
        self.counts = {"lost": 0, "again": 0, "most": 0}
        for _ in range(workers):
            self._start()

    def close(self) -> None:
        """End the workers."""
        for hand in self._hands:
            self._ray.kill(hand.actor)
        self._hands = []

    def submit(self, step: str, given: Sequence[Any]) -> Task:
        """Return a task that will be done; `result` waits for it."""
        task = Task(step, given, next(self._numbers))
        self._queue(task)
        self._give()
        return task

    def result(self, task: Task) -> Sequence[Any]:
        """Return a result for each that was given with a task, in order.

        Raises what the step raises, and ClusterError.
        """
        while (found := task.outcome()) is None:
            self._turn()
        return found

    def _queue(self, task: Task) -> None:
        heapq.heappush(self._waiting, (RANK[task.step], task.number, next(self._numbers), task))

    def _start(self) -> None:
        hand = _Hand(self._actor.remote(self._wanted))
        self._hands.append(hand)
        hand.holds.append((hand.actor.start.remote(), Task("start", [])))

    def _give(self) -> None:
        """Give what waits to those who have least."""
        while self._waiting:
            hand = min((h for h in self._hands if h.machine), key=lambda h: len(h.holds), default=None)
            if hand is None or len(hand.holds) >= HELD:
                break
            task = heapq.heappop(self._waiting)[-1]
            hand.holds.append((getattr(hand.actor, task.step).remote(task.given), task))
        held = sum(len(h.holds) for h in self._hands if h.machine)
        self.counts["most"] = max(self.counts["most"], held)

    def _turn(self) -> None:
        """Wait until a worker is done with something, or for a moment."""
        self.on_wait()
        self._give()
        if not any(h.machine for h in self._hands) and time.monotonic() - self._began > START_SECONDS:
            raise ClusterError(
                f"no worker of the Ray cluster has started within {START_SECONDS:.0f} s: "
                "see `ray status` for what is free there"
            )
        held = {ref: hand for hand in self._hands for ref, _ in hand.holds}
        ready, _ = self._ray.wait(list(held), num_returns=len(held), timeout=0)
        if not ready:
            ready, _ = self._ray.wait(list(held), num_returns=1, timeout=TURN_SECONDS)
        for hand in dict.fromkeys(held[ref] for ref in ready):
            self._take(hand)

    def _take(self, hand: _Hand) -> None:
        """Take what a worker is done with; it works in the order in which it was given."""
        errors = self._ray.exceptions
        while hand.holds:
            ref, task = hand.holds[0]
            if not self._ray.wait([ref], timeout=0)[0]:
                return
            try:
                found = self._ray.get(ref)
            except errors.RayTaskError as e:
                # What the step raised, not what Ray made of it.
                raise e.cause or e from e
            except errors.RayError as e:
                self._lose(hand, " ".join(str(e).split())[:200])
                return
            hand.holds.popleft()
            if task.step == "start":
                hand.machine = found
                log.debug("a worker has started on %s", found)
            else:
                task.result = found
                self._starts_lost = 0

    def _lose(self, hand: _Hand, reason: str) -> None:
        """Put a new worker in place of one that is lost; what it worked on is given again, and what it had next."""
        self._hands.remove(hand)
        self._ray.kill(hand.actor)
        self.counts["lost"] += 1
        tasks = [task for _, task in hand.holds]
        where = f" on {hand.machine}" if hand.machine else ""
        log.debug("worker%s lost: %s", where, reason)
        if tasks[0].step == "start":
            self._starts_lost += 1
            if self._starts_lost >= STARTS * self.workers:
                raise ClusterError(f"no worker of the Ray cluster stays up ({reason}): see its logs")
        else:
            log.info("a worker%s was lost; its batch is given to another", where)
            self.counts["again"] += 1
            tasks[0].lost += 1
            for task in tasks:
                self._again(task)
        if not any(h.machine for h in self._hands):
            self._began = time.monotonic()
        self._start()

    def _again(self, task: Task) -> None:
        if task.lost < TRIES:
            self._queue(task)
        elif task.is_piece:
            reason = f"{2 * TRIES} workers were lost over it: leave it out, or give the workers more memory"
            task.result = [Failure("", reason)]
        else:
            task.parts = [Task(task.step, [one], task.number, is_piece=True) for one in task.given]
            for part in task.parts:
                self._queue(part)
