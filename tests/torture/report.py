"""The table of a whole run."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from torture.cases import Case, Outcome
from torture.damage import kind
from torture.known import known
from torture.operations import Operation
from torture.parts import TITLES

ROOT = Path(__file__).parents[2]
RESULTS = ("before", "after", "to the end", "right", "detected", "failed")

MEANING = """
Before and after: every reader found exactly the state before the commit that was in progress, or after it, and never
one before a commit that had returned.  To the end: the misfortune came too late to matter.  Right: answers were those
of an unharmed index.  Detected: one line said what is wrong, and with which file.  After each kill, loss and lack of
space the next writer worked, the result was exact, no file stayed that nothing names, and no byte of a removed article.
"""
"""What the columns of the table mean."""


def line(outcome: Outcome) -> str:
    """Return an outcome as a line of JSON."""
    return json.dumps(asdict(outcome), ensure_ascii=False)


def read(path: Path) -> dict[Case, Outcome]:
    """Return the outcomes that an earlier run wrote."""
    found: dict[Case, Outcome] = {}
    for text in path.read_text("utf-8").splitlines() if path.exists() else []:
        record = json.loads(text)
        case = Case(**record.pop("case"))
        found[case] = Outcome(case, **record)
    return found


def page(outcomes: Sequence[Outcome], recorded: Mapping[str, Sequence[Operation]], seed: int, planned: int) -> str:
    """Return the report as Markdown."""
    parts = [
        "# The crash test",
        "",
        f"{time.strftime('%Y-%m-%d')}, commit {_commit()}, seed {seed}: {len(outcomes):,} cases of {planned:,}."
        " `make torture` makes this page.",
        "",
        "## What came of it",
        "",
        *_outcomes(outcomes),
        "",
        MEANING.strip(),
        "",
        "## Operations recorded",
        "",
        *_operations(recorded),
    ]
    failed = [o for o in outcomes if o.result == "failed"]
    if failed:
        parts += ["", "## Failures", "", *_failures(failed)]
    return "\n".join(parts) + "\n"


def _commit() -> str:
    asked = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _outcomes(outcomes: Sequence[Outcome]) -> list[str]:
    rows = ["| | cases | " + " | ".join(RESULTS) + " |", "| --- |" + " ---: |" * (len(RESULTS) + 1)]
    counted: dict[str, Counter[str]] = {}
    for o in outcomes:
        name = TITLES[o.case.part] + (f", {o.case.how} disk" if o.case.part == "power" else "")
        counted.setdefault(name, Counter())[o.result] += 1
    order = {title: n for n, title in enumerate(TITLES.values())}
    for name in sorted(counted, key=lambda n: (order[n.split(", ")[0] if n not in order else n], n)):
        c = counted[name]
        rows.append(f"| {name} | {c.total():,} | " + " | ".join(f"{c[r]:,}" if c[r] else "" for r in RESULTS) + " |")
    return rows


def _operations(recorded: Mapping[str, Sequence[Operation]]) -> list[str]:
    done = [o for operations in recorded.values() for o in operations if o.kind != "mark"]
    kinds = [k for k, _ in Counter(o.kind for o in done).most_common()]
    by_file: dict[str, Counter[str]] = {}
    for o in done:
        by_file.setdefault(_file(o), Counter())[o.kind] += 1
    rows = ["| file | all | " + " | ".join(kinds) + " |", "| --- |" + " ---: |" * (len(kinds) + 1)]
    for name, c in [("all", Counter(o.kind for o in done)), *sorted(by_file.items())]:
        rows.append(f"| {name} | {c.total():,} | " + " | ".join(f"{c[k]:,}" if c[k] else "" for k in kinds) + " |")
    return rows


def _file(o: Operation) -> str:
    path = o.path.removeprefix("index").lstrip("/")
    if "/.tmp" in path:
        return "lexical/.tmp*"
    if o.kind in ("mkdir", "rmdir") or not Path(path).suffix or "." not in Path(path).name:
        return f"{re.sub('[0-9]+', 'N', path)}/"
    return kind(path)


def _failures(failed: Sequence[Outcome]) -> list[str]:
    # The same thing goes wrong at many operations: once each, with an example.
    groups: dict[tuple[str, str], list[Outcome]] = {}
    for o in failed:
        told = re.sub(r"/\S*/index", "INDEX", o.problem)
        same = known(o) or re.sub(r"\[[^\]]*\]|[0-9a-f]{32}|\d+", "…", told)[:200]
        groups.setdefault((o.case.part, same), []).append(o)
    rows = ["| part | times | what | example |", "| --- | ---: | --- | --- |"]
    for (part, same), found in sorted(groups.items(), key=lambda g: -len(g[1])):
        told = re.sub(r"/\S*/index", "INDEX", found[0].problem).replace("|", "/")[:400]
        what = same if known(found[0]) else "new"
        rows.append(f"| {part} | {len(found):,} | {what} | `{found[0].case}` at {found[0].operation}: {told} |")
    return rows
