"""The web chat: a question, an answer that streams, and the article open beside it at the cited words."""

from __future__ import annotations

import errno
import logging
import os
import re
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

# Read by Gradio when it is imported; it would report each launch to its makers.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

import gradio as gr
from starlette.middleware import Middleware

from rag.errors import RagError
from rag.faces import pagefiles
from rag.faces.adding import Adding
from rag.faces.conversations import FILE, Conversations
from rag.faces.guard import LOOPBACK, Guard
from rag.faces.library import Library, Shelf
from rag.faces.opened import Reading
from rag.faces.pace import paced
from rag.faces.readers import cookies, reader_of
from rag.faces.routes import Parts, routes
from rag.faces.view import JSON, BadRequest, Turn, read_filter, told_filter
from rag.to_json import to_dict
from rag.types import Answer, Citation, Filter, Text

log = logging.getLogger(__name__)

BEAT = 0.04
"""Seconds between two updates of a streaming answer: smooth to the eye, and few enough for a slow line."""
STREAMS = 16
"""How many answers may be written at once; further ones wait their turn."""

QUESTION = 20_000
"""Characters of a question that are looked at; the engine has a limit of its own below."""

_ID = re.compile(r"[A-Za-z0-9-]{1,64}")


class Engine(Reading, Shelf, Protocol):
    """What the page needs of an engine."""

    def stream(
        self, question: str, *, history: Sequence[Mapping[str, str]] = (), where: Filter | None = None
    ) -> Iterator[Text | Citation | Answer]:
        """Yield text, each citation right after the text it backs, and last the whole answer."""
        ...


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


def build(engine: Engine, conversations: Conversations, *, examples: Sequence[str] = ()) -> gr.Blocks:
    """Return the chat page over an open engine, with some questions to start from."""

    def ask(event: gr.EventData, request: gr.Request) -> Iterator[JSON]:
        try:
            asked, reader = read_question(event._data), reader_of(request.request)
        except (RagError, BadRequest) as error:
            turn = Turn(turn_named(event._data))
            turn.fail(str(error))
            yield turn.value()
            return
        if asked.question:
            yield from answer(engine, conversations, reader, asked)

    page: gr.Blocks
    with gr.Blocks(title="Footnote", analytics_enabled=False, fill_width=True) as page:
        chat = gr.HTML(
            value={"turn": None, "examples": list(examples)},
            html_template=pagefiles.template(),
            js_on_load=pagefiles.script(),
            apply_default_css=False,
            elem_id="footnote",
        )
        # The page's own value is an output only: what a browser sends back for it is never looked at.
        asked = chat.ask(
            ask,
            outputs=[chat],
            show_progress="hidden",
            trigger_mode="multiple",
            concurrency_limit=STREAMS,
            api_visibility="private",
        )
        chat.halt(None, cancels=[asked])
    page.queue(default_concurrency_limit=STREAMS)
    return page


def read_question(data: object) -> Asked:
    """Return the question that a browser sends.  Raises BadRequest and InvalidFilter."""
    values = data if isinstance(data, Mapping) else {}
    # A lone surrogate can be typed into JSON, and cannot be encoded again.
    question = str(values.get("question") or "").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
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


def answer(engine: Engine, conversations: Conversations, reader: str, asked: Asked) -> Iterator[JSON]:
    """Yield the growing turn, at most one in a beat, and keep it in its conversation when it has ended."""
    turn = Turn(asked.turn)
    began = time.perf_counter()
    kept = False
    try:
        history, kept = begin(conversations, reader, asked, turn)
        # Gradio takes each item of a generator on whichever thread is free; an engine may need to stay on one.
        for items in paced(engine.stream(asked.question, history=history, where=asked.where or None), BEAT):
            for item in items:
                if isinstance(item, Answer):
                    turn.finish(item, engine.stats(), time.perf_counter() - began)
                    if kept:
                        end(conversations, reader, asked, turn, to_dict(item))
                else:
                    turn.add(item)
            if turn.end is None:
                yield turn.value()
        if turn.end is None:
            raise RuntimeError("the stream ended without an answer")
    except GeneratorExit:
        if turn.end is None:
            turn.stop()
            if kept:
                # Whoever closes a stream may be the one thread that all others wait for.
                told = {"outcome": "stopped", "text": turn.said()}
                threading.Thread(target=end, args=(conversations, reader, asked, turn, told), daemon=True).start()
        raise
    except RagError as error:
        turn.fail(str(error))
        if kept:
            end(conversations, reader, asked, turn, {"outcome": "failed", "text": turn.said()})
    except Exception:
        log.exception("a question could not be answered")
        turn.fail("Something went wrong inside Footnote. The server's log says what.")
        if kept:
            end(conversations, reader, asked, turn, {"outcome": "failed", "text": turn.said()})
    yield turn.value()


def begin(conversations: Conversations, reader: str, asked: Asked, turn: Turn) -> tuple[list[dict[str, str]], bool]:
    """Keep a question; return what was said before it, and whether it is kept: if not, its turn says why."""
    history: list[dict[str, str]] = []
    try:
        history = conversations.history(reader, asked.conversation, asked.instead_of)
        conversations.begin(
            reader,
            asked.conversation,
            asked.turn,
            question=asked.question,
            filters=told_filter(asked.where),
            instead_of=asked.instead_of,
            follows=asked.follows,
        )
    except RagError as error:
        turn.unkept = str(error)
        return history, False
    return history, True


def end(conversations: Conversations, reader: str, asked: Asked, turn: Turn, answer: JSON) -> None:
    """Keep what came of a question; where that cannot be, its turn says why."""
    try:
        conversations.end(reader, asked.conversation, asked.turn, answer=answer, drawn=turn.value())
    except RagError as error:
        turn.unkept = str(error)


@contextmanager
def running(
    engine: Engine,
    *,
    index: Path | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    examples: Sequence[str] = (),
    adding: Adding | None = None,
) -> Iterator[str]:
    """Serve the page during a `with` block and return its address; port 0 is any free one.

    Conversations are kept in the folder of the index, or for as long as the block lasts; without `adding` the library
    can only be read.  Raises RagError when the host is not this machine alone, or the port cannot be had.
    """
    if host not in LOOPBACK:
        raise RagError(
            f"host {host!r} would open the page to other machines, and it has no login yet: use 127.0.0.1,"
            " and reach it from elsewhere through an SSH tunnel"
        )
    port = claim(host, port)
    with ExitStack() as stack:
        conversations = stack.enter_context(closing(kept_in(index, stack)))
        page = build(engine, conversations, examples=examples)
        parts = Parts(engine, conversations, Library(engine), adding)
        try:
            page.launch(**launch_options(host, port, parts))
        except OSError as error:
            raise RagError(f"port {port} on {host} cannot be served ({error}): choose another port") from error
        stack.callback(page.close, verbose=False)
        yield f"http://{f'[{host}]' if ':' in host else host}:{port}"


def kept_in(index: Path | None, stack: ExitStack) -> Conversations:
    """Return the conversations of an index, or some that end with the stack where they cannot be kept there."""
    if index:
        try:
            return Conversations(index / FILE)
        except RagError as error:
            log.warning("%s; until then they are kept as long as the server runs", error)
    return Conversations(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="footnote-"))) / FILE)


def claim(host: str, port: int) -> int:
    """Return the port if it is free, or any free one for 0.  Raises RagError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
                why = "is in use by another program: stop it, or choose another port"
            else:
                why = f"cannot be used ({error}): choose another port"
            raise RagError(f"port {port} on {host} {why}") from error
        return int(probe.getsockname()[1])


def launch_options(host: str, port: int, parts: Parts) -> dict[str, Any]:
    """Return how Gradio is started: on this machine alone, keeping nothing and telling nobody."""
    return {
        "server_name": host,
        "server_port": port,
        "prevent_thread_lock": True,
        "quiet": True,
        "inline": False,
        "inbrowser": False,
        "share": False,
        "ssr_mode": False,
        "mcp_server": False,
        "pwa": False,
        "enable_monitoring": False,
        # Gradio would keep every question in the browser's own store.
        "run_history": False,
        "footer_links": [],
        # Files come by a route of ours; Gradio's own stays, and refuses all.
        "max_file_size": 1,
        "theme": gr.themes.Base(font=["sans-serif"], font_mono=["monospace"]),
        "head": pagefiles.head(),
        "app_kwargs": {
            "middleware": [Middleware(Guard), *cookies(parts.conversations.secret)],
            "routes": routes(parts),
        },
    }


def serve(
    engine: Engine,
    *,
    index: Path | None = None,
    host: str = "127.0.0.1",
    port: int = 7860,
    examples: Sequence[str] = (),
    adding: Adding | None = None,
) -> None:
    """Serve the page until interrupted; says where on standard error.  Raises RagError as `running` does."""
    with running(engine, index=index, host=host, port=port, examples=examples, adding=adding) as address:
        sys.stderr.write(f"Footnote is at {address}\n")
        sys.stderr.flush()
        while True:
            time.sleep(3600)
