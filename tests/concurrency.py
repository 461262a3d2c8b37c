"""Readers and a writer on one index for a while, each in a process of its own.

    python tests/concurrency.py --seconds 60 --readers 8 --threads 8

Every commit writes all articles anew and puts its number into their texts; every second one removes an article for good
and adds another.  So the number that a view shows says everything else about it: which articles there are, how many
passages, and what each search finds.  Two numbers in one view are a mix of two commits.

The writer notes when each commit had returned, in a file that all have mapped.  A view begun later must show it.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from fakes import FINGERPRINT, HashEmbedder
from forcing import around_words, slow_openings, small_segments
from oracle import stats_of

from rag.errors import IndexDamaged, UnknownArticle
from rag.intake import pipeline
from rag.intake.items import Item
from rag.protocols import View
from rag.retrieve import Fused, search
from rag.settings import Settings
from rag.store.local import LocalStore
from rag.types import Article, Filter, Section

LIVE = 10
"""Articles there are at any time, of two passages each."""

STALE = 1_000_000_000
"""Nanoseconds after which a commit must be seen at the latest."""

PATIENCE = 60
"""Seconds that a process has to end by itself when its time is up."""

ROOT = "/pages"
EMBEDDER = HashEmbedder()
Times = npt.NDArray[np.int64]


def ids(commit: int) -> list[str]:
    """Return the ids of the articles that there are after a commit."""
    return [f"a{n:06}" for n in range(commit // 2, commit // 2 + LIVE)]


def article(id: str, commit: int | str) -> Article:
    """Return an article as a commit writes it."""
    n = int(id[1:])
    text = f"Alpha word{n} commit{commit} harbour.\n\nBeta tide commit{commit} of group{n % 3}."
    half = text.index("\n\n")
    return Article(
        id=id,
        title="Log",
        text=text,
        authors=(f"Author {n % 3}",),
        published=date(2024, n % 12 + 1, 1),
        source=f"s{n % 2}",
        sections=(Section("LEAD", 0, half), Section("BACKGROUND", half + 2, len(text))),
    )


# -- the writer -------------------------------------------------------------------------------


class Abandoned(Exception):
    """What a writer's block is left with in place of a commit."""


class Writing:
    """Commits one after another, each in one of the ways there are."""

    def __init__(self, folder: Path, times: Times, seed: int) -> None:
        self.store = LocalStore(folder)
        self.times, self.rng = times, random.Random(seed)
        self.settings = Settings.load(passages={"tokens": 32})
        self.commit = int(np.count_nonzero(times))
        self.done: Counter[str] = Counter()

    def until(self, end: float) -> None:
        while time.monotonic() < end and self.commit + 8 < len(self.times):
            how = self.rng.choices(["commits", "abandoned", "rebuilt"], [10, 2, 1])[0]
            self.done[how] += 1
            if how == "abandoned":
                self.abandon()
            else:
                with self.store.writer(FINGERPRINT if how == "rebuilt" else None) as t:
                    for _ in range(self.rng.randint(1, 3)):
                        self.write(t)
            time.sleep(self.rng.choice([0, 0, 0.01, 0.1]))

    def write(self, t: Any) -> None:
        """Make one commit and note when it had returned."""
        commit = self.commit + 1
        prune = self.rng.random() < 0.5
        if not prune:
            for id in sorted(t.ids() - set(ids(commit))):
                t.remove(id)
                self.done["removed"] += 1
        items = [Item(article(id, commit), ROOT, f"{ROOT}/{id}") for id in ids(commit)]
        self.rng.shuffle(items)
        # In one commit, whatever time it takes.
        report = pipeline.ingest(items, t, EMBEDDER, self.settings, prune=prune, all_or_nothing=True)
        self.times[commit] = time.monotonic_ns()
        self.commit = commit
        self.done["pruned"] += report.removed
        self.done["changed"] += report.changed

    def abandon(self) -> None:
        with contextlib.suppress(Abandoned), self.store.writer() as t:
            for id in ids(self.commit)[: self.rng.randint(1, LIVE - 1)]:
                pipeline_add(t, article(id, "abandoned"))
            t.remove(ids(self.commit)[-1])
            raise Abandoned


def pipeline_add(t: Any, a: Article) -> None:
    """Add an article's sections as passages, without a commit."""
    from contracts import passages

    new = passages(a)
    t.remember([p.key for p in new], EMBEDDER.vectors([a.text[p.start : p.end] for p in new]))
    t.add(a, new, f"{ROOT}/{a.id}")


# -- readers ----------------------------------------------------------------------------------


@dataclass
class Tally:
    """What one reader did, times in milliseconds."""

    views: int = 0
    queries: int = 0
    refused: int = 0
    """Views that could not be had in the middle of a rebuild."""
    opening: list[float] = field(default_factory=list)
    stale: list[float] = field(default_factory=list)
    """Of the views that did not show a commit that had returned before they began, by how much."""
    error: str = ""


class Reading:
    """One reader: view after view, each checked for being of one commit, and of a new enough one."""

    def __init__(self, store: LocalStore, times: Times, seed: int, *, alone: bool) -> None:
        self.store, self.times, self.rng, self.alone = store, times, random.Random(seed), alone
        self.tally = Tally()
        self.commit = self.generation = 0
        self.asks: list[Callable[[View, int], None]] = [
            self.whole, self.dense, self.by_author, self.lexical, self.by_phrase, self.by_date, self.texts, self.fused,
            self.listed,
        ]  # fmt: skip

    def until(self, end: float) -> Tally:
        try:
            while time.monotonic() < end:
                self.look()
                if self.alone and self.rng.random() < 0.05:
                    self.store.close()
                    self.store = LocalStore(self.store.folder)
        except BaseException:
            self.tally.error = traceback.format_exc()
        return self.tally

    def look(self) -> None:
        began = time.monotonic_ns()
        with contextlib.ExitStack() as stack:
            try:
                view = stack.enter_context(self.store.view())
            except IndexDamaged as error:
                # What a reader is told that opens the words of an index while they are replaced in a rebuild.
                if "No such file" not in str(error):
                    raise
                self.tally.refused += 1
                return
            self.tally.opening.append((time.monotonic_ns() - began) / 1e6)
            self.tally.views += 1
            self.check(view, began)

    def check(self, view: View, began: int) -> None:
        """See that a view is new enough, and of one commit in what it is asked."""
        commit = self.shown(view)
        next_came = int(self.times[commit + 1])
        late = began - next_came if next_came else 0
        if late > 0:
            self.tally.stale.append(late / 1e6)
        assert late <= STALE, f"commit {commit + 1} had returned {late / 1e9:.3f} s before a view of {commit} began"
        assert commit >= self.commit, f"commit {commit} after {self.commit}"
        assert view.generation >= self.generation, f"generation {view.generation} after {self.generation}"
        self.commit, self.generation = commit, view.generation
        for ask in self.rng.sample(self.asks, self.rng.randint(1, 4)):
            ask(view, commit)
            self.tally.queries += 1
            if self.rng.random() < 0.2:
                # The writer goes on meanwhile.
                time.sleep(self.rng.uniform(0, 0.1))

    def shown(self, view: View) -> int:
        """Return the number of the commit that a view shows."""
        (passage, _), *_ = view.passages(view.dense(EMBEDDER.query("harbour"), 1).rows.tolist())
        return int(passage.text.split("commit")[1].split()[0])

    def found(self, view: View, commit: int, rows: npt.NDArray[np.int64]) -> list[str]:
        """Return the articles of some rows, all seen to be as the commit wrote them."""
        found = view.passages(rows.tolist())
        for passage, head in found:
            a = article(head.id, commit)
            assert (passage.revision, head) == (a.revision, a.head), f"{passage.text!r} in a view of commit {commit}"
            assert passage.text == a.text[passage.start : passage.end]
        return sorted(head.id for _, head in found)

    def whole(self, view: View, commit: int) -> None:
        scored = view.dense(EMBEDDER.query("tide"), 1_000)
        assert self.found(view, commit, scored.rows) == sorted(ids(commit) * 2)
        assert view.similar(EMBEDDER.query("tide"), scored.rows).tolist() == scored.scores.tolist()

    def dense(self, view: View, commit: int) -> None:
        for scored in view.dense_many(EMBEDDER.queries(["word3 group1", "harbour"]), 5):
            assert len(self.found(view, commit, scored.rows)) >= 5

    def by_author(self, view: View, commit: int) -> None:
        wanted = [id for id in ids(commit) if int(id[1:]) % 3 == 1]
        where = Filter(authors=("author 1",), sections=("lead",))
        assert self.found(view, commit, view.dense(EMBEDDER.query("tide"), 50, where).rows) == wanted
        assert [h.id for h, _ in view.articles(where)] == wanted

    def lexical(self, view: View, commit: int) -> None:
        assert self.found(view, commit, view.lexical(f"commit{commit}", 50).rows) == sorted(ids(commit) * 2)
        for other in (commit - 1, commit + 1, "abandoned"):
            assert not len(view.lexical(f"commit{other}", 50).rows), f"words of commit {other} in a view of {commit}"

    def by_phrase(self, view: View, commit: int) -> None:
        where = Filter(phrases=(f"commit{commit} harbour",), sources=("s1",))
        wanted = [id for id in ids(commit) if int(id[1:]) % 2]
        assert self.found(view, commit, view.dense(EMBEDDER.query("tide"), 50, where).rows) == wanted
        assert self.found(view, commit, view.lexical("alpha", 50, where).rows) == wanted

    def by_date(self, view: View, commit: int) -> None:
        where = Filter(since=date(2024, 4, 1), until=date(2024, 8, 31), sections=("BACKGROUND",))
        wanted = [id for id in ids(commit) if 4 <= int(id[1:]) % 12 + 1 <= 8]
        assert self.found(view, commit, view.dense(EMBEDDER.query("tide"), 50, where).rows) == wanted

    def texts(self, view: View, commit: int) -> None:
        first = ids(commit)[0]
        assert view.article(first) == article(first, commit)
        for gone in range(max(int(first[1:]) - 3, 0), int(first[1:])):
            try:
                view.article(f"a{gone:06}")
            except UnknownArticle:
                continue
            raise AssertionError(f"article {gone} was removed and is back in a view of commit {commit}")

    def fused(self, view: View, commit: int) -> None:
        hits = search(Fused(EMBEDDER, dense_weight=0.65, depth=10), view, "alpha tide", 8, group="article")
        assert len({h.article.id for h in hits}) == 8
        for h in hits:
            assert h.passage.revision == article(h.article.id, commit).revision

    def listed(self, view: View, commit: int) -> None:
        assert [(h.id, n) for h, n in view.articles()] == [(id, 2) for id in ids(commit)]
        stats = stats_of(view)
        assert (stats.articles, stats.passages, stats.generation) == (LIVE, 2 * LIVE, view.generation)


# -- processes --------------------------------------------------------------------------------


def child(role: str, folder: Path, seed: int, threads: int) -> None:
    """Be the writer or a reader: say that all is loaded, be told until when to go on, and print what was done."""
    small_segments(pytest.MonkeyPatch(), scan=bool(seed % 2))
    rng = random.Random(seed)

    def wait() -> None:
        if rng.random() < 0.5:
            time.sleep(rng.uniform(0, 0.05))

    around_words(pytest.MonkeyPatch(), wait)
    slow_openings(pytest.MonkeyPatch(), wait)
    times = mapped(folder)
    answer(["ready"])
    told = sys.stdin.readline()
    if not told:
        return  # Whoever started this is gone.
    end = float(told)
    # Whatever it may wait for then, it ends.
    faulthandler.dump_traceback_later(end - time.monotonic() + PATIENCE / 2, exit=True)
    if role == "writer":
        writing = Writing(folder, times, seed)
        error = ""
        try:
            writing.until(end)
        except BaseException:
            error = traceback.format_exc()
        answer([{"error": error, **writing.done, "commit": writing.commit}])
        return
    store = LocalStore(folder)
    readers = [Reading(store, times, seed + n, alone=threads == 1) for n in range(threads)]
    rest = [threading.Thread(target=r.until, args=(end,)) for r in readers[1:]]
    for thread in rest:
        thread.start()
    readers[0].until(end)
    for thread in rest:
        thread.join()
    answer([r.tally.__dict__ for r in readers])


def answer(value: object) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def mapped(folder: Path) -> Times:
    """Return the moments at which commits had returned, by their number; 0 for one that has not."""
    path = folder.parent / "returned"
    return np.memmap(path, np.int64, "r+" if path.exists() else "w+", shape=(500_000,))


@dataclass
class Outcome:
    """What came of it, times in milliseconds."""

    writer: dict[str, Any]
    readers: list[Tally]
    errors: list[str]

    def lines(self) -> Iterator[str]:
        stale = sorted(s for r in self.readers for s in r.stale)
        opening = sorted(o for r in self.readers for o in r.opening)
        done = ", ".join(f"{n} {what}" for what, n in self.writer.items() if what not in ("error", "commit"))
        yield f"writer: {done}; its last commit had number {self.writer.get('commit', 0)}"
        yield f"readers: {len(self.readers)}, views {self.views}, queries {self.queries}, errors {len(self.errors)}"
        yield f"views refused in the middle of a rebuild: {sum(r.refused for r in self.readers)}"
        yield f"stale views: {len(stale)}, by at most {max(stale, default=0):.1f} ms; {spread(stale)}"
        yield f"opening a view took at most {max(opening, default=0):.1f} ms; {spread(opening)}"

    @property
    def views(self) -> int:
        return sum(r.views for r in self.readers)

    @property
    def queries(self) -> int:
        return sum(r.queries for r in self.readers)

    @property
    def stalest(self) -> float:
        return max((s for r in self.readers for s in r.stale), default=0.0)


def spread(ordered: list[float]) -> str:
    if not ordered:
        return "none"
    return ", ".join(f"p{p} {ordered[min(len(ordered) * p // 100, len(ordered) - 1)]:.2f}" for p in (50, 95, 99))


def run(base: Path, *, seconds: float, processes: int, threads: int = 0, seed: int = 1) -> Outcome:
    """Let a writer and so many readers work; with threads, one more process whose threads share one store."""
    folder = base / "index"
    LocalStore.create(folder, FINGERPRINT).close()
    times = mapped(folder)
    with LocalStore(folder).writer() as t:
        Writing(folder, times, seed).write(t)
    roles = [("writer", 1), *[("reader", 1)] * processes, *([("reader", threads)] if threads else [])]
    started: list[subprocess.Popen[str]] = []
    try:
        for n, (role, size) in enumerate(roles):
            call = [sys.executable, __file__, "--role", role, "--folder", str(folder), "--seed", str(seed + 100 * n)]
            started.append(
                subprocess.Popen(
                    [*call, "--threads", str(size)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
                )
            )
        # All are loaded before the first begins.  One that cannot be has closed its output.
        ready = [p.stdout.readline() for p in started if p.stdout]
        errors = [f"a {role} could not start" for (role, _), line in zip(roles, ready, strict=True) if not line]
        end = time.monotonic() + seconds
        if not errors:
            for p in started:
                say(p, f"{end}\n")
        answers = [last_words(p, end + PATIENCE) for p in started]
    finally:
        for p in started:
            if p.poll() is None:
                os.kill(p.pid, signal.SIGKILL)
            p.wait()
            for pipe in (p.stdin, p.stdout):
                if pipe:
                    pipe.close()
    errors += [f"a {role} did not end by itself" for (role, _), a in zip(roles, answers, strict=True) if not a]
    writer = answers[0][0] if answers[0] else {}
    readers = [Tally(**t) for t in itertools.chain.from_iterable(answers[1:])]
    errors += [e for e in (writer.get("error", ""), *(r.error for r in readers)) if e]
    return Outcome(writer, readers, errors)


def say(process: subprocess.Popen[str], line: str) -> None:
    """Send a line to a process that may be gone already."""
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(line)
        process.stdin.flush()


def last_words(process: subprocess.Popen[str], end: float) -> list[dict[str, Any]]:
    """Return what a process prints before it ends; nothing when it does not in time."""
    try:
        printed, _ = process.communicate(timeout=max(end - time.monotonic(), 1))
    except subprocess.TimeoutExpired:
        return []
    return list(json.loads(printed)) if printed else []


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=float, default=60)
    options.add_argument("--readers", type=int, default=8, help="reading processes")
    options.add_argument("--threads", type=int, default=0, help="threads of one more process that share one store")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--role", choices=["writer", "reader"], help=argparse.SUPPRESS)
    options.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.role:
        child(given.role, given.folder, given.seed, given.threads)
        return
    with tempfile.TemporaryDirectory(prefix="footnote-concurrency-") as base:
        outcome = run(
            Path(base), seconds=given.seconds, processes=given.readers, threads=given.threads, seed=given.seed
        )
    about = f"{date.today()}: {given.seconds:g} s, {given.readers} readers and {given.threads} threads of one more"
    sys.stdout.write("\n".join([about, *outcome.lines(), *outcome.errors]) + "\n")
    sys.exit(bool(outcome.errors))


if __name__ == "__main__":
    main()
