"""A page as lines, and what each line looks like on its own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from rag.intake.bylines import Byline, read_byline
from rag.intake.dates import is_day_first
from rag.intake.furniture import closing, is_picture, opens_footer
from rag.intake.sections import inline_label, marked_heading, usual

Kind = Literal[
    "rule", "byline", "date", "name", "role",
    "shelved", "pressed", "picture", "footer", "heading", "labelled", "short", "other", "prose"
]  # fmt: skip

TITLE = 150
"""No line longer than this is a title."""

PROSE = 60
"""A line at least this long that ends like a sentence is a paragraph of its own."""

_RULE = re.compile(r"(?:[-–—*_=~•·.#+]\s?){3,}|⁂|❦|§")
_BLANK = "\u200b\u200c\u200d\u2060\ufeff"
_EMPHASIS = re.compile(r"[*_]{1,3}(?=\S)(.+?)(?<=\S)[*_]{1,3}")
_SENTENCE_END = re.compile(r"[.!?…][\"'”’»)\]*_]{0,3}$")
_MID_SENTENCE = re.compile(r"[:;,.]$")
_ABBREVIATED = re.compile(r"(?:\b[A-Z]\.|\b(?:Jr|Sr|Inc|Ltd|Co|St|etc|vs|al))\.?$|\.\.\.$")
_OPENS_TITLE = re.compile(r"[\"'“‘«¿¡(\[]*[^\W_]")
_BULLET = re.compile(r"[*•▪■●◆►▸‣+-]\s+(?P<title>\S.*)")
_WORD = re.compile(r"(?<![\w'’-])[a-z]{3,24}(?![\w])")


@dataclass(frozen=True, slots=True)
class _Look:
    """What a page as a whole says about its lines: its ordinary words, and how it writes dates in figures."""

    common: set[str]
    day_first: bool | None


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a page, or a paragraph that was wrapped over several; `start` and `end` index the page.

    `text` is without emphasis marks.  `gap` says that a blank line stands above, `apart` that the line is
    indented or quoted, unlike the page's own paragraphs, `boxed` that rules stand right above and below.
    """

    start: int
    end: int
    text: str
    gap: bool
    apart: bool
    kind: Kind
    byline: Byline | None = None
    boxed: bool = False

    @property
    def is_anchor(self) -> bool:
        """Whether the line gives an author or a date."""
        return self.kind in ("byline", "date", "name")

    @property
    def is_body(self) -> bool:
        """Whether the line is a paragraph of an article."""
        return self.kind in ("prose", "labelled")


def raw_lines(page: str) -> list[Line]:
    """Return the lines of a page that hold anything, each with the kind that it has by itself."""
    look = _Look(set(_WORD.findall(page)), is_day_first(page))
    return [_line(page, start, end, gap, indent, look) for start, end, gap, indent in _joined(page, _spans(page))]


def looks_like_title(text: str) -> bool:
    """Return whether a line could be a title: short, and no sentence of running text."""
    if not 2 <= len(text) <= TITLE or len(text.split()) > 22 or not _OPENS_TITLE.match(text):
        return False
    if _MID_SENTENCE.search(text) and not _ABBREVIATED.search(text):
        return False
    first = next(c for c in text if c.isalnum())
    return (first.isupper() or first.isdigit() or not first.islower()) and sum(c.isalpha() for c in text) >= 2


def bulleted(text: str) -> str | None:
    """Return the title behind a list's mark (`* Low tide`), or None."""
    match = _BULLET.fullmatch(text) if len(text) <= TITLE else None
    return match["title"] if match and looks_like_title(match["title"]) else None


def ends_sentence(text: str) -> bool:
    """Return whether a text ends as a sentence does."""
    return bool(_SENTENCE_END.search(text[-8:]))


def _spans(page: str) -> list[tuple[int, int, bool, int]]:
    # (start, end, gap above, indent in columns) of every line that is not blank, blanks at its ends left out.
    spans: list[tuple[int, int, bool, int]] = []
    at, gap = 0, False
    for raw in page.split("\n"):
        stripped = raw.strip().strip(_BLANK).strip()
        if stripped:
            begin = at + raw.index(stripped[0]) if raw[0] != stripped[0] else at
            indent = sum(4 if c == "\t" else 1 for c in raw[: begin - at] if c in " \t")
            spans.append((begin, begin + len(stripped), gap, indent))
        gap = not stripped
        at += len(raw) + 1
    return spans


def _joined(page: str, spans: list[tuple[int, int, bool, int]]) -> list[tuple[int, int, bool, int]]:
    # Pages may be wrapped at a column: a line that ends because the next word did not fit goes on below.
    lengths = sorted(end - start for start, end, _, _ in spans)
    width = lengths[int(len(lengths) * 0.97)] if lengths else 0
    if not 45 <= width <= 132:
        return spans
    joined: list[tuple[int, int, bool, int]] = []
    last = 0
    for start, end, gap, indent in spans:
        if joined and not gap:
            above = joined[-1]
            word = page[start : start + 40].split(None, 1)[0]
            ruled = above[1] - above[0] <= 132 and _RULE.fullmatch(page[above[0] : above[1]])
            full = last + 1 + len(word) > width - 2 and last > 0.55 * width
            running = last > 0.5 * width and page[start].islower() and page[above[1] - 1] not in ".!?"
            if (
                (full or running)
                and not ruled
                and indent <= above[3] + 1
                and not _RULE.fullmatch(page[start : start + 40])
            ):
                joined[-1] = (above[0], end, above[2], above[3])
                last = end - start
                continue
        joined.append((start, end, gap, indent))
        last = end - start
    return joined


def _line(page: str, start: int, end: int, gap: bool, indent: int, look: _Look) -> Line:
    text = page[start:end]
    apart = indent >= 3 or text[0] in ">|"
    if end - start <= 400:
        text = " ".join(text.replace("\u00a0", " ").split())
        if not _RULE.fullmatch(text):
            text = _EMPHASIS.sub(r"\1", text) if text[0] in "*_" else text
    kind, byline = _kind(text, look)
    return Line(start, end, text, gap, apart, kind, byline)


def _kind(text: str, look: _Look) -> tuple[Kind, Byline | None]:
    if len(text) > 240:
        return ("labelled" if inline_label(text) else "prose"), None
    if _RULE.fullmatch(text):
        return "rule", None
    heading = marked_heading(text)
    if heading is not None:
        return ("heading" if usual(heading) else "short"), None
    if is_picture(text):
        return "picture", None
    byline = read_byline(text, day_first=look.day_first)
    if byline and (byline.strong or (byline.authors and byline.dated)):
        if byline.strong or not _is_ordinary(byline.authors, look.common):
            return "byline", byline
    elif byline and byline.dated:
        return "date", byline
    shut = closing(text)
    if shut:
        return shut, None
    if opens_footer(text):
        return "footer", None
    if usual(text):
        return "heading", None
    if (
        byline
        and not byline.dated
        and len(text.split()) <= 6
        and text[-1] not in ",;:"
        and not _is_ordinary(byline.authors, look.common)
    ):
        return "name", byline
    label = inline_label(text)
    if label and len(text) > len(label) + 12 and not (text.isupper() and " " in label):
        return "labelled", None
    if ends_sentence(text) and len(text) >= PROSE and not (looks_like_title(text) and len(text) < 110):
        return "prose", None
    if looks_like_title(text) or (text.isupper() and text.endswith(":")):
        return "short", None
    return ("prose" if len(text) >= PROSE and len(text.split()) >= 9 else "other"), None


def _is_ordinary(names: tuple[str, ...], common: set[str]) -> bool:
    # A capitalised word that the page also uses in lower case is more likely a word than somebody's name.
    words = [w.strip(".,").lower() for name in names for w in name.split() if w[0].isupper()]
    seen = sum(w in common for w in words)
    return seen >= 2 or seen * 2 > len(words)
