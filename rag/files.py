"""Files that must be on the disk and be what was written, and files that a user gives."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rag.errors import BadSource


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hex."""
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Return when a file or folder has reached the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def shown(path: str | Path) -> str:
    """Return a path as text for one line: bytes of a name that are not UTF-8, and line breaks, percent-encoded.

    >>> shown("a\\udcffb.md")
    'a%FFb.md'
    """
    return "".join(_shown(c) if not c.isprintable() else c for c in str(path))


def _shown(c: str) -> str:
    # A byte that is not UTF-8 comes from the system as half a surrogate pair.
    if "\udc80" <= c <= "\udcff":
        return f"%{ord(c) - 0xDC00:02X}"
    return "\ufffd" if "\ud800" <= c <= "\udfff" else quote(c) if c in "\n\r" else c


def text_of(path: Path) -> str:
    """Return the text of a user's file.  Raises BadSource."""
    try:
        return path.read_text("utf-8-sig")
    except OSError as e:
        raise BadSource(f"{path.absolute()} cannot be read ({e.strerror}): check the path") from e
    except UnicodeDecodeError as e:
        raise BadSource(f"{path.absolute()} is not UTF-8 (byte {e.start}): convert it") from e


def records(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the objects of a file of JSON lines, each with where it stands, as FILE:LINE.  Raises BadSource."""
    # Not splitlines(): it breaks at characters that may stand in a line of JSON.
    for n, line in enumerate(text_of(path).split("\n"), 1):
        if not line.strip():
            continue
        where = f"{path.absolute()}:{n}"
        try:
            record = json.loads(line)
        except ValueError as e:
            raise BadSource(f"{where} is not JSON ({e}): write one object a line") from e
        if not isinstance(record, dict):
            raise BadSource(f"{where} is no object: write one object a line")
        yield where, record
