"""Footnote: answers from your articles, every sentence traced to the characters that say so."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.errors import (
    BadSource,
    ClusterError,
    DuplicateId,
    IndexDamaged,
    IndexLocked,
    IndexMismatch,
    IndexReadOnly,
    InvalidArticle,
    InvalidFilter,
    InvalidQuestion,
    InvalidSettings,
    MissingExtra,
    ModelError,
    NoIndex,
    RagError,
    StoreError,
    TextTooLong,
    UnknownArticle,
    UnreadablePage,
)
from rag.protocols import Embedder, Retriever, Store, Writer
from rag.settings import Settings
from rag.to_json import to_dict
from rag.types import (
    Answer,
    Article,
    ArticleHead,
    Citation,
    Failure,
    Filter,
    Group,
    Hit,
    Passage,
    Progress,
    Report,
    Section,
    Sentence,
    Stats,
    Steps,
    Support,
    Verdict,
    With,
)

if TYPE_CHECKING:
    from rag.engine import Engine

__version__ = "0.1.0"


def open(index: str | Path = "index", *, settings: Settings | None = None) -> Engine:
    """Return an engine on an index, with one loaded model; close it, or use it in a `with` block.

    Raises NoIndex, IndexMismatch, IndexDamaged, InvalidSettings and ModelError.
    """
    from rag.engine import open_engine

    return open_engine(index, settings)


def ingest(
    source: str | Path | Iterable[Article],
    *,
    index: str | Path = "index",
    prune: bool = False,
    rebuild: bool = False,
    dry_run: bool = False,
    with_: With | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    settings: Settings | None = None,
) -> Report:
    """Bring the articles of a path, or the articles given, into an index, and return what was done.

    Known articles are skipped, changed ones replaced.  `prune` removes those that came from this
    source and are no longer in it; `rebuild` starts from nothing but the vectors already computed;
    `dry_run` only counts.  A page that cannot be read is in `Report.failed`, and the rest goes on.
    `with_="ray"` spreads the work over a Ray cluster; the index is the same.

    Raises BadSource, IndexLocked, IndexMismatch, IndexDamaged, IndexReadOnly, ModelError, and with Ray MissingExtra and
    ClusterError.
    """
    from rag import keeping

    sources = [source] if isinstance(source, (str, Path)) else source
    return keeping.ingest(
        sources,
        index,
        settings or Settings.load(),
        prune=prune,
        rebuild=rebuild,
        dry_run=dry_run,
        with_=with_,
        on_progress=on_progress,
    )


def search(
    question: str,
    *,
    k: int = 10,
    where: Filter | None = None,
    group: Group = "passage",
    index: str | Path = "index",
) -> list[Hit]:
    """Return min(k, matches) hits, best first; with group="article" from as many different articles.

    Opens the index for this one question; use `rag.open` for more.
    Raises InvalidQuestion, and what `rag.open` raises.
    """
    with open(index) as engine:
        return engine.search(question, k=k, where=where, group=group)


def ask(
    question: str,
    *,
    history: Sequence[Mapping[str, str]] = (),
    where: Filter | None = None,
    index: str | Path = "index",
) -> Answer:
    """Return the answer to a question, every sentence cited, or an abstention with the nearest passages.

    `history` holds the messages before, oldest first, `{"role": "user", "content": ...}`: what a follow-up leaves out
    is taken from the last of the user's; one that is longer than a question may be is passed over.

    Opens the index for this one question; use `rag.open` for more.
    Raises InvalidQuestion, InvalidFilter, MissingExtra where the settings ask for a chat model without its packages,
    and what `rag.open` raises.
    """
    with open(index) as engine:
        return engine.ask(question, history=history, where=where)


def remove(id: str, *, index: str | Path = "index") -> None:
    """Erase an article from an index, all its revisions and their vectors.

    Raises UnknownArticle, NoIndex, IndexLocked, IndexDamaged and IndexReadOnly.
    """
    from rag import keeping

    keeping.remove(id, index, Settings.load())


def backup(file: str | Path, *, index: str | Path = "index", on_progress: Callable[[Steps], None] | None = None) -> int:
    """Write an index into one file, while it is used, and return the file's size in bytes.

    A backup that is there is replaced, and no other file.  Raises BadSource for a file that cannot be written, NoIndex,
    IndexDamaged and StoreError.
    """
    from rag import keeping

    return keeping.backup(file, index, Settings.load(), on_progress=on_progress)


def restore(
    file: str | Path,
    *,
    index: str | Path = "index",
    replace: bool = False,
    on_progress: Callable[[Steps], None] | None = None,
) -> Stats:
    """Read a backup into an index, embedding nothing, and return what that holds then.

    With `replace` the backup takes the place of the articles that the index holds.  Raises BadSource for a file that is
    no backup or damaged, StoreError for an index in the way, IndexLocked and IndexMismatch.
    """
    from rag import keeping

    return keeping.restore(file, index, Settings.load(), replace=replace, on_progress=on_progress)


def copy(
    source: str | Path,
    target: str | Path,
    *,
    prune: bool = False,
    on_progress: Callable[[Steps], None] | None = None,
    settings: Settings | None = None,
) -> Report:
    """Bring all articles of one index into another, embedding nothing, and return what was done.

    Each is a folder or an address as setting store.uri takes it.  Interrupted, it goes on when it is called again.
    `prune` takes out of the target what the source has not.

    Raises NoIndex, IndexMismatch for a target that was built otherwise, IndexLocked and StoreError.
    """
    from rag import moving

    return moving.copy(source, target, settings or Settings.load(), prune=prune, on_progress=on_progress)


def doctor(
    index: str | Path = "index",
    *,
    repair: bool = False,
    against: str | Path | None = None,
    on_progress: Callable[[Steps], None] | None = None,
) -> dict[str, Any]:
    """Look through what is installed, the model and every file of an index, and return what `rag doctor --json` prints.

    `problems` has one line for each thing that is wrong.  With `repair` the index is mended first.  An index that it is
    held `against`, a folder or an address, is a problem where it differs.
    """
    from rag.faces.doctor import examine

    return examine(index, repair=repair, against=against, on_progress=on_progress)


def evaluate(
    data: str | Path | Sequence[str | Path],
    *,
    config: Sequence[str] = (),
    index: str | Path | None = None,
    measures: Sequence[str] | None = None,
    out: str | Path = "eval/out",
    on_progress: Callable[[Progress | Steps], None] | None = None,
) -> list[dict[str, Any]]:
    """Put the questions of collections to the search and return a row for each: measures, times, sizes.

    Does what `rag eval retrieval` does and returns what that prints with --json; the other commands are functions of
    `rag.evaluation.commands`.  `config` holds settings as "search.dense_weight=0.7", `measures` names of ir_measures.
    The runs are written under `out`.

    Raises BadSource, InvalidSettings, MissingExtra, and what `rag.ingest` and `rag.open` raise.
    """
    from rag.evaluation import commands

    given = [data] if isinstance(data, (str, Path)) else data
    return commands.retrieval(given, config=config, index=index, measures=measures, out=out, on_progress=on_progress)


__all__ = [
    "Answer",
    "Article",
    "ArticleHead",
    "BadSource",
    "Citation",
    "ClusterError",
    "DuplicateId",
    "Embedder",
    "Failure",
    "Filter",
    "Hit",
    "IndexDamaged",
    "IndexLocked",
    "IndexMismatch",
    "IndexReadOnly",
    "InvalidArticle",
    "InvalidFilter",
    "InvalidQuestion",
    "InvalidSettings",
    "MissingExtra",
    "ModelError",
    "NoIndex",
    "Passage",
    "Progress",
    "RagError",
    "Report",
    "Retriever",
    "Section",
    "Sentence",
    "Settings",
    "Stats",
    "Steps",
    "Store",
    "StoreError",
    "Support",
    "TextTooLong",
    "UnknownArticle",
    "UnreadablePage",
    "Verdict",
    "Writer",
    "ask",
    "backup",
    "copy",
    "doctor",
    "evaluate",
    "ingest",
    "open",
    "remove",
    "restore",
    "search",
    "to_dict",
]
