"""Runs us and five peers in turn, on the same machine, weights, documents and queries: `python eval/bench run DATA...`.

Every figure is appended to eval/out/bench/figures.jsonl as soon as it is measured, so that `--resume` goes on where a
run was stopped.  What a system cannot do is one line, and the rest goes on.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import peers
import report
from bench import Bench
from peers import OURS, PEERS, ROOT, VARIANTS
from tasks import take


def arguments() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(prog="eval/bench", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("data", nargs="*", type=Path, help="BEIR folders; time-1963 and squad2-half of $RAG_EVAL_DATA")
    common.add_argument("--envs", type=Path, help="folder of environments peer-NAME; otherwise they are made")
    common.add_argument("--systems", nargs="+", default=[OURS, *PEERS], choices=[OURS, *PEERS])
    common.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=VARIANTS, help="of the peers")
    common.add_argument("--set", nargs="+", default=[], metavar="GROUP.FIELD=VALUE", help="settings of ours")
    common.add_argument("--sample", type=int, help="only the first articles of each set: for trying the script")
    common.add_argument("--resume", action="store_true", help="keep the figures that are there")
    common.add_argument("--timeout", type=float, default=4 * 3600, help="seconds that one process may take")
    common.add_argument("--out", type=Path, default=ROOT / "eval" / "results" / "bench", help="without its ending")
    a_run = commands.add_parser("run", parents=[common], help="everything but the memory of large indexes")
    a_run.add_argument("--queries", type=int, default=300, help="judged queries of a set, at most")
    a_run.add_argument("--passages", type=int, default=3000, help="passages that every system embeds")
    a_run.add_argument("--rounds", type=int, default=3, help="of embedding, systems in turn")
    a_run.add_argument("--repeats", type=int, default=5, help="of a cold start and of imports")
    a_memory = commands.add_parser("memory", parents=[common], help="the memory of large indexes")
    a_memory.add_argument("--articles", type=int, default=10_000)
    a_memory.add_argument("--many", type=int, default=100_000, help="articles for us alone, 0 for none")
    a_memory.add_argument("--chars", type=int, help="characters of a piece that are embedded; all unless given")
    commands.add_parser("envs", parents=[common], help="only make the environments")
    commands.add_parser("report", parents=[common], help="only write the tables and the picture anew")
    args = parser.parse_args()
    if not args.data:
        folder = os.environ.get("RAG_EVAL_DATA")
        if not folder and args.command in ("run", "memory"):
            parser.error("name BEIR folders, or set RAG_EVAL_DATA to the folder that holds time-1963 and squad2-half")
        args.data = [Path(folder or ".") / name for name in ("time-1963", "squad2-half")]
    return args


def main() -> None:
    """Do what the command line says."""
    args = arguments()
    for name, _, value in (setting.partition("=") for setting in args.set):
        # Every process of ours reads its settings from here; the peers do not look.
        os.environ[f"RAG_{name.replace('.', '__').upper()}"] = value
    bench = Bench(args)
    if args.command == "envs":
        for name in dict.fromkeys(c.environment for c in bench.configs):
            print(name, peers.python(name, args.envs), flush=True)
        return
    if args.command != "report":
        bench.prepare()
        tasks = list(bench.tasks() if args.command == "run" else bench.memory_tasks())
        take(tasks, bench.figures, resume=args.resume)
    for path in report.write(bench.figures, args.out):
        print(f"wrote {path}")


if __name__ == "__main__":
    main()
