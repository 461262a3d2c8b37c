"""What the heads of a page have in common, and which lines are heads because they are like the others."""

from __future__ import annotations

import re
from collections import Counter
from datetime import date, timedelta

from rag.intake.crumbs import is_notice
from rag.intake.dates import find_dates
from rag.intake.feet import is_quoted
from rag.intake.heads import Head, credited, has_body, may_be_title
from rag.intake.lines import Line

_BARS = re.compile(r"[|•·∙–—/]")
_BESIDE = ("role", "picture", "pressed", "shelved", "rule")
_WORDS = re.compile(r"[^\W\d_]+")
_NUMBERS = re.compile(r"\d+")
# The first article of a listing and the second are not further from one another than this; less where no bars show it.
_APART = timedelta(days=400)
_APART_UNBARRED = timedelta(days=120)
# The name of a page or of a part of it has no more words than this.
_NAME = 4

Shape = tuple[tuple[str, bool], ...]
"""The lines of a head, each with whether a blank line stands above it (of the first line it does not count)."""


def dated_alike(lines: list[Line], top: Head | None, rest: list[Head], *, opens_early: bool) -> frozenset[int]:
    """Return the lines where heads without titles begin that give name and day in the form of the page's first head.

    Comments below an article look much the same, and so do witnesses' words in it: so these heads must have
    reading times or run back in time from the first, as listings do.
    """
    first = _form(lines, top) if top else None
    forms = {h.lo: _form(lines, h) for h in rest if h.title is None and not is_quoted(lines, h)}
    if top is None or first is None:
        alike = Counter(forms.values()).most_common(1)
        if not opens_early or (top and (top.strong or top.dated)) or not alike:
            return frozenset()
        first = alike[0][0]
    found = [h for h in rest if first is not None and forms.get(h.lo) == first]
    if first is None or not found or any(not lines[h.lo].gap for h in found):
        return frozenset()
    timed = _is_timed(lines[found[0].lo].text)
    days = [h.published for h in ([top] if top and top.dated else []) + found if h.published]
    if not timed and not _runs_back(days, _APART if first[0] else _APART_UNBARRED):
        return frozenset()
    opened = top is not None and top.dated
    # Without a head at the top the first of them may be a comment below a short article.
    if len(found) < (1 if timed or first[0] else 2) + (not opened) or not (opened or timed):
        return frozenset()
    return frozenset(h.lo for h in found)


def like_others(lines: list[Line], top: Head, others: list[Head], first_body: int) -> Head:
    """Return a page's first head without the page's own lines above it, told from the other heads' shape."""
    shapes = Counter(_shape(lines, h) for h in others)
    shape, times = shapes.most_common(1)[0]
    if (times < 2 and len(others) > 1) or not shape or top.hi > first_body or top.end is not None:
        return top
    places = [n for n in range(first_body) if lines[n].kind not in _BESIDE]
    titled = any(kind == "title" for kind, _ in shape)
    for k in range(len(places) - len(shape), -1, -1):
        at = places[k : k + len(shape)]
        if not _matches(lines, at, shape) or not has_body(lines, at[-1] + 1):
            continue
        title = next((n for n, (kind, _) in zip(at, shape, strict=True) if kind == "title"), None)
        head = credited(lines, at[0], at[-1] + 1, title)
        if (head.lo, head.title) == (top.lo, top.title):
            return top
        apart = lines[head.lo].gap or head.lo == 0
        return head if apart and (titled or _is_pages_own(lines, top, head.lo, others)) else top
    return top


def lacking_a_part(lines: list[Line], top: Head | None, accepted: list[Head], rest: list[Head]) -> list[Head]:
    """Return the accepted heads and those of the rest that have their shape but for one part: day, author or title."""
    shapes = Counter(_shape(lines, h) for h in ([top] if top else []) + accepted)
    if not accepted or not shapes:
        return accepted
    shape, times = shapes.most_common(1)[0]
    taken = {h.lo for h in accepted}
    like = next(h for h in accepted if _shape(lines, h) == shape) if times > 1 else None
    partial = [
        h
        for h in rest
        if like
        and h.lo not in taken
        and lines[h.lo].gap
        and _lacks_one(shape, _shape(lines, h))
        and (h.strong or len(h.parts) > 1)
        and all(" " in name for name in h.authors)
        and (not h.dated or _day_form(lines, h) == _day_form(lines, like))
        and not is_quoted(lines, h)
        and not (h.title is not None and lines[h.title].text.endswith("?"))  # an interview's next question
    ]
    return sorted([*accepted, *partial], key=lambda h: h.lo) if len(partial) <= times else accepted


def _form(lines: list[Line], head: Head) -> tuple[tuple[str, ...], Shape, bool, bool] | None:
    # How a head gives name and day: the bars on a line, or its lines where they stand under one another.
    given = [n for n in range(head.lo, head.hi) if lines[n].is_anchor and n != head.title]
    if any(lines[n].kind == "byline" for n in given):
        # A bare name above them is the page's.
        given = [n for n in given if lines[n].kind != "name"]
    if not given or not head.authors or not head.dated:
        return None
    text = lines[given[0]].text
    days = find_dates(text)
    shape = tuple((lines[n].kind, k > 0 and lines[n].gap) for k, n in enumerate(given))
    bars = tuple(_BARS.findall(text[: days[0].start] + text[days[0].end :])) if days else ()
    return bars, shape, head.strong, bool(days) and days[0].start == 0


def _is_timed(text: str) -> bool:
    return any(is_notice(part.strip(), at_top=False) for part in _BARS.split(text))


def _runs_back(days: list[date], apart: timedelta) -> bool:
    if len(days) < 2 or days != sorted(days, reverse=True):
        return False
    return days[0] > days[-1] and days[0] - days[1] <= apart


def _shape(lines: list[Line], head: Head) -> Shape:
    at = [n for n in range(head.lo, head.hi) if lines[n].kind not in _BESIDE]
    return tuple(("title" if n == head.title else lines[n].kind, k > 0 and lines[n].gap) for k, n in enumerate(at))


def _matches(lines: list[Line], at: list[int], shape: Shape) -> bool:
    for k, (n, (kind, gap)) in enumerate(zip(at, shape, strict=True)):
        if (k and lines[n].gap != gap) or (lines[n].kind != kind and not (kind == "title" and may_be_title(lines[n]))):
            return False
    return True


def _is_pages_own(lines: list[Line], top: Head, lo: int, others: list[Head]) -> bool:
    # The title above the first head is the page's: no other head has one, nor a line that may be one.
    if top.title is None:
        return False
    above = [lines[h.lo - 1] for h in others]
    if any(h.title is not None for h in others) or not all(x.is_body or x.kind in _BESIDE for x in above):
        return False
    name = lines[top.title].text
    if any(line.kind == "shelved" and line.text.casefold().endswith(" " + name.casefold()) for line in lines):
        return True
    # A longer line is the page's where something stands between it and the head, or its name above (a motto).
    named = top.title > 0 and may_be_title(lines[top.title - 1])
    return len(others) > 1 and (len(name.split()) <= _NAME or named or top.title + 1 < lo)


def _lacks_one(shape: Shape, partial: Shape) -> bool:
    if len(partial) + 1 != len(shape):
        return False
    for k in range(len(shape)):
        left = [*shape[:k], *shape[k + 1 :]]
        same = [kind for kind, _ in left] == [kind for kind, _ in partial]
        # Whether a blank line stands above the line that follows the missing one says nothing.
        if same and all(a == b for n, (a, b) in enumerate(zip(left, partial, strict=True)) if n != k):
            return True
    return False


def _day_form(lines: list[Line], head: Head) -> str:
    line = next((lines[n] for n in range(head.lo, head.hi) if lines[n].byline and find_dates(lines[n].text)), None)
    return _NUMBERS.sub("0", _WORDS.sub("a", line.text)) if line and line.kind == "date" else ""
