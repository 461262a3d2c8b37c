"""What there is to ingest: the pages of paths, and articles that were handed over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from rag.errors import BadSource
from rag.intake.sources import Page, absolute, pages
from rag.intake.text import clean
from rag.types import Article, Failure


@dataclass(frozen=True, slots=True)
class Item:
    """A page to read, an article that was handed over, or what went wrong before reading."""

    value: Page | Article | Failure
    root: str
    origin: str = ""
    """The file it is in; empty for an article that was handed over."""


def find(sources: Iterable[str | Path | Article]) -> list[Item]:
    """Return everything there is to read.  Raises BadSource for a source that cannot be read at all."""
    if isinstance(sources, (Article, str, bytes, Mapping)) or not isinstance(sources, Iterable):
        raise BadSource(f"{type(sources).__name__} is no list of sources: give a path, or a list of rag.Article values")
    items: list[Item] = []
    for source in sources:
        if isinstance(source, Article):
            items.append(Item(_cleaned(source), ""))
        elif isinstance(source, (str, Path)):
            found = pages(source)
            # Resolved, so that another way to write a path is not another source.
            root = str(absolute(source).resolve())
            items += [Item(page, root, _origin(page)) for page in found]
        else:
            raise BadSource(f"{type(source).__name__} is not a source: give a path or rag.Article values")
    if not items:
        raise BadSource("there is nothing to ingest: give a path or some articles")
    return items


def _origin(page: Page | Failure) -> str:
    if isinstance(page, Failure):
        return ""
    resolved = str(Path(page.path).resolve())
    # Of the two equal texts one is kept: there may be a great many pages.
    return page.path if page.path == resolved else resolved


def _cleaned(article: Article) -> Article | Failure:
    text = clean(article.text)
    if text != article.text:
        if article.sections:
            return Failure(article.id, "its text is not clean NFC, so its sections' offsets would move: clean it first")
        article = replace(article, text=text)
    if not text.strip():
        return Failure(article.id, "it has no text")
    return replace(article, title=clean(article.title))


def records(value: Page | Article | Failure) -> int:
    """Return how many records a page holds, as far as can be told without reading it: the measure of progress."""
    if not isinstance(value, Page) or value.kind != "jsonl":
        return 1
    try:
        with Path(value.path).open("rb") as f:
            return max(sum(block.count(b"\n") for block in iter(lambda: f.read(1 << 20), b"")), 1)
    except OSError:
        return 1  # Reading it properly reports what is wrong with it.
