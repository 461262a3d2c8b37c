"""What may be an article's head: title, byline and date in any order, by one another."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from datetime import date

from rag.intake.lines import Line

_NUMBERS = re.compile(r"\d+")


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


def find_closers(lines: list[Line], first_body: int) -> set[int]:
    """Return the numbers of the lines that close articles because their like closes several."""
    shelved = [n for n, line in enumerate(lines) if line.kind == "shelved" and n > first_body]
    pressed = [n for n, line in enumerate(lines) if line.kind == "pressed" and n > first_body]
    alike = Counter(_key(lines[n]) for n in pressed)
    opening = {n for n, line in enumerate(lines[:first_body]) if line.kind == "shelved"}
    closers = set() if opening or len(shelved) < 2 else set(shelved)
    return closers | {n for n in pressed if alike[_key(lines[n])] >= 2}


def _key(line: Line) -> str:
    return _NUMBERS.sub("0", line.text.casefold())


def find_clusters(lines: list[Line]) -> list[tuple[int, int]]:
    # Runs of author and date lines, a single short line or picture between two of them included.
    clusters: list[tuple[int, int]] = []
    n = 0
    while n < len(lines):
        if not lines[n].is_anchor or lines[n].apart:
            n += 1
            continue
        end = n + 1
        while end < len(lines) and end - n < 8:
            if (lines[end].is_anchor or lines[end].kind == "role") and not lines[end].apart:
                end += 1
            elif end + 1 < len(lines) and lines[end + 1].kind in ("byline", "date") and _may_stand_between(lines[end]):
                end += 2
            elif _ends_block(lines, end):
                end += 1 + (lines[end].kind == "short")
            else:
                break
        clusters.append((n, end))
        n = end
    return clusters


def _ends_block(lines: list[Line], n: int) -> bool:
    # "2 Comments", or a category and "2 Comments", in one block with the byline.
    if lines[n].gap:
        return False
    if lines[n].kind in ("pressed", "shelved"):
        return True
    below = lines[n + 1] if n + 1 < len(lines) else None
    return lines[n].kind == "short" and below is not None and below.kind == "pressed" and not below.gap


def _may_stand_between(line: Line) -> bool:
    return line.kind in ("short", "shelved", "pressed", "other", "footer", "picture") and "://" not in line.text


def find_repeated(lines: list[Line], clusters: list[tuple[int, int]], first_body: int) -> set[int]:
    # A line that comes back above several heads is the page's own, no title.
    above = [lo - 1 for lo, _ in clusters if lo - 1 > first_body and lines[lo - 1].kind in ("short", "other", "name")]
    above += [n - 1 for n in above if lines[n - 1].kind in ("short", "other")]
    alike = Counter(_key(lines[n]) for n in above if len(lines[n].text) <= 80)
    return {n for n in above if alike[_key(lines[n])] >= 2}


def with_titles(lines: list[Line], clusters: list[tuple[int, int]], closers: set[int]) -> list[Head]:
    # Whether titles stand above or below the bylines is a habit of the page, so the page votes.
    def above(lo: int) -> bool:
        return lo > 0 and may_be_title(lines[lo - 1]) and lo - 1 not in closers

    def below(hi: int) -> bool:
        return hi + 1 < len(lines) and may_be_title(lines[hi]) and lines[hi + 1].kind == "prose"

    firm = [(lo, hi) for lo, hi in clusters if any(lines[n].kind in ("byline", "date") for n in range(lo, hi))]
    votes_below = sum(below(hi) for _, hi in firm)
    prefers_below = votes_below > sum(above(lo) for lo, _ in firm)
    first = firm[0][0] if firm else 0
    standfirst = _under_standfirst(lines, first) and not any(line.is_body for line in lines[: first - 1])
    heads: list[Head] = []
    used = -1
    for lo, hi in clusters:
        head = read_head(lines, lo, hi)
        if head.title is None:
            if prefers_below and below(hi):
                head = replace(head, title=hi, hi=hi + 1)
            elif not prefers_below and above(lo) and lo - 1 > used:
                at = _first_of_block(lines, lo, closers)
                head = replace(head, title=at, lo=at)
            elif standfirst and _under_standfirst(lines, lo) and lo - 2 > used:
                head = replace(head, title=lo - 2, lo=lo - 2)
        used = head.hi - 1
        heads.append(head)
    return heads


def _first_of_block(lines: list[Line], lo: int, closers: set[int]) -> int:
    # Title and subtitle stand together, with a blank line above and none between: the upper one is the title.
    above = lo - 1
    subtitled = (
        above > 0
        and not lines[lo].gap
        and not lines[above].gap
        and may_be_title(lines[above - 1])
        and above - 1 not in closers
        and (above == 1 or lines[above - 1].gap)
    )
    return above - 1 if subtitled else above


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
    authors: list[str] = []
    published = updated = None
    dated = by = False
    for n in cluster:
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


def with_bare_titles(lines: list[Line], heads: list[Head], closers: set[int]) -> list[Head]:
    # After a closing line an article may start with its title alone, or with nothing at all.
    taken = {n for h in heads for n in range(h.lo, h.hi)}
    found = list(heads)
    for n in closers:
        at = n + 1
        while at < len(lines) and (at in closers or lines[at].kind in ("rule", "picture", "pressed")):
            at += 1
        if at >= len(lines) or at in taken:
            continue
        if may_be_title(lines[at]) and at + 1 < len(lines) and lines[at + 1].is_body:
            found.append(Head(at, at + 1, at))
        elif lines[at].kind == "prose" and lines[n].kind == "shelved" and len(lines[at].text) >= 160:
            found.append(Head(at, at, None))
        taken.add(at)
    headless = not any(h.lo <= 1 for h in heads)
    if len(found) > len(heads) and headless and may_be_title(lines[0]) and has_body(lines, 1):
        found.append(Head(0, 1, 0))
    return sorted(found, key=lambda h: h.lo)
