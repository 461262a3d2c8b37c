"""Every error a caller may meet.

RagError                    one line: what failed, on what, what to do
  BadSource                 a source that is missing, empty or of an unknown kind
    UnreadablePage          one page of it
  InvalidArticle            an article that breaks its own rules          (also a ValueError)
  DuplicateId               one id from two sources
  InvalidQuestion           an empty or oversized question                (also a ValueError)
  InvalidFilter             a bad date or list in a filter                (also a ValueError)
  UnknownArticle            no such id or revision                        (also a LookupError)
  ModelError                a model that cannot be found, checked or run
    TextTooLong             a text the model would have cut
  StoreError                an index that cannot be used
    NoIndex                 there is none
    IndexLocked             another writer is at work
    IndexMismatch           built with another model, chunking or format
    IndexDamaged            a file is missing or its content is wrong
    IndexReadOnly           the folder cannot be written
  ClusterError              workers that cannot be reached or used
  InvalidSettings           a setting that is unknown or out of range     (also a ValueError)
  MissingExtra              an optional package is needed
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class RagError(Exception):
    """Base of all errors a user may see; its text is one line."""


class BadSource(RagError):
    """A source that is missing, empty or of an unknown kind."""


class UnreadablePage(BadSource):
    """One page that cannot be read; an ingest reports it and goes on."""


class InvalidArticle(RagError, ValueError):
    """An article that breaks its own rules."""


class DuplicateId(RagError):
    """One article id claimed by two sources."""


class InvalidQuestion(RagError, ValueError):
    """An empty or oversized question, or k below 1."""


class InvalidFilter(RagError, ValueError):
    """A bad date or list in a filter."""


class UnknownArticle(RagError, LookupError):
    """No article with this id, or not in this revision."""


class ModelError(RagError):
    """A model that cannot be found, checked or run."""


class TextTooLong(ModelError):
    """A text longer than the model reads, which would have been cut."""


class StoreError(RagError):
    """An index that cannot be used."""


class NoIndex(StoreError):
    """No index in the folder."""


class IndexLocked(StoreError):
    """Another writer is at work on the index."""


class IndexMismatch(StoreError):
    """An index built with another model, chunking or format than is asked for."""


class IndexDamaged(StoreError):
    """A file of the index is missing or its content is wrong."""

    @classmethod
    def of(cls, path: Path) -> IndexDamaged:
        """Return the error of a file whose content is not what was written."""
        return cls(f"index file {path.absolute()} is damaged: mend it with `rag doctor --repair`")


class IndexReadOnly(StoreError):
    """The index folder cannot be written."""


class ClusterError(RagError):
    """Workers on a cluster that cannot be reached or used."""


class InvalidSettings(RagError, ValueError):
    """A setting that is unknown or out of range."""


class MissingExtra(RagError):
    """An optional package is needed; the message holds the install command."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs an optional package: pip install 'footnote-rag[{extra}]'")
