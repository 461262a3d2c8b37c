"""What is installed, which model, which index, and what is wrong."""

from __future__ import annotations

import platform
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import rag
from rag.errors import NoIndex, RagError
from rag.files import shown
from rag.types import Steps

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


def examine(
    index: str | Path, *, repair: bool = False, on_progress: Callable[[Steps], None] | None = None
) -> dict[str, Any]:
    """Return findings as plain JSON; `problems` holds one line for each thing that is wrong.

    With `repair` what is wrong with the index is mended first, `repaired` tells how, and the problems are those left.
    """
    from rag.embed.model import Model
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
        chosen = Settings.load().model
        model = Model(chosen.name, precision=chosen.precision, cache=chosen.cache)
        found["model"] = f"{model.name} {model.digest}"
        found["prepared"] = str(model.folder) if model.is_prepared() else "not yet: done when it is first used"
        for path in model.damaged():
            problems.append(f"{path} is damaged: delete {path.parent}, it will be made again")
    except RagError as error:
        problems.append(str(error))
    try:
        _index(index, found, repair, on_progress)
    except NoIndex:
        found["index"]["state"] = "none yet: make one with `rag ingest SOURCE`"
    except RagError as error:
        problems.append(str(error))
    return found


def _index(index: str | Path, found: dict[str, Any], repair: bool, on_progress: Callable[[Steps], None] | None) -> None:
    """Add what is to be told of the index."""
    from rag import engine, keeping
    from rag.settings import Settings
    from rag.store.check import check

    if repair:
        found["repaired"], checked = keeping.repair(index, Settings.load(), on_progress=on_progress)
    else:
        checked = check(index, on_progress)
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
        found["index"] |= rag.to_dict(checked.stats)
    for fault in checked.faults:
        advice = ": mend it with `rag doctor --repair`"
        if fault.mend == "article":
            advice = ": take it out with `rag doctor --repair`, then ingest it again"
        found["problems"].append(f"{fault}{'' if fault.mend == 'not' else advice}")
    if checked.stats:
        # Last, since an index whose model cannot be had may be damaged too.
        engine.built_with(index, checked.stats.fingerprint, Settings.load())
