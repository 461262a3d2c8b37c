"""Web pages: the article's own text out of everything a browser is sent."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Protocol

import trafilatura

from rag.errors import UnreadablePage
from rag.intake.bylines import read_names
from rag.intake.text import clean

_BLOCKS = frozenset({"p", "head", "item", "list", "quote", "code", "table", "row", "cell", "div", "main", "body"})
# Without the wide search a date comes from the page's own metadata and markup, not from any number in its text.
_DATES = {"original_date": True, "extensive_search": False, "outputformat": "%Y-%m-%d"}

_ACCOUNTS = frozenset({"username", "admin", "administrator", "author", "user", "guest", "editor", "webmaster"})
_MONTH = re.compile(
    r"(?<=\S\s\S)(?P<rest>\S*)"
    r" (?:January|February|March|April|May|June|July|August|September|October|November|December)$"
)


class _Element(Protocol):
    """An element as lxml gives it; its package brings no types."""

    tag: object
    text: str | None
    tail: str | None

    def get(self, name: str) -> str | None: ...
    def __iter__(self) -> Iterator[_Element]: ...
    def __reversed__(self) -> Iterator[_Element]: ...


@dataclass(frozen=True, slots=True)
class WebPage:
    """An article as a web page gives it; empty where the page does not say."""

    text: str
    title: str
    authors: tuple[str, ...]
    published: date | None
    url: str


def extract(html: bytes | str) -> WebPage:
    """Return the article of a web page, headings marked `#`.  Raises UnreadablePage where there is none.

    Bytes are decoded by the page's own declaration.  Nothing is fetched.
    """
    try:
        found = trafilatura.bare_extraction(
            html,
            include_comments=False,
            include_tables=True,
            with_metadata=True,
            date_extraction_params=dict(_DATES),
        )
    except Exception as error:  # the library's parsers raise what they like on broken markup
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:120]
        raise UnreadablePage(f"its HTML cannot be parsed ({reason}): save its text as .txt or .md") from error
    if found is None or isinstance(found, dict) or found.body is None:
        raise UnreadablePage("no article was found in it: save its text as .txt or .md")
    text = "\n\n".join(_blocks(found.body)) or found.text or ""
    if not text.strip():
        raise UnreadablePage("no article was found in it: save its text as .txt or .md")
    title, url = (" ".join(clean(words or "").split()) for words in (found.title, found.url))
    return WebPage(text, title, _authors(found.author), _day(found.date), url)


def _authors(author: str | None) -> tuple[str, ...]:
    # The library hands on account names and the month of the date beside the name.
    names = [_MONTH.sub(r"\g<rest>", " ".join(clean(part).split())) for part in (author or "").split(";")]
    names = [name for name in names if name and name.casefold() not in _ACCOUNTS]
    return tuple(dict.fromkeys(one for name in names for one in (read_names(name) or (name,))))


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        return None


def _blocks(body: _Element) -> list[str]:
    blocks: list[str] = []
    words: list[str] = []

    def end(prefix: str = "") -> None:
        text = "\n".join(row for line in "".join(words).split("\n") if (row := " ".join(line.split())))
        words.clear()
        if text:
            blocks.append(prefix + text)

    # An explicit stack: pages nest deeper than Python recurses.
    stack: list[tuple[_Element, bool]] = [(body, False)]
    prefixes: list[str] = []
    while stack:
        element, closing = stack.pop()
        tag = element.tag if isinstance(element.tag, str) else ""
        if closing:
            if tag in _BLOCKS:
                end(prefixes.pop())
            words.append(element.tail or "" if element is not body else "")
            continue
        if tag in _BLOCKS:
            end(prefixes[-1] if prefixes else "")
            prefixes.append(_prefix(element, tag))
        stack.append((element, True))
        if tag == "lb":
            words.append("\n")
        if tag and tag != "graphic":
            words.append(element.text or "")
            stack.extend((child, False) for child in reversed(element))
    end()
    return blocks


def _prefix(element: _Element, tag: str) -> str:
    if tag == "head":
        level = (element.get("rend") or "h2")[1:]
        return "#" * (int(level) if level.isdigit() else 2) + " "
    return "- " if tag == "item" else ""
