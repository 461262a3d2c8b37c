"""Everything that a way of ranking may look at, for every question and passage of a set at once.

Made from an ordinary index by the ordinary search, and kept under eval/out/ideas: an idea is then tried on thousands of
questions in seconds.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from rag.embed.model import Model
from rag.engine import open_engine
from rag.evaluation import collection, measures, runs
from rag.evaluation.retrieval import index_of
from rag.intake.chunk import sentences
from rag.settings import Settings
from rag.store import vectorfile
from rag.store.view import VECTORS, LocalView
from rag.words import QUESTION_WORDS

OUT = Path(__file__).parent.parent / "out"
Scores = npt.NDArray[np.float32]
"""A score for each passage, shape (passages,), or for each question too, shape (questions, passages)."""


@dataclass
class Case:
    """A set: its judged questions, its passages in order of article and place, and what compares them.

    `vectors` find the passages, `own` are those without a share of the article, `asked` those of the questions, and
    `keywords` those of the questions without the words that only make a question of them.

    `dense` holds cosines, `bare` those of passages embedded without their titles, `titled` those of the titles alone,
    `lexical` BM25 scores (0: no word in common) and `sentence` the cosine of each passage's best sentence, all of shape
    (questions, passages).  `article` numbers the article of each passage.
    """

    name: str
    digest: str
    queries: list[str]
    texts: list[str]
    judgments: collection.Judgments
    articles: list[str]
    titles: list[str]
    article: npt.NDArray[np.int64]
    start: npt.NDArray[np.int64]
    passages: list[str]
    vectors: Scores
    own: Scores
    asked: Scores
    keywords: Scores
    dense: Scores
    bare: Scores
    titled: Scores
    lexical: Scores
    sentence: Scores


def load(data: Path, split: str = "test", most: int | None = None) -> Case:
    """Return the case of a folder, made on first use; `most` takes so many questions, every nth of the sorted ids."""
    c = collection.read(data, split)
    wanted = c.judged
    if most and len(wanted) > most:
        wanted = [wanted[int(n)] for n in np.linspace(0, len(wanted) - 1, most)]
    settings = Settings.load()
    made_with = hashlib.sha256(f"{c.digest()}{settings.model_dump_json()}".encode()).hexdigest()[:8]
    folder = OUT / "ideas" / f"{c.name}-{split}-{len(wanted)}-{made_with}"
    if not (folder / "done").exists():
        _make(c, wanted, index_of(c, settings, OUT / "indexes"), settings, folder)
    told = json.loads((folder / "texts.json").read_text("utf-8"))
    arrays = {name: np.load(folder / f"{name}.npy") for name in ARRAYS}
    judgments = {q: c.judgments[q] for q in wanted}
    return Case(c.name, c.digest(), wanted, [c.queries[q] for q in wanted], judgments, **told, **arrays)


ARRAYS = (
    "article", "start", "vectors", "own", "asked", "keywords", "dense", "bare", "titled", "lexical", "sentence",
)  # fmt: skip


def _make(c: collection.Collection, wanted: list[str], index: Path, settings: Settings, folder: Path) -> None:
    texts = [c.queries[q] for q in wanted]
    with open_engine(index, settings) as engine, engine.view() as opened:
        view, model = cast(LocalView, opened), cast(Model, engine.embedder)
        rows = view._state.rows[view._state.live]  # The scripts of this folder look behind the View on purpose.
        found = [passage for passage, _ in view.passages(rows.tolist())]
        order = sorted(range(len(found)), key=lambda n: (found[n].article_id, found[n].start))
        rows, found = rows[order], [found[n] for n in order]
        heads = {head.id: head.title for head, _ in view.articles()}
        articles = sorted({p.article_id for p in found})
        number = {id: n for n, id in enumerate(articles)}
        asked = np.asarray(model.queries(texts), np.float32)
        vectors = np.concatenate([p.vectors(slice(None)) for p in view._state.parts])[view._state.live][order]
        keys = dict(view._db.execute("SELECT row, key FROM passages"))
        stored = vectorfile.VectorFile(index / VECTORS, model.dim, write=False)
        own = stored.get([bytes(keys[int(row)]) for row in rows])
        stored.close()
        lexical = np.zeros((len(texts), len(rows)), np.float32)
        place = {int(row): n for n, row in enumerate(rows)}
        for n, text in enumerate(texts):
            scored = view.lexical(text, len(rows))
            lexical[n, [place[int(r)] for r in scored.rows]] = scored.scores
        spans = [[p.text[s.start : s.end] for s in sentences(p.text)] or [p.text] for p in found]
        flat = [s for some in spans for s in some]
        near = asked @ np.concatenate(list(model.passages(flat))).T
        firsts = np.cumsum([0, *(len(s) for s in spans)])[:-1]
        arrays: dict[str, Any] = {
            "article": np.array([number[p.article_id] for p in found]),
            "start": np.array([p.start for p in found]),
            "vectors": vectors,
            "own": own,
            "asked": asked,
            "keywords": np.asarray(model.queries([" ".join(_without_question_words(t)) or t for t in texts])),
            "dense": asked @ vectors.T,
            "bare": asked @ np.concatenate(list(model.passages([p.text for p in found]))).T,
            "titled": (asked @ np.concatenate(list(model.passages([heads[a] or " " for a in articles]))).T)[
                :, [number[p.article_id] for p in found]
            ],
            "lexical": lexical,
            "sentence": np.maximum.reduceat(near, firsts, axis=1),
        }
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    told = {"articles": articles, "titles": [heads[a] for a in articles], "passages": [p.text for p in found]}
    (folder / "texts.json").write_text(json.dumps(told, ensure_ascii=False), "utf-8")
    (folder / "done").touch()


def _without_question_words(text: str) -> list[str]:
    return [w for w in text.split() if w.lower().strip("?,.!'\"") not in QUESTION_WORDS]


def values(case: Case, scores: Scores, measure: str = "nDCG@10") -> dict[str, float]:
    """Return a measure of every question when articles are ranked by scores of shape (questions, articles)."""
    ranked = {}
    for n, query in enumerate(case.queries):
        best = np.argsort(-scores[n], kind="stable")[:100]
        ranked[query] = runs.falling([(case.articles[a], float(scores[n, a])) for a in best if scores[n, a] > -1])
    return measures.per_query([measure], case.judgments, ranked)[measure]


def best_passages(case: Case, scores: Scores) -> Scores:
    """Return the score of each article's best passage, shape (questions, articles)."""
    firsts = np.flatnonzero(np.append(True, case.article[1:] != case.article[:-1]))
    return np.maximum.reduceat(scores, firsts, axis=1)


def top(scores: Scores, k: int) -> npt.NDArray[np.bool_]:
    """Return which passages are among the best k of each question, those that tie with the last included."""
    if k >= scores.shape[1]:
        return np.ones(scores.shape, bool)
    return scores >= np.partition(scores, -k, axis=1)[:, -k, None]


def candidates(case: Case, depth: int = 100) -> npt.NDArray[np.bool_]:
    """Return which passages a fused search looks at: the best of either side."""
    return top(case.dense, depth) | (top(case.lexical, depth) & (case.lexical > 0))


def share(scores: Scores, among: npt.NDArray[np.bool_]) -> Scores:
    """Return scores divided by the largest among some passages; none is below 0."""
    most = np.max(np.where(among, scores, 0), axis=1, keepdims=True)
    return np.maximum(scores, 0) / np.where(most > 0, most, 1)


def fused(case: Case, weight: float = 0.65, depth: int = 100) -> Scores:
    """Return what the shipped search gives, shape (questions, passages); -2 where it does not look."""
    among = candidates(case, depth)
    words = np.where(top(case.lexical, depth), case.lexical, 0)
    mixed = weight * share(case.dense, among) + (1 - weight) * share(words, among)
    return np.where(among, mixed, -2).astype(np.float32)
