"""What the page is sent: one turn of a conversation as it grows, and one article with a span marked.

Plain JSON values, made here and shown by the page as text.  Offsets never leave the server: an
article crosses as the strings before, in and after the span, so nobody has to convert code points.
"""

from __future__ import annotations

from collections.abc import Sequence

from rag.faces.links import fragment, web_address
from rag.faces.requested import BadRequest, address
from rag.to_json import JSON
from rag.types import Answer, Article, ArticleHead, Citation, Hit, Stats, Text

NEAREST = 4
"""How many passages are offered where there is no answer, each from another article."""
SNIPPET = 280
"""How many characters of such a passage are shown."""
ALSO = 3
"""How many of the other articles that print the same are named."""


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
