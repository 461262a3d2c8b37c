"""Sections: which lines are headings, and the canonical names of what they head."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Sequence

from rag.types import Section

_USUAL = (
    "ABSTRACT", "ACKNOWLEDGEMENTS", "ANALYSIS", "APPENDIX", "BACKGROUND", "BIBLIOGRAPHY", "CONCLUSION",
    "CONTEXT", "DISCUSSION", "EXECUTIVE SUMMARY", "FINDINGS", "FURTHER READING", "IMPLICATIONS", "INTRODUCTION",
    "KEY POINTS", "KEY TAKEAWAYS", "LIMITATIONS", "METHODOLOGY", "METHODS", "OUTLOOK", "OVERVIEW",
    "POLICY IMPLICATIONS", "RECOMMENDATIONS", "REFERENCES", "RELATED WORK", "RESULTS", "SUMMARY", "WORKS CITED",
)  # fmt: skip
# Close enough for a slip of one letter in nine, not for another word (INSTRUCTION is no INTRODUCTION).
_CLOSE = 0.92
_LABEL = re.compile(r"(?P<name>[^\W\d_a-zà-öø-ÿ][^a-zà-öø-ÿ\n:.!?]{2,48}?)\s?:(?=\s|$)")
_MARKED = re.compile(r"#{1,6}\s+(?P<name>.{1,120}?)\s*#*")
# A number counts when something marks it as one: "7 reasons" is no seventh section.
_NUMBER = re.compile(r"(?:\d{1,2}(?:\.\d{1,2})+[.)]?|\d{1,2}[.)]|[IVX]{1,5}[.)])\s+(?=[^\W\d_])")
_NUMBERED = re.compile(
    r"(?:(?:section|part|chapter)\s+)?(?P<number>\d{1,2}(?:\.\d{1,2}){0,3}|[IVX]{1,5})(?P<mark>[.):]|\s+[–—-])?\s+(?P<name>[^\W\d_].{1,110})"
)
_ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII", "XIII", "XIV", "XV")
_SPACES = re.compile(r"\s+")


def canonical(heading: str) -> str:
    """Return the name of a section: upper case, no colon or number, usual names spelt the usual way.

    >>> canonical("Bckground:"), canonical("4. Conclusions"), canonical("7 who paid")
    ('BACKGROUND', 'CONCLUSION', '7 WHO PAID')
    """
    name = _SPACES.sub(" ", heading.strip(" \t\u00a0*_#").rstrip(":").strip()).upper()
    number = _NUMBER.match(name)
    name = name[number.end() :] if number else name
    return usual(name) or name


@functools.lru_cache(maxsize=4096)
def usual(name: str) -> str | None:
    """Return the usual section name that a heading means, or None for a heading of its own."""
    name = _SPACES.sub(" ", name.strip().rstrip(":").strip()).upper()
    if not 5 <= len(name) <= 24:
        return None
    close = difflib.get_close_matches(name, _USUAL, n=1, cutoff=_CLOSE)
    return close[0] if close else None


def heading_number(line: str) -> tuple[int, ...] | None:
    """Return the number in front of a heading, a part for each level, or None.

    >>> heading_number("3.1 Piece rates"), heading_number("IV. Results"), heading_number("30 years on")
    ((3, 1), (4,), None)
    """
    match = _NUMBERED.fullmatch(line) if len(line) <= 120 else None
    if match is None or not (match["mark"] or "." in match["number"]):
        return None
    if match["number"].isalpha():
        return (_ROMAN.index(match["number"]) + 1,) if match["number"] in _ROMAN else None
    return tuple(int(part) for part in match["number"].split("."))


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
