"""The page's routes: each reader's own things, other sites kept out, and one line for whatever cannot be had."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

import rag
from rag.engine import Engine
from rag.faces import pagefiles
from rag.faces.adding import Adding
from rag.faces.conversations import FILE, Conversations
from rag.faces.guard import Guard
from rag.faces.halted import Halted
from rag.faces.library import Library
from rag.faces.readers import cookies
from rag.faces.removing import Removing
from rag.faces.routes import BODY, Parts, routes

pytestmark = pytest.mark.model

ADDRESS = "http://127.0.0.1:7860"
BRIDGE = rag.Article(
    id="bridge", title="The bridge", text="The bridge was built in 1911.\n\nIt is long.", source="north"
)


@pytest.fixture
def index(tmp_path: Path) -> Path:
    rag.ingest([BRIDGE], index=tmp_path / "i")
    return tmp_path / "i"


@pytest.fixture
def engine(index: Path) -> Iterator[Engine]:
    with rag.open(index) as engine:
        yield engine


@pytest.fixture
def kept(index: Path) -> Iterator[Conversations]:
    kept = Conversations(index / FILE)
    yield kept
    kept.close()


@pytest.fixture
def app(engine: Engine, index: Path, kept: Conversations) -> Starlette:
    parts = Parts(engine, kept, Library(engine), Halted(), Adding(engine, index), Removing(engine, index))
    return serving(parts, kept)


def serving(parts: Parts, kept: Conversations) -> Starlette:
    async def home(_: Request) -> PlainTextResponse:
        return PlainTextResponse("the page")

    return Starlette(routes=[Route("/", home), *routes(parts)], middleware=[Middleware(Guard), *cookies(kept.secret)])


def visitor(app: Starlette) -> TestClient:
    """Return a browser that has opened the page."""
    client = TestClient(app, base_url=ADDRESS)
    assert client.get("/").text == "the page"
    return client


def reader(client: TestClient) -> str:
    """Return the name that a browser's cookie gives it."""
    (value,) = client.cookies.values()
    return str(json.loads(base64.b64decode(value.split(".")[0]))["reader"])


def say(kept: Conversations, owner: str, id: str, question: str) -> None:
    cited = {
        "number": 1,
        "quote": "built in 1911",
        "title": "The bridge",
        "authors": [],
        "published": None,
        "url": None,
    }
    opens = {"id": "bridge", "revision": BRIDGE.revision, "start": 15, "end": 28}
    pieces = [{"text": "Built in 1911. ", "role": "plain"}, {"cite": 1}]
    drawn = {"turn": "t1", "pieces": pieces, "citations": [{**cited, "open": opens}], "end": {"outcome": "answered"}}
    kept.begin(owner, id, "t1", question=question, filters={})
    kept.end(owner, id, "t1", answer={"text": "Built in 1911. [1]", "sentences": [{}]}, drawn=drawn)


def test_a_conversation_is_its_readers_alone(app: Starlette, kept: Conversations) -> None:
    ada, bo = visitor(app), visitor(app)
    assert reader(ada) != reader(bo)
    say(kept, reader(ada), "c1", "When was it built?")
    assert [c["id"] for c in ada.get("/page/conversations").json()["conversations"]] == ["c1"]
    assert ada.get("/page/conversations/c1").json()["turns"][0]["question"] == "When was it built?"
    assert ada.patch("/page/conversations/c1", json={"title": "The bridge"}).json() == {"title": "The bridge"}
    opinion = {"sentence": 0, "good": False, "reason": "It was 1912"}
    assert ada.put("/page/conversations/c1/turns/t1/opinion", json=opinion).json() == {}
    forms = ada.get("/page/conversations/c1/turns/t1/copied").json()
    assert forms["txt"].startswith("When was it built?\n\nBuilt in 1911.[1]")
    exported = ada.get("/page/conversations/c1/exported", params={"form": "md"})
    assert exported.headers["content-disposition"] == "attachment; filename*=UTF-8''The%20bridge.md"
    assert exported.text.startswith("# The bridge")

    assert bo.get("/page/conversations").json()["conversations"] == []
    for answer in (
        bo.get("/page/conversations/c1"),
        bo.patch("/page/conversations/c1", json={"title": "Mine"}),
        bo.put("/page/conversations/c1/turns/t1/opinion", json=opinion),
        bo.get("/page/conversations/c1/turns/t1/copied"),
        bo.get("/page/conversations/c1/exported", params={"form": "md"}),
        bo.delete("/page/conversations/c1"),
    ):
        assert answer.json() == {"refused": "there is no such conversation", "missing": True}
    assert ada.get("/page/conversations/c1").json()["title"] == "The bridge"
    assert [o["reason"] for o in kept.opinions()] == ["It was 1912"]
    assert ada.delete("/page/conversations/c1").json() == {}
    assert ada.get("/page/conversations/c1").json()["missing"] is True


def test_a_stored_citation_tells_what_has_become_of_its_article(
    app: Starlette, kept: Conversations, index: Path
) -> None:
    ada = visitor(app)
    say(kept, reader(ada), "c1", "When was it built?")

    def since() -> str:
        return str(ada.get("/page/conversations/c1").json()["turns"][0]["drawn"]["citations"][0]["since"])

    opens = ada.get("/page/conversations/c1").json()["turns"][0]["drawn"]["citations"][0]["open"]
    assert since() == ""
    rag.ingest([rag.Article(id="bridge", title="The bridge", text="The bridge was built in 1912.")], index=index)
    assert since() == "changed"
    shown = ada.post("/page/article", json=opens).json()
    assert (shown["mark"], shown["changed"]) == ("built in 1911", True)
    newest = ada.post("/page/article", json={**opens, "newest": True}).json()
    assert (newest["before"], newest["mark"], newest["after"]) == ("", "", "The bridge was built in 1912.")
    rag.remove("bridge", index=index)
    assert since() == "removed"
    gone = ada.post("/page/article", json=opens)
    assert (gone.status_code, gone.json()["missing"]) == (200, True)
    assert "removed from the index" in gone.json()["refused"]


def test_twenty_readers_at_once_never_see_each_other(app: Starlette, kept: Conversations) -> None:
    def visit(n: int) -> list[str]:
        client = visitor(app)
        for turn in range(5):
            kept.begin(reader(client), f"c{n}", f"t{turn}", question=f"word{n} {turn}", filters={})
        found = client.get("/page/conversations").json()["conversations"]
        said = client.get(f"/page/conversations/{found[0]['id']}").json()["turns"]
        other = client.get(f"/page/conversations/c{(n + 1) % 20}").json()
        assert other["missing"] is True
        assert len(found) == 1
        return [t["question"] for t in said]

    with ThreadPoolExecutor(20) as pool:
        for n, said in enumerate(pool.map(visit, range(20))):
            assert said == [f"word{n} {turn}" for turn in range(5)]


def test_who_has_no_cookie_or_a_forged_one_has_nothing(app: Starlette, kept: Conversations) -> None:
    ada = visitor(app)
    say(kept, reader(ada), "c1", "When was it built?")
    (name,) = ada.cookies
    (value,) = ada.cookies.values()
    bare = TestClient(app, base_url=ADDRESS)
    answer = bare.get("/page/conversations")
    assert answer.status_code == 403
    assert "cookie" in answer.json()["refused"]
    for forged in (value[:-2], value.replace(".", "x", 1), "e30=.x.y", ""):
        client = TestClient(app, base_url=ADDRESS, cookies={name: forged})
        assert client.get("/page/conversations").status_code == 403, forged
    flags = TestClient(app, base_url=ADDRESS).get("/").headers["set-cookie"].lower()
    assert "httponly" in flags
    assert "samesite=lax" in flags


def test_the_cookie_is_renewed_and_keeps_the_name(app: Starlette, kept: Conversations) -> None:
    ada = visitor(app)
    before = reader(ada)
    assert "set-cookie" in ada.get("/").headers
    assert reader(ada) == before
    assert "set-cookie" not in ada.get("/page/conversations").headers


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"host": "evil.example"},
    ],
)
def test_other_sites_change_nothing(app: Starlette, kept: Conversations, headers: dict[str, str]) -> None:
    ada = visitor(app)
    say(kept, reader(ada), "c1", "When was it built?")
    for answer in (
        ada.delete("/page/conversations/c1", headers=headers),
        ada.post("/page/library/remove", json={"id": "bridge"}, headers=headers),
        ada.put("/page/library/draft?name=a.txt", content=b"words", headers=headers),
        # Nor do they read anything.
        ada.get("/page/conversations", headers=headers),
        ada.get("/page/conversations/c1/exported?form=md", headers=headers),
        ada.get("/", headers={**headers, "sec-fetch-mode": "cors"}),
    ):
        assert answer.status_code in (403, 421)
    assert ada.get("/page/conversations/c1").json()["title"] == "When was it built?"
    if "host" not in headers:
        # A link on another site's page leads here all the same.
        assert ada.get("/", headers={**headers, "sec-fetch-mode": "navigate"}).text == "the page"
    own = {"origin": ADDRESS, "sec-fetch-site": "same-origin"}
    assert ada.delete("/page/conversations/c1", headers=own).json() == {}


@pytest.mark.parametrize(
    ("method", "path", "data"),
    [
        ("POST", "article", {"id": 1}),
        ("POST", "article", [1]),
        ("POST", "library", {"where": {"authors": "Ada"}}),
        ("POST", "library", {"where": {"authors": ["x"] * 101}}),
        ("POST", "library", {"where": {"since": "yesterday"}}),
        ("POST", "library", {"skip": -1}),
        ("POST", "library", {"skip": True}),
        ("POST", "library", {"words": 3}),
        ("POST", "library/article", {}),
        ("POST", "library/article", {"id": "nothing"}),
        ("POST", "library/remove", {"id": "nothing"}),
        ("POST", "library/undo", {"undo": "x"}),
        ("POST", "library/add", None),
        ("GET", "library/jobs/nothing", None),
        ("PATCH", "conversations/c1", {"title": ["x"]}),
        ("PUT", "conversations/c1/turns/t1/opinion", {"sentence": "0", "good": True}),
        ("PUT", "conversations/c1/turns/t1/opinion", {"sentence": 0, "good": "yes"}),
        ("GET", "conversations/c1/exported?form=exe", None),
    ],
)
def test_whatever_is_asked_wrongly_gets_a_line(app: Starlette, method: str, path: str, data: Any) -> None:
    answer = visitor(app).request(method, f"/page/{path}", json=data)
    assert answer.status_code in (200, 400, 404)
    said = answer.json()["refused"]
    assert said
    assert len(said.splitlines()) == 1


def test_bodies_have_a_limit_and_must_be_json(app: Starlette) -> None:
    ada = visitor(app)
    for body in (b"x" * (BODY + 1), b"{", b"\xff"):
        answer = ada.post("/page/library", content=body)
        assert (answer.status_code, len(answer.json()["refused"].splitlines())) == (400, 1)


def test_a_library_that_is_only_read_refuses_every_change(engine: Engine, kept: Conversations) -> None:
    ada = visitor(serving(Parts(engine, kept, Library(engine), Halted()), kept))
    assert ada.post("/page/library", json={}).json()["editable"] is False
    for answer in (
        ada.put("/page/library/draft?name=a.txt", content=b""),
        ada.post("/page/library/draft", json={"text": "words"}),
        ada.post("/page/library/add"),
        ada.post("/page/library/remove", json={"id": "bridge"}),
    ):
        assert answer.json()["refused"] == "this library can only be read"
    assert engine.current("bridge")


def test_an_upload_comes_in_as_it_is(app: Starlette) -> None:
    ada = visitor(app)
    draft = ada.put("/page/library/draft?name=a%2Fb%20c.txt", content="Some wörds about ferries.".encode()).json()
    assert draft["articles"][0]["opening"] == "Some wörds about ferries."
    assert draft["pages"] == ["b c.txt"]
    assert ada.get("/page/library/draft").json() == draft
    assert ada.request("DELETE", "/page/library/draft", json={"id": draft["articles"][0]["id"]}).json()["count"] == 0


def test_the_pages_files_are_served_and_nothing_else(app: Starlette) -> None:
    client = TestClient(app, base_url=ADDRESS)
    base = f"/page/files/{pagefiles.digest()}"
    main = client.get(f"{base}/main.js")
    assert main.headers["content-type"].startswith("text/javascript")
    assert "immutable" in main.headers["cache-control"]
    assert "script-src" in main.headers["content-security-policy"]
    assert client.get("/page/files/other/main.js").headers["cache-control"] == "no-store"
    texts = client.get(f"{base}/texts.js").text
    assert json.loads(texts.removeprefix("export default ").rstrip().rstrip(";"))["name"] == "Footnote"
    for name in ("page.html", "texts.json", "nothing.js", "..%2Fapp.py", "%2e%2e/app.py", "app.py"):
        assert client.get(f"{base}/{name}").status_code == 404, name


def test_every_text_of_the_interface_is_used_and_none_is_missing() -> None:
    told = set(pagefiles.texts()) - {"language", "direction"}
    code = "\n".join(pagefiles.asset(n) for n in pagefiles.names() if n.endswith((".js", ".html")))
    used = set(re.findall(r"\[\[(\w+)\]\]", code)) | set(re.findall(r"\b(?:say|said)\('(\w+)'(?=[,)])", code))
    made = ("copy_", "export_", "column_", "picture_", "place_", "previous_", "next_", "chip_", "theme_", "rank_")
    made += ("draft_", "newest_", "reading_", "opinion_")
    assert used <= told, used - told
    left = {name for name in told - used if not name.startswith(made) and f"'{name}'" not in code}
    verdicts = {f"{v}{end}" for v in ("supported", "partial", "unsupported") for end in ("", "_why")}
    of_articles = {"changed_since", "removed_since", "cited_read", "found_read"}
    assert left <= verdicts | of_articles | {"partly", "conflict"}
