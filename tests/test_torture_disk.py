"""What a disk holds when power fails, worked out by hand for a few programs."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from torture.disk import SECTOR, Disk
from torture.operations import Operation
from torture.power import first


def held(disk: Disk, how: str, where: Path, seed: int = 0) -> dict[str, bytes]:
    """Return the files that a disk holds."""
    where.mkdir(parents=True)
    if how == "careless":
        disk.careless(where, random.Random(seed))
    else:
        getattr(disk, how)(where)
    return {p.relative_to(where).as_posix(): p.read_bytes() for p in where.rglob("*") if p.is_file()}


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    """A disk with one file on it."""
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "old").write_bytes(b"old content")
    return Disk(tmp_path / "base")


REPLACED = [
    Operation("create", "new"),
    Operation("write", "new", 0, b"new content"),
    Operation("sync", "new"),
    Operation("rename", "new", to="old"),
    Operation("sync", "."),
]
"""A file replaced as it should be."""


@pytest.mark.parametrize(
    ("done", "strict", "ordered"),
    [
        (0, {"old": b"old content"}, {"old": b"old content"}),
        (1, {"old": b"old content"}, {"old": b"old content", "new": b""}),
        (2, {"old": b"old content"}, {"old": b"old content", "new": bytes(11)}),
        (3, {"old": b"old content"}, {"old": b"old content", "new": b"new content"}),
        (4, {"old": b"old content"}, {"old": b"new content"}),
        (5, {"old": b"new content"}, {"old": b"new content"}),
    ],
)
def test_a_file_replaced(
    disk: Disk, tmp_path: Path, done: int, strict: dict[str, bytes], ordered: dict[str, bytes]
) -> None:
    disk.apply(REPLACED[:done])
    assert held(disk, "strict", tmp_path / "strict") == strict
    assert held(disk, "ordered", tmp_path / "ordered") == ordered
    for seed in range(20):
        files = held(disk, "careless", tmp_path / f"careless{seed}", seed)
        assert files["old"] in (b"old content", b"new content")
        assert done < 5 or files == strict


def test_a_file_written_in_place(disk: Disk, tmp_path: Path) -> None:
    disk.apply([Operation("write", "old", 4, b"CONTENT and more"), Operation("truncate", "old", 14)])
    assert held(disk, "whole", tmp_path / "whole") == {"old": b"old CONTENT an"}
    assert held(disk, "strict", tmp_path / "strict") == {"old": b"old content"}
    # What is written over something stays what it was; what is added is zeros.
    assert held(disk, "ordered", tmp_path / "ordered") == {"old": b"old content\0\0\0"}


def test_a_careless_disk_keeps_any_of_the_writes_cut_at_sectors(disk: Disk, tmp_path: Path) -> None:
    disk.apply([Operation("write", "old", n * 2 * SECTOR, bytes([n + 1]) * 2 * SECTOR) for n in range(2)])
    seen = set()
    for seed in range(200):
        data = held(disk, "careless", tmp_path / str(seed), seed)["old"]
        parts = [data[n : n + SECTOR] for n in range(0, len(data), SECTOR)]
        assert all(len(set(part)) == 1 for part in parts if part[:3] != b"old")
        seen.add(tuple(part[:1] for part in parts))
    assert len(seen) > 5


def test_names_in_a_folder_that_is_not_synced_are_lost_with_it(disk: Disk, tmp_path: Path) -> None:
    disk.apply(
        [
            Operation("mkdir", "in"),
            Operation("create", "in/file"),
            Operation("write", "in/file", 0, b"synced"),
            Operation("sync", "in/file"),
            Operation("sync", "in"),
        ]
    )
    assert held(disk, "strict", tmp_path / "lost") == {"old": b"old content"}
    disk.apply([Operation("sync", ".")])
    assert held(disk, "strict", tmp_path / "there") == {"old": b"old content", "in/file": b"synced"}


def test_a_commit_counts_as_returned_until_the_next_operation() -> None:
    done = [REPLACED[0], Operation("mark", ""), REPLACED[1]]
    assert first(done, 0) == []
    assert first(done, 1) == done[:2]
    assert first(done, 2) == done
