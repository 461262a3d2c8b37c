"""What may be an article's head: title, byline and date in any order, by one another."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date

from rag.intake.closers import NEAR
from rag.intake.lines import PROSE, Line, bulleted

_SHELF = re.compile(
    r"letters?(?:\s+to\s+the\s+editor)?|opinions?|comment(?:ary)?|(?:local|world|latest|national)?\s*news|interviews?|(?:book\s+)?reviews?"
    r"|features?|essays?|obituar(?:y|ies)|editorials?|columns?|culture|dispatch(?:es)?|articles?|blog|press\s+releases?|speeches",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Head:
    """A head at lines [lo:hi], title included.  `title` is the title's line or None.

    `end` is the line where the article stops because its byline stands below it, else None.
    """

    lo: int
    hi: int
    title: int | None
    authors: tuple[str, ...] = ()
    published: date | None = None
    strong: bool = False
    dated: bool = False
    end: int | None = None

    @property
    def parts(self) -> frozenset[str]:
        """Which of title, author and date the head gives."""
        given = {"title": self.title is not None, "author": bool(self.authors), "date": self.dated}
        return frozenset(name for name, there in given.items() if there)


def find_clusters(lines: list[Line]) -> list[tuple[int, int]]:
    # Runs of author and date lines, a single short line or picture between two of them included.
    clusters: list[tuple[int, int]] = []
    first_body = next((n for n, line in enumerate(lines) if line.is_body), len(lines))
    # Where the page opens with a date, the dates of the other articles stand above their titles too.
    dates_first = next((line.kind == "date" for line in lines[:first_body] if line.is_anchor), False)
    n = 0
    while n < len(lines):
        if not lines[n].is_anchor or lines[n].apart:
            n += 1
            continue
        end = n + 1
        while end < len(lines) and end - n < 8:
            if (lines[end].is_anchor or lines[end].kind == "role") and not lines[end].apart:
                end += 1
            elif _goes_on(lines, end) or (
                dates_first and lines[end - 1].kind == "date" and _is_title_and_name(lines, end)
            ):
                end += 2
            elif _ends_block(lines, end):
                end += 1 + (lines[end].kind == "short")
            else:
                break
        clusters.append((n, end))
        n = end
    return clusters


def _goes_on(lines: list[Line], n: int) -> bool:
    return n + 1 < len(lines) and lines[n + 1].kind in ("byline", "date") and _may_stand_between(lines[n])


def _is_title_and_name(lines: list[Line], n: int) -> bool:
    if n + 2 >= len(lines) or not may_be_title(lines[n]) or lines[n + 1].kind != "name" or lines[n + 1].apart:
        return False
    return lines[n + 2].is_body or lines[n + 2].kind in ("date", "role", "picture")


def _ends_block(lines: list[Line], n: int) -> bool:
    # "2 Comments", or a category and "2 Comments", in one block with the byline.
    if lines[n].gap:
        return False
    if lines[n].kind in ("pressed", "shelved"):
        return True
    below = lines[n + 1] if n + 1 < len(lines) else None
    category = lines[n].kind == "short" and len(lines[n].text) < PROSE
    return category and below is not None and below.kind == "pressed" and not below.gap


def _may_stand_between(line: Line) -> bool:
    return line.kind in ("short", "shelved", "pressed", "other", "footer", "picture") and "://" not in line.text


def with_titles(lines: list[Line], clusters: list[tuple[int, int]], closers: set[int]) -> list[Head]:
    # Whether titles stand above or below the bylines is a habit of the page, so the page votes.
    gapless = not any(line.gap for line in lines[1:])

    def above(lo: int) -> bool:
        at = _title_above(lines, lo, closers, gapless)
        return lo > 0 and _is_marked_or_title(lines[at], lines[lo]) and at not in closers

    def below(hi: int) -> bool:
        return hi + 1 < len(lines) and may_be_title(lines[hi]) and lines[hi + 1].kind == "prose"

    firm = [(lo, hi) for lo, hi in clusters if any(lines[n].kind in ("byline", "date") for n in range(lo, hi))]
    votes_below = sum(below(hi) for _, hi in firm)
    votes_above = sum(above(lo) for lo, _ in firm)
    prefers_below = votes_below > votes_above
    first = firm[0][0] if firm else 0
    # One word above a title may be a title above its subtitle, unless several heads look so.
    under_kicker = sum(_is_under_kicker(lines, lo) for lo, _ in firm)
    kickers = under_kicker > 1 and 2 * under_kicker >= len(firm)
    standfirst = _under_standfirst(lines, first) and not any(line.is_body for line in lines[: first - 1])
    heads: list[Head] = []
    used = -1
    for lo, hi in clusters:
        head = read_head(lines, lo, hi)
        if head.title is None:
            if (prefers_below or (0 < votes_below == votes_above and not above(lo))) and below(hi):
                head = replace(head, title=hi, hi=hi + 1)
            elif not prefers_below and above(lo) and _title_above(lines, lo, closers, gapless) > used:
                under = _title_above(lines, lo, closers, gapless) + 1
                at = _first_of_block(lines, under, closers, gapless=gapless, kickers=kickers)
                head = replace(head, title=at, lo=at)
            elif standfirst and _under_standfirst(lines, lo) and lo - 2 > used:
                head = replace(head, title=lo - 2, lo=lo - 2)
        used = head.hi - 1 if has_body(lines, head.hi) else used
        heads.append(head)
    return heads


def _title_above(lines: list[Line], lo: int, closers: set[int], gapless: bool) -> int:
    # Between title and byline may stand a picture, a shelf or buttons; below an article's text they end that article.
    at = lo - 1
    while at > max(0, lo - NEAR) and at not in closers and lines[at].kind in ("shelved", "picture", "pressed"):
        at -= 1
    if at > 0 and at in closers and lines[at].kind == "short" and not lines[at].gap and may_be_title(lines[at - 1]):
        # A series and its number below the title, as they stand in every head of the page.
        return at - 1
    own = at == lo - 1 or (
        lines[at].kind == "short" and (at == 0 or not lines[at - 1].is_body or lines[at].gap or gapless)
    )
    return at if own else lo - 1


def _is_marked_or_title(line: Line, byline: Line) -> bool:
    # "* Low tide" over a byline is a title; where the line below has a mark of its own, both are items of a list.
    marked = line.kind == "other" and not line.apart and bulleted(line.text) is not None
    return may_be_title(line) or (marked and bulleted(byline.text) is None)


def _first_of_block(lines: list[Line], lo: int, closers: set[int], *, gapless: bool, kickers: bool) -> int:
    # Title and subtitle stand together, with a blank line above and none between: the upper one is the title.
    above = lo - 1
    if _is_under_kicker(lines, lo) and (kickers or _SHELF.fullmatch(lines[above - 1].text)):
        return above
    longer = above > 0 and len(lines[above].text) > len(lines[above - 1].text) and not _is_label(lines[above - 1])
    subtitled = (
        above > 0
        and (longer or not lines[lo].gap)
        and not lines[above].gap
        and may_be_title(lines[above - 1])
        and above - 1 not in closers
        and (above == 1 or lines[above - 1].gap or (gapless and longer))
    )
    return above - 1 if subtitled else above


def _is_under_kicker(lines: list[Line], lo: int) -> bool:
    return lo > 1 and not lines[lo - 1].gap and is_kicker(lines[lo - 2], lines[lo - 1])


def _is_label(line: Line) -> bool:
    return len(line.text.split()) == 1 or (line.text.isupper() and len(line.text.split()) <= 3)


def is_kicker(line: Line, below: Line) -> bool:
    """Return whether a line is a department's name above a title: one word, or a few in capitals over a longer line."""
    words = len(line.text.split())
    if line.kind not in ("short", "name"):
        return False
    if line.text.isupper() and words <= 3:
        return True
    shorter = (line.gap or line.start == 0) and not below.gap and len(line.text) < len(below.text)
    return shorter and (words == 1 or (words <= 5 and line.text.isupper() and not below.text.isupper()))


def _under_standfirst(lines: list[Line], lo: int) -> bool:
    return lo >= 2 and lines[lo - 1].is_body and len(lines[lo - 1].text) <= 320 and may_be_title(lines[lo - 2])


def may_be_title(line: Line) -> bool:
    return line.kind in ("short", "name") and not line.apart


def read_head(lines: list[Line], lo: int, hi: int) -> Head:
    cluster = range(lo, hi)
    strong = any(lines[n].kind == "byline" for n in cluster)
    names = [n for n in cluster if lines[n].kind == "name"]
    last = max(n for n in cluster if lines[n].is_anchor)
    title = next((n for n in range(lo, last) if lines[n].kind == "short"), None)
    if names and title is None and (strong or len(names) > 1):
        # Where a byline says who wrote it, or two lines could be names, the first of them is the title.
        title = names[0]
    return credited(lines, lo, hi, title)


def credited(lines: list[Line], lo: int, hi: int, title: int | None) -> Head:
    """Return the head at lines [lo:hi] under a title, with the authors and the day that its other lines give."""
    strong = any(lines[n].kind == "byline" for n in range(lo, hi))
    authors: list[str] = []
    published = updated = None
    dated = by = False
    for n in range(lo, hi):
        byline = lines[n].byline
        if byline is None or n == title:
            continue
        by = by or byline.strong
        dated = dated or byline.dated
        published = published or byline.published
        updated = updated or byline.updated
        if not (strong and lines[n].kind == "name"):
            authors.extend(a for a in byline.authors if a not in authors)
    return Head(lo, hi, title, tuple(authors), published or updated, by, dated)


def has_body(lines: list[Line], hi: int) -> bool:
    for line in lines[hi : hi + 5]:
        if line.is_body:
            return True
        if line.kind in ("byline", "date"):
            return False
    return False


def below_shelf(lines: list[Line], head: Head) -> Head:
    """Return a head whose title is a part of the paper ("Letters to the Editor") with the title that stands below."""
    if head.title is None or not (head.dated or head.authors) or not _SHELF.fullmatch(lines[head.title].text):
        return head
    for n in range(head.hi, min(head.hi + 3, len(lines) - 2)):
        if may_be_title(lines[n]) and lines[n].gap and len(lines[n].text.split()) > 2 and has_body(lines, n + 1):
            return replace(head, title=n, hi=n + 1)
        if lines[n].is_body and (lines[n].gap or len(lines[n].text) > 120):
            break
    return head
