"""Stores that are wrong on purpose: a test that does not notice them would notice nothing."""

from __future__ import annotations

from typing import Any

from rag.store import lexical, transaction


def catalog_first() -> None:
    """Have the catalog name rows before the lexical index holds them."""
    words_commit, commit = lexical.WordsWriter.commit, transaction.LocalTransaction.commit
    waiting: list[lexical.WordsWriter] = []
    late = [False]

    def later(self: lexical.WordsWriter) -> None:
        if late[0]:
            waiting.append(self)
        else:
            words_commit(self)

    def reordered(self: transaction.LocalTransaction, *arguments: Any, **named: Any) -> None:
        late[0] = True
        try:
            commit(self, *arguments, **named)
        finally:
            late[0] = False
        while waiting:
            words_commit(waiting.pop())

    lexical.WordsWriter.commit = later  # type: ignore[method-assign]
    transaction.LocalTransaction.commit = reordered  # type: ignore[method-assign]


MUTANTS = {"catalog-first": catalog_first}
