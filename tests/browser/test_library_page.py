"""The library in a real browser over a real index: articles come in, are looked through, filtered, taken out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("gradio", reason="the page needs gradio")

from axe_playwright_python.sync_playwright import Axe
from chromium import NEEDED
from forcing import LONG
from playwright.sync_api import Browser, expect
from shelf import ARTICLES, BRIDGE, FERRY, PAGE, shelf
from visits import PHONE, WIDE, Visit, ask, cite, finished, visits

import rag
from rag.engine import Engine
from rag.faces.serving import running

pytestmark = [*NEEDED, pytest.mark.model]


@pytest.fixture
def index(tmp_path: Path) -> Path:
    rag.ingest(ARTICLES, index=tmp_path / "index")
    return tmp_path / "index"


@pytest.fixture
def engine(index: Path) -> Iterator[Engine]:
    with rag.open(index) as engine:
        yield engine


@pytest.fixture
def address(engine: Engine, index: Path) -> Iterator[str]:
    with running(engine, index=index, editable=True) as address:
        yield address


@pytest.fixture
def visit(browser: Browser, address: str) -> Iterator[Visit]:
    with visits(browser, address, leaves=True) as visit:
        yield visit


def test_an_uploaded_page_is_shown_added_and_answers_and_removed_it_answers_no_more(
    visit: Visit, tmp_path: Path
) -> None:
    page = visit()
    assert finished(ask(page, FERRY)).get_attribute("data-outcome") == "abstained"
    titles = shelf(page)
    expect(titles).to_have_text(["The tower", "The mill", "The bridge at Kilda"])
    page.locator(".over .add").click()
    (tmp_path / "ferry.md").write_text(PAGE, "utf-8")
    (tmp_path / "photo.md").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    page.locator("input.files").set_input_files([tmp_path / "ferry.md", tmp_path / "photo.md"])
    waits = page.locator(".waits")
    expect(waits).to_have_count(1)
    expect(waits.locator("h4")).to_have_text("The ferry to Hirta")
    expect(waits.locator(".line")).to_contain_text("Mira Castellan · May 3, 2024")
    expect(waits.locator(".state")).to_have_text("new")
    expect(page.locator(".adding .failed li")).to_contain_text("photo.md")
    expect(page.locator(".adding .failed li")).to_contain_text("binary")
    page.get_by_role("button", name="Add to the library").click()
    expect(page.locator(".job .what")).to_have_text("Added 1, changed 0, unchanged 0.")
    page.get_by_role("button", name="Ask about them").click()
    expect(page.locator(".holds")).to_have_text("4 articles, 4 passages")
    turn = finished(ask(page, FERRY))
    expect(turn.locator(".answer")).to_contain_text("1987")
    cite(turn, 1).click()
    expect(page.locator("dialog.article mark")).to_contain_text("sailed first in 1987")
    page.keyboard.press("Escape")

    shelf(page)
    page.get_by_role("button", name="Remove: The ferry to Hirta").click()
    expect(page.locator(".note")).to_contain_text("is removed and answers no more")
    expect(titles).to_have_text(["The tower", "The mill", "The bridge at Kilda"])
    page.locator(".views [data-view=ask]").click()
    assert finished(ask(page, FERRY)).get_attribute("data-outcome") == "abstained"
    # The answer of before still stands there; the article it cites is said to be gone.
    cite(page.locator(".turn").nth(1), 1).click()
    expect(page.locator("dialog.article .failure")).to_contain_text("was removed from the index")
    page.keyboard.press("Escape")


def test_a_removal_can_be_undone(visit: Visit) -> None:
    page = visit()
    titles = shelf(page)
    page.get_by_role("button", name="Remove: The mill").click()
    expect(titles).to_have_count(2)
    page.get_by_role("button", name="Undo").click()
    expect(titles).to_have_count(3)
    page.locator(".views [data-view=ask]").click()
    expect(finished(ask(page, "When was the mill at Runsa built?")).locator(".answer")).to_contain_text("1905")


def test_pasted_text_can_be_left_out_or_put_away(visit: Visit) -> None:
    page = visit()
    shelf(page)
    page.locator(".over .add").click()
    page.locator(".paste summary").click()
    for title in ("One <b>bold</b> title", "Another"):
        page.locator(".paste input").fill(title)
        page.locator(".paste textarea").fill(f"{title} has words about {{7*7}} ${{alert(1)}}.")
        page.get_by_role("button", name="Read it").click()
        expect(page.locator(".waits h4").last).to_have_text(title)
    page.get_by_role("button", name="Leave out: Another").click()
    expect(page.locator(".waits")).to_have_count(1)
    page.get_by_role("button", name="Put all away").click()
    expect(page.locator(".draft")).to_be_hidden()


def test_the_table_sorts_and_finds_and_the_picture_filters(visit: Visit) -> None:
    page = visit()
    titles = shelf(page)
    page.get_by_role("button", name="Title").click()
    expect(titles).to_have_text(["The bridge at Kilda", "The mill", "The tower"])
    expect(page.locator("th[data-by=title]")).to_have_attribute("aria-sort", "ascending")
    page.get_by_role("button", name="Title").click()
    expect(titles).to_have_text(["The tower", "The mill", "The bridge at Kilda"])
    page.locator("#library-search").fill("VANE mill")
    expect(titles).to_have_text(["The mill"])
    expect(page.locator(".library .count").first).to_have_text("1 of 3 articles")
    page.locator("#library-search").fill("")
    expect(titles).to_have_count(3)
    page.get_by_role("button", name="Bo Vane: 2 articles").click()
    expect(titles).to_have_count(2)
    expect(page.locator(".library .chip")).to_have_text(["by Bo Vane×"])
    page.locator(".times .bar:not(:disabled)").first.click()
    expect(titles).to_have_text(["The bridge at Kilda"])
    assert "author=Bo+Vane" in page.url
    page.get_by_role("button", name="Remove the filter by Bo Vane").last.click()
    expect(page.locator(".library .chip")).to_have_count(2)


def test_a_filter_holds_for_the_question_and_stays_in_the_address(visit: Visit) -> None:
    page = visit()
    page.locator(".composer .filter").click()
    sheet = page.locator("dialog.filters")
    sheet.get_by_label("Author").fill("Ada Brix")
    sheet.get_by_label("Author").press("Enter")
    sheet.get_by_label("Published on or after").fill("2020-01-01")
    sheet.get_by_role("button", name="Done").click()
    expect(page.locator(".composer .chip")).to_have_text(["by Ada Brix×", "since January 1, 2020×"])
    turn = finished(ask(page, BRIDGE))
    assert turn.get_attribute("data-outcome") == "abstained"
    expect(turn.locator(".within")).to_have_text("Filter: by Ada Brix, since January 1, 2020")
    expect(turn).to_contain_text("Only the articles within the filter were searched.")
    address = page.url
    for part in ("author=Ada+Brix", "since=2020-01-01", "q=When+was+the+bridge"):
        assert part in address
    # The same reader finds the same answer there, another has the same question answered under the same filter.
    again = visit("/?" + address.partition("?")[2], page.context)
    expect(again.locator(".turn")).to_have_count(1)
    expect(again.locator(".composer .chip")).to_have_count(2)
    other = visit("/?" + address.partition("?")[2])
    turn = finished(other.locator(".turn").first)
    assert turn.get_attribute("data-outcome") == "abstained"
    expect(other.locator(".composer .chip")).to_have_count(2)
    other.get_by_role("button", name="Remove the filter by Ada Brix").first.click()
    other.get_by_role("button", name="Remove the filter since January 1, 2020").first.click()
    expect(finished(ask(other, BRIDGE)).locator(".answer")).to_contain_text("1911")
    assert "author" not in other.url


def test_one_article_has_its_passages_and_can_be_asked_alone(visit: Visit) -> None:
    page = visit()
    shelf(page)
    page.locator("tbody .link").nth(1).click()
    one = page.locator(".one")
    expect(one.get_by_role("heading", name="The mill")).to_be_focused()
    expect(one.locator(".passages li")).to_have_text(["The mill at Runsa was built in 1905. It grinds rye."])
    one.locator(".passages button").click()
    expect(page.locator("dialog.article mark")).to_contain_text("The mill at Runsa")
    page.keyboard.press("Escape")
    one.get_by_role("button", name="Ask about this").click()
    expect(page.locator(".composer .chip")).to_have_text(["in “The mill”×"])
    turn = finished(ask(page, BRIDGE))
    assert turn.get_attribute("data-outcome") == "abstained"
    # Its title is told by the earlier question too, whatever is filtered by when the page is loaded again.
    page.get_by_role("button", name="Remove the filter in “The mill”").first.click()
    finished(ask(page, FERRY))
    page.reload()
    expect(page.locator(".turn .within")).to_have_text(["Filter: in “The mill”"])


def test_an_article_has_an_address_and_a_way_back(visit: Visit) -> None:
    page = visit()
    titles = shelf(page)
    expect(page).to_have_title("Library · Footnote")
    titles.nth(1).click()
    one = page.locator(".one")
    expect(one.get_by_role("heading", name="The mill")).to_be_focused()
    expect(page).to_have_title("The mill · Footnote")
    address = page.url
    assert "id=mill" in address
    page.go_back()
    expect(titles).to_have_count(3)
    expect(titles.nth(1)).to_be_focused()
    expect(page).to_have_title("Library · Footnote")
    page.go_forward()
    expect(one.get_by_role("heading", name="The mill")).to_be_visible()
    page.reload()
    expect(one.get_by_role("heading", name="The mill")).to_be_visible()
    one.get_by_role("button", name="Back to all articles").click()
    expect(titles).to_have_count(3)
    assert "id=" not in page.url
    titles.first.click()
    expect(one.get_by_role("heading", name="The tower")).to_be_visible()
    page.locator(".views [data-view=library]").click()
    expect(titles).to_have_count(3)
    page.get_by_role("button", name="Remove: The mill").click()
    expect(titles).to_have_count(2)
    gone = visit("/?" + address.partition("?")[2])
    expect(gone.locator(".note")).to_contain_text("mill")
    expect(gone.locator("tbody .link")).to_have_count(2)
    assert "id=" not in gone.url


def test_an_article_that_comes_late_disturbs_nobody(visit: Visit) -> None:
    page = visit()
    held = []
    page.route("**/page/library/article", lambda route: held.append(route))
    page.goto(page.url.partition("?")[0] + "?view=library&id=mill")
    expect(page.locator("tbody .link")).to_have_count(3)
    page.locator(".views [data-view=ask]").click()
    turn = finished(ask(page, BRIDGE))
    for route in held:
        route.continue_()
    page.wait_for_timeout(300)
    expect(turn.locator(".answer")).to_contain_text("1911")
    expect(page.locator(".turn")).to_have_count(1)
    assert "c=" in page.url
    assert "id=" not in page.url


def test_going_back_takes_the_table_along(visit: Visit) -> None:
    page = visit()
    titles = shelf(page)
    titles.first.click()
    page.get_by_role("button", name="Back to all articles").click()
    page.get_by_role("button", name="Bo Vane: 2 articles").click()
    expect(titles).to_have_count(2)
    for _ in range(2):
        page.go_back()
    expect(page.locator(".library .chip")).to_have_count(0)
    expect(titles).to_have_count(3)


def test_an_undo_that_fails_can_be_tried_again(visit: Visit) -> None:
    page = visit()
    titles = shelf(page)
    page.get_by_role("button", name="Remove: The mill").click()
    expect(titles).to_have_count(2)
    page.route("**/page/library/undo", lambda route: route.fulfill(json={"refused": "try again"}))
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".note", has_text="try again")).to_have_count(1)
    page.unroute("**/page/library/undo")
    page.get_by_role("button", name="Undo").click()
    expect(titles).to_have_count(3)
    expect(page.get_by_role("button", name="Undo")).to_have_count(0)


def test_a_finger_gets_bars_that_it_can_find(visit: Visit, index: Path) -> None:
    many = [
        rag.Article(f"year-{year}", f"Of {year}", "Nothing much.", (), f"{year}-05-01")  # type: ignore[arg-type]
        for year in range(1980, 2024)
    ]
    rag.ingest(many, index=index)
    wide, narrow = visit(), visit(viewport=PHONE, has_touch=True, is_mobile=True)
    shelf(wide)
    shelf(narrow)
    expect(wide.locator(".times .bar")).to_have_count(45)
    bars = narrow.locator(".times .bar")
    expect(bars.first).to_be_visible()
    assert bars.first.bounding_box()["width"] >= 22  # type: ignore[index]
    narrow.locator(".times .bar:not(:disabled)").last.click()
    expect(narrow.locator(".library .chip")).to_have_count(2)


def test_back_and_forward_go_through_views_and_conversations(visit: Visit) -> None:
    page = visit()
    finished(ask(page, BRIDGE))
    first = page.url
    page.locator(".top .fresh").click()
    expect(page.locator(".turn")).to_have_count(0)
    finished(ask(page, "When was the tower at Runsa built?"))
    expect(page.locator(".conversation")).to_have_count(2)
    page.locator(".conversation").nth(1).click()
    expect(page.locator(".turn h2")).to_have_text([BRIDGE])
    assert page.url == first
    shelf(page)
    page.go_back()
    expect(page.locator(".library")).to_be_hidden()
    page.go_back()
    expect(page.locator(".turn h2")).to_have_text(["When was the tower at Runsa built?"])


@pytest.mark.parametrize(
    ("size", "scheme"),
    [
        pytest.param(WIDE, "light", id="wide, light"),
        pytest.param(PHONE, "dark", id="phone, dark"),
        pytest.param(WIDE, "dark", id="wide, dark", marks=LONG),
        pytest.param(PHONE, "light", id="phone, light", marks=LONG),
    ],
)
def test_axe_finds_nothing_serious_in_any_view(visit: Visit, scheme: str, size: dict[str, int]) -> None:
    page = visit(color_scheme=scheme, viewport=size)
    axe = Axe()

    def check(view: str) -> None:
        found = axe.run(page).response
        assert found["passes"], view
        serious = [v for v in found["violations"] if v["impact"] in ("serious", "critical")]
        assert not serious, (view, [(v["id"], [n["target"] for n in v["nodes"]]) for v in serious])
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), view

    check("welcome")
    turn = finished(ask(page, BRIDGE))
    turn.get_by_label("A bad answer").click()
    expect(turn.locator("form.opinion")).to_be_visible()
    turn.locator(".found summary").click()
    turn.locator(".menu summary").click()
    check("turn")
    turn.locator(".menu summary").click()
    cite(turn, 1).click()
    expect(page.locator("dialog.article mark")).to_be_visible()
    check("article")
    page.keyboard.press("Escape")
    shelf(page)
    check("library")
    page.locator("tbody .link").first.click()
    check("one article")
    page.locator(".one .back").click()
    for opener, sheet in ((".over .add", "adding"), (".over .filter", "filters"), (".top .help", "keys")):
        page.locator(opener).click()
        expect(page.locator(f"dialog.{sheet}")).to_be_visible()
        check(sheet)
        page.keyboard.press("Escape")
    if size is PHONE:
        page.locator(".top .menu").click()
    expect(page.locator(".conversation")).to_be_visible()
    check("conversations")
