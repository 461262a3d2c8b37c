"""What the store is known to do wrong: told apart from what is new, and to be taken out of here once it is mended."""

from __future__ import annotations

import re

from torture.cases import Outcome

KNOWN: list[tuple[str, str, str]] = []
"""(part, pattern of the whole problem, what it is)."""


def known(outcome: Outcome) -> str:
    """Return what a failure is known as, or nothing."""
    for part, pattern, what in KNOWN:
        if re.fullmatch(part, outcome.case.part) and re.fullmatch(pattern, outcome.problem, re.DOTALL):
            return what
    return ""
