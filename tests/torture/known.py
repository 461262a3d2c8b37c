"""What the store is known to do wrong: told apart from what is new, and to be taken out of here once it is mended."""

from __future__ import annotations

import re

from torture.cases import Outcome

KNOWN: list[tuple[str, str, str]] = [
    (
        "damaged",
        r"lexical/\*\.(term|idx|pos|fast|fieldnorm|store|del) .*: Wrong: .*",
        "a bit turned over in a file of the lexical index goes unnoticed, and words are not found",
    ),
    (
        "damaged",
        r"lexical/\*\.fast bit .*TypeError: int\(\) argument must be .*",
        "a damaged column of rows in the lexical index is a TypeError",
    ),
]
"""(part, pattern of the whole problem, what it is)."""


def known(outcome: Outcome) -> str:
    """Return what a failure is known as, or nothing."""
    for part, pattern, what in KNOWN:
        if re.fullmatch(part, outcome.case.part) and re.fullmatch(pattern, outcome.problem, re.DOTALL):
            return what
    return ""
