"""Which half of a set a query belongs to: one half is for tuning, the other for reporting.

Decided once for all by a digest of the query's id, so no run and no person can choose.
"""

from __future__ import annotations

import hashlib
from typing import Literal

Half = Literal["tune", "report"]


def half(set_name: str, query_id: str) -> Half:
    """Return the half that a query of a set belongs to.

    >>> {half("time-1963", str(n)) for n in range(20)} == {"tune", "report"}
    True
    """
    first = hashlib.sha256(f"{set_name}/{query_id}".encode()).digest()[0]
    return "tune" if first % 2 else "report"
