"""Filters as expressions.  No text that anybody wrote ever stands in one: names are asked for by their digests.

So there is nothing to escape, and nothing that an id, an author or a heading could make an expression say; and a name
may be as long as it likes.  A phrase is asked for in its words, which hold letters and digits only.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator

from rag.given import whole
from rag.intake.sections import canonical
from rag.intake.text import fold
from rag.store.columns import day
from rag.store.milvus.layout import MOST_FOLDERS
from rag.store.milvus.server import among
from rag.types import Filter
from rag.words import words


def digest(text: str) -> str:
    """Return what a text is asked for by: 128 bits of its SHA-256, in hexadecimal digits."""
    return hashlib.sha256(whole(text).encode()).hexdigest()[:32]


def folded(text: str) -> str:
    """Return what a name is asked for by however it is written."""
    return digest(fold(text))


def of_article(where: Filter) -> list[str]:
    """Return the expressions for what a filter asks of the article."""
    asked = []
    if where.articles:
        asked.append(among("id", map(digest, where.articles)))
    if where.sources:
        asked.append(among("source", map(digest, where.sources)))
    if where.authors:
        # A member at a time: servers before 2.4 know no other way that is right for every array.
        asked.append(f"({' or '.join(contains('authors', folded(name)) for name in where.authors)})")
    if where.since or where.until:
        asked.append(f"day >= {max(day(where.since), 1)}")
    if where.until:
        asked.append(f"day <= {day(where.until)}")
    return asked


def of_passage(where: Filter) -> list[str]:
    """Return the expressions for what a filter asks of the passage itself."""
    asked = [among("heading", (folded(canonical(name)) for name in where.sections))] if where.sections else []
    return asked + [f'said like "%{said(phrase)}%"' for phrase in where.phrases if words(phrase)]


def contains(field: str, value: str) -> str:
    """Return the expression that an array has a digest among its members."""
    return f'array_contains({field}, "{value}")'


def said(text: str) -> str:
    """Return a text's words with a blank around each, as phrases are looked for.

    >>> said("The Gökdoğan story.")
    ' the gokdogan story '
    """
    return "".join(f" {word}" for word in words(text)) + " "


def terms_of(found: Iterable[str]) -> str:
    """Return terms as one text that every tokenizer of the server takes apart into just these.

    >>> terms_of(["elect", "выбор"])
    'elect ud0b2d18bd0b1d0bed180'
    """
    return " ".join(term if term.isascii() else "u" + term.encode().hex() for term in found)


def folders(origin: str) -> Iterator[str]:
    """Yield the digests of an origin and of the folders that it lies in, those next to the root first."""
    ends = [n for n, char in enumerate(origin) if char == os.sep] + [len(origin)]
    for end in ends[:MOST_FOLDERS]:
        yield digest(origin[:end])


def folder(origin: str) -> str:
    """Return the digest by which everything is found that lies at or in an origin."""
    return list(folders(origin))[-1]


def is_within(origin: str, other: str) -> bool:
    """Say whether an origin is another, or lies in it."""
    return origin == other or origin.startswith(other + os.sep)
