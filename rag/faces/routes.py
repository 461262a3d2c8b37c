"""What the page asks for beside its answers: articles, conversations, the library, its own files.

Each route reads a request, asks one of the parts, and gives JSON.  What is asked for and cannot be had is a line in
`refused`, with `missing` where it is not there (any more); the page shows the line.  Only a request that the page never
makes gets a status of its own: a browser tells its console of each.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from rag.errors import RagError, UnknownArticle
from rag.faces import pagefiles
from rag.faces.adding import Adding, NoJob
from rag.faces.conversations import Conversations, NoConversation
from rag.faces.copied import FORMS, copied, exported
from rag.faces.halted import Halted
from rag.faces.library import BARS, ROWS, Library, Shelf, Wish
from rag.faces.opened import Reading, open_article, open_newest
from rag.faces.readers import NoReader, reader_of
from rag.faces.removing import Removing, TooLate
from rag.faces.requested import BadRequest, read_filter
from rag.given import whole
from rag.to_json import JSON

log = logging.getLogger(__name__)

BODY = 1 << 20
"""Bytes of a request that is no upload."""
PASTED = 8 << 20
"""Bytes of a request with pasted text."""
MOST = 200
"""Conversations that are listed; the others are found by their words."""

TYPES = {"md": "text/markdown", "html": "text/html", "txt": "text/plain"}
MISSING = (UnknownArticle, NoConversation, NoJob, TooLate)


class Articles(Reading, Shelf, Protocol):
    """Where articles are read and listed."""


@dataclass(frozen=True)
class Parts:
    """What the routes ask."""

    engine: Articles
    conversations: Conversations
    library: Library
    halted: Halted
    adding: Adding | None = None
    removing: Removing | None = None
    """None, these two, where the page may only read."""


Handler = Callable[[Request], Awaitable[Response]]
Answered = Callable[[Parts, Request, Any], JSON]


def routes(parts: Parts) -> list[Route]:
    """Return the page's routes."""

    def route(path: str, method: str, answered: Answered, most: int = BODY) -> Route:
        return Route(f"/page/{path}", _handler(parts, answered, most), methods=[method])

    limit = parts.adding.most if parts.adding else 0
    return [
        Route("/page/files/{digest}/{name}", _file, methods=["GET"]),
        route("article", "POST", _article),
        route("conversations", "GET", _listed),
        route("conversations/{id}", "GET", _conversation),
        route("conversations/{id}", "PATCH", _rename),
        route("conversations/{id}", "DELETE", _delete),
        route("conversations/{id}/turns/{turn}/opinion", "PUT", _opinion),
        route("conversations/{id}/turns/{turn}/copied", "GET", _copied),
        Route("/page/conversations/{id}/exported", _exporting(parts), methods=["GET"]),
        route("halted", "POST", _halt),
        route("holds", "GET", _holds),
        route("choices", "GET", lambda p, _, __: p.library.choices()),
        route("library", "POST", _table),
        route("library/picture", "POST", _picture),
        route("library/article", "POST", _whole),
        route("library/draft", "GET", lambda p, r, _: _adder(p).draft(reader_of(r))),
        route("library/draft", "POST", _paste, PASTED),
        route("library/draft", "DELETE", _put_away),
        Route("/page/library/draft", _uploading(parts, limit), methods=["PUT"]),
        route("library/add", "POST", lambda p, r, _: _adder(p).add(reader_of(r))),
        route("library/jobs/{id}", "GET", lambda p, r, _: _adder(p).job(r.path_params["id"])),
        route("library/jobs/{id}", "DELETE", lambda p, r, _: _adder(p).job(r.path_params["id"], stop=True)),
        route("library/remove", "POST", _remove),
        route("library/undo", "POST", _undo),
    ]


def _handler(parts: Parts, answered: Answered, most: int) -> Handler:
    async def handle(request: Request) -> Response:
        try:
            data = json.loads(await _body(request, most) or b"null")
        except (ValueError, RecursionError):
            return _refused(BadRequest("the request is no JSON"))
        except BadRequest as error:
            return _refused(error)
        return await run_in_threadpool(_answer, lambda: JSONResponse(answered(parts, request, data)))

    return handle


def _answer(make: Callable[[], Response]) -> Response:
    try:
        response = make()
    except (RagError, BadRequest) as error:
        return _refused(error)
    except Exception:
        log.exception("a request of the page could not be answered")
        return JSONResponse({"refused": "Something went wrong inside Footnote. The server's log says what."}, 500)
    response.headers["cache-control"] = "no-store"
    return response


def _refused(error: Exception) -> Response:
    status = 400 if isinstance(error, BadRequest) else 403 if isinstance(error, NoReader) else 200
    told = {"refused": str(error), "missing": isinstance(error, MISSING)}
    return JSONResponse(told, status, {"cache-control": "no-store"})


async def _body(request: Request, most: int) -> bytes:
    """Return what a request brings.  Raises BadRequest when that is too much."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise BadRequest(f"this is larger than {most:,} bytes")
        parts.append(part)
    return b"".join(parts)


async def _file(request: Request) -> Response:
    found = pagefiles.served(request.path_params["name"])
    if found is None:
        return Response("There is no such file.\n", 404, media_type="text/plain")
    body, kind = found
    # The address has a digest of all files in it, so what it names never changes.
    stays = "public, max-age=31536000, immutable" if request.path_params["digest"] == pagefiles.digest() else "no-store"
    return Response(body, media_type=kind, headers={"cache-control": stays})


# Articles


def _article(parts: Parts, request: Request, data: Any) -> JSON:
    newest = isinstance(data, dict) and data.get("newest") is True
    return (open_newest if newest else open_article)(parts.engine, data)


# Conversations


def _listed(parts: Parts, request: Request, _: Any) -> JSON:
    words = request.query_params.get("words", "")
    found = parts.conversations.listed(reader_of(request), words[:500], MOST + 1)
    return {"conversations": found[:MOST], "most": MOST if len(found) > MOST else None}


def _conversation(parts: Parts, request: Request, _: Any) -> JSON:
    found = parts.conversations.opened(reader_of(request), request.path_params["id"])
    newest: dict[str, str | None] = {}
    for turn in found["turns"]:
        for citation in turn["drawn"].get("citations", ()):
            id = citation["open"]["id"]
            if id not in newest:
                newest[id] = parts.engine.current(id)
            current = newest[id]
            same = current == citation["open"]["revision"]
            citation["since"] = "" if same else "changed" if current else "removed"
    return found


def _rename(parts: Parts, request: Request, data: Any) -> JSON:
    title = _text(data, "title")
    return {"title": parts.conversations.rename(reader_of(request), request.path_params["id"], title)}


def _delete(parts: Parts, request: Request, _: Any) -> JSON:
    parts.conversations.delete(reader_of(request), request.path_params["id"])
    return {}


def _opinion(parts: Parts, request: Request, data: Any) -> JSON:
    id, turn = request.path_params["id"], request.path_params["turn"]
    values = data if isinstance(data, dict) else {}
    sentence, good = values.get("sentence"), values.get("good")
    if sentence is not None and (type(sentence) is not int or not 0 <= sentence < 1_000):
        raise BadRequest("the sentence is named by its number")
    if good is not None and not isinstance(good, bool):
        raise BadRequest("an opinion is true, false, or null to take it back")
    reason = _text(data, "reason") if "reason" in values else None
    parts.conversations.judge(reader_of(request), id, turn, sentence=sentence, good=good, reason=reason)
    return {}


def _turn(turn: JSON) -> JSON:
    return {"question": turn["question"], "pieces": (), "citations": (), **turn["drawn"]}


def _copied(parts: Parts, request: Request, _: Any) -> JSON:
    turn = parts.conversations.turn(reader_of(request), request.path_params["id"], request.path_params["turn"])
    return {form: copied(_turn(turn), form) for form in FORMS}


def _exporting(parts: Parts) -> Handler:
    async def handle(request: Request) -> Response:
        response = await run_in_threadpool(_answer, lambda: _exported(parts, request))
        if "content-disposition" not in response.headers:
            # Else the browser would save the refusal in place of the conversation.
            response.status_code = 404
        return response

    return handle


def _exported(parts: Parts, request: Request) -> Response:
    form = next((f for f in FORMS if f == request.query_params.get("form")), None)
    if form is None:
        raise BadRequest(f"the form is one of {', '.join(FORMS)}")
    found = parts.conversations.opened(reader_of(request), request.path_params["id"])
    body = exported(found["title"], [_turn(t) for t in found["turns"]], form)
    named = quote("".join(c if c.isalnum() or c in " -_" else "_" for c in found["title"])[:80])
    headers = {"content-disposition": f"attachment; filename*=UTF-8''{named}.{form}"}
    return Response(body, media_type=TYPES[form], headers=headers)


def _halt(parts: Parts, request: Request, data: Any) -> JSON:
    parts.halted.halt(reader_of(request), _text(data, "turn")[:100])
    return {}


# The library


def _adder(parts: Parts) -> Adding:
    if parts.adding is None:
        raise BadRequest("this library can only be read")
    return parts.adding


def _remover(parts: Parts) -> Removing:
    if parts.removing is None:
        raise BadRequest("this library can only be read")
    return parts.removing


def _wish(data: Any) -> Wish:
    values = data if isinstance(data, dict) else {}
    skip = values.get("skip", 0)
    if type(skip) is not int or not 0 <= skip <= 10**9:
        raise BadRequest("what is skipped is a number of rows")
    words, by, down = values.get("words", ""), values.get("by", "published"), values.get("down", True)
    if not isinstance(words, str) or not isinstance(by, str) or not isinstance(down, bool):
        raise BadRequest("the table is wanted in a form that it has not")
    return Wish(read_filter(values.get("where")), words[:500], by, down, skip)


def _holds(parts: Parts, request: Request, _: Any) -> JSON:
    stats = parts.engine.stats()
    return {"articles": stats.articles, "passages": stats.passages}


def _table(parts: Parts, request: Request, data: Any) -> JSON:
    return {**parts.library.table(_wish(data)), "most": ROWS, "editable": parts.adding is not None}


def _picture(parts: Parts, request: Request, data: Any) -> JSON:
    wish = _wish(data)
    bars = data.get("bars", BARS) if isinstance(data, dict) else BARS
    if type(bars) is not int or not 2 <= bars <= BARS:
        raise BadRequest(f"a picture has 2 to {BARS} bars")
    return parts.library.picture(wish.where, wish.words, bars)


def _whole(parts: Parts, request: Request, data: Any) -> JSON:
    return parts.library.article(_text(data, "id"))


def _paste(parts: Parts, request: Request, data: Any) -> JSON:
    title = _text(data, "title") if isinstance(data, dict) and "title" in data else ""
    return _adder(parts).paste(reader_of(request), _text(data, "text"), title)


def _put_away(parts: Parts, request: Request, data: Any) -> JSON:
    if data is None:
        return _adder(parts).put_away(reader_of(request))
    return _adder(parts).leave_out(reader_of(request), _text(data, "id"))


def _uploading(parts: Parts, most: int) -> Handler:
    async def handle(request: Request) -> Response:
        name = request.query_params.get("name", "")
        try:
            # Before anything is read.
            _adder(parts), reader_of(request)
            body = await _body(request, most)
        except (BadRequest, RagError) as error:
            return _refused(error)
        return await run_in_threadpool(
            _answer, lambda: JSONResponse(_adder(parts).take(reader_of(request), name, body))
        )

    return handle


def _remove(parts: Parts, request: Request, data: Any) -> JSON:
    reader_of(request)
    return _remover(parts).remove(_text(data, "id"))


def _undo(parts: Parts, request: Request, data: Any) -> JSON:
    reader_of(request)
    return _remover(parts).bring_back(_text(data, "undo"))


def _text(data: Any, name: str) -> str:
    value = data.get(name) if isinstance(data, dict) else None
    if not isinstance(value, str):
        raise BadRequest(f"{name} is a text")
    return whole(value)
