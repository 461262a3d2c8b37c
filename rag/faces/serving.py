"""The page served on this machine: the port, where conversations are kept, how Gradio is started."""

from __future__ import annotations

import errno
import logging
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from starlette.middleware import Middleware

from rag.engine import Engine as WholeEngine
from rag.errors import RagError
from rag.faces import pagefiles
from rag.faces.adding import Adding
from rag.faces.app import THEME, Engine, build
from rag.faces.conversations import FILE, Conversations
from rag.faces.guard import LOOPBACK, Guard
from rag.faces.halted import Halted
from rag.faces.library import Library
from rag.faces.readers import cookies
from rag.faces.removing import Removing
from rag.faces.routes import Parts, routes

log = logging.getLogger(__name__)


@contextmanager
def running(
    engine: Engine,
    *,
    index: Path | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    examples: Sequence[str] = (),
    editable: bool = False,
) -> Iterator[str]:
    """Serve the page during a `with` block and return its address; port 0 is any free one.

    Conversations are kept in the folder of the index, or for as long as the block lasts; unless it is `editable`,
    which takes the whole engine of an index, the library can only be read.  Raises RagError when the host is not this
    machine alone, or the port cannot be had.
    """
    if host not in LOOPBACK:
        raise RagError(
            f"host {host!r} would open the page to other machines, and it has no login yet: use 127.0.0.1,"
            " and reach it from elsewhere through an SSH tunnel"
        )
    port = claim(host, port)
    with ExitStack() as stack:
        conversations = stack.enter_context(closing(kept_in(index, stack)))
        halted = Halted()
        page = build(engine, conversations, halted, examples=examples)
        parts = Parts(engine, conversations, Library(engine), halted)
        if editable:
            if index is None or not isinstance(engine, WholeEngine):
                raise TypeError("only the engine of an index can edit it: name the index too")
            parts = replace(parts, adding=Adding(engine, index), removing=Removing(engine, index))
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
            # Of an index on a server nothing is there yet.
            index.mkdir(parents=True, exist_ok=True)
            return Conversations(index / FILE)
        except (RagError, OSError) as error:
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
        "theme": THEME,
        "head": pagefiles.head(),
        "app_kwargs": {
            "middleware": [Middleware(Guard), *cookies(parts.conversations.secret)],
            "routes": routes(parts),
        },
    }


def serve(engine: Engine, *, port: int = 7860, **options: Any) -> None:
    """Serve the page until interrupted, as `running` does; says where on standard error."""
    with running(engine, port=port, **options) as address:
        sys.stderr.write(f"Footnote is at {address}\n")
        sys.stderr.flush()
        while True:
            time.sleep(3600)
