"""A few numbers by which an article finds its likes among a million.

A signature is the least values of hash functions over the runs of three words of a text (Broder, "On the resemblance
and containment of documents", 1997), some of which together make a band, and two texts with an equal band are
candidates (Indyk and Motwani, "Approximate nearest neighbors", 1998).  Half of the bands are of the opening alone,
which a story keeps that was cut at its end.

datasketch's MinHash takes several times as long for the same hashes (`eval/results/twins.md`), brings scipy along, and
may change from release to release, whereas a signature is stored for good; so these forty lines are our own.
"""

from __future__ import annotations

from zlib import crc32

import numpy as np
import numpy.typing as npt

from rag.intake.tokens import tokens

SHINGLE = 3
"""Words of a run that is hashed."""

ROWS = 3
"""Least values in a band: unrelated texts, which share one run in a hundred, share a band of one in a million."""

BANDS = 8
"""Bands of the whole text, and as many of its opening."""

OPENING = 200
"""Words of the opening."""


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
    words = np.fromiter(map(crc32, " ".join(folded).encode().split(b" ")), np.uint64)
    runs = np.zeros(max(len(words) - SHINGLE + 1, 1), np.uint64)
    for n in range(min(SHINGLE, len(words))):
        runs += words[n : n + len(runs)] * _PLACES[n]
    runs = _mixed(runs)
    # A product with an odd number is a permutation, and which run has the least is as good as drawn anew by each.
    whole, opening = np.split(_FACTORS, 2)
    least = [(runs * f).min() for f in whole] + [(runs[:OPENING] * f).min() for f in opening]
    bands = np.array(least, np.uint64).reshape(-1, ROWS) * _PLACES[SHINGLE:]
    keys = _mixed(bands.sum(axis=1, dtype=np.uint64) + np.arange(len(bands), dtype=np.uint64))
    return tuple((keys >> np.uint64(32)).astype(np.uint32).view(np.int32).tolist())
