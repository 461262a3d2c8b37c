"""Machines to spread work over: network namespaces of one core each, joined by a cable, with a Ray node in each.

They share this machine's disk and process ids and nothing of its network.  Root on Linux is needed for that.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

PORT = 6379
"""Of the head: below those that workers take, or one of them may have it first."""

_numbers = count()


def reason_against() -> str | None:
    """Return why there can be no such machines here, or None."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        return "network namespaces need root on Linux"
    if not shutil.which("ip") or not shutil.which("taskset"):
        return "iproute2 and taskset are not installed"
    probe = f"fn{os.getpid()}"
    if subprocess.run(["ip", "netns", "add", probe], capture_output=True, check=False).returncode:
        return "no network namespace can be made here"
    subprocess.run(["ip", "netns", "del", probe], check=True)
    return None


class Machines:
    """Two machines; use them in a `with` block."""

    def __init__(self) -> None:
        number = f"{os.getpid()}{next(_numbers)}"
        self.names = [f"fn{number}{end}" for end in "ab"]
        self.addresses = ["10.77.0.1", "10.77.0.2"]
        # Paths of sockets must be short.
        self.folder = Path(tempfile.mkdtemp(prefix="fn", dir="/tmp"))
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "RAG_"))},
            "RAY_ADDRESS": f"{self.addresses[0]}:{PORT}",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "RAY_USAGE_STATS_ENABLED": "0",
            # A machine that has gone is missed within seconds.
            "RAY_health_check_initial_delay_ms": "500",
            "RAY_health_check_period_ms": "500",
            "RAY_health_check_timeout_ms": "1000",
            "RAY_health_check_failure_threshold": "3",
        }

    def __enter__(self) -> Machines:
        try:
            for name in self.names:
                _run("ip", "netns", "add", name)
            a, b = self.names
            _run("ip", "link", "add", f"{a[2:]}", "netns", a, "type", "veth", "peer", "name", f"{b[2:]}", "netns", b)
            for name, address in zip(self.names, self.addresses, strict=True):
                _run("ip", "-n", name, "address", "add", f"{address}/24", "dev", name[2:])
                for device in ("lo", name[2:]):
                    _run("ip", "-n", name, "link", "set", device, "up")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for n, name in enumerate(self.names):
            self.cut_power(n)
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def command(self, n: int, arguments: Sequence[str]) -> list[str]:
        """Return how Python is run on a machine."""
        cores = sorted(os.sched_getaffinity(0))
        core = str(cores[n % len(cores)])
        return ["ip", "netns", "exec", self.names[n], "taskset", "-c", core, sys.executable, *arguments]

    def start(self, n: int, arguments: Sequence[str], **more: Any) -> subprocess.Popen[str]:
        """Start Python on a machine."""
        environment = {**self.environment, **more.pop("env", {})}
        return subprocess.Popen(self.command(n, arguments), env=environment, text=True, **more)

    def join(self) -> None:
        """Start each machine's Ray node, of one core; the first is the head, which the other waits for."""
        head = ["--head", f"--port={PORT}", "--include-dashboard=false", f"--temp-dir={self.folder}"]
        nodes = []
        for n, role in enumerate([head, [f"--address={self.environment['RAY_ADDRESS']}"]]):
            own = [f"--node-ip-address={self.addresses[n]}", "--num-cpus=1", "--object-store-memory=100000000"]
            command = ["-m", "ray.scripts.scripts", "start", "--disable-usage-stats", *role, *own]
            # Not into pipes, which what is started would hold open.
            with (self.folder / f"{n}.txt").open("w") as told:
                nodes.append(self.start(n, command, stdout=told, stderr=told))
        for n, node in enumerate(nodes):
            assert node.wait(timeout=90) == 0, (self.folder / f"{n}.txt").read_text()

    def processes(self, n: int, named: str = "") -> list[int]:
        """Return the ids of the processes on a machine whose command line begins so."""
        listed = subprocess.run(["ip", "netns", "pids", self.names[n]], capture_output=True, text=True, check=False)
        return [pid for pid in map(int, listed.stdout.split()) if _title(pid).startswith(named)]

    def cut_power(self, n: int) -> None:
        """Kill everything on a machine at once."""
        until(lambda: not [_kill(pid) for pid in self.processes(n)], seconds=20)


def until(done: Callable[[], object], *, seconds: float) -> None:
    """Return when something is so."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "it does not come about"
        time.sleep(0.05)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _title(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        return ""
