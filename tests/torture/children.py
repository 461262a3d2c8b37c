"""Work done in a fork, so that whatever happens to it is seen from outside."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from rag.errors import RagError
from torture.trace import die_with_parent

PATIENCE = 60.0
"""Seconds after which a fork that has not ended counts as hanging."""


@dataclass(frozen=True)
class Ended:
    """How a fork ended: with a value that JSON has, with an error, or killed by a signal."""

    value: Any = None
    error: str = ""
    ours: bool = False
    """Whether the error is a RagError of one line."""
    trace: str = ""
    signal: int = 0

    @property
    def well(self) -> bool:
        """Whether it returned."""
        return not self.error and not self.signal

    def __str__(self) -> str:
        if self.signal:
            return f"the process died of {signal.Signals(self.signal).name}"
        return self.error and (self.error if self.ours else f"{self.error} | {self.trace}")


def told(e: BaseException) -> Ended:
    """Return how work ended that raised."""
    last = traceback.extract_tb(e.__traceback__)[-3:]
    where = " > ".join(f"{os.path.basename(f.filename)}:{f.lineno}" for f in last)  # noqa: PTH119
    text = f"{type(e).__name__}: {e}"
    ours = isinstance(e, RagError) and "\n" not in str(e)
    return Ended(error=text if ours else " ".join(text.split())[:400], ours=ours, trace=where)


def in_fork(work: Callable[..., Any], *arguments: Any) -> Ended:
    """Run some work in a fork and return how it ended."""
    fork = Fork(work, *arguments)
    return fork.ended()


class Fork:
    """A fork that works while its parent goes on.  What `hear` waits for in it is what the parent says."""

    def __init__(self, work: Callable[..., Any], *arguments: Any, talks: bool = False) -> None:
        result, self._result_in = os.pipe()
        ear, self._mouth = os.pipe()
        self.pid = os.fork()  # 0 again once it has ended
        if not self.pid:
            os.close(result)
            os.close(self._mouth)
            _be_a_child(lambda: work(*arguments, *([ear] if talks else [])), self._result_in)
        os.close(self._result_in)
        os.close(ear)
        self._result = result

    def say(self, what: bytes = b".") -> None:
        """Let the fork go on."""
        with suppress(BrokenPipeError):
            os.write(self._mouth, what)

    def give_up(self) -> None:
        """Kill the fork, unless it was waited for."""
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            self.ended()

    def ended(self) -> Ended:
        """Wait for the end of the fork and return how it ended."""
        data, until = b"", time.monotonic() + PATIENCE
        while select.select([self._result], [], [], max(until - time.monotonic(), 0))[0]:
            part = os.read(self._result, 1 << 20)
            if not part:
                break
            data += part
        else:
            os.kill(self.pid, signal.SIGKILL)
        _, status = os.waitpid(self.pid, 0)
        self.pid = 0
        os.close(self._result)
        os.close(self._mouth)
        if time.monotonic() > until:
            return Ended(error=f"Hanging: no end after {PATIENCE:.0f} seconds")
        if os.WIFSIGNALED(status):
            return Ended(signal=os.WTERMSIG(status))
        return received(data) if data else Ended(error=f"Silent: it ended with status {status} and said nothing")


def _be_a_child(work: Callable[[], Any], result: int) -> None:
    try:
        die_with_parent()
        quiet()
        try:
            ended = Ended(work())
        except BaseException as e:
            ended = told(e)
        send(result, ended)
    finally:
        os._exit(0)


def send(handle: int, ended: Ended) -> None:
    """Write how work ended to a descriptor, whole."""
    data = json.dumps(asdict(ended)).encode()
    while data:
        data = data[os.write(handle, data) :]


def received(data: bytes) -> Ended:
    """Return how work ended from what `send` wrote."""
    return Ended(**json.loads(data))


def quiet() -> None:
    """Drop what libraries print: what is wrong comes back as a value."""
    sys.stderr.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
