"""What the page is sent: one turn of a conversation as it grows, and one article with a span marked.

Plain JSON values, made here and shown by the page as text.  Offsets never leave the server: an
article crosses as the strings before, in and after the span, so nobody has to convert code points.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote as escaped
from urllib.parse import urlsplit

from rag.types import Answer, Article, ArticleHead, Citation, Filter, Hit, Stats, Text

JSON = dict[str, Any]

NEAREST = 4
"""How many passages are offered where there is no answer, each from another article."""
SNIPPET = 280
"""How many characters of such a passage are shown."""
ALSO = 3
"""How many of the other articles that print the same are named."""
FILTERS = ("authors", "sections", "sources", "articles")
"""What a reader may filter by besides dates."""
VALUES = 100
"""Values of one kind in a filter, at most."""
VALUE = 1_000
"""Characters of one."""
FRAGMENT = 12
"""Words of a quote that an address names whole; of a longer one it names the first and the last."""


_ESCAPED = {ord(c): f"%{ord(c):02X}" for c in '"<>\\^`{|} ' + "".join(map(chr, [*range(32), 127]))}
"""Characters that stand in no address (RFC 3986, 2)."""


class BadRequest(ValueError):
    """A request that the page itself would never make; its text is one line."""


class Turn:
    """One question and what has come back for it so far."""

    def __init__(self, id: str) -> None:
        self.id = id
        self.pieces: list[JSON] = []
        self.citations: dict[int, JSON] = {}
        self.end: JSON | None = None
        self.unkept = ""
        """Why the turn will not be there when the page is loaded again."""

    def add(self, item: Text | Citation) -> None:
        """Take the next piece of text, or the citation of the text before it."""
        if isinstance(item, Citation):
            self.citations[item.number] = source(item)
            self.pieces.append({"cite": item.number})
        elif self.pieces and self.pieces[-1].get("role") == item.role:
            self.pieces[-1] = {"text": self.pieces[-1]["text"] + item.text, "role": item.role}
        else:
            self.pieces.append({"text": item.text, "role": item.role})

    def finish(self, answer: Answer, stats: Stats, seconds: float) -> None:
        """Take the whole answer, whose verdicts are final."""
        self.citations = {c.number: source(c) for c in answer.citations}
        self.end = {
            "outcome": answer.outcome,
            "searched": answer.standalone if answer.standalone != answer.question else None,
            "notes": list(answer.notes),
            "sentences": [s.text for s in answer.sentences],
            "hits": [card(h) for h in nearest(answer.hits)] if answer.outcome == "abstained" else [],
            "found": [found(h, answer.hits[0].score) for h in answer.hits],
            "passages": stats.passages,
            "articles": stats.articles,
            "seconds": seconds,
        }

    def said(self) -> str:
        """Return the text so far."""
        return "".join(piece.get("text", "") for piece in self.pieces)

    def stop(self) -> None:
        """End the turn where its reader stopped it."""
        self.end = {"outcome": "stopped"}

    def fail(self, message: str) -> None:
        """End the turn with an error to show."""
        self.end = {"outcome": "failed", "message": message}

    def value(self) -> JSON:
        """Return the turn as the page draws it: a new value each time, since Gradio sends what differs."""
        return {
            "turn": self.id,
            "pieces": list(self.pieces),
            "citations": list(self.citations.values()),
            "end": self.end and {**self.end, "unkept": self.unkept},
        }


def head(article: ArticleHead) -> JSON:
    """Return what a reader knows an article by."""
    return {
        "title": article.title,
        "authors": list(article.authors),
        "published": article.published.isoformat() if article.published else None,
    }


def source(citation: Citation) -> JSON:
    """Return a citation with what it takes to open its article at the span."""
    return {
        **head(citation.article),
        "url": fragment(web_address(citation.article.url), citation.quote),
        "number": citation.number,
        "quote": citation.quote,
        "also": also(citation.also),
        "verdict": citation.support.verdict,
        "open": address(citation.article_id, citation.revision, citation.start, citation.end),
    }


def also(articles: Sequence[ArticleHead]) -> JSON:
    """Return the first of the other articles that print the same, and how many more there are."""
    named = [{**head(a), "source": a.source} for a in articles[:ALSO]]
    return {"articles": named, "more": max(len(articles) - ALSO, 0)}


def nearest(hits: Sequence[Hit]) -> list[Hit]:
    """Return the best hit of each article, in the order of the hits."""
    best: dict[str, Hit] = {}
    for hit in hits:
        best.setdefault(hit.passage.article_id, hit)
    return list(best.values())[:NEAREST]


def snippet(text: str) -> str:
    """Return the beginning of a text."""
    return text if len(text) <= SNIPPET else text[:SNIPPET].rsplit(None, 1)[0] + "…"


def found(hit: Hit, best: float) -> JSON:
    """Return where the search had a passage: its score as a share of the best one's, and its rank in each search."""
    p = hit.passage
    return {
        **head(hit.article),
        "rank": hit.rank,
        "section": p.section,
        "score": hit.score,
        "share": min(max(hit.score / best, 0.0), 1.0) if best > 0 else 0.0,
        "ranks": dict(hit.ranks),
        "open": address(p.article_id, p.revision, p.start, p.end),
    }


def card(hit: Hit) -> JSON:
    """Return a passage that came near, with what it takes to open its article there."""
    p = hit.passage
    return {
        **head(hit.article),
        "section": p.section,
        "snippet": snippet(p.text),
        "also": also(hit.also),
        "open": address(p.article_id, p.revision, p.start, p.end),
    }


def address(id: str, revision: str, start: int, end: int) -> JSON:
    """Return a span as the page names it when it asks for the article."""
    return {"id": id, "revision": revision, "start": start, "end": end}


def read_address(data: object) -> tuple[str, str, int, int]:
    """Return a span named by a browser as (id, revision, start, end).  Raises BadRequest for any other shape."""
    if not isinstance(data, Mapping):
        raise BadRequest("name the article, its revision and the span")
    id, revision, start, end = (data.get(key) for key in ("id", "revision", "start", "end"))
    if not isinstance(id, str) or not isinstance(revision, str):
        raise BadRequest("the article's id and revision must be text")
    # bool is an int to isinstance, and True would be an offset.
    if type(start) is not int or type(end) is not int:
        raise BadRequest("the span's start and end must be whole numbers")
    return id, revision, start, end


def read_filter(data: object) -> Filter:
    """Return the filter that a browser names.  Raises BadRequest for any other shape, and InvalidFilter."""
    if data is None:
        return Filter()
    if not isinstance(data, Mapping):
        raise BadRequest("a filter has names and values")
    lists: dict[str, tuple[str, ...]] = {}
    for name in FILTERS:
        values = data.get(name) or []
        few = isinstance(values, list) and len(values) <= VALUES
        if not few or not all(isinstance(v, str) and len(v) <= VALUE for v in values):
            raise BadRequest(f"a filter's {name} are a list of at most {VALUES} texts of {VALUE} characters")
        lists[name] = tuple(values)
    days = {name: data.get(name) or None for name in ("since", "until")}
    return Filter(**lists, **days)  # type: ignore[arg-type]


def told_filter(where: Filter) -> JSON:
    """Return a filter as the page names it.

    >>> read_filter(told_filter(Filter(authors=("A",), since="2024-01-02"))) == Filter(("A",), since="2024-01-02")
    True
    """
    days = {name: day.isoformat() if (day := getattr(where, name)) else None for name in ("since", "until")}
    return {**{name: list(getattr(where, name)) for name in FILTERS}, **days}


def opened(article: Article, start: int, end: int) -> JSON:
    """Return an article in three strings around a span.  Raises BadRequest for a span outside its text."""
    if not 0 <= start < end <= len(article.text):
        raise BadRequest(f"the span {start} to {end} is outside this article, which has {len(article.text)} characters")
    return _around(article, start, end)


def newest(article: Article, quote: str | None) -> JSON:
    """Return an article around words quoted from an older text of it, if they stand in this one too."""
    start = article.text.find(quote) if quote else -1
    return _around(article, start, start + len(quote)) if quote and start >= 0 else _around(article, 0, 0)


def _around(article: Article, start: int, end: int) -> JSON:
    return {
        **head(article.head),
        "url": fragment(web_address(article.url), article.text[start:end]),
        "before": article.text[:start],
        "mark": article.text[start:end],
        "after": article.text[end:],
    }


def web_address(url: str | None) -> str | None:
    """Return an address that a reader may be sent to, or None.

    What no address may hold is escaped, since it may come to stand between quotation marks or brackets.

    >>> web_address("https://example.org/a>b"), web_address("javascript:alert(1)")
    ('https://example.org/a%3Eb', None)
    """
    if not url:
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return url.translate(_ESCAPED) if parts.scheme in ("http", "https") and parts.hostname else None


def fragment(url: str | None, quote: str) -> str | None:
    """Return an address with the words that a browser is to show there (wicg.github.io/scroll-to-text-fragment).

    >>> fragment("https://example.org/a", "In 1911, the town-council bought")
    'https://example.org/a#:~:text=In%201911%2C%20the%20town%2Dcouncil%20bought'
    """
    words = quote.split()
    if not url or not words:
        return url
    ends = [words] if len(words) <= FRAGMENT else [words[: FRAGMENT // 3], words[-FRAGMENT // 3 :]]
    text = ",".join(escaped(" ".join(end), safe="").replace("-", "%2D") for end in ends)
    return f"{url}{'' if '#' in url else '#'}:~:text={text}"
