"""The web chat on Gradio: a question that a browser asks, the answer that streams into its page and is kept."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

# Read by Gradio when it is imported; it would report each launch to its makers.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

import gradio as gr

from rag.errors import RagError
from rag.faces import pagefiles
from rag.faces.conversations import Conversations
from rag.faces.halted import Halted
from rag.faces.library import Shelf
from rag.faces.opened import Reading
from rag.faces.pace import paced
from rag.faces.readers import reader_of
from rag.faces.requested import Asked, BadRequest, read_question, told_filter, turn_named
from rag.faces.view import Turn
from rag.to_json import JSON, to_dict
from rag.types import Answer, Citation, Filter, Text

log = logging.getLogger(__name__)

BEAT = 0.04
"""Seconds between two updates of a streaming answer: smooth to the eye, and few enough for a slow line."""
STREAMS = 16
"""How many answers may be written at once; further ones wait their turn."""

THEME = gr.themes.Base(font=["sans-serif"], font_mono=["monospace"])
"""What Gradio draws itself: in no font that would have to be fetched."""


class Engine(Reading, Shelf, Protocol):
    """What the page needs of an engine."""

    def stream(
        self, question: str, *, history: Sequence[Mapping[str, str]] = (), where: Filter | None = None
    ) -> Iterator[Text | Citation | Answer]:
        """Yield text, each citation right after the text it backs, and last the whole answer."""
        ...


def build(engine: Engine, conversations: Conversations, halted: Halted, *, examples: Sequence[str] = ()) -> gr.Blocks:
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
            yield from answer(engine, conversations, reader, asked, halted)

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


def answer(engine: Engine, conversations: Conversations, reader: str, asked: Asked, halted: Halted) -> Iterator[JSON]:
    """Yield the growing turn, at most one in a beat, and keep it in its conversation when it has ended."""
    turn = Turn(asked.turn)
    began = time.perf_counter()
    kept = False
    try:
        if halted.has(reader, asked.turn):
            # Before it was begun: nothing is kept of it, and what it was to take the place of stays.
            turn.stop()
            yield turn.value()
            return
        history, kept = begin(conversations, reader, asked, turn)
        # Gradio takes each item of a generator on whichever thread is free; an engine may need to stay on one.
        for items in paced(engine.stream(asked.question, history=history, where=asked.where or None), BEAT):
            if halted.has(reader, asked.turn):
                turn.stop()
                if kept:
                    end(conversations, reader, asked, turn, {"outcome": "stopped", "text": turn.said()})
                yield turn.value()
                return
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
