"""An article opened at a span that a browser names: as it was when it was cited, or as it is now."""

from __future__ import annotations

from typing import Protocol

from rag.errors import UnknownArticle
from rag.faces.requested import read_address
from rag.faces.view import newest, opened
from rag.to_json import JSON
from rag.types import Article


class Reading(Protocol):
    """What it takes to open an article."""

    def article(self, id: str, revision: str | None = None) -> Article: ...
    def current(self, id: str) -> str | None: ...


def open_article(engine: Reading, data: object) -> JSON:
    """Return the text that a browser's address cites, and whether the article has changed since.

    Raises BadRequest, and UnknownArticle where neither that text is kept nor a newer one.
    """
    id, revision, start, end = read_address(data)
    try:
        article = engine.article(id, revision)
    except UnknownArticle as error:
        # Where there is none at all, this says so without the revision, which tells a reader nothing.
        engine.article(id)
        return {"ok": False, "message": str(error), "changed": True}
    shown = opened(article, start, end)
    return {"ok": True, **shown, "changed": engine.current(id) not in (None, revision)}


def open_newest(engine: Reading, data: object) -> JSON:
    """Return the newest text of the article that a browser's address cites, the cited words marked if they are there.

    Raises BadRequest and UnknownArticle.
    """
    id, revision, start, end = read_address(data)
    try:
        quote = opened(engine.article(id, revision), start, end)["mark"]
    except UnknownArticle:
        # An index made anew holds no older texts: there is nothing to look for in the newest.
        quote = None
    return {"ok": True, **newest(engine.article(id), quote)}
