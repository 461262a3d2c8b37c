"""One hit for what several articles print alike: the best-ranked is shown, and names the others.

Folding looks at hits in their order, so the first ones are the same however many are wanted.  A hit goes only into one
of an article that its own is directly linked with: links do not chain.  And it goes only where nothing that it says is
lost: linked articles are alike as a whole, and what they print differently is shown of each.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

from rag.intake.difference import difference
from rag.intake.edits import Text, alike, sentence_ends, whole
from rag.intake.tokens import tokens
from rag.intake.twins import ALONE, body, places_differ
from rag.protocols import View
from rag.types import ArticleHead, Group, Hit

RUN = 3
"""Words of a run, by which two passages are compared."""

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
        better = [o for o in kept if _in(hit.article, o.also) and _in(o.article, twins)]
        if not any(group == "article" or _overlap(hit, other) for other in better):
            kept.append(replace(hit, also=twins, rank=len(kept) + 1))
    return kept


def _in(article: ArticleHead, others: Sequence[ArticleHead]) -> bool:
    return any(a.id == article.id for a in others)


def _overlap(hit: Hit, other: Hit) -> bool:
    """Say whether two hits are much the same passage."""
    one, two = (_runs(tokens(h.passage.text).folded) for h in (hit, other))
    return len(one & two) >= OVERLAP * min(len(one), len(two))


def prints(text: str, quote: str) -> bool:
    """Say whether a text holds the words of a quote one after another; case, accents and punctuation aside.

    >>> prints("It reads: “Two CAFÉS, no bar”.", "two cafes no bar")
    True
    >>> prints("There is no barrier.", "no bar")
    False
    """
    said, held = (f" {' '.join(tokens(t).folded)} " for t in (quote, text))
    return said.strip() != "" and said in held


class Printed:
    """An article's text, in which passages of its twins are looked for."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def ends(self) -> Sequence[int]:
        """Where its sentences end."""
        return sentence_ends(self.text)

    @cached_property
    def body(self) -> Text:
        """Its words, without byline, place and credits."""
        return Text(body(self.text), marked=True)

    @cached_property
    def shortened(self) -> bool:
        """Whether it has a byline, a place or credits."""
        return self.body.text != body(self.text, top=False, foot=False)

    @cached_property
    def all(self) -> Text:
        """All its words."""
        return Text(self.text, marked=True)

    def says(self, other: Printed, start: int, end: int) -> bool:
        """Say whether this has what another article prints from one place to another, as sentences of its own.

        It has all the words that count, in their order, though it may have sentences more between them.  Where a
        passage cuts a sentence, the whole of it is looked for.  Bylines, places and credits need not be there.

        >>> one, two = Printed("The plan is off. Nobody minds."), Printed("It is not true that the plan is off.")
        >>> two.says(one, 0, 16), one.says(Printed("THE PLAN IS OFF"), 0, 15)
        (False, True)
        """
        ends = other.ends
        start, end = ends[bisect_right(ends, start) - 1], ends[min(bisect_left(ends, end), len(ends) - 1)]
        top, foot = not other.text[:start].strip(), not other.text[end:].strip()
        printed = other.text[start:end]
        said = Text(body(printed, top=top, foot=foot))
        if said.folded and not (top and places_differ(self.text, printed)):
            if _held(said, self.body, open_end=foot and said.open):
                return True
            if not self.shortened:
                return False
        # A byline may stand in a passage that opens below the title, and credits in one of their own.
        return _held(Text(printed), self.all, open_end=foot and said.open)


def _held(said: Text, here: Text, *, open_end: bool) -> bool:
    at = here.joined.find(said.joined)
    while at >= 0:
        begins = here.joined.count(" ", 0, at)
        if begins in here.ends and (open_end or begins + len(said.folded) in here.ends):
            return True
        at = here.joined.find(said.joined, at + 1)
    return not said.folded or _in_order(said, here, open_end=open_end)


def _in_order(said: Text, here: Text, *, open_end: bool) -> bool:
    found = difference(here.folded, said.folded)
    begins, stops = 0, len(here.folded)
    for gap in found.gaps:
        if gap.c == gap.d == 0:
            begins = gap.b
        elif gap.c == gap.d == len(said.folded):
            stops = gap.a
        elif not alike(here, (gap.a, gap.b), said, (gap.c, gap.d)) and (
            gap.c < gap.d or gap.b - gap.a <= ALONE or whole(here, gap.a, gap.b, said, gap.c) is None
        ):
            return False
    return found.shared > 0 and begins in here.ends and (open_end or stops in here.ends)


class _Told:
    """What articles and passages say, each read once."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.articles: dict[str, Printed] = {}

    def holds(self, id: str, hit: Hit) -> bool:
        """Say whether an article says all that a hit's passage does."""
        return self._printed(id).says(self._printed(hit.article.id), hit.passage.start, hit.passage.end)

    def _printed(self, id: str) -> Printed:
        if id not in self.articles:
            self.articles[id] = Printed(self.view.article(id).text)
        return self.articles[id]


def _runs(words: Sequence[str]) -> Runs:
    return frozenset(tuple(words[n : n + RUN]) for n in range(max(len(words) - RUN + 1, 1)))
