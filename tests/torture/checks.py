"""Whether an index is exactly one of the states it may be in, whole and without anything besides."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from contracts import check_dense, passages

from rag.errors import RagError, UnknownArticle
from rag.protocols import View
from rag.store.local import LocalStore
from rag.types import Article, Filter
from torture.scenarios import State, told, traces

AT_ONCE = 10.0
"""Seconds in which a reader must be open, on however busy a machine."""

QUERIES = (("word3 version0 story", 4, Filter()), ("group2 more about", 50, Filter(sources=("s1",))))
"""What is asked of every state: the best few, and all that a filter lets pass."""

CONTENT = {
    *("articles", "passages", "sections", "sources", "authors", "bylines", "bands", "twins"),
    *("former", "forget", "removed", "tombstones"),
}
"""Tables of the catalog that name no files."""


class Wrong(AssertionError):
    """An index that is not as it must be."""


class Held:
    """A store that always gives the one view that is open already."""

    def __init__(self, view: View) -> None:
        self._view = view

    @contextmanager
    def view(self) -> Iterator[View]:
        """Give the view."""
        yield self._view


def found(folder: Path, allowed: Sequence[State | None]) -> int:
    """Return which of the allowed states a new reader finds, each None where there need be no index."""
    begun = time.monotonic()
    try:
        store = LocalStore(folder)
    except RagError as e:
        if None in allowed and "\n" not in str(e):
            return list(allowed).index(None)
        raise
    if time.monotonic() - begun > AT_ONCE:
        raise Wrong(f"a reader was open only after {time.monotonic() - begun:.1f} seconds")
    try:
        return which(store, allowed)
    finally:
        store.close()


def which(store: Any, allowed: Sequence[State | None]) -> int:
    """Return which of the allowed states a store is in.  Raises Wrong when it is in none, or not wholly in one."""
    with store.view() as view:
        got = {head.id: view.article(head.id) for head, _ in view.articles()}
    for n, state in enumerate(allowed):
        if got == (state or {}):
            exact(store, state or {}, [a for other in allowed if other for a in other.values()])
            return n
    raise Wrong(
        "the articles are those of no allowed state: " + "; or ".join(_difference(got, s or {}) for s in allowed)
    )


def _difference(got: State, want: State) -> str:
    more, fewer = sorted(got.keys() - want.keys()), sorted(want.keys() - got.keys())
    other = sorted(id for id in got.keys() & want.keys() if got[id] != want[id])
    return f"{more} besides, {fewer} missing, {other} different"


def exact(store: Any, state: State, others: Sequence[Article] = ()) -> None:
    """Raise unless a store answers every question as this state does; `others` may be of other states."""
    for query, k, where in QUERIES:
        try:
            check_dense(store, state, query, k, where)
        except AssertionError as e:
            raise Wrong(f"dense search for {query!r}: {' '.join(str(e).split())[:200]}") from e
    with store.view() as view:
        _listing(view, state)
        _words(view, state)
        _gone(view, state, others)


def _listing(view: View, state: State) -> None:
    listed = [(head.id, head.title, count) for head, count in view.articles()]
    want = [(a.id, a.title, len(passages(a))) for a in sorted(state.values(), key=lambda a: a.id)]
    if listed != want:
        raise Wrong(f"the list of articles is {listed}, not {want}")
    if view.stats().passages != 2 * len(state) or view.stats().articles != len(state):
        raise Wrong(f"statistics say {view.stats()}, there are {len(state)} articles")


def _words(view: View, state: State) -> None:
    for word in ("alpha", "beta"):
        rows = view.lexical(word, 1000).rows
        ids = sorted(head.id for _, head in view.passages(rows.tolist()))
        if ids != sorted(state):
            raise Wrong(f"the word {word} is found in {ids}, not in {sorted(state)}")
    for id, a in state.items():
        said = a.text.split()[1]
        found = [(p.text, head.id) for p, head in view.passages(view.lexical(said, 10).rows.tolist())]
        if found != [(a.text[a.sections[0].start : a.sections[0].end], id)]:
            raise Wrong(f"the word {said} finds {found}")


def _gone(view: View, state: State, others: Sequence[Article]) -> None:
    for a in others:
        if a.id in state:
            continue
        if len(view.lexical(a.text.split()[1], 10).rows):
            raise Wrong(f"{a.id} is not there and its words are found")
        try:
            view.article(a.id)
        except UnknownArticle:
            continue
        raise Wrong(f"{a.id} is not there and can be read")


def unnamed(folder: Path) -> list[str]:
    """Return the files of a closed index that neither the catalog nor the lexical index names."""
    known = {"catalog.sqlite", "vectors.sqlite", "writer.lock", "meta.json", ".managed.json"}
    # Immutable, since a look at it must not make files of its own.
    db = sqlite3.connect(f"{(folder / 'catalog.sqlite').as_uri()}?mode=ro&immutable=1", uri=True)
    try:
        tables = {r[0] for r in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")} - CONTENT
        names = {str(value) for t in tables for row in db.execute(f"SELECT * FROM {t}") for value in row}
    finally:
        db.close()
    words = "".join(p.read_text("utf-8") for p in folder.glob("lexical*/meta.json")).replace("-", "")
    stray = []
    for path in sorted(folder.rglob("*")):
        short = path.name.split(".")[0]
        if path.is_dir():
            is_known = path.name == "segments" or path.name in names
        elif path.parent.name.startswith("lexical"):
            is_known = path.name in known or path.suffix == ".lock" or short in words
        else:
            is_known = path.name in known or bool({short, path.stem, path.name} & names)
        if not is_known:
            stray.append(path.relative_to(folder).as_posix())
    return stray


def left_behind(folder: Path, before: Sequence[str]) -> list[str]:
    """Return what is wrong with files that no commit names and nothing takes away; `before` are those of a writer ago.

    The lexical index forgets a merge that its writer did not wait for, and takes its files away at the next commit.
    """
    own = "".join(p.read_text("utf-8") for p in folder.glob("lexical*/.managed.json"))
    wrong = []
    for name in unnamed(folder):
        listed = name.startswith("lexical") and name.rpartition("/")[2] in own
        if name in before or not listed:
            wrong.append(f"{name} is named by no commit" + (", only by the lexical index's own list" if listed else ""))
    return wrong


def remains(folder: Path, removed: Sequence[tuple[int, set[int]]]) -> list[str]:
    """Return where something of removed articles, given by number and versions, still lies in a file."""
    looked_for: dict[bytes, str] = {}
    for n, versions in removed:
        for version in versions:
            a = told(n, version)
            looked_for |= {trace: f"{a.id}: {trace.decode()!r}" for trace in traces(a.id, version)}
            looked_for |= {p.key: f"{a.id}: the key of a vector" for p in passages(a)}
    left = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        data = path.read_bytes()
        left += [f"{what} in {path.name}" for trace, what in looked_for.items() if trace in data]
    return left
