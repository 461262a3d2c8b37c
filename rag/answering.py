"""How an answer comes about: the question made whole, its evidence found and judged, then written and cited."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any, Protocol

from rag.answer.cite import abstain, cite
from rag.answer.disagree import Disagreement, disagreement
from rag.answer.evidence import Judge
from rag.answer.extract import Extractive
from rag.answer.parts import as_asked
from rag.answer.sides import Sides, note
from rag.converse import standalone
from rag.errors import InvalidQuestion
from rag.folding import prints
from rag.given import whole
from rag.handover import Evidence, Note, Written
from rag.protocols import Retriever, Store, View, Writer
from rag.retrieve import search
from rag.settings import Settings
from rag.types import Answer, ArticleHead, Citation, Filter, Text

# What only a chat model or a second reading needs is imported there.
if TYPE_CHECKING:
    from rag.chat_client import ChatClient
    from rag.embed.entailment import Entailment


class Parts(Protocol):
    """What an answer is made with, as an engine has it; much of it is loaded when it is first asked for."""

    @property
    def settings(self) -> Settings: ...
    @property
    def store(self) -> Store: ...
    @property
    def retriever(self) -> Retriever: ...
    @property
    def judge(self) -> Judge: ...
    @property
    def threshold(self) -> float: ...
    @property
    def writer(self) -> Writer: ...
    @property
    def quoting(self) -> Writer: ...
    @property
    def chat(self) -> ChatClient | None: ...
    @property
    def entails(self) -> Entailment | None: ...
    def view(self) -> AbstractContextManager[View]: ...


def stream(
    parts: Parts, question: str, history: Sequence[Mapping[str, str]], where: Filter | None
) -> Iterator[Text | Citation | Answer]:
    """Yield an answer as it is written: text, each citation right after what it backs, and last the Answer.

    Raises InvalidQuestion for a history that is no list of messages.
    """
    writer, settings = parts.writer, parts.settings
    alone, notes = _standalone(question, _said(history, settings.limits.question_chars), parts.chat)
    with parts.view() as view:
        hits = search(
            parts.retriever, view, alone, settings.answer.hits, where, phrase_words=settings.search.phrase_words
        )
        twins = view.twins(list(dict.fromkeys(h.article.id for h in hits)))
    evidence = parts.judge(alone, hits)
    if evidence.confidence < parts.threshold or not evidence.sentences:
        if where:
            notes.append(Note("Only the articles within the filter were searched."))
        yield from abstain(question, evidence, [note.text for note in notes])
        return
    if left := [p for p in evidence.parts if p.confidence < parts.threshold]:
        told = "; ".join(as_asked(p.question, alone).rstrip("?!. ") for p in left)
        notes.append(Note(f"The articles do not seem to answer a part of this: {told}?", "partly"))
        evidence = replace(evidence, parts=tuple(p for p in evidence.parts if p not in left))
    differ = {
        e.question: found
        for e in evidence.parts or (evidence,)
        if (found := disagreement(e, twins, most=settings.answer.sentences))
    }
    notes += [Note(note(found), "conflict") for found in differ.values()]
    yield from cite(
        question,
        chain(notes, _written(parts, writer, evidence, differ)),
        evidence,
        "conflict" if differ else "answered",
        printing=lambda id, quote: _printing(parts.store, twins.get(id), quote),
        entails=parts.entails,
    )


def _said(history: Sequence[Mapping[str, str]], most: int) -> list[dict[str, str]]:
    """Return what was said before, without what was too long to be asked.

    Raises InvalidQuestion for what is no list of messages.
    """
    listed: Any = history
    several = isinstance(listed, Iterable) and not isinstance(listed, (str, Mapping))
    said = []
    for message in history if several else [listed]:
        known = isinstance(message, Mapping)
        role, content = (message.get(n) if known else None for n in ("role", "content"))
        if not isinstance(role, str) or not isinstance(content, str):
            raise InvalidQuestion('the history is no list of messages: give [{"role": "user", "content": "..."}, ...]')
        if role != "user" or len(content) <= most:
            said.append({"role": role, "content": whole(content)})
    return said


def _standalone(question: str, history: Sequence[Mapping[str, str]], chat: ChatClient | None) -> tuple[str, list[Note]]:
    """Return the question as it stands alone, and what there is to say on how that was made."""
    if chat is None:
        return standalone(question, history), []
    from rag.converse_chat import standalone as rephrased

    made = rephrased(question, history, chat)
    said = f"The chat model at {chat.host} did not put the follow-up into a whole question ({made.failed})"
    return made.question, [Note(f"{said}; it was done by rules.")] if made.failed else []


def _written(parts: Parts, writer: Writer, evidence: Evidence, differ: Mapping[str, Disagreement]) -> Iterable[Written]:
    """Return what a writer writes; where sources disagree, their sides, or what a chat model makes of them."""
    if differ and isinstance(writer, Extractive):
        return Sides(differ, writer).write(evidence)
    if differ and parts.chat:
        from rag.answer.chat import Chat

        if isinstance(writer, Chat):
            return writer.write(evidence, Sides(differ, parts.quoting))
    return writer.write(evidence)


def _printing(store: Store, articles: Sequence[ArticleHead] | None, quote: str) -> tuple[ArticleHead, ...]:
    """Return those of some articles that print a quote, as they are now."""
    if not articles:
        return ()
    with store.view() as view:
        return tuple(a for a in articles if view.current(a.id) and prints(view.article(a.id).text, quote))
