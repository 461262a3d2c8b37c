"""A disagreement put into words: each side quoted as it stands, with its article's date, the newest first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from rag.answer.claims import Claim
from rag.answer.dates import MONTHS
from rag.answer.disagree import Disagreement, published
from rag.answer.measured import Measured
from rag.handover import Evidence, Mark, Written
from rag.protocols import Writer
from rag.types import Text

UNDATED = "undated"


class Sides:
    """A Writer that quotes the sides where sources disagree, and has another write of the rest.

    `found` are the disagreements by the questions, of several in one, that they are about.
    """

    def __init__(self, found: Mapping[str, Disagreement], other: Writer) -> None:
        self.found, self.other = found, other

    def write(self, evidence: Evidence) -> Iterator[Written]:
        """Yield the sides of each disagreement, then what else there is to say."""
        shown: set[tuple[str, int]] = set()
        for found in self.found.values():
            if shown:
                yield Text(" ")
            yield from quoted(found)
            shown.update((s.sentence.hit.passage.article_id, s.sentence.start) for s in found.sides)
        # What stands in a side is not said again.
        rest = tuple(
            p
            for p in evidence.parts
            if p.question not in self.found
            and p.sentences
            and (p.sentences[0].hit.passage.article_id, p.sentences[0].start) not in shown
        )
        if rest:
            yield Text(" ")
            yield from self.other.write(replace(evidence, parts=rest))


def quoted(found: Disagreement) -> Iterator[Text | Mark]:
    """Yield each side's sentence, word for word, behind the date of its article, which is not the article's to say."""
    for n, side in enumerate(found.sides):
        day = dated(side)
        yield Text(f"{' ' if n else ''}{day[0].upper()}{day[1:]}: ", "added")
        yield from _pieces(side)
        yield Mark(side.sentence.hit, side.sentence.start, side.sentence.end)


def note(found: Disagreement) -> str:
    """Return what the sides say in one line, "The articles differ: 15 (9 June 2022), 12 (3 May 2021)."."""
    return f"The articles differ: {', '.join(f'{_said(s)} ({dated(s)})' for s in found.sides)}."


def dated(side: Claim) -> str:
    """Return the day on which a side's article was published, in words; "undated" where that is not known."""
    day = published(side.sentence)
    return f"{day.day} {MONTHS.split('|')[day.month - 1]} {day.year}" if day else UNDATED


def _said(side: Claim) -> str:
    said = []
    for value, (start, end) in zip(side.values, side.spans, strict=False):
        bound = f"{value.number.qualifier} " if isinstance(value, Measured) and value.number.qualifier else ""
        said.append(bound + side.sentence.text[start:end])
    if isinstance(side.values[0], bool):
        said = ["yes" if side.values[0] else "no"]
    return " or ".join(dict.fromkeys(said))


def _pieces(side: Claim) -> Iterator[Text]:
    """Yield a side's sentence, its values apart from the rest."""
    text, at = side.sentence.text, 0
    for start, end in sorted(set(side.spans)):
        if start >= at:
            if start > at:
                yield Text(text[at:start])
            yield Text(text[start:end], "strong")
            at = end
    if at < len(text):
        yield Text(text[at:])
