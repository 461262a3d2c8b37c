"""The composition root: the only place where names become objects, and the one search behind every face."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsIndex

from rag.embed.model import Model
from rag.errors import (
    IndexMismatch,
    InvalidFilter,
    InvalidQuestion,
    InvalidSettings,
    ModelError,
)
from rag.given import whole
from rag.protocols import Embedder, Retriever, Store, View, Writer
from rag.retrieve import Dense, Fused, Lexical, Reranked, search, search_many
from rag.settings import Settings
from rag.store import places
from rag.timed import Timed
from rag.types import Answer, Article, ArticleHead, Citation, Filter, Fingerprint, Group, Hit, Passage, Stats, Text

# What only an answer or an ingest needs is imported there: a search from a cold start is to be over in half a second.
if TYPE_CHECKING:
    from rag.answer.evidence import Judge
    from rag.chat_client import ChatClient
    from rag.embed.entailment import Entailment

RETRIEVERS: dict[str, Callable[[Embedder, Settings], Retriever]] = {
    "dense": lambda embedder, _: Dense(embedder),
    "lexical": lambda _, __: Lexical(),
    "fused": lambda e, s: Fused(e, dense_weight=s.search.dense_weight, depth=s.search.depth),
}

WRITERS: dict[str, Callable[[Engine], Writer]] = {
    "extractive": lambda engine: engine.quoting,
    "chat": lambda engine: _chat_writer(engine),
}


class Engine:
    """An open index with one loaded model.  Safe to share between threads; use it in a `with` block."""

    def __init__(self, store: Store, embedder: Embedder, settings: Settings) -> None:
        self.store, self.embedder, self.settings = store, embedder, settings
        self.retriever: Retriever = choose(RETRIEVERS, settings.search.retriever, "search.retriever")(
            embedder, settings
        )
        if settings.search.reranker:
            from rag.embed.cross import PairScorer

            reads = PairScorer(settings.search.reranker)
            self.retriever = Reranked(self.retriever, reads, depth=settings.search.rerank_depth)
        if settings.search.time_weight:
            self.retriever = Timed(self.retriever, weight=settings.search.time_weight)
        self._writer = choose(WRITERS, settings.answer.writer, "answer.writer")

    @cached_property
    def judge(self) -> Judge:
        """What finds the evidence in hits."""
        from rag.answer.evidence import Judge

        return Judge(self.embedder)

    @cached_property
    def writer(self) -> Writer:
        """What turns evidence into text.  Raises MissingExtra and InvalidSettings."""
        writer: Writer = self._writer(self)
        return writer

    @cached_property
    def quoting(self) -> Writer:
        """The writer that needs no service."""
        from rag.answer.extract import Extractive

        return Extractive(self.settings.answer.sentences)

    @cached_property
    def chat(self) -> ChatClient | None:
        """The chat model that writes, if one does.  Raises MissingExtra and InvalidSettings."""
        if self.settings.answer.writer != "chat":
            return None
        from rag.chat_client import ChatClient

        return ChatClient(self.settings.chat)

    @cached_property
    def entails(self) -> Entailment | None:
        """What reads each citation again, if a setting names it."""
        if not self.settings.answer.entailment:
            return None
        from rag.embed.entailment import Entailment

        return Entailment(self.settings.answer.entailment)

    @cached_property
    def threshold(self) -> float:
        """The least confidence to answer at."""
        chosen = self.settings.answer.threshold
        return self.judge.threshold if chosen is None else chosen

    def search(self, question: str, *, k: int = 10, where: Filter | None = None, group: Group = "passage") -> list[Hit]:
        """Return min(k, matches) hits, best first.  See `rag.search`."""
        question = self._asked(question, k)
        _check_kind(where, group)
        with self.view() as view:
            return search(self.retriever, view, question, k, where, group, self.settings.search.phrase_words)

    def search_many(
        self, questions: Sequence[str], *, k: int = 10, where: Filter | None = None, group: Group = "passage"
    ) -> list[list[Hit]]:
        """Return the hits of each question, those that `search` gives, all from one state of the index."""
        if isinstance(questions, str):
            raise InvalidQuestion(f"questions={questions[:40]!r} is one string: give a list of strings")
        asked = [self._asked(q, k) for q in questions]
        _check_kind(where, group)
        with self.view() as view:
            return search_many(self.retriever, view, asked, k, where, group, self.settings.search.phrase_words)

    def ask(self, question: str, *, history: Sequence[Mapping[str, str]] = (), where: Filter | None = None) -> Answer:
        """Return the answer to a question.  See `rag.ask`."""
        *_, answer = self.stream(question, history=history, where=where)
        assert isinstance(answer, Answer)
        return answer

    def stream(
        self, question: str, *, history: Sequence[Mapping[str, str]] = (), where: Filter | None = None
    ) -> Iterator[Text | Citation | Answer]:
        """Yield an answer as it is written: text, each citation right after what it backs, and last the Answer."""
        from rag import answering

        question = self._asked(question)
        _check_kind(where)
        yield from answering.stream(self, question, history, where)

    def article(self, id: str, revision: str | None = None) -> Article:
        """Return an article in its current revision, or an older one.  Raises UnknownArticle."""
        with self.store.view() as view:
            return view.article(id, revision)

    def current(self, id: str) -> str | None:
        """Return the current revision of an article, or None where there is none (any more).

        A citation of another revision still opens, by `article(id, revision)`: the article has changed since.
        """
        with self.store.view() as view:
            return view.current(id)

    def articles(self, where: Filter | None = None) -> list[tuple[ArticleHead, int]]:
        """Return the current articles that satisfy a filter and their numbers of passages, ordered by id."""
        _check_kind(where)
        with self.store.view() as view:
            return view.articles(where)

    def cut(self, id: str) -> tuple[Article, list[Passage]]:
        """Return a current article and its passages, in their order.  Raises UnknownArticle."""
        with self.store.view() as view:
            return view.article(id), view.cut(id)

    def sections(self) -> list[str]:
        """Return the names of sections that passages have, sorted."""
        with self.store.view() as view:
            return view.sections()

    def stats(self) -> Stats:
        """Return what the index holds."""
        with self.store.view() as view:
            return view.stats()

    @contextmanager
    def view(self) -> Iterator[View]:
        """Give the index's newest state, for use in one `with` block.

        Raises IndexMismatch when the index has been rebuilt with another model since it was opened.
        """
        with self.store.view() as view:
            built = view.fingerprint
            if built.model_digest != self.embedder.digest:
                raise IndexMismatch(
                    f"the index has been rebuilt with model {built.model!r} of digest {built.model_digest}, "
                    f"this engine embeds with {self.embedder.name!r}: open the index again"
                )
            yield view

    def close(self) -> None:
        """Release the index's files, and the chat model's connections."""
        self.store.close()
        if chat := self.__dict__.get("chat"):  # only if there has been a use for it
            chat.close()

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _asked(self, question: str, k: int = 1) -> str:
        limits = self.settings.limits
        if not isinstance(question, str):
            raise InvalidQuestion(f"the question is {type(question).__name__}, no text: give a string")
        if not question.strip():
            raise InvalidQuestion("the question is empty: ask something")
        if len(question) > limits.question_chars:
            raise InvalidQuestion(
                f"the question has {len(question)} characters, over the {limits.question_chars} allowed: shorten it"
            )
        if not isinstance(k, SupportsIndex) or not 1 <= int(k) <= limits.k:
            raise InvalidQuestion(f"k is {k!r:.40}: give a number from 1 to {limits.k}")
        return whole(question).strip()


def _check_kind(where: object, group: object = "passage") -> None:
    """Raise InvalidFilter and InvalidQuestion for what is no filter and no group."""
    if where is not None and not isinstance(where, Filter):
        raise InvalidFilter(f"where is {type(where).__name__}, no filter: give rag.Filter(...)")
    if group not in ("passage", "article"):
        raise InvalidQuestion(f"group {group!r:.40} is unknown: give 'passage' or 'article'")


def choose(table: Mapping[str, Callable[..., Any]], name: str, setting: str) -> Callable[..., Any]:
    """Return what a name stands for.  Raises InvalidSettings."""
    if name not in table:
        raise InvalidSettings(f"setting {setting}={name!r} is unknown: give one of {', '.join(sorted(table))}")
    return table[name]


def _chat_writer(engine: Engine) -> Writer:
    from rag.answer.chat import Chat

    chosen = engine.settings.answer
    assert engine.chat is not None
    return Chat(
        engine.chat,
        engine.quoting,
        most=chosen.sentences,
        strict=chosen.strict,
        near=engine.judge.near,
        entails=engine.entails,
    )


def open_engine(index: str | Path = "index", settings: Settings | None = None) -> Engine:
    """Return an engine on an existing index, with the model that the index was built with.

    Raises NoIndex, IndexMismatch when the settings name another model, IndexDamaged.
    """
    settings = settings or Settings.load()
    place = places.place(index, settings.store)
    store = place.open()
    try:
        return Engine(store, built_with(place.name, store.fingerprint, settings), settings)
    except BaseException:
        store.close()
        raise


def built_with(index: str, recorded: Fingerprint, settings: Settings) -> Model:
    """Return the model that an index was built with.

    Raises IndexMismatch when the settings name another, and ModelError for one that nobody but the index names.
    """
    if settings.model.name and settings.model.name != recorded.model:
        raise IndexMismatch(
            f"index {index} was built with model {recorded.model!r}, the settings name "
            f"{settings.model.name!r}: unset model.name, or build anew with `rag ingest SOURCE --rebuild`"
        )
    return model_of(settings, recorded)


def model_of(settings: Settings, built: Fingerprint | None = None, precision: str | None = None) -> Model:
    """Return the model of the settings, or the one that an index was built with.

    Raises ModelError for one that nobody but the index names: loading it would fetch and run what a stranger chose.
    """
    s = settings.model
    if built:
        model = Model(built.model, digest=built.model_digest, batch=s.batch, cache=s.cache)
        if s.name != built.model and not model.is_known():
            raise ModelError(
                f"the index was made with model {built.model!r}, which has not been used here and is not loaded because"
                f" an index names it: if you trust it, name it yourself with RAG_MODEL__NAME={shlex.quote(built.model)}"
            )
        return model
    return Model(s.name, precision=s.precision or precision, batch=s.batch, cache=s.cache)
