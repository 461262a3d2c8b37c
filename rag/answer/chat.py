"""The writer that asks a chat model, and turns what it says into text and marks.

The model numbers the sources it was shown, `[n]` (reply.py).  A number becomes a mark on those
sentences of the source that support what was said best.  Text is given sentence by sentence, when it is known what
stands behind each, and none before one that has support: so nothing that was shown has to be taken back, and an answer
that cannot be traced is not given at all.  Whatever the model fails to do, the answer is then quoted from the articles.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field

from rag.answer.prompt import NO_ANSWER, NOT_ALL, SYSTEM, Prompt, Source, prompt
from rag.answer.reply import Reply
from rag.answer.said import Echo, is_refusal, plain
from rag.answer.spans import Near, supporting
from rag.answer.support import Entails, backing
from rag.chat_client import ChatClient
from rag.handover import End, Evidence, Mark, Note, Written
from rag.protocols import Writer
from rag.types import Outcome, Text
from rag.words import words

CHARS_PER_TOKEN = 8
"""A service that pays no heed to the limit of tokens is not read beyond so many characters for each."""

_LETTER = re.compile(r"[^\W_]")


@dataclass(frozen=True, slots=True)
class _Claim:
    """A sentence made plain, what it rests on, and whether that supports it or it only says that nothing does.

    Of one that is said again, in whatever case and points, `same` is the same.
    """

    text: str
    same: str
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
    # What it has said, and whether that had support.
    seen: dict[str, bool] = field(default_factory=dict)

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

    def write(self, evidence: Evidence, sides: Writer | None = None) -> Iterator[Written]:
        """Yield what the chat model says; `sides`, where sources disagree, write in its stead and against a refusal."""
        instead = sides or self.instead
        s = self.client.settings
        request = prompt(evidence, tokens=s.context_tokens - s.answer_tokens, most=self.most)
        if not request.sources:
            yield from self._instead(
                instead, evidence, "the question leaves no room for a source in chat.context_tokens"
            )
            return
        told, begun = _Told(), False
        held: list[_Claim] = []
        with closing(self.client.pieces(request.messages)) as pieces:
            reply = Reply(pieces, s.answer_tokens * CHARS_PER_TOKEN)
            for claim in self._claims(reply, request, told):
                if self.strict and not claim.supported:
                    told.left_out += not claim.refuses
                    continue
                held = [c for c in held if c.same != claim.same]
                held.append(claim)
                if begun or claim.supported:
                    yield from _given(held, begun, told)
                    begun, held = True, []
        if begun:
            yield from told.notes(self.client.host, reply.failed)
        elif reply.failed or not told.seen:
            yield from self._instead(instead, evidence, reply.failed or "it wrote nothing that could be used")
        elif told.refused and sides is None:
            yield Note(f"The chat model at {self.client.host} found no answer in the nearest passages.", "abstained")
        else:
            yield Note(
                f"Nothing that the chat model at {self.client.host} wrote could be traced to the articles; these "
                "sentences are quoted from them instead."
            )
            yield from instead.write(evidence)

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
            if told.seen.get(same):
                continue
            marks = tuple(self._mark(text, source) for source in cited)
            supported = any(backing(text, m, self.entails).verdict != "unsupported" for m in marks)
            # Said again it may name the source that it lacked.
            if same in told.seen and not supported:
                continue
            told.seen[same] = supported
            refuses = not supported and is_refusal(text)
            told.refused = told.refused or refuses
            yield _Claim(text, same, () if refuses else marks, supported, refuses)

    def _mark(self, text: str, source: Source) -> Mark:
        first, last = supporting(text, source.texts(), self.near)
        return Mark(source.hit, source.spans[first][0], source.spans[last][1])

    def _instead(self, instead: Writer, evidence: Evidence, reason: str) -> Iterator[Written]:
        """Yield the answer of the other writer, and say why."""
        yield Note(
            f"The chat model at {self.client.host} did not answer ({reason}); these sentences are quoted from the "
            "articles instead."
        )
        yield from instead.write(evidence)


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
