"""Values as the JSON that every face gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rag.files import shown
from rag.types import Answer, Article, ArticleHead, Citation, Hit, Passage, Report, Sentence, Stats

JSON = dict[str, Any]


def to_dict(value: Answer | Article | ArticleHead | Citation | Hit | Passage | Report | Sentence | Stats) -> JSON:
    """Return a value as plain JSON.

    >>> to_dict(Article(id="a", title="T", text="Body.", published="2024-11-20"))["published"]
    '2024-11-20'
    """
    match value:
        case Hit():
            return {
                "rank": value.rank,
                "score": value.score,
                "ranks": dict(value.ranks),
                "article": _cited(value.article),
                "passage": to_dict(value.passage),
                "also": _also(value.also),
            }
        case Passage():
            return {
                "article_id": value.article_id,
                "revision": value.revision,
                "start": value.start,
                "end": value.end,
                "section": value.section,
                "text": value.text,
            }
        case Citation():
            return {
                "number": value.number,
                "article": _cited(value.article),
                "article_id": value.article_id,
                "revision": value.revision,
                "start": value.start,
                "end": value.end,
                "quote": value.quote,
                "support": {"verdict": value.support.verdict, "score": value.support.score},
                "also": _also(value.also),
            }
        case Sentence():
            return {
                "text": value.text,
                "citations": list(value.citations),
                "support": [{"number": s.number, "verdict": s.verdict, "score": s.score} for s in value.support],
                "strong": [list(span) for span in value.strong],
                "added": [list(span) for span in value.added],
            }
        case Answer():
            return {
                "question": value.question,
                "standalone": value.standalone,
                "outcome": value.outcome,
                "confidence": value.confidence,
                "text": value.text,
                "sentences": [to_dict(s) for s in value.sentences],
                "citations": [to_dict(c) for c in value.citations],
                "hits": [to_dict(h) for h in value.hits],
                "notes": list(value.notes),
            }
        case Article():
            sections = [{"name": s.name, "start": s.start, "end": s.end} for s in value.sections]
            return {**to_dict(value.head), "text": value.text, "revision": value.revision, "sections": sections}
        case ArticleHead():
            return {
                "id": value.id,
                "title": value.title,
                "title_made": value.title_made,
                "authors": list(value.authors),
                "published": value.published.isoformat() if value.published else None,
                "url": value.url,
                "source": value.source,
            }
        case Report():
            counts = (
                "added",
                "changed",
                "removed",
                "unchanged",
                "duplicates",
                "articles",
                "passages",
                "embedded",
                "reused",
            )
            failed = [{"source": shown(f.source), "reason": f.reason} for f in value.failed]
            return {**{c: getattr(value, c) for c in counts}, "seconds": value.seconds, "failed": failed}
        case Stats():
            names = ("articles", "passages", "segments", "tombstones", "generation", "bytes", "approximate", "recall")
            fingerprint = {n: getattr(value.fingerprint, n) for n in value.fingerprint.__dataclass_fields__}
            return {**{n: getattr(value, n) for n in names}, "fingerprint": fingerprint}
    raise TypeError(f"{type(value).__name__} has no JSON form")


def found(question: str, hits: Sequence[Hit]) -> JSON:
    """Return the reply to a search as JSON."""
    return {"question": question, "hits": [to_dict(h) for h in hits]}


def _cited(head: ArticleHead) -> JSON:
    whole = to_dict(head)
    return {name: whole[name] for name in ("id", "title", "authors", "published", "url")}


def _also(twins: Sequence[ArticleHead]) -> list[JSON]:
    return [{**_cited(a), "source": a.source} for a in twins]
