"""One hit for what several articles print alike: the best-ranked is shown, and names the others.

Folding looks at hits in their order, so the first ones are the same however many are wanted.  A hit goes only into one
of an article that its own is directly linked with: links do not chain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rag.intake.tokens import tokens
from rag.protocols import View
from rag.types import ArticleHead, Group, Hit

RUN = 3
"""Words of a run, by which what a passage says is looked for in another article."""

HELD = 0.85
"""Share of a passage's runs that an article must have to hold it."""

OVERLAP = 0.5
"""Share of the shorter passage's runs that two passages must share to be one hit: they may begin and end elsewhere."""

Runs = frozenset[tuple[str, ...]]


def fold(view: View, found: Sequence[Hit], group: Group) -> list[Hit]:
    """Return hits without those that repeat a better one of a twin, each naming in `also` the twins that print it too.

    A twin's passage that says something else is a hit of its own.  With group="article", where each hit stands for its
    article, a twin is not another article, and `also` names all twins.
    """
    linked = view.twins(list(dict.fromkeys(h.article.id for h in found)))
    if not linked:
        return list(found)
    told = _Told(view)
    kept: list[Hit] = []
    for hit in found:
        twins = linked.get(hit.article.id, ())
        if group == "passage":
            twins = tuple(t for t in twins if told.holds(t.id, hit))
        if not any(_names(other, hit.article) and (group == "article" or told.repeats(hit, other)) for other in kept):
            kept.append(replace(hit, also=twins, rank=len(kept) + 1))
    return kept


def _names(hit: Hit, article: ArticleHead) -> bool:
    return any(a.id == article.id for a in hit.also)


def prints(text: str, quote: str) -> bool:
    """Say whether a text holds the words of a quote one after another; case, accents and punctuation aside.

    >>> prints("It reads: “Two CAFÉS, no bar”.", "two cafes no bar")
    True
    >>> prints("There is no barrier.", "no bar")
    False
    """
    said, held = (f" {' '.join(tokens(t).folded)} " for t in (quote, text))
    return said.strip() != "" and said in held


class _Told:
    """What articles and passages say, each read once."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.articles: dict[str, tuple[Runs, frozenset[str]]] = {}

    def holds(self, id: str, hit: Hit) -> bool:
        """Say whether an article holds a hit's passage: nearly all its words in their order, and all its figures."""
        if id not in self.articles:
            words = tokens(self.view.article(id).text).folded
            self.articles[id] = _runs(words), frozenset(words)
        runs, words_there = self.articles[id]
        words = tokens(hit.passage.text).folded
        if len(words) < RUN:
            return words_there.issuperset(words)
        own = _runs(words)
        return len(own & runs) >= HELD * len(own) and all(w in words_there for w in words if w[0].isdigit())

    def repeats(self, hit: Hit, other: Hit) -> bool:
        """Say whether a hit adds nothing to the article of a better one, and is much the same passage as that."""
        one, two = (_runs(tokens(h.passage.text).folded) for h in (hit, other))
        return len(one & two) >= OVERLAP * min(len(one), len(two)) and self.holds(other.article.id, hit)


def _runs(words: Sequence[str]) -> Runs:
    return frozenset(tuple(words[n : n + RUN]) for n in range(max(len(words) - RUN + 1, 1)))
