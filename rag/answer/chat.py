"""The writer that asks a chat model, and turns what it says into text and marks.

The model numbers the sources it was shown, `[n]`; here alone such a number is read.  It becomes a mark on those
sentences of the source that support what was said best.  Text is given sentence by sentence, when it is known what
stands behind each, and none before one that has support: so nothing that was shown has to be taken back, and an answer
that cannot be traced is not given at all.  Whatever the model fails to do, the answer is then quoted from the articles.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field

from rag.answer.prompt import NO_ANSWER, NOT_ALL, SYSTEM, Prompt, Source, prompt
from rag.answer.said import Echo, is_refusal, plain
from rag.answer.spans import Near, supporting
from rag.answer.support import Entails, backing
from rag.chat_client import ChatClient, ChatFailed
from rag.intake.chunk import sentences as boundaries
from rag.protocols import Writer
from rag.types import End, Evidence, Mark, Note, Outcome, Text, Written
from rag.words import words

CHARS_PER_TOKEN = 8
"""A service that pays no heed to the limit of tokens is not read beyond so many characters for each."""

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


def _numbers(inside: str, *, lens: bool) -> list[int] | None:
    """Return the numbers of a marker by what stands in its brackets, None if it is none.

    >>> _numbers("1, 3-5", lens=False), _numbers("77†page", lens=True), _numbers("the car", lens=False)
    ([1, 3, 4, 5], [77], None)
    """
    if lens and (found := _LENS.fullmatch(inside)):
        return [_small(found[1])]
    if not _MARKER.fullmatch(inside):
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


@dataclass(frozen=True, slots=True)
class _Claim:
    """A sentence made plain, what it rests on, and whether that supports it or it only says that nothing does."""

    text: str
    marks: tuple[Mark, ...]
    supported: bool
    refuses: bool


@dataclass
class _Told:
    """What there is to tell of an answer when it is over."""

    unknown: int = 0
    links: int = 0
    echoes: int = 0
    bare: int = 0
    unsupported: int = 0
    left_out: int = 0
    refused: bool = False
    seen: set[str] = field(default_factory=set)

    def notes(self, host: str, failed: str | None) -> Iterator[Note]:
        """Yield the notes; an answer is there in part if some of it is missing or without support."""
        part = self.refused or failed or self.left_out or self.bare or self.unsupported
        outcome: Outcome | None = "partly" if part else None
        lines: list[str] = []
        if failed:
            lines.append(f"The chat model at {host} did not finish ({failed}); the rest of its answer is missing.")
        if self.refused:
            lines.append("The chat model found only a part of the answer in the passages.")
        for n, what in (
            (self.left_out, "{} of the chat model left out: the articles do not support {it}."),
            (self.bare, "{} without a source: the chat model's own words, which nothing stands behind."),
            (self.unsupported, "{} not supported by what the chat model cites for {it}."),
            (self.echoes, "{} left out in which the chat model repeated its instructions."),
        ):
            if n:
                lines.append(what.format(_many(n, "sentence"), it="it" if n == 1 else "them"))
        if self.links:
            lines.append(f"{_many(self.links, 'link')} left out that no passage which the chat model cites holds.")
        if self.unknown:
            lines.append(f"{_many(self.unknown, 'marker')} left out that named no source which the model was given.")
        yield from (Note(line, outcome) for line in lines)


class Chat:
    """A Writer that has a chat model say it, and `instead` where that does not work.

    With `strict` a sentence without support is left out; else it is given, without a source or with one whose verdict
    says so.  `near` finds support in other words, `entails` is asked for its reading of it.
    """

    def __init__(
        self,
        client: ChatClient,
        instead: Writer,
        *,
        most: int = 4,
        strict: bool = False,
        near: Near | None = None,
        entails: Entails | None = None,
    ) -> None:
        self.client, self.instead, self.most, self.strict = client, instead, most, strict
        self.near, self.entails = near, entails

    def write(self, evidence: Evidence) -> Iterator[Written]:
        s = self.client.settings
        request = prompt(evidence, tokens=s.context_tokens - s.answer_tokens, most=self.most)
        if not request.sources:
            yield from self._instead(evidence, "the question leaves no room for a source in chat.context_tokens")
            return
        told, begun = _Told(), False
        held: list[_Claim] = []
        with closing(self.client.pieces(request.messages)) as pieces:
            reply = Reply(pieces, s.answer_tokens * CHARS_PER_TOKEN)
            for claim in self._claims(reply, request, told):
                if self.strict and not claim.supported:
                    told.left_out += not claim.refuses
                    continue
                held.append(claim)
                if begun or claim.supported:
                    yield from _given(held, begun, told)
                    begun, held = True, []
        if begun:
            yield from told.notes(self.client.host, reply.failed)
        elif reply.failed or not told.seen:
            yield from self._instead(evidence, reply.failed or "it wrote nothing that could be used")
        elif told.refused:
            yield Note(f"The chat model at {self.client.host} found no answer in the nearest passages.", "abstained")
        else:
            yield Note(
                f"Nothing that the chat model at {self.client.host} wrote could be traced to the articles; these "
                "sentences are quoted from them instead."
            )
            yield from self.instead.write(evidence)

    def _claims(self, reply: Reply, request: Prompt, told: _Told) -> Iterator[_Claim]:
        """Yield the sentences of a reply that say something, with what they rest on."""
        echo = Echo(SYSTEM, [NO_ANSWER, NOT_ALL])
        for said in reply:
            numbers = list(dict.fromkeys(said.numbers))
            cited = [request.sources[n - 1] for n in numbers if 0 < n <= len(request.sources)]
            told.unknown += len(numbers) - len(cited)
            made = plain(said.text, "\n".join(f"{s.hit.article.title}\n{s.hit.passage.text}" for s in cited))
            told.links += made.links
            text = made.text
            if echo(text) or request.mark in "".join(words(text)):
                told.echoes += 1
                continue
            # A heading, or the line before a list, claims nothing.
            if not _LETTER.search(text) or (text.endswith(":") and not cited):
                continue
            same = " ".join(words(text)) or text
            if same in told.seen:
                continue
            told.seen.add(same)
            marks = tuple(self._mark(text, source) for source in cited)
            supported = any(backing(text, m, self.entails).verdict != "unsupported" for m in marks)
            refuses = not supported and is_refusal(text)
            told.refused = told.refused or refuses
            yield _Claim(text, () if refuses else marks, supported, refuses)

    def _mark(self, text: str, source: Source) -> Mark:
        first, last = supporting(text, source.texts(), self.near)
        return Mark(source.hit, source.spans[first][0], source.spans[last][1])

    def _instead(self, evidence: Evidence, reason: str) -> Iterator[Written]:
        """Yield the answer of the other writer, and say why."""
        yield Note(
            f"The chat model at {self.client.host} did not answer ({reason}); these sentences are quoted from the "
            "articles instead."
        )
        yield from self.instead.write(evidence)


def _given(claims: Iterable[_Claim], begun: bool, told: _Told) -> Iterator[Written]:
    """Yield sentences, and count those that nothing supports."""
    for claim in claims:
        yield Text((" " if begun else "") + claim.text)
        yield from claim.marks or (End(),)
        begun = True
        told.unsupported += bool(claim.marks) and not claim.supported
        told.bare += not claim.marks and not claim.refuses


def _many(n: int, what: str) -> str:
    return f"{n} {what}{'s' if n > 1 else ''}"
