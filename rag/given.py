"""What callers give, made into what a value may hold, or told to be wrong: texts, lists of them, dates.

`what` names the value in the error that is raised, `error` is its class.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date

from rag.errors import InvalidArticle

_SURROGATES = re.compile("[\ud800-\udfff]")


def whole(text: str) -> str:
    """Return a text that can be encoded: half a surrogate pair is replaced.

    They come from JSON, and from file names and arguments whose bytes are not UTF-8.

    >>> whole("a\\udcffb")
    'a\ufffdb'
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return _SURROGATES.sub("\ufffd", text)
    return text


def as_text(value: object, what: str, error: type[ValueError] = InvalidArticle) -> str:
    """Return a string that can be encoded."""
    if not isinstance(value, str):
        raise error(f"{what} is {short(value)}, no text: give a string")
    return whole(value)


def as_tuple(values: object, what: str, error: type[ValueError] = InvalidArticle) -> tuple[object, ...]:
    """Return what a list holds, whatever that is."""
    # A string would be taken for a list of its letters.
    if isinstance(values, str):
        raise error(f"{what}={values[:40]!r} is one string: give a list of strings")
    if not isinstance(values, Iterable) or isinstance(values, (bytes, Mapping)):
        raise error(f"{what} is {short(values)}, no list: give one")
    return tuple(values)


def as_texts(values: object, what: str, error: type[ValueError] = InvalidArticle) -> tuple[str, ...]:
    """Return what a list of strings holds, each as `as_text` returns it."""
    return tuple(as_text(value, f"one of {what}", error) for value in as_tuple(values, what, error))


def short(value: object) -> str:
    """Return a value of an unknown kind as it is told in a line."""
    return " ".join(f"{type(value).__name__} {value!r}".split())[:60]


def as_date(value: object, what: str, error: type[ValueError] = InvalidArticle) -> date | None:
    """Return a date given as a date, ISO text or None."""
    if value is None:
        return None
    if isinstance(value, date):
        return date(value.year, value.month, value.day)
    try:
        if not re.fullmatch(r"\d{4}-\d\d-\d\d", str(value), re.ASCII):
            raise ValueError
        return date.fromisoformat(str(value))
    except ValueError:
        raise error(f"{what}: {str(value)[:40]!r} is not a date: write it as YYYY-MM-DD") from None
