"""What is installed, which model, which index, and what is wrong."""

from __future__ import annotations

import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import rag
from rag.errors import NoIndex, RagError

PACKAGES = ("sentence-transformers", "torch", "faiss-cpu", "tantivy", "langchain-text-splitters", "gradio", "numpy")


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
        model = Model(Settings.load().model.name)
        found["model"] = f"{model.name} {model.digest}"
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
