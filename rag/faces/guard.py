"""What stands between the browser and the page: which names the server answers to, and what its pages may load."""

from __future__ import annotations

from collections.abc import Collection
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


class Guard:
    """ASGI middleware that answers only to the given host names, and sends the page's policy with every response.

    A name that some other site points at 127.0.0.1 would otherwise make its pages one origin with ours.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str] = LOOPBACK) -> None:
        self.app = app
        self.hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *HEADERS]}
            await send(message)

        named = next((value for name, value in scope["headers"] if name == b"host"), b"")
        if host_name(named.decode("latin-1")) in self.hosts:
            await self.app(scope, receive, send_guarded)
            return
        body = b"This server does not answer to that host name.\n"
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
        await send_guarded({"type": "http.response.start", "status": 421, "headers": headers})
        await send_guarded({"type": "http.response.body", "body": body})


def host_name(host: str) -> str:
    """Return a Host header without its port and brackets.

    >>> host_name("127.0.0.1:7860"), host_name("[::1]:7860"), host_name("Localhost")
    ('127.0.0.1', '::1', 'localhost')
    """
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()
