"""The composition root: the only place where names become objects, and the one search behind every face."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rag.answer.cite import abstain, cite
from rag.answer.evidence import Judge, fitted
from rag.answer.extract import Extractive
from rag.converse import standalone
from rag.embed.model import Model
from rag.errors import IndexDamaged, IndexMismatch, InvalidQuestion, InvalidSettings
from rag.intake import pipeline
from rag.retrieve import Dense, Fused, Lexical, search
from rag.settings import Settings
from rag.store import local, view
from rag.types import (
    Answer,
    Article,
    ArticleHead,
    Citation,
    Embedder,
    Filter,
    Fingerprint,
    Group,
    Hit,
    Progress,
    Report,
    Retriever,
    Stats,
    Store,
    Text,
    View,
    Writer,
)

log = logging.getLogger(__name__)

RETRIEVERS: dict[str, Callable[[Embedder, Settings], Retriever]] = {
    "dense": lambda embedder, _: Dense(embedder),
    "lexical": lambda _, __: Lexical(),
    "fused": lambda e, s: Fused(e, dense_weight=s.search.dense_weight, depth=s.search.depth),
}


class Engine:
    """An open index with one loaded model.  Safe to share between threads; use it in a `with` block."""

    def __init__(self, store: Store, embedder: Embedder, settings: Settings) -> None:
        self.store, self.embedder, self.settings = store, embedder, settings
        self.retriever = choose(RETRIEVERS, settings.search.retriever, "search.retriever")(embedder, settings)
        self.judge = Judge(embedder)
        self.writer: Writer = Extractive(settings.answer.sentences)
        shipped = fitted()[2]
        self.threshold = shipped if settings.answer.threshold is None else settings.answer.threshold

    def search(self, question: str, *, k: int = 10, where: Filter | None = None, group: Group = "passage") -> list[Hit]:
        """Return min(k, matches) hits, best first.  See `rag.search`."""
        question = self._asked(question, k)
        if group not in ("passage", "article"):
            raise InvalidQuestion(f"group {group!r} is unknown: give 'passage' or 'article'")
        with self.view() as view:
            return search(self.retriever, view, question, k, where, group)

    def search_many(
        self, questions: Sequence[str], *, k: int = 10, where: Filter | None = None, group: Group = "passage"
    ) -> list[list[Hit]]:
        """Return the hits of each question, all from one state of the index."""
        asked = [self._asked(q, k) for q in questions]
        with self.view() as view:
            return [search(self.retriever, view, q, k, where, group) for q in asked]

    def ask(self, question: str, *, history: Sequence[Mapping[str, str]] = (), where: Filter | None = None) -> Answer:
        """Return the answer to a question.  See `rag.ask`."""
        *_, answer = self.stream(question, history=history, where=where)
        assert isinstance(answer, Answer)
        return answer

    def stream(
        self, question: str, *, history: Sequence[Mapping[str, str]] = (), where: Filter | None = None
    ) -> Iterator[Text | Citation | Answer]:
        """Yield an answer as it is written: text, each citation right after what it backs, and last the Answer."""
        question = self._asked(question)
        alone = standalone(question, history)
        with self.view() as view:
            hits = search(self.retriever, view, alone, self.settings.answer.hits, where)
        evidence = self.judge(alone, hits)
        if evidence.confidence < self.threshold:
            yield from abstain(question, evidence)
        else:
            yield from cite(question, self.writer.write(evidence), evidence, "answered")

    def article(self, id: str, revision: str | None = None) -> Article:
        """Return an article in its current revision, or an older one.  Raises UnknownArticle."""
        with self.store.view() as view:
            return view.article(id, revision)

    def articles(self, where: Filter | None = None) -> list[tuple[ArticleHead, int]]:
        """Return the current articles that satisfy a filter and their numbers of passages, ordered by id."""
        with self.store.view() as view:
            return view.articles(where)

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
        """Release the index's files."""
        self.store.close()

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _asked(self, question: str, k: int = 1) -> str:
        limits = self.settings.limits
        if not isinstance(question, str) or not question.strip():
            raise InvalidQuestion("the question is empty: ask something")
        if len(question) > limits.question_chars:
            raise InvalidQuestion(
                f"the question has {len(question)} characters, over the {limits.question_chars} allowed: shorten it"
            )
        if k < 1 or k > limits.k:
            raise InvalidQuestion(f"k is {k}: give a number from 1 to {limits.k}")
        return question.strip()


def choose(table: Mapping[str, Callable[..., Any]], name: str, setting: str) -> Callable[..., Any]:
    """Return what a name stands for.  Raises InvalidSettings."""
    if name not in table:
        raise InvalidSettings(f"setting {setting}={name!r} is unknown: give one of {', '.join(sorted(table))}")
    return table[name]


def open_engine(index: str | Path = "index", settings: Settings | None = None) -> Engine:
    """Return an engine on an existing index, with the model that the index was built with.

    Raises NoIndex, IndexMismatch when the settings name another model, IndexDamaged.
    """
    settings = settings or Settings.load()
    store = local.LocalStore(index)
    recorded = store.fingerprint
    if settings.model.name and settings.model.name != recorded.model:
        raise IndexMismatch(
            f"index {Path(index).absolute()} was built with model {recorded.model!r}, the settings name "
            f"{settings.model.name!r}: unset model.name, or build anew with `rag ingest SOURCE --rebuild`"
        )
    model = Model(recorded.model, batch=settings.model.batch)
    if model.digest != recorded.model_digest:
        raise IndexMismatch(
            f"index {Path(index).absolute()} was built with {recorded.model!r} of digest {recorded.model_digest}, "
            f"the one installed has {model.digest}: install that one, or build anew with `rag ingest SOURCE --rebuild`"
        )
    return Engine(store, model, settings)


def ingest(
    sources: Iterable[str | Path | Article],
    index: str | Path,
    settings: Settings,
    *,
    prune: bool = False,
    rebuild: bool = False,
    dry_run: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
) -> Report:
    """Bring articles into an index, made if there is none, and return what was done.  See `rag.ingest`."""
    items = pipeline.find(sources)
    model = Model(settings.model.name, batch=settings.model.batch)
    wanted = Fingerprint(
        model.name,
        model.digest,
        model.dim,
        model.max_tokens,
        min(settings.passages.tokens, model.max_tokens),
        settings.passages.overlap,
    )
    if dry_run and not local.LocalStore.exists(index):
        return pipeline.ingest(items, None, model, settings, dry_run=True, on_progress=on_progress)
    store = _anew(index, wanted) if rebuild and not dry_run else local.LocalStore.create(index, wanted)
    try:
        if not rebuild:
            _same(store.fingerprint, wanted, Path(index))
        with store.writer(wanted if rebuild and not dry_run else None) as transaction:
            report = pipeline.ingest(
                items,
                transaction,
                model,
                settings,
                prune=prune,
                all_or_nothing=rebuild,
                dry_run=dry_run,
                on_progress=on_progress,
            )
        with store.view() as now:
            stats = now.stats()
        return replace(report, articles=stats.articles, passages=stats.passages)
    finally:
        store.close()


def remove(id: str, index: str | Path) -> None:
    """Erase an article from an index, all its revisions and vectors.  Raises UnknownArticle."""
    store = local.LocalStore(index)
    try:
        with store.writer() as transaction:
            transaction.remove(id)
    finally:
        store.close()


def _anew(index: str | Path, wanted: Fingerprint) -> local.LocalStore:
    """Return the store of an index about to be rebuilt; files too damaged to be opened are kept under another name."""
    try:
        store = local.LocalStore.create(index, wanted)
    except (IndexDamaged, IndexMismatch) as error:
        log.warning("%s; the old catalog is kept as %s", error, local.set_aside(index, view.CATALOG))
        store = local.LocalStore.create(index, wanted)
    try:
        local.check_vectors(index, wanted.dim)
    except IndexDamaged as error:
        log.warning("%s; the old file is kept as %s", error, local.set_aside(index, view.VECTORS))
    return store


def _same(recorded: Fingerprint, wanted: Fingerprint, index: Path) -> None:
    """Raise IndexMismatch naming the first thing that differs."""
    for name, says in asdict(recorded).items():
        asked = asdict(wanted)[name]
        if says != asked:
            raise IndexMismatch(
                f"index {index.absolute()} was built with {name}={says!r}, the settings say {asked!r}: "
                "change the settings back, or build anew with `rag ingest SOURCE --rebuild`"
            )
