"""Crash test of the local index: `python tests/torture` tries a sample, `--full` everything and writes the table."""

from __future__ import annotations

import argparse
import os
import random
import sys
from pathlib import Path

# Before any library reads them: a fork is of a process with one thread.
os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"
sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from torture import space, trace
from torture.cases import Bench, Case, Outcome
from torture.known import KNOWN, known
from torture.parts import PARTS, every, sample
from torture.report import ROOT, line, page, read
from torture.running import Progress, one, prepare, tried, use
from torture.scenarios import SCENARIOS
from torture.workplace import Workplace, set_up

SKIPPED = 77
"""Exit status that says the test cannot be made here."""

MUTANTS = {"catalog-first": ("killed", ""), "segments-unsynced": ("power", "strict")}
"""Stores that are wrong on purpose, and where that must be noticed."""


def arguments() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(prog="tests/torture", description=__doc__)
    parser.add_argument("--full", action="store_true", help="everything, and the table")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="cases tried side by side")
    parser.add_argument(
        "--only", nargs="+", default=list(PARTS), choices=list(PARTS), metavar="PART", help=", ".join(PARTS)
    )
    parser.add_argument("--scenario", nargs="+", default=list(SCENARIOS), choices=list(SCENARIOS))
    parser.add_argument("--every", type=int, default=1, help="of all cases only one in so many")
    parser.add_argument(
        "--sqlite-as-built", action="store_true", help="do not undo that some builds overwrite what is deleted"
    )
    parser.add_argument("--resume", action="store_true", help="keep what an earlier run tried")
    parser.add_argument(
        "--mutant", choices=list(MUTANTS), help="succeed if a store that is wrong on purpose is noticed"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "eval" / "results" / "torture.md", help="the table")
    return parser.parse_args()


def main() -> int:
    """Do what the command line says; 0 when nothing failed that is not known."""
    args = arguments()
    if trace.why_not():
        sys.stderr.write(f"skipped: {trace.why_not()}\n")
        return SKIPPED
    set_up(as_built=args.sqlite_as_built)
    bench = Bench(Workplace(), args.seed)
    try:
        if args.mutant:
            return _noticed(bench, args.mutant)
        if "full" in args.only and space.why_not(bench.place.root):
            sys.stderr.write(f"no small disks: {space.why_not(bench.place.root)}\n")
        prepare(bench, args.scenario)
        there_are = cases = every(bench, args.scenario, args.only)
        if args.every > 1:
            cases = random.Random(args.seed).sample(cases, len(cases) // args.every)
        if args.full:
            return _whole(bench, cases, len(there_are), args)
        return _sample(bench, sample(cases, args.seed), args.jobs)
    finally:
        bench.place.close()


def _sample(bench: Bench, cases: list[Case], jobs: int) -> int:
    outcomes = list(tried(bench, cases, jobs))
    bad = [o for o in outcomes if o.result == "failed"]
    for o in bad:
        sys.stdout.write(f"{'known' if known(o) else 'FAILED'}: {o.case} at {o.operation}: {o.problem}\n")
    sys.stdout.write(f"{len(outcomes)} cases, {len(bad)} failed, {sum(bool(known(o)) for o in bad)} of them known\n")
    return int(any(not known(o) for o in bad))


def _whole(bench: Bench, cases: list[Case], there_are: int, args: argparse.Namespace) -> int:
    kept = ROOT / "eval" / "out" / "torture.jsonl"
    kept.parent.mkdir(parents=True, exist_ok=True)
    if not args.resume:
        kept.unlink(missing_ok=True)
    outcomes = read(kept)
    rest = [case for case in cases if case not in outcomes]
    # In any order, so that the time left is right and a run that is broken off has tried some of everything.
    random.Random(args.seed).shuffle(rest)
    progress = Progress(len(rest))
    try:
        with kept.open("a", encoding="utf-8") as file:
            for outcome in tried(bench, rest, args.jobs):
                outcomes[outcome.case] = outcome
                file.write(line(outcome) + "\n")
                progress.one_more(outcome)
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted: `--resume` goes on from here\n")
    args.out.write_text(page(list(outcomes.values()), bench.recorded, args.seed, there_are), "utf-8")
    sys.stderr.write(f"{args.out}\n")
    seen = {known(o) for o in outcomes.values()}
    for _, _, what in KNOWN:
        if what not in seen:
            sys.stderr.write(f"known, and not seen any more: {what}\n")
    return int(any(o.result == "failed" and not known(o) for o in outcomes.values()))


def _noticed(bench: Bench, mutant: str) -> int:
    """Try cases with a store that is wrong, until one fails that does not with the store as it is."""
    part, how = MUTANTS[mutant]
    prepare(bench, ["grow"])
    use(bench)
    cases = [c for c in every(bench, ["grow"], [part]) if c.how == how]
    for case in random.Random(bench.seed).sample(cases, 40):
        wrong = one(Case(case.part, case.scenario, case.n, case.how, mutant))
        if wrong.result == "failed" and _reason(wrong) != _reason(one(case)):
            sys.stdout.write(f"noticed: {wrong.case} at {wrong.operation}: {wrong.problem}\n")
            return 0
    sys.stdout.write(f"{mutant} was not noticed\n")
    return 1


def _reason(outcome: Outcome) -> str:
    return known(outcome) or outcome.problem


if __name__ == "__main__":
    sys.exit(main())
