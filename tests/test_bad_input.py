"""Bad values, and names and arguments that are not UTF-8: taken as they can be, or one line that says what is wrong."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import contracts
import pytest
from click.testing import CliRunner, Result
from contracts import EMBEDDER, put
from fakes import FINGERPRINT, HashEmbedder, key
from forcing import as_nobody

import rag
from rag import engine, keeping
from rag.errors import (
    BadSource,
    InvalidArticle,
    InvalidFilter,
    InvalidQuestion,
    RagError,
    StoreError,
    UnknownArticle,
)
from rag.faces.cli import main
from rag.files import shown
from rag.handover import NewPassage
from rag.intake import items
from rag.settings import Settings
from rag.store import catalog, sealing
from rag.store.local import LocalStore
from rag.types import Article, Filter, Report, Section

HALF = "\udcff"
"""What the system makes of a byte that is not UTF-8."""


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (engine, keeping):
        monkeypatch.setattr(module, "model_of", lambda *_, **__: HashEmbedder())


def article(**fields: Any) -> Article:
    return Article(**{"id": "a", "title": "T", "text": "The ferry sails at nine.", **fields})


def one_line(error: BaseException) -> str:
    told = str(error)
    assert told
    assert len(told.splitlines()) == 1
    assert len(told) < 300
    return told


# -- values -----------------------------------------------------------------------------------

ARTICLES: list[dict[str, Any]] = [
    {"id": 5}, {"id": None}, {"id": b"a"}, {"title": None}, {"title": 5}, {"text": 5}, {"text": b"x"}, {"url": 5},
    {"source": None}, {"authors": "Ada"}, {"authors": [5]}, {"authors": 5}, {"authors": None}, {"authors": {"a": "b"}},
    {"published": 5}, {"published": "soon"}, {"sections": 5}, {"sections": "LEAD"}, {"sections": [("LEAD", 0, 3)]},
    {"sections": [Section("LEAD", "0", 3)]}, {"sections": [Section(5, 0, 3)]},  # type: ignore[arg-type]
    {"sections": [Section("LEAD", 0, 99)]}, {"sections": [None]},
]  # fmt: skip


@pytest.mark.parametrize("fields", ARTICLES, ids=str)
def test_an_article_of_other_values(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidArticle, match=next(iter(fields)).removesuffix("s")) as caught:
        article(**fields)
    one_line(caught.value)


def test_what_an_article_may_be_given_as() -> None:
    made = article(authors=["Ada"], sections=iter([Section("LEAD", 0, 3)]), published="2024-11-20", title_made=1)
    assert (made.authors, made.sections, made.title_made) == (("Ada",), (Section("LEAD", 0, 3),), True)


@pytest.mark.parametrize(
    "fields",
    [
        {n: v}
        for n in ("authors", "sections", "sources", "articles", "phrases")
        for v in ("Ada", 5, [5], None, {"a": 1})
    ],
    ids=str,
)
def test_a_filter_of_other_values(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidFilter, match=next(iter(fields))) as caught:
        Filter(**fields)
    one_line(caught.value)


@pytest.fixture
def opened(tmp_path: Path, hashed: None) -> Any:
    keeping.ingest([article(), article(id="a\ud800", authors=["Ada"])], tmp_path / "index", Settings.load())
    with rag.open(tmp_path / "index") as opened:
        yield opened


CALLS: list[tuple[Callable[[Any], Any], type[RagError], str]] = [
    (lambda e: e.search("ferry", k="3"), InvalidQuestion, "k is '3'"),
    (lambda e: e.search("ferry", k=None), InvalidQuestion, "k is None"),
    (lambda e: e.search("ferry", k=2.5), InvalidQuestion, "k is 2.5"),
    (lambda e: e.search(5), InvalidQuestion, "int"),
    (lambda e: e.search(None), InvalidQuestion, "no text"),
    (lambda e: e.search("ferry", where={"authors": ["Ada"]}), InvalidFilter, "rag.Filter"),
    (lambda e: e.search("ferry", group=5), InvalidQuestion, "group 5"),
    (lambda e: e.search("ferry", group=["article"]), InvalidQuestion, "group"),
    (lambda e: e.search_many("ferry"), InvalidQuestion, "list of strings"),
    (lambda e: e.search_many(["ferry", 5]), InvalidQuestion, "int"),
    (lambda e: e.search_many(["ferry"], where="Ada"), InvalidFilter, "rag.Filter"),
    (lambda e: e.ask("ferry", where=["Ada"]), InvalidFilter, "rag.Filter"),
    (lambda e: e.ask(b"ferry"), InvalidQuestion, "bytes"),
    (lambda e: e.ask("and it?", history="ferry"), InvalidQuestion, "history"),
    (lambda e: e.ask("and it?", history=5), InvalidQuestion, "history"),
    (lambda e: e.ask("and it?", history={"role": "user"}), InvalidQuestion, "history"),
    (lambda e: e.ask("and it?", history=["ferry"]), InvalidQuestion, "history"),
    (lambda e: e.ask("and it?", history=[{"role": "user", "content": None}]), InvalidQuestion, "history"),
    (lambda e: e.articles({"authors": ["Ada"]}), InvalidFilter, "rag.Filter"),
    (lambda e: e.article(5), UnknownArticle, "'5'"),
    (lambda e: e.article("a", 5), UnknownArticle, "revision 5"),
]


@pytest.mark.parametrize("number", range(len(CALLS)))
def test_a_call_with_other_values(opened: Any, number: int) -> None:
    call, kind, told = CALLS[number]
    with pytest.raises(kind) as caught:
        call(opened)
    assert told in one_line(caught.value)


@pytest.mark.parametrize("source", [5, None, b"a.md", {"a.md": 1}, article(), [5], [None], "", [""]], ids=str)
def test_a_source_of_another_kind(tmp_path: Path, source: Any) -> None:
    with pytest.raises(BadSource) as caught:
        rag.ingest(source, index=tmp_path / "index")
    one_line(caught.value)
    assert not (tmp_path / "index").exists()


# -- half a surrogate pair in a value ---------------------------------------------------------


def test_half_a_pair_is_replaced_wherever_it_stands(tmp_path: Path, hashed: None) -> None:
    made = article(
        id="a\ud800", title="T\ud800", text="The ferry\ud800 sails. It\udfff is late.", authors=["Ada\udc00"],
        url="https://example.org/\ud800", source="s\ud800", sections=[Section("LEAD\ud800", 0, 17)],
    )  # fmt: skip
    assert made.text == "The ferry\ufffd sails. It\ufffd is late."
    assert made.sections == (Section("LEAD\ufffd", 0, 17),)
    index = tmp_path / "index"
    report = keeping.ingest([made], index, Settings.load())
    assert (report.added, report.failed) == (1, ())
    with rag.open(index) as opened:
        for id in ("a\ud800", "a\udfff", "a\ufffd"):
            assert opened.article(id) == made
            assert opened.current(id) == made.revision
        for where in (
            Filter(authors=["Ada\udc00"]), Filter(sources=["s\ud800"]), Filter(sections=["LEAD\ud800"]),
            Filter(articles=["a\ud800"]), Filter(phrases=["ferry\ud800"]),
        ):  # fmt: skip
            assert {h.article.id for h in opened.search("ferry\ud800", where=where)} == {"a\ufffd"}
        pasted = [{"role": "user", "content": "Who saw the Kaan? " + "x" * 5_000}]
        assert opened.ask("When?", history=pasted).standalone == "When?"
        assert opened.ask("and it\ud800?", history=[{"role": "user", "content": "The Kaan\ud800 ferry"}]).question
        rag.keeping.remove("a\ud800", index, Settings.load())
        with pytest.raises(UnknownArticle, match="was removed"):
            opened.article("a\ud800")


def test_the_page_is_told_that_there_is_no_such_article(opened: Any) -> None:
    from rag.faces.opened import open_article, open_newest

    address = {"id": "nothing\ud800", "revision": "0\ud800", "start": 0, "end": 1}
    for ask in (open_article, open_newest):
        with pytest.raises(UnknownArticle) as caught:
            ask(opened, address)
        one_line(caught.value).encode()


# -- names of files ---------------------------------------------------------------------------


def note(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"---\ntitle: Note\n---\n{text}\n", "utf-8")


def ids(index: Path) -> list[str]:
    with LocalStore(index).view() as view:
        return [head.id for head, _ in view.articles()]


@pytest.mark.usefixtures("hashed")
@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_files_whose_names_are_not_utf_8(tmp_path: Path) -> None:
    pages, index, settings = tmp_path / f"in{HALF}", tmp_path / "index", Settings.load()

    def run(**how: Any) -> Report:
        return keeping.ingest([pages], index, settings, **how)

    note(pages / f"a{HALF}b.md", "The ferry sails at nine.")
    note(pages / "a\udcfeb.md", "The harbour freezes in winter.")
    note(pages / f"sub{HALF}" / "c%d.md", "The lamp was lit in 1902.")
    report = run()
    assert (report.added, report.failed) == (3, ())
    assert ids(index) == ["a%FEb.md", "a%FFb.md", "sub%FF/c%d.md"]
    assert run().unchanged == 3
    with rag.open(index) as opened:
        assert opened.article("a%FFb.md").source == "a%FFb.md"
        assert len(opened.search("ferry", where=Filter(sources=["a%FFb.md"]))) == 1
    # One that cannot be read today is kept, one that has moved takes its article along, one that is gone is pruned.
    was = (pages / f"a{HALF}b.md").read_bytes()
    (pages / f"a{HALF}b.md").write_bytes(b"")
    report = run(prune=True)
    assert (report.removed, report.articles, [f.source for f in report.failed]) == (
        0, 3, [str(pages.resolve() / f"a{HALF}b.md")],
    )  # fmt: skip
    json.dumps(rag.to_dict(report), ensure_ascii=False).encode()
    (pages / f"a{HALF}b.md").write_bytes(was)
    (pages / "a\udcfeb.md").unlink()
    report = run(prune=True)
    assert (report.removed, report.articles) == (1, 2)
    # A sibling whose name begins alike is another source.
    note(tmp_path / f"in{HALF}%" / "d.md", "The log says so.")
    keeping.ingest([tmp_path / f"in{HALF}%"], index, settings)
    assert run(prune=True).removed == 0
    pages.rename(tmp_path / "moved")
    pages = tmp_path / "moved"
    assert run().unchanged == 2
    assert run(prune=True).removed == 0
    (pages / f"a{HALF}b.md").unlink()
    assert run(prune=True).removed == 1


@pytest.mark.usefixtures("hashed")
def test_one_id_of_two_such_files_names_both(tmp_path: Path) -> None:
    for name in (f"a{HALF}.md", "b\udcfe.md"):
        (tmp_path / name).write_text("---\nid: same\n---\nThe ferry sails at nine.\n", "utf-8")
    report = keeping.ingest([tmp_path], tmp_path / "index", Settings.load())
    (failure,) = report.failed
    assert "a%FF.md" in one_line(Exception(failure.reason))
    assert shown(failure.source).endswith("b%FE.md")


@pytest.mark.usefixtures("hashed")
def test_pruning_a_folder_leaves_one_that_differs_in_case(tmp_path: Path) -> None:
    note(tmp_path / "notes" / "a.md", "The ferry sails at nine.")
    note(tmp_path / "Notes" / "b.md", "The harbour freezes in winter.")
    keeping.ingest([tmp_path / "notes", tmp_path / "Notes"], tmp_path / "index", Settings.load())
    (tmp_path / "notes" / "c.md").write_text("Rye bread.")
    report = keeping.ingest([tmp_path / "notes"], tmp_path / "index", Settings.load(), prune=True)
    assert (report.added, report.removed, report.articles) == (1, 0, 3)


@pytest.mark.parametrize("path", ["", "/a/b.md", f"/a{HALF}b/c.md", f"/100%/a{HALF}%00ff%:", "/\ud800\udfff", "/é/%ff"])
def test_an_origin_is_stored_as_text_and_comes_back(path: str) -> None:
    stored = catalog.stored_origin(path)
    stored.encode()
    assert catalog.origin_of(stored) == path
    assert path != path.encode("utf-8", "replace").decode() or stored == path


# -- what can be listed and not entered -------------------------------------------------------


def test_an_empty_path_is_refused() -> None:
    with pytest.raises(BadSource, match="path is empty"):
        items.find([""])


def test_nobodys_home_is_one_line() -> None:
    with pytest.raises(BadSource, match="~nobody-is-called-this") as caught:
        items.find(["~nobody-is-called-this/notes"])
    one_line(caught.value)


def test_a_link_to_itself_is_one_line_of_the_report(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("The ferry sails at nine.")
    (tmp_path / "b.md").symlink_to(tmp_path / "b.md")
    good, bad = items.find([tmp_path])
    assert good.origin == str((tmp_path / "a.md").resolve())
    assert "cannot be reached" in str(bad.value) or "link to nothing" in str(bad.value)


@pytest.mark.skipif(os.name != "posix", reason="permissions are others elsewhere")
def test_a_folder_that_cannot_be_entered_is_one_line_and_the_rest_goes_on(reachable: Path) -> None:
    pages = reachable / "pages"
    for name in ("a.md", "shut/b.md", "shut/c.md", "shut/sub/d.md", "z/e.md"):
        note(pages / name, "The ferry sails at nine.")
    (pages / "shut").chmod(0o444)
    try:
        told = as_nobody("from rag.intake import items", f"for i in items.find([{str(pages)!r}]): print(i.value)")
    finally:
        (pages / "shut").chmod(0o755)
    assert len(told) == 3
    (failure,) = (line for line in told if line.startswith("Failure"))
    assert str(pages / "shut") in failure
    assert "cannot be entered" in failure


# -- indexes that cannot be read, or are none -------------------------------------------------

SHUT = {
    "lexical-1": ("lexical-1", 0o000),
    "a lexical index that can be listed": ("lexical-1", 0o444),
    "meta.json": ("lexical-1/meta.json", 0o000),
    "*.idx": ("lexical-1/*.idx", 0o000),
    "segments": ("segments", 0o000),
    "rows.faiss": ("segments/*.rows.faiss", 0o000),
    "catalog.sqlite": ("catalog.sqlite", 0o000),
    "a folder that can be listed": ("", 0o444),
}

ASKED = """
for folder in sys.argv[1:]:
    for args in (["search", "ferry"], ["doctor"], ["doctor", "--repair"], ["articles", "remove", "a00001"]):
        result = CliRunner().invoke(main, [*args, "--index", folder])
        told = [line for line in (result.stdout + result.stderr).splitlines() if line.startswith(("Error", "problem"))]
        raised = result.exception if not isinstance(result.exception, SystemExit) else None
        print(json.dumps([folder, args[0], result.exit_code, told, repr(raised)]))
"""

READY = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
import json
from click.testing import CliRunner
from fakes import HashEmbedder
from rag import engine, keeping
from rag.embed.model import Model
from rag.faces.cli import main
import rag.faces.doctor, rag.intake.again, rag.store.mend
engine.model_of = keeping.model_of = lambda *_, **__: HashEmbedder()
Model.is_prepared, Model.damaged = lambda _: True, lambda _: []
for args in (["search", "ferry"], ["doctor", "--repair"]):
    CliRunner().invoke(main, [*args, "--index", sys.argv.pop(1)])
"""
"""Has everything imported that is imported when it is needed."""


@pytest.mark.skipif(os.name != "posix", reason="permissions are others elsewhere")
def test_what_cannot_be_read_is_not_told_as_what_cannot_be_written(
    reachable: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealing, "TAIL_ROWS", 3)
    store = LocalStore.create(reachable / "made", FINGERPRINT)
    with store.writer() as t:
        for n in range(5):
            put(t, contracts.article(n))
    store.close()
    folders = {}
    try:
        for n, (what, (pattern, mode)) in enumerate(SHUT.items()):
            folder = shutil.copytree(reachable / "made", reachable / str(n))
            folders[str(folder)] = what
            for path in (folder, *folder.rglob("*")):
                if os.getuid() == 0:
                    os.chown(path, 65534, 65534)
            for path in list(folder.glob(pattern)) if pattern else [folder]:
                path.chmod(mode)
        found = as_nobody(READY, ASKED, reachable / "made", reachable / "made", *folders)
    finally:
        for folder in folders:
            Path(folder).chmod(0o755)
            for path in Path(folder).rglob("*"):
                path.chmod(0o755)
    assert len(found) == 4 * len(SHUT)
    for line in found:
        folder, command, code, told, raised = json.loads(line)
        here = (folders[folder], command, told)
        assert raised == "None", here
        if command == "articles" and code == 0:
            continue  # it needed nothing that is shut
        if command == "articles" and "Permission denied" in told[0]:
            continue  # it is removed, and what is shut could not be written without it
        assert code == 1, here
        assert len(told) == 1, here
        assert "cannot be read" in told[0], here
        assert folder in told[0], here


def test_what_is_no_folder_is_no_index(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    note(tmp_path / "a.md", "The ferry sails at nine.")
    for args in (
        ["search", "x"], ["articles"], ["ingest", tmp_path / "a.md"], ["doctor"], ["doctor", "--repair"],
        ["backup", tmp_path / "b.zip"], ["restore", tmp_path / "a.md"],
    ):  # fmt: skip
        for index, told in ((tmp_path / "file", "is no folder"), (tmp_path / f"i{HALF}", "i%FF"), ("", "no folder")):
            result = command(*args, "--index", index)
            assert result.exit_code == 1, (args, index)
            lines = [x for x in (result.stdout + result.stderr).splitlines() if x.startswith(("Error", "problem"))]
            assert told in one_line(Exception("\n".join(lines)))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.md", "file"]


def test_an_index_named_by_no_path() -> None:
    for index in (5, None, ""):
        with pytest.raises(StoreError, match="names no folder"):
            rag.open(index)  # type: ignore[arg-type]


@pytest.mark.parametrize("junk", [b"", b"junk" * 5_000])
def test_damaged_vectors_are_mended_and_nothing_thrown_away(tmp_path: Path, hashed: None, junk: bytes) -> None:
    index = tmp_path / "index"
    keeping.ingest([article()], index, Settings.load())
    (index / "vectors.sqlite").write_bytes(junk)
    result = command("search", "ferry", "--index", index)
    assert result.exit_code == 1
    assert "rag doctor --repair" in one_line(Exception(result.stderr.strip()))
    assert "--rebuild" not in result.stderr
    assert command("doctor", "--repair", "--index", index).exit_code == 0
    assert command("search", "ferry", "--index", index).exit_code == 0


@pytest.mark.parametrize("name", ["writer.json", "writer.lock"])
def test_a_folder_in_place_of_a_lock(tmp_path: Path, hashed: None, name: str) -> None:
    index = tmp_path / "index"
    keeping.ingest([article()], index, Settings.load())
    (index / name).unlink(missing_ok=True)
    (index / name).mkdir()
    if name == "writer.json":
        assert keeping.ingest([article(id="b")], index, Settings.load()).added == 1
        assert command("doctor", "--repair", "--index", index).exit_code == 0
    else:
        with pytest.raises(StoreError, match=r"writer\.lock") as caught:
            keeping.ingest([article(id="b")], index, Settings.load())
        one_line(caught.value)
        assert command("doctor", "--repair", "--index", index).exit_code == 1


# -- the command line -------------------------------------------------------------------------


def command(*args: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in args], catch_exceptions=False)


@pytest.fixture
def index(tmp_path: Path, hashed: None) -> Path:
    keeping.ingest([article(id="a\ufffdb", authors=["A\ufffd"], source="s\ufffd")], tmp_path / "index", Settings.load())
    return tmp_path / "index"


@pytest.mark.parametrize("as_json", [[], ["--json"]])
@pytest.mark.parametrize(
    "args",
    [["articles", "show", "x{}"], ["articles", "remove", "x{}"], ["articles", "show", "a{}b", "--revision", "{}"]],
)
def test_an_argument_that_is_not_utf_8_names_no_article(index: Path, args: list[str], as_json: list[str]) -> None:
    result = command(*(a.format(HALF) for a in args), *as_json, "--index", index)
    assert result.exit_code == 1
    assert "no article" in one_line(Exception(result.stderr.strip()))


@pytest.mark.parametrize("as_json", [[], ["--json"]])
@pytest.mark.parametrize(
    "args",
    [["search", "ferry{}"], ["ask", "ferry{}"], ["search", "x", "--author", "A{}"], ["search", "x", "--source", "s{}"],
     ["search", "x", "--section", "{}"], ["articles", "show", "a{}b"], ["articles", "remove", "a{}b"]],
)  # fmt: skip
def test_an_argument_that_is_not_utf_8_is_taken_as_it_can_be(index: Path, args: list[str], as_json: list[str]) -> None:
    result = command(*(a.format(HALF) for a in args), *as_json, "--index", index)
    assert result.exit_code == 0, result.stderr
    if as_json:
        json.loads(result.stdout)
    if "--author" in args or "--source" in args:
        assert "a\ufffdb" in result.stdout


def test_as_a_program(index: Path) -> None:
    told = [sys.executable, "-m", "rag", "articles", "show", b"x\xff", "--index", str(index)]
    done = subprocess.run(told, capture_output=True, timeout=120, check=False)
    assert done.returncode == 1
    assert b"no article" in done.stderr
    assert done.stderr.count(b"\n") == 1


# -- what a terminal would obey ---------------------------------------------------------------

EVIL = "\x1b[2J\x07\x9b31m\x85\u202e"


@pytest.mark.usefixtures("hashed")
def test_nothing_that_is_shown_can_move_a_terminals_cursor(tmp_path: Path) -> None:
    index = tmp_path / "index"
    text = f"The ferry sails at nine.{EVIL} It takes five hours to the islands."
    written = article(
        id=f"id{EVIL.replace(chr(0x85), '')}", title=f"Ferry{EVIL}\nproblem: none", text=text, authors=[f"Ada{EVIL}"],
        source=f"s{EVIL}", url=f"u{EVIL}", sections=[Section(f"LEAD{EVIL}", 0, 5)],
    )  # fmt: skip
    twin = article(id=f"twin{EVIL.replace(chr(0x85), '')}", title=f"Other{EVIL}", text=text * 9)
    store = LocalStore.create(index, FINGERPRINT)
    with store.writer() as t:
        # As a stranger's index may have it: an ingest would have cleaned some of it.
        for one in (written, twin):
            t.remember([key(one.text)], EMBEDDER.vectors([one.text]))
            t.add(one, [NewPassage(0, len(one.text), "".join(s.name for s in one.sections), key(one.text))])
    store.close()
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / f"f{EVIL}.md").write_bytes(b"")
    (tmp_path / "in" / "g.md").write_text(f"---\nid: {written.id.encode('unicode_escape').decode()}\n---\n", "utf-8")
    for args in (
        ["search", "ferry"], ["search", f'"{EVIL} ferry no"'], ["ask", "When does the ferry sail?"], ["ask", "Zinc?"],
        ["articles"], ["articles", "show", written.id], ["articles", "show", f"no{EVIL}"], ["doctor"],
        ["ingest", tmp_path / "in"], ["articles", "remove", written.id], ["ask", "--questions", f"no{EVIL}"],
    ):  # fmt: skip
        for as_json in ([], ["--json"]):
            result = command(*args, *as_json, "--index", index)
            told = result.stdout + result.stderr
            assert told
            # JSON may hold marks that turn the direction of writing: who prints it decides.
            banned = EVIL.replace("\u202e", "") if as_json else EVIL
            assert not set(banned) & {c for c in told if not c.isprintable() and c != "\n"}, (args, told)
