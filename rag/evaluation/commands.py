"""The evaluation commands as functions: what `rag eval` prints with --json, they return."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from rag.engine import Engine, open_engine
from rag.errors import BadSource
from rag.evaluation import answers as answered
from rag.evaluation import collection, pictures, refusals, report, runs, tables
from rag.evaluation import measures as measured
from rag.evaluation import retrieval as searched
from rag.evaluation import sweep as swept
from rag.evaluation.collection import Collection
from rag.evaluation.compare import compare as compare_runs
from rag.evaluation.halves import half
from rag.evaluation.retrieval import in_folders, index_of, name_of, settings_of
from rag.evaluation.runs import replace
from rag.settings import Settings
from rag.types import Progress, Steps

OnProgress = Callable[[Steps | Progress], None]


def retrieval(
    data: Sequence[str | Path],
    *,
    config: Sequence[str] = (),
    name: str | None = None,
    split: str = "test",
    index: str | Path | None = None,
    measures: Sequence[str] | None = None,
    out: str | Path = "eval/out",
    on_progress: OnProgress | None = None,
) -> list[dict[str, Any]]:
    """Return a row for each collection, and write its run to OUT/SET/NAME.trec, .json and .html."""
    settings = settings_of(config)
    measured.parse(measures or measured.DEFAULT)
    rows = []
    for c in _read(data, split):
        with _engine(c, settings, index, out, on_progress) as engine:
            row = searched.evaluate(
                c,
                engine,
                Path(out) / c.name,
                name=name or name_of(config),
                config=config,
                names=measures or measured.DEFAULT,
                on_progress=on_progress,
            )
        path = Path(row["run"])
        rows.append({**row, "report": str(report.retrieval(runs.read(path), row, path.with_suffix(".html")))})
    return rows


def compare(
    runs: Sequence[str | Path],
    *,
    data: str | Path | None = None,
    split: str = "test",
    measures: Sequence[str] | None = None,
    out: str | Path | None = None,
) -> dict[str, Any]:
    """Return how runs differ from the first of them; with `out`, write OUT.md, OUT.json and OUT.html."""
    read = collection.read(data, split) if data else None
    found = asdict(compare_runs(runs, names=measures, collection=read))
    if out:
        path = Path(out)
        path.parent.mkdir(parents=True, exist_ok=True)
        replace(path.with_name(path.name + ".json"), json.dumps(found, ensure_ascii=False, indent=1) + "\n")
        replace(path.with_name(path.name + ".md"), tables.comparison(found) + "\n")
        report.comparison(found, path.with_name(path.name + ".html"))
    return found


def answers(
    data: Sequence[str | Path],
    *,
    config: Sequence[str] = (),
    name: str | None = None,
    part: str = "all",
    most: int | None = None,
    index: str | Path | None = None,
    out: str | Path = "eval/out",
    on_progress: OnProgress | None = None,
) -> list[dict[str, Any]]:
    """Return the figures of each collection's answers, and write them to OUT/SET/NAME.json and .html."""
    settings = settings_of(config)
    called = name or "-".join(["answers", *([part] if part != "all" else []), *([name_of(config)] if config else [])])
    found = []
    for c in _read(data):
        with _engine(c, settings, index, out, on_progress, everything=True) as engine:
            figures = answered.evaluate(
                c,
                engine,
                Path(out) / c.name,
                name=called,
                config=config,
                threshold=_threshold(settings, engine),
                part=part,
                most=most,
                on_progress=on_progress,
            )
        page = report.answers(figures, _questions(figures), Path(figures["run"]).with_suffix(".html"))
        found.append({**figures, "report": str(page)})
    return found


def calibrate(
    data: Sequence[str | Path],
    *,
    config: Sequence[str] = (),
    wrong_cost: float = 1.0,
    most: int | None = None,
    index: str | Path | None = None,
    out: str | Path = "eval/out",
    write: str | Path | None = None,
    on_progress: OnProgress | None = None,
) -> dict[str, Any]:
    """Choose the threshold on the tuning halves of collections, and return it with both kinds of error on either half.

    Every collection counts the same.  With `write` the threshold is put into that settings file.
    """
    found = answers(data, config=config, most=most, index=index, out=out, on_progress=on_progress)
    records = {f["set"]: _questions(f) for f in found}
    chosen = refusals.shared_threshold([_judged(r, name, "tune") for name, r in records.items()], wrong_cost)
    before = found[0]["threshold"]
    rows = [
        {"set": name, "half": part, "threshold": threshold} | refusals.errors(*_judged(asked, name, part), threshold)
        for name, asked in records.items()
        for part in ("tune", "report")
        for threshold in (before, chosen)
    ]
    if write:
        write_setting(Path(write), "answer", "threshold", chosen)
    return {"threshold": chosen, "before": before, "wrong_cost": wrong_cost, "rows": rows}


def sweep(
    data: Sequence[str | Path],
    *,
    axes: Sequence[str],
    measures: Sequence[str] | None = None,
    split: str = "test",
    out: str | Path = "eval/out",
    name: str = "sweep",
    on_progress: OnProgress | None = None,
) -> dict[str, Any]:
    """Measure every combination of some settings on some collections; the settings in force are the baseline.

    Writes OUT/NAME.md, .json and .svg.
    """
    names = measures or measured.DEFAULT
    leading = str(measured.parse(names)[0])
    points = [(), *swept.grid(axes)]
    read = _read(data, split)
    found = swept.measure(read, points, Path(out), names, name, on_progress)
    rows = swept.rows(found, (), leading)
    sets = [{"set": c.name, "digest": c.digest(), "questions": len(c.judged)} for c in read]
    result = {"measure": leading, "baseline": "default", "sets": sets, "rows": rows}
    path = Path(out) / name
    shown = [rows[0], *sorted(rows[1:], key=lambda r: -r["tune"])]
    panels = {
        c.name: {part: [r["sets"][f"{c.name} {part}"] for r in shown] for part in ("tune", "report")} for c in read
    }
    labels = [", ".join(r["config"]) or "default" for r in shown]
    replace(Path(f"{path}.svg"), pictures.sweep(leading, labels, panels) + "\n")
    replace(Path(f"{path}.json"), json.dumps(result, ensure_ascii=False, indent=1) + "\n")
    replace(Path(f"{path}.md"), tables.sweep(result) + "\n")
    return result


def write_setting(path: Path, group: str, field: str, value: float) -> None:
    """Put one setting into a TOML file, all else in it kept as it is, comments too.  Raises BadSource."""
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        document = tomlkit.parse(path.read_text("utf-8")) if path.exists() else tomlkit.document()
    except (OSError, ValueError, TOMLKitError) as e:
        raise BadSource(f"{path.absolute()} cannot be read as TOML ({e}): mend it or name another file") from e
    table: Any = document.setdefault(group, tomlkit.table())
    table[field] = value
    replace(path, tomlkit.dumps(document))


def _judged(asked: Sequence[Mapping[str, Any]], name: str, part: str) -> tuple[refusals.Floats, refusals.Bools]:
    some = [r for r in asked if half(name, r["id"]) == part]
    return np.array([r["confidence"] for r in some], float), np.array([r["answerable"] for r in some], bool)


def _questions(figures: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the questions of a run of answers, one by one."""
    return list(json.loads(Path(figures["run"]).read_text("utf-8"))["questions"])


def _read(data: Sequence[str | Path], split: str = "test") -> list[Collection]:
    read = [collection.read(d, split) for d in data]
    if len({c.name for c in read}) < len(read):
        raise BadSource("two of the folders have the same name, and so would their runs: evaluate them one by one")
    return read


@contextmanager
def _engine(
    c: Collection,
    settings: Settings,
    index: str | Path | None,
    out: str | Path,
    on_progress: OnProgress | None,
    *,
    everything: bool = False,
) -> Iterator[Engine]:
    if not index:
        index, settings = index_of(c, settings, Path(out) / "indexes", on_progress), in_folders(settings)
    if everything:
        answer = settings.answer.model_copy(update={"threshold": answered.EVERYTHING})
        settings = settings.model_copy(update={"answer": answer})
    with open_engine(index, settings) as engine:
        yield engine


def _threshold(settings: Settings, engine: Engine) -> float:
    chosen = settings.answer.threshold
    return engine.judge.threshold if chosen is None else chosen
