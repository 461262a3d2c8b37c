"""What a server of Milvus can do, by its version.

A server takes schemas with what it does not know and leaves that out without a word, so it is not asked by trying.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Abilities:
    """What a server can do, by its version."""

    version: str
    lite: bool
    words: bool
    halves: bool
    infix: bool
    inverted: bool
    arrays: bool
    mapped: bool

    @classmethod
    def of(cls, told: str) -> Abilities:
        """Return what a server can do that tells its version so.

        >>> Abilities.of("v2.3.5-lite").words, Abilities.of("v2.5.4").words, Abilities.of("milvus_lite-3.2.2").halves
        (False, True, False)
        """
        lite = "milvus_lite" in told
        numbers = re.search(r"(\d+)\.(\d+)", told)
        version = (int(numbers[1]), int(numbers[2])) if numbers else (0, 0)
        return cls(
            version=told,
            lite=lite,
            # The function that makes BM25 vectors of a text.
            words=lite or version >= (2, 5),
            # Vectors of 16 bits.
            halves=not lite and version >= (2, 4),
            # A pattern that begins with %.
            infix=lite or version >= (2, 4),
            # Indexes of a field's values, and of an array's members.
            inverted=not lite and version >= (2, 4),
            arrays=not lite and version >= (2, 5),
            # Collections whose files are mapped into memory.
            mapped=not lite and version >= (2, 4),
        )
