"""One index in two stores, side by side: `python eval/stores.py FOLDER`.

FOLDER holds the outside sets.  Each set's index is made in a folder, copied into another folder and to a Milvus server,
and both copies are put to the same questions: how good the search is, how long it takes, in turn, and how fast passages
go in.  Nothing is embedded but questions.  Servers are `milvus-lite server`; Milvus 2.3.5, which has no search by
words, so that both search by meaning alone; and the one that MILVUS_URI names, if it is set.  Writes results/stores.md,
and .json beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from pymilvus import MilvusClient
from tables import commit

from rag import differences, moving
from rag.engine import Engine, open_engine
from rag.evaluation import collection, commands
from rag.evaluation.halves import half
from rag.evaluation.retrieval import index_of
from rag.settings import Settings

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))
from milvus_servers import milvus_235, milvus_lite  # noqa: E402

OUT = HERE / "out" / "stores"
SETS = ("time-1963", "cranfield")
MEASURES = ("nDCG@10", "R@10")
TIMED = 150
"""Questions that both are asked in turn."""
WITHIN = 0.005
"""How far apart their measures may be."""
SERVERS = {"lite": milvus_lite, "2.3.5": milvus_235}


@contextmanager
def milvus(kind: str) -> Iterator[str]:
    """Give the address of a server of a kind."""
    if kind == "uri":
        # Not among the configuration, which is written down with each run.
        os.environ["RAG_STORE__TOKEN"] = os.environ.get("MILVUS_TOKEN", "")
        yield os.environ["MILVUS_URI"]
        return
    with tempfile.TemporaryDirectory() as folder, SERVERS[kind](Path(folder)) as server:
        yield server.address


@contextmanager
def store(address: str) -> Iterator[dict[str, str]]:
    """Give settings of a store of a new name, and take away what was made there."""
    name = f"eval_{secrets.token_hex(4)}"
    try:
        yield {"uri": address, "name": name}
    finally:
        client = MilvusClient(address, token=os.environ.get("RAG_STORE__TOKEN", ""))
        for made in client.list_collections():
            if made == name or made.startswith(f"{name}_"):
                client.drop_collection(made)
        client.close()


def row(folder: Path, name: str, server: str, address: str) -> dict[str, Any]:
    """Return what is told of one set and a server."""
    search = ("search.retriever=dense", "search.phrase_words=0") if server == "2.3.5" else ()
    read = collection.read(folder / name)
    here = Settings.load()
    made = index_of(read, here, HERE / "out" / "indexes")
    copied = OUT / f"{name}-copy"
    shutil.rmtree(copied, ignore_errors=True)
    told: dict[str, Any] = {"set": name, "server": server, "search": "dense" if search else "fused"}
    told |= {"rates": {}, "measures": {}}
    with store(address) as chosen, ExitStack() as stack:
        there = Settings.load(store=chosen)
        if search:
            here, there = (s.model_copy(update={"search": dense_only(s)}) for s in (here, there))
        for kind, target, settings in (("folder", copied, here), ("milvus", address, there)):
            report = moving.copy(made, target, settings)
            told["rates"][kind] = report.passages / report.seconds
            told["passages"] = report.passages
            print(f"{name}: {report.passages:,} passages into {kind} in {report.seconds:.1f} s", flush=True)
        if not search:
            compared = differences.compare(copied, address, there)
            assert not compared.differences, compared.differences
            told |= {"meaning": compared.meaning, "words": compared.words}
        at = tuple(f"store.{setting}={value}" for setting, value in chosen.items())
        for kind, config in (("folder", search), ("milvus", (*search, *at))):
            called = f"{kind}-{secrets.token_hex(2)}"
            (found,) = commands.retrieval(
                [folder / name], config=config, index=copied, measures=MEASURES, out=OUT, name=called
            )
            told["measures"][kind] = {m: found["measures"][m]["value"] for m in MEASURES}
            told |= {"queries": found["queries"], "digest": found["digest"]}
            print(f"{name}: {kind} {told['measures'][kind]}", flush=True)
        asked = [text for q, text in sorted(read.queries.items()) if half(name, q) == "report"][:TIMED]
        engines = {
            kind: stack.enter_context(open_engine(copied, settings))
            for kind, settings in (("folder", here), ("milvus", there))
        }
        told["ms"] = in_turn(engines, asked)
    return told


def dense_only(settings: Settings) -> Any:
    """Return settings of a search by meaning alone, quoted phrases too."""
    return settings.search.model_copy(update={"retriever": "dense", "phrase_words": 0})


def in_turn(engines: dict[str, Engine], questions: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Return the median and the 95th percentile of a search of each, in milliseconds."""
    times: dict[str, list[float]] = {kind: [] for kind in engines}
    for n, question in enumerate(questions):
        for kind, engine in engines.items():
            began = time.perf_counter()
            engine.search(question, k=10)
            if n >= 5:
                times[kind].append(1000 * (time.perf_counter() - began))
    return {kind: (float(np.median(t)), float(np.percentile(t, 95))) for kind, t in times.items()}


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Return what was found as Markdown."""
    lines = [
        "# One index in two stores",
        "",
        f"Made {date.today()} by eval/stores.py at commit {commit()}, the bundled model.  The folder is the embedded"
        f" store; lite is the server of milvus-lite {version('milvus-lite')}, 2.3.5 the standalone server of that"
        " version, which cannot search by words; all on the same two cores, over loopback.  Every question of a set is"
        f" asked for the measures; times are of {TIMED} questions of the reporting half at most, asked in turn, the"
        " embedding of the question included.  The rate is that of `rag copy` from another folder, which embeds"
        " nothing.  Nearest and words are the shares that both find of the ten best of 100 passages, asked for by their"
        " vectors and by their words.",
        "",
        "| set | passages | questions | search | store | nDCG@10 | R@10 | p50 ms | p95 ms | in a s | nearest | words |",
        "| --- | ---: | ---: | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for told in rows:
        for kind in ("folder", "milvus"):
            good, (p50, p95) = told["measures"][kind], told["ms"][kind]
            shared = [f"{told[s]:.3f}" if kind == "milvus" and s in told else "–" for s in ("meaning", "words")]
            lines.append(
                f"| {told['set']} | {told['passages']:,} | {told['queries']:,} | {told['search']} |"
                f" {told['server'] if kind == 'milvus' else kind} | {good['nDCG@10']:.4f} | {good['R@10']:.4f} |"
                f" {p50:.1f} | {p95:.1f} | {told['rates'][kind]:,.0f} | {' | '.join(shared)} |"
            )
    most = max(abs(t["measures"]["folder"][m] - t["measures"]["milvus"][m]) for t in rows for m in MEASURES)
    lines += ["", f"The measures differ by {most:.4f} at most; up to {WITHIN} was asked for."]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", nargs="+", default=list(SETS))
    there = [*SERVERS, *(["uri"] if os.environ.get("MILVUS_URI") else [])]
    parser.add_argument("--servers", nargs="+", default=there, choices=there)
    args = parser.parse_args()
    rows = []
    for server in args.servers:
        with milvus(server) as address:
            rows += [row(args.folder, name, server, address) for name in args.sets]
    text = table(rows)
    path = HERE / "results" / "stores"
    path.with_suffix(".md").write_text(text, "utf-8")
    path.with_suffix(".json").write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
    print(text)


if __name__ == "__main__":
    main()
