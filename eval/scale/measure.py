"""A run: which figures are measured, in which processes, and where they are kept."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import material
import numpy as np
import platformdirs
import real
import realism
import vocabulary
from filters import filters
from machine import commit, machine
from memory import Peak
from spawn import spawn

from rag.embed.model import Model
from rag.settings import Settings
from rag.types import Filter, Fingerprint

OF_A_SIZE = ("build", "start", "ask", "compare", "change")
"""In this order: a change leaves another index."""
SEARCHES = 200
"""After so many the memory of a searching process is read."""
WITH_FILTERS = 60


class Failed(Exception):
    """A process did not do its job; the text is one line."""


class Task(NamedTuple):
    """A figure to measure, of an index of so many passages or of none, and how."""

    key: str
    size: int | None
    do: Callable[[], Any]


class Bench:
    """What the command line asks for."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.cache = args.cache or platformdirs.user_cache_path("footnote") / "scale"
        self.path: Path = args.work / "figures.jsonl"
        self.settings = Settings.load()

    def figures(self) -> dict[str, Any]:
        """Return the newest figures by their keys; what failed is not among them."""
        if not self.path.exists():
            return {}
        with self.path.open(encoding="utf-8") as lines:
            found = [json.loads(line) for line in lines]
        newest = {f["key"]: f for f in found if "value" in f}
        values = {key: f["value"] for key, f in newest.items()}
        # A run may have been gone on with at another commit.
        of_all = {name: sorted({f[name] for f in newest.values()}) for name in ("commit", "load")}
        return {**values, "commits": of_all["commit"], "loads": of_all["load"]} if newest else {}

    def prepare(self) -> None:
        """Cut, embed and make what is missing."""
        args, model = self.args, Model(precision="float32")
        self.real_folder = real.prepare(args.data, self.cache, model, self.settings)
        self.real_digest = self.real_folder.name.removeprefix("real-")
        self.material = material.Material.at(self.cache, self.real_digest, noise=args.noise, seed=args.seed)
        whole = self.material.folder / f"holds-{max(args.sizes)}"
        if not whole.exists():
            held = real.load(self.real_folder)
            self.material.ensure(max(args.sizes), held, self._words(held), noise=args.noise)
            whole.touch()
        cut = self.settings.passages
        self.fingerprint = dataclasses.asdict(
            Fingerprint(model.name, model.digest, model.dim, model.max_tokens, cut.tokens, cut.overlap, cut.context,
                        cut.title)
        )  # fmt: skip

    def _words(self, held: real.Real) -> vocabulary.Vocabulary:
        path = self.material.folder / "vocabulary.json"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            draws = material.exchanges_per_word(held, self.args.seed)
            vocabulary.write(vocabulary.fit(held.sentences, draws, self.args.seed), path)
        return vocabulary.read(path)

    def run(self) -> None:
        """Measure every figure that is wanted; one that fails is a line, and the rest goes on."""
        if not self.args.resume and self.path.exists():
            self.path.unlink()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        there = self.figures()
        tasks = [t for t in self._tasks() if t.key not in there]
        began = time.monotonic()
        for n, task in enumerate(tasks, 1):
            print(f"[{n}/{len(tasks)}] {task.key}", flush=True)
            now = datetime.now().astimezone().isoformat(timespec="seconds")
            figure: dict[str, Any] = {"key": task.key, "at": now, "commit": commit(), "load": os.getloadavg()[0]}
            try:
                figure["value"] = task.do()
            except Exception as error:  # Whatever one size does, the others are still measured.
                figure["failed"] = " ".join(f"{type(error).__name__}: {error}".split())[:300]
                print(f"  FAILED: {figure['failed']}", flush=True)
            with self.path.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(figure) + "\n")
            print(f"  {time.monotonic() - began:,.0f} s so far", flush=True)
            if task.size and task.size not in {t.size for t in tasks[n:]} and not self.args.keep:
                self._clear(task.size)

    def _tasks(self) -> Iterator[Task]:
        wanted = self.args.only or ("machine", "realism", "words", *OF_A_SIZE)
        for name, do in (("machine", machine), ("realism", self._realism), ("words", self._word_figures)):
            if name in wanted:
                yield Task(name, None, do)
        of_a_size = {"build": self._build, "start": self._start, "ask": self._ask, "compare": self._compare,
                     "change": self._change}  # fmt: skip
        for size in self.args.sizes:
            for kind in OF_A_SIZE:
                if kind in wanted:
                    yield Task(f"{kind}/{size}", size, partial(of_a_size[kind], size))

    def _index(self, size: int) -> Path:
        return Path(self.args.work / f"index-{size}")

    # -- figures ------------------------------------------------------------------------------

    def _realism(self) -> Any:
        held = real.load(self.real_folder)
        rows = realism.neighbourhoods(
            held, real.questions(self.real_folder, "tune"), self.args.seed, self.settings.passages.context
        )
        return {"rows": rows, "distance": realism.distance(rows), "noise": self.args.noise, "real": len(held)}

    def _word_figures(self) -> Any:
        held = real.load(self.real_folder)
        laws = vocabulary.read(self.material.folder / "vocabulary.json")
        made = [material.Collection(self.material, n) for n in self.args.sizes]
        return {
            "heaps": dataclasses.asdict(laws.heaps), "open": dataclasses.asdict(laws.open_words),
            "draws_per_word": laws.draws_per_word, "growth": realism.word_growth(made, laws),
            "terms": realism.term_shares(held, made[0], real.questions(self.real_folder, "report")),
            "per_article": float(made[-1].sizes.mean()),
        }  # fmt: skip

    def _clear(self, size: int) -> None:
        self._built(size).unlink(missing_ok=True)
        shutil.rmtree(self._index(size), ignore_errors=True)

    def _built(self, size: int) -> Path:
        """A file that is there while the index is as it was built."""
        return self._index(size).with_suffix(".built")

    def _build(self, size: int) -> Any:
        self._clear(size)
        found = self._work("build", size, watch=True)
        self._built(size).touch()
        return found

    def _ready(self, size: int) -> None:
        # A run that goes on may find its index changed or gone.
        if not self._built(size).exists():
            self._build(size)

    def _ask(self, size: int) -> Any:
        self._ready(size)
        return self._work("ask", size)

    def _compare(self, size: int) -> Any:
        self._ready(size)
        return self._work("compare", size)

    def _change(self, size: int) -> Any:
        self._ready(size)
        self._built(size).unlink()
        return self._work("change", size)

    def _start(self, size: int) -> Any:
        """Fresh processes to their first answer, and one that goes on searching."""
        self._ready(size)
        asked = real.questions(self.real_folder, "report")
        told = []
        for n in range(self.args.starts + 1):
            text = asked.texts[n % len(asked)]
            began = time.monotonic()
            found = self._searching(size, asked, [text], n)
            # The first only brings the files into the page cache.
            if n:
                told.append({**found, "process_s": found["answered_at"] - began})
        made = material.Collection(self.material, size)
        some = filters(made, 0.01, WITH_FILTERS // 6 + 1, self.args.seed + 2)
        rng = np.random.default_rng(self.args.seed)
        wheres = [as_fields(some[int(n)].where) for n in rng.permutation(len(some))[:WITH_FILTERS]]
        texts = list(dict.fromkeys(asked.texts))[:SEARCHES]
        searching = self._searching(size, asked, texts, 0, wheres)
        return {"starts": told, "searching": searching, "searches": len(texts), "filters": len(wheres)}

    # -- processes ----------------------------------------------------------------------------

    def _job(self, size: int, **more: Any) -> dict[str, Any]:
        args, search = self.args, self.settings.search
        return {
            "material": str(self.material.folder), "real": str(self.real_folder), "index": str(self._index(size)),
            "passages": size, "seed": args.seed, "fingerprint": self.fingerprint, "depth": search.depth,
            "dense_weight": search.dense_weight, "repeats": args.repeats, "filters_each": args.filters_each,
            "compared_each": max(args.filters_each // 3, 1), "singles": args.singles, "groups": args.groups,
            "many": args.many, "texts": real.questions(self.real_folder, "report").texts,
            "vectors": str(self.real_folder / "questions-report.npy"), **more,
        }  # fmt: skip

    def _work(self, do: str, size: int, *, watch: bool = False) -> Any:
        return _run("jobs", self._job(size, do=do), watch=watch)

    def _searching(
        self, size: int, asked: real.Questions, texts: list[str], at: int, wheres: list[dict[str, Any]] | None = None
    ) -> Any:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "questions.npy"
            of = {text: n for n, text in reversed(list(enumerate(asked.texts)))}
            np.save(path, asked.vectors[[of[t] for t in texts]])
            return _run("searching", self._job(size, texts=texts, vectors=str(path), filters=wheres or [], at=at))


def _run(script: str, job: dict[str, Any], *, watch: bool = False) -> Any:
    """Return what a process printed as its last line, with its peaks if they are wanted.  Raises Failed."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "job.json"
        path.write_text(json.dumps(job), "utf-8")
        with spawn(script, path) as process:
            peak = Peak(process.pid) if watch else None
            assert process.stdout is not None
            try:
                lines = process.stdout.read().strip().splitlines()
            except BaseException:
                process.terminate()
                raise
            told = peak.stop() if peak else None
            code = process.wait()
    if code or not lines:
        raise Failed(f"{script} {job.get('do', '')} with {job['passages']:,} passages ended with code {code}")
    found = json.loads(lines[-1])
    return {**found, "peak": told} if told else found


def as_fields(where: Filter) -> dict[str, Any]:
    """Return a filter as JSON holds it."""
    found = {k: v for k, v in dataclasses.asdict(where).items() if v}
    return {k: v.isoformat() if k in ("since", "until") else list(v) for k, v in found.items()}
