"""Which hits cover the words that answer: judgments of characters, so that any way of cutting can be compared.

An article found says little when it is long, and passages of one cutting cannot be judged once for all cuttings.  Words
quoted from an article can: whatever shows them to the reader has found them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from rag.evaluation.collection import Question
from rag.intake.text import clean
from rag.types import Article, Passage

Span = tuple[int, int]

BUDGET = 2_000
"""Characters that a reader is held to read: passages of any size are given the same room."""

QUOTE_MEASURES = ("QuoteRR", "QuoteR@5", "QuoteR@10", f"QuoteR@{BUDGET}c")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a quote stands: in one article, once or several times, any of which will do."""

    article: str
    spans: tuple[Span, ...]


def locate(text: str, quote: str) -> tuple[Span, ...]:
    """Return all spans of a text that hold a quote; white space may differ, and case if it is not there otherwise.

    >>> locate("It cost 5\\nmarks.", "cost 5 marks")
    ((3, 15),)
    """
    words = clean(quote).split()
    if not words:
        return ()
    pattern = r"\s+".join(map(re.escape, words))
    # "art" is not quoted from "party".
    pattern = (r"(?<!\w)" if words[0][0].isalnum() else "") + pattern + (r"(?!\w)" if words[-1][-1].isalnum() else "")
    for flags in (re.NOFLAG, re.IGNORECASE):
        if spans := tuple(m.span() for m in re.finditer(pattern, text, flags)):
            return spans
    return ()


def places(questions: Iterable[Question], articles: Callable[[str], Article | None], ids: Sequence[str]) -> Placed:
    """Return where the quotes of questions stand; a quote that names no article is looked for in all of them."""
    found: dict[str, list[Place]] = {}
    missing: list[tuple[str, str]] = []
    known: dict[str, str] = {}

    def text(id: str) -> str:
        if id not in known:
            article = articles(id)
            known[id] = article.text if article else ""
        return known[id]

    for question in questions:
        for quote in question.quotes:
            there = [Place(id, spans) for id in ([quote.article] if quote.article else ids)
                     if (spans := locate(text(id), quote.text))]  # fmt: skip
            if there:
                found.setdefault(question.id, []).extend(there)
            else:
                missing.append((question.id, quote.text))
    return Placed({q: _merged(p) for q, p in found.items()}, tuple(missing))


@dataclass(frozen=True)
class Placed:
    """Where the quotes of each question stand, and those that were not found, each with its question's id."""

    places: Mapping[str, Sequence[Place]]
    missing: Sequence[tuple[str, str]]


def _merged(found: list[Place]) -> list[Place]:
    """Return the places with those that overlap made one: other wordings of one answer are one thing to be found."""
    out: list[Place] = []
    for place in dict.fromkeys(found):
        if len(place.spans) > 1:
            out.append(place)
            continue
        (start, end), *_ = place.spans
        for n, other in enumerate(out):
            if other.article == place.article and len(other.spans) == 1:
                (a, b), *_ = other.spans
                if start < b and a < end:
                    out[n] = Place(place.article, ((min(a, start), max(b, end)),))
                    break
        else:
            out.append(place)
    return out


def covered(place: Place, found: Sequence[Passage]) -> float:
    """Return the share of a quote's characters that some passages show between them, where it stands best shown."""
    shown = [(p.start, p.end) for p in found if p.article_id == place.article]
    best = 0.0
    for start, end in place.spans:
        inside = sorted((max(a, start), min(b, end)) for a, b in shown if a < end and start < b)
        total, at = 0, start
        for a, b in inside:
            total += max(b - max(a, at), 0)
            at = max(at, b)
        best = max(best, total / (end - start))
    return best


def quote_values(found: Sequence[Passage], wanted: Sequence[Place]) -> dict[str, float]:
    """Return the values of one question's hits, best first.

    QuoteRR is the reciprocal of the rank down to which one must read until one quote has been shown whole; QuoteR@k is
    the mean share of each quote that the first k passages show, and with a `c` those within the first so many
    characters.
    """
    whole = next((n for n in range(1, len(found) + 1) if any(covered(w, found[:n]) == 1 for w in wanted)), None)

    def share(passages: Sequence[Passage]) -> float:
        return sum(covered(w, passages) for w in wanted) / len(wanted)

    read, within = 0, 0
    for passage in found:
        read += passage.end - passage.start
        within += read <= BUDGET
    values = (1 / whole if whole else 0.0, share(found[:5]), share(found[:10]), share(found[:within]))
    return dict(zip(QUOTE_MEASURES, values, strict=True))
