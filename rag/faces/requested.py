"""What a browser asks for: a question, a span of an article, a filter.  Read here, or refused.

The page is told spans and filters in the same form, so that it can ask for them again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from rag.given import whole
from rag.to_json import JSON
from rag.types import Filter

QUESTION = 20_000
"""Characters of a question that are looked at; the engine has a limit of its own below."""
FILTERS = ("authors", "sections", "sources", "articles")
"""What a reader may filter by besides dates."""
VALUES = 100
"""Values of one kind in a filter, at most."""
VALUE = 1_000
"""Characters of one."""

_ID = re.compile(r"[A-Za-z0-9-]{1,64}")


class BadRequest(ValueError):
    """A request that the page itself would never make; its text is one line."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as a browser sends it, with the browser's own names for the turn and the conversation it is in.

    The answer takes the place of the turn `instead_of`, and of what came after that.  A question that `follows` others
    is kept with these, or not at all.
    """

    question: str
    turn: str
    conversation: str
    where: Filter
    instead_of: str = ""
    follows: bool = False


def read_question(data: object) -> Asked:
    """Return the question that a browser sends.  Raises BadRequest and InvalidFilter."""
    values = data if isinstance(data, Mapping) else {}
    # A lone surrogate can be typed into JSON, and cannot be encoded again.
    question = whole(str(values.get("question") or ""))
    names = [str(values.get(key) or "") for key in ("turn", "conversation", "instead_of")]
    if not all(_ID.fullmatch(name) for name in names[:2]):
        raise BadRequest("a turn and a conversation are named by letters, digits and hyphens")
    if len(question) > QUESTION:
        raise BadRequest(f"the question has {len(question):,} characters, over the {QUESTION:,} that a page takes")
    return Asked(
        question.strip(),
        names[0],
        names[1],
        read_filter(values.get("where")),
        names[2][:64],
        values.get("follows") is True,
    )


def turn_named(data: object) -> str:
    """Return the browser's name for a turn, whatever else it sends."""
    return str(data.get("turn") or "")[:64] if isinstance(data, Mapping) else ""


def address(id: str, revision: str, start: int, end: int) -> JSON:
    """Return a span as the page names it when it asks for the article."""
    return {"id": id, "revision": revision, "start": start, "end": end}


def read_address(data: object) -> tuple[str, str, int, int]:
    """Return a span named by a browser as (id, revision, start, end).  Raises BadRequest for any other shape."""
    if not isinstance(data, Mapping):
        raise BadRequest("name the article, its revision and the span")
    id, revision, start, end = (data.get(key) for key in ("id", "revision", "start", "end"))
    if not isinstance(id, str) or not isinstance(revision, str):
        raise BadRequest("the article's id and revision must be text")
    # bool is an int to isinstance, and True would be an offset.
    if type(start) is not int or type(end) is not int:
        raise BadRequest("the span's start and end must be whole numbers")
    return id, revision, start, end


def read_filter(data: object) -> Filter:
    """Return the filter that a browser names.  Raises BadRequest for any other shape, and InvalidFilter."""
    if data is None:
        return Filter()
    if not isinstance(data, Mapping):
        raise BadRequest("a filter has names and values")
    lists: dict[str, tuple[str, ...]] = {}
    for name in FILTERS:
        values = data.get(name) or []
        few = isinstance(values, list) and len(values) <= VALUES
        if not few or not all(isinstance(v, str) and len(v) <= VALUE for v in values):
            raise BadRequest(f"a filter's {name} are a list of at most {VALUES} texts of {VALUE} characters")
        lists[name] = tuple(values)
    days = {name: data.get(name) or None for name in ("since", "until")}
    return Filter(**lists, **days)  # type: ignore[arg-type]


def told_filter(where: Filter) -> JSON:
    """Return a filter as the page names it.

    >>> read_filter(told_filter(Filter(authors=("A",), since="2024-01-02"))) == Filter(("A",), since="2024-01-02")
    True
    """
    days = {name: day.isoformat() if (day := getattr(where, name)) else None for name in ("since", "until")}
    return {**{name: list(getattr(where, name)) for name in FILTERS}, **days}
