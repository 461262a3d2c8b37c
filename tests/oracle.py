"""What a store should answer, worked out in the plainest way from a dict of articles.

Nothing here is shared with the store but the values that pass between them.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache

import numpy as np
from fakes import FINGERPRINT, HashEmbedder, key

from rag.handover import NewPassage, Vector, Vectors
from rag.protocols import View
from rag.types import Article, Filter, Fingerprint, Section, Stats

EMBEDDER = HashEmbedder()

# Each word as it is written, without case and diacritics, and by its stem.
WORDS = {
    "harbour": ("harbour", "harbour"),
    "Harbours": ("harbours", "harbour"),
    "ferry": ("ferry", "ferri"),
    "ferries": ("ferries", "ferri"),
    "Gökdoğan": ("gokdogan", "gokdogan"),
    "gokdogan": ("gokdogan", "gokdogan"),
    "Straße": ("strasse", "strass"),
    "STRASSE": ("strasse", "strass"),
    "Łódź": ("lodz", "lodz"),
    "İzmir": ("izmir", "izmir"),
    "izmir": ("izmir", "izmir"),
    "buoy": ("buoy", "buoy"),
    "tide": ("tide", "tide"),
    "tides": ("tides", "tide"),
    "42": ("42", "42"),
    # Words of a question's form are part of phrases, and never searched for.
    "the": ("the", ""),
    "what": ("what", ""),
}

_rng = random.Random(3)
PARAGRAPHS = tuple(" ".join(_rng.choices(list(WORDS), k=_rng.randint(3, 7))) for _ in range(9))
TITLES = ("Tides of Łódź", "Ferry", "")
AUTHORS = ("Ann Ö. Gök", "Łukasz Ørsted")
ASKED_AUTHORS = {"ann o. gok": AUTHORS[0], "ANN  Ö. GÖK": AUTHORS[0], "lukasz orsted": AUTHORS[1], "Ann": ""}
SECTIONS = ("LEAD", "BACKGROUND", "", "7 WHO PAID")
ASKED_SECTIONS = {"lead": "LEAD", "bckground:": "BACKGROUND", "": "", "7 Who Paid": "7 WHO PAID", "outlook": "OUTLOOK"}
DAYS = (date(2023, 12, 31), date(2024, 1, 1), date(2024, 2, 29))
SOURCES = ("s0", "s1")
IDS = tuple(f"a{n}" for n in range(12))
PHRASES = (
    *(" ".join(p.split()[at : at + 2]) for p in PARAGRAPHS[:4] for at in (0, 1)),
    *(" ".join(reversed(p.split()[:2])) for p in PARAGRAPHS[:2]),
    *("GOKDOGAN", "tide", "tides of", "—"),
)

CLOSE = 2e-3
"""Scores that may be told apart: nearer ones may stand in either order."""


def as_stored(vectors: Vectors) -> Vectors:
    """Return vectors as the index keeps them."""
    return vectors.astype(np.float16).astype(np.float32)


@lru_cache(10_000)
def vector(text: str) -> Vector:
    """Return the vector of a text."""
    return EMBEDDER.query(text)


@dataclass(frozen=True, slots=True)
class Entry:
    """An article and where its passages lie, one a paragraph."""

    article: Article
    spans: tuple[tuple[int, int, str], ...]

    @property
    def texts(self) -> tuple[str, ...]:
        return tuple(self.article.text[start:end] for start, end, _ in self.spans)

    @property
    def keys(self) -> tuple[bytes, ...]:
        return tuple(key(t) for t in self.texts)

    @property
    def new(self) -> list[NewPassage]:
        return [NewPassage(*span, k) for span, k in zip(self.spans, self.keys, strict=True)]

    def passage_id(self, n: int) -> str:
        return f"{self.article.id}@{self.article.revision}:{self.spans[n][0]}-{self.spans[n][1]}"


def entry(
    id: str,
    paragraphs: Sequence[int],
    title: int = 0,
    authors: Sequence[int] = (),
    published: date | None = None,
    source: int = 0,
    turn: int = 0,
) -> Entry:
    """Return an article of some of the paragraphs, a section each; some are in none."""
    spans: list[tuple[int, int, str]] = []
    at = 0
    for place, number in enumerate(paragraphs):
        end = at + len(PARAGRAPHS[number])
        spans.append((at, end, SECTIONS[(turn + place) % len(SECTIONS)]))
        at = end + 2
    article = Article(
        id=id,
        title=TITLES[title],
        text="\n\n".join(PARAGRAPHS[n] for n in paragraphs),
        authors=tuple(AUTHORS[n] for n in authors),
        published=published,
        source=SOURCES[source],
        sections=tuple(Section(name, start, end) for start, end, name in spans if name),
    )
    return Entry(article, tuple(spans))


@dataclass(frozen=True, slots=True)
class Known:
    """One passage that can be found: its article, which of its passages it is, and its vector."""

    entry: Entry
    n: int
    vector: Vector

    @property
    def id(self) -> str:
        return self.entry.passage_id(self.n)

    @property
    def alike(self) -> tuple[tuple[str, ...], str]:
        """What its vector is made of: passages of one kind have equal scores."""
        texts = self.entry.texts
        return (texts, texts[self.n])


@dataclass(frozen=True)
class State:
    """What an index holds after a commit."""

    kept: dict[str, Entry] = field(default_factory=dict)
    old: dict[tuple[str, str], Article] = field(default_factory=dict)
    """Revisions that were replaced, by id and revision."""
    fingerprint: Fingerprint = FINGERPRINT

    def passages(self, where: Filter | None = None) -> list[Known]:
        """Return the passages that satisfy a filter."""
        found: list[Known] = []
        for e in self.kept.values():
            vectors = in_context(e.texts, self.fingerprint.context)
            found += [Known(e, n, vectors[n]) for n in range(len(e.spans)) if passes(e, n, where or Filter())]
        return found


@lru_cache(10_000)
def in_context(texts: tuple[str, ...], share: float) -> Vectors:
    """Return the vectors that the passages of an article are found by."""
    own = np.stack([vector(t) for t in texts])
    if len(texts) == 1:
        return as_stored(own)
    around = own.sum(axis=0)
    return as_stored(((1 - share) * own + share * around / np.linalg.norm(around)).astype(np.float32))


def passes(e: Entry, n: int, where: Filter) -> bool:
    """Say whether a passage satisfies a filter."""
    a = e.article
    if where.authors and not {ASKED_AUTHORS[name] for name in where.authors} & set(a.authors):
        return False
    if (where.since or where.until) and a.published is None:
        return False
    if a.published and ((where.since and a.published < where.since) or (where.until and a.published > where.until)):
        return False
    if where.sections and e.spans[n][2] not in {ASKED_SECTIONS[s] for s in where.sections}:
        return False
    if where.sources and a.source not in where.sources:
        return False
    if where.articles and a.id not in where.articles:
        return False
    return all(says(e.texts[n], phrase) for phrase in where.phrases)


def says(text: str, phrase: str) -> bool:
    """Say whether a text holds the words of a phrase in a row; one without words is in every text."""
    said, wanted = ([plain(w) for w in t.split() if plain(w)] for t in (text, phrase))
    return any(said[at : at + len(wanted)] == wanted for at in range(len(said) - len(wanted) + 1))


def plain(word: str) -> str:
    """Return a word without case and diacritics; nothing for a mark."""
    known = {**WORDS, "GOKDOGAN": ("gokdogan", "gokdogan"), "of": ("of", ""), "—": ("", "")}
    return known[word][0]


def stems(text: str) -> set[str]:
    """Return the stems of the content words of a text."""
    known = {**WORDS, "Tides": ("tides", "tide"), "Ferry": ("ferry", "ferri"), "of": ("of", "")}
    return {known[w][1] for w in text.split()} - {""}


def shares_a_word(known: Known, query: str) -> bool:
    """Say whether a passage, below its title, shares a content word with a query."""
    return bool(stems(query) & stems(f"{known.entry.article.title} {known.entry.texts[known.n]}"))


def stats_of(view: View) -> Stats:
    """Return what an index holds, asked again where a file went while sizes were added up."""
    for _ in range(100):
        with contextlib.suppress(FileNotFoundError):
            return view.stats()
    return view.stats()
