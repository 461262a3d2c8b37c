"""Does the cited span support the sentence?

A verbatim quote does, unless its own sentence takes it back.  Any other is compared fact by fact: a number, date or
name that the quote does not have is never supported, one that it has otherwise is unsupported, and so is a negation on
one side only.  For the rest, the share of the sentence's content words that are in the quote decides.  The cuts are
chosen on the tuning half of sentences that a model wrote (eval/verdicts.py); fitted weights were no better.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from rag.answer.compared import compared
from rag.answer.facts import negations
from rag.handover import Mark
from rag.intake.chunk import sentences
from rag.types import Verdict, VerdictName

ENOUGH, SOME = 0.85, 0.5
"""Scores from which a sentence counts as supported, or in part."""

CAPPED = 0.05
"""How far below the next verdict the score of a sentence is put that a rule keeps from it."""

Entails = Callable[[str, str], Mapping[str, float]]
"""How likely a quote is to entail and to contradict a sentence: probabilities of "entailment" and "contradiction"."""

_PLAIN = str.maketrans("“”„«»‘’‚–—\u00a0", '"""""\'\'\'-- ')
_EDGES = " .,;:!?\"'()[]…"
# What stands before a clause in its own sentence and takes it back, or leaves it open.
_UNDONE = re.compile(
    r"\b(?:den(?:y|ies|ied|ying)|false(?:ly)?|untrue|myth|reject(?:s|ed)?|dismiss(?:es|ed)?|refut(?:es|ed)|wrong(?:ly)?|"
    r"no (?:evidence|proof|sign|truth|longer|one)|doubt(?:s|ed)?|lie[sd]?)\b",
    re.IGNORECASE,
)
_OPEN = re.compile(
    r"\b(?:if|unless|whether|claim(?:s|ed)?|alleg\w+|accus\w+|rumou?r\w*|suggest(?:s|ed)?|could|(?-i:may)|might|would|"
    r"suppos\w+|speculat\w+|fear(?:s|ed)?|hop(?:e|es|ed)|possib\w+|likely|unclear|unknown|unconfirmed)\b",
    re.IGNORECASE,
)
_UNDONE_AFTER = re.compile(
    r"\W*(?:(?:is|was|are|were|has been|have been|proved|turned out to be)\s+)?"
    r"(?:not (?:true|so|correct)|false|untrue|denied|rejected|unfounded|a (?:lie|myth|hoax))\b",
    re.IGNORECASE,
)
_CLAUSE_BEGINS = re.compile(
    r"(?:^|[,;:(\"'.?!-]|\b(?:that|and|but|because|as|while|when|which|who))\s*$", re.IGNORECASE
)
_CLAUSE_ENDS = re.compile(
    r"\s*(?:$|[,;:)\"'.?!-]|(?:and|but|because|as|while|when|which|who|after|before)\b)", re.IGNORECASE
)


def verdict(
    sentence: str,
    quote: str,
    *,
    context: str = "",
    before: str = "",
    entailed: Mapping[str, float] | None = None,
) -> Verdict:
    """Return the verdict on one citation of a sentence, its score from 0 to 1.

    `context` is what the reader of the quote knows besides: its article's title and date and the sentence before, in
    which names and years are found for "he" and "in May".  `before` is how the quote's own sentence begins where the
    quote cuts it.  `entailed` are a model's probabilities of "entailment" and "contradiction", if one was asked.

    >>> verdict("Peru bought 1.2 million doses.", "In May Peru bought 1,200,000 doses.").verdict
    'supported'
    >>> verdict("Peru bought 1.3 million doses.", "In May Peru bought 1,200,000 doses.").verdict
    'unsupported'
    """
    if (sure := _verbatim(_plain(sentence), _plain(quote), _plain(before))) is not None:
        return sure
    found = compared(sentence, quote, context)
    score = _entailed(found.cover, entailed) if entailed else found.cover
    if found.conflict:
        score = min(score / 2, SOME - CAPPED)
    elif found.unfounded or found.loose or (found.unhedged and not entailed):
        score = min(score, ENOUGH - CAPPED)
    return _named(score)


def backing(sentence: str, mark: Mark, entails: Entails | None = None) -> Verdict:
    """Return the verdict on a sentence that is marked with a span, in the light of what stands around it."""
    p = mark.hit.passage
    quote = p.text[mark.start - p.start : mark.end - p.start]
    context, before = _around(mark)
    return verdict(
        sentence, quote, context=context, before=before, entailed=entails(quote, sentence) if entails else None
    )


def _around(mark: Mark) -> tuple[str, str]:
    """Return what a reader of a marked span knows besides, and how the span's own sentence begins before it."""
    text, at = mark.hit.passage.text, mark.start - mark.hit.passage.start
    spans = sentences(text)
    own = max((i for i, s in enumerate(spans) if s.start <= at), default=0)
    previous = text[spans[own - 1].start : spans[own - 1].end] if own else ""
    before = text[spans[own].start : at] if spans else ""
    published = mark.hit.article.published
    return f"{mark.hit.article.title}. {published.isoformat() if published else ''} {previous} {before}", before


def _entailed(score: float, entailed: Mapping[str, float]) -> float:
    """Return the score with a model's reading: a contradiction settles it, an entailment lifts it."""
    yes, no = entailed["entailment"], entailed["contradiction"]
    if no > max(yes, 0.5):
        return min(score, SOME - CAPPED)
    return max(score, yes) if yes > 0.5 else score


def _named(score: float) -> Verdict:
    score = round(score, 4)
    name: VerdictName = "supported" if score >= ENOUGH else "partial" if score >= SOME else "unsupported"
    return Verdict(name, score)


def _plain(text: str) -> str:
    return " ".join(text.translate(_PLAIN).split())


def _verbatim(said: str, quote: str, before: str) -> Verdict | None:
    """Return the verdict on a sentence that stands in the quote word for word, None for one that does not."""
    bare = said.strip(_EDGES)
    if not bare:
        return Verdict("supported", 1.0) if said in quote else None
    # Whole words, the case of the first letter aside.
    opening = f"(?i:{re.escape(bare[0])})" if bare[0].isalpha() else re.escape(bare[0])
    places = re.finditer(rf"(?<!\w){opening}{re.escape(bare[1:])}(?!\w)", quote)
    return max((_placed(quote, m.start(), m.end(), before) for m in places), key=lambda v: v.score, default=None)


def _placed(quote: str, start: int, end: int, before: str) -> Verdict:
    """Return what a clause's own sentence in the quote makes of it."""
    own = max(quote.rfind(mark, 0, start) for mark in (". ", "? ", "! "))
    head = quote[own + 2 : start] if own >= 0 else f"{before} {quote[:start]}".strip()
    # The word behind the head tells whether a negation in it goes on into the clause.
    negated = any(n.end > len(head) for n in negations(f"{head} x"))
    if negated or _UNDONE.search(head) or _UNDONE_AFTER.match(quote, end):
        return Verdict("unsupported", SOME - CAPPED)
    if _OPEN.search(head):
        return Verdict("partial", ENOUGH - CAPPED)
    whole = _CLAUSE_BEGINS.search(quote[:start]) and _CLAUSE_ENDS.match(quote, end)
    return Verdict("supported", 1.0 if whole else 0.95)
