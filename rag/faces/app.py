"""The web chat: a question, an answer that streams, and the article open beside it at the cited words."""

from __future__ import annotations

import errno
import logging
import os
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import resources
from typing import Any, Protocol
from urllib.parse import quote

# Read by Gradio when it is imported; it would report each launch to its makers.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

import gradio as gr
from starlette.middleware import Middleware

from rag.errors import RagError, UnknownArticle
from rag.faces.guard import LOOPBACK, Guard
from rag.faces.pace import paced
from rag.faces.view import JSON, BadRequest, Turn, newest, opened, read_address
from rag.types import Answer, Article, Citation, Filter, Stats, Text

log = logging.getLogger(__name__)

BEAT = 0.04
"""Seconds between two updates of a streaming answer: smooth to the eye, and few enough for a slow line."""
STREAMS = 16
"""How many answers may be written at once; further ones wait their turn."""
MEMORY = 24
"""How many messages back a follow-up question may refer."""


class Engine(Protocol):
    """What the page needs of an engine."""

    def stream(
        self, question: str, *, history: Sequence[Mapping[str, str]] = (), where: Filter | None = None
    ) -> Iterator[Text | Citation | Answer]:
        """Yield text, each citation right after the text it backs, and last the whole answer."""
        ...

    def article(self, id: str, revision: str | None = None) -> Article: ...
    def current(self, id: str) -> str | None: ...
    def stats(self) -> Stats: ...


def build(engine: Engine, *, examples: Sequence[str] = ()) -> gr.Blocks:
    """Return the chat page over an open engine, with some questions to start from."""

    def ask(event: gr.EventData, history: list[dict[str, str]]) -> Iterator[tuple[JSON, list[dict[str, str]]]]:
        question, turn = read_question(event._data)
        if question:
            yield from answer(engine, question, turn, history)

    def get_article(data: object) -> JSON:
        # Gradio answers an exception with an empty result, which would leave the reader without a word.
        try:
            return open_article(engine, data)
        except (RagError, BadRequest) as error:
            return {"ok": False, "message": str(error)}

    def get_newest(data: object) -> JSON:
        try:
            return open_newest(engine, data)
        except (RagError, BadRequest) as error:
            return {"ok": False, "message": str(error)}

    def get_stats(_: object) -> JSON:
        try:
            stats = engine.stats()
        except RagError as error:
            return {"ok": False, "message": str(error)}
        return {"ok": True, "articles": stats.articles, "passages": stats.passages}

    page: gr.Blocks
    with gr.Blocks(title="Footnote", analytics_enabled=False, fill_width=True) as page:
        history = gr.State([])
        with gr.Row(elem_id="footnote"):
            chat = gr.HTML(
                value={"turn": None, "examples": list(examples)},
                html_template=asset("conversation.html"),
                js_on_load=asset("make.js") + asset("tips.js") + asset("conversation.js"),
                apply_default_css=False,
                server_functions=[get_stats],
                elem_id="chat",
            )
            gr.HTML(
                value={},
                html_template=asset("article.html"),
                js_on_load=asset("make.js") + asset("article.js"),
                apply_default_css=False,
                server_functions=[get_article, get_newest],
                elem_id="article",
            )
        # The page's own value is an output only: what a browser sends back for it is never looked at.
        asked = chat.ask(
            ask,
            inputs=[history],
            outputs=[chat, history],
            show_progress="hidden",
            trigger_mode="multiple",
            concurrency_limit=STREAMS,
            api_visibility="private",
        )
        chat.halt(None, cancels=[asked])
        chat.fresh(
            lambda: [],
            outputs=[history],
            show_progress="hidden",
            queue=False,
            api_visibility="private",
        )
    page.queue(default_concurrency_limit=STREAMS)
    return page


def open_article(engine: Engine, data: object) -> JSON:
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


def open_newest(engine: Engine, data: object) -> JSON:
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


def read_question(data: object) -> tuple[str, str]:
    """Return the question and the page's own name for the turn, as a browser sent them."""
    values = data if isinstance(data, Mapping) else {}
    # A lone surrogate can be typed into JSON, and cannot be encoded again.
    question = str(values.get("question") or "").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return question.strip(), str(values.get("turn") or "")[:64]


def answer(
    engine: Engine, question: str, turn_id: str, history: list[dict[str, str]]
) -> Iterator[tuple[JSON, list[dict[str, str]]]]:
    """Yield the growing turn, at most one in a beat, beside the history that the next question will have."""
    turn = Turn(turn_id)
    began = time.perf_counter()
    try:
        # Gradio takes each item of a generator on whichever thread is free; an engine may need to stay on one.
        for items in paced(engine.stream(question, history=tuple(history)), BEAT):
            for item in items:
                if isinstance(item, Answer):
                    said = [{"role": "user", "content": question}, {"role": "assistant", "content": item.text}]
                    history = [*history, *said][-MEMORY:]
                    turn.finish(item, engine.stats(), time.perf_counter() - began)
                else:
                    turn.add(item)
            if turn.end is None:
                yield turn.value(), history
        if turn.end is None:
            raise RuntimeError("the stream ended without an answer")
    except RagError as error:
        turn.fail(str(error))
    except Exception:
        log.exception("a question could not be answered")
        turn.fail("Something went wrong inside Footnote. The server's log says what.")
    yield turn.value(), history


def asset(name: str) -> str:
    """Return one of the page's own files."""
    return (resources.files("rag.faces") / "page" / name).read_text("utf-8")


def head() -> str:
    """Return what the page needs in its head.  Gradio's own place for styles breaks rules inside @media."""
    icon = quote(asset("icon.svg"))
    return f'<style>{asset("style.css")}</style><link rel="icon" type="image/svg+xml" href="data:image/svg+xml,{icon}">'


@contextmanager
def running(engine: Engine, *, host: str = "127.0.0.1", port: int = 0, examples: Sequence[str] = ()) -> Iterator[str]:
    """Serve the page during a `with` block and return its address; port 0 is any free one.

    Raises RagError when the host is not this machine alone, or the port cannot be had.
    """
    if host not in LOOPBACK:
        raise RagError(
            f"host {host!r} would open the page to other machines, and it has no login yet: use 127.0.0.1,"
            " and reach it from elsewhere through an SSH tunnel"
        )
    port = claim(host, port)
    page = build(engine, examples=examples)
    try:
        page.launch(**launch_options(host, port))
    except OSError as error:
        raise RagError(f"port {port} on {host} cannot be served ({error}): choose another port") from error
    try:
        yield f"http://{f'[{host}]' if ':' in host else host}:{port}"
    finally:
        page.close(verbose=False)


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


def launch_options(host: str, port: int) -> dict[str, Any]:
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
        # The page takes no files; the upload route stays, and refuses all.
        "max_file_size": 1,
        "theme": gr.themes.Base(font=["sans-serif"], font_mono=["monospace"]),
        "head": head(),
        "app_kwargs": {"middleware": [Middleware(Guard)]},
    }


def serve(engine: Engine, *, host: str = "127.0.0.1", port: int = 7860, examples: Sequence[str] = ()) -> None:
    """Serve the page until interrupted; says where on standard error.  Raises RagError as `running` does."""
    with running(engine, host=host, port=port, examples=examples) as address:
        sys.stderr.write(f"Footnote is at {address}\n")
        sys.stderr.flush()
        while True:
            time.sleep(3600)
