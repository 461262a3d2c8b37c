"""What a process does to the files of a folder, in order, with the bytes it writes."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from torture.trace import Stop

AT_FDCWD = 0xFFFFFF9C
AT_REMOVEDIR = 0x200
FALLOC_KEEP_SIZE = 0x1

GROWING = ("write", "create", "mkdir", "allocate")
"""Operations that a full disk refuses."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One change to a file or folder, or one request that what was changed be durable.

    Kinds: write, truncate, allocate, create, mkdir, rename, unlink, rmdir, sync, and mark, by which the process says
    that a commit has returned.  Paths are relative to the folder that is watched.  `at` is an offset or a size.
    """

    kind: str
    path: str
    at: int = 0
    data: bytes = field(default=b"", repr=False)
    to: str = ""

    def __str__(self) -> str:
        what = f" {len(self.data)} at {self.at}" if self.kind == "write" else f" to {self.to}" if self.to else ""
        return f"{self.kind} {self.path}{what}"


class Unsupported(Exception):
    """A change that cannot be recorded: the test would be blind to it."""


@dataclass
class Reader:
    """Tells from a system call which operation it is.  `marks` is the descriptor that commits are reported to."""

    folder: Path
    marks: int = -1

    def __post_init__(self) -> None:
        self._root = os.path.realpath(self.folder)

    def operation(self, stop: Stop) -> Operation | None:
        """Return what a call will do to the folder, or None when that is nothing."""
        a = stop.arguments
        match stop.name:
            case "write" | "pwrite64" | "writev" | "pwritev" | "pwritev2":
                return self._write(stop)
            case "open" | "creat" | "openat" | "openat2":
                return self._open(stop)
            case "ftruncate":
                return self._of_handle(stop, "truncate", a[1])
            case "truncate":
                return self._of_path(stop, "truncate", AT_FDCWD, a[0], a[1])
            case "fallocate":
                path = self._handle(stop, a[0])
                if path and a[1] & ~FALLOC_KEEP_SIZE:
                    raise Unsupported(f"fallocate of {path} in a mode that changes its content")
                return Operation("allocate", path, 0 if a[1] else a[2] + a[3]) if path else None
            case "fsync" | "fdatasync":
                return self._of_handle(stop, "sync")
            case "sync" | "syncfs":
                return Operation("sync", "")
            case "mkdir":
                return self._of_path(stop, "mkdir", AT_FDCWD, a[0])
            case "mkdirat":
                return self._of_path(stop, "mkdir", a[0], a[1])
            case "rmdir":
                return self._of_path(stop, "rmdir", AT_FDCWD, a[0])
            case "unlink":
                return self._of_path(stop, "unlink", AT_FDCWD, a[0])
            case "unlinkat":
                return self._of_path(stop, "rmdir" if a[2] & AT_REMOVEDIR else "unlink", a[0], a[1])
            case "rename":
                return self._rename(stop, AT_FDCWD, a[0], AT_FDCWD, a[1])
            case "renameat" | "renameat2":
                return self._rename(stop, a[0], a[1], a[2], a[3])
            case "mmap" | "msync" | "sync_file_range":
                # Of SQLite's index of its log, which is never read after a loss of power, or no promise at all.
                path = "" if stop.name == "msync" else self._handle(stop, a[4] if stop.name == "mmap" else a[0])
                if stop.name == "mmap" and path and not path.endswith("-shm"):
                    raise Unsupported(f"{path} is written through a mapping, which cannot be recorded")
                return None
            case _:
                return self._refused(stop)

    def _refused(self, stop: Stop) -> None:
        if stop.name == "io_uring_setup":
            raise Unsupported("writing through io_uring, which cannot be recorded")
        at = {"link": [(AT_FDCWD, 1)], "linkat": [(2, 3)], "symlink": [(AT_FDCWD, 1)], "symlinkat": [(1, 2)]}
        a = stop.arguments
        for folder, name in at.get(stop.name, []):
            path = self._path(stop, AT_FDCWD if folder == AT_FDCWD else a[folder], a[name])
            if path:
                raise Unsupported(f"{stop.name} of {path}")
        if stop.name in ("sendfile", "copy_file_range") and self._handle(stop, a[0 if stop.name == "sendfile" else 2]):
            raise Unsupported(f"{stop.name} to {self._handle(stop, a[0 if stop.name == 'sendfile' else 2])}")

    def _write(self, stop: Stop) -> Operation | None:
        handle, where, count = stop.arguments[:3]
        if handle & 0xFFFFFFFF == self.marks:
            return Operation("mark", "")
        path = self._handle(stop, handle)
        if not path:
            return None
        if stop.name in ("write", "pwrite64"):
            data = stop.bytes_at(where, count)
        else:
            table = stop.bytes_at(where, 16 * count)
            pairs = [(int.from_bytes(table[n : n + 8], "little"), int.from_bytes(table[n + 8 : n + 16], "little"))
                     for n in range(0, len(table), 16)]  # fmt: skip
            data = b"".join(stop.bytes_at(*pair) for pair in pairs)
        at = stop.arguments[3] if stop.name.startswith("pwrite") else stop.position(handle)
        if self._appends(stop, handle):
            at = os.stat(f"{self._root}/{path}").st_size  # noqa: PTH116
        return Operation("write", path, at, data)

    def _appends(self, stop: Stop, handle: int) -> bool:
        with open(f"/proc/{stop.process}/fdinfo/{handle & 0xFFFFFFFF}") as f:  # noqa: PTH123
            return bool(int(f.read().split("flags:")[1].split()[0], 8) & os.O_APPEND)

    def _open(self, stop: Stop) -> Operation | None:
        a = stop.arguments
        if stop.name == "creat":
            folder, name, flags = AT_FDCWD, a[0], os.O_CREAT | os.O_TRUNC
        elif stop.name == "open":
            folder, name, flags = AT_FDCWD, a[0], a[1]
        else:
            folder, name, flags = a[0], a[1], a[2]
            if stop.name == "openat2":
                flags = int.from_bytes(stop.bytes_at(a[2], 8), "little")
        path = self._path(stop, folder, name)
        if not path:
            return None
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise Unsupported(f"a file without a name in {path}")
        try:
            size = os.stat(f"{self._root}/{path}").st_size  # noqa: PTH116
        except FileNotFoundError:
            return Operation("create", path) if flags & os.O_CREAT else None
        return Operation("truncate", path) if flags & os.O_TRUNC and size else None

    def _rename(self, stop: Stop, folder: int, name: int, to_folder: int, to_name: int) -> Operation | None:
        path, to = self._path(stop, folder, name), self._path(stop, to_folder, to_name)
        if bool(path) != bool(to):
            raise Unsupported(f"rename across the edge of the folder: {path or to}")
        return Operation("rename", path, to=to) if path else None

    def _of_path(self, stop: Stop, kind: str, folder: int, name: int, at: int = 0) -> Operation | None:
        path = self._path(stop, folder, name)
        # What cannot succeed is no operation: mkdir of what is there, unlink of what is not.
        if not path or os.path.lexists(f"{self._root}/{path}") == (kind == "mkdir"):
            return None
        return Operation(kind, path, at)

    def _of_handle(self, stop: Stop, kind: str, at: int = 0) -> Operation | None:
        path = self._handle(stop, stop.arguments[0])
        return Operation(kind, path, at) if path else None

    def _path(self, stop: Stop, folder: int, address: int) -> str:
        name = stop.text_at(address)
        if not name.startswith("/"):
            name = f"{stop.cwd() if folder & 0xFFFFFFFF == AT_FDCWD else stop.file(folder)}/{name}"
        return self._inside(os.path.normpath(name))

    def _handle(self, stop: Stop, handle: int) -> str:
        try:
            path = stop.file(handle)
        except OSError:
            return ""
        return "" if path.endswith(" (deleted)") else self._inside(path)

    def _inside(self, path: str) -> str:
        if path == self._root:
            return "."
        return path.removeprefix(self._root + "/") if path.startswith(self._root + "/") else ""


@dataclass
class Recorder:
    """Numbers the operations of a process, keeps them, and may step in before one of them.

    `intervene(stop, operation, n)` is asked before each, and may kill, shorten or refuse; then it returns True.
    """

    reader: Reader
    intervene: Callable[[Stop, Operation, int], bool] = lambda stop, operation, n: False
    operations: list[Operation] = field(default_factory=list)
    problem: Exception | None = None
    count: int = 0

    @property
    def marks(self) -> int:
        """How many commits were reported."""
        return sum(o.kind == "mark" for o in self.operations)

    def seen(self, stop: Stop) -> None:
        """Take note of one call."""
        try:
            found = self.reader.operation(stop)
        except Unsupported as e:
            self.problem = self.problem or e
            return
        except OSError:
            return  # the process is ending, its files are closed
        if found is None or (found.path and found.path.endswith("-shm") and found.kind != "unlink"):
            return
        if found.kind != "mark":
            self.count += 1
            if self.intervene(stop, found, self.count - 1):
                return
        result = stop.finish()
        if result < 0:
            return
        if found.kind == "write" and result < len(found.data):
            found = Operation("write", found.path, found.at, found.data[:result])
        self.operations.append(found)
