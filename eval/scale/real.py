"""The real texts that everything is made from: passages as the product cuts them, their vectors, and questions.

They are cut and embedded once and lie in a cache folder outside the project, because the sets are free for measuring
only.  What was embedded before an interruption is not embedded again.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from progress import Progress

from rag.evaluation.halves import half
from rag.handover import Vectors
from rag.intake.chunk import chunk, sentences, short_title
from rag.intake.readers import read
from rag.intake.sources import pages
from rag.intake.text import embedded_text
from rag.protocols import Embedder
from rag.settings import Settings
from rag.types import Article

SETS = ("nq-gold", "squad2-half", "time-1963", "news-2022", "cranfield", "medline-1033")
ASKED = {"nq-gold": 120, "squad2-half": 100, "time-1963": 60}
"""Sets whose questions are asked, and how many of either half at most."""
NEIGHBOURS = 24
"""Passages of other articles of the same set that a passage may be mixed with."""
PART = 2_000
"""Passages embedded between two files."""
SEED = 11


@dataclass(frozen=True, slots=True)
class Questions:
    """Real questions with their own vectors, shape (n, dim)."""

    texts: list[str]
    sets: list[str]
    vectors: Vectors

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True, slots=True)
class Real:
    """Real passages.  Those of an article lie together: `first` and `last` bound the article of each passage."""

    sentences: list[list[str]]
    titles: list[str]
    sets: list[str]
    first: npt.NDArray[np.int64]
    last: npt.NDArray[np.int64]
    vectors: Vectors
    neighbours: npt.NDArray[np.int32]
    digest: str

    def __len__(self) -> int:
        return len(self.titles)


def prepare(data: Path, cache: Path, embedder: Embedder, settings: Settings) -> Path:
    """Return the folder of the real passages, their vectors and the questions, made where there is none."""
    cut = settings.passages
    corpora = [data / name / "corpus.jsonl" for name in SETS]
    named = [embedder.digest, cut.tokens, cut.title, *((p.parent.name, p.stat().st_size) for p in corpora)]
    folder = cache / f"real-{hashlib.sha256(json.dumps(named).encode()).hexdigest()[:12]}"
    if (folder / "complete").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "passages.jsonl"
    if not path.exists():
        half_made = path.with_suffix(".part")
        with half_made.open("w", encoding="utf-8") as out:
            for record in _cut(corpora, embedder, settings):
                out.write(json.dumps(record, ensure_ascii=False) + "\n")
        half_made.rename(path)
    records = _records(path)
    _embed(folder, [r["reads"] for r in records], embedder)
    vectors = _vectors(folder, len(records))
    first, _ = _bounds(records)
    np.save(folder / "neighbours.npy", _neighbours(vectors, [r["set"] for r in records], first))
    for part in ("tune", "report"):
        _ask(data, folder, part, embedder)
    (folder / "complete").touch()
    return folder


def load(folder: Path) -> Real:
    """Return what `prepare` made."""
    records = _records(folder / "passages.jsonl")
    first, last = _bounds(records)
    return Real(
        [r["sentences"] for r in records],
        [r["title"] for r in records],
        [r["set"] for r in records],
        first,
        last,
        _vectors(folder, len(records)),
        np.load(folder / "neighbours.npy"),
        folder.name.removeprefix("real-"),
    )


def questions(folder: Path, part: str) -> Questions:
    """Return the questions of one half: "tune" to choose by, "report" to measure with."""
    found = json.loads((folder / f"questions-{part}.json").read_text("utf-8"))
    return Questions([t for _, t in found], [s for s, _ in found], np.load(folder / f"questions-{part}.npy"))


def _cut(corpora: Sequence[Path], embedder: Embedder, settings: Settings) -> Iterator[dict[str, Any]]:
    limits, cut = settings.limits, settings.passages
    articles = 0
    for path in corpora:
        for article in (a for page in pages(path) for a in read(page, max_page=2**31, max_line=limits.line_bytes)):
            if not isinstance(article, Article):
                continue
            title = short_title(article.title, embedder, cut.tokens) if cut.title else ""
            for p in chunk(article, embedder, tokens=cut.tokens, overlap=cut.overlap, title=title):
                yield {
                    "set": path.parent.name,
                    "article": articles,
                    "title": "" if article.title_made else article.title,
                    "reads": embedded_text(title, p.text),
                    "sentences": [" ".join(p.text[s.start : s.end].split()) for s in sentences(p.text)],
                }
            articles += 1


def _records(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def _bounds(records: Sequence[dict[str, Any]]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    of = np.array([r["article"] for r in records])
    return np.searchsorted(of, of, "left"), np.searchsorted(of, of, "right")


def _embed(folder: Path, texts: Sequence[str], embedder: Embedder) -> None:
    progress = Progress("embedding real passages", len(texts), "passages")
    for at in range(0, len(texts), PART):
        path = folder / f"vectors-{at:07}.npy"
        progress.at(at)
        if not path.exists():
            found = np.concatenate(list(embedder.passages(texts[at : at + PART])))
            half_made = path.with_suffix(".part.npy")
            np.save(half_made, found)
            half_made.rename(path)
    progress.at(len(texts))


def _vectors(folder: Path, count: int) -> Vectors:
    return np.concatenate([np.load(folder / f"vectors-{at:07}.npy") for at in range(0, count, PART)])


def _neighbours(vectors: Vectors, sets: Sequence[str], first: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
    """Return for each passage those of other articles in its set that are nearest to it."""
    found = np.empty((len(vectors), NEIGHBOURS), np.int32)
    at = 0
    for _, run in itertools.groupby(sets):
        stop = at + len(list(run))
        own, articles = vectors[at:stop], first[at:stop]
        for begin in range(0, len(own), 1024):
            near = own[begin : begin + 1024] @ own.T
            near[articles[begin : begin + 1024, None] == articles[None, :]] = -2
            best = np.argpartition(-near, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
            found[at + begin : at + begin + len(near)] = at + best
        at = stop
    return found


def _ask(data: Path, folder: Path, part: str, embedder: Embedder) -> None:
    """Keep the questions of one half that something in their set answers, chosen by chance, with their vectors."""
    chosen: list[tuple[str, str]] = []
    for name, most in ASKED.items():
        with (data / name / "qrels" / "test.tsv").open(encoding="utf-8") as lines:
            rows = [line.split("\t") for line in itertools.islice(lines, 1, None)]
        judged = {row[0] for row in rows if int(row[2]) > 0}
        with (data / name / "queries.jsonl").open(encoding="utf-8") as lines:
            all_of_it = [(r["_id"], r["text"]) for r in map(json.loads, lines)]
        fit = [(name, text) for id, text in all_of_it if id in judged and half(name, id) == part]
        chosen += random.Random(SEED).sample(fit, min(most, len(fit)))
    np.save(folder / f"questions-{part}.npy", embedder.queries([text for _, text in chosen]))
    (folder / f"questions-{part}.json").write_text(json.dumps(chosen, ensure_ascii=False), "utf-8")
