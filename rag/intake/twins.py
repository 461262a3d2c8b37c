"""Which articles are one: what finds candidates, and what decides.

A signature is the least values of hash functions over the runs of three words of a text (Broder, "On the resemblance
and containment of documents", 1997), some of which together make a band, and two texts with an equal band are candidates
(Indyk and Motwani, "Approximate nearest neighbors", 1998).  Half of the bands are of the opening alone, which a story
keeps that was cut at its end.  Candidates are compared word by word.  What makes twins of them is not how much they
share, since a market report shares nearly all with the day before's: nothing may stand in place of something else that
holds a name or a figure.  What one has more than the other is small, unless it is the end.

datasketch's MinHash would do for the signature: `eval/results/twins.md` has both in time.  Ours is written here
because it is stored for good, so it may change with no library's version, and scipy would come along for forty lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from zlib import crc32

import numpy as np
import numpy.typing as npt

from rag.intake.bylines import read_byline
from rag.intake.credits import is_addition, is_desk_credit
from rag.intake.difference import Gap, difference
from rag.intake.tokens import Tokens, tokens

SHINGLE = 3
"""Words of a run that is hashed."""

ROWS = 3
"""Least values in a band: unrelated texts, which share one run in a hundred, share a band of one in a million."""

BANDS = 8
"""Bands of the whole text, and as many of its opening."""

OPENING = 200
"""Words of the opening."""

SHORT = 50
"""A text of fewer words is a twin of an equal one only."""

ADDED = 0.15
"""The most that either has which the other lacks, the end of the longer one aside, as a share of what both have."""

REPLACED = 0.1
"""The most that stands in place of something else, as a share of what both have."""

SENTENCE = 12
"""A stretch of so many words in place of another as long is other content, and no edit of it."""

CUT = 0.5
"""The least share of the longer text that both have, when the shorter one was cut at its end."""

FIGURE_ALONE = 6
"""A figure put in by itself, in a stretch of at most so many words, is news; a longer one is a sentence more."""

CAPITALS = 0.07
"""A text with a smaller share of words with capitals does not tell its names by them: only its sentences begin so."""

EDGE = 4
"""Lines at the top and at the foot that may be bylines and credits."""

# -- the signature ----------------------------------------------------------------------------


def _numbers(count: int) -> npt.NDArray[np.uint64]:
    """Return fixed numbers of 64 bits: the first of splitmix64 (Steele, Lea and Flood, 2014)."""
    steps = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return _mixed(steps)


def _mixed(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


_FACTORS = _numbers(2 * BANDS * ROWS) | np.uint64(1)
_PLACES = _numbers(SHINGLE + ROWS) | np.uint64(1)


def signature(text: str) -> tuple[int, ...]:
    """Return the keys of a text's bands, signed integers of 32 bits; two texts with an equal one are candidates.

    The same for good: a stored one may be compared with one made by any later version.  Empty for a text without words.
    """
    folded = tokens(text).folded
    if not folded:
        return ()
    hashed = np.fromiter(map(crc32, " ".join(folded).encode().split(b" ")), np.uint64)
    runs = np.zeros(max(len(hashed) - SHINGLE + 1, 1), np.uint64)
    for n in range(min(SHINGLE, len(hashed))):
        runs += hashed[n : n + len(runs)] * _PLACES[n]
    runs = _mixed(runs)
    opening = runs[:OPENING]
    least = np.array([(part * f).min() for part, factors in ((runs, _FACTORS[: BANDS * ROWS]), (opening, _FACTORS[BANDS * ROWS :])) for f in factors])  # fmt: skip
    keys = _mixed((least.reshape(-1, ROWS) * _PLACES[SHINGLE:]).sum(axis=1, dtype=np.uint64) + np.arange(2 * BANDS, dtype=np.uint64))
    return tuple((keys >> np.uint64(32)).astype(np.uint32).view(np.int32).tolist())


# -- the decision -----------------------------------------------------------------------------

_AGENCY = r"\([A-Z][A-Za-z. /&]{1,30}\)"
_DATELINE = re.compile(
    rf"\s*(?:{_AGENCY}\s*[-–—]?|[A-Z][A-Z .,'’-]{{2,40}}(?:,?\s+[A-Z][a-z]{{2,8}}\.?\s+\d{{1,2}})?\s*{_AGENCY}\s*[-–—:]+|[A-Z][A-Z .,'’-]{{2,30}}\s*[-–—]+)\s"
)
_RIGHTS = re.compile(r".{0,60}(?:©|\(c\)|copyright|all rights reserved|licen[cs]e|republished|originally (?:published|appeared)|first (?:published|appeared)).{0,160}", re.IGNORECASE)


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
    a, b = tokens(_body(one)), tokens(_body(two))
    if len(a.folded) > len(b.folded):
        a, b = b, a
    return _near(a, b)


def _near(a: Tokens, b: Tokens) -> bool:
    """Say whether the shorter of two texts is the longer one, edited or cut."""
    if len(a.folded) < SHORT:
        return a.folded == b.folded
    found = difference(a.folded, b.folded)
    names = _Names(a, b)
    more = replaced = cut = 0
    for gap in found.gaps:
        here, there = gap.b - gap.a, gap.d - gap.c
        less = min(here, there)
        if not here and gap.b == len(a.folded):
            cut = there
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


_SPELT = {w: str(n) for n, w in enumerate("one two three four five six seven eight nine ten eleven twelve".split(), 1)}


def _figures(a: Tokens, b: Tokens, gap: Gap) -> bool:
    """Say whether a gap changes figures: others in their place, or one put in by itself."""
    here, there = (
        [f for f in (_SPELT.get(w, w) for w in words) if f[0].isdigit()]
        for words in (a.folded[gap.a : gap.b], b.folded[gap.c : gap.d])
    )
    whole_sentence = min(gap.b - gap.a, gap.d - gap.c) == 0 and max(gap.b - gap.a, gap.d - gap.c) > FIGURE_ALONE
    return here != there and not whole_sentence


class _Names:
    """Which words of two texts may be names: those with a capital that neither text writes without.

    Where there are hardly any capitals, each word that only one of the texts has may be one, and in a script without
    capitals each word.
    """

    def __init__(self, a: Tokens, b: Tokens) -> None:
        self.a, self.b = a, b
        texts = (a, b)
        self.plain = {f for t in texts for w, f in zip(t.written, t.folded, strict=True) if w[0].islower()}
        self.told = min(sum(w[0].isupper() for w in t.written) / len(t.written) for t in texts) >= CAPITALS
        self.both = set(a.folded) & set(b.folded)

    def differ(self, gap: Gap) -> bool:
        """Say whether either side of a gap has a name that the other side lacks."""
        here, there = set(self._of(self.a, gap.a, gap.b)), set(self._of(self.b, gap.c, gap.d))
        return bool(here - there and there - here)

    def _of(self, text: Tokens, start: int, end: int) -> Iterator[str]:
        for written, folded in zip(text.written[start:end], text.folded[start:end], strict=True):
            letter = written[0]
            no_capitals = letter.upper() == letter.lower() and not letter.isdigit()
            if no_capitals or (letter.isupper() and folded not in self.plain if self.told else folded not in self.both):
                yield folded


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
    return len(said) < 250 and (_is_byline(said) or is_desk_credit(said) or is_addition(said) or bool(_RIGHTS.fullmatch(said)))
