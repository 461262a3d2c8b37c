"""Pages whose articles are told apart by what closes them or frames their titles: bylines below, names, rules."""

from __future__ import annotations

import re
from dataclasses import replace

from rag.intake.bylines import read_names
from rag.intake.dates import find_dates
from rag.intake.heads import Head, may_be_title, read_head
from rag.intake.lines import PROSE, Line
from rag.intake.sections import heading_number

_VALEDICTION = re.compile(
    r"(?:yours|sincerely|faithfully|truly|respectfully|cordially|warmly|affectionately|love|regards|best|kind(?:est)?"
    r"|warm(?:est)?|with\s+(?:love|thanks|gratitude|best|kind|warm|respect|sympathy|every)|your\s+(?:loving|obedient|friend|humble"
    r"|devoted|affectionate|ever|most|faithful|son|daughter|brother|sister|father|mother|old)|ever|as\s+ever|signed|thank\s+you|thanks|cheers|in\s+haste"
    r"|i\s+(?:am|remain)|god\s+bless|farewell|adieu|until\s+then|very\s+truly|most\s+sincerely)\b.{0,40}",
    re.IGNORECASE,
)
_SALUTATION = re.compile(
    r"[“\"'‘>\s]*(?:(?:my\s+)?dear(?:est)?\b|to\s+the\s+editor|to\s+whom|sirs?\b|madam|gentlemen)"
    r".{0,60}[,:;.–—!-]",
    re.IGNORECASE,
)

_DASHED = re.compile(r"^[–—-]{1,2}\s*(?=[^\W\d_])")
_AFTER_NAME = re.compile(r"\s*[,(\"“].*")
_FURNITURE = ("rule", "pressed", "shelved", "picture")
# What a page says of itself below its last article is no longer than this.
_PAGE_END = 200
# A part of a page with a title and a name is an article when its paragraphs hold this much.
_ARTICLE = 250


def is_quoted(lines: list[Line], head: Head) -> bool:
    """Return whether a head is a letter's signature, or a title page shown within an article."""
    above = [line for line in lines[max(0, head.lo - 2) : head.lo] if line.kind != "rule"]
    if above and above[-1].text.endswith(":"):
        return True
    if above and above[-1].text.startswith(("“", '"', "«")) and len(above[-1].text) < 60:
        return True
    first = lines[head.lo]
    near = [*above, first]
    if any(len(line.text.split()) <= 6 and _VALEDICTION.fullmatch(line.text) for line in near):
        return True
    if above and above[-1].text.endswith(",") and len(above[-1].text) <= 60:
        return True
    if head.strong and head.title is not None:
        return False
    for n in range(head.lo - 1, max(-1, head.lo - 12), -1):
        if len(lines[n].text) <= 90 and _SALUTATION.fullmatch(lines[n].text):
            return True
        if len(lines[n].text) > 90 and _SALUTATION.match(lines[n].text[:40]):
            return True
    return False


def signed_below(lines: list[Line], clusters: list[tuple[int, int]], first_body: int) -> list[Head]:
    """Return the heads of a page with bylines under its articles: above the next title, the last at the end."""
    feet = [
        head
        for lo, hi in clusters
        if (head := read_head(lines, lo, hi)).authors
        and lo > first_body
        and lines[lo - 1].is_body
        and (head.strong or head.dated)
        and not is_quoted(lines, head)
        and not any(_is_text(line) for line in lines[lo:hi])
    ]
    if not feet or any(_is_text(line) for line in lines[feet[-1].hi :]):
        return []
    if len(feet) == 1:
        if not feet[0].strong:
            return []
        title = 0 if may_be_title(lines[0]) and first_body > 0 else None
        return [replace(feet[0], lo=0, hi=0 if title is None else 1, title=title, end=feet[0].lo)]
    heads: list[Head] = []
    at = 0
    for foot in feet:
        while at < foot.lo and lines[at].kind in ("rule", "pressed", "shelved", "picture"):
            at += 1
        if not may_be_title(lines[at]) or at + 1 >= foot.lo:
            return []
        heads.append(replace(foot, lo=at, hi=at + 1, title=at, end=foot.lo))
        at = foot.hi
    return heads


def _is_text(line: Line) -> bool:
    return line.is_body or (line.kind in ("short", "other") and len(line.text) >= PROSE)


def signed_sections(lines: list[Line], first_body: int) -> list[Head]:
    """Return the heads of a page of titled articles, each with its author's name alone on its last line.

    The names stand after a dash, or else all titles are in capitals.  A date above the first title is the day of all.
    """
    feet = [n for n in range(first_body + 1, len(lines)) if _signature(lines, n)]
    dashed = [n for n in feet if _DASHED.match(lines[n].text)]
    top = first_body - 1
    # A live report of signed items opens with the first of them, a page of articles with its own name.
    if len(feet) < 3 or top < 1 or not may_be_title(lines[top]):
        return []
    heads = _between_feet(lines, top, dashed) if len(dashed) >= 3 else _in_capitals(lines, top, set(feet))
    days = [found.day for line in lines[:top] for found in find_dates(line.text)]
    return [replace(head, published=days[0], dated=True) for head in heads] if len(days) == 1 and days[0] else heads


def _signature(lines: list[Line], n: int) -> tuple[str, ...]:
    line = lines[n]
    if line.is_body or line.apart or len(line.text) > 60 or not lines[n - 1].is_body:
        return ()
    if lines[n - 1].text.rstrip().endswith((":", ",")) or lines[n - 1].text[0] in '“"«‘':
        return ()
    names = read_names(_AFTER_NAME.sub("", _DASHED.sub("", line.text)))
    return names if all(" " in name for name in names) and not line.text.isupper() else ()


def _between_feet(lines: list[Line], top: int, feet: list[int]) -> list[Head]:
    heads: list[Head] = []
    at = top
    for foot in feet:
        while at < foot and lines[at].kind in _FURNITURE:
            at += 1
        if not may_be_title(lines[at]) or _amount(lines[at + 1 : foot]) < _ARTICLE:
            return []
        heads.append(Head(at, at + 1, at, _signature(lines, foot), end=foot))
        at = foot + 1
    return heads if _amount(lines[at:]) <= _PAGE_END else []


def _in_capitals(lines: list[Line], top: int, feet: set[int]) -> list[Head]:
    capital = [n for n in range(top, len(lines)) if lines[n].gap and may_be_title(lines[n]) and lines[n].text.isupper()]
    titles = [n for n in capital if n + 1 < len(lines) and lines[n + 1].is_body]
    if len(titles) < 3 or titles[0] != top:
        return []
    heads: list[Head] = []
    for title, following in zip(titles, [*titles[1:], len(lines)], strict=True):
        end = next((n for n in range(title + 1, following) if n in feet or n in capital), following)
        if _amount(lines[title:end]) < _ARTICLE or _amount(lines[end:following]) > (
            _PAGE_END if following == len(lines) else 0
        ):
            return []
        heads.append(Head(title, title + 1, title, _signature(lines, end) if end in feet else (), end=end))
    return heads if sum(bool(head.authors) for head in heads) >= max(2, len(heads) - 1) else []


def letter_writer(lines: list[Line], head: Head) -> Head:
    """Return the head of a letter that is the whole page with its writer, whose name stands below the valediction."""
    opening = next((line.text for line in lines[head.hi : head.hi + 2] if _SALUTATION.fullmatch(line.text)), None)
    if opening is None or head.authors or head.end is not None:
        return head
    for n in range(len(lines) - 2, head.hi, -1):
        if len(lines[n].text.split()) <= 6 and not lines[n].is_body and _VALEDICTION.fullmatch(lines[n].text):
            names = read_names(lines[n + 1].text.rstrip(",. "))
            own = next((k for k in range(n, len(lines)) if lines[k].kind in ("footer", "pressed")), len(lines))
            beyond = any(line.is_body for line in lines[n:own]) or _amount(lines[own:]) > _PAGE_END
            if len(names) == 1 and " " in names[0] and not beyond:
                return replace(head, authors=names, end=n)
            break
    return head


def boxed_titles(lines: list[Line], first_body: int) -> list[Head]:
    """Return the heads of a page whose titles all stand between two rules and which has nothing else to go by.

    A manual sets its headings so too; they are short, or counted, or the usual names of sections.
    """
    boxed = [n for n, line in enumerate(lines) if line.boxed]
    if len(boxed) < 3 or boxed[0] >= first_body:
        return []
    if not all(may_be_title(lines[n]) and heading_number(lines[n].text) is None for n in boxed):
        return []
    if sum(len(lines[n].text.split()) for n in boxed) < 3 * len(boxed):
        return []
    parts = zip(boxed, [*boxed[1:], len(lines)], strict=True)
    if not all(_amount(lines[one:other]) >= _ARTICLE and lines[one + 1].is_body for one, other in parts):
        return []
    return [Head(n, n + 1, n) for n in boxed]


def _amount(lines: list[Line]) -> int:
    return sum(len(line.text) for line in lines if line.is_body)
