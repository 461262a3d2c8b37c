"""An ingest with Ray that tells when it is half way: `python tests/spread_driver.py SOURCE INDEX HALF`.

It prints "half" when so many texts are embedded, and goes on when it is given a line; the last line it prints is JSON.
"""

from __future__ import annotations

import json
import sys

import rag
from rag.spread import spread
from rag.spread.pool import Pool

pools: list[Pool] = []


class Told(Pool):
    """A pool that is remembered."""

    def close(self) -> None:
        pools.append(self)
        super().close()


def tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    source, index, half = sys.argv[1], sys.argv[2], int(sys.argv[3])
    spread.Pool = Told  # type: ignore[misc]
    asked = False

    def on_progress(progress: rag.Progress) -> None:
        nonlocal asked
        if not asked and progress.embedded >= half:
            asked = True
            tell("half")
            sys.stdin.readline()

    report = rag.ingest(source, index=index, with_="ray", on_progress=on_progress)
    tell(json.dumps({"report": rag.to_dict(report), "workers": pools[0].workers, **pools[0].counts}))


if __name__ == "__main__":
    main()
