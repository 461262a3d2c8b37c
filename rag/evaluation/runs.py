"""Runs as files: TREC's form for everyone, and JSON beside it for what that has no place for.

A run called NAME is NAME.trec, which any evaluation program reads, and NAME.json: what it was made with, and the
values, times and first hits of each question.  The judgments lie beside both as qrels.trec.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rag.errors import BadSource
from rag.evaluation.collection import Judgments
from rag.evaluation.measures import Values
from rag.types import Steps

BESIDE = ("about", "values", "seconds", "texts", "wanted", "hits")
"""Fields of a run that are in its JSON."""

STEP = 1e-6
"""Least difference of two scores in a file.  Programs break ties by their own rules, and would reorder equal ones."""


@dataclass(frozen=True)
class Run:
    """What a system found for the questions of a collection.

    `ranked` holds articles with scores, best first; `about` says what it was made with; `seconds` are those of each
    question; `hits` are the first hits of each, as `rag search --json` gives them; `texts` are the questions, and
    `wanted` says what answers each: the articles, with the words quoted from them.
    """

    name: str
    ranked: Mapping[str, Sequence[tuple[str, float]]]
    about: Mapping[str, Any] = field(default_factory=dict)
    values: Values = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    hits: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    wanted: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)


def write(run: Run, folder: Path, judgments: Judgments) -> Path:
    """Write a run and the judgments that it is measured with; return the path of its TREC file.

    Raises BadSource for an id with white space, which the form has no room for.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        f"{_plain(q)} Q0 {_plain(article)} {rank} {score:.6f} {run.name}\n"
        for q, found in run.ranked.items()
        for rank, (article, score) in enumerate(found, 1)
    ]
    graded = [f"{_plain(q)} 0 {_plain(a)} {g}\n" for q, grades in judgments.items() for a, g in grades.items()]
    more = {name: getattr(run, name) for name in BESIDE}
    path = folder / f"{run.name}.trec"
    replace(folder / "qrels.trec", "".join(graded))
    replace(path.with_suffix(".json"), json.dumps(more, ensure_ascii=False, indent=1) + "\n")
    replace(path, "".join(lines))
    return path


def falling(found: Sequence[tuple[str, float]]) -> list[tuple[str, float]]:
    """Return scores of six places that fall from rank to rank, each as near to its own as that allows.

    >>> falling([("a", 0.5), ("b", 0.5), ("c", 0.4)])
    [('a', 0.5), ('b', 0.499999), ('c', 0.4)]
    """
    out: list[tuple[str, float]] = []
    for article, score in found:
        least = out[-1][1] - STEP if out else score
        out.append((article, round(min(score, least), 6)))
    return out


def read(path: str | Path) -> Run:
    """Return the run of a TREC file (or of its JSON), with what lies beside it.

    Raises BadSource for a file that is missing, empty or not in TREC's form, and for an article that stands twice.
    """
    path = Path(path)
    trec = path.with_suffix(".trec") if path.suffix == ".json" else path
    try:
        lines = trec.read_text("utf-8").split("\n")
    except OSError as e:
        raise BadSource(f"run {trec.absolute()} cannot be read ({e.strerror}): check the path") from e
    except UnicodeDecodeError as e:
        raise BadSource(f"run {trec.absolute()} is not UTF-8 (byte {e.start}): convert it") from e
    ranked: dict[str, dict[str, float]] = {}
    name = trec.stem
    for n, line in enumerate(lines, 1):
        if not (parts := line.split()):
            continue
        try:
            query, _, article, _, score, name = parts
            number = float(score)
        except ValueError as e:
            raise BadSource(
                f"{trec.absolute()}:{n} is not a line of a TREC run: query Q0 article rank score name"
            ) from e
        if article in ranked.setdefault(query, {}):
            raise BadSource(f"{trec.absolute()}:{n}: article {article!r} stands there twice for query {query!r}")
        ranked[query][article] = number
    if not ranked:
        raise BadSource(f"run {trec.absolute()} is empty: make it again with `rag eval retrieval`")
    ordered = {q: sorted(found.items(), key=lambda f: -f[1]) for q, found in ranked.items()}
    more = _beside(trec)
    return Run(trec.stem if more else name, ordered, **{field: more.get(field, {}) for field in BESIDE})


def read_judgments(path: Path) -> Judgments:
    """Return the judgments of a TREC file.  Raises BadSource."""
    found: Judgments = {}
    try:
        lines = path.read_text("utf-8").split("\n")
    except OSError as e:
        raise BadSource(f"judgments {path.absolute()} cannot be read ({e.strerror}): name the data with --data") from e
    for n, line in enumerate(lines, 1):
        if not (parts := line.split()):
            continue
        try:
            query, _, article, grade = parts
            found.setdefault(query, {})[article] = int(grade)
        except ValueError as e:
            raise BadSource(f"{path.absolute()}:{n} is not a line of TREC judgments: query 0 article grade") from e
    return found


def replace(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    part = path.with_name(path.name + ".part")
    part.write_text(text, "utf-8")
    part.replace(path)


class Unfinished:
    """What a run has found so far, by question, kept as it comes: an interrupted run goes on from there.

    What was begun with anything else than `key` is not used.
    """

    def __init__(self, path: Path, key: str) -> None:
        self._path, self._key = path, key

    def done(self) -> dict[str, dict[str, Any]]:
        """Return what is there, by question."""
        found: dict[str, dict[str, Any]] = {}
        for n, record in enumerate(self._records()):
            if n == 0 and record.get("key") != self._key:
                return {}
            if n:
                found[record.pop("query")] = record
        return found

    def __enter__(self) -> Unfinished:
        begun = self.done()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        kept = [{"key": self._key}, *({"query": q, **r} for q, r in begun.items())]
        # Written anew, so that a line cut off by a kill is gone.
        replace(self._path, "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in kept))
        self._file = self._path.open("a", encoding="utf-8")
        return self

    def complete(
        self,
        queries: Sequence[str],
        ask: Callable[[str], dict[str, Any]],
        doing: str,
        on_progress: Callable[[Steps], None] | None,
        things: str = "questions",
    ) -> dict[str, dict[str, Any]]:
        """Return what `ask` gives for each of some questions, those asked before not asked again."""
        records = self.done()
        waiting = [q for q in queries if q not in records]
        began = time.perf_counter()
        for n, query in enumerate(waiting, 1):
            records[query] = ask(query)
            self.keep(query, records[query])
            if on_progress:
                on_progress(Steps(doing, n, len(waiting), time.perf_counter() - began, things))
        return records

    def keep(self, query: str, record: Mapping[str, Any]) -> None:
        """Add what was found for a question."""
        self._file.write(json.dumps({"query": query, **record}, ensure_ascii=False) + "\n")
        self._file.flush()

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def remove(self) -> None:
        """Forget it: the run is whole."""
        self._path.unlink(missing_ok=True)

    def _records(self) -> Iterator[dict[str, Any]]:
        if not self._path.exists():
            return
        for line in self._path.read_text("utf-8").split("\n"):
            try:
                record = json.loads(line)
            except ValueError:
                return
            yield record


def _beside(trec: Path) -> dict[str, Any]:
    path = trec.with_suffix(".json")
    if not path.exists():
        return {}
    try:
        return dict(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError) as e:
        raise BadSource(f"{path.absolute()} is not the JSON of a run ({e}): make the run again") from e


def _plain(id: str) -> str:
    if not id or any(c.isspace() for c in id):
        raise BadSource(f"id {id!r} is empty or holds white space, which a TREC file has no room for: give it another")
    return id
