"""A page's lines, each with the kind that its neighbours make of it."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

from rag.intake.bylines import Byline, is_affiliation, read_names
from rag.intake.credits import is_addition, is_sign_up
from rag.intake.crumbs import is_network, is_notice
from rag.intake.lines import Line, ends_sentence, raw_lines

_UNDERLINE = re.compile(r"(?:={3,}|-{3,})")
_ALONE_BY = re.compile(
    r"(?:(?:written|posted|words|text|published|reported|story)\s+)?by\s*:?|authors?\s*:?|(?:words|text|writer)\s*:",
    re.IGNORECASE,
)
_ALONE_DATE = re.compile(
    r"(?:(?:first|last|originally)\s+)?(?P<label>posted|published|updated|modified|date|dated|created|filed|released|issued)(?:\s+(?:on|at))?\s*:?",
    re.IGNORECASE,
)
_AND = re.compile(r"(?:and|&|with|,)", re.IGNORECASE)
_AND_NAMES = re.compile(r"(?:and|&|with)\s+(?P<names>.+)", re.IGNORECASE)
_BOOK = re.compile(r"\bISBN\b|\b\d{2,4}\s?pp\b")
_UNDATED = Byline((), strong=False, dated=True, published=None, updated=None)


def read_lines(page: str) -> list[Line]:
    """Return the lines of a page that hold anything, each with its kind."""
    lines = _without_notices(_without_underlines(raw_lines(page)))
    return _with_updates_at_the_foot(_together(_without_books(_beside_buttons(lines))))


def _without_underlines(lines: list[Line]) -> list[Line]:
    # A rule right under a short line is no break: it marks the line as a heading.
    kept = lines[:1]
    for line in lines[1:]:
        if _UNDERLINE.fullmatch(line.text) and not line.gap and kept[-1].kind in ("short", "name", "heading"):
            boxed = len(kept) > 1 and kept[-2].text == line.text and not kept[-1].gap
            kept[-1] = replace(kept[-1], boxed=boxed)
        else:
            kept.append(line)
    return kept


def _without_notices(lines: list[Line]) -> list[Line]:
    # Reading times and the like are left out at once, so that the lines on either side of them are neighbours.
    kept: list[Line] = []
    at_top, gap = True, False
    for line in lines:
        at_top = at_top and not line.is_body
        # A line within a paragraph that was wrapped at a width of its own is no notice, whatever it looks like.
        inside = bool(kept) and not line.gap and kept[-1].is_body and not ends_sentence(kept[-1].text)
        if not inside and (is_notice(line.text, at_top=at_top) or is_sign_up(line.text, at_top=at_top)):
            gap = gap or line.gap
            continue
        kept.append(replace(line, gap=True) if gap else line)
        gap = False
    return kept or lines


def _with_updates_at_the_foot(lines: list[Line]) -> list[Line]:
    # "Last updated" below an article's text is a notice, unless the page writes its heads so.
    def is_update(line: Line) -> bool:
        return (
            line.kind == "date"
            and line.byline is not None
            and line.byline.published is None
            and line.byline.updated is not None
        )

    first = next((line for line in lines if line.is_anchor or line.is_body), None)
    if first is None or is_update(first):
        return lines
    above = first
    for n, line in enumerate(lines):
        below = lines[n + 1] if n + 1 < len(lines) else None
        if above.is_body and is_update(line) and (below is None or not below.is_body):
            lines[n] = replace(line, kind="pressed", byline=None)
        if lines[n].kind not in ("pressed", "shelved", "picture", "rule"):
            above = line
    return lines


def _without_books(lines: list[Line]) -> list[Line]:
    # A book's author, between its title and its publisher and pages, wrote no article.
    for n in range(2, len(lines)):
        byline = lines[n - 1]
        notice = not lines[n].is_body and _BOOK.search(lines[n].text)
        if notice and byline.kind == "byline" and byline.byline and not byline.byline.dated:
            lines[n - 1] = replace(byline, kind="other", byline=None)
    return lines


def _beside_buttons(lines: list[Line]) -> list[Line]:
    # A short line that comes again word for word, each time right below what a desk adds, is of the same kind.
    def added(n: int) -> bool:
        below_it = n > 0 and not lines[n].gap and lines[n - 1].kind == "pressed" and is_addition(lines[n - 1].text)
        return below_it and lines[n].kind in ("short", "other")

    found = [n for n in range(len(lines)) if added(n)]
    alike = Counter(lines[n].text for n in found)
    for n in found:
        if alike[lines[n].text] > 1:
            lines[n] = replace(lines[n], kind="pressed")
    return lines


def _listed_names(lines: list[Line], n: int) -> None:
    # "By", names and "and" each on a line of its own: a name counts after an "and" or after a comma.
    open_ended = lines[n].text.endswith(",")
    for at in range(n + 1, min(n + 16, len(lines))):
        line = lines[at]
        names = read_names(line.text.rstrip(" ,")) if open_ended and len(line.text) <= 80 else ()
        joins = _AND.fullmatch(line.text) or (line.text.endswith(",") and names)
        if names and all(" " in name for name in names):
            byline = Byline(names, strong=True, dated=False, published=None, updated=None)
            lines[at] = replace(line, kind="byline", byline=byline)
        elif _AND.fullmatch(line.text) and at + 1 < len(lines) and read_names(lines[at + 1].text.rstrip(" ,")):
            byline = Byline((), strong=True, dated=False, published=None, updated=None)
            lines[at] = replace(line, kind="byline", byline=byline)
        else:
            return
        open_ended = bool(joins)


def _together(lines: list[Line]) -> list[Line]:
    # "By" or "Published on" on a line of its own, and "and NAME" or "Staff Writer" under a byline, belong to
    # their neighbours.  So do the names of several buttons.
    for n in range(len(lines) - 1):
        above, below = lines[n], lines[n + 1]
        if _ALONE_BY.fullmatch(above.text) and below.text.endswith(",") and read_names(below.text.rstrip(" ,")):
            below = lines[n + 1] = replace(below, kind="short")
        if is_network(below.text) and (is_network(above.text) or above.kind == "pressed"):
            lines[n : n + 2] = [replace(line, kind="pressed", byline=None) for line in (above, below)]
        elif below.kind == "date" and below.byline and (label := _ALONE_DATE.fullmatch(above.text)):
            lines[n] = replace(above, kind="date", byline=_UNDATED)
            if label["label"].lower() in ("updated", "modified"):
                day = below.byline.published or below.byline.updated
                lines[n + 1] = replace(below, byline=replace(below.byline, published=None, updated=day))
        elif (
            below.kind == "short" and _ALONE_BY.fullmatch(above.text) and (names := read_names(below.text.rstrip(" ,")))
        ):
            # After such a label one word is a name too.
            byline = Byline(names, strong=True, dated=False, published=None, updated=None)
            lines[n] = replace(above, kind="byline", byline=replace(byline, authors=()))
            lines[n + 1] = replace(below, kind="byline", byline=byline)
            _listed_names(lines, n + 1)
        elif below.byline and not below.byline.strong and below.byline.authors and _ALONE_BY.fullmatch(above.text):
            byline = replace(below.byline, strong=True)
            lines[n] = replace(above, kind="byline", byline=replace(byline, authors=()))
            lines[n + 1] = replace(below, kind="byline", byline=byline)
            _listed_names(lines, n + 1)
        elif above.kind == "byline" and (more := _AND_NAMES.fullmatch(below.text)) and len(below.text) <= 80:
            names = read_names(more["names"])
            if names:
                byline = Byline(names, strong=True, dated=False, published=None, updated=None)
                lines[n + 1] = replace(below, kind="byline", byline=byline)
        elif (
            above.kind in ("byline", "name") and below.kind in ("name", "short", "other") and is_affiliation(below.text)
        ):
            lines[n + 1] = replace(below, kind="role", byline=None)
    return lines
