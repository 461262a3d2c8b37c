"""Files that are not what was written: cut, with a bit turned over, missing, or not to be written.

Whatever is done to a file, a reader says so in one line, or answers as if nothing had been done.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

from rag.errors import RagError
from torture.cases import Bench, Case, Outcome
from torture.checks import found
from torture.children import Ended, in_fork
from torture.scenarios import SCENARIOS, Scenario, next_session, write

WAYS = ("cut", "flipped")
NOBODY = 65534


def files(bench: Bench, scenario: Scenario) -> dict[str, str]:
    """Return the files of a scenario's index by what they are called here: their kind and a number."""
    folder = bench.place.base(scenario) / "index"
    named: dict[str, str] = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder).as_posix()
        same = sum(label.partition("#")[0] == kind(name) for label in named)
        named[f"{kind(name)}#{same + 1}" if same else kind(name)] = name
    return named


def kind(name: str) -> str:
    """Return what kind of file a name is of: the same for all that only differ in a number or an id."""
    path = Path(name)
    return path.name if path.stem.isalpha() or not path.suffix else f"{path.parent.name.split('-')[0]}/*{path.suffix}"


def spoiled(bench: Bench, case: Case) -> Outcome:
    """Spoil one file; `case.how` says how, and which, `case.n` which try it is."""
    way, label = case.how.split(" ", 1)
    scenario = SCENARIOS[case.scenario]
    name = files(bench, scenario)[label]
    with bench.place.copy(scenario) as folder:
        path = folder / "index" / name
        data = bytearray(path.read_bytes())
        rng = random.Random(f"{bench.seed}-{case.n}-{case.how}")
        if way == "cut":
            data, where = _cut(data, case.n, rng)
        else:
            data, where = _flipped(data, case.n, rng)
        path.write_bytes(data)
        ended = in_fork(found, folder / "index", scenario.states[:1])
        return _judged(case, ended, path, f"{kind(name)} {where}")


def _cut(data: bytearray, n: int, rng: random.Random) -> tuple[bytearray, str]:
    sizes = (0, len(data) // 2, max(len(data) - 1, 0), 1)
    size = sizes[n] if n < len(sizes) else rng.randrange(len(data) or 1)
    return data[: min(size, len(data))], f"cut to {size} of {len(data)}"


def _flipped(data: bytearray, n: int, rng: random.Random) -> tuple[bytearray, str]:
    if not data:
        return data, "is empty"
    places = (0, len(data) - 1)
    at = places[n] if n < len(places) else rng.randrange(len(data))
    bit = rng.randrange(8)
    data[at] ^= 1 << bit
    return data, f"bit {bit} of byte {at} of {len(data)} turned over"


def _judged(case: Case, ended: Ended, path: Path, where: str) -> Outcome:
    if ended.well:
        return Outcome(case, "right", where)
    # The lexical index is damaged as a whole; of a segment one file stands for both.
    named = path.stem in ended.error or (path.parent.name.startswith("lexical") and str(path.parent) in ended.error)
    if ended.ours and named:
        return Outcome(case, "detected", where)
    return Outcome(case, "failed", where, f"{where}: {ended}" + (" (does not name the file)" if ended.ours else ""))


def read_only(bench: Bench, case: Case) -> Outcome:
    """Forbid writing to one file, or to all and their folders; readers answer, and a writer works or says why not."""
    scenario = SCENARIOS[case.scenario]
    name = files(bench, scenario).get(case.how, "")
    with bench.place.copy(scenario) as folder, bench.place.copy(scenario) as other:
        for path in [bench.place.root, folder, *folder.rglob("*")]:
            path.chmod(0o777 if path.is_dir() else 0o666)
        if not name:
            for path in (folder / "index").rglob("*"):
                path.chmod(0o555 if path.is_dir() else 0o444)
            (folder / "index").chmod(0o555)
        else:
            (folder / "index" / name).chmod(0o444)
        ended = in_fork(_as_nobody, folder / "index", other / "index", scenario)
        if ended.well or ended.ours:
            return Outcome(case, ended.value if ended.well else "detected", case.how)
        return Outcome(case, "failed", case.how, f"{case.how} read-only: {ended}")


def _as_nobody(index: Path, other: Path, scenario: Scenario) -> str:
    if os.geteuid() == 0:
        # Permissions do not bind root, and who it becomes may not be allowed to read modules that are not loaded yet.
        found(other, scenario.states[:1])
        write(other, next_session(scenario.states[0]), lambda: None)
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    found(index, scenario.states[:1])
    try:
        write(index, next_session(scenario.states[0]), lambda: None)
    except RagError as e:
        if "\n" in str(e):
            raise
        # Forbidden or not, what was there is there.
        found(index, scenario.states[:1])
        return "detected"
    return "right"
