"""Real Milvus servers on loopback, each with a folder of its own, that tests may stop, freeze, kill and start again.

    with milvus_235(folder) as server:
        client = MilvusClient(server.address)

`milvus_235` is the standalone server of the package `milvus` 2.3.5, `milvus_lite` the server of `milvus-lite`.
"""

from __future__ import annotations

import asyncio
import fcntl
import importlib.util
import lzma
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

import yaml

PATIENCE = 120.0
"""Seconds that a server is given to become healthy."""

QUICK: dict[str, Setting] = {"common.session.ttl": 5, "common.gracefulStopTimeout": 5}
"""What makes a killed server forget its former self sooner than after half a minute."""

Setting = str | int | float | bool


class Server:
    """A server of its own process group; it is healthy when `start` returns, and gone when `stop` or `kill` does."""

    def __init__(self, command: list[str], folder: Path, environment: Mapping[str, str], *, relayed: bool) -> None:
        self.log = folder / "server.log"
        self.folder = folder
        self._command, self._environment, self._relayed = command, dict(environment), relayed
        self._process: subprocess.Popen[bytes] | None = None
        with _bound(0) as free:
            self.port: int = free.getsockname()[1]

    @property
    def address(self) -> str:
        """Where a client finds it, the same after a restart."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def running(self) -> bool:
        """Whether the process is there, frozen or not."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it and wait until it is healthy; RuntimeError with the end of its log if it does not get there."""
        if self.running:
            return
        with self.log.open("ab") as log, _bound(self.port) as door:
            # The relay is handed its port; another server binds it by itself.
            keep = (door.fileno(),) if self._relayed else ()
            if not self._relayed:
                door.close()
            self._process = subprocess.Popen(
                [word.format(port=self.port, door=keep[0] if keep else "") for word in self._command],
                cwd=self.folder,
                env={**os.environ, **self._environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=keep,
                start_new_session=True,
            )
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and self.running:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            time.sleep(0.05)
        self.kill()
        tail = self.log.read_text(errors="replace").splitlines()[-20:]
        raise RuntimeError(f"the server did not become healthy; the end of {self.log}:\n" + "\n".join(tail))

    def stop(self, seconds: float = 30.0) -> None:
        """Ask it to end, as an operator does; kill it if it has not after `seconds`."""
        if self._process is not None and self.running:
            self.resume()
            self._signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
        self.kill()

    def kill(self) -> None:
        """End it and all it started, at once (SIGKILL)."""
        if self._process is not None:
            self._signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """Stop it and start it again at the same address."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Freeze it (SIGSTOP): connections are accepted by the system, and nothing is answered."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen one go on."""
        self._signal(signal.SIGCONT)

    def memory(self) -> int:
        """Bytes of memory that the group holds now."""
        assert self._process is not None
        pages = 0
        for entry in Path("/proc").iterdir():
            with suppress(OSError, ValueError):
                if os.getpgid(int(entry.name)) == self._process.pid:
                    pages += int((entry / "statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def _signal(self, number: int) -> None:
        # The group outlives its leader when a child does, so it is signalled even when the leader is over.
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)


class Milvus235(Server):
    """The standalone server, whose settings may be changed while it runs: it reads some of them again by itself."""

    configuration: dict[str, Any]

    def configure(self, settings: Mapping[str, Setting]) -> None:
        """Set what Milvus' documentation calls by dotted names; what was set before stays."""
        for name, value in settings.items():
            *parents, last = name.split(".")
            inner = self.configuration
            for parent in parents:
                inner = inner.setdefault(parent, {})
            inner[last] = value
        file = self.folder / "configs" / "milvus.yaml"
        new = file.with_suffix(".new")
        new.write_text(yaml.safe_dump(self.configuration), encoding="utf-8")
        new.replace(file)


@contextmanager
def milvus_235(folder: Path, settings: Mapping[str, Setting] | None = None) -> Iterator[Milvus235]:
    """The server of `milvus` 2.3.5 with its data under `folder`, and `settings` by dotted name.

    The package is this environment's, or that of the environment whose folder FOOTNOTE_MILVUS_235 names.  The test is
    skipped where there is none, and where the server cannot be kept to loopback: it listens on every interface, so it
    runs in a network of its own, to which a relay leads from 127.0.0.1.
    """
    if not (sys.platform == "linux" and os.uname().machine == "x86_64"):
        _skip("the milvus package is for Linux on x86_64")
    package = _package()
    programs = _unpacked(package)
    fence = _fence()
    folder = folder.resolve()
    (folder / "configs").mkdir(parents=True, exist_ok=True)
    command = [*fence, sys.executable, str(Path(__file__).resolve()), "{door}", str(programs / "milvus"), "run"]
    environment = {
        "LD_LIBRARY_PATH": str(programs),
        "DEPLOY_MODE": "STANDALONE",
        "METRICS_PORT": "9091",
        "MILVUS_RUN_DIR": str(folder / "run"),
    }
    server = Milvus235([*command, "standalone"], folder, environment, relayed=True)
    template = (package / "data/config.yaml.template").read_text(encoding="utf-8")
    shutil.copy(package / "data/glog.conf", folder / "configs")
    (folder / "logs").mkdir(exist_ok=True)
    server.configuration = yaml.safe_load(_filled(template, folder))
    server.configure(QUICK | dict(settings or {}))
    with _ended(server):
        yield server


@contextmanager
def milvus_lite(folder: Path) -> Iterator[Server]:
    """The server of `milvus-lite` with its data under `folder`; the test is skipped where the package is absent."""
    if importlib.util.find_spec("milvus_lite") is None:
        _skip("the milvus-lite package is not installed")
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "milvus_lite", "server", "--data-dir", "data", "--host", "127.0.0.1"]
    with _ended(Server([*command, "--port", "{port}"], folder, {}, relayed=False)) as server:
        yield server


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    """`folder` as a disk of `size` bytes; the test is skipped where no disk may be made."""
    folder.mkdir(parents=True, exist_ok=True)
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        _skip(f"no small disk may be made: {made.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def _ended(server: Server) -> Iterator[Server]:
    try:
        server.start()
        yield server
    finally:
        server.kill()


def _skip(reason: str) -> NoReturn:
    # Imported here so that the relay, which runs this file, needs nothing but Python.
    import pytest

    pytest.skip(reason)


def _bound(port: int) -> socket.socket:
    """A socket with the port, that refuses connections until somebody listens on it."""
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", port))
    return bound


def _package() -> Path:
    """The folder of the package `milvus`."""
    if named := os.environ.get("FOOTNOTE_MILVUS_235"):
        found = [*Path(named).glob("lib/python*/site-packages/milvus/data/bin/milvus.lzma")]
        if not found:
            _skip(f"the milvus package is not installed in {named}")
        return found[0].parents[2]
    spec = importlib.util.find_spec("milvus")
    origin = spec.origin if spec is not None else None
    if origin is None or not (Path(origin).parent / "data/bin/milvus.lzma").exists():
        _skip("the milvus package is not installed")
    return Path(origin).parent


def _filled(template: str, folder: Path) -> str:
    """The package's own configuration, whose gaps look like {{ name }} or {{ name(type): default }}."""
    data = folder / "data"
    places = {"etcd_data_dir": data / "etcd", "local_storage_dir": data, "rocksmq_data_dir": data / "rocksmq"}
    places |= {"etcd_log_path": folder / "etcd.log", "system_log_path": folder / "logs"}

    def fill(gap: re.Match[str]) -> str:
        return str(places.get(gap[1], gap[2]))

    return re.sub(r"\{\{\s*(\w+)(?:\(\w+\))?(?::\s*(.*?))?\s*\}\}", fill, template)


def _unpacked(package: Path) -> Path:
    """The package's programs, unpacked beside it once (250 MB)."""
    programs = package / "unpacked"
    if not programs.exists():
        with tempfile.TemporaryDirectory(dir=package) as scratch:
            for packed in sorted((package / "data/bin").glob("*.lzma")):
                program = Path(scratch) / "bin" / packed.stem
                program.parent.mkdir(exist_ok=True)
                with lzma.open(packed) as source, program.open("wb") as target:
                    shutil.copyfileobj(source, target)
                program.chmod(0o755)
            with suppress(OSError):  # another process was first
                program.parent.rename(programs)
    return programs


def _fence() -> list[str]:
    """What to put before a command so that it runs in a network of its own."""
    fences = [["unshare", "--net"], ["unshare", "--map-current-user", "--net"]]
    for fence in fences:
        with suppress(OSError):
            if not subprocess.run([*fence, "true"], capture_output=True, check=False).returncode:
                return fence
    _skip("the milvus server cannot be kept to loopback here: no network of its own may be made")


# What follows runs in the server's own network: python milvus_servers.py DOOR COMMAND...


def _lo_up() -> None:
    flags, up = struct.Struct("16sh14x"), 1
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, 0x8914, flags.pack(b"lo", up))  # SIOCSIFFLAGS


async def _relay(door: socket.socket, command: list[str]) -> int:
    """Run a server, and lead to it whoever comes to the door, a socket of the network outside, once it is healthy."""
    server = await asyncio.create_subprocess_exec(*command)
    # Whoever stops the group waits for the server to end in its own time.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: None)
    while not await asyncio.to_thread(_healthy) and server.returncode is None:
        await asyncio.sleep(0.1)

    async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(1 << 18):
                target.write(data)
                await target.drain()
        except OSError:
            pass
        finally:
            target.close()

    async def lead(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", 19530)
        except OSError:
            writer.close()
            return
        await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer))

    async with await asyncio.start_server(lead, sock=door):
        return await server.wait()


def _healthy() -> bool:
    with suppress(OSError), urllib.request.urlopen("http://127.0.0.1:9091/healthz", timeout=1) as answer:
        return b"OK" in answer.read()
    return False


if __name__ == "__main__":
    _lo_up()
    sys.exit(asyncio.run(_relay(socket.socket(fileno=int(sys.argv[1])), sys.argv[2:])))
