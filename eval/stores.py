"""One index in two stores, side by side: `python eval/stores.py FOLDER`.

FOLDER holds the outside sets.  Each set's index is made in a folder, copied into another folder and to a Milvus server,
and both copies are put to the same questions: how good the search is, how long it takes, in turn, and how fast passages
go in.  Nothing is embedded but questions.  The server is `milvus-lite server` on this machine, or the one that
MILVUS_URI names.  Writes results/stores.md, and .json beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
import socket
import subprocess
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

from rag import moving
from rag.engine import Engine, open_engine
from rag.evaluation import collection, commands
from rag.evaluation.halves import half
from rag.evaluation.retrieval import index_of
from rag.settings import Settings

HERE = Path(__file__).parent
OUT = HERE / "out" / "stores"
SETS = ("time-1963", "cranfield", "squad2-half")
MEASURES = ("nDCG@10", "R@10")
TIMED = 150
"""Questions that both are asked in turn."""
WITHIN = 0.005
"""How far apart their measures may be."""


@contextmanager
def milvus() -> Iterator[tuple[str, str]]:
    """Give the address of a server and what it is."""
    if address := os.environ.get("MILVUS_URI"):
        # Not among the configuration, which is written down with each run.
        os.environ["RAG_STORE__TOKEN"] = os.environ.get("MILVUS_TOKEN", "")
        yield address, "the server of MILVUS_URI"
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        command = [str(Path(sys.executable).with_name("milvus-lite")), "server", "--host", "127.0.0.1"]
        command += ["--port", str(port), "--data-dir", folder]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
            try:
                until = time.monotonic() + 60
                while time.monotonic() < until:
                    with socket.socket() as probe:
                        if probe.connect_ex(("127.0.0.1", port)) == 0:
                            break
                    time.sleep(0.1)
                yield f"http://127.0.0.1:{port}", f"milvus-lite {version('milvus-lite')} as a server"
            finally:
                server.terminate()


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


def row(folder: Path, name: str, address: str) -> dict[str, Any]:
    """Return what is told of one set."""
    read = collection.read(folder / name)
    here = Settings.load()
    made = index_of(read, here, HERE / "out" / "indexes")
    copied = OUT / f"{name}-copy"
    shutil.rmtree(copied, ignore_errors=True)
    told: dict[str, Any] = {"set": name, "rates": {}, "measures": {}}
    with store(address) as chosen, ExitStack() as stack:
        there = Settings.load(store=chosen)
        for kind, target, settings in (("folder", copied, here), ("milvus", address, there)):
            report = moving.copy(made, target, settings)
            told["rates"][kind] = report.passages / report.seconds
            print(f"{name}: {report.passages:,} passages into {kind} in {report.seconds:.1f} s", flush=True)
        compared = moving.compare(copied, address, there)
        assert not compared.differences, compared.differences
        told |= {"passages": compared.passages, "meaning": compared.meaning, "words": compared.words}
        for kind, config in (("folder", ()), ("milvus", tuple(f"store.{k}={v}" for k, v in chosen.items()))):
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


def table(rows: Sequence[dict[str, Any]], server: str) -> str:
    """Return what was found as Markdown."""
    lines = [
        "# One index in two stores",
        "",
        f"Made {date.today()} by eval/stores.py at commit {commit()}, the bundled model.  The folder is the embedded"
        f" store, Milvus is {server}, on the same two cores over loopback.  Every question of a set is asked for the"
        f" measures; times are of {TIMED} questions of the reporting half at most, asked in turn, the embedding of the"
        " question included.  The rate is that of `rag copy` from another folder, which embeds nothing.  Nearest and"
        " words are the shares that both find of the ten best of 100 passages, asked for by their vectors and by their"
        " words.",
        "",
        "| set | passages | questions | store | nDCG@10 | R@10 | p50 ms | p95 ms | passages/s in | nearest | words |",
        "| --- | ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for told in rows:
        for kind in ("folder", "milvus"):
            good, (p50, p95) = told["measures"][kind], told["ms"][kind]
            same = f"{told['meaning']:.3f} | {told['words']:.3f}" if kind == "milvus" else "– | –"
            lines.append(
                f"| {told['set']} | {told['passages']:,} | {told['queries']:,} | {kind} | {good['nDCG@10']:.4f} |"
                f" {good['R@10']:.4f} | {p50:.1f} | {p95:.1f} | {told['rates'][kind]:,.0f} | {same} |"
            )
    most = max(abs(t["measures"]["folder"][m] - t["measures"]["milvus"][m]) for t in rows for m in MEASURES)
    lines += ["", f"The measures differ by {most:.4f} at most; up to {WITHIN} was asked for."]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", nargs="+", default=list(SETS))
    args = parser.parse_args()
    with milvus() as (address, server):
        rows = [row(args.folder, name, address) for name in args.sets]
    text = table(rows, server)
    path = HERE / "results" / "stores"
    path.with_suffix(".md").write_text(text, "utf-8")
    path.with_suffix(".json").write_text(json.dumps({"server": server, "rows": rows}, indent=1) + "\n", "utf-8")
    print(text)


if __name__ == "__main__":
    main()
