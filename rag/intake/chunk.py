"""Article -> passages: whole sentences of one section, bounded by what the model reads.

A passage is embedded with its article's title in front, but its span is the article's own text, so
`article.text[p.start:p.end] == p.text` whatever the text holds.  Long sentences are cut by
langchain-text-splitters; everything else is packing of spans.
"""

from __future__ import annotations

import difflib
import math
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import sentencex

from rag.intake.text import embedded_text
from rag.protocols import Embedder
from rag.types import Article, Passage

CHARS_PER_TOKEN = 8
"""A passage's bound in characters is this times its bound in tokens: a run that the model cannot tell
apart (one unknown token for many letters) then costs what it would cost if it could."""

TITLE_SHARE = 3
"""At most one in this many tokens goes to the title; a longer title is shortened where it is embedded."""

WINDOW = 2_000
"""Characters given to the splitter at a time, so that a megabyte without a space costs linear time."""


Costs = Callable[[Sequence[str]], list[int]]
"""What each text costs in tokens, without what every text costs."""


class Span(NamedTuple):
    """Characters [start:end] of an article."""

    start: int
    end: int


def chunk(
    article: Article, embedder: Embedder, *, tokens: int = 100, overlap: int = 0, title: str = ""
) -> list[Passage]:
    """Return the passages of an article in order.

    Each costs at most `tokens` of the embedder's tokens, special tokens and the `title` that it is embedded below
    included, and repeats at most `overlap` tokens of whole sentences from the one before in its section.
    """
    limit = min(tokens, embedder.max_tokens)
    special = embedder.count([""])[0]
    taken = embedder.count([title])[0] if title else special
    room = limit - taken

    def costs(texts: Sequence[str], title: str = "", taken: int = special) -> list[int]:
        counted = embedder.count([embedded_text(title, t) for t in texts]) if texts else []
        return [max(n - taken, math.ceil(len(t) / CHARS_PER_TOKEN)) for n, t in zip(counted, texts, strict=True)]

    def costs_below_title(texts: Sequence[str]) -> list[int]:
        return costs(texts, title, taken)

    found = []
    for section, stretch in stretches(article):
        units = _units(article.text, stretch, room, costs)
        for span in _fitting(article.text, list(_pack(units, room, overlap)), room, costs_below_title):
            found.append((section, span))
    return [
        Passage(article.id, article.revision, s.start, s.end, section, article.text[s.start : s.end])
        for section, s in found
    ]


def short_title(title: str, embedder: Embedder, tokens: int) -> str:
    """Return the title that passages of up to `tokens` tokens are embedded below: as many of its first words as fit."""
    most = min(tokens, embedder.max_tokens) // TITLE_SHARE
    words = title.split()
    while words and embedder.count([" ".join(words)])[0] > most:
        words = words[: max(len(words) * 3 // 4, 0)] if len(words) > 1 else []
    return " ".join(words)


def sentences(text: str, start: int = 0, end: int | None = None) -> list[Span]:
    """Return the spans of the sentences of text[start:end], without the white space around them."""
    spans = []
    for b in sentencex.get_sentence_boundaries("en", text[start:end]):
        spans += _trimmed(text, start + b["start_index"], start + b["end_index"])
    return spans


def stretches(article: Article) -> Iterator[tuple[str, Span]]:
    """Yield (section name, span) for all text but the sections' own headings, in order."""
    at = 0
    for s in sorted(article.sections, key=lambda s: s.start):
        if s.start > at:
            yield from (
                ("", gap) for gap in _trimmed(article.text, at, _before_heading(article.text, at, s.start, s.name))
            )
        yield from ((s.name, body) for body in _trimmed(article.text, max(at, s.start), s.end))
        at = max(at, s.end)
    yield from (("", rest) for rest in _trimmed(article.text, at, len(article.text)))


def _before_heading(text: str, start: int, end: int, name: str) -> int:
    gap = text[start:end].rstrip()
    line = gap.rfind("\n") + 1
    heading = gap[line:].strip(" \t#*_:=-.0123456789\xa0").upper()
    same = difflib.SequenceMatcher(None, heading, name.upper()).ratio() > 0.75
    return start + line if same or heading.startswith(name.upper()) else end


def _trimmed(text: str, start: int, end: int) -> list[Span]:
    piece = text[start:end]
    left = len(piece) - len(piece.lstrip())
    kept = len(piece.strip())
    return [Span(start + left, start + left + kept)] if kept else []


def _units(text: str, stretch: Span, room: int, costs: Costs) -> list[tuple[Span, int]]:
    """Return sentences, and the pieces of those that do not fit, each with its cost."""
    found = sentences(text, stretch.start, stretch.end)
    units = []
    for span, size in zip(found, costs([text[s.start : s.end] for s in found]), strict=True):
        if size <= room:
            units.append((span, size))
        else:
            pieces = list(_pieces(text, span, room, costs))
            units += zip(pieces, costs([text[p.start : p.end] for p in pieces]), strict=True)
    return units


def _pieces(text: str, span: Span, room: int, costs: Costs) -> Iterator[Span]:
    # Few articles have a sentence that long, and importing this takes longer than a whole search.
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    # Counted a character at a time where there is no space, hence the cache.
    length = lru_cache(maxsize=10_000)(lambda t: costs([t])[0])
    splitter = RecursiveCharacterTextSplitter(
        separators=["\n\n", "\n", "; ", ", ", " ", ""],
        keep_separator="end",
        chunk_size=room,
        chunk_overlap=0,
        length_function=length,
        strip_whitespace=False,
    )
    at = span.start
    while at < span.end:
        window = _window_end(text, at, span.end)
        cursor = at
        for piece in splitter.split_text(text[at:window]):
            cursor = text.index(piece, cursor, window) + len(piece)
            end = _whole_character(text, cursor, span.end)
            if end > at:
                yield from _trimmed(text, at, end)
                at = end
        at = max(at, window)


def _window_end(text: str, at: int, end: int) -> int:
    if end - at <= WINDOW:
        return end
    space = text.rfind(" ", at + WINDOW // 2, at + WINDOW)
    return space + 1 if space > 0 else _whole_character(text, at + WINDOW, end)


def _whole_character(text: str, at: int, end: int) -> int:
    """Return `at` moved behind the combining marks that follow, 30 of them at most."""
    stop = min(end, at + 30)
    while at < stop and unicodedata.combining(text[at]):
        at += 1
    return at


def _pack(units: list[tuple[Span, int]], room: int, overlap: int) -> Iterator[Span]:
    """Yield spans of whole units, about equally large, none above `room`."""
    sizes = [size for _, size in units]
    total = sum(sizes)
    target = total / max(math.ceil(total / room), 1) if total else room
    first = 0
    while first < len(units):
        size, last = 0, first
        while last < len(units) and size + sizes[last] <= room and (size < target or last == first):
            size += sizes[last]
            last += 1
        last = max(last, first + 1)
        yield Span(units[first][0].start, units[last - 1][0].end)
        if last == len(units):
            return
        repeated, back = 0, last
        while (
            back - 1 > first
            and repeated + sizes[back - 1] <= overlap
            and repeated + sizes[back - 1] + sizes[last] <= room
        ):
            back -= 1
            repeated += sizes[back]
        first = back


def _fitting(text: str, spans: list[Span], room: int, costs: Costs) -> Iterator[Span]:
    """Yield the spans, in place of one that does not fit its halves: a tokenizer's counts need not add up."""
    for span, size in zip(spans, costs([text[s.start : s.end] for s in spans]), strict=True):
        if size <= room or span.end - span.start < 2:
            yield span
            continue
        middle = (span.start + span.end) // 2
        space = text.rfind(" ", span.start + 1, middle)
        cut = space if space > span.start else _whole_character(text, middle, span.end - 1)
        halves = [*_trimmed(text, span.start, cut), *_trimmed(text, cut, span.end)]
        yield from _fitting(text, halves, room, costs)
