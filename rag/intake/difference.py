"""Where two texts differ: the stretches of words that they share, in order, and what stands between them.

The stretches are found from runs of words that stand once in either text, which is Bram Cohen's patience diff, with the
longest increasing subsequence by piles (Fredman, "On computing the length of longest increasing subsequences", 1975).
It takes little more than sorting the words, however the texts differ.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

import numpy as np
import numpy.typing as npt

ANCHOR = 4
"""Words of a run that two texts are held together by."""

MATCHED = 3
"""Words of a shorter run that counts within a gap."""

SMALL = 200
"""Words of a gap that is looked into: the time for that grows with their square."""


@dataclass(frozen=True, slots=True)
class Gap:
    """What stands between two shared stretches: words [a:b] of the first text and [c:d] of the second."""

    a: int
    b: int
    c: int
    d: int


@dataclass(frozen=True, slots=True)
class Difference:
    """How many words two texts share in order, and the gaps between these, none of them empty in both."""

    shared: int
    gaps: Sequence[Gap]


def difference(one: Sequence[str], two: Sequence[str]) -> Difference:
    """Return how two sequences of words differ.

    >>> difference("a b c d e f".split(), "a b c d x f".split())
    Difference(shared=5, gaps=[Gap(a=4, b=5, c=4, d=5)])
    """
    shared, a, c = 0, 0, 0
    gaps: list[Gap] = []
    for i, j, length in [*_anchors(one, two), (len(one), len(two), 0)]:
        if i < a or j < c:
            # Within the stretch before, but for words that repeat beyond it.
            continue
        while a < i and c < j and one[a] == two[c]:
            a, c, shared = a + 1, c + 1, shared + 1
        b, d = i, j
        while a < b and c < d and one[b - 1] == two[d - 1]:
            b, d, shared = b - 1, d - 1, shared + 1
        if a < b or c < d:
            between = _within(one, two, Gap(a, b, c, d))
            gaps += between.gaps
            shared += between.shared
        a, c, shared = i + length, j + length, shared + length
    return Difference(shared, gaps)


def _within(one: Sequence[str], two: Sequence[str], gap: Gap) -> Difference:
    """Return how the words of a small gap differ, which repeat what stands elsewhere and so hold no anchor."""
    if not MATCHED <= min(gap.b - gap.a, gap.d - gap.c) <= max(gap.b - gap.a, gap.d - gap.c) <= SMALL:
        return Difference(0, [gap])
    matcher = SequenceMatcher(None, one[gap.a : gap.b], two[gap.c : gap.d], autojunk=False)
    gaps: list[Gap] = []
    shared, a, c = 0, gap.a, gap.c
    for i, j, length in [m for m in matcher.get_matching_blocks() if m.size >= MATCHED] + [
        (gap.b - gap.a, gap.d - gap.c, 0)
    ]:
        if a < gap.a + i or c < gap.c + j:
            gaps.append(Gap(a, gap.a + i, c, gap.c + j))
        a, c, shared = gap.a + i + length, gap.c + j + length, shared + length
    return Difference(shared, gaps)


def _anchors(one: Sequence[str], two: Sequence[str]) -> Iterator[tuple[int, int, int]]:
    """Yield (place in one, place in two, words) of runs that stand once in either text, as many as keep one order."""
    if min(len(one), len(two)) < ANCHOR:
        return
    numbers: dict[str, int] = {}
    ids = [np.array([numbers.setdefault(w, len(numbers)) for w in words], np.int64) for words in (one, two)]
    (here, at_one), (there, at_two) = (_once(_runs(words)) for words in ids)
    _, mine, theirs = np.intersect1d(here, there, assume_unique=True, return_indices=True)
    places, others = at_one[mine], at_two[theirs]
    order = np.argsort(places)
    places, others = places[order], others[order]
    kept = _increasing(others.tolist())
    yield from ((int(places[n]), int(others[n]), ANCHOR) for n in kept)


def _runs(ids: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return a number for each run of words, equal for equal runs; of others it differs but for a chance of 2**-64."""
    found = np.zeros(len(ids) - ANCHOR + 1, np.uint64)
    for n in range(ANCHOR):
        found = (found ^ ids[n : len(found) + n].astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        found ^= found >> np.uint64(29)
    return found.view(np.int64)


def _once(runs: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the runs that stand there once, in rising order, and their places."""
    found, places, times = np.unique(runs, return_index=True, return_counts=True)
    return found[times == 1], places[times == 1]


def _increasing(values: Sequence[int]) -> list[int]:
    """Return the places of a longest rising subsequence of different values."""
    tops: list[int] = []
    at_top: list[int] = []
    before: list[int] = []
    for n, value in enumerate(values):
        pile = bisect_left(tops, value)
        before.append(at_top[pile - 1] if pile else -1)
        if pile == len(tops):
            tops.append(value)
            at_top.append(n)
        else:
            tops[pile], at_top[pile] = value, n
    kept: list[int] = []
    n = at_top[-1] if at_top else -1
    while n >= 0:
        kept.append(n)
        n = before[n]
    return kept[::-1]
