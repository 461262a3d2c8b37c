"""What a disk may hold when power fails: files and folders, and of each what was asked to be durable and what was not.

Three disks.  A strict one keeps exactly what was synced: data by its file, names by their folder.  An ordered one keeps
all names and sizes, and has zeros where data was not synced.  A careless one keeps, of each file, any of the writes
since it was synced, whole or in part, and of each folder, some first ones of its changes.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from torture.operations import Operation

SECTOR = 512
"""Bytes that reach a disk together or not at all."""


@dataclass
class File:
    """A file as the process sees it, as it was synced, and what was done to it since."""

    now: bytearray = field(default_factory=bytearray)
    synced: bytes = b""
    sparse: bytearray = field(default_factory=bytearray)
    since: list[tuple[int, bytes | None]] = field(default_factory=list)

    def write(self, at: int, data: bytes) -> None:
        """Write, unsynced."""
        _grow(self.now, at)
        self.now[at : at + len(data)] = data
        _grow(self.sparse, at + len(data))
        self.since.append((at, data))

    def cut(self, size: int) -> None:
        """Bring to a size, unsynced."""
        for content in (self.now, self.sparse):
            _grow(content, size)
            del content[size:]
        self.since.append((size, None))

    def sync(self) -> None:
        """Make durable what is there now."""
        self.synced = bytes(self.now)
        self.sparse = bytearray(self.now)
        self.since.clear()


@dataclass
class Folder:
    """The same of a folder: its names, and the changes of names since it was synced, each of which is atomic."""

    now: dict[str, File | Folder] = field(default_factory=dict)
    synced: dict[str, File | Folder] = field(default_factory=dict)
    since: list[dict[str, File | Folder | None]] = field(default_factory=list)

    def change(self, names: dict[str, File | Folder | None]) -> None:
        """Give and take away names, unsynced."""
        _rename(self.now, names)
        self.since.append(names)

    def sync(self) -> None:
        """Make durable the names that are there now."""
        self.synced = dict(self.now)
        self.since.clear()


def _grow(content: bytearray, size: int) -> None:
    if len(content) < size:
        content.extend(bytes(size - len(content)))


def _rename(names: dict[str, File | Folder], changes: dict[str, File | Folder | None]) -> None:
    for name, what in changes.items():
        if what is None:
            names.pop(name, None)
        else:
            names[name] = what


class Disk:
    """A disk that begins with what lies in a folder, all of it durable."""

    def __init__(self, folder: Path) -> None:
        self.root = _loaded(folder)

    def apply(self, operations: Iterable[Operation]) -> None:
        """Do what was recorded."""
        for operation in operations:
            self._apply(operation)

    def _apply(self, o: Operation) -> None:
        if o.kind == "mark":
            return
        if o.kind == "sync" and not o.path:
            _everything(self.root)
            return
        if o.path == ".":
            self.root.sync()
            return
        folder, name = self._place(o.path)
        there = folder.now.get(name)
        match o.kind:
            case "create":
                folder.change({name: File()})
            case "mkdir":
                folder.change({name: Folder()})
            case "unlink" | "rmdir":
                if there is not None:
                    folder.change({name: None})
            case "rename":
                self._move(folder, name, o.to)
            case "sync" if there is not None:
                there.sync()
            case "write" if isinstance(there, File):
                there.write(o.at, o.data)
            case "truncate" if isinstance(there, File):
                there.cut(o.at)
            case "allocate" if isinstance(there, File):
                there.cut(max(o.at, len(there.now)))
            case _:
                raise KeyError(f"{o}: no such file on the disk")

    def _move(self, folder: Folder, name: str, to: str) -> None:
        what = folder.now[name]
        target, new = self._place(to)
        if target is folder:
            folder.change({name: None, new: what})
        else:
            target.change({new: what})
            folder.change({name: None})

    def _place(self, path: str) -> tuple[Folder, str]:
        *folders, name = path.split("/")
        folder = self.root
        for part in folders:
            inner = folder.now[part]
            assert isinstance(inner, Folder)
            folder = inner
        return folder, name

    def whole(self, where: Path) -> None:
        """Write what the process sees."""
        _written(self.root, where, lambda f: f.now, lambda f: bytes(f.now))

    def strict(self, where: Path) -> None:
        """Write what was synced, and nothing else."""
        _written(self.root, where, lambda f: f.synced, lambda f: f.synced)

    def ordered(self, where: Path) -> None:
        """Write all names and sizes, with zeros for what was added to a file and not synced."""
        _written(self.root, where, lambda f: f.now, lambda f: bytes(f.sparse))

    def careless(self, where: Path, rng: random.Random) -> None:
        """Write what was synced and any part of what was not."""
        _written(self.root, where, lambda f: _some_names(f, rng), lambda f: _some_writes(f, rng))


def _everything(folder: Folder) -> None:
    folder.sync()
    for inner in folder.now.values():
        if isinstance(inner, Folder):
            _everything(inner)
        else:
            inner.sync()


def _some_names(folder: Folder, rng: random.Random) -> dict[str, File | Folder]:
    names = dict(folder.synced)
    for changes in folder.since[: rng.randint(0, len(folder.since))]:
        _rename(names, changes)
    return names


def _some_writes(file: File, rng: random.Random) -> bytes:
    content = bytearray(file.synced)
    share = rng.choice((0.2, 0.5, 0.9))
    for at, data in file.since:
        if rng.random() > share:
            continue
        if data is None:
            _grow(content, at)
            del content[at:]
            continue
        # Cut at the sectors of the disk, wherever in one the write begins.
        whole = (at + len(data)) // SECTOR - at // SECTOR
        size = len(data) if rng.random() < 0.7 or whole < 1 else (at // SECTOR + rng.randint(1, whole)) * SECTOR - at
        _grow(content, at)
        content[at : at + size] = data[:size]
    return bytes(content)


def _loaded(folder: Path) -> Folder:
    found = Folder()
    for path in folder.iterdir():
        if path.is_dir():
            found.now[path.name] = _loaded(path)
        else:
            data = path.read_bytes()
            found.now[path.name] = File(bytearray(data), data, bytearray(data))
    found.sync()
    return found


def _written(
    folder: Folder,
    where: Path,
    names: Callable[[Folder], dict[str, File | Folder]],
    content: Callable[[File], bytes],
) -> None:
    for name, inner in names(folder).items():
        if isinstance(inner, Folder):
            (where / name).mkdir()
            _written(inner, where / name, names, content)
        elif not name.endswith("-shm"):
            (where / name).write_bytes(content(inner))
