"""The writer that quotes: the sentences that answer, word for word, the direct one first."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np

from rag.answer.asked import Asked, asked
from rag.handover import Evidence, EvidenceSentence, Mark
from rag.intake.chunk import sentences
from rag.types import Hit, Text
from rag.words import terms, words

ENOUGH = 0.97
"""Sentences are added until one of them answers with this probability, given that any does."""

LIKELY = 0.03
"""The least such probability of a sentence that is added."""

USUAL = 3
"""Sentences of an answer unless several things are asked for."""

FURTHER_WITH_NAME = 9.0
"""Log-odds below the best that a sentence may be when it holds a name of the question that is still missing."""

SEVERAL = 4.5
"""And when the question asks for several things, and it is from another article than those before."""

SAME = 0.6
"""Two sentences that share this much of their words say the same."""

BEFORE = 240
"""Characters of a sentence that may be put before one that begins with a pronoun."""

TITLE = 120
"""Characters of a title that is put in brackets."""

_LEANS = re.compile(
    r"\W*(?:He|She|It|They|His|Her|Hers|Its|Their|Theirs|This|That|These|Those|Both|Neither|The (?:latter|former))\b"
)
_LEANS_WITHIN = re.compile(
    r"\b(?:since then|until then|by then|(?:at|on|during|after|before|in) (?:that|those|the same) \w+|in response"
    r"|(?:was|were) the (?:second|third|other|latter|former)\b(?! \w))"
)
_ITSELF = re.compile(r"\W*It (?:is|was|has been) (?:\w+ ){1,2}(?:that|to|whether|when|who)\b")
_LIST = re.compile(
    r"^\W*(?:list|name|enumerate)\b|\b(?:which|what)\s+(?:\w+\s+){0,2}(?:are|were|have)\b"
    r"|\b(?:compare|comparison|differ(?:s|ence|ences|ent)?|versus|vs|both|each|all the)\b",
    re.IGNORECASE,
)


class Extractive:
    """A Writer that needs no service: everything it says stands in the articles."""

    def __init__(self, most: int = 4) -> None:
        self.most = most

    def write(self, evidence: Evidence) -> Iterator[Text | Mark]:
        said: list[EvidenceSentence] = []
        several = evidence.parts or (evidence,)
        for sentence in (s for e in several for s in choose(e, max(self.most // len(several), 1))):
            # It may have been put before another that leans on it.
            if any(_overlap(sentence, s) for s in said):
                continue
            before = _before(sentence, evidence.hits) if _leans(sentence.text) else None
            if before and not any(_overlap(before, s) for s in said):
                yield Text((" " if said else "") + before.text, "added")
                yield Mark(before.hit, before.start, before.end)
                said.append(before)
            yield from quoted(sentence, space=bool(said), title=_opens_leaning(sentence.text) and before is None)
            said.append(sentence)


def quoted(sentence: EvidenceSentence, *, space: bool = False, title: bool = False) -> Iterator[Text | Mark]:
    """Yield a sentence word for word, its answering words emphasised, and its mark.

    With `title` the article that it stands in is named behind its first word, in brackets.
    """
    text, at = sentence.text, 0
    if space:
        yield Text(" ")
    if title and (first := re.match(r"\W*\w+", text)):
        yield Text(text[: first.end()])
        named = sentence.hit.article.title
        named = named if len(named) <= TITLE else f"{named[: TITLE - 1].rstrip()}…"
        yield Text(f" [in “{named}”]", "added")
        at = first.end()
    if sentence.answer:
        start, end = (max(x - sentence.start, at) for x in sentence.answer)
        if start < end:
            yield from (piece for piece in (Text(text[at:start]), Text(text[start:end], "strong")) if piece.text)
            at = end
    if text[at:]:
        yield Text(text[at:])
    yield Mark(sentence.hit, sentence.start, sentence.end)


def choose(evidence: Evidence, most: int) -> list[EvidenceSentence]:
    """Return the sentences to quote: the best, then those that name what is still missing or may answer as well."""
    if not evidence.sentences:
        return []
    first, *others = evidence.sentences
    chosen = [first]
    for s in _naming(evidence, others):
        if len(chosen) < most and not _repeats(s, chosen):
            chosen.append(s)
    about, several = asked(evidence.question), bool(_LIST.search(evidence.question))
    likely = _shares(evidence.sentences)
    covered = likely[0]
    for s, share in zip(others, likely[1:], strict=True):
        if len(chosen) >= most:
            break
        enough = covered >= ENOUGH or share < LIKELY or len(chosen) >= USUAL
        if s not in chosen and not _repeats(s, chosen) and (not enough or (several and _another(s, chosen, about))):
            chosen.append(s)
        covered += share
    return chosen


def _naming(evidence: Evidence, others: Sequence[EvidenceSentence]) -> Iterator[EvidenceSentence]:
    """Yield the sentences near the best that hold a name of the question which those before do not."""
    best = evidence.sentences[0]
    missing = _without(set(asked(evidence.question).names), best)
    for s in others:
        if not missing or best.score - s.score > FURTHER_WITH_NAME:
            return
        if (left := _without(missing, s)) != missing:
            missing = left
            yield s


def _another(s: EvidenceSentence, chosen: Sequence[EvidenceSentence], about: Asked) -> bool:
    """Say whether a sentence may tell of another of the things asked for: near the best, from an article of its own."""
    near = chosen[0].score - s.score <= SEVERAL
    apart = all(s.hit.article.id != c.hit.article.id for c in chosen)
    return near and apart and (about.kind == "other" or about.kind_in(s.text) > 0)


def _repeats(s: EvidenceSentence, chosen: Sequence[EvidenceSentence]) -> bool:
    stems = set(terms(s.text))
    held = (set(terms(c.text)) for c in chosen)
    return any(len(stems & h) > SAME * max(min(len(stems), len(h)), 1) for h in held)


def _shares(found: Sequence[EvidenceSentence]) -> list[float]:
    """Return the probability of each sentence to be the one that answers, given that one does."""
    e = np.exp(np.array([s.score for s in found]) - found[0].score)
    return [float(x) for x in e / e.sum()]


def _without(names: set[str], sentence: EvidenceSentence) -> set[str]:
    """Return the names that neither the sentence nor its article's title holds."""
    held = set(words(f"{sentence.text} {sentence.hit.article.title}"))
    return {n for n in names if not held.issuperset(words(n))}


def _leans(text: str) -> bool:
    """Say whether a sentence begins with a word whose meaning stands before it, or says "since then"."""
    return _opens_leaning(text) or bool(_LEANS_WITHIN.search(text))


def _opens_leaning(text: str) -> bool:
    return bool(_LEANS.match(text)) and not _ITSELF.match(text)


def _before(sentence: EvidenceSentence, hits: Sequence[Hit]) -> EvidenceSentence | None:
    """Return the sentence before, if a hit holds it, it is short, and it leans on nothing itself."""
    for hit in hits:
        p = hit.passage
        if (p.article_id, p.revision) != (sentence.hit.passage.article_id, sentence.hit.passage.revision):
            continue
        if not p.start < sentence.start <= p.end + 2:
            continue
        earlier = [s for s in sentences(p.text) if p.start + s.end <= sentence.start]
        if not earlier:
            continue
        last = earlier[-1]
        text = p.text[last.start : last.end]
        # Nothing but white space lies between, so it is the sentence before and not some other.
        near = sentence.start - (p.start + last.end) <= 2
        if (
            near
            and last.end - last.start <= BEFORE
            and not _leans(text)
            and text.rstrip().endswith((".", "!", "?", "”"))
        ):
            return EvidenceSentence(hit, p.start + last.start, p.start + last.end, text, sentence.score)
    return None


def _overlap(a: EvidenceSentence, b: EvidenceSentence) -> bool:
    return a.hit.passage.article_id == b.hit.passage.article_id and a.start < b.end and b.start < a.end
