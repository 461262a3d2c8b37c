"""What an index takes on a Milvus server, up to 10^9 passages on paper: `python eval/sizing.py INDEX...`.

Each INDEX is a folder, whose passages are made into the rows that a server would hold and their bytes counted; what
Milvus makes of bytes is calculated, from the formulas that docs/scale.md names.  Writes results/sizing.md.
"""

from __future__ import annotations

import argparse
import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from tables import commit

from rag.handover import NewPassage
from rag.store.local import LocalStore
from rag.store.milvus import rows
from rag.store.milvus.abilities import Abilities

HERE = Path(__file__).parent
DIM = 384
GIB = 2**30
SEGMENT = GIB
NODE, FILLED = 64 * GIB, 0.8
"""Memory of a query node, and the share of it that is planned with."""
LOADING = 1.15
"""What loading takes above what is loaded, beside two segments."""
POSTING, ROW = 6, 4
"""Bytes in memory of a BM25 index: of each different word of a passage, and of the passage."""
MAPPED = 0.1
"""Share of what is mapped from disk that is counted as memory."""
SYSTEM = 40
"""Bytes of a row's own number, time and share of its segment's filter: estimated."""
INDEXED = 100
"""Bytes of a passage in the indexes of what filters ask about: estimated."""
VECTORS: Mapping[str, tuple[str, float]] = {
    "hnsw": ("HNSW, M 16", 4 * DIM + 8 * 16),
    "auto": ("AUTOINDEX, HNSW with M 18", 4 * DIM + 8 * 18),
    "ivf_sq8": ("IVF_SQ8", DIM),
    "ivf_rabitq": ("IVF_RABITQ, refined by SQ8", DIM / 8 + DIM),
    "diskann": ("DISKANN", DIM),
    "flat": ("FLAT", 4 * DIM),
}
"""Bytes in memory of a vector, by `store.index`."""
TOLD = ("hnsw", "ivf_sq8", "ivf_rabitq", "diskann")
COUNTS = (10**6, 10**7, 10**8, 10**9)


@dataclass(frozen=True)
class Passage:
    """Bytes of a passage in the mean, its share of its article's rows included, by what they are for."""

    counted: int
    body: float
    folded: float
    stems: float
    rest: float
    different: float

    @property
    def mapped(self) -> float:
        """Bytes that may lie on disk, the vector that is kept to be used again among them."""
        return self.body + self.folded + self.stems + self.rest + 4 * DIM

    @property
    def words(self) -> float:
        """Bytes of the BM25 index."""
        return POSTING * self.different + ROW


def measured(indexes: Sequence[Path]) -> Passage:
    """Return what the passages of some indexes take."""
    sums: Counter[str] = Counter()
    counted, server = 0, Abilities.of("v2.6.0")
    for index in indexes:
        with LocalStore(index).view() as view:
            for head, _ in view.articles():
                cut = view.cut(head.id)
                passages = [NewPassage(p.start, p.end, p.section, bytes(16)) for p in cut]
                article, origin = view.article(head.id), f"/articles/{head.id}.md"
                new = rows.new(article, passages, origin, 1, 1, server)
                counted += len(cut)
                for row in itertools.chain([new.row], new.bodies, new.passages):
                    for name, value in row.items():
                        kind = {"said": "folded", "terms": "stems", "text": "body"}.get(name, "rest")
                        if row is new.row:
                            kind = "rest"
                        sums[kind] += size(value)
                sums["different"] += sum(len(set(row["terms"].split())) for row in new.passages)
    return Passage(counted, **{kind: sums[kind] / counted for kind in ("body", "folded", "stems", "rest", "different")})


def size(value: object) -> int:
    """Return the bytes of a field."""
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, (list, tuple)):
        return sum(map(size, value))
    return 8


def memory(count: int, index: str, one: Passage, *, mapped: bool) -> float:
    """Return the bytes of memory that so many passages take, loaded once."""
    vectors = VECTORS[index][1] * count
    # Of a graph on disk nothing has to be held twice while it is loaded.
    vectors = LOADING * (vectors if index == "diskann" else vectors + 2 * SEGMENT)
    rest = one.mapped * (MAPPED if mapped else 1) + INDEXED + SYSTEM
    return vectors + count * (LOADING * one.words + rest)


def table(one: Passage, indexes: Sequence[Path]) -> str:
    """Return what was counted and what follows from it as Markdown."""
    lines = [
        "# What an index takes on a Milvus server",
        "",
        f"Made {date.today()} by eval/sizing.py at commit {commit()}.",
        "",
        "**Counted**, in the rows that are made of the"
        f" {one.counted:,} passages of {', '.join(i.name.rpartition('-')[0] for i in indexes)}: a passage takes"
        f" {one.body:.0f} bytes of text, {one.folded:.0f} of its words for phrases, {one.stems:.0f} of its stems for"
        f" BM25 ({one.different:.0f} different ones) and {one.rest:.0f} of numbers and digests, its share of its"
        " article's rows included.",
        "",
        f"**Calculated** for vectors of {DIM} numbers: the index of vectors as below, and on loading two segments of"
        f" 1 GiB more, times {LOADING}; {POSTING} bytes for each different stem and {ROW} for each passage in the BM25"
        f" index, times {LOADING}; {INDEXED} bytes in the indexes of filters and {SYSTEM} of Milvus' own (estimated);"
        f" texts, numbers, digests and the vectors that are kept to be used again ({4 * DIM:,} bytes each, loaded once"
        f" somebody writes) mapped from disk, {MAPPED:.0%} of them in memory, or all in memory.  Nodes have"
        f" {NODE // GIB} GiB, of which {FILLED:.0%} are used.  All for one replica; every other takes as much again.",
        "",
        "| store.index | index | bytes a vector in memory |",
        "| --- | --- | ---: |",
        *(f"| {name} | {told} | {size:,.0f} |" for name, (told, size) in VECTORS.items()),
        "",
        "| passages | " + " | ".join(f"{name} GiB | nodes | all in memory" for name in TOLD) + " | 1 GiB segments |",
        "| ---: |" + " ---: |" * (3 * len(TOLD) + 1),
    ]
    for count in COUNTS:
        cells = []
        for name in TOLD:
            least, most = (memory(count, name, one, mapped=m) for m in (True, False))
            cells += [f"{least / GIB:,.1f}", f"{-(-least // (FILLED * NODE)):,.0f}", f"{most / GIB:,.1f}"]
        stored = count * (one.mapped + 2 * DIM + 8 * one.different)
        lines.append(f"| {count:,} | " + " | ".join(cells) + f" | {-(-stored // SEGMENT):,.0f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("indexes", nargs="+", type=Path, metavar="INDEX")
    args = parser.parse_args()
    text = table(measured(args.indexes), args.indexes)
    (HERE / "results" / "sizing.md").write_text(text, "utf-8")
    print(text)


if __name__ == "__main__":
    main()
