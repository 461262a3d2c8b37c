"""What a question takes for granted that nothing found mentions: its names, its figures, its years."""

from __future__ import annotations

import re
from collections.abc import Sequence, Set
from functools import lru_cache

from rag.answer.asked import FIGURE, asked
from rag.answer.facts import facts
from rag.answer.names import acronyms, folded
from rag.answer.names import names as named
from rag.types import Hit

KNOWN = 0.5
"""A name counts as mentioned when at least this share of its words is: Ada Brix where Brix is."""

_CHAIN = re.compile(r"\b[A-ZÀ-Þ]\w+(?:–[A-ZÀ-Þ]\w+)+")
_GUESSED = re.compile(r"(?<=[?!.]) \([^()]*\)$")
_YEAR = re.compile(r"1\d{3}|20\d\d")


def names(question: str, held: Set[str]) -> list[str]:
    """Return the names of a question that are not among some words, as the question writes them."""
    question = itself(question)
    # A single word that begins the question may be any word.
    found = [n for n in facts(question).names if n.sure or len(n.words) > 1]
    return [question[n.start : n.end] for n in found if n.among(held) < KNOWN]


def figures(question: str, held: Set[str], *, years: bool = False) -> list[str]:
    """Return the figures of a question that are not among some words; its years, or all others."""
    wanted = (f for f in sorted(asked(itself(question)).figures) if bool(_YEAR.fullmatch(f)) == years)
    return [f for f in wanted if f.replace(",", "") not in held]


def itself(question: str) -> str:
    """Return a question without the names in brackets behind it, which a follow-up is searched with: they are a guess.

    >>> itself("Who makes it? (TB2, Ghana)"), itself("Who won the cup (1990)?")
    ('Who makes it?', 'Who won the cup (1990)?')
    """
    return _GUESSED.sub("", question)


def mentioned(hits: Sequence[Hit]) -> frozenset[str]:
    """Return all words of some hits and their titles, short forms of their names, figures without commas, and the
    years of publication.
    """
    texts = [
        f"{h.article.title}. {h.passage.text} {h.article.published.year if h.article.published else ''}" for h in hits
    ]
    return frozenset().union(*map(_held, texts))


@lru_cache(maxsize=1024)
def _held(text: str) -> frozenset[str]:
    # Names that a dash joins are one, as in Baku–Tbilisi–Kars.
    chains = ("".join(w[0] for w in m[0].split("–")).lower() for m in _CHAIN.finditer(text))
    plain = (f.replace(",", "") for f in FIGURE.findall(text))
    return folded(text) | acronyms(named(text)) | frozenset(chains) | frozenset(plain)
