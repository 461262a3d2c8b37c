"""An index as one file: taken while it is used, and read back into this folder or another.

A backup holds what cannot be made again without work: the catalog and the vectors, each as SQLite copies it from one
snapshot, in a ZIP whose checksums cover both.  It is read back article by article through the store's one transaction,
so that a damaged or hostile file can do no more than an article could, and readers see the index before or after.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import shutil
import sqlite3
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from rag.errors import BadSource, IndexDamaged, InvalidArticle, NoIndex, StoreError
from rag.files import sync
from rag.protocols import Transaction
from rag.store import catalog, sqlite, vectorfile
from rag.store.local import LocalStore
from rag.store.view import CATALOG, VECTORS
from rag.types import Article, NewPassage, Stats, Steps

CONTENTS = "footnote.json"
"""The member that says what a backup is."""

TRIES = 5
"""A writer may erase vectors between the two copies; then both are taken again."""

COPIED = 2**20
"""Bytes copied at a time."""

TOGETHER = 64
"""Articles read back at a time."""

OnProgress = Callable[[Steps], None]


def save(folder: str | Path, to: str | Path) -> int:
    """Write an index's backup, while others read and write it, and return its size in bytes.

    A file that is there is replaced once the new one is complete.  Raises NoIndex, IndexDamaged, StoreError and
    BadSource.
    """
    store, to = LocalStore(folder), Path(to)
    store.close()
    if to.is_dir() or not to.absolute().parent.is_dir():
        raise BadSource(f"{to.absolute()} cannot be written: name a file in a folder that is there")
    part = to.with_name(f".{to.name}.part")
    try:
        with sqlite.guarded(to), tempfile.TemporaryDirectory(prefix=".footnote-", dir=to.absolute().parent) as copies:
            _copy(Path(folder), Path(copies))
            contents = {"footnote index": catalog.FORMAT, "made": date.today().isoformat()}
            with zipfile.ZipFile(part, "w") as packed:
                packed.writestr(CONTENTS, json.dumps(contents))
                # Text shrinks to half; nothing is gained on vectors.
                packed.write(Path(copies) / CATALOG, CATALOG, zipfile.ZIP_DEFLATED, compresslevel=1)
                packed.write(Path(copies) / VECTORS, VECTORS, zipfile.ZIP_STORED)
            sync(part)
            part.replace(to)
            sync(to.absolute().parent)
    finally:
        part.unlink(missing_ok=True)
    return to.stat().st_size


def _copy(folder: Path, to: Path) -> None:
    """Copy the catalog and all vectors that it needs."""
    for _ in range(TRIES):
        for name in (CATALOG, VECTORS):
            (to / name).unlink(missing_ok=True)
            if not (folder / name).exists():
                sqlite3.connect(to / name).execute("CREATE TABLE vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL)")
                continue
            with sqlite.guarded(folder / name), contextlib.closing(_reading(folder / name)) as db:
                db.execute("VACUUM INTO ?", (str(to / name),))
        with contextlib.closing(_reading(to / CATALOG)) as db:
            db.execute("ATTACH ? AS cached", ((to / VECTORS).as_uri() + "?mode=ro",))
            lost = "SELECT 1 FROM passages WHERE key NOT IN (SELECT key FROM cached.vectors) LIMIT 1"
            if db.execute(lost).fetchone() is None:
                return
    raise IndexDamaged(
        f"index {folder.absolute()} lacks vectors of its passages: mend it with `rag doctor --repair`, then back it up"
    )


def _reading(path: Path) -> sqlite3.Connection:
    how = "ro" if sqlite.is_writable(path) else "ro&immutable=1"
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode={how}", uri=True)


def restore(
    file: str | Path, folder: str | Path, *, replace: bool = False, on_progress: OnProgress | None = None
) -> Stats:
    """Read a backup into an index, made if there is none, and return what that holds then; embeds nothing.

    With `replace` an index that holds articles gives way to the backup, in one commit.  Raises BadSource for a file
    that is no backup or damaged, StoreError for an index in the way, IndexLocked, IndexMismatch for a later format.
    """
    file, folder = Path(file), Path(folder)
    if not replace and LocalStore.exists(folder):
        with contextlib.closing(LocalStore(folder)) as there, there.view() as view:
            if view.stats().articles:
                raise StoreError(f"index {folder.absolute()} holds articles: name another folder, or --replace them")
    with _unpacked(file, folder.absolute().parent) as unpacked:
        with _sound(file):
            source = LocalStore(unpacked)
            made = source.fingerprint
            source.close()
        with contextlib.closing(LocalStore.create(folder, made)) as store:
            with store.writer(made) as transaction, _sound(file):
                _read_back(unpacked, made.dim, transaction, on_progress)
            with store.view() as view:
                return view.stats()


@contextlib.contextmanager
def _sound(file: Path) -> Iterator[None]:
    """Tell of a backup what its files say of themselves."""
    try:
        yield
    except (IndexDamaged, NoIndex, InvalidArticle, KeyError, ValueError, sqlite3.Error) as error:
        raise _damaged(file) from error


def _damaged(file: Path) -> BadSource:
    return BadSource(f"{file.absolute()} is damaged: nothing was restored, take an older backup")


@contextlib.contextmanager
def _unpacked(file: Path, beside: Path) -> Iterator[Path]:
    """Give a folder with the catalog and the vectors of a backup."""
    try:
        packed = zipfile.ZipFile(file)
    except (OSError, zipfile.BadZipFile) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "not a ZIP file"
        raise BadSource(f"{file.absolute()} cannot be read as a backup ({reason}): check the path") from error
    with packed:
        sizes = {info.filename: info.file_size for info in packed.infolist()}
        if set(sizes) != {CONTENTS, CATALOG, VECTORS} or sizes[CONTENTS] > COPIED:
            raise BadSource(f"{file.absolute()} is no backup of Footnote: `rag backup FILE` makes one")
        beside.mkdir(parents=True, exist_ok=True)
        if sum(sizes.values()) > shutil.disk_usage(beside).free:
            raise StoreError(
                f"no space left in {beside} to unpack {file.absolute()}: free {sum(sizes.values()):,} bytes"
            )
        with sqlite.guarded(beside / file.name), tempfile.TemporaryDirectory(prefix=".footnote-", dir=beside) as to:
            for name in (CATALOG, VECTORS):
                try:
                    with packed.open(name) as member, (Path(to) / name).open("wb") as out:
                        shutil.copyfileobj(member, out, COPIED)
                except (zipfile.BadZipFile, zlib.error, EOFError) as error:
                    raise _damaged(file) from error
            yield Path(to)


@dataclass(slots=True)
class _Read:
    """An article of a backup and its passages; an earlier revision has none."""

    article: Article
    passages: list[NewPassage]
    origin: str


def _articles(db: sqlite3.Connection) -> Iterator[_Read]:
    """Yield what a backup holds, earlier revisions before the later ones that retire them.  Raises InvalidArticle."""
    sections = dict(db.execute("SELECT code, name FROM sections"))
    rows = db.execute(f"SELECT live, origin, first, passages, {catalog.ARTICLE} FROM articles ORDER BY ord")
    for live, origin, first, count, *row in rows:
        article = catalog.read_article(row)
        spans = db.execute(
            "SELECT start, end, section, key FROM passages WHERE row BETWEEN ? AND ? ORDER BY row",
            (first, first + count - 1),
        )
        new = [NewPassage(start, end, sections[code], bytes(key)) for start, end, code, key in spans if live]
        if any(not 0 <= p.start < p.end <= len(article.text) for p in new):
            raise InvalidArticle(f"article {article.id} has a passage outside its text")
        yield _Read(article, new, str(origin))


def _read_back(unpacked: Path, dim: int, transaction: Transaction, on_progress: OnProgress | None) -> None:
    began = time.monotonic()
    vectors = vectorfile.VectorFile(unpacked / VECTORS, dim, write=False)
    with contextlib.closing(_reading(unpacked / CATALOG)) as db, contextlib.closing(vectors):
        total = db.execute("SELECT COUNT(*) FROM articles").fetchone()[0]
        found = _articles(db)
        done = 0
        while some := list(itertools.islice(found, TOGETHER)):
            keys = list(dict.fromkeys(p.key for read in some for p in read.passages))
            if keys:
                transaction.remember(keys, vectors.get(keys))
            for read in some:
                transaction.add(read.article, read.passages, read.origin)
            done += len(some)
            if on_progress:
                on_progress(Steps("restore", done, total, time.monotonic() - began, "articles"))
