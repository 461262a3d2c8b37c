"""Which of two articles that are much alike are one.

They are compared word by word.  What makes twins of them is not how much they share, since a market report shares
nearly all with the day before's: nothing may stand in place of something else, and what one has more than the other is
whole sentences, and little, unless it is the end.  In doubt they are two: a twin that is not linked takes up one more
line of a result, and one that is linked wrongly hides what it says.
"""

from __future__ import annotations

import re
from functools import lru_cache

from rag.intake.bylines import read_byline
from rag.intake.credits import is_addition, is_desk_credit
from rag.intake.difference import difference
from rag.intake.edits import Sentences, Text, alike, whole
from rag.intake.tokens import tokens

SHORT = 50
"""A text of fewer words is a twin of an equal one only."""

ADDED = 0.2
"""The most that either has which the other lacks, the end of the longer one aside, as a share of what both have."""

ALONE = 6
"""Words put in by themselves, so many at most, are news even if they are a sentence, except a heading and the like."""

CUT = 0.5
"""The least share of the longer text that both have, when the shorter one was cut at its end."""

RUN = 3
"""Words in a row that two sentences share of which one may stand for the other."""

EDGE = 4
"""Lines at the top and at the foot that may be bylines and credits; a place may open one of twice as many."""

_KEPT = 128
_KEPT_LETTERS = 10_000
"""Texts that are kept as they are compared, and how long one may be: among many alike it is often the same ones."""

_AGENCY = r"\([A-Z][A-Za-z. /&]{1,30}\)"
_PLACE = r"[A-Z][A-Z .,'’-]{2,40}"
_DAY = r"(?:,?\s+[A-Z][a-z]{2,8}\.?\s+\d{1,2})?"
_DATELINE = re.compile(rf"(?:\s*(?:{_AGENCY}\s*[-–—]?|{_PLACE}{_DAY}\s*{_AGENCY}\s*[-–—:]+)(?:\s|$)){{1,2}}")
_PLACE_ALONE = re.compile(rf"\s*{_PLACE}\s*[-–—]+(?:\s|$)")
_WIRE = re.compile(
    r"(?:the\s+)?(?:associated press|reuters|agence france-presse|afp|ap|bloomberg|upi|dpa)", re.IGNORECASE
)
_RIGHTS = re.compile(
    r"\W*(?:©|\(c\)|copyright\b|all rights reserved|(?:re|originally |first )published\b"
    r"|(?:this|the) (?:story|article|post|piece|essay|column)\b.{0,30}\b(?:published|appeared|licen[cs]ed)\b).{0,160}",
    re.IGNORECASE,
)
_TURNS = frozenset("no not nor never none without false fake hoax untrue wrong retracted denied correction".split())


def same(one: str, two: str) -> bool:
    """Say whether two texts are one article: a copy, in other spelling, cut at its end, or with something put in.

    >>> same("No trains today.", "NO TRAINS TODAY!"), same("No trains today.", "No trains on Sunday.")
    (True, False)
    """
    if one == two:
        return bool(Text(one).folded)
    moved = places_differ(one, two)
    a, b = (_read(text, place=not moved) for text in (one, two))
    if min(len(a.folded), len(b.folded)) >= SHORT and _same(a, b):
        return True
    # Of short texts, and where a byline stands in a line with other words, all is compared.
    if len(a.text) + len(b.text) == len(one) + len(two):
        return bool(a.folded) and a.folded == b.folded
    c, d = Text(one), Text(two)
    long = min(len(c.folded), len(d.folded)) >= SHORT
    return c.folded == d.folded != [] or (long and a.folded == b.folded != [])


def _read(text: str, *, place: bool) -> Text:
    return (_read_and_keep if len(text) <= _KEPT_LETTERS else _read_anew)(text, place)


def _read_anew(text: str, place: bool) -> Text:
    return Text(body(text, place=place))


_read_and_keep = lru_cache(_KEPT)(_read_anew)


def _same(a: Text, b: Text) -> bool:
    found = difference(a.folded, b.folded)
    more = cut = 0
    put_in: tuple[set[str], set[str]] = set(), set()
    for gap in found.gaps:
        if alike(a, (gap.a, gap.b), b, (gap.c, gap.d)):
            continue
        mine = gap.b - gap.a >= gap.d - gap.c
        long, start, end, other, at, to = (
            (a, gap.a, gap.b, b, gap.c, gap.d) if mine else (b, gap.c, gap.d, a, gap.a, gap.b)
        )
        last = end == len(long.folded) and to == len(other.folded)
        if at < to and not (last and _broken_off(other, at, to, long, start)):
            return False
        if last and ((other.open and end - start > ALONE) or whole(long, start, end, other, at)):
            cut = end - start
        else:
            place = whole(long, start, end, other, at)
            if place is None or (end - start <= ALONE and _is_news(long, place)):
                return False
            more += end - start
        put_in[mine].update(" ".join(long.folded[n : n + RUN]) for n in range(start, end - RUN + 1))
    return (
        more <= ADDED * found.shared
        and found.shared >= max(CUT * (found.shared + cut), 0.8 * SHORT)
        and put_in[0].isdisjoint(put_in[1])
    )


def _broken_off(text: Text, at: int, to: int, other: Text, start: int) -> bool:
    """Say whether a text ends within a word that the other has in full."""
    return (
        to - at == 1
        and other.folded[start].startswith(text.folded[at])
        and not text.folded[at][0].isdigit()
        and text.open
    )


def _is_news(text: Text, place: Sentences) -> bool:
    """Say whether a few words are more than a heading, a caption or a name on a line of its own."""
    words = text.weighty(place.start, place.end)
    capital = any(w[0].isupper() for w in text.written[place.start : place.start + 1])
    return not (place.lines and capital) or any(w[0].isdigit() for w in words) or not _TURNS.isdisjoint(words)


def body(text: str, *, top: bool = True, place: bool = True, foot: bool = True) -> str:
    """Return a text without byline, agency and place at its top, and credits and rights at its foot."""
    lines = [line for line in text.split("\n") if line.strip()]
    kept: list[str] = []
    for n, line in enumerate(lines):
        byline = top and n < EDGE and _is_byline(line)
        if not byline and not (foot and n >= len(lines) - EDGE and _is_foot(line)):
            kept.append(line[_opening(line, place=place) :] if top and n < 2 * EDGE else line)
    return "\n".join(kept)


def places_differ(one: str, two: str) -> bool:
    """Say whether two texts open with other words in capitals before a dash, which need not be places.

    >>> places_differ("OSLO — It rains.", "It rains."), places_differ("GUILTY — He went.", "NOT GUILTY — He went.")
    (False, True)
    """
    found = [next(filter(None, map(_PLACE_ALONE.match, text.split("\n")[: 4 * EDGE])), None) for text in (one, two)]
    places = [tokens(place[0]).folded for place in found if place]
    return len(places) == 2 and places[0] != places[1]


def _opening(line: str, *, place: bool) -> int:
    """Return how many characters of a line are agency and place."""
    agency = _DATELINE.match(line)
    at = agency.end() if agency else 0
    alone = _PLACE_ALONE.match(line, at) if place else None
    return alone.end() if alone else at


def _is_byline(line: str) -> bool:
    said = line.strip()
    found = read_byline(said) if len(line) < 120 else None
    return bool(found and found.strong) or bool(_WIRE.fullmatch(said))


def _is_foot(line: str) -> bool:
    said = line.strip()
    return len(said) < 250 and (
        _is_byline(said) or is_desk_credit(said) or is_addition(said) or bool(_RIGHTS.fullmatch(said))
    )
