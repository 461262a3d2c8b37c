"""Sections: which lines are headings, and the canonical names of what they head."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Sequence

from rag.types import Section

_USUAL = (
    "ABSTRACT", "ACKNOWLEDGEMENTS", "ANALYSIS", "APPENDIX", "BACKGROUND", "CONCLUSION", "CONTEXT", "DISCUSSION",
    "EXECUTIVE SUMMARY", "FINDINGS", "IMPLICATIONS", "INTRODUCTION", "KEY POINTS", "KEY TAKEAWAYS", "LIMITATIONS",
    "METHODOLOGY", "METHODS", "OUTLOOK", "OVERVIEW", "POLICY IMPLICATIONS", "RECOMMENDATIONS", "REFERENCES",
    "RELATED WORK", "RESULTS", "SUMMARY",
)  # fmt: skip
# Close enough for a slip of one letter in nine, not for another word (INSTRUCTION is no INTRODUCTION).
_CLOSE = 0.92
_LABEL = re.compile(r"(?P<name>[^\W\d_a-zà-öø-ÿ][^a-zà-öø-ÿ\n:.!?]{2,48}?)\s?:(?=\s|$)")
_MARKED = re.compile(r"#{1,6}\s+(?P<name>.{1,120}?)\s*#*")
_SPACES = re.compile(r"\s+")


def canonical(heading: str) -> str:
    """Return the name of a section: upper case, no colon, usual names spelt the usual way.

    >>> canonical("Bckground:"), canonical("Conclusions"), canonical("Who pays?")
    ('BACKGROUND', 'CONCLUSION', 'WHO PAYS?')
    """
    name = _SPACES.sub(" ", heading.strip(" \t\u00a0*_#").rstrip(":").strip()).upper()
    return usual(name) or name


@functools.lru_cache(maxsize=4096)
def usual(name: str) -> str | None:
    """Return the usual section name that a heading means, or None for a heading of its own."""
    name = _SPACES.sub(" ", name.strip().rstrip(":").strip()).upper()
    if not 5 <= len(name) <= 24:
        return None
    close = difflib.get_close_matches(name, _USUAL, n=1, cutoff=_CLOSE)
    return close[0] if close else None


def inline_label(line: str) -> str | None:
    """Return the capitals before the colon that opens a line (`BACKGROUND:  The row …`), or None."""
    match = _LABEL.match(line[:64])
    if match is None or sum(c.isalpha() for c in match["name"]) < 4:
        return None
    return match["name"] if any(c.isupper() for c in match["name"]) and len(match["name"].split()) <= 5 else None


def label_end(line: str) -> int:
    """Return where the text after an inline label starts; 0 where the line has none."""
    match = _LABEL.match(line[:64])
    if match is None:
        return 0
    return match.end() + len(line[match.end() :]) - len(line[match.end() :].lstrip())


def marked_heading(line: str) -> str | None:
    """Return the words of a Markdown heading (`## Words`), or None."""
    match = _MARKED.fullmatch(line) if line.startswith("#") and len(line) <= 140 else None
    return match["name"] if match else None


def make_sections(text: str, headings: Sequence[tuple[str, int, int]]) -> tuple[Section, ...]:
    """Return the sections of a text whose headings stand at [start:end], each given with its own words.

    A section runs from after its heading to the next one; what precedes the first is in no section.
    """
    sections: list[Section] = []
    for n, (heading, _, start) in enumerate(headings):
        stop = headings[n + 1][1] if n + 1 < len(headings) else len(text)
        while start < stop and text[start].isspace():
            start += 1
        while stop > start and text[stop - 1].isspace():
            stop -= 1
        sections.append(Section(canonical(heading), start, stop))
    return tuple(sections)
