"""What is told by looks alone is seen with a system's own few colours too, and nothing moves for who wants it still.

A thing is seen when a picture of it without its mark differs from the picture with it.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("gradio", reason="the page needs gradio")

from chromium import NEEDED
from forced import ForcedEngine
from playwright.sync_api import Browser, Locator, expect
from visits import Visit, ask, cite, finished, visits

pytestmark = NEEDED

COLOURS = [
    {"forced_colors": "none", "color_scheme": "light"},
    {"forced_colors": "active", "color_scheme": "light"},
    {"forced_colors": "active", "color_scheme": "dark"},
]


@pytest.fixture
def visit(browser: Browser, served: tuple[ForcedEngine, str]) -> Iterator[Visit]:
    engine, address = served
    engine.gate.clear()
    with visits(browser, address) as visit:
        yield visit
        engine.gate.set()


def seen(thing: Locator, without: str) -> bool:
    """Whether a picture of the thing and what is around it changes with what `without` takes away."""
    thing.scroll_into_view_if_needed()
    page, box = thing.page, thing.bounding_box()
    # They go by themselves, and not by what is tried.
    page.evaluate("document.querySelectorAll('.note').forEach(note => note.remove())")
    assert box is not None
    around = {"x": box["x"] - 9, "y": box["y"] - 9, "width": box["width"] + 18, "height": box["height"] + 18}

    def picture() -> bytes:
        """Take a picture when nothing is on the move any more."""
        last = b""
        for _ in range(50):
            now = page.screenshot(clip=around)  # type: ignore[arg-type]
            if now == last:
                return now
            last = now
        raise AssertionError("it does not come to rest")

    before = picture()
    thing.evaluate(without)
    return picture() != before


def ringed(thing: Locator) -> bool:
    """Whether the focus on a thing is seen."""
    thing.evaluate("t => t.focus({ focusVisible: true })")
    expect(thing).to_be_focused()
    return seen(thing, "t => t.blur()")


@pytest.mark.parametrize("colours", COLOURS, ids=["own", "few light", "few dark"])
def test_what_looks_tell_is_seen(visit: Visit, colours: dict[str, str]) -> None:
    page = visit(**colours, reduced_motion="reduce")
    turn = finished(ask(page, "nothing at first"))
    turn.locator(".found summary").click()
    bar = turn.locator(".score").first
    assert seen(bar, "b => b.style.setProperty('--share', .1)")
    turn = finished(ask(page, "conflict"))
    turn.get_by_label("A good answer").click()
    expect(turn.locator("form.opinion")).to_be_visible()
    cite(turn, 2).click()
    mark = page.locator("dialog.article mark")
    expect(mark).to_be_visible()
    # What a click opens has the focus; here the looks of the open one alone are tried.
    page.locator("dialog.article .text").evaluate("t => t.blur()")
    page.mouse.move(2, 2)
    current = "t => t.removeAttribute('aria-current')"
    assert seen(cite(turn, 2), current), "the citation that is open"
    assert seen(cite(turn, 3), "t => t.removeAttribute('data-verdict')"), "a verdict"
    assert seen(turn.get_by_label("A good answer"), "t => t.setAttribute('aria-pressed', 'false')"), "an opinion"
    assert seen(page.locator(".views [aria-current]"), current), "the view"
    assert seen(page.locator("dialog.article .previous"), "t => t.setAttribute('aria-disabled', 'true')"), "a last step"
    assert seen(mark, "m => m.replaceWith(m.textContent)"), "the words cited"
    page.locator("dialog.article .close").click()
    turn.locator(".sources button").first.click()
    expect(mark).to_be_visible()
    assert seen(turn.locator(".source[aria-current]"), current), "the source that is open"
    page.locator("dialog.article .close").click()
    expect(page.locator(".conversation[aria-current]")).to_be_visible()
    assert seen(page.locator(".conversation[aria-current]"), current), "the conversation"
    page.locator("dialog.adding").evaluate("d => { d.showModal(); d.querySelector('.job').hidden = false; }")
    progress = page.locator(".job progress")
    progress.evaluate("p => { p.value = .8; document.activeElement.blur(); }")
    assert seen(progress, "p => { p.value = .2; }"), "how far a job is"
    page.locator("dialog.adding").evaluate("d => d.close()")
    page.locator(".views [data-view=library]").click()
    times = page.locator(".times .bar:not(:disabled)")
    expect(times.first).to_be_visible()
    assert seen(times.first, "b => b.style.setProperty('--share', .1)"), "a time"


@pytest.mark.parametrize("colours", COLOURS, ids=["own", "few light", "few dark"])
def test_the_focus_is_seen(visit: Visit, colours: dict[str, str]) -> None:
    page = visit(**colours, reduced_motion="reduce")
    for name in (".top .menu", ".views [data-view=library]", ".example >> nth=0", "#question", ".composer .ask"):
        assert ringed(page.locator(name)), name
    turn = finished(ask(page, "conflict"))
    for name in (".cite >> nth=0", ".menu summary", ".thumb.good", ".source >> nth=0"):
        assert ringed(turn.locator(name)), name
    cite(turn, 1).click()
    expect(page.locator("dialog.article mark")).to_be_visible()
    for name in (".next", ".text", ".original"):
        assert ringed(page.locator("dialog.article").locator(name)), name
    page.locator("dialog.article .close").click()
    page.locator(".composer .filter").click()
    for name in ("input[data-kind=authors]", "input[type=date] >> nth=0", ".prime"):
        assert ringed(page.locator("dialog.filters").locator(name)), name


MOVING = (
    "document.getAnimations().map(a => (a.animationName || a.transitionProperty) + ' ' + a.effect.target.className)"
)
STILL = "s.ariaCurrent = null; s.getAnimations().forEach(a => a.finish()); getComputedStyle(s).borderTopColor;"


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_nothing_moves_for_who_wants_it_still(visit: Visit, served: tuple[ForcedEngine, str], motion: str) -> None:
    page = visit(reduced_motion=motion)
    moved: set[str] = set(page.evaluate(MOVING))
    page.locator(".example").first.hover()
    moved |= set(page.evaluate(MOVING))
    turn = ask(page, "silent")
    expect(turn.locator(".waiting")).to_be_visible()
    moved |= set(page.evaluate(MOVING))
    served[0].gate.set()
    finished(turn)
    # Where the pointer was left a source may have come, and what is pointed at looks current already.
    page.mouse.move(0, 0)
    # The change and the look at what moves are one step, so that no movement ends in between.
    moved |= set(turn.locator(".tip").first.evaluate(f"t => {{ t.classList.add('up'); return {MOVING}; }}"))
    moved |= set(turn.locator(".source").first.evaluate(f"s => {{ {STILL} s.ariaCurrent = 'true'; return {MOVING}; }}"))
    if motion == "reduce":
        assert moved == set()
        assert turn.locator(".source").first.evaluate("s => getComputedStyle(s).scrollBehavior") == "auto"
    else:
        # What would move otherwise is found.
        assert {"wait waiting", "opacity tip up"} <= moved
        # Of a border that fades some sides may be through already.
        assert any(what.startswith("border-") and what.endswith("-color source") for what in moved)
