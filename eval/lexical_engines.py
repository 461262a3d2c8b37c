"""Three lexical engines on the same passages: `python eval/lexical_engines.py FOLDER [--passages 1000000]`.

SQLite's FTS5, tantivy as the search uses it, and bm25s, each in a process of its own: building, size, memory, the time
of a question with and without a filter, replacing and removing passages, and nDCG@10 of the best passage of each
article on real sets.  FOLDER holds the outside sets.  Writes results/lexical_engines.md and .json.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import resource
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from tables import commit

from rag.words import analyzer, terms

HERE = Path(__file__).parent
OUT = HERE / "out" / "lexical"
QUALITY = ("time-1963", "squad2-half", "nq-gold", "cranfield", "medline-1033", "checkthat-2020")
POOL = ("nq-gold", "news-2022", "timeqa-articles", "squad2-half")
K = 100
SEED = 7
MOST_QUESTIONS = 500

Rows = Sequence[tuple[int, str]]
"""Passages with their numbers."""


class Lexical(Protocol):
    """What an engine has to do."""

    def add(self, rows: Iterable[tuple[int, str]]) -> None:
        """Add passages and make them readable."""

    def remove(self, rows: Rows) -> None:
        """Remove passages, given with their texts, and make that visible."""

    def search(self, question: str, k: int, among: np.ndarray | None = None) -> list[tuple[int, float]]:
        """Return the best rows and scores, only of those `among`, if given."""


class Tantivy:
    """As the search uses it: stems, one field, a filter of few rows as a query."""

    def __init__(self, folder: Path) -> None:
        from rag.store import lexical

        self._lexical, self._folder = lexical, folder
        self._index: Any = None

    def _write(self, work: Callable[[Any], None]) -> None:
        writer = self._lexical.WordsWriter(self._folder)
        work(writer)
        writer.commit()
        writer.close()
        index = self._index or self._lexical.open_index(self._folder)
        self._index, self._words = index, self._lexical.Words(index, self._folder)

    def add(self, rows: Iterable[tuple[int, str]]) -> None:
        def work(writer: Any) -> None:
            for row, text in rows:
                writer.add([row], "", [text])

        self._write(work)

    def remove(self, rows: Rows) -> None:
        self._write(lambda writer: writer.remove([r for r, _ in rows]))

    def search(self, question: str, k: int, among: np.ndarray | None = None) -> list[tuple[int, float]]:
        found = self._words.search(question, k, among)
        return list(zip(found.rows.tolist(), found.scores.tolist(), strict=True))


class Fts5:
    """Porter stems, no text kept in the index; a filter as a table of rows joined in."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(folder / "fts.sqlite")
        self._db.execute(
            "CREATE VIRTUAL TABLE IF NOT EXISTS f USING fts5(body, content='', tokenize='porter unicode61')"
        )
        self._db.execute("CREATE TEMP TABLE among (row INTEGER PRIMARY KEY)")

    def add(self, rows: Iterable[tuple[int, str]]) -> None:
        with self._db:
            self._db.executemany("INSERT INTO f (rowid, body) VALUES (?, ?)", rows)

    def remove(self, rows: Rows) -> None:
        with self._db:
            self._db.executemany("INSERT INTO f (f, rowid, body) VALUES ('delete', ?, ?)", rows)

    def search(self, question: str, k: int, among: np.ndarray | None = None) -> list[tuple[int, float]]:
        asked = " OR ".join(f'"{t}"' for t in dict.fromkeys(terms(question)))
        if not asked:
            return []
        inside = ""
        if among is not None:
            self._db.execute("DELETE FROM among")
            self._db.executemany("INSERT INTO among VALUES (?)", ((int(r),) for r in among))
            inside = " AND rowid IN (SELECT row FROM among)"
        sql = f"SELECT rowid, -bm25(f) FROM f WHERE f MATCH ?{inside} ORDER BY bm25(f) LIMIT {k}"
        return [(int(r), float(s)) for r, s in self._db.execute(sql, (asked,))]


class Bm25s:
    """In memory; a change means indexing everything again."""

    def __init__(self, folder: Path) -> None:
        self._texts: dict[int, list[str]] = {}

    def _index(self) -> None:
        import bm25s

        self._rows = np.array(list(self._texts), np.int64)
        self._model = bm25s.BM25(method="lucene", k1=1.2, b=0.75)
        self._model.index(list(self._texts.values()), show_progress=False)

    def add(self, rows: Iterable[tuple[int, str]]) -> None:
        stems = analyzer(stem=True)
        for row, text in rows:
            self._texts[row] = [sys.intern(t) for t in stems.analyze(text)]
        self._index()

    def remove(self, rows: Rows) -> None:
        for row, _ in rows:
            self._texts.pop(row, None)
        self._index()

    def search(self, question: str, k: int, among: np.ndarray | None = None) -> list[tuple[int, float]]:
        asked = [t for t in terms(question) if t in self._model.vocab_dict]
        if not asked:
            return []
        mask = None if among is None else np.isin(self._rows, among).astype(np.float32)
        found, scores = self._model.retrieve([asked], k=min(k, len(self._rows)), show_progress=False, weight_mask=mask)
        return [(int(self._rows[n]), float(s)) for n, s in zip(found[0], scores[0], strict=True) if s > 0]


ENGINES: dict[str, Callable[[Path], Lexical]] = {"tantivy": Tantivy, "fts5": Fts5, "bm25s": Bm25s}


def passages(folder: Path, count: int) -> Iterator[tuple[int, str]]:
    """Yield so many passages of about 700 characters, each of real sentences put together by chance."""
    pool = []
    for name in POOL:
        with (folder / name / "corpus.jsonl").open(encoding="utf-8") as lines:
            for record in map(json.loads, lines):
                pool += [s for s in record["text"].replace("\n", " ").split(". ") if 20 < len(s) < 400]
    draw = random.Random(SEED)
    for row in range(count):
        text = ""
        while len(text) < 600:
            text += draw.choice(pool) + ". "
        yield row, text


def questions(folder: Path, name: str = "nq-gold") -> list[str]:
    """Return questions of a set, chosen by chance."""
    with (folder / name / "queries.jsonl").open(encoding="utf-8") as lines:
        return random.Random(SEED).sample([json.loads(line)["text"] for line in lines], MOST_QUESTIONS)


def timed(work: Callable[[], Any]) -> float:
    """Return the seconds that some work takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def percentiles(times: Sequence[float]) -> dict[str, float]:
    """Return the median and the 95th percentile in milliseconds."""
    return {f"p{p}": float(np.percentile(times, p)) * 1000 for p in (50, 95)}


def measure(engine: str, folder: Path, count: int) -> dict[str, Any]:
    """Return what there is to tell of an engine with so many passages."""
    where = OUT / engine
    shutil.rmtree(where, ignore_errors=True)
    where.mkdir(parents=True)
    index = ENGINES[engine](where)
    told: dict[str, Any] = {"engine": engine, "build_s": timed(lambda: index.add(passages(folder, count)))}
    told["disk_mib"] = sum(p.stat().st_size for p in where.rglob("*") if p.is_file()) / 2**20
    asked = questions(folder)
    for q in asked[:20]:
        index.search(q, K)
    told["question_ms"] = percentiles([timed(lambda q=q: index.search(q, K)) for q in asked])
    among = np.sort(np.random.default_rng(SEED).choice(count, count // 1000, replace=False))
    told["filter_ms"] = percentiles([timed(lambda q=q: index.search(q, K, among)) for q in asked[:200]])
    allowed = set(among.tolist())
    told["filter_holds"] = all({r for r, _ in index.search(q, K, among)} <= allowed for q in asked[:50])
    some = list(itertools.islice(passages(folder, count), count // 1000))
    told["replace_s"] = timed(lambda: (index.remove(some), index.add((r + count, t) for r, t in some)))
    many = list(itertools.islice(passages(folder, count), count // 1000, count // 10))
    told["remove_s"] = timed(lambda: index.remove(many))
    gone = {r for r, _ in (*some, *many)}
    told["removed_stay_away"] = not any(gone & {r for r, _ in index.search(q, K)} for q in asked[:200])
    told["afterwards_ms"] = percentiles([timed(lambda q=q: index.search(q, K)) for q in asked])
    told["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    shutil.rmtree(where, ignore_errors=True)
    return told


def quality(engine: str, folder: Path) -> dict[str, float]:
    """Return nDCG@10 by set: our passages, their titles in front, the best of each article."""
    from rag.engine import open_engine
    from rag.evaluation import collection, measures, runs
    from rag.evaluation.retrieval import index_of
    from rag.settings import Settings

    found = {}
    for name in QUALITY:
        c = collection.read(folder / name)
        with open_engine(index_of(c, Settings.load(), HERE / "out" / "indexes")) as opened, opened.view() as view:
            rows = [int(r) for r in view._state.rows[view._state.live]]  # type: ignore[attr-defined]
            known = view.passages(rows)
        where = OUT / f"{engine}-{name}"
        shutil.rmtree(where, ignore_errors=True)
        index = ENGINES[engine](where)
        index.add((n, f"{head.title}\n{passage.text}") for n, (passage, head) in enumerate(known))
        ranked = {}
        for query in c.judged:
            best: dict[str, float] = {}
            for n, score in index.search(c.queries[query], 1000):
                best.setdefault(known[n][1].id, score)
            ranked[query] = runs.falling(list(best.items())[:100])
        values = measures.per_query(["nDCG@10"], {q: c.judgments[q] for q in c.judged}, ranked)["nDCG@10"]
        found[name] = float(np.mean(list(values.values())))
        shutil.rmtree(where, ignore_errors=True)
    return found


def main() -> None:
    """Measure each engine in a process of its own, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--passages", type=int, default=1_000_000)
    parser.add_argument("--engines", nargs="+", default=list(ENGINES), choices=list(ENGINES))
    parser.add_argument("--only", choices=["speed", "quality"], help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "lexical_engines")
    args = parser.parse_args()
    if args.only:
        (engine,) = args.engines
        done = measure(engine, args.folder, args.passages) if args.only == "speed" else quality(engine, args.folder)
        print(json.dumps(done))
        return
    rows = []
    for engine in args.engines:
        row: dict[str, Any] = {}
        for only in ("speed", "quality"):
            command = [sys.executable, __file__, str(args.folder), "--only", only, "--engines", engine]
            done = subprocess.run(
                [*command, "--passages", str(args.passages)], capture_output=True, text=True, check=True
            )
            told = json.loads(done.stdout.splitlines()[-1])
            row |= told if only == "speed" else {"ndcg": told}
        rows.append(row)
        print(json.dumps(row), flush=True)
    from rag.evaluation.tables import table

    heads = [
        "engine", "build s", "disk MiB", "peak MiB", "p50 ms", "p95 ms", "filter p95 ms", "replace .1 % s",
        "remove 10 % s", "p95 ms then", *QUALITY,
    ]  # fmt: skip
    lines = [
        [
            r["engine"], f"{r['build_s']:.0f}", f"{r['disk_mib']:.0f}", f"{r['peak_mib']:.0f}",
            f"{r['question_ms']['p50']:.1f}", f"{r['question_ms']['p95']:.1f}", f"{r['filter_ms']['p95']:.1f}",
            f"{r['replace_s']:.1f}", f"{r['remove_s']:.1f}", f"{r['afterwards_ms']['p95']:.1f}",
            *(f"{r['ndcg'][s]:.4f}" for s in QUALITY),
        ]
        for r in rows
    ]  # fmt: skip
    about = f"{args.passages:,} passages, {date.today()}, commit {commit()}; a filter lets one in a thousand pass."
    text = f"{about}\n\n{table(heads, lines)}\n"
    print(text)
    args.out.with_suffix(".md").write_text(text, "utf-8")
    args.out.with_suffix(".json").write_text(json.dumps(rows, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
