"""Who is reading: a name drawn by lot for each browser, in a signed cookie, until there are accounts."""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING, Any

from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware

from rag.errors import RagError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

YEAR = 365 * 24 * 3600
"""Seconds for which a cookie holds after the last visit."""

_NAME = "reader"


class NoReader(RagError):
    """A request comes without the cookie that the page sets."""


class Named:
    """ASGI middleware that gives whoever opens the page a name, and renews the cookie of those who have one."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Of what a page loads, only the page itself names: two requests at once would give two names.
        if scope["type"] == "http" and scope["method"] == "GET" and scope["path"] in ("", "/"):
            session = scope["session"]
            session[_NAME] = session.get(_NAME) or secrets.token_urlsafe(16)
        await self.app(scope, receive, send)


def cookies(secret: str) -> list[Middleware]:
    """Return what reads and sets the cookies that are signed with a secret.

    A cookie holds for a host whatever its port, so its name tells which server's it is.
    """
    name = f"footnote-{hashlib.sha256(secret.encode()).hexdigest()[:8]}"
    return [
        Middleware(SessionMiddleware, secret_key=secret, session_cookie=name, max_age=YEAR, same_site="lax"),
        Middleware(Named),
    ]


def reader_of(request: Any) -> str:
    """Return the name of who makes a request.  Raises NoReader."""
    name = request.session.get(_NAME)
    if not isinstance(name, str):
        raise NoReader("this page has lost its cookie: load it again, and allow cookies for this address")
    return name
