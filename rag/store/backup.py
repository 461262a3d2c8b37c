"""An index as one file: taken while it is used; restore.py reads it back.

A backup holds what cannot be made again without work: the catalog as it is after one commit and the vectors that this
needs, in a ZIP whose checksums cover both.  Before it gets its name it is looked through as whoever restores it will.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import time
import zipfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from stat import S_ISDIR, S_ISREG

from rag.errors import BadSource, IndexDamaged, StoreError
from rag.files import sync
from rag.store import catalog, sqlite
from rag.store.copied import Copied, instead
from rag.store.faults import OnSteps, Pace
from rag.store.local import LocalStore
from rag.store.scratch import PACKED, scratch
from rag.store.view import CATALOG, VECTORS

CONTENTS = "footnote.json"
"""The member that says what a backup is."""

COPIED = 2**20
"""Bytes copied at a time."""

PAGES = 64
"""Pages of the catalog copied at a time."""

VECTORS_AT_ONCE = 1_000

MEGABYTE = 10**6


def save(folder: str | Path, to: str | Path, *, on_progress: OnSteps | None = None) -> int:
    """Write an index's backup, while others read and write it, and return its size in bytes.

    A backup that is there is replaced once the new one is complete; no other file is.  Raises NoIndex, IndexDamaged,
    StoreError and BadSource.
    """
    folder, pace = sqlite.folder_of(folder), Pace(on_progress)
    LocalStore(folder).close()
    place = _place(folder, to)
    with _writing(to), scratch(place.parent) as work:
        _copy(folder, work, pace)
        damaged = IndexDamaged(
            f"index {folder.absolute()} is damaged: mend it with `rag doctor --repair`, then back it up"
        )
        with instead(damaged, folder):
            copied = Copied(work)
        with contextlib.closing(copied):
            copied.check(pace, damaged, folder)
        _pack(work, pace)
        size = (work / PACKED).stat().st_size
        # Copying takes a while, in which something else may have come there.
        (work / PACKED).replace(_place(folder, to))
        sync(place.parent)
    return size


def _place(folder: Path, to: str | Path) -> Path:
    """Return the path at which a backup may be written.  Raises BadSource."""
    with _writing(to):
        place = Path(os.path.realpath(to))
        if not place.parent.is_dir():
            raise BadSource(f"{place} cannot be written: name a file in a folder that is there")
        if any(above.samefile(folder) for above in place.parents):
            raise BadSource(f"{place} lies in the index itself: name a file outside of {folder.absolute()}")
        try:
            mode = place.stat().st_mode
        except FileNotFoundError:
            return place
    if S_ISDIR(mode):
        raise BadSource(f"{place} cannot be written: name a file in a folder that is there")
    if not S_ISREG(mode):
        raise BadSource(f"{place} is no regular file: name another")
    try:
        opened(place).close()
    except BadSource as error:
        raise BadSource(f"{place} is there and is no backup of Footnote: name another file") from error
    return place


@contextlib.contextmanager
def _writing(to: str | Path) -> Iterator[None]:
    """Tell what the system says of the place of a backup."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise BadSource(f"{Path(to).absolute()} cannot be written ({reason}): name another file") from error
    except sqlite3.DatabaseError as error:
        # What is read has its own errors.
        raise BadSource(f"{Path(to).absolute()} cannot be written ({error}): see that there is space") from error


def _copy(folder: Path, to: Path, pace: Pace) -> None:
    """Copy the catalog as it is after one commit, and the vectors that it needs."""
    with _snapshot(folder) as (texts, cached):
        with contextlib.closing(_new(to / CATALOG)) as new:
            with _told_of(folder / CATALOG):
                pages = texts.execute("PRAGMA page_count").fetchone()[0]
                pace.begin("copy", pages, "pages")
                texts.backup(new, pages=PAGES, progress=lambda *_: pace.on(PAGES))
                new.execute("PRAGMA journal_mode=DELETE")
                needed = {row[0] for row in new.execute("SELECT key FROM passages UNION SELECT key FROM former")}
        with contextlib.closing(_new(to / VECTORS)) as new:
            new.execute("CREATE TABLE vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL)")
            if cached is None:
                return
            pace.begin("copy vectors", len(needed), "vectors")
            new.execute("BEGIN")
            with _told_of(folder / VECTORS):
                rows = cached.execute("SELECT key, vector FROM vectors")
            while some := _fetched(rows, folder / VECTORS):
                wanted = [row for row in some if row[0] in needed]
                new.executemany("INSERT INTO vectors VALUES (?, ?)", wanted)
                pace.on(len(wanted))
            new.execute("COMMIT")


def _fetched(rows: sqlite3.Cursor, path: Path) -> list[tuple[bytes, bytes]]:
    with _told_of(path):
        return rows.fetchmany(VECTORS_AT_ONCE)


@contextlib.contextmanager
def _snapshot(folder: Path) -> Iterator[tuple[sqlite3.Connection, sqlite3.Connection | None]]:
    """Give connections to the catalog and to vectors of which none is missing there; neither changes meanwhile."""
    for _ in range(100):
        with contextlib.ExitStack() as stack:
            with _told_of(folder / CATALOG):
                texts = stack.enter_context(contextlib.closing(_reading(folder / CATALOG)))
                texts.execute("BEGIN")
                generation = catalog.get(texts, "generation")
            cached = None
            if (folder / VECTORS).exists():
                with _told_of(folder / VECTORS):
                    cached = stack.enter_context(contextlib.closing(_reading(folder / VECTORS)))
                    cached.execute("BEGIN")
                    cached.execute("SELECT 1 FROM vectors LIMIT 1").fetchone()
            # Vectors are erased after the commit that needs them no more; without one in between there are all.
            with _told_of(folder / CATALOG), contextlib.closing(_reading(folder / CATALOG)) as now:
                unchanged = catalog.get(now, "generation") == generation
            if unchanged:
                yield texts, cached
                return
        time.sleep(0.01)
    raise StoreError(f"index {folder.absolute()} changes all the time: try again")


@contextlib.contextmanager
def _told_of(path: Path) -> Iterator[None]:
    """Tell of an index what is wrong with it; what is wrong with the copy is raised as it is."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
            raise
        with sqlite.guarded(path):
            raise


def _reading(path: Path) -> sqlite3.Connection:
    return sqlite.connect(path, write=False, keep_log=True)


def _new(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None)
    # What matters is the file that comes of it.
    db.execute("PRAGMA journal_mode=OFF")
    db.execute("PRAGMA synchronous=OFF")
    return db


def _pack(work: Path, pace: Pace) -> None:
    """Make one file of the two."""
    contents = {"footnote index": catalog.FORMAT, "made": date.today().isoformat()}
    pace.begin("pack", sum((work / name).stat().st_size for name in (CATALOG, VECTORS)) // MEGABYTE, "MB")
    rest = 0
    with zipfile.ZipFile(work / PACKED, "w", compresslevel=1) as packed:
        packed.writestr(CONTENTS, json.dumps(contents))
        # Text shrinks to half; nothing is gained on vectors.
        for name, compression in ((CATALOG, zipfile.ZIP_DEFLATED), (VECTORS, zipfile.ZIP_STORED)):
            packed.compression = compression
            with (work / name).open("rb") as file, packed.open(name, "w", force_zip64=True) as member:
                while some := file.read(COPIED):
                    member.write(some)
                    whole, rest = divmod(rest + len(some), MEGABYTE)
                    pace.on(whole)
    sync(work / PACKED)


def opened(file: Path) -> zipfile.ZipFile:
    """Return a backup whose members are those that it must have.  Raises BadSource."""
    foreign = BadSource(f"{file.absolute()} is no backup of Footnote: `rag backup FILE` makes one")
    with _unzipping(file, _unreadable(file, "not a ZIP file")):
        if not S_ISREG(file.stat().st_mode):
            raise _unreadable(file, "no regular file")
        packed = zipfile.ZipFile(file)
    try:
        found = packed.infolist()
        if sorted(info.filename for info in found) != sorted((CONTENTS, CATALOG, VECTORS)):
            raise foreign
        for info in found:
            # Of what else there is some takes memory without end.
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or info.flag_bits & 1:
                raise damaged(file)
        if packed.getinfo(CONTENTS).file_size > COPIED:
            raise foreign
        with _unzipping(file, damaged(file)):
            said = packed.read(CONTENTS)
        with instead(foreign, file):
            int(json.loads(said)["footnote index"])
    except BaseException:
        packed.close()
        raise
    return packed


@contextlib.contextmanager
def _unzipping(file: Path, error: BadSource) -> Iterator[None]:
    """Raise an error in place of what reading a damaged ZIP file raises."""
    try:
        with instead(error, file):
            yield
    except OSError as e:
        raise _unreadable(file, e.strerror or str(e)) from e


def _unreadable(file: Path, reason: str) -> BadSource:
    return BadSource(f"{file.absolute()} cannot be read as a backup ({reason}): check the path")


def damaged(file: Path) -> BadSource:
    """Return the error of a backup that is not what was written."""
    return BadSource(f"{file.absolute()} is damaged: nothing was restored, take an older backup")


def unpack(packed: zipfile.ZipFile, file: Path, to: Path, pace: Pace) -> None:
    """Write the two files of an index into a folder.  Raises BadSource, and StoreError when there is no room."""
    sizes = {info.filename: info.file_size for info in packed.infolist()}
    need = sum(sizes.values())
    if need > shutil.disk_usage(to).free:
        raise StoreError(f"no space left in {to.parent} to unpack {file.absolute()}: free {need:,} bytes")
    pace.begin("unpack", need // MEGABYTE, "MB")
    rest = 0
    for name in (CATALOG, VECTORS):
        with contextlib.ExitStack() as stack, (to / name).open("wb") as out:
            with _unzipping(file, damaged(file)):
                member = stack.enter_context(packed.open(name))
            while True:
                with _unzipping(file, damaged(file)):
                    some = member.read(COPIED)
                if not some:
                    break
                out.write(some)
                whole, rest = divmod(rest + len(some), MEGABYTE)
                pace.on(whole)
