"""What is installed, which model, which index, and what is wrong."""

from __future__ import annotations

import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import rag
from rag.errors import NoIndex, RagError

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


def examine(index: str | Path) -> dict[str, Any]:
    """Return findings as plain JSON; `problems` holds one line for each thing that is wrong."""
    from rag.embed.model import Model
    from rag.settings import Settings

    problems: list[str] = []
    found: dict[str, Any] = {
        "footnote": rag.__version__,
        "python": platform.python_version(),
        "packages": {},
        "model": None,
        "index": {"folder": str(Path(index).absolute())},
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
        with rag.open(index) as engine:
            found["index"] |= rag.to_dict(engine.stats())
    except NoIndex:
        found["index"]["state"] = "none yet: make one with `rag ingest SOURCE`"
    except RagError as error:
        problems.append(str(error))
    return found
