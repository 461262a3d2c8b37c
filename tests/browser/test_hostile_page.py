"""Articles and questions that try to be more than words: wherever they stand on the page they are text, and no more.

The articles are real and in a real index, so each attempt goes through intake, search and the writer before it reaches
the browser.  `Watched` sees to dialogs, requests and errors; the rest is read from the page.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("gradio", reason="the page needs gradio")

from chromium import NEEDED
from playwright.sync_api import Browser, Page, expect
from visits import ask, cite, finished, visits

import rag
from rag.engine import Engine
from rag.faces.serving import running
from rag.intake.text import clean

pytestmark = [*NEEDED, pytest.mark.model]

OUT = "http://outside.invalid/x"
ATTEMPTS = [
    # Tags and handlers
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    f'<img src="{OUT}.png">',
    "<svg onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<svg><animate onbegin=alert(1) attributeName=x dur=1s>",
    "<math><mtext></mtext><mglyph><style><img src=x onerror=alert(1)></style></mglyph></math>",
    "<body onload=alert(1)>",
    "<details open ontoggle=alert(1)>",
    "<input autofocus onfocus=alert(1)>",
    "<video><source onerror=alert(1)></video>",
    "<audio src=x onerror=alert(1)>",
    "<marquee onstart=alert(1)>",
    "<iframe src=javascript:alert(1)></iframe>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<object data=javascript:alert(1)></object>",
    "<embed src=javascript:alert(1)>",
    f"<link rel=stylesheet href={OUT}.css>",
    f"<meta http-equiv=refresh content='0;url={OUT}'>",
    f"<base href={OUT}>",
    f"<form action={OUT}><button>Send</button></form>",
    "<style>*{display:none}</style>",
    f"<style>@import '{OUT}.css'</style>",
    "<template><script>alert(1)</script></template>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "</textarea><script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "--><script>alert(1)</script>",
    "]]><script>alert(1)</script>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<IMG SRC=x OnErRoR=alert(1)>",
    "<img/src=x/onerror=alert(1)>",
    "<a href=javascript:alert(1)>click</a>",
    "<a href='data:text/html,<script>alert(1)</script>'>click</a>",
    f"<a href={OUT} ping={OUT}>click</a>",
    "<button popovertarget=x onclick=alert(1)>click</button>",
    "<dialog open>Pay here</dialog>",
    # Attributes, entities, templates
    '" onmouseover="alert(1)',
    "' autofocus onfocus='alert(1)",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;img src=x onerror=alert(1)&#62;",
    "${alert(1)}",
    "`${alert(1)}`",
    "{{constructor.constructor('alert(1)')()}}",
    "{{{7*7}}}",
    "[[welcome]]",
    "\\u003cscript\\u003ealert(1)\\u003c/script\\u003e",
    "\\x3cimg src=x onerror=alert(1)\\x3e",
    "__proto__",
    "constructor",
    # Markdown and addresses
    f"![pixel]({OUT}.png)",
    "[click](javascript:alert(1))",
    "[click](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
    f"<{OUT}>",
    f"[ref]: {OUT}",
    f"javascript:fetch('{OUT}')",
    "[^1]: [1] [2] Sources",
    base64.b64encode(b"<script>alert(1)</script>").decode(),
    # Direction and the invisible
    "\u202egnp.exe\u202c",
    "\u2066\u202e\u2067evil\u2069",
    "zero\u200bwidth\u200d\u2060\ufeff",
    "a\u0300\u0301\u0302\u0303\u0304\u0305\u0306\u0307 stacked",
    "\u0627\u0644\u0639\u0631\u0628\u064a\u0629 and \u05e2\u05d1\u05e8\u05d9\u05ea",
    "\U000e0041\U000e0042 tags",
    "line\u2028separator\u2029paragraph",
    "x" * 20_000,
    "👩‍👩‍👧‍👦" * 200,
]
assert len(ATTEMPTS) >= 50


def shown(text: str) -> str:
    """Return the text as it is compared: what is only white space or invisible may be laid out otherwise."""
    return "".join(c for c in text if c.isprintable() and not c.isspace())


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    articles = [
        rag.Article(
            id=f"a{n}",
            title=f"Ferry {n} {attempt[:300]}",
            text=clean(f"The ferry number {n} to Hirta carries {attempt} and sheep on Mondays."),
            authors=(f"Ada {attempt[:300]}",),
            source=f"s{n} {attempt[:300]}",
            url="javascript:alert(1)" if n % 2 else 'https://example.org/"><script>alert(1)</script>',
            sections=(rag.Section(attempt[:300] or "x", 0, 20),),
        )
        for n, attempt in enumerate(ATTEMPTS)
    ]
    index = tmp_path_factory.mktemp("hostile") / "index"
    report = rag.ingest(articles, index=index)
    assert report.failed == ()
    return index


@pytest.fixture(scope="module")
def engine(index: Path) -> Iterator[Engine]:
    with rag.open(index) as engine:
        yield engine


@pytest.fixture(scope="module")
def visited(browser: Browser, engine: Engine, index: Path) -> Iterator[Page]:
    """One visit for all attempts: what one of them leaves behind is seen with the next."""
    with running(engine, index=index, editable=True) as address, visits(browser, address, leaves=True) as visit:
        page = visit()
        page.evaluate(COUNT)
        yield page


COUNT = """() => {
  const foreign = 'script,img,iframe,object,embed,link,meta,base,style,video,audio,source,math,marquee,template'
    + ',noscript';
  const ours = new Set(document.querySelectorAll('*'));
  window.foreign = () => [...document.querySelectorAll(foreign)].filter(n => !ours.has(n)).map(n => n.outerHTML)
    .concat([...document.querySelectorAll('.page *')].filter(n => !ours.has(n)
      && [...n.attributes].some(a => a.name.startsWith('on'))).map(n => n.outerHTML))
    .concat([...document.querySelectorAll('.page a')].filter(n => !ours.has(n)
      && !/^https?:/.test(n.href)).map(n => n.outerHTML))
    .concat([...document.querySelectorAll('.page form')].filter(n => n.hasAttribute('action')).map(n => n.outerHTML));
}"""
"""Remembers what is there, and then finds what no page of ours would hold."""


@pytest.mark.parametrize("n", range(len(ATTEMPTS)))
def test_an_attempt_is_words_wherever_it_stands(visited: Page, engine: Engine, n: int) -> None:
    page, attempt = visited, ATTEMPTS[n]
    article = engine.article(f"a{n}")
    question = f"What does ferry number {n} carry? {attempt[:1_000]}"
    if page.locator(".turn").count():
        page.locator(".top .fresh").click()
    turn = page.locator(".turn")
    box = page.get_by_label("Your question")
    box.fill(question)
    box.press("Enter")
    finished(turn)
    assert shown(turn.locator("h2").evaluate("h => h.textContent")) == shown(question)
    # Whether it is answered or the nearest passages are offered, the article is there to be opened.
    cards = turn.locator(".source, .cite")
    assert cards.count() or turn.locator(".found .hit").count()
    if not cards.count():
        turn.locator(".found summary").click()
    (cards if cards.count() else turn.locator(".found .hit")).first.click()
    panel = page.locator("dialog.article")
    expect(panel.locator("mark")).to_have_count(1)
    title = panel.locator("h2").evaluate("h => h.textContent")
    number = int(title.split()[1])
    opened = engine.article(f"a{number}")
    assert title == opened.title
    assert panel.locator(".text").evaluate("t => t.textContent") == opened.text
    link = panel.locator(".original")
    if number % 2:
        expect(link).to_be_hidden()
    page.keyboard.press("Escape")

    page.locator(".views [data-view=library]").click()
    page.locator("#library-search").fill(f"a{n}")
    row = page.locator("tbody tr", has_text=f"Ferry {n} ").first
    expect(row).to_be_visible()
    assert row.locator(".link").evaluate("l => l.textContent") == article.title
    row.locator(".link").click()
    expect(page.locator(".one h2")).to_be_focused()
    snippet = page.locator(".one .snippet").first.evaluate("s => s.textContent")
    assert snippet
    assert snippet in article.text
    assert page.evaluate("window.foreign()") == []
    page.locator(".views [data-view=ask]").click()


def test_what_is_pasted_filtered_and_renamed_is_words_too(visited: Page) -> None:
    page = visited
    attempt = "<img src=x onerror=alert(1)>${alert(1)}{{7*7}}"
    page.locator(".top .fresh").click()
    page.locator(".composer .filter").click()
    for label in ("Author", "Source", "Section"):
        page.locator("dialog.filters").get_by_label(label).fill(attempt)
        page.locator("dialog.filters").get_by_label(label).press("Enter")
    page.locator("dialog.filters").get_by_role("button", name="Done").click()
    expect(page.locator(".composer .chip")).to_have_count(3)
    finished(ask(page, f"a question {attempt}"))
    page.locator(".conversations .menu summary").first.click()
    page.locator(".conversations .choices").first.get_by_role("button", name="Rename").click()
    page.get_by_label("New title").fill(attempt)
    page.get_by_label("New title").press("Enter")
    expect(page.locator(".conversation .title").first).to_have_text(attempt)
    page.reload()
    expect(page.locator(".composer .chip")).to_have_count(3)
    expect(page.locator(".turn .within")).to_contain_text(attempt)
    assert page.locator(".page :is(img, script, iframe)").count() == 0


def test_a_line_of_a_megabyte_opens(visited: Page, engine: Engine, index: Path) -> None:
    page = visited
    text = "The lighthouse at Hirta burns whale oil. " + "sheep <b>&amp; " * 75_000
    rag.ingest([rag.Article(id="long", title="Long", text=text)], index=index)
    page.goto(page.url.partition("?")[0])
    turn = finished(ask(page, "What does the lighthouse at Hirta burn?"))
    cite(turn, 1).click()
    panel = page.locator("dialog.article")
    expect(panel.locator("mark")).to_have_count(1)
    assert panel.locator(".text").evaluate("t => t.textContent.length") == len(engine.article("long").text)
    assert panel.locator("mark").evaluate("m => m.getBoundingClientRect().top < innerHeight")
