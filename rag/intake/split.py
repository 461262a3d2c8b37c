"""A text page into the articles it holds: one, or several that stand one after another."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from datetime import date
from itertools import pairwise

from rag.intake.boundaries import find_heads
from rag.intake.closers import closer_above, find_closers, find_labels
from rag.intake.credits import reporters
from rag.intake.dates import find_dates
from rag.intake.feet import letter_writer
from rag.intake.furniture import without_notices
from rag.intake.heads import Head, below_shelf, is_kicker
from rag.intake.lines import Line, bulleted, ends_sentence
from rag.intake.neighbours import read_lines
from rag.intake.sections import heading_number, inline_label, label_end, make_sections, marked_heading, usual
from rag.intake.trim import is_page_end, trimmed, without_edges
from rag.types import Section

TITLE_LENGTH = 80
"""About where a made title is cut."""

_FIRST_SENTENCE = re.compile(r"[.!?…][\"'”’»)]*(?=\s+[\"'“‘«(]*[^\W\d_a-zß-ÿ])")


# A speaker's name or initials before a question, which may be shorter than a paragraph.
_ASKED = re.compile(r"(?:[A-Z]{1,4}|[A-Z][^\W\d_]+(?: [A-Z][\w.’'-]+){1,3}):\s")


@dataclass(frozen=True, slots=True)
class Piece:
    """One article of a page.  `text` is its lines of the page without furniture; `sections` index it.

    `title_made` says that the title was cut from the opening words.
    """

    title: str
    title_made: bool
    authors: tuple[str, ...]
    published: date | None
    text: str
    sections: tuple[Section, ...]


def split(text: str) -> list[Piece]:
    """Return the articles of a text page in order; an empty list for a page without words.

    >>> [piece.title for piece in split("Low tide\\n\\nThe mud flats lay open to the sky, and nobody walked there.")]
    ['Low tide']
    """
    lines = read_lines(text)
    if not lines:
        return []
    heads = find_heads(lines)
    first_body = next((n for n, line in enumerate(lines) if line.is_body), len(lines))
    closers = find_closers(lines, first_body)
    several = len(heads) > 1 or bool(heads and heads[0].lo > first_body)
    if not several:
        head = letter_writer(lines, below_shelf(lines, _sole_head(lines, heads[0] if heads else None)))
        before = [line for line in lines[: head.lo] if line.kind != "rule"]
        end = len(lines) if head.end is None else head.end
        piece = _piece(text, before, lines, head, end, set(), several=False, last=True)
        return [piece] if piece else []
    pieces: list[Piece] = []
    if heads[0].lo > first_body:
        opening = _sole_head(lines[: heads[0].lo], None)
        pieces += _some(_piece(text, [], lines, opening, heads[0].lo, closers, several=True, last=False))
    inside = [n for h in heads for n in range(h.lo, h.hi) if n != h.title and lines[n].kind in ("short", "other")]
    labels = find_labels(lines, inside)
    closed = all(closer_above(lines, head.lo, closers) is not None for head in heads[1:])
    for n, head in enumerate(heads):
        last = n + 1 == len(heads)
        end = head.end if head.end is not None else len(lines) if last else heads[n + 1].lo
        pieces += _some(
            _piece(text, [], lines, head, end, closers, several=True, last=last, closed=closed, labels=labels)
        )
    return pieces


def made_title(text: str) -> str:
    """Return a title made from the opening words: the first sentence, cut at a word where it is long."""
    lead = " ".join(text[:600].split("\n\n", 1)[0].split())
    lead = lead[label_end(lead) :] or lead
    stop = _FIRST_SENTENCE.search(lead)
    if stop:
        lead = lead[: stop.end()]
    if len(lead) <= TITLE_LENGTH:
        return lead.rstrip(".") or lead
    cut = lead[:TITLE_LENGTH].rsplit(" ", 1)[0].rstrip(" ,;:–—-(\"“‘'")
    return f"{cut}…"


def _some(piece: Piece | None) -> list[Piece]:
    return [piece] if piece else []


def _sole_head(lines: list[Line], top: Head | None) -> Head:
    # On a page of one article a lone capitalised line at the top is its title, not an author.
    if top is None or (top.title is None and not top.strong and not top.dated and top.end is None):
        first = 0
        if lines[first].kind in ("short", "name") and len(lines) > 1 and lines[first + 1].kind != "byline":
            return Head(first, first + 1, first)
        return Head(0, 0, None)
    if top.dated and not top.authors and sum(line.kind == "date" for line in lines[top.hi :]) > 1:
        # The first of several dates on lines of their own opens a calendar: it does not date the article.
        return replace(top, hi=top.lo + 1, published=None) if top.title == top.lo else Head(0, 0, None)
    return top


def _piece(
    page: str,
    before: list[Line],
    lines: list[Line],
    head: Head,
    end: int,
    closers: set[int],
    *,
    several: bool,
    last: bool,
    closed: bool = False,
    labels: frozenset[int] = frozenset(),
) -> Piece | None:
    # Lines that stand inside the head and are neither title, byline nor date are part of the text (a subtitle).
    given = next((n for n in range(head.lo, head.hi) if lines[n].is_anchor and n != head.title), head.hi)
    above = [lines[n] for n in range(head.lo, given) if n != head.title and n not in labels]
    inside = [line for line in above if line.kind in ("short", "other", "prose")]
    body = before + inside + without_edges([lines[n] for n in range(head.hi, end) if n not in closers])
    if several and last and closers:
        beyond = max(closers)
        if beyond >= head.hi and is_page_end(lines[beyond + 1 : end], closed=closed):
            body = [line for line in body if line.start < lines[beyond].start]
    credited = (reporters(line.text) for line in reversed(lines[max(head.hi, end - 8) : end]))
    authors = head.authors or next(filter(None, credited), ())
    body = trimmed(body, authors, several=several)
    if several and not last and len(body) > 1 and body[-1] is lines[end - 1] and is_kicker(lines[end - 1], lines[end]):
        body = without_edges(body[:-1])
    text, sections = _assemble(page, body)
    if not text and not several:
        # A page that is nothing but a heading or a credit still says something.
        text, sections = _assemble(page, lines)
    if not text:
        return None
    title = lines[head.title].text if head.title is not None else ""
    title = marked_heading(title) or bulleted(title) or title.lstrip("#").strip()
    return Piece(title or made_title(text), not title, authors, head.published, text, sections)


def _assemble(page: str, body: list[Line]) -> tuple[str, tuple[Section, ...]]:
    parts: list[str] = []
    headings: list[tuple[str, int, int]] = []
    labels = _labels(body)
    repeated = Counter(line.text for line in body)
    numbered, deeper = _numbered(body)
    at = 0
    for n, line in enumerate(body):
        raw = without_notices("\n".join(row.rstrip() for row in page[line.start : line.end].split("\n"))).rstrip()
        if not raw:
            continue
        if parts:
            joint = "\n\n" if line.gap else "\n"
            parts.append(joint)
            at += len(joint)
        label = inline_label(line.text)
        if label and label in labels:
            headings.append((label, at, at + label_end(raw)))
        elif n in numbered or (n not in deeper and repeated[line.text] == 1 and _is_heading(body, n)):
            headings.append((line.text, at, at + len(raw)))
        parts.append(raw)
        at += len(raw)
    text = "".join(parts)
    return text, make_sections(text, headings)


def _numbered(body: list[Line]) -> tuple[set[int], set[int]]:
    # Headings that count 1, 2, 3 with text below each, and those that count within them (3.1), which make no
    # sections: a passage would else be cited by its smallest part.
    found = {
        n: number
        for n, line in enumerate(body)
        if line.kind in ("short", "name", "heading", "other")
        and not (line.apart or ends_sentence(line.text))
        and len(line.text.split()) <= 14
        and (number := heading_number(marked_heading(line.text) or line.text))
    }
    tops = [n for n, number in found.items() if len(number) == 1]
    if len(tops) < 2 or [found[n] for n in tops] != [(k,) for k in range(1, len(tops) + 1)]:
        return set(), set()
    if not all(any(line.is_body for line in body[a:b]) for a, b in pairwise([*tops, len(body)])):
        return set(), set()
    return set(tops), {n for n, number in found.items() if len(number) > 1}


def _labels(body: list[Line]) -> set[str]:
    # Usual names count by themselves; others when there are several, each once (a speaker's name comes again).
    seen = Counter(label for line in body if line.kind == "labelled" and (label := inline_label(line.text)))
    known = {label for label in seen if usual(label)}
    others = {label for label, times in seen.items() if times == 1 and label not in known}
    return known | (others if len(others) >= 2 or known else set())


def _is_heading(body: list[Line], n: int) -> bool:
    line = body[n]
    below = body[n + 1] if n + 1 < len(body) else None
    if below is None or line.apart or line.kind not in ("heading", "short", "name"):
        return False
    if line.text[0] in "[(–—-" or any(found.day for found in find_dates(line.text)):
        # Stage directions and the days of a diary name no part of the text.
        return False
    if line.kind == "heading" or line.text.startswith("#"):
        return True
    asked = n + 2 < len(body) and body[n + 2].is_body and _ASKED.match(below.text[:40]) and not _ASKED.match(line.text)
    if not (below.is_body or asked) or len(line.text.split()) > 12 or (n > 0 and not body[n - 1].is_body):
        return False
    if line.text.rstrip(":").isupper() and sum(c.isalpha() for c in line.text) >= 4:
        return True
    return line.gap and n > 0 and ends_sentence(body[n - 1].text) and not ends_sentence(line.text)
