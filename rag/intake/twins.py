"""Which of two articles that are much alike are one.

They are compared word by word.  What makes twins of them is not how much they share, since a market report shares
nearly all with the day before's: nothing may stand in place of something else that holds a name or a figure.  What one
has more than the other is little, unless it is the end.  In doubt they are two.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from rag.intake.bylines import read_byline
from rag.intake.credits import is_addition, is_desk_credit
from rag.intake.difference import Gap, difference
from rag.intake.tokens import Tokens, tokens

SHORT = 50
"""A text of fewer words is a twin of an equal one only."""

ADDED = 0.2
"""The most that either has which the other lacks, the end of the longer one aside, as a share of what both have."""

REPLACED = 0.1
"""The most that stands in place of something else, as a share of what both have."""

SENTENCE = 12
"""A stretch of so many words in place of another as long is other content, and no edit of it."""

CUT = 0.5
"""The least share of the longer text that both have, when the shorter one was cut at its end."""

FIGURE_ALONE = 6
"""A figure put in by itself, in a stretch of at most so many words, is news; a longer one is a sentence more."""

CAPITALS = 0.03
"""A text with a smaller share of words with capitals, those that open sentences aside, does not tell names by them."""

JOINT = 3
"""Words that an edit may leave at the end of a text that was cut."""

EDGE = 4
"""Lines at the top and at the foot that may be bylines and credits."""

_AGENCY = r"\([A-Z][A-Za-z. /&]{1,30}\)"
_PLACE = r"[A-Z][A-Z .,'’-]{2,40}"
_DAY = r"(?:,?\s+[A-Z][a-z]{2,8}\.?\s+\d{1,2})?"
_DATELINE = re.compile(rf"\s*(?:{_AGENCY}\s*[-–—]?|{_PLACE}{_DAY}\s*{_AGENCY}\s*[-–—:]+|{_PLACE}\s*[-–—]+)\s")
_SMALL = re.compile(r"\b[a-z][^\W\d_]*")
_OPENING = re.compile(r"(?:^|[.!?:…\n]|[\"“‘«(])[^\w\n]{0,4}([^\W\d_a-z][^\W\d_]*)")
_RIGHTS = re.compile(
    r"\W*(?:©|\(c\)|copyright\b|all rights reserved|(?:re|originally |first )published\b"
    r"|(?:this|the) (?:story|article|post|piece|essay|column)\b.{0,30}\b(?:published|appeared|licen[cs]ed)\b).{0,160}",
    re.IGNORECASE,
)


def same(one: str, two: str) -> bool:
    """Say whether two texts are one article: a copy, cut at its end, edited a little, or with something put in.

    >>> same("No trains today.", "NO TRAINS TODAY!"), same("No trains today.", "No trains on Sunday.")
    (True, False)
    """
    a, b = tokens(one), tokens(two)
    if a.folded == b.folded:
        return bool(a.folded)
    if min(len(a.folded), len(b.folded)) < SHORT:
        return False
    a, b = map(tokens, _without_openings(_body(one), _body(two)))
    if min(len(a.folded), len(b.folded)) < SHORT:
        return bool(a.folded) and a.folded == b.folded
    found = difference(a.folded, b.folded)
    names = _Names(a, b)
    more = replaced = cut = 0
    for gap in found.gaps:
        here, there = gap.b - gap.a, gap.d - gap.c
        less = min(here, there)
        if gap.b == len(a.folded) and less <= JOINT and names.ends(gap):
            cut, more = max(here, there), more + less
            continue
        if less >= SENTENCE or _figures(a, b, gap) or (less and names.differ(gap)):
            return False
        replaced += less
        more += max(here, there)
    return (
        more <= ADDED * found.shared
        and replaced <= REPLACED * found.shared
        and found.shared >= max(CUT * (found.shared + cut), 0.8 * SHORT)
    )


# Not "one", which is seldom a figure.
_SPELT = {w: str(n) for n, w in enumerate("two three four five six seven eight nine ten eleven twelve".split(), 2)}


def _figures_of(text: Tokens, start: int, end: int) -> list[str]:
    return [f for f in (_SPELT.get(w, w) for w in text.folded[start:end]) if f[0].isdigit()]


def _figures(a: Tokens, b: Tokens, gap: Gap) -> bool:
    """Say whether a gap changes figures: others in their place, or one put in by itself."""
    here, there = _figures_of(a, gap.a, gap.b), _figures_of(b, gap.c, gap.d)
    whole_sentence = min(gap.b - gap.a, gap.d - gap.c) == 0 and max(gap.b - gap.a, gap.d - gap.c) > FIGURE_ALONE
    return here != there and not whole_sentence


class _Names:
    """Which words of two texts may be names: those with a capital.

    Where there are hardly any capitals, each word that only one of the texts has may be one, and in a script without
    capitals each word.
    """

    def __init__(self, a: Tokens, b: Tokens) -> None:
        self.a, self.b = a, b
        shares = [sum(w[0].isupper() for w in t.written) / len(t.written) for t in (a, b)]
        self.told = min(shares) >= CAPITALS
        self.both = set(a.folded) & set(b.folded)

    def differ(self, gap: Gap) -> bool:
        """Say whether either side of a gap has a name that the other side lacks."""
        here, there = set(self._of(self.a, gap.a, gap.b)), set(self._of(self.b, gap.c, gap.d))
        return bool(here - there and there - here)

    def ends(self, gap: Gap) -> bool:
        """Say whether one text is cut at a last gap: it has nothing there, part of a word, or what an edit left."""
        (short, start, end), (other, at, _) = sorted(
            [(self.a, gap.a, gap.b), (self.b, gap.c, gap.d)], key=lambda side: side[2] - side[1]
        )
        left = short.folded[start:end]
        if len(left) == 1 and other.folded[at].startswith(left[0]) and not left[0][0].isdigit():
            return True
        return not _figures_of(short, start, end) and not any(self._of(short, start, end))

    def _of(self, text: Tokens, start: int, end: int) -> Iterator[str]:
        for written, folded in zip(text.written[start:end], text.folded[start:end], strict=True):
            letter = written[0]
            no_capitals = letter.upper() == letter.lower() and not letter.isdigit()
            if no_capitals or letter.isupper() or (not self.told and folded not in self.both):
                yield folded


def _without_openings(one: str, two: str) -> tuple[str, str]:
    """Return two texts with the first words of sentences small, where either text has these words so elsewhere."""
    small = set(_SMALL.findall(one)) | set(_SMALL.findall(two))

    def opening(match: re.Match[str]) -> str:
        return match[0].lower() if match[1].lower() in small else match[0]

    return _OPENING.sub(opening, one), _OPENING.sub(opening, two)


def _body(text: str) -> str:
    """Return a text without byline, place and agency at its top, and credits and rights at its foot."""
    lines = [line for line in text.split("\n") if line.strip()]
    kept = [
        line
        for n, line in enumerate(lines)
        if not ((n < EDGE and _is_byline(line)) or (n >= len(lines) - EDGE and _is_foot(line)))
    ]
    return _DATELINE.sub("", "\n".join(kept), count=1) if kept and _DATELINE.match(kept[0]) else "\n".join(kept)


def _is_byline(line: str) -> bool:
    found = read_byline(line.strip()) if len(line) < 120 else None
    return bool(found and found.strong)


def _is_foot(line: str) -> bool:
    said = line.strip()
    return len(said) < 250 and (
        _is_byline(said) or is_desk_credit(said) or is_addition(said) or bool(_RIGHTS.fullmatch(said))
    )
