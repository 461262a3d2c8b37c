"""A run: the questions of a collection, put one by one to the search that everyone gets."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

import rag
from rag.engine import Engine
from rag.errors import BadSource, IndexMismatch, InvalidSettings, UnknownArticle
from rag.evaluation import measures, quotes, runs
from rag.evaluation.collection import Collection, Judgments
from rag.evaluation.quotes import Place, Placed
from rag.keeping import ingest
from rag.settings import Settings
from rag.to_json import found as as_json
from rag.types import Article, ArticleHead, Hit, Passage, Progress, Steps

DEPTH = 100
"""Articles found for each question."""

AROUND = 200
"""Characters kept on either side of a quote."""

SHOWN = 10
"""First hits of each question that are kept with their texts."""


def settings_of(config: Sequence[str]) -> Settings:
    """Return the settings in force with some NAME=VALUE put first.  Raises InvalidSettings."""
    groups: dict[str, dict[str, str]] = {}
    for given in config:
        name, equals, value = given.partition("=")
        group, dot, field = name.partition(".")
        if not (equals and dot):
            raise InvalidSettings(f"configuration {given!r} is not GROUP.FIELD=VALUE, as search.dense_weight=0.7")
        if name in ("chat.key", "store.token"):
            # It would be in the name of the run, and in every file of it.
            raise InvalidSettings(
                f"configuration {name} is not for a run to hold: set RAG_{group.upper()}__{field.upper()}"
            )
        groups.setdefault(group, {})[field] = value
    return Settings.load(**groups)


def name_of(config: Sequence[str]) -> str:
    """Return the name of a run by what its configuration changes.

    >>> name_of(["search.depth=50", "search.retriever=dense"])
    'search.depth=50,search.retriever=dense'
    """
    return ",".join(config).replace("/", "_") or "default"


def index_of(
    collection: Collection, settings: Settings, folder: Path, on_progress: Callable[[Progress], None] | None = None
) -> Path:
    """Return an index of the collection's articles under a folder, brought up to date.

    There is one for a collection, in a folder wherever the user's own is kept; cut anew when the settings say so, it
    keeps the vectors of texts already embedded.
    """
    if collection.articles is None:
        raise BadSource(
            f"{collection.path.absolute()} comes without articles: name the index that holds them with --index, "
            "or put them into articles/ beside the questions"
        )
    settings = in_folders(settings)
    # Folders of one name in different places are different collections.
    place = hashlib.sha256(str(collection.articles.resolve()).encode()).hexdigest()[:8]
    index = folder / f"{collection.name}-{place}"
    try:
        report = ingest([collection.articles], index, settings, prune=True, on_progress=on_progress)
    except IndexMismatch:
        report = ingest([collection.articles], index, settings, rebuild=True, on_progress=on_progress)
    if report.failed:
        first = report.failed[0]
        raise BadSource(f"{len(report.failed)} articles cannot be read, the first {first.source}: {first.reason}")
    return index


def in_folders(settings: Settings) -> Settings:
    """Return settings by which an index lies in the folder that is named, and the one of `store.uri` is left alone."""
    return settings.model_copy(update={"store": settings.store.model_copy(update={"uri": None})})


def evaluate(
    collection: Collection,
    engine: Engine,
    out: Path,
    *,
    name: str = "default",
    config: Sequence[str] = (),
    names: Sequence[str] = measures.DEFAULT,
    on_progress: Callable[[Steps], None] | None = None,
) -> dict[str, Any]:
    """Ask a collection's judged questions, write the run to `out` and return its row: measures, times, sizes.

    Each question is searched for by itself, for ten passages and for the articles of the run; the time is that of the
    former, which is what a user waits, the model included.  An article is found where its best passage is, or where a
    twin's is that names it.  What an earlier, interrupted call has asked is not asked again.

    Raises BadSource when the judgments name articles that the index does not hold, or nothing is judged.
    """
    measures.parse(names)
    judged = judged_in(collection, engine)
    if not judged.queries:
        raise BadSource(f"{collection.path.absolute()}: no question has an article that answers it")

    def ask(query: str) -> dict[str, Any]:
        text, began = collection.queries[query], time.perf_counter()
        found = engine.search(text, k=10)
        seconds = time.perf_counter() - began
        passages = passages_of(found, judged.placed.places.get(query, ()), engine)
        hits = engine.search(text, k=DEPTH, group="article")
        return {
            "seconds": round(seconds, 6),
            "ranked": ranking(hits, judged.judgments[query]),
            "quotes": judged.quote_values(query, passages),
            "hits": as_json(text, hits[:SHOWN])["hits"],
        }

    told, wanted = about(collection, engine, config), judged.queries
    engine.search(collection.queries[wanted[0]], k=1)  # the model is loaded before the clock runs
    unfinished = runs.Unfinished(out / f"{name}.unfinished.jsonl", key(told, wanted))
    with unfinished:
        records = unfinished.complete(wanted, ask, name, on_progress)
    ranked = {q: [(a, float(s)) for a, s in records[q]["ranked"]] for q in wanted}
    values = judged.values(names, ranked, {q: records[q]["quotes"] for q in wanted})
    seconds = {q: records[q]["seconds"] for q in wanted}
    hits, texts = {q: records[q]["hits"] for q in wanted}, {q: collection.queries[q] for q in wanted}
    answering = {q: what_answers(engine, judged.judgments[q], judged.placed.places.get(q, ())) for q in wanted}
    run = runs.Run(name, ranked, told, values, seconds, hits, texts, answering)
    path = runs.write(run, out, judged.judgments)
    unfinished.remove()
    return row(run, path) | {"quotes_not_found": len(judged.placed.missing)}


def row(run: runs.Run, path: Path) -> dict[str, Any]:
    """Return what there is to tell of a run: its measures with intervals, its times, its index."""
    times = np.array(list(run.seconds.values())) * 1000
    return {
        **run.about,
        "run": str(path),
        "queries": len(run.ranked),
        "measures": {m: asdict(measures.score(v)) for m, v in run.values.items()},
        "latency_ms": {f"p{p}": round(float(np.percentile(times, p)), 2) for p in (50, 95)} if len(times) else {},
    }


@dataclass(frozen=True)
class Judged:
    """What is known to answer a collection's questions in an index: of articles, and of the words in them.

    `judgments` are of the `queries` that an article answers, in the order of their ids.
    """

    queries: Sequence[str]
    judgments: Judgments
    placed: Placed

    def quote_values(self, query: str, passages: Sequence[Passage]) -> dict[str, float]:
        """Return the values of the quotes that a question's hits show; nothing when it has none."""
        there = self.placed.places.get(query)
        return quotes.quote_values(passages, there) if there else {}

    def values(
        self, names: Sequence[str], ranked: measures.Ranked, shown: Mapping[str, Mapping[str, float]]
    ) -> measures.Values:
        """Return the value of each measure for every question, and after them those of the quotes."""
        values = measures.per_query(names, self.judgments, ranked)
        for measure in quotes.QUOTE_MEASURES:
            if of_some := {q: found[measure] for q, found in shown.items() if found}:
                values[measure] = of_some
        return values


def judged_in(collection: Collection, engine: Engine) -> Judged:
    """Return what answers a collection's questions; an article that holds a quote of which none is named does too.

    Raises BadSource for judgments of articles that the index does not hold.
    """
    ids = ids_of(engine)
    placed = quotes.places(collection.questions.values(), article_of(engine), ids)
    known = set(ids)
    unknown = [(q, a) for q, grades in collection.judgments.items() for a in grades if a not in known]
    if unknown:
        query, article = unknown[0]
        raise BadSource(
            f"{collection.path.absolute()}: {len(unknown)} judgments name articles that are not in the index, "
            f"the first {article!r} for query {query!r}"
        )
    judgments = {q: dict(grades) for q, grades in collection.judgments.items()}
    for question in collection.questions.values():
        if any(not quote.article for quote in question.quotes):
            for place in placed.places.get(question.id, ()):
                judgments.setdefault(question.id, {}).setdefault(place.article, 1)
    queries = sorted(q for q, grades in judgments.items() if any(g > 0 for g in grades.values()))
    return Judged(queries, {q: judgments[q] for q in queries}, placed)


def ranking(hits: Sequence[Hit], grades: Mapping[str, int]) -> list[tuple[str, float]]:
    """Return the articles of some hits with falling scores, to be measured.

    A hit stands for its article and for the twins that it names: those of them that answer are found there, and only
    where none does the hit's own counts, since a reader sees one entry.
    """
    found: dict[str, float] = {}
    for hit in hits:
        group = [hit.article.id, *(a.id for a in hit.also)]
        for id in [id for id in group if grades.get(id, 0) > 0] or group[:1]:
            found.setdefault(id, hit.score)
    return runs.falling(list(found.items()))


def passages_of(hits: Sequence[Hit], places: Sequence[Place], engine: Engine) -> list[Passage]:
    """Return the passages of hits, each as `counted` takes it."""
    return [counted(hit.passage, hit.also, places, engine) for hit in hits]


def counted(passage: Passage, also: Sequence[ArticleHead], places: Sequence[Place], engine: Engine) -> Passage:
    """Return a passage, as a twin's where only the twin's words are known to answer, and are there."""
    wanted = {p.article for p in places}
    for twin in (a.id for a in also if a.id in wanted and passage.article_id not in wanted):
        article = engine.article(twin)
        if spans := quotes.locate(article.text, passage.text):
            return Passage(twin, article.revision, *spans[0], passage.section, passage.text)
    return passage


def what_answers(engine: Engine, grades: Mapping[str, int], places: Sequence[Place]) -> list[dict[str, Any]]:
    """Return what answers a question, to be read: each quote with the words around it, and the articles without one."""
    told = []
    quoted = {p.article for p in places}
    for place in places:
        article = engine.article(place.article)
        start, end = place.spans[0]
        told.append(
            {
                "article": article.id,
                "title": article.title,
                "spans": [list(s) for s in place.spans],
                "before": article.text[max(start - AROUND, 0) : start],
                "quote": article.text[start:end],
                "after": article.text[end : end + AROUND],
            }
        )
    for id, grade in grades.items():
        if grade > 0 and id not in quoted:
            article = engine.article(id)
            lead = article.text[: 2 * AROUND]
            told.append({"article": id, "title": article.title, "spans": [], "quote": "", "lead": lead})
    return told


def about(collection: Collection, engine: Engine, config: Sequence[str]) -> dict[str, Any]:
    """Return what figures depend on: the collection, the settings that differ, the model, the index."""
    stats = engine.stats()
    return {
        "set": collection.name,
        "data": str(collection.path),
        "digest": collection.digest(),
        "config": list(config),
        "model": stats.fingerprint.model,
        "model_digest": stats.fingerprint.model_digest[:16],
        "passage_tokens": stats.fingerprint.passage_tokens,
        "articles": stats.articles,
        "passages": stats.passages,
        "index_bytes": stats.bytes,
        "version": rag.__version__,
    }


def key(told: Mapping[str, Any], asked: Sequence[str]) -> str:
    """Return what must be equal for the answers to some questions to be taken up again later."""
    lasting = {name: value for name, value in told.items() if name not in ("data", "index_bytes")}
    return hashlib.sha256(json.dumps([lasting, list(asked)], sort_keys=True).encode()).hexdigest()


def ids_of(engine: Engine) -> list[str]:
    """Return the ids of an index's articles."""
    return [head.id for head, _ in engine.articles()]


def article_of(engine: Engine) -> Callable[[str], Article | None]:
    """Return a function that gives an article by its id, or None."""

    def article(id: str) -> Article | None:
        try:
            return engine.article(id)
        except UnknownArticle:
            return None

    return article
