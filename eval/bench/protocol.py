"""What every system of the comparison answers to, and the one way each of them is timed.

Read in every system's own environment, so it needs the standard library alone; `tokenizers`, which all of them
have, is imported when the clock has stopped.
"""

from __future__ import annotations

import functools
import json
import resource
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

POSITIONS = 256
"""Tokens that the model reads, special ones included, as its authors set it."""

OPTIMISED = "onnx/model_O3.onnx"
"""The model in the folder that sentence-transformers wrote."""

WARM_UP = 5
"""Questions asked before any is timed."""

SAMPLE = 5
"""Vectors that are handed back, to see that every system runs the same weights."""


class Article(NamedTuple):
    """A line of corpus.jsonl."""

    id: str
    title: str
    text: str


class Hit(NamedTuple):
    """A piece that was found, with the article it comes from."""

    article: str
    text: str
    score: float


@dataclass
class Job:
    """What a worker is asked to do.  Paths are text, since a job crosses as JSON."""

    do: str
    mode: str
    variant: str
    model: str
    onnx: str = ""
    """Folder of the same weights as token-level ONNX, with its tokenizer beside it."""
    optimised: str = ""
    """Folder that sentence-transformers wrote of the same weights for its ONNX backend."""
    corpus: str = ""
    index: str = ""
    passages: str = ""
    questions: dict[str, str] = field(default_factory=dict)
    k: int = 10
    chars: int | None = None
    """Characters of a piece that are embedded, where the embedding is not what is measured."""
    batch: int = 32
    """Texts in one forward pass of a tuned peer, where it can be said: what a trial on this machine found best."""
    counts: bool = True
    """Whether the tokens of the pieces are counted."""

    def write(self, path: Path) -> None:
        """Write the job to a file."""
        path.write_text(json.dumps(asdict(self), ensure_ascii=False), "utf-8")

    @classmethod
    def read(cls, path: str) -> Job:
        """Return the job in a file."""
        return cls(**json.loads(Path(path).read_text("utf-8")))


class System(Protocol):
    """One system in one configuration, made from a Job.  Nothing is imported or loaded before it is needed."""

    reads: int
    """Tokens after which its embedder cuts a text, special ones included."""

    def load(self) -> None:
        """Load the model."""

    def embed(self, texts: list[str]) -> Sequence[Sequence[float]]:
        """Return the vectors of texts in their order, by the system's own class for that."""

    def index(self, corpus: Path, where: Path) -> Iterable[str]:
        """Index a corpus so that it outlives the process, and return the pieces as they were embedded.

        The pieces are put together when they are asked for, after the peak of memory is read; where they would have to
        be kept until then, there are some only if the job counts them.
        """

    def open(self, where: Path) -> None:
        """Open an index that another process made, and load what a question needs."""

    def search(self, question: str, k: int) -> list[Hit]:
        """Return the best k pieces, best first."""


def articles(corpus: Path) -> Iterator[Article]:
    """Yield the articles of a corpus in BEIR's form."""
    with corpus.open(encoding="utf-8") as lines:
        for record in map(json.loads, lines):
            yield Article(record["_id"], record.get("title") or "", record["text"])


def titled(title: str, text: str) -> str:
    """Return a text with its title in front.

    >>> titled("Normans", "They came by sea.")
    'Normans\\nThey came by sea.'
    """
    return f"{title}\n{text}" if title else text


def truncated(counts: Sequence[int], reads: int) -> int:
    """Return how many tokens an embedder that reads so many of each piece never sees.

    >>> truncated([200, 256, 300, 1000], 256)
    788
    """
    return sum(max(0, n - reads) for n in counts)


def token_counts(texts: Sequence[str], model: str) -> list[int]:
    """Return what each text costs in the model's tokens, special ones included, with nothing cut."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(Path(model) / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    counts: list[int] = []
    for at in range(0, len(texts), 1000):
        counts += [len(e.ids) for e in tokenizer.encode_batch(list(texts[at : at + 1000]))]
    return counts


def peak_bytes() -> int:
    """Return the most memory this process has held.

    VmHWM where there is one: ru_maxrss also counts what the parent held when it started this process.
    """
    try:
        status = Path("/proc/self/status").read_text("ascii")
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) * 1024
    except (OSError, StopIteration):
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024


def best_articles(system: System, question: str, k: int) -> list[str]:
    """Return the ids of the best k articles, each by its best piece, asking for ever more pieces until there are k."""
    depth = 4 * k
    while True:
        hits = system.search(question, depth)
        found = list(dict.fromkeys(h.article for h in hits))
        if len(found) >= k or len(hits) < depth:
            return found[:k]
        depth *= 4


def index(system: System, job: Job) -> dict[str, Any]:
    """Return the rate and the memory of making an index, in a process that has its model loaded."""
    loading = timed(system.load)
    system.embed(["to warm up"])
    began = time.perf_counter()
    pieces = system.index(Path(job.corpus), Path(job.index))
    seconds, peak = time.perf_counter() - began, peak_bytes()
    found = {
        "load_s": loading,
        "index_s": seconds,
        "peak_bytes": peak,
        "articles": sum(1 for _ in articles(Path(job.corpus))),
    }
    if not job.counts:
        return found
    counts = token_counts(list(pieces), job.model)
    return found | {
        "pieces": len(counts),
        "tokens": sum(counts),
        "reads": system.reads,
        "truncated": truncated(counts, system.reads),
        "over_positions": truncated(counts, POSITIONS),
    }


def query(system: System, job: Job) -> dict[str, Any]:
    """Return the time of every question, from its text to k hits with theirs, and the articles found for it."""
    system.open(Path(job.index))
    for text in list(job.questions.values())[:WARM_UP]:
        system.search(text, job.k)
    times = []
    for text in job.questions.values():
        began = time.perf_counter()
        hits = system.search(text, job.k)
        times.append(time.perf_counter() - began)
        if not hits or not all(h.text for h in hits):
            raise ValueError(f"no hits with their texts for {text!r}")
    return {"seconds": times, "found": {id: best_articles(system, q, job.k) for id, q in job.questions.items()}}


def embed(system: System, job: Job) -> dict[str, Any]:
    """Return the time it takes to embed the passages that every system is given, and the first vectors to compare."""
    passages = json.loads(Path(job.passages).read_text("utf-8"))
    system.load()
    system.embed(passages[:64])
    began = time.perf_counter()
    vectors = system.embed(passages)
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "passages": len(vectors), "sample": [unit(v) for v in vectors[:SAMPLE]]}


def unit(vector: Sequence[float]) -> list[float]:
    """Return a vector scaled to length 1.

    >>> unit([3, 4])
    [0.6, 0.8]
    """
    length = sum(float(x) ** 2 for x in vector) ** 0.5
    return [float(x) / length for x in vector]


def cold(system: System, job: Job) -> None:
    """Print the hits of one question, as a user's shortest script would."""
    system.open(Path(job.index))
    for rank, hit in enumerate(system.search(next(iter(job.questions.values())), job.k), 1):
        print(rank, hit.article, hit.text[:80].replace("\n", " "), flush=True)


def timed(work: Callable[[], object]) -> float:
    """Return how many seconds a piece of work takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def shorten(owner: Any, method: str, chars: int | None) -> None:
    """Make a class's embedding method see only the first characters of each text.

    For the memory of large indexes, where embedding whole texts would take hours and is measured elsewhere.
    """
    if chars is None:
        return
    whole = getattr(owner, method)

    def cut(texts: Any) -> Any:
        return texts[:chars] if isinstance(texts, str) else [t[:chars] for t in texts]

    # Chroma looks at the names of the arguments, and gives the texts by name.
    @functools.wraps(whole)
    def short(self: Any, *args: Any, **named: Any) -> Any:
        if args:
            return whole(self, cut(args[0]), *args[1:], **named)
        first, *_ = named
        return whole(self, **{**named, first: cut(named[first])})

    setattr(owner, method, short)
