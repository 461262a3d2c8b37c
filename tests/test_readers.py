"""Sources to pages to articles: each kind of page, and everything that can be wrong with one."""

from __future__ import annotations

import json
import re
import string
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rag.errors import BadSource
from rag.intake import markdown
from rag.intake.readers import read
from rag.intake.sources import Page, pages
from rag.types import Article, Failure

PARAGRAPH = "The tide went out at noon and left the boats on the mud, where they leaned on one another till six."
Put = Callable[[str, str | bytes], Page]


@pytest.fixture
def put(tmp_path: Path) -> Put:
    def write(name: str, content: str | bytes) -> Page:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        (page,) = [p for p in pages(path) if isinstance(p, Page)]
        return page

    return write


def articles(page: Page) -> list[Article]:
    found = list(read(page))
    assert not [f for f in found if isinstance(f, Failure)], found
    return [a for a in found if isinstance(a, Article)]


def failure(page: Page) -> Failure:
    (found,) = read(page)
    assert isinstance(found, Failure)
    return found


# --- sources


def test_a_folder_gives_its_pages_by_name_without_hidden_and_unknown_files(tmp_path: Path) -> None:
    for name in ("b.md", "a/z.txt", "a/c.HTML", ".hidden.md", ".git/x.md", "image.png", "d.jsonl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    found = [p for p in pages(tmp_path) if isinstance(p, Page)]
    assert [(p.name, p.kind) for p in found] == [
        ("a/c.HTML", "html"),
        ("a/z.txt", "txt"),
        ("b.md", "md"),
        ("d.jsonl", "jsonl"),
    ]
    assert all(Path(p.path).is_absolute() for p in found)


def test_a_file_is_named_by_its_last_part(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("x")
    (page,) = pages(str(tmp_path / "one.txt"))
    assert isinstance(page, Page)
    assert (page.name, page.path) == ("one.txt", str(tmp_path / "one.txt"))


def test_questions_beside_a_corpus_are_no_articles(tmp_path: Path) -> None:
    for name in ("corpus.jsonl", "queries.jsonl", "qa.jsonl"):
        (tmp_path / name).write_text("{}")
    assert [p.name for p in pages(tmp_path) if isinstance(p, Page)] == ["corpus.jsonl"]


def test_a_link_out_of_the_folder_is_reported_and_not_followed(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret.txt").write_text("x")
    (root / "in.txt").write_text("x")
    (root / "out.txt").symlink_to(tmp_path / "secret.txt")
    (root / "alias.txt").symlink_to(root / "in.txt")
    found = list(pages(root))
    assert [p.name for p in found if isinstance(p, Page)] == ["alias.txt", "in.txt"]
    assert [f.source for f in found if isinstance(f, Failure)] == [str(root / "out.txt")]


@pytest.mark.parametrize(
    ("name", "words"),
    [("missing", "does not exist"), ("empty", "holds no articles"), ("a.png", "unknown kind")],
)
def test_a_source_that_cannot_be_read_says_why_in_one_line(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.png").write_bytes(b"x")
    with pytest.raises(BadSource, match=words) as caught:
        pages(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_url_is_refused_for_now() -> None:
    with pytest.raises(BadSource, match="URL"):
        pages("https://example.org/a.html")


# --- text


def test_a_text_page_is_one_article_named_by_its_path(put: Put) -> None:
    (article,) = articles(put("tides of may.txt", f"Low tide\n\nBy Ana de la Cruz\n3 May 2024\n\n{PARAGRAPH}\n"))
    assert article.id == "tides%20of%20may.txt"
    assert (article.title, article.title_made, article.text) == ("Low tide", False, PARAGRAPH)
    assert (article.authors, article.published) == (("Ana de la Cruz",), date(2024, 5, 3))
    assert article.source == "tides of may.txt"


def test_split_articles_are_named_by_author_and_opening_words_not_by_position(put: Put) -> None:
    one = f"Low tide\n\nBy Ana Cruz\n3 May 2024\n\n{PARAGRAPH}\n\n{PARAGRAPH}"
    two = f"High water\n\nBy Bo Lind\n2 May 2024\n\nMarsh’s log {PARAGRAPH}\n\n{PARAGRAPH}"
    forth = [a.id for a in articles(put("page.txt", f"{one}\n\n{two}\n"))]
    back = [a.id for a in articles(put("page.txt", f"{two}\n\n{one}\n"))]
    assert forth == ["page.txt#ana-cruz-the-tide-went-out-at", "page.txt#bo-lind-marsh-s-log-the-tide-went"]
    assert back == forth[::-1]


def test_split_articles_that_open_alike_get_longer_names(put: Put) -> None:
    def listed(tail: str) -> str:
        return f"Low tide\n\nBy Ana Cruz\n3 May 2024\n\n{PARAGRAPH} {tail}\n\n{PARAGRAPH}"

    ids = [a.id for a in articles(put("page.txt", listed("One came back.") + "\n\n" + listed("None came back.")))]
    assert len(set(ids)) == 2
    same = [a.id for a in articles(put("page.txt", listed("One.") + "\n\n" + listed("One.")))]
    assert len(same) == 1


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_is_believed(put: Put, encoding: str) -> None:
    (article,) = articles(put("a.txt", f"Türkiye. {PARAGRAPH}".encode(encoding)))
    assert article.text.startswith("Türkiye.")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b" \n\t\n", "empty"),
        ("\u200b\n".encode(), "no words"),
        (b"a\x00b" * 100, "binary"),
        (bytes(range(1, 32)) * 20, "binary"),
        (b"%PDF-1.7 \xe2\xe3", "binary"),
        (b"one\ntwo\nth\xffree", "line 3: no valid UTF-8 at byte 10"),
        (b"\xff\xfea\x00b", "UTF-16"),
    ],
)
def test_a_text_page_that_cannot_be_read_is_a_failure(put: Put, content: bytes, words: str) -> None:
    found = failure(put("a.txt", content))
    assert words in found.reason
    assert found.source.endswith("/a.txt")


def test_a_page_over_the_limit_is_refused(put: Put) -> None:
    (found,) = read(put("a.txt", "word " * 100), max_page=100)
    assert isinstance(found, Failure)
    assert "100 bytes" in found.reason


# --- Markdown

FRONT = """---
id: tides/low
title: Low tide
authors: [Ana de la Cruz, Bo Lind]
published: 2014-03-27T15:37:00-04:00
url: https://example.org/low-tide
source: The Gull
---
"""


def test_front_matter_is_taken_over(put: Put) -> None:
    (article,) = articles(put("a.md", FRONT + PARAGRAPH))
    assert (article.id, article.title, article.title_made) == ("tides/low", "Low tide", False)
    assert article.authors == ("Ana de la Cruz", "Bo Lind")
    assert article.published == date(2014, 3, 27)
    assert (article.url, article.source) == ("https://example.org/low-tide", "The Gull")


def test_the_url_names_an_article_that_has_no_id(put: Put) -> None:
    (article,) = articles(put("a.md", FRONT.replace("id: tides/low\n", "") + PARAGRAPH))
    assert article.id == "https://example.org/low-tide"


@pytest.mark.parametrize(
    ("field", "day"),
    [
        ("date: 2020-01-02", date(2020, 1, 2)),
        ("published: '2020-01-02T03:04:05Z'", date(2020, 1, 2)),
        ("date: 2020-01-02 03:04", date(2020, 1, 2)),
        ("published: March 28, 2024", date(2024, 3, 28)),
        ("title: x", None),
    ],
)
def test_dates_in_front_matter(put: Put, field: str, day: date | None) -> None:
    (article,) = articles(put("a.md", f"---\n{field}\n---\n{PARAGRAPH}"))
    assert article.published == day


@pytest.mark.parametrize(
    ("field", "authors"),
    [
        ("author: Ana Cruz", ("Ana Cruz",)),
        ("authors: Ana Cruz and Bo Lind", ("Ana Cruz", "Bo Lind")),
        ("authors:\n- ana\n- bo\t", ("ana", "bo")),
    ],
)
def test_authors_in_front_matter(put: Put, field: str, authors: tuple[str, ...]) -> None:
    (article,) = articles(put("a.md", f"---\n{field}\n---\n{PARAGRAPH}"))
    assert article.authors == authors


def test_markdown_is_read_as_a_reader_sees_it(put: Put) -> None:
    text = """# Low tide

Boats *lean* on [one another](http://x.y) ![a boat](b.jpg) in `mud`.
Still the same line.

{% image "a.png" %}
<!-- not shown -->
<div class="box"><script>no()</script>

## The first *hour*

- one
- two
    - deeper
1. first
2. second

> Quoted words.

```
{% kept %}
  code
```

| a | b |
|---|---|
| 1 | 2 |

### Conclusions

AT&amp;T stayed.
"""
    (article,) = articles(put("a.md", text))
    assert article.title == "Low tide"
    assert article.text == (
        "Boats lean on one another in mud. Still the same line.\n\n"
        "The first hour\n\n"
        "- one\n- two\n  - deeper\n\n1. first\n2. second\n\n"
        "Quoted words.\n\n"
        "{% kept %}\n  code\n\n"
        "a | b\n1 | 2\n\n"
        "Conclusions\n\n"
        "AT&T stayed."
    )
    assert [s.name for s in article.sections] == ["THE FIRST HOUR", "CONCLUSION"]
    assert article.text[article.sections[1].start : article.sections[1].end] == "AT&T stayed."


def test_a_template_link_keeps_its_words(put: Put) -> None:
    (article,) = articles(put("a.md", '# T\n\nSee [the log]({{ "/log/" | url }}) and `{% raw %}`.'))
    assert article.text == "See the log and {% raw %}."


def test_byline_under_the_heading_is_read(put: Put) -> None:
    (article,) = articles(put("a.md", f"# Low tide\n\n*By Ana Cruz, 3 May 2024*\n\n{PARAGRAPH}"))
    assert (article.authors, article.published, article.text) == (("Ana Cruz",), date(2024, 5, 3), PARAGRAPH)


def test_a_title_is_made_where_there_is_none(put: Put) -> None:
    (article,) = articles(put("a.md", f"---\nauthor: Ana\n---\n{PARAGRAPH}"))
    assert article.title_made
    assert PARAGRAPH.startswith(article.title.rstrip("…"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("---\ntitle: x\n\ntext", "line 1: the front matter is never closed"),
        ("---\ntitle: x\ndate: [1,\n---\ntext", "the front matter is no valid YAML"),
        ("---\na: b\n\tc: d\n---\ntext", "line 3"),
        ("---\n- a\n---\ntext", "is a list"),
        ("---\ntitle: [a]\n---\ntext", "front matter title"),
        ("---\nauthors: 3\n---\ntext", "front matter authors"),
        ("---\ndate: soon\n---\ntext", "front matter date"),
        ("---\ndate: 2014-13-45\n---\ntext", "no valid YAML"),
        ("---\nid: a b\n---\ntext", "white space"),
        ("---\ntitle: x\n---\n", "no words"),
        ("---\na: " + "[" * 5000 + "\n---\ntext", "no valid YAML"),
        (
            "---\na: &a [1]\n"
            + "".join(f"b{n}: &b{n} [*{p}, *{p}]\n" for n, p in enumerate(["a", *(f"b{n}" for n in range(40))]))
            + "title: *b40\n---\nx",
            "title is a list",
        ),
        ("---\na: !!python/object/apply:os.system [ls]\n---\ntext", "no valid YAML"),
    ],
)
def test_front_matter_that_cannot_be_used_is_a_failure(put: Put, content: str, words: str) -> None:
    found = failure(put("a.md", content))
    assert words in found.reason
    assert "\n" not in found.reason


# --- HTML

HTML = f"""<html><head><title>Low tide | The Gull</title><meta name="author" content="Ana Cruz">
<meta property="og:title" content="Low tide"><meta property="article:published_time" content="2024-05-03T08:00:00Z">
<link rel="canonical" href="https://example.org/low-tide"></head><body><nav>Home About</nav><article><h1>Low tide</h1>
<p>{PARAGRAPH} {PARAGRAPH}</p><h2>Conclusions</h2><p>Türkiye. {PARAGRAPH} {PARAGRAPH}</p></article>
<footer>All rights reserved</footer></body></html>"""


def test_a_web_page_gives_its_article_and_metadata(put: Put) -> None:
    (article,) = articles(put("a.html", HTML))
    assert article.id == article.url == "https://example.org/low-tide"
    assert (article.title, article.authors, article.published) == ("Low tide", ("Ana Cruz",), date(2024, 5, 3))
    assert PARAGRAPH in article.text
    assert "All rights" not in article.text
    assert [s.name for s in article.sections] == ["CONCLUSION"]


@pytest.mark.parametrize("encoding", ["iso-8859-9", "utf-16"])
def test_a_web_page_in_its_declared_encoding(put: Put, encoding: str) -> None:
    html = HTML.replace("<head>", f'<head><meta charset="{encoding}">')
    (article,) = articles(put("a.html", html.encode(encoding)))
    assert "Türkiye." in article.text


@pytest.mark.parametrize("content", ["<html><body></body></html>", "<p>", "<" * 1000, "<div>" * 20000])
def test_a_web_page_without_an_article_is_a_failure(put: Put, content: str) -> None:
    assert "save its text" in failure(put("a.html", content)).reason


# --- JSONL


def test_a_corpus_gives_an_article_a_line(put: Put) -> None:
    record = {
        "_id": "n1",
        "title": "Low tide",
        "text": f"By Ana Cruz\n\n{PARAGRAPH}\r\n",
        "metadata": {"url": "https://example.org/n1", "published": "2022/01/10", "authors": "Ana Cruz and Bo Lind"},
    }
    other = {"_id": 7, "text": PARAGRAPH, "metadata": {"published": "not known", "authors": ["Ana", None]}}
    one, two = articles(put("c.jsonl", "\ufeff" + json.dumps(record) + "\n\n" + json.dumps(other)))
    assert (one.id, one.title, one.text) == ("n1", "Low tide", f"By Ana Cruz\n\n{PARAGRAPH}")
    assert (one.authors, one.published, one.url) == (
        ("Ana Cruz", "Bo Lind"),
        date(2022, 1, 10),
        "https://example.org/n1",
    )
    assert (two.id, two.title_made, two.authors, two.published, two.source) == ("7", True, ("Ana",), None, "c.jsonl")


def test_a_bad_line_is_named_and_the_rest_is_read(put: Put) -> None:
    good = json.dumps({"_id": "a", "text": "Words."})
    lines = [
        b"{broken",
        b"[]",
        b'{"text": "x"}',
        b'{"_id": "b"}',
        b'{"_id": "b", "text": " "}',
        b'{"_id": "b c", "text": "x"}',
        b'{"_id": "b", "text": "x", "metadata": []}',
        b'{"_id": "b", "text": "x", "metadata": {"authors": 3}}',
        b"\xff",
        b"[" * 100_000,
        b'{"_id": ' + b"9" * 5000 + b"}",
        b'{"_id": "b", "text": "' + b"x" * 3000 + b'"}',
        good.encode(),
    ]
    page = put("c.jsonl", b"\n".join(lines))
    found = list(read(page, max_line=100_100))
    assert [type(f) for f in found] == [Failure] * 11 + [Article] * 2
    assert [f.source for f in found if isinstance(f, Failure)] == [f"{page.path}:{n}" for n in range(1, 12)]
    short = list(read(page, max_line=1000))
    assert isinstance(short[11], Failure)
    assert "longer than 1,000 bytes" in short[11].reason
    assert isinstance(short[12], Article)


def test_broken_code_points_are_mended(put: Put) -> None:
    (article,) = articles(put("c.jsonl", '{"_id": "a", "text": "x\\ud800y"}'))
    assert article.text == "x\ufffdy"


def test_an_empty_corpus_is_a_failure(put: Put) -> None:
    assert "empty" in failure(put("c.jsonl", "\n\n")).reason


def test_a_page_that_is_gone_is_a_failure(tmp_path: Path) -> None:
    for kind in ("txt", "jsonl"):
        (found,) = read(Page("gone", str(tmp_path / "gone"), kind))  # type: ignore[arg-type]
        assert isinstance(found, Failure)


# --- any content


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(["md", "txt", "html", "jsonl"]),
    content=st.binary(max_size=300) | st.text(max_size=300).map(lambda t: t.encode("utf-8", "replace")),
)
def test_no_content_raises(tmp_path: Path, kind: str, content: bytes) -> None:
    path = tmp_path / f"a.{kind}"
    path.write_bytes(content)
    for found in read(Page(path.name, str(path), kind)):  # type: ignore[arg-type]
        if isinstance(found, Failure):
            assert "\n" not in found.reason
        else:
            assert found.text
            assert found.title


@pytest.mark.parametrize("sign", string.punctuation)
def test_a_paragraph_without_markup_is_read_as_one_that_is_parsed(sign: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = f"It {sign}was{sign} {sign}{sign}late{sign}{sign}, a {sign}amp; b {sign}br> x{sign}{sign} https://d{sign}e"
    before = markdown.render(text)
    monkeypatch.setattr(markdown, "_MARKUP", re.compile(""))
    assert before == markdown.render(text)
