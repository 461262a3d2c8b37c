"""Lines that close articles, and lines that belong to a page and no article, because their like comes again."""

from __future__ import annotations

import re
from collections import Counter

from rag.intake.credits import is_desk_credit
from rag.intake.lines import Line

_FURNITURE = ("pressed", "shelved", "picture", "rule")
NEAR = 16
"""No more furniture than this stands between a title and its byline, or between a text and what closes it."""

_NUMBERS = re.compile(r"\d+")


def find_closers(lines: list[Line], first_body: int) -> set[int]:
    """Return the numbers of the lines that close articles because their like closes several."""
    shelved = [n for n, line in enumerate(lines) if line.kind == "shelved" and n > first_body]
    pressed = [n for n, line in enumerate(lines) if line.kind == "pressed" and n > first_body]
    # Buttons that mostly stand under a title or a byline close nothing.
    below_text = Counter(_key(lines[n]) for n in pressed if _is_under_text(lines, n))
    pressed = [n for n in pressed if below_text[_key(lines[n])] > 0]
    alike = Counter(_key(lines[n]) for n in pressed)
    pressed = [n for n in pressed if 2 * below_text[_key(lines[n])] >= alike[_key(lines[n])]]
    opening = {n for n, line in enumerate(lines[:first_body]) if line.kind == "shelved"}
    closers = set() if opening or len(shelved) < 2 else set(shelved)
    return closers | {n for n in pressed if alike[_key(lines[n])] >= 2}


def closer_above(lines: list[Line], lo: int, closers: set[int]) -> int | None:
    """Return the line that closes the article above line `lo`, or None."""
    at = lo - 1
    while at >= 0 and (at in closers or lines[at].kind in ("rule", "pressed", "picture", "shelved")):
        if at in closers:
            return at
        at -= 1
    return None


def is_credited_above(lines: list[Line], lo: int) -> bool:
    """Return whether the article above line `lo` ends with its desk's credit."""
    at = lo - 1
    while at > max(0, lo - NEAR) and lines[at].kind in _FURNITURE and not is_desk_credit(lines[at].text):
        at -= 1
    return at >= 0 and is_desk_credit(lines[at].text)


def find_repeated(lines: list[Line], clusters: list[tuple[int, int]], first_body: int) -> set[int]:
    """Return the lines that come back above several heads: the page's own, no titles."""
    above = [lo - 1 for lo, _ in clusters if lo - 1 > first_body and lines[lo - 1].kind in ("short", "other", "name")]
    above += [n - 1 for n in above if lines[n - 1].kind in ("short", "other")]
    alike = Counter(_key(lines[n]) for n in above if len(lines[n].text) <= 80)
    return {n for n in above if alike[_key(lines[n])] >= 2}


def find_labels(lines: list[Line], inside: list[int]) -> frozenset[int]:
    """Return those of the lines within heads that come again but for their number, such as a series' name."""
    alike = Counter(_key(lines[n]) for n in inside)
    return frozenset(n for n in inside if alike[_key(lines[n])] >= 2)


def _is_under_text(lines: list[Line], n: int) -> bool:
    above = below = n
    while above > max(0, n - NEAR) and lines[above].kind in _FURNITURE:
        above -= 1
    while below + 1 < min(len(lines), n + NEAR) and lines[below].kind in _FURNITURE:
        below += 1
    if lines[above].kind in ("byline", "date", "role"):
        return False
    # A short line may be a title, where a byline follows, or the last words of an article.
    return lines[above].is_body or not lines[below].is_anchor


def _key(line: Line) -> str:
    # Who reported differs from article to article.
    return "reporting" if is_desk_credit(line.text) else _NUMBERS.sub("0", line.text.casefold())
