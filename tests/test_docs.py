"""The generated parts of README.md are what the code says.  FOOTNOTE_WRITE_DOCS=1 writes them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import click
import pytest

from rag.faces.cli import main
from rag.settings import Settings

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"


def help_text() -> str:
    """Return the help of every command, as a terminal of 100 columns shows it."""

    def tell(command: click.Command, name: str, parent: click.Context | None) -> list[str]:
        shown = {"max_content_width": 100, "terminal_width": 100, **main.context_settings}
        with click.Context(command, info_name=name, parent=parent, **shown) as ctx:
            told = [f"    {line}".rstrip() for line in command.get_help(ctx).splitlines()]
            parts = ["\n".join(told)]
            if isinstance(command, click.Group):
                for child in command.list_commands(ctx):
                    found = command.get_command(ctx, child)
                    assert found is not None
                    parts += tell(found, child, ctx)
            return parts

    return "\n\n".join(tell(main, "rag", None))


def settings_table() -> str:
    """Return a row for each setting."""
    rows = ["| setting | default | what it is |", "| --- | --- | --- |"]
    for group, field in Settings.model_fields.items():
        model: Any = field.annotation
        for name, value in model.model_fields.items():
            default = {None: "unset", (): "none"}.get(value.default, value.default)
            assert value.description, f"{group}.{name} has no description"
            rows.append(f"| `{group}.{name}` | {default} | {value.description} |")
    return "\n".join(rows)


@pytest.mark.parametrize(("name", "make"), [("help", help_text), ("settings", settings_table)])
def test_generated_parts_are_up_to_date(name: str, make: Any) -> None:
    text = README.read_text("utf-8")
    pattern = re.compile(rf"(<!-- generated: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
    assert pattern.search(text), f"README.md has no place for {name}"
    new = pattern.sub(lambda m: f"{m[1]}\n{make()}\n\n{m[2]}", text, count=1)
    if os.environ.get("FOOTNOTE_WRITE_DOCS"):
        README.write_text(new, "utf-8")
    assert new == text or os.environ.get("FOOTNOTE_WRITE_DOCS"), f"README.md: {name} is stale; see CONTRIBUTING.md"


@pytest.mark.parametrize("page", ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "index/README.md"])
def test_paths_named_in_the_docs_exist(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    # `rag/x.py`, `eval/y/`: what stands in code marks and looks like a path of ours.
    named = set(re.findall(r"`((?:rag|eval|tests|corpus|index)/[\w./-]*)`", text))
    missing = [n for n in named if not (ROOT / n).exists()]
    assert not missing
