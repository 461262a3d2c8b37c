"""What several commands share: options, JSON out, and stopping where nothing is lost."""

from __future__ import annotations

import json
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, TypeVar

import click

from rag.types import Filter

INTERRUPTED = 130
"""Exit code after Ctrl-C."""

_UNSAFE = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""What JSON may hold and an output may not: what a terminal obeys, what ends a line, what cannot be encoded."""

F = TypeVar("F", bound=Callable[..., Any])

index_option = click.option(
    "--index", default="index", show_default=True, metavar="DIR", help="Folder of the index.", type=click.Path()
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON value and nothing else.")


def filter_options(command: F) -> F:
    """Add the options that make a Filter, passed on as `where`."""

    @wraps(command)
    def filtered(*args: Any, author: tuple[str, ...], since: str | None, until: str | None,
                 section: tuple[str, ...], source: tuple[str, ...], **rest: Any) -> Any:  # fmt: skip
        where = Filter(authors=author, since=since, until=until, sections=section, sources=source)  # type: ignore[arg-type]
        return command(*args, where=where or None, **rest)

    for option in (
        click.option("--source", multiple=True, metavar="S", help="Only from this source."),
        click.option("--section", multiple=True, metavar="S", help="Only in this section."),
        click.option("--until", metavar="DATE", help="Only published on this day or before."),
        click.option("--since", metavar="DATE", help="Only published on this day or later."),
        click.option("--author", multiple=True, metavar="A", help="Only by this author.  Filters may be repeated."),
    ):
        filtered = option(filtered)
    return filtered  # type: ignore[return-value]


def print_json(value: object) -> None:
    """Print one JSON value on a line."""
    told = json.dumps(value, ensure_ascii=False)
    click.echo(_UNSAFE.sub(lambda m: f"\\u{ord(m[0]):04x}", told))


@contextmanager
def stop_between_steps(undone: str = "") -> Iterator[Callable[[], None]]:
    """Make Ctrl-C take effect between two steps, when nothing that was computed is lost; a second one at once.

    What is whole or not at all keeps nothing: `undone` says how it is then, unless the interrupt says it.
    """
    wanted = False

    def ask_to_stop(_: int, __: object) -> None:
        nonlocal wanted
        if wanted:
            raise KeyboardInterrupt
        wanted = True
        keeping = "" if undone else ": keeping what is done"
        click.echo(f"\nstopping{keeping} (Ctrl-C again to stop at once)", err=True)

    def stop_if_asked() -> None:
        if wanted:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, ask_to_stop)
    try:
        yield stop_if_asked
    except KeyboardInterrupt as interrupt:
        so = str(interrupt) or undone or "run the same command again to go on from here"
        click.echo(f"stopped; {so}", err=True)
        sys.exit(INTERRUPTED)
    finally:
        signal.signal(signal.SIGINT, before)
