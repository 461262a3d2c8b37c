"""Filters of a wanted selectivity, of every kind that users have, each beside the passages that it means.

Values of one kind are alternatives, so any share can be come close to by naming enough of them.  No two filters of a
list are the same, so that nothing kept for one helps another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import heads as headings
import numpy as np
import numpy.typing as npt
from heads import BEGIN, NONE
from material import Collection, article_id

from rag.types import Filter

SELECTIVITIES = (0.1, 0.01, 0.001)
MOST_IDS = 2_000
"""Articles named in one filter at most: nobody names more."""
NEAR = 1.5
"""A filter may let pass so many times more or fewer passages than wanted, in a large collection."""

Mask = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Told:
    """A filter, what it is made over, the share it was made for, and the passages that it lets pass, a bit for each."""

    kind: str
    selectivity: float
    where: Filter
    matches: int
    bits: npt.NDArray[np.uint8]

    def mask(self, passages: int) -> Mask:
        """Return which of so many passages it lets pass."""
        return self.among(0, passages)

    def among(self, start: int, stop: int) -> Mask:
        """Return which of the passages from one number to another it lets pass."""
        first = start // 8
        found = np.unpackbits(self.bits[first : (stop + 7) // 8])
        return found[start - 8 * first : stop - 8 * first].astype(bool)


def filters(collection: Collection, selectivity: float, each: int, seed: int) -> list[Told]:
    """Return up to `each` different filters of each kind; a kind that cannot be so selective is left out."""
    found: list[Told] = []
    for number, (kind, make) in enumerate(KINDS.items()):
        rng = np.random.default_rng([seed, number, round(1 / selectivity)])
        known: set[Filter] = set()
        for tries in range(20 * each):
            if len(known) == each or (not known and tries > 3 * each):
                break
            where, mask = make(collection, selectivity, rng)
            passing = int(mask.sum())
            # An article more or less is no matter in a collection where one in a thousand is ten.
            wanted = selectivity * len(mask)
            fits = min(wanted / NEAR, wanted - 12) <= passing <= max(wanted * NEAR, wanted + 12)
            if passing and fits and where not in known:
                known.add(where)
                found.append(Told(kind, selectivity, where, passing, np.packbits(mask)))
    return found


def _dates(c: Collection, share: float, rng: np.random.Generator) -> tuple[Filter, Mask]:
    dated = np.sort(c.heads.days[c.heads.days != NONE])
    wanted = max(round(share * len(c.heads.days)), 1)
    at = int(rng.integers(max(len(dated) - wanted, 1)))
    first, last = int(dated[at]), int(dated[min(at + wanted - 1, len(dated) - 1)])
    passing = (c.heads.days >= first) & (c.heads.days <= last)
    return Filter(since=BEGIN + timedelta(days=first), until=BEGIN + timedelta(days=last)), passing[c.article]


def _values(counts: Ints, share: float, rng: np.random.Generator) -> Ints:
    """Return values, chosen by chance, that together come close to a share of all passages."""
    wanted, held, chosen = share * counts.sum(), 0, []
    for value in rng.permutation(len(counts)).tolist():
        if counts[value] and held + counts[value] <= wanted * 1.2:
            chosen.append(value)
            held += int(counts[value])
            if held >= wanted * 0.9:
                break
    return np.array(chosen, np.int64)


def _sources(c: Collection, share: float, rng: np.random.Generator) -> tuple[Filter, Mask]:
    of = c.heads.sources[c.article]
    chosen = _values(np.bincount(of, minlength=headings.SOURCES), share, rng)
    return Filter(sources=tuple(headings.source(s) for s in chosen)), np.isin(of, chosen)


def _authors(c: Collection, share: float, rng: np.random.Generator) -> tuple[Filter, Mask]:
    counts = np.zeros(headings.AUTHORS + 1, np.int64)
    # An article of two authors passes once, whichever of them is named: counting it for each is near enough.
    np.add.at(counts, c.heads.authors, np.broadcast_to(c.sizes[:, None], c.heads.authors.shape))
    counts = counts[:-1]
    chosen = _values(counts, share * c.passages / counts.sum(), rng)
    passing = np.isin(c.heads.authors, chosen).any(axis=1)
    return Filter(authors=tuple(headings.author(a) for a in chosen)), passing[c.article]


def _sections(c: Collection, share: float, rng: np.random.Generator) -> tuple[Filter, Mask]:
    chosen = _values(np.bincount(c.heads.sections, minlength=headings.SECTIONS), share, rng)
    return Filter(sections=tuple(headings.section(s) for s in chosen)), np.isin(c.heads.sections, chosen)


def _articles(c: Collection, share: float, rng: np.random.Generator) -> tuple[Filter, Mask]:
    many = max(round(share * len(c.sizes)), 1)
    if many > MOST_IDS:
        return Filter(articles=("none",)), np.zeros(c.passages, bool)
    chosen = rng.choice(len(c.sizes), many, replace=False)
    passing = np.zeros(len(c.sizes), bool)
    passing[chosen] = True
    return Filter(articles=tuple(article_id(n) for n in chosen.tolist())), passing[c.article]


def _source_and_dates(c: Collection, share: float, rng: np.random.Generator) -> tuple[Filter, Mask]:
    source = int(rng.integers(headings.SOURCES))
    days = c.heads.days
    own = np.sort(days[(c.heads.sources == source) & (days != NONE)])
    wanted = max(round(share * len(days)), 1)
    if len(own) < wanted:
        return Filter(sources=("none",)), np.zeros(c.passages, bool)
    at = int(rng.integers(len(own) - wanted + 1))
    first, last = int(own[at]), int(own[at + wanted - 1])
    passing = (days >= first) & (days <= last) & (c.heads.sources == source)
    where = Filter(
        sources=(headings.source(source),), since=BEGIN + timedelta(days=first), until=BEGIN + timedelta(days=last)
    )
    return where, passing[c.article]


KINDS: dict[str, Callable[[Collection, float, np.random.Generator], tuple[Filter, Mask]]] = {
    "dates": _dates,
    "sources": _sources,
    "authors": _authors,
    "sections": _sections,
    "articles": _articles,
    "source and dates": _source_and_dates,
}
