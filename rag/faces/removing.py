"""Articles that a reader takes out of the index through the page, each kept in memory for whoever regrets it."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from rag import keeping
from rag.engine import Engine
from rag.errors import BadSource, RagError
from rag.faces.view import head
from rag.to_json import JSON
from rag.types import Article

KEPT = 20
"""Articles taken out that can be brought back."""
REGRET = 600.0
"""Seconds for which they can."""


class TooLate(RagError, LookupError):
    """What was taken out is not kept any more."""


class Removing:
    """What readers take out of one index; safe to share between threads."""

    def __init__(self, engine: Engine, index: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._engine, self._index, self._clock = engine, index, clock
        self._lock = threading.Lock()
        self._removed: OrderedDict[str, tuple[float, Article]] = OrderedDict()

    def remove(self, id: str) -> JSON:
        """Take an article out of the index and return a word that brings it back.  Raises UnknownArticle."""
        article = self._engine.article(id)
        keeping.remove(id, self._index)
        word = secrets.token_urlsafe(12)
        with self._lock:
            self._removed[word] = self._clock(), article
            self._forget()
        # What was erased stays in memory no longer than is said.
        later = threading.Timer(REGRET + 1, self._forget_now)
        later.daemon = True
        later.start()
        return {**head(article.head), "id": id, "undo": word, "seconds": REGRET}

    def bring_back(self, word: str) -> JSON:
        """Add an article again that was taken out.  Raises TooLate when it is too late."""
        with self._lock:
            self._forget()
            found = self._removed.pop(word, None)
        if found is None:
            raise TooLate("it is too late to undo this: add the article again from its page")
        try:
            if self._engine.current(found[1].id) is not None:
                raise BadSource("there is a newer article in its place by now: remove that first")
            report = keeping.ingest([found[1]], self._index, self._engine.settings, embedder=self._engine.embedder)
            if report.failed:
                raise RagError(report.failed[0].reason)
        except BaseException:
            with self._lock:
                self._removed[word] = found
            raise
        return {**head(found[1].head), "id": found[1].id}

    def _forget_now(self) -> None:
        with self._lock:
            self._forget()

    def _forget(self) -> None:
        now = self._clock()
        for word, (when, _) in list(self._removed.items()):
            if now - when > REGRET or len(self._removed) > KEPT:
                del self._removed[word]
