"""What a search and an answer do without: importing any of these takes longer than the whole of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = (
    "torch",
    "transformers",
    "sentence_transformers",
    "gradio",
    "pandas",
    "sklearn",
    "scipy",
    "onnx",
    "langchain_text_splitters",
    "trafilatura",
    "requests",
    "httpx",
)


def loaded_after(code: str, folder: Path) -> set[str]:
    """Return which of HEAVY a fresh process has imported after running some code."""
    report = f"\nprint('LOADED', *[m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}{report}"], cwd=folder, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split()[1:])


def test_the_measure_sees_what_is_imported(tmp_path: Path) -> None:
    assert loaded_after("import scipy", tmp_path) == {"scipy"}


def test_importing_the_package(tmp_path: Path) -> None:
    assert loaded_after("import rag\nfrom rag import *", tmp_path) == set()


@pytest.mark.model
@pytest.mark.parametrize("command", ["search", "ask"])
@pytest.mark.parametrize("form", [["--json"], []])
def test_a_cold_command(command: str, form: list[str], corpus_index: Path) -> None:
    arguments = [command, "Who keeps a lighthouse?", "--index", str(corpus_index), *form]
    code = f"from rag.faces.cli import main\nmain({arguments!r}, standalone_mode=False)"
    assert loaded_after(code, corpus_index) == set()
