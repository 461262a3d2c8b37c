"""Words to rows: BM25 over title and text, in tantivy.

The index holds no text, only rows, and the numbers that filters ask about (see columns.py).  It may be ahead of the
catalog (rows not yet committed there, or removed there and not yet here), so whoever asks checks every row against its
own snapshot.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import weakref
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from functools import cache
from pathlib import Path
from stat import S_IMODE
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tantivy

from rag.errors import IndexDamaged, StoreError
from rag.files import sync
from rag.handover import Scored
from rag.store.columns import Wanted
from rag.store.segmentfile import CHECKED_BYTES
from rag.store.sqlite import is_writable
from rag.words import analyzer, terms, words

HEAP_BYTES = 32_000_000

META, LOCK = "meta.json", ".tantivy-meta.lock"
"""The file that names the others, and the one that is locked while these are opened."""

KINDS = ("term", "idx", "pos", "fieldnorm", "fast", "store")
"""Of the files of one of tantivy's segments, beside that of its removed rows."""

FOOTER = 1337
"""What ends each of these files, behind a JSON object with the sum of all before it and the length of that object."""


class About(NamedTuple):
    """What filters ask about an article, in the catalog's codes; `day` as in columns.py."""

    source: int
    day: int
    authors: Sequence[int]


class Damaged(IndexDamaged):
    """The lexical index cannot be read."""


@cache
def _schema() -> tantivy.Schema:
    fields = tantivy.SchemaBuilder()
    fields.add_unsigned_field("row", indexed=True, fast=True, stored=False)
    for name in ("article", "author", "source", "section"):
        fields.add_unsigned_field(name, indexed=True, fast=False, stored=False)
    fields.add_unsigned_field("day", indexed=True, fast=True, stored=False)
    fields.add_text_field("body", tokenizer_name="stems", index_option="freq", stored=False)
    fields.add_text_field("words", tokenizer_name="words", index_option="position", stored=False)
    return fields.build()


def open_index(folder: Path, *, create: bool = False) -> tantivy.Index:
    """Return the index in a folder.  Raises Damaged."""
    _check_small_files(folder)
    try:
        if create and not (folder / META).exists():
            folder.mkdir(exist_ok=True)
            sync(folder.parent)
            index = tantivy.Index(_schema(), path=str(folder))
        else:
            index = tantivy.Index.open(str(folder))
        index.register_tokenizer("stems", analyzer(stem=True))
        index.register_tokenizer("words", analyzer(stem=False))
        index.config_reader("manual")
        return index
    except BaseException as e:
        raise _as_damaged(e, folder) from e


class Opened:
    """An index opened to be read: that of a folder, or a copy where the lock file that opening takes cannot be made.

    A copy goes when nobody holds this any more.
    """

    def __init__(self, folder: Path) -> None:
        self._copied = b""
        if all(is_writable(folder / name) for name in (META, LOCK)):
            self.index = open_index(folder)
            return
        # Here, since whoever asks knows nothing of the copy.
        _check_small_files(folder)
        copy = Path(tempfile.mkdtemp(prefix="footnote-lexical-"))
        weakref.finalize(self, shutil.rmtree, copy, ignore_errors=True)
        while self._copied != (meta := _meta(folder)):
            self._copied = meta
            (copy / META).write_bytes(meta)
            # A writer that is at work elsewhere may merge some away meanwhile, and then names others.
            with contextlib.suppress(FileNotFoundError):
                for path in files(copy)[1:]:
                    if not path.exists():
                        # Without the modes of the originals, which would forbid the lock here too.
                        shutil.copyfile(folder / path.name, path)
                break
        self.index = open_index(copy)

    def is_current(self, folder: Path) -> bool:
        """Say whether this shows what is in the folder now, once it is reloaded."""
        return not self._copied or self._copied == _meta(folder)


def _meta(folder: Path) -> bytes:
    try:
        return (folder / META).read_bytes()
    except OSError as e:
        raise _as_damaged(e, folder) from e


def files(folder: Path) -> list[Path]:
    """Return the files that an index consists of now, META first.  Raises Damaged."""
    meta = folder / META
    try:
        said = json.loads(meta.read_text("utf-8"))
        found = [meta]
        for segment in said["segments"]:
            name = str(segment["segment_id"]).replace("-", "")
            found += [folder / f"{name}.{kind}" for kind in KINDS]
            if segment["deletes"]:
                found.append(folder / f"{name}.{segment['deletes']['opstamp']}.del")
        return found
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise _as_damaged(Exception(f"{META}: {e}"), folder) from e


def is_whole(path: Path) -> bool:
    """Say whether one of tantivy's files is what was written: tantivy itself looks at the sum of none."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - 8, 0))
        end = file.read(8)
        length, magic = int.from_bytes(end[:4], "little"), int.from_bytes(end[4:], "little")
        body = size - 8 - length
        if magic != FOOTER or body < 0:
            return False
        file.seek(body)
        try:
            wanted = json.loads(file.read(length))["crc"]
        except (ValueError, KeyError, TypeError):
            return False
        file.seek(0)
        found = 0
        while body > 0:
            data = file.read(min(body, 2**20))
            if not data:
                return False
            found = zlib.crc32(data, found)
            body -= len(data)
    return bool(found == wanted)


_whole: set[tuple[str, int, int, int]] = set()
"""Files that this process has found whole; they are written once."""


def _check_small_files(folder: Path) -> None:
    """Raise Damaged when a file that is not large is not what was written.  See segmentfile.CHECKED_BYTES."""
    if not (folder / META).exists():
        return
    for path in files(folder)[1:]:
        try:
            status = path.stat()
            known = (str(path), status.st_ino, status.st_size, status.st_mtime_ns)
            if status.st_size > CHECKED_BYTES or known in _whole:
                continue
            if not is_whole(path):
                raise _as_damaged(Exception(f"{path.name} is not what was written"), folder)
        except FileNotFoundError:
            continue  # a writer has merged it away, or tantivy says so
        if len(_whole) > 10_000:
            _whole.clear()
        _whole.add(known)


class Words:
    """One unchanging state of the lexical index in a folder.  Rows it returns are unchecked."""

    def __init__(self, opened: Opened, folder: Path) -> None:
        self._opened, self._folder = opened, folder
        try:
            opened.index.reload()
            self._searcher = opened.index.searcher()
        except BaseException as e:
            raise _as_damaged(e, folder) from e

    def search(self, text: str, k: int, wanted: Wanted | None = None, phrases: Sequence[str] = ()) -> Scored:
        """Return up to k rows that share a term with the text, best first, and satisfy a filter if one is given."""
        found = [(tantivy.Occur.Should, tantivy.Query.term_query(_schema(), "body", t)) for t in terms(text)]
        if not found:
            return Scored(np.empty(0, np.int64), np.empty(0, np.float32))
        query = tantivy.Query.boolean_query(found)
        filters = [*(_filters(wanted) if wanted else ()), *(_phrase(p) for p in phrases)]
        if filters:
            # They choose and do not score.
            musts = [(tantivy.Occur.Must, tantivy.Query.const_score_query(f, 0.0)) for f in filters]
            query = tantivy.Query.boolean_query([(tantivy.Occur.Must, query), *musts])
        return self._run(query, k)

    def holding(self, phrase: str) -> npt.NDArray[np.int64]:
        """Return all rows whose text holds the words of the phrase in a row, ascending."""
        query = _phrase(phrase)
        return np.sort(self._run(query, max(self._matches(query), 1)).rows)

    def between(self, first: int, last: int) -> npt.NDArray[np.int64]:
        """Return all rows from `first` to `last`, ascending, one that is there twice twice."""
        query = tantivy.Query.range_query(_schema(), "row", tantivy.FieldType.Unsigned, first, last)
        return np.sort(self._run(query, max(self._matches(query), 1)).rows)

    def _matches(self, query: tantivy.Query) -> int:
        try:
            found: Any = self._searcher.search(query, limit=1, count=True)
        except BaseException as e:
            raise _as_damaged(e, self._folder) from e
        return int(found.count)

    def _run(self, query: tantivy.Query, k: int) -> Scored:
        try:
            hits = self._searcher.search(query, limit=k, count=False).hits
            rows = self._searcher.fast_field_values("row", [address for _, address in hits])
        except BaseException as e:
            raise _as_damaged(e, self._folder) from e
        return Scored(np.array(rows, np.int64), np.array([score for score, _ in hits], np.float32))


def any_from(folder: Path, row: int) -> bool:
    """Say whether the index in a folder has a row from this one up.  Raises Damaged."""
    index = open_index(folder)
    query = tantivy.Query.range_query(_schema(), "row", tantivy.FieldType.Unsigned, lower_bound=row)
    try:
        index.reload()
        return bool(index.searcher().search(query, limit=1, count=False).hits)
    except BaseException as e:
        raise _as_damaged(e, folder) from e


def _filters(wanted: Wanted) -> Iterator[tantivy.Query]:
    by_code = {"article": wanted.ords, "author": wanted.authors, "source": wanted.sources, "section": wanted.sections}
    for field, codes in by_code.items():
        if codes is not None:
            yield tantivy.Query.term_set_query(_schema(), field, codes.tolist())
    if wanted.since is not None or wanted.until is not None:
        first, last = max(wanted.since or 1, 1), wanted.until or date.max.toordinal()
        yield tantivy.Query.range_query(_schema(), "day", tantivy.FieldType.Unsigned, first, last)


def _phrase(phrase: str) -> tantivy.Query:
    said = words(phrase)
    if len(said) == 1:
        return tantivy.Query.term_query(_schema(), "words", said[0])
    return tantivy.Query.phrase_query(_schema(), "words", list(said))


def has_our_fields(index: tantivy.Index) -> bool:
    """Say whether an index has the fields that this version writes and asks for."""
    return bool(index.schema == _schema())


class WordsWriter:
    """Adds and removes rows; what was added is readable after `commit`."""

    def __init__(self, folder: Path, *, create: bool) -> None:
        self._folder = folder
        self._index = open_index(folder, create=create)
        self._writer = self._try(lambda: self._index.writer(HEAP_BYTES, 1))
        # A killed writer may have left a file of a name that is about to be given again.
        self._try(self._writer.garbage_collect_files)
        self._dirty = False

    def add(self, ord: int, title: str, passages: Iterable[tuple[int, int, str]], about: About) -> None:
        """Add the passages of one article: row, section's code and text of each."""
        for row, section, text in passages:
            document = tantivy.Document()
            # add_unsigned, because a number given otherwise is typed signed and kills the writer later.
            document.add_unsigned("row", row)
            document.add_unsigned("article", ord)
            document.add_unsigned("section", section)
            document.add_unsigned("source", about.source)
            document.add_unsigned("day", about.day)
            for author in about.authors:
                document.add_unsigned("author", author)
            document.add_text("body", f"{title}\n{text}")
            document.add_text("words", text)
            self._try(lambda d=document: self._writer.add_document(d))  # type: ignore[misc]
        self._dirty = True

    def remove(self, rows: Iterable[int]) -> None:
        """Remove these rows."""
        gone = list(rows)
        if gone:
            query = tantivy.Query.term_set_query(_schema(), "row", gone)
            self._try(lambda: self._writer.delete_documents_by_query(query))
            self._dirty = True

    def remove_from(self, row: int) -> None:
        """Remove all rows from this one up: what a killed writer added and the catalog never named."""
        query = tantivy.Query.range_query(_schema(), "row", tantivy.FieldType.Unsigned, lower_bound=row)
        self._try(lambda: self._writer.delete_documents_by_query(query))
        self._dirty = True

    def commit(self) -> None:
        """Make it durable and visible to readers that reload."""
        if self._dirty:
            self._try(self._writer.commit)
            self._open_to_readers()
            # The library renames its list of segments into place and leaves the folder as it is.
            sync(self._folder)
            self._dirty = False

    def close(self) -> None:
        """Drop what was not committed and let background merges end."""
        # Not by a rollback, after which the library no longer waits for merges that began before it.
        self._try(self._writer.wait_merging_threads)
        self._open_to_readers()

    def _open_to_readers(self) -> None:
        """Let whoever may read the other files read the list of them, which the library keeps for its owner."""
        # Only their owner may change the modes of files, and where there are none nobody reads.
        with contextlib.suppress(OSError):
            (self._folder / META).chmod(S_IMODE((self._folder / LOCK).stat().st_mode))

    def _try(self, work: Callable[[], Any]) -> Any:
        try:
            return work()
        except BaseException as e:
            raise _as_damaged(e, self._folder) from e


def _as_damaged(e: BaseException, folder: Path) -> BaseException:
    # A panic in the library arrives as a BaseException of its own.
    if isinstance(e, Exception) or type(e).__name__ == "PanicException":
        reason = " ".join(str(e).split())[:160]
        if "Worker thread failed" in reason:
            # All that the library says when its own thread cannot write.
            return StoreError(f"{folder.absolute()} could not be written: see that there is space and run it again")
        if any(told in reason for told in ("os error 28", "No space left", "StorageFull")):
            return StoreError(f"no space left to write {folder.absolute()}: free some and run it again")
        if any(told in reason for told in ("os error 13", "Permission denied")):
            return StoreError(f"{folder.absolute()} cannot be read or written: see to the permissions in it")
        return Damaged(f"lexical index {folder.absolute()} cannot be used ({reason}): mend it, `rag doctor --repair`")
    return e
