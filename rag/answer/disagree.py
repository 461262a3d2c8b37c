"""Do the sources answer a question differently?

They do when sentences of two articles state claims that hold all that the question says, that nothing tells apart (a
year, a place, a narrower word), and whose values cannot be the same.  It is better to miss a disagreement than to
make one of two answers about different things.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from rag.answer.claims import Claim, claim
from rag.answer.facts import Date, Name, facts
from rag.answer.measured import Measured, measured
from rag.answer.names import folded, kin
from rag.answer.wanted import Wanted, root, roots, wanted
from rag.handover import Evidence, EvidenceSentence
from rag.timed import asked_time, of_time
from rag.types import ArticleHead
from rag.words import stem

FIRST = 3
"""The best claim stands among so many first sentences."""

NEAR = 16
"""And others among so many: ranks, because the scores' scale is the model's."""

MOST = 4
"""Sides that are shown, unless more or fewer are asked for."""


_SAYS = re.compile(
    r",?\s+(?:ha[sd]\s+)?(?:said|says|told|announced|reported|reports|claimed|claims|wrote|writes|stated|states|estimated)\b"
)
_SAID_BY = re.compile(r"\b(?:according to|said|told by)\s+(?:the\s+)?$", re.IGNORECASE)
_PLACE = re.compile(r"\b(?:in|at|near|on|off)\s+(?:the\s+)?$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Claims of different articles that cannot all be true at once, newest article first, undated ones last."""

    sides: tuple[Claim, ...]


def disagreement(
    evidence: Evidence, twins: Mapping[str, Sequence[ArticleHead]] | None = None, *, most: int = MOST
) -> Disagreement | None:
    """Return how the sources of some evidence disagree, in up to `most` sides but at least two, or None.

    `twins` are the articles that each is linked with: what a twin prints is not a second source.
    """
    want = _with_names(wanted(evidence.question), evidence.sentences[:NEAR])
    found = [(n, c) for n, s in enumerate(evidence.sentences[:NEAR]) if (c := claim(want, s))]
    then = _of_time(evidence.question, [c for _, c in found])
    for rank, best in found:
        if rank >= FIRST:
            break
        if best in then:
            sides = [best]
            for other in then:
                if len(sides) < max(most, 2) and all(differ(want, other, s, twins or {}) for s in sides):
                    sides.append(other)
            if len(sides) > 1:
                return Disagreement(tuple(sorted(sides, key=lambda c: published(c.sentence) or date.min, reverse=True)))
    return None


def _with_names(want: Wanted, sentences: Sequence[EvidenceSentence]) -> Wanted:
    """Return what is wanted with the names that a question in small letters holds, as the sentences write them."""
    if want.names or want.question != want.question.lower():
        return want
    named = {w for s in sentences for n in facts(s.text).names if n.sure for w in n.words} & want.about.words
    return replace(want, names=frozenset(root(stem(w)) for w in named) & want.stems)


def published(sentence: EvidenceSentence) -> date | None:
    """Return the day on which a sentence's article was published, if that is known."""
    return sentence.hit.article.published


def differ(want: Wanted, one: Claim, other: Claim, twins: Mapping[str, Sequence[ArticleHead]]) -> bool:
    """Say whether two claims answer the same question differently."""
    if not _apart(one.sentence, other.sentence, twins) or not _comparable(want, one, other):
        return False
    if any(_same(a, b) for a in one.values for b in other.values):
        return False
    return not _holds(one.sentence.text, other) and not _holds(other.sentence.text, one)


def _holds(text: str, claim: Claim) -> bool:
    """Say whether a text holds a figure or day of a claim anywhere: it may give that of something else beside it."""
    known = facts(text)
    for value in claim.values:
        if isinstance(value, Measured) and any(measured(n, text).agrees(value) for n in known.numbers):
            return True
        if isinstance(value, Date) and any(d.says(value) for d in known.dates):
            return True
    return False


def _apart(one: EvidenceSentence, other: EvidenceSentence, twins: Mapping[str, Sequence[ArticleHead]]) -> bool:
    """Say whether two sentences are of two sources."""
    a, b = one.hit.article.id, other.hit.article.id
    linked = {t.id for t in (*twins.get(a, ()), *one.hit.also)} | {t.id for t in twins.get(b, ())} | {
        t.id for t in other.hit.also
    }  # fmt: skip
    return a != b and not linked & {a, b}


def _of_one_subject(want: Wanted, one: Claim, other: Claim) -> bool:
    """Say whether two claims may be about the same: "the parade" of one article need not be that of another.

    Where a question names its subject, or there can be only one, that is enough.  A place is no subject.
    """
    if want.unique or not all(isinstance(v, Measured | Date) for c in (one, other) for v in c.values):
        return True
    asked = [n for n in facts(want.question).names if not _PLACE.search(want.question[: n.start])]
    if asked or (want.names and want.question == want.question.lower()):
        return True
    mine, theirs = (
        {kin(w) for n in facts(text).names if (n.sure or len(n.words) > 1) and not _says(n, text) for w in n.words}
        for text in (one.sentence.text, other.sentence.text)
    )
    around = [
        {kin(w) for w in folded(f"{c.sentence.hit.article.title} {c.sentence.hit.passage.text}")} for c in (one, other)
    ]
    return not (mine - around[1] and theirs - around[0])


def _says(name: Name, text: str) -> bool:
    """Say whether a name is of who says it, and so of no subject."""
    return bool(_SAYS.match(text, name.end) or _SAID_BY.search(text[: name.start]))


def _comparable(want: Wanted, one: Claim, other: Claim) -> bool:
    """Say whether nothing tells apart what two claims are about."""
    if not _of_one_subject(want, one, other) or one.extra != other.extra or one.missing != other.missing:
        return False
    # What neither calls as the question does, both must call by one other word: released, for came out.
    if one.missing and not (roots(one.sentence.text) & roots(other.sentence.text)) - want.stems:
        return False
    kinds = [{v.kind for v in c.values if isinstance(v, Measured)} for c in (one, other)]
    if any(kinds) and not kinds[0] & kinds[1]:
        return False
    if want.unique:
        return True
    return one.where == other.where and all(
        any(d.agrees(e) for e in theirs)
        for mine, theirs in ((one.when, other.when), (other.when, one.when))
        for d in mine
    )


def _same(one: Measured | Date | Name | bool, other: Measured | Date | Name | bool) -> bool:
    if isinstance(one, Measured) and isinstance(other, Measured):
        return one.agrees(other)
    if isinstance(one, Date) and isinstance(other, Date):
        return one.agrees(other)
    if isinstance(one, Name) and isinstance(other, Name):
        return bool(set(one.words) & set(other.words)) or one.initials in other.words or other.initials in one.words
    return one == other


def _of_time(question: str, claims: list[Claim]) -> list[Claim]:
    """Return the claims of the time that a question names, if some are and others are not; else all."""
    asked = asked_time(question)
    if not asked:
        return claims
    then = [c for c in claims if of_time(asked, c.sentence.text, published(c.sentence)) == 1]
    return then or claims
