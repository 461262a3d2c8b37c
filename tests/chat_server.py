"""A small server that speaks OpenAI's chat protocol as well, or as badly, as a test wants."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Request:
    """What came in."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


Behaviour = Callable[["Handler", Request], None]


class Handler(BaseHTTPRequestHandler):
    """One connection; a behaviour writes to it as it likes."""

    server: ChatServer

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length", 0))
        body = json.loads(self.rfile.read(length) or b"{}")
        request = Request(self.path, {k.lower(): v for k, v in self.headers.items()}, body)
        self.server.requests.append(request)
        try:
            self.server.next()(self, request)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # whoever asked has turned away, as some tests want

    do_GET = do_POST  # noqa: N815

    def begin(self, kind: str = "text/event-stream", status: int = 200, **headers: str) -> None:
        """Send a status and headers; the body ends with the connection."""
        self.send_response(status)
        self.send_header("content-type", kind)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.close_connection = True

    def send(self, data: str | bytes) -> None:
        """Send a part of the body at once."""
        self.wfile.write(data.encode() if isinstance(data, str) else data)
        self.wfile.flush()

    def pause(self, seconds: float) -> None:
        """Wait, but not beyond the end of the test."""
        self.server.over.wait(seconds)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class ChatServer(ThreadingHTTPServer):
    """A server on a free port of 127.0.0.1; use it in a `with` block.

    `script` holds what to do with each request, in order; the last one is done for all that follow.
    """

    daemon_threads = True

    def __init__(self, *script: Behaviour) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script: Sequence[Behaviour] = script
        self.requests: list[Request] = []
        self.over = threading.Event()
        self._served = 0
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    def next(self) -> Behaviour:
        self._served += 1
        return self.script[min(self._served, len(self.script)) - 1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    def __enter__(self) -> ChatServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.shutdown()
        self.server_close()
        self._thread.join(5)


def event(text: str | None = None, finish: str | None = None, **delta: Any) -> str:
    """Return one piece of a stream."""
    said = ({} if text is None else {"content": text}) | delta
    choice = {"index": 0, "delta": said, "finish_reason": finish}
    return "data: " + json.dumps({"id": "x", "object": "chat.completion.chunk", "choices": [choice]}) + "\n\n"


def says(text: str, *, size: int = 5, finish: str | None = "stop", done: bool = True) -> Behaviour:
    """Return a behaviour that writes a text as a service does, some characters at a time."""

    def behave(handler: Handler, _: Request) -> None:
        handler.begin()
        handler.send(event("", role="assistant"))
        handler.send("".join(event(text[i : i + size]) for i in range(0, len(text), size)))
        if finish:
            handler.send(event(finish=finish))
        if done:
            handler.send("data: [DONE]\n\n")

    return behave


def raw(data: str | bytes, kind: str = "text/event-stream", status: int = 200, **headers: str) -> Behaviour:
    """Return a behaviour that sends these bytes."""

    def behave(handler: Handler, _: Request) -> None:
        handler.begin(kind, status, **headers)
        handler.send(data)

    return behave


def slowly(parts: Sequence[str], seconds: float, first: float = 0.0) -> Behaviour:
    """Return a behaviour that waits before its first word, and between its words."""

    def behave(handler: Handler, _: Request) -> None:
        handler.begin()
        handler.pause(first)
        for part in parts:
            handler.send(part)
            handler.pause(seconds)

    return behave


def for_ever(part: str, seconds: float = 0.0) -> Behaviour:
    """Return a behaviour that does not stop until it is left or the test is over."""

    def behave(handler: Handler, _: Request) -> None:
        handler.begin()
        ends = time.monotonic() + 20
        while not handler.server.over.is_set() and time.monotonic() < ends:
            handler.send(part)
            handler.pause(seconds)

    return behave
