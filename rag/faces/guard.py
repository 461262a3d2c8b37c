"""What stands between the browser and the page: which names the server answers to, and what its pages may load."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
"""The names and addresses that only this machine can reach."""

# Gradio starts from inline scripts, and gr.HTML compiles its static templates with Function.
POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)

HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)


ELSEWHERE = ((b"server-timing", b"elsewhere"),)
"""Tells our page that another site's has led to it, which it cannot learn otherwise."""

STREAMED = "/gradio_api/"
"""Where Gradio takes what the page sends."""
MOST = 1 << 20
"""Bytes of what the page sends there."""

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing."""


class Guard:
    """ASGI middleware that answers only to the given host names, and sends the page's policy with every response.

    A name that some other site points at 127.0.0.1 would otherwise make its pages one origin with ours.  Another site's
    page, or that of another port, may lead to our page and ask for nothing else: the browser would send our cookie
    with it, and Gradio lets every page of this machine read what it answers.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str] = LOOPBACK) -> None:
        self.app = app
        self.hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        given = {name: value.decode("latin-1") for name, value in reversed(scope["headers"])}
        led = () if is_own(given) else ELSEWHERE

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *HEADERS, *led]}
            await send(message)

        if host_name(given.get(b"host", "")) not in self.hosts:
            await refuse(send_guarded, 421, b"This server does not answer to that host name.\n")
        elif not is_own(given) and not leads_here(scope["method"], scope["path"], given):
            await refuse(send_guarded, 403, b"Another site's page may not ask for anything here.\n")
        elif scope["path"].startswith(STREAMED) and scope["method"] not in SAFE and not is_small(given):
            await refuse(send_guarded, 413, b"This is more than a question needs.\n")
        else:
            await self.app(scope, receive, send_guarded)


async def refuse(send: Send, status: int, body: bytes) -> None:
    """Answer a request with a line of text."""
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def leads_here(method: str, path: str, headers: Mapping[bytes, str]) -> bool:
    """Say whether a request opens our page, as a link on another does."""
    return method in SAFE and path in ("", "/") and headers.get(b"sec-fetch-mode", "navigate") == "navigate"


def is_small(headers: Mapping[bytes, str]) -> bool:
    """Say whether a request tells its size, and that is no more than a question takes."""
    size = headers.get(b"content-length", "")
    return size.isdecimal() and int(size) <= MOST


def is_own(headers: Mapping[bytes, str]) -> bool:
    """Say whether a request comes from our own page, or from no page at all: programs name no origin.

    >>> is_own({b"host": "127.0.0.1:7860", b"origin": "http://127.0.0.1:7860"}), is_own({b"origin": "null"})
    (True, False)
    """
    if headers.get(b"sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin, host = headers.get(b"origin"), headers.get(b"host")
    return origin is None or (host is not None and origin.partition("://")[2] == host)


def host_name(host: str) -> str:
    """Return a Host header without its port and brackets.

    >>> host_name("127.0.0.1:7860"), host_name("[::1]:7860"), host_name("Localhost")
    ('127.0.0.1', '::1', 'localhost')
    """
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()
