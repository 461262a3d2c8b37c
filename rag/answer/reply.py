"""What a chat model writes, as sentences and the numbers of the sources that it names; here alone `[n]` is read."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass

from rag.chat_client import ChatFailed
from rag.intake.chunk import sentences as boundaries

LONGEST = 2_000
"""Characters beyond which what has no end is no sentence."""

_OPEN, _CLOSE = "[【", "]】"
_REACH = 80
"""Characters within which a bracket that holds more than numbers must close to be read as a marker."""
_PLAIN_NUMBERS = re.compile(r"[\d\s,;–-]*")
_ONE = r"(?:(?:sources?|src)\.?\s*:?\s*)?#?(\d+)"
_MARKER = re.compile(rf"\s*\^?\s*{_ONE}(?:\s*(?:[,;&–—-]|and)\s*{_ONE})*\s*", re.IGNORECASE)
_LENS = re.compile(r"\s*(\d+)\s*(?:[:†].*)?", re.DOTALL)
_SEVERAL = re.compile(r"(\d+)(?:\s*[–—-]\s*(\d+))?")
_TERMINATED = re.compile(r"[.!?…。！？][\"'”’»)\]*_]*$")
_WIDE = re.compile(r"[。！？][”’»）]*$")
_LISTED = re.compile(r"\W*\d{1,3}[.)]")
_THOUGHT, _THOUGHT_ENDS = "<think>", "</think>"
_LETTER = re.compile(r"[^\W_]")


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence as the model wrote it, without its markers, and the numbers in these."""

    text: str
    numbers: tuple[int, ...]


class Reply:
    """What a model writes, sentence by sentence.

    It is read character by character, so it is the same however the stream was cut into pieces.  `failed` is the reason
    why it ended early, once it has been read; what was then cut off inside a sentence, or before its marker, is left
    out.
    """

    def __init__(self, pieces: Iterable[str], most: int) -> None:
        self.failed: str | None = None
        self._pieces, self._most = pieces, most

    def __iter__(self) -> Generator[Said, None, None]:
        text, numbers, apart = "", list[int](), False
        for item in _markers(_thoughtless(self._characters())):
            if not isinstance(item, str):
                numbers += item
                apart = True
                continue
            if not item.isspace() and _LETTER.search(text) and _ends(text, item, apart):
                yield Said(text, tuple(numbers))
                text, numbers = "", []
            apart = apart and item.isspace()
            text += item
            if len(text) > LONGEST:
                self.failed = self.failed or f"it wrote {LONGEST:,} characters without an end"
                return
        if _LETTER.search(text) and (not self.failed or (numbers and _TERMINATED.search(text.rstrip()))):
            yield Said(text, tuple(numbers))

    def _characters(self) -> Iterator[str]:
        taken = 0
        try:
            for piece in self._pieces:
                for c in piece:
                    taken += 1
                    if taken > self._most:
                        self.failed = f"it wrote more than {self._most:,} characters"
                        return
                    yield c
        except ChatFailed as error:
            self.failed = str(error)


def _thoughtless(characters: Iterator[str]) -> Iterator[str]:
    """Yield characters without the thoughts that some models put in front."""
    begun = ""
    for c in characters:
        begun = (begun + c).lstrip()
        if not _THOUGHT.startswith(begun):
            break
        if begun == _THOUGHT:
            begun = ""
            for c in characters:
                begun = (begun + c)[-len(_THOUGHT_ENDS) :]
                if begun == _THOUGHT_ENDS:
                    begun = ""
                    break
            else:
                return
    yield from begun
    yield from characters


def _markers(characters: Iterator[str]) -> Iterator[str | list[int]]:
    """Yield characters, and the numbers of each marker in its place."""
    held = ""
    for c in characters:
        if c in _OPEN:
            yield from held
            held = c
        elif not held:
            yield c
        elif c in _CLOSE:
            numbers = _numbers(held[1:], lens=held[0] == "【")
            if numbers is None:
                yield from held + c
            else:
                yield numbers
            held = ""
        else:
            held += c
            if c == "\n" or (len(held) > _REACH and not _PLAIN_NUMBERS.fullmatch(held[1:])):
                yield from held
                held = ""
    yield from held


_YEAR = re.compile(r"1\d{3}|20\d\d")
"""What in brackets is a year, which a model may have quoted, and no source's number."""


def _numbers(inside: str, *, lens: bool) -> list[int] | None:
    """Return the numbers of a marker by what stands in its brackets, None if it is none.

    >>> _numbers("1, 3-5", lens=False), _numbers("77†page", lens=True), _numbers("the car", lens=False)
    ([1, 3, 4, 5], [77], None)
    """
    if lens and (found := _LENS.fullmatch(inside)):
        return [_small(found[1])]
    if not _MARKER.fullmatch(inside):
        return None
    if _YEAR.fullmatch(inside.strip()):
        return None
    numbers: list[int] = []
    for m in _SEVERAL.finditer(inside):
        first, last = _small(m[1]), _small(m[2] or m[1])
        numbers += range(first, last + 1) if first <= last <= first + 20 else [first, last]
    return numbers


def _small(digits: str) -> int:
    """Return a number, or 0, which no source has, for one with more digits than any source's."""
    return int(digits) if len(digits) <= 6 else 0


def _ends(text: str, following: str, apart: bool) -> bool:
    """Say whether a sentence is over where the next character that is no white space is `following`.

    `apart`: a marker stands between.
    """
    said = text.rstrip()
    if _LISTED.fullmatch(said):
        return False
    if "\n" in text[len(said) :] or _WIDE.search(said):
        return True
    if not _TERMINATED.search(said) or not (apart or len(said) < len(text)):
        return False
    return any(s.end == len(said) for s in boundaries(f"{said} {following}"))
