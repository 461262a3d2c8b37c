"""What the package shows: its names, its imports, its errors, and what the wheel holds."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import rag
from rag import errors

ROOT = Path(__file__).parent.parent
FIXED = {
    "open", "search", "ask", "ingest", "to_dict", "Article", "Passage", "Filter", "Hit", "Citation", "Sentence",
    "Answer", "Report", "Settings", "Embedder", "Store", "Retriever", "Writer",
}  # fmt: skip


def test_every_public_name_is_there() -> None:
    assert set(rag.__all__) >= FIXED
    for name in rag.__all__:
        assert getattr(rag, name) is not None
    assert len(rag.__all__) == len(set(rag.__all__))


def test_every_error_is_public_drawn_and_ours() -> None:
    assert errors.__doc__ is not None
    for name, value in vars(errors).items():
        if isinstance(value, type):
            assert name in rag.__all__
            assert name in errors.__doc__
            assert issubclass(value, errors.RagError)
            assert value.__doc__


def test_no_module_bears_a_public_functions_name() -> None:
    modules = {p.stem for p in (ROOT / "rag").iterdir()}
    assert not modules & {"open", "search", "ask", "ingest", "evaluate", "to_dict"}


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_the_package_is_light() -> None:
    heavy = (
        "torch",
        "transformers",
        "sentence_transformers",
        "gradio",
        "faiss",
        "tantivy",
        "pandas",
        "sklearn",
        "scipy",
    )
    assert run(f"import sys, rag; print([m for m in {heavy!r} if m in sys.modules])") == "[]"


def test_searching_does_not_import_the_page() -> None:
    code = "import sys, rag, rag.engine, rag.faces.cli; print([m for m in ('gradio', 'pandas') if m in sys.modules])"
    assert run(code) == "[]"


def test_imports_point_one_way() -> None:
    """Faces and evaluation use the engine, the engine the stages, the stages the types."""
    stages = (
        "to_json",
        "converse",
        "converse_chat",
        "chat_client",
        "fence",
        "intake",
        "embed",
        "spread",
        "answer",
        "store",
        "folding",
        "retrieve",
        "timed",
        "answering",
    )
    floors = {
        **dict.fromkeys(("types", "given", "handover", "protocols", "errors", "files", "settings", "words"), 0),
        **dict.fromkeys(stages, 1),
    }
    floors |= {
        "engine": 2,
        "keeping": 2,
        "moving": 2,
        "differences": 2,
        "evaluation": 3,
        "faces": 4,
        "__main__": 5,
        "__init__": 5,
    }
    for path in (ROOT / "rag").rglob("*.py"):
        part = path.relative_to(ROOT / "rag").parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("rag."):
                continue
            used = str(node.module).split(".")[1]
            assert floors[used] <= floors[part], f"{path.name} imports rag.{used}"


def test_the_tests_reach_no_network() -> None:
    import socket

    with socket.socket() as s, pytest.raises(OSError, match="tried to reach"):
        s.connect(("192.0.2.1", 9))
    with pytest.raises(OSError, match="tried to look up"):
        socket.getaddrinfo("example.org", 80)
