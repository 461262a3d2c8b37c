"""Who wrote an article, when, where it stood and how it is divided: columns that filters are made over."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
from vocabulary import made_word

AUTHORS, SOURCES, SECTIONS, SECTIONS_EACH = 5_000, 60, 60, 4
BEGIN, DAYS = date(2004, 1, 1), 20 * 365 + 5
UNDATED = 0.03
NONE = -1

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Heads:
    """Columns of some articles and their passages; NONE stands for no date and for no second or third author."""

    authors: Ints
    """Shape (articles, 3)."""
    days: Ints
    sources: Ints
    sections: Ints
    """Shape (passages,)."""


def zipf(rng: np.random.Generator, most: int, size: int | tuple[int, ...]) -> Ints:
    """Return numbers below `most`, the n-th in proportion to 1 / n."""
    shares = 1 / np.arange(1, most + 1)
    return np.searchsorted(np.cumsum(shares) / shares.sum(), rng.random(size)).astype(np.int64)


def heads(sizes: Ints, seed: int, chunk: int) -> Heads:
    """Return the columns of a chunk."""
    rng = np.random.default_rng([seed, chunk, 2])
    n = len(sizes)
    authors = zipf(rng, AUTHORS, (n, 3))
    several = rng.random(n)
    authors[several > 0.25, 1] = NONE
    authors[several > 0.05, 2] = NONE
    authors[:, 1:][authors[:, 1:] == authors[:, :1]] = NONE
    days = rng.integers(DAYS, size=n)
    days[rng.random(n) < UNDATED] = NONE
    # An article's passages are divided between its sections as evenly as their number allows.
    parts = rng.integers(1, SECTIONS_EACH + 1, size=n)
    names = zipf(rng, SECTIONS, (n, SECTIONS_EACH))
    article = np.repeat(np.arange(n), sizes)
    within = np.arange(len(article)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    sections = names[article, within * parts[article] // sizes[article]]
    return Heads(authors, days, zipf(rng, SOURCES, n), sections)


def author(number: int) -> str:
    """Return an author's name.

    >>> author(3) != author(4)
    True
    """
    return f"{made_word(number * 7 % 300).capitalize()} {made_word(1000 + number).capitalize()}"


def source(number: int) -> str:
    """Return the name of a source."""
    return f"{made_word(400 + number)}.example"


def section(number: int) -> str:
    """Return the name of a section, as the product writes them."""
    return f"{made_word(70_000 + 997 * number)} {made_word(90_000 + 613 * number)}".upper()


def day(number: int) -> date | None:
    """Return the date of a day's number."""
    return None if number == NONE else BEGIN + timedelta(days=int(number))
