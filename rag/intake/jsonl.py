"""Corpora of one JSON object a line, as BEIR writes them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import IO

from rag.errors import InvalidArticle, UnreadablePage
from rag.intake.fields import as_authors, as_id, as_published, as_words
from rag.intake.sources import Page, Raw
from rag.intake.split import made_title
from rag.intake.text import clean
from rag.types import Article, Failure

_STEP = 1 << 20


def opened_lines(page: Page, max_line: int) -> Iterator[Raw | Failure]:
    """Yield the lines of a JSONL page that are not blank; what cannot be taken is a Failure in its place.

    No more than `max_line` bytes of a line are ever held.
    """
    found = False
    try:
        with Path(page.path).open("rb") as file:
            for number, line in enumerate(_lines(file, max_line), start=1):
                if line is None:
                    found = True
                    reason = f"the line is longer than {max_line:,} bytes: shorten its text"
                    yield Failure(f"{page.path}:{number}", reason)
                elif line.strip():
                    found = True
                    yield Raw(page, line, number)
    except OSError as error:
        yield Failure(page.path, f"it cannot be read ({error.strerror}): check its permissions")
        return
    if not found:
        yield Failure(page.path, "it is empty: remove it or fill it")


def parsed_line(raw: Raw) -> Article | Failure:
    """Return the article of a line; a bad line is a Failure that names it."""
    try:
        return _article(raw.page, raw.data.removeprefix(b"\xef\xbb\xbf") if raw.line == 1 else raw.data)
    except (UnreadablePage, InvalidArticle) as error:
        return Failure(f"{raw.page.path}:{raw.line}", str(error))


def _lines(file: IO[bytes], limit: int) -> Iterator[bytes | None]:
    # None stands for a line over the limit, of which the rest is read past in steps.
    while line := file.readline(limit + 1):
        if len(line) <= limit or line.endswith(b"\n"):
            yield line
            continue
        while (rest := file.readline(_STEP)) and not rest.endswith(b"\n"):
            pass
        yield None


def _article(page: Page, line: bytes) -> Article:
    try:
        value = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise UnreadablePage(f"no valid UTF-8 at byte {error.start:,} of the line: save it as UTF-8") from error
    except json.JSONDecodeError as error:
        raise UnreadablePage(f"no valid JSON at column {error.colno} ({error.msg}): correct it") from error
    except (ValueError, RecursionError) as error:
        raise UnreadablePage(f"no usable JSON ({' '.join(str(error).split())[:80]}): correct it") from error
    if not isinstance(value, dict):
        raise UnreadablePage(f'a JSON {type(value).__name__}, not an object: write {{"_id": …, "text": …}}')
    text = value.get("text")
    if not isinstance(text, str):
        raise UnreadablePage('it has no "text" of type string: add one')
    id = as_id(value.get("_id"), '"_id"')
    if not id:
        raise UnreadablePage('it has no "_id": add one')
    text = clean(text).strip()
    if not text:
        raise UnreadablePage('its "text" is empty: fill it or remove the line')
    metadata = value.get("metadata")
    if metadata is None:
        metadata = {}
    if not isinstance(metadata, dict):
        raise UnreadablePage(f'its "metadata" is a {type(metadata).__name__}: write an object')
    title = as_words(value.get("title"), '"title"')
    return Article(
        id=id,
        title=title or made_title(text),
        title_made=not title,
        text=text,
        authors=as_authors(_first(metadata, "authors", "author"), 'metadata "authors"'),
        published=_published(_first(metadata, "published", "date")),
        url=as_words(metadata.get("url"), 'metadata "url"') or None,
        source=page.name,
    )


def _first(fields: dict[str, object], *names: str) -> object:
    return next((fields[name] for name in names if fields.get(name) is not None), None)


def _published(value: object) -> date | None:
    # Corpora carry the dates that a crawler took for dates: a wrong one costs the date, not the article.
    try:
        return as_published(value, 'metadata "published"')
    except UnreadablePage:
        return None
