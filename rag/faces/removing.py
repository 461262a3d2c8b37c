"""Articles that a reader takes out of the index through the page, each kept in memory for whoever regrets it."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rag import keeping
from rag.engine import Engine
from rag.errors import BadSource, IndexLocked, RagError
from rag.faces.view import head
from rag.to_json import JSON
from rag.types import Article

KEPT = 20
"""Articles taken out that can be brought back."""
REGRET = 600.0
"""Seconds for which they can."""


class TooLate(RagError, LookupError):
    """What was taken out is not kept any more."""


@contextmanager
def _writing() -> Iterator[None]:
    """Tell a reader what an index that is being written means here.  Raises RagError."""
    try:
        yield
    except IndexLocked as error:
        raise RagError("articles are being added just now: try again when that is done") from error


class Removing:
    """What readers take out of one index; safe to share between threads."""

    def __init__(self, engine: Engine, index: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._engine, self._index, self._clock = engine, index, clock
        self._lock = threading.Lock()
        self._removed: OrderedDict[str, tuple[float, Article]] = OrderedDict()
        self._timer: threading.Timer | None = None

    def remove(self, id: str) -> JSON:
        """Take an article out of the index and return a word that brings it back.  Raises UnknownArticle."""
        article = self._engine.article(id)
        with _writing():
            keeping.remove(id, self._index, self._engine.settings)
        word = secrets.token_urlsafe(12)
        with self._lock:
            self._removed[word] = self._clock(), article
            self._forget()
            self._forget_later()
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
            engine = self._engine
            with _writing():
                report = keeping.ingest([found[1]], self._index, engine.settings, embedder=engine.embedder)
            if report.failed:
                raise RagError(report.failed[0].reason)
        except BaseException:
            with self._lock:
                self._removed[word] = found
            raise
        return {**head(found[1].head), "id": found[1].id}

    def _forget_later(self) -> None:
        """See to it that what was erased stays in memory no longer than is said."""
        if self._timer is None:
            self._timer = threading.Timer(REGRET + 1, self._forget_now)
            self._timer.daemon = True
            self._timer.start()

    def _forget_now(self) -> None:
        with self._lock:
            self._timer = None
            self._forget()
            if self._removed:
                self._forget_later()

    def _forget(self) -> None:
        now = self._clock()
        for word, (when, _) in list(self._removed.items()):
            if now - when > REGRET or len(self._removed) > KEPT:
                del self._removed[word]
