"""How the store does with 10,000 to millions of passages: `python eval/scale run [--sizes 10000 100000 1000000]`.

RAG_EVAL_DATA names the folder of outside sets that everything is made from.  What is made from them lies in a cache
folder, so that a second run is quick; every figure is appended to eval/out/scale/figures.jsonl as soon as it is
measured.  A run that was interrupted goes on where it was with --resume.  `report` writes the tables and pictures anew.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import results
from measure import Bench

ROOT = Path(__file__).parent.parent.parent
SIZES = (10_000, 100_000, 1_000_000)


def arguments() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(prog="eval/scale", description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=["run", "make", "report"], nargs="?", default="run",
                        help="run: measure; make: only make the material; report: only write the results")  # fmt: skip
    parser.add_argument("--data", type=Path, help="folder of outside sets; unset: $RAG_EVAL_DATA")
    parser.add_argument("--sizes", nargs="+", type=int, default=list(SIZES), help="passages, e.g. 3000000 10000000 too")
    parser.add_argument("--cache", type=Path, help="folder of what is made; unset: in the user's cache folder")
    parser.add_argument("--work", type=Path, default=ROOT / "eval" / "out" / "scale", help="indexes and figures")
    parser.add_argument("--out", type=Path, default=ROOT / "eval" / "results" / "scale", help="without its ending")
    parser.add_argument("--resume", action="store_true", help="keep the figures that are there")
    parser.add_argument("--only", nargs="+", metavar="FIGURE", help="only these kinds: build start ask compare change")
    parser.add_argument("--keep", action="store_true", help="keep the indexes")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--noise", type=float, default=0.3, help="length of the noise in made vectors")
    parser.add_argument("--repeats", type=int, default=3, help="of each question without a filter")
    parser.add_argument("--starts", type=int, default=9, help="fresh processes")
    parser.add_argument("--filters-each", type=int, default=20, help="filters of each kind and selectivity")
    parser.add_argument("--singles", type=int, default=15, help="commits that delete or add one article")
    parser.add_argument("--groups", type=int, default=3, help="commits that delete or add many")
    parser.add_argument("--many", type=int, default=1_000, help="articles of such a commit")
    args = parser.parse_args()
    args.sizes = sorted(set(args.sizes))
    args.data = args.data or (Path(os.environ["RAG_EVAL_DATA"]) if os.environ.get("RAG_EVAL_DATA") else None)
    if args.command != "report" and args.data is None:
        parser.error("name the folder of outside sets with --data, or in RAG_EVAL_DATA")
    return args


def main() -> None:
    """Do what the command line says."""
    args = arguments()
    bench = Bench(args)
    try:
        if args.command != "report":
            bench.prepare()
        if args.command == "run":
            bench.run()
    except KeyboardInterrupt:
        print("\ninterrupted: the figures so far are kept, --resume goes on from here", file=sys.stderr)
        raise SystemExit(130) from None
    if args.command != "make":
        for path in results.write(bench.figures(), args.out):
            print(f"wrote {path.name}")


if __name__ == "__main__":
    main()
