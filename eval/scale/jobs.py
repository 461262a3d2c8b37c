"""The jobs that a process of its own does: building an index, asking it, comparing it with brute force, changing it."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import exact
import numpy as np
import real
from filters import SELECTIVITIES, Told, filters
from material import Collection, Made, Material
from memory import bytes_by_kind, held
from progress import Progress
from searching import Searcher
from spawn import spawn

from rag.store.local import LocalStore
from rag.types import Fingerprint

Job = dict[str, Any]

TOGETHER = 100
"""Articles whose vectors are stored at once."""
COMMIT_SECONDS = 5.0
"""Work that becomes visible at once, as in an ingest."""
DEPTH = 100


def collection(job: Job) -> Collection:
    """Return the articles of the job's index."""
    return Collection(Material(Path(job["material"]), job["seed"]), job["passages"])


def build(job: Job) -> Job:
    """Build the job's index anew, and return the seconds by part."""
    made = collection(job)
    before = held()
    store = LocalStore.create(job["index"], Fingerprint(**job["fingerprint"]))
    progress = Progress(f"building {job['passages']:,}", made.passages, "passages")
    seconds: Counter[str] = Counter()
    began = committed = at = time.perf_counter()

    def took(part: str) -> None:
        nonlocal at
        now = time.perf_counter()
        seconds[part] += now - at
        at = now

    done = 0
    with store.writer() as t:
        waiting: list[Made] = []

        def put() -> None:
            took("reading")
            t.remember([p.key for m in waiting for p in m.passages], np.concatenate([m.vectors for m in waiting]))
            took("vectors")
            for m in waiting:
                t.add(m.article, m.passages, "scale")
            took("articles")

        for m in made.articles():
            waiting.append(m)
            done += len(m.passages)
            if len(waiting) == TOGETHER:
                put()
                waiting.clear()
                if time.perf_counter() - committed > COMMIT_SECONDS:
                    t.commit()
                    committed = time.perf_counter()
                    took("commits")
                progress.at(done)
        if waiting:
            put()
        t.commit()
        took("commits")
    took("closing")
    wall = time.perf_counter() - began
    progress.at(done)
    with store.view() as view:
        stats = view.stats()
    store.close()
    return {
        "passages": stats.passages, "articles": stats.articles, "segments": stats.segments,
        "seconds": dict(seconds), "per_s": stats.passages / (wall - seconds["reading"]),
        "bytes": bytes_by_kind(Path(job["index"])), "before": before,
    }  # fmt: skip


def ask(job: Job) -> Job:
    """Return the seconds of each search: hybrid and its halves, without a filter and with ones never used before.

    All are asked in one order of chance, so that what slows the machine for a while slows all of them.
    """
    made, asked = collection(job), real.questions(Path(job["real"]), "report")
    told = [t for s in SELECTIVITIES for t in filters(made, s, job["filters_each"], job["seed"])]
    shares: dict[str, list[float]] = {}
    for t in told:
        shares.setdefault(f"{t.selectivity:g}/{t.kind}", []).append(t.matches / made.passages)
    searcher = Searcher(job, asked.texts, asked.vectors)
    for text in asked.texts[:20]:
        searcher.search(text)
    times: dict[str, list[float]] = {}
    every: list[tuple[int, Told | None]] = [(n, None) for _ in range(job["repeats"]) for n in range(len(asked))]
    every += [(n % len(asked), dataclasses.replace(t, bits=t.bits[:0])) for n, t in enumerate(told)]
    random.Random(job["seed"]).shuffle(every)
    del told
    progress = Progress(f"asking {job['passages']:,}", len(every), "questions")
    for done, (n, t) in enumerate(every, 1):
        where = t.where if t else None

        def put(mode: str, n: int, t: Told | None, work: Callable[[], object]) -> None:
            began = time.perf_counter()
            work()
            seconds = time.perf_counter() - began
            times.setdefault(f"{mode}/{t.selectivity:g}/{t.kind}" if t else mode, []).append(seconds)

        def dense(n: int = n, where: Any = where) -> None:
            with searcher.store.view() as view:
                view.dense(asked.vectors[n], DEPTH, where)

        def lexical(n: int = n, where: Any = where) -> None:
            with searcher.store.view() as view:
                view.lexical(asked.texts[n], DEPTH, where)

        if t:
            put("new", n, t, lambda n=n, w=where: searcher.search(asked.texts[n], w))
            for more in (1, 2):
                again = asked.texts[(n + more) % len(asked)]
                put("again", n, t, lambda text=again, w=where: searcher.search(text, w))
        else:
            put("hybrid", n, t, lambda n=n: searcher.search(asked.texts[n]))
        put("dense", n, t, dense)
        put("lexical", n, t, lexical)
        progress.at(done)
    return {"questions": len(asked), "repeats": job["repeats"], "seconds": times, "shares": shares}


def compare(job: Job) -> Job:
    """Return the recall of dense search against brute force, and whether as many were found as there are."""
    made, asked = collection(job), real.questions(Path(job["real"]), "report")
    told = [t for s in SELECTIVITIES for t in filters(made, s, job["compared_each"], job["seed"] + 1)]
    pairs: list[tuple[int, Told | None]] = [(n, None) for n in range(len(asked))]
    pairs += [((3 * n + m) % len(asked), t) for n, t in enumerate(told) for m in range(3)]
    context = job["fingerprint"]["context"]
    progress = Progress(f"brute force over {job['passages']:,}", made.chunks, "chunks")
    chunks = (exact.in_context(v, sizes, context) for v, sizes in _told(made.vectors(), progress))
    wanted = exact.best(chunks, asked.vectors, pairs, DEPTH)
    found: dict[str, dict[str, list[float]]] = {}
    short = outside = 0
    store = LocalStore(job["index"])
    with store.view() as view:
        for (n, t), want in zip(pairs, wanted, strict=True):
            got = view.dense(asked.vectors[n], DEPTH, t.where if t else None)
            numbers = [made.number(p.article_id, p.start) for p, _ in view.passages(got.rows.tolist())]
            scores = view.similar(asked.vectors[n], got.rows)
            row = found.setdefault(f"{t.selectivity:g}/{t.kind}" if t else "none", {"10": [], "100": []})
            for k, values in row.items():
                values.append(exact.recall(numbers, scores, want, int(k)))
            short += len(set(numbers)) < min(DEPTH, t.matches if t else made.passages)
            if t:
                outside += int((~t.mask(made.passages)[numbers]).sum())
    store.close()
    return {"recall": found, "searches": len(pairs), "short": short, "outside": outside}


def _told(chunks: Any, progress: Progress) -> Any:
    for n, chunk in enumerate(chunks, 1):
        yield chunk
        progress.at(n)


def change(job: Job) -> Job:
    """Remove and add articles again and again, while a reader in another process looks for what is new."""
    made = collection(job)
    articles = len(made.sizes)
    many = min(job["many"], articles // 2)
    chance = random.Random(job["seed"])
    singles = [[n] for n in chance.sample(range(articles), job["singles"])]
    groups = [sorted(chance.sample(range(articles), many)) for _ in range(job["groups"])]
    progress = Progress(f"changing {job['passages']:,}", 2 * len(singles + groups), "commits")
    store = LocalStore(job["index"])
    rows: list[Job] = []
    with spawn("watching", job["written"], asked=True) as reader:
        assert reader.stdout is not None
        if not reader.stdout.readline():
            raise RuntimeError("the reader did not start")
        try:
            # Where a segment is written anew a disk is given a gigabyte and is slow for seconds: so first all are
            # deleted that are deleted one by one.  Groups may share articles.
            for those in (singles, *([group] for group in groups)):
                for what in ("delete", "add"):
                    for group in those:
                        again = made.some(set(group))
                        rows.append({"what": what, "articles": len(group), **_commit(store, reader, what, again)})
                        progress.at(len(rows))
        except BaseException:
            # It waits for a commit that does not come.
            reader.kill()
            raise
        assert reader.stdin is not None
        reader.stdin.close()
    store.close()
    return {"rows": rows, "bytes": bytes_by_kind(Path(job["index"]))}


def _commit(store: LocalStore, reader: subprocess.Popen[str], what: str, articles: Sequence[Made]) -> Job:
    """Change the index in a writer of its own and return the seconds from before it was opened."""
    assert reader.stdin is not None
    assert reader.stdout is not None
    with store.view() as view:
        before = view.generation
    reader.stdin.write(f"{before}\n")
    reader.stdin.flush()
    # What the change before has written is to be on the disk.
    os.sync()
    time.sleep(0.05)
    began = time.monotonic()
    with store.writer() as t:
        opened = time.monotonic()
        if what == "add":
            t.remember([p.key for m in articles for p in m.passages], np.concatenate([m.vectors for m in articles]))
            for m in articles:
                t.add(m.article, m.passages, "scale")
        else:
            for m in articles:
                t.remove(m.article.id)
        t.commit()
        committed = time.monotonic()
    closed = time.monotonic()
    seen = json.loads(reader.stdout.readline())
    return {
        "open_s": opened - began, "commit_s": committed - began, "close_s": closed - committed,
        "seen_s": seen["seen_at"] - began, "reader_open_s": seen["open_s"], "reader_first_s": seen["first_s"],
        "reader_next_s": seen["next_s"], "passages": sum(len(m.passages) for m in articles),
    }  # fmt: skip


JOBS: dict[str, Callable[[Job], Job]] = {"build": build, "ask": ask, "compare": compare, "change": change}


def main() -> None:
    """Do the job in a file, and print what came of it as the last line."""
    job = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    try:
        print(json.dumps(JOBS[job["do"]]({**job, "written": sys.argv[1]})))
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
