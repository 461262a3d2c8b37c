"""Where the articles of a page begin: which heads to believe."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace

from rag.intake.alike import dated_alike, lacking_a_part, like_others
from rag.intake.bylines import Byline, read_names
from rag.intake.closers import closer_above, find_closers, find_repeated, is_credited_above
from rag.intake.feet import boxed_titles, is_quoted, signed_below, signed_sections
from rag.intake.heads import (
    Head,
    find_clusters,
    has_body,
    may_be_title,
    with_titles,
)
from rag.intake.lines import Line

_BOOKS = re.compile(
    r"(?:(?:further|suggested|recommended|additional|background)\s+reading|(?:selected?\s+)?bibliography|(?:selected?\s+)?references"
    r"|works\s+(?:cited|consulted|mentioned)|sources|literature|(?:the\s+)?books(?:\s+(?:reviewed|discussed|mentioned|cited|in\s+this\s+review))?"
    r"|(?:books\s+)?(?:under\s+review|reviewed))\s*[:.]?",
    re.IGNORECASE,
)

ACCEPTED = 3.0
"""The evidence from which a head starts an article of its own."""


def find_heads(lines: list[Line]) -> list[Head]:
    """Return the heads of the articles on a page, in order; one or none where the page is one article.

    The first head counts although nothing separates it from anything; each further one must be like
    it, or be announced by a closing line, and must be followed by paragraphs of its own.
    """
    first_body = next((n for n, line in enumerate(lines) if line.is_body), len(lines))
    closers = find_closers(lines, first_body)
    clusters = find_clusters(lines)
    heads = with_titles(lines, clusters, closers | find_repeated(lines, clusters, first_body))
    listed = _in_lists_of_books(lines, heads, first_body)
    heads = [h for h in heads if has_body(lines, h.hi)]
    heads = _with_bare_titles(lines, heads, closers)
    top = next((h for h in heads if h.lo <= first_body), None)
    if top is None or not (top.authors or top.dated):
        signed = signed_below(lines, clusters, first_body)
        signed = signed or signed_sections(lines, first_body)
        if signed:
            return signed
    rest = [h for h in heads if h is not top and h.lo > first_body]
    habits = _habits(lines, top, rest)
    firm = dated_alike(lines, top, rest, opens_early=habits.opens_early)
    if firm and top and not (top.strong or top.dated):
        # What stands above the first of them is the page's name, and no author's.
        top = None
    accepted = [
        h for h in rest if h.lo in firm or (h.lo not in listed and _evidence(lines, h, habits, closers) >= ACCEPTED)
    ]
    if _is_chronicle(top, accepted) and not all(is_credited_above(lines, h.lo) for h in accepted):
        accepted = []
    if top is None and len(accepted) == 1 and not accepted[0].strong:
        accepted = []
    if not accepted and (top is None or top.parts == {"title"}):
        boxed = boxed_titles(lines, first_body)
        if boxed:
            return boxed
    if top and accepted:
        top = like_others(lines, top, accepted, first_body)
    accepted = lacking_a_part(lines, top, accepted, [h for h in rest if h.lo not in listed])
    return _one_word_names(lines, ([top] if top else []) + accepted)


def _with_bare_titles(lines: list[Line], heads: list[Head], closers: set[int]) -> list[Head]:
    # After a closing line an article may start with its title alone, or with nothing at all.
    taken = {n for h in heads for n in range(h.lo, h.hi)}
    found = list(heads)
    # Where the furniture that starts at each line ends, found once: a page may be nothing but closing lines.
    beyond = list(range(len(lines) + 1)) if closers else []
    for n in range(len(beyond) - 2, -1, -1):
        if n in closers or lines[n].kind in ("rule", "picture", "pressed"):
            beyond[n] = beyond[n + 1]
    for n in sorted(closers):
        at = beyond[n]
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


def _in_lists_of_books(lines: list[Line], heads: list[Head], first_body: int) -> set[int]:
    # Titles with their authors but without text of their own, one under another or under such a heading as
    # "Further reading": the last of them has a paragraph below it, which is not its own either.
    listed: set[int] = set()
    above: Head | None = None
    for head in heads:
        if head.lo <= first_body:
            continue
        near = lines[head.lo - (2 if may_be_title(lines[head.lo - 1]) else 1) : head.lo + 1]
        bylines = [n for n in range(head.lo + 1, head.hi) if lines[n].kind == "byline"]
        if any(_BOOKS.fullmatch(line.text) for line in near) or sum(may_be_title(lines[n - 1]) for n in bylines) >= 3:
            listed.add(head.lo)
        elif (
            above
            and lines[head.lo - 1].kind not in ("rule", "pressed", "shelved")
            and not any(line.is_body for line in lines[above.hi : head.lo])
        ):
            alike = above.parts == head.parts and {"title", "author"} <= above.parts
            if alike or above.lo in listed:
                listed.add(head.lo)
        above = head
    return listed


def _one_word_names(lines: list[Line], heads: list[Head]) -> list[Head]:
    # A single word is no name by itself; where most heads are names and nothing else, it is.
    bare = sum(h.parts == {"author"} and not h.strong for h in heads)
    if bare < 2 or 2 * bare < len(heads):
        return heads
    opening = [Head(0, 1, 0)] if heads[0].lo > 1 and may_be_title(lines[0]) and lines[1].is_body else []
    named: list[Head] = []
    common = {word for line in lines for word in line.text.split() if word[0].islower()}
    for head in opening + heads:
        names = _one_word_name(lines, head, common)
        if names:
            byline = Byline(names, strong=False, dated=False, published=None, updated=None)
            lines[head.lo] = replace(lines[head.lo], kind="name", byline=byline)
            head = replace(head, title=None, authors=names)
        if names or head not in opening:
            named.append(head)
    return named


def _one_word_name(lines: list[Line], head: Head, common: set[str]) -> tuple[str, ...]:
    word = lines[head.lo].text if head.lo < len(lines) else " "
    if head.parts != {"title"} or " " in word or word.lower() in common:
        return ()
    return read_names(word)


@dataclass(frozen=True, slots=True)
class _Habits:
    """What the heads of a page have in common: the first one, and whether a `mixed` lot of bylines follows it."""

    top: Head | None
    shapes: Counter[frozenset[str]]
    mixed: bool
    opens_early: bool


def _habits(lines: list[Line], top: Head | None, rest: list[Head]) -> _Habits:
    bylines = [h for h in rest if h.strong and not is_quoted(lines, h)]
    # A page may open with a few words about itself; an article that opens with its own text is longer.
    opening = [line for line in lines[: rest[0].lo] if line.is_body] if rest else []
    return _Habits(
        top,
        Counter(h.parts for h in rest),
        # Heads alike among themselves but unlike the first may be a review's books; a mixed lot is a listing's.
        mixed=len(bylines) >= 2 and (len({h.parts for h in bylines}) > 1),
        opens_early=len(opening) <= 2 and sum(len(line.text) for line in opening) <= 500,
    )


def _evidence(lines: list[Line], head: Head, habits: _Habits, closers: set[int]) -> float:
    top = habits.top
    closer = closer_above(lines, head.lo, closers)
    ruled = head.lo > 0 and lines[head.lo - 1].kind == "rule"
    score = (2.5 if head.strong else 1.0) * bool(head.authors) + head.dated + (head.title is not None)
    score += bool(head.authors) * ruled
    alike = head.parts == top.parts if top else habits.shapes[head.parts] > 1
    score += alike
    if closer is not None:
        return score + (3 if lines[closer].kind == "shelved" else 2)
    if head.parts in ({"date"}, {"title"}, set()):
        return 0.0
    if not head.strong and not head.dated and not lines[head.lo].gap:
        # Two capitalised words within a block are rarely a byline.
        return 0.0
    if top is None:
        # Without a head at the top of the page little shows what a head looks like here.
        if not head.strong or not (head.dated or ruled or (head.title is not None and habits.opens_early)):
            return 0.0
    else:
        missing = top.parts - head.parts
        score -= 0.5 * ("title" in missing) + ("date" in missing) + 2 * ("author" in missing)
        score -= top.strong and not head.strong
        score -= not head.strong and "title" in missing
        score -= not head.authors and not alike
    score += 2 * (habits.mixed and head.strong)
    return score - 4 * is_quoted(lines, head)


def _is_chronicle(top: Head | None, heads: list[Head]) -> bool:
    # Dated headings without authors that run forward in time are one story's calendar, not a list of articles.
    if any(h.authors for h in heads) or len(heads) < 1:
        return False
    days = [h.published for h in ([top] if top else []) + heads if h.published]
    return (len(days) >= 3 and days == sorted(days)) or (top is not None and "author" in top.parts)
