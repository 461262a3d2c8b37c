"""Where pages come from: one file, or a folder and all below it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rag.errors import BadSource
from rag.files import shown
from rag.types import Failure

Kind = Literal["md", "txt", "html", "jsonl"]

KINDS: dict[str, Kind] = {
    ".md": "md",
    ".markdown": "md",
    ".txt": "txt",
    ".text": "txt",
    ".html": "html",
    ".htm": "html",
    ".jsonl": "jsonl",
}

# A folder in BEIR's form keeps its questions beside the corpus; they are not articles.
_BEIR_CORPUS = "corpus.jsonl"
_BEIR_QUESTIONS = frozenset({"queries.jsonl", "qa.jsonl"})

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


@dataclass(frozen=True, slots=True)
class Page:
    """One file that may hold articles.

    `name` is its path under the ingested root with `/` between folders; `path` is absolute, and text
    because it is a quarter of the size of a Path: all pages are listed before the first is read.
    """

    name: str
    path: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Raw:
    """The bytes of a page, or of one line of a JSONL page, whose number from 1 is `line`."""

    page: Page
    data: bytes
    line: int = 0


def pages(source: str | Path) -> Iterator[Page | Failure]:
    """Return the pages of a file or folder, ordered by name; what cannot be reached is a Failure.

    Hidden files and files of other kinds are passed over.  A link is followed only to a file under
    the same root.

    Raises BadSource for a missing path, a URL, a file of an unknown kind and a folder without pages.
    """
    if isinstance(source, str) and _URL.match(source):
        raise BadSource(f"{source} is a URL, which cannot be read yet: save the page as .html and give that file")
    if not str(source):
        raise BadSource("the path is empty: give a file or a folder of articles")
    root = absolute(source)
    try:
        if root.is_dir():
            return _folder(root)
        if root.is_file():
            return iter([_file(root)])
        exists = root.exists()
    except (OSError, ValueError) as error:
        raise BadSource(f"{shown(root)} cannot be read ({_reason(error)}): check the path") from error
    if exists:
        raise BadSource(f"{shown(root)} is neither a file nor a folder: give a file or a folder of articles")
    raise BadSource(f"{shown(root)} does not exist: check the path")


def absolute(source: str | Path) -> Path:
    """Return a source's path, not resolved: messages show it as the caller knows it, links and all.

    Raises BadSource for the home of somebody who has none.
    """
    try:
        return Path(source).expanduser().absolute()
    except RuntimeError as error:
        raise BadSource(f"{shown(source)} cannot be read ({error}): check the path") from error


def _file(path: Path) -> Page:
    kind = KINDS.get(path.suffix.lower())
    if kind is None:
        raise BadSource(f"{shown(path)} is of an unknown kind: give one of {_known()}, or a folder of them")
    return Page(shown(path.name), str(path), kind)


def _folder(root: Path) -> Iterator[Page | Failure]:
    found: list[tuple[str, Page | Failure]] = []
    others = 0

    def unreachable(error: OSError) -> None:
        where = str(error.filename or root)
        found.append((where, Failure(where, f"the folder cannot be listed ({_reason(error)}): check its permissions")))

    real_root = root.resolve()
    for folder, folders, files in os.walk(root, onerror=unreachable):
        if not os.access(folder, os.X_OK):
            # What is in it can be listed and not reached: one line is enough for all.
            found.append((folder, Failure(folder, "the folder cannot be entered: check its permissions")))
            folders.clear()
            continue
        folders[:] = [name for name in folders if not name.startswith(".")]
        questions = _BEIR_QUESTIONS if _BEIR_CORPUS in files else frozenset()
        for name in files:
            path = Path(folder, name)
            kind = KINDS.get(path.suffix.lower())
            if name.startswith(".") or name in questions or kind is None:
                others += 1
                continue
            named = shown(path.relative_to(root).as_posix())
            try:
                value = _reached(path, named, kind, real_root)
            except (OSError, RuntimeError) as error:  # the second for a link to itself
                value = Failure(str(path), f"it cannot be reached ({_reason(error)}): check its permissions")
            if value:
                found.append((named, value))
    if not found:
        seen = f" ({others} files of other kinds)" if others else ""
        raise BadSource(f"{shown(root)} holds no articles{seen}: put {_known()} files there, or give another folder")
    return iter([value for _, value in sorted(found, key=lambda pair: pair[0])])


def _reached(path: Path, named: str, kind: Kind, root: Path) -> Page | Failure | None:
    """Return the page of a path below a root, or what is wrong with it; None for what is no file."""
    if path.is_symlink() and not path.resolve().is_relative_to(root):
        return Failure(str(path), "it is a link out of the folder: copy the file here")
    if path.is_symlink() and not path.exists():
        return Failure(str(path), "it is a link to nothing: remove or repair it")
    return Page(named, str(path), kind) if path.is_file() else None


def _known() -> str:
    return ", ".join(KINDS)


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
