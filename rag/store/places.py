"""Where an index lies: in a folder, or on the server that the setting `store.uri` names.

Nothing above this module knows which.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from rag.errors import StoreError
from rag.protocols import Store
from rag.settings import StoreSettings, is_address
from rag.types import Fingerprint

if TYPE_CHECKING:
    from rag.store.check import Checked
    from rag.store.faults import OnSteps


class Place(Protocol):
    """What can be done with an index before it is open."""

    @property
    def name(self) -> str:
        """What a user is told of where it is; no secret is in it."""
        ...

    def exists(self) -> bool:
        """Say whether there is an index.  Raises StoreError."""
        ...

    def open(self) -> Store:
        """Return the store that is there.  Raises NoIndex, IndexMismatch, IndexDamaged and StoreError."""
        ...

    def create(self, fingerprint: Fingerprint) -> Store:
        """Return the store that is there, made if there is none.  Raises what `open` raises."""
        ...

    def anew(self, fingerprint: Fingerprint) -> Store:
        """Return what `create` does, for an index about to be built anew: what is damaged is set aside."""
        ...

    def check(self, on_progress: OnSteps | None = None) -> Checked:
        """Look through the index, changing nothing.  Raises NoIndex, IndexMismatch and StoreError."""
        ...


def place(index: str | Path, chosen: StoreSettings) -> Place:
    """Return where the index is that the settings choose: `index` is its folder if it has one."""
    return at(chosen.uri or index, chosen)


def at(where: str | Path, chosen: StoreSettings) -> Place:
    """Return the place that an address or a folder names; name and limits of an address are those of the settings."""
    if isinstance(where, str) and is_address(where):
        from rag.store.milvus.address import Address

        return Address(chosen.at(where))
    from rag.store.local import Folder

    return Folder(where)


def folder(index: str | Path, chosen: StoreSettings, what: str) -> str | Path:
    """Return the folder of an index, for what only a folder can have done to it.  Raises StoreError for an address."""
    if chosen.uri:
        raise StoreError(
            f"{what} takes an index in a folder, and setting store.uri names {chosen.uri}: bring it into one with"
            f" `rag copy {chosen.uri} FOLDER`, and unset store.uri"
        )
    return index
