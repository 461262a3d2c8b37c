"""What is installed, which model, which index, and what is wrong."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rag
from rag.errors import NoIndex, RagError
from rag.files import shown
from rag.types import Steps

if TYPE_CHECKING:
    from rag.settings import Settings

PACKAGES = (
    "sentence-transformers",
    "torch",
    "onnxruntime",
    "tokenizers",
    "faiss-cpu",
    "tantivy",
    "langchain-text-splitters",
    "gradio",
    "numpy",
)


TOLD = 20
"""Differences of two indexes that are told one by one."""


def examine(
    index: str | Path,
    *,
    repair: bool = False,
    against: str | Path | None = None,
    on_progress: Callable[[Steps], None] | None = None,
) -> dict[str, Any]:
    """Return findings as plain JSON; `problems` holds one line for each thing that is wrong.

    With `repair` what is wrong with the index is mended first, `repaired` tells how, and the problems are those left.
    An index that it is held `against`, a folder or an address, is a problem where it differs; `compared` tells more.
    """
    from rag.settings import Settings

    problems: list[str] = []
    found: dict[str, Any] = {
        "footnote": rag.__version__,
        "python": platform.python_version(),
        "packages": {},
        "model": None,
        "index": {"folder": shown(Path(index).absolute())},
        "problems": problems,
    }
    for name in PACKAGES:
        try:
            found["packages"][name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            problems.append(f"the package {name} is not installed: pip install footnote-rag")
    try:
        settings = Settings.load()
    except RagError as error:
        problems.append(str(error))
        return found
    with _told(problems):
        _model(found, settings)
    with _told(problems):
        _index(index, found, settings, repair, on_progress)
    with _told(problems):
        _compared(index, against, found, settings, on_progress)
    return found


@contextmanager
def _told(problems: list[str]) -> Iterator[None]:
    """Make a problem of an error."""
    try:
        yield
    except RagError as error:
        problems.append(str(error))


def _model(found: dict[str, Any], settings: Settings) -> None:
    """Add what is to be told of the model."""
    from rag.embed.model import Model

    chosen = settings.model
    model = Model(chosen.name, precision=chosen.precision, cache=chosen.cache)
    found["model"] = f"{model.name} {model.digest}"
    found["prepared"] = str(model.folder) if model.is_prepared() else "not yet: done when it is first used"
    for path in model.damaged():
        found["problems"].append(f"{path} is damaged: delete {path.parent}, it will be made again")


def _index(
    index: str | Path,
    found: dict[str, Any],
    settings: Settings,
    repair: bool,
    on_progress: Callable[[Steps], None] | None,
) -> None:
    """Add what is to be told of the index."""
    from rag import engine, keeping
    from rag.store.places import place

    at = place(index, settings.store)
    if settings.store.uri:
        found["index"] = {"address": settings.store.uri, "name": settings.store.name}
    try:
        if repair:
            found["repaired"], checked = keeping.repair(index, settings, on_progress=on_progress)
        else:
            checked = at.check(on_progress)
    except NoIndex:
        found["index"]["state"] = "none yet: make one with `rag ingest SOURCE`"
        return
    if checked.old:
        found["index"]["format"] = checked.old
        found["index"]["state"] = (
            "only its files as such were looked through, not what they say: `rag doctor --repair`, or any command,"
            " brings it forward first"
        )
        if repair:
            found["problems"].append(
                f"index {shown(Path(index).absolute())} is still of format {checked.old} and cannot be brought forward:"
                " restore a backup with `rag restore FILE --replace`, or rebuild it with `rag ingest SOURCE --rebuild`"
            )
    if checked.stats:
        stats = rag.to_dict(checked.stats)
        # A server does not tell of its files, nor how much of what is near its index finds.
        unknown = ("bytes", "segments", "approximate", "recall") if settings.store.uri else ()
        found["index"] |= {name: value for name, value in stats.items() if name not in unknown}
    for fault in checked.faults:
        advice = ": mend it with `rag doctor --repair`"
        if fault.mend == "article":
            advice = ": take it out with `rag doctor --repair`, then ingest it again"
        found["problems"].append(f"{fault}{'' if fault.mend == 'not' else advice}")
    if checked.stats:
        # Last, since an index whose model cannot be had may be damaged too.
        engine.built_with(at.name, checked.stats.fingerprint, settings)


def _compared(
    index: str | Path,
    against: str | Path | None,
    found: dict[str, Any],
    settings: Settings,
    on_progress: Callable[[Steps], None] | None,
) -> None:
    """Add in what the index and another differ."""
    from rag import differences

    if against is None:
        return
    told = differences.compare(settings.store.uri or index, against, settings, on_progress=on_progress)
    found["compared"] = {name: value for name, value in asdict(told).items() if name != "differences"}
    found["problems"] += told.differences[:TOLD]
    if len(told.differences) > TOLD:
        found["problems"].append(f"{len(told.differences) - TOLD:,} more differences")
