"""Does the cited span support the sentence?"""

from __future__ import annotations

from rag.types import Verdict, VerdictName
from rag.words import terms

ENOUGH, SOME = 0.9, 0.5
"""Shares of a sentence's content words that its quote must hold to count as supported, or in part."""


def verdict(sentence: str, quote: str) -> Verdict:
    """Return the verdict on one citation of a sentence: certain for a verbatim quote, else by shared words."""
    said = " ".join(sentence.split())
    if said in " ".join(quote.split()):
        return Verdict("supported", 1.0)
    wanted = set(terms(said))
    share = len(wanted & set(terms(quote))) / len(wanted) if wanted else 0.0
    name: VerdictName = "supported" if share >= ENOUGH else "partial" if share >= SOME else "unsupported"
    return Verdict(name, round(share, 4))
