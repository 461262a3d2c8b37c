"""Links between articles that are one, kept in the rows of the articles: the newer of two names the older.

What a link is, and how candidates are found: `rag.store.twins`.  A link holds while both articles do.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from rag.intake.twins import same
from rag.store.milvus.rows import New
from rag.store.milvus.server import Row
from rag.store.twins import COMPARED, NEWEST


def link(fresh: Sequence[New], stored: Iterable[Row], text_of: Callable[[int], str]) -> bool:
    """Write into the rows of new articles which others they are linked with; say whether there is any.

    `stored` are the rows of the articles that share a band with any of them and still hold, `text_of` returns the text
    of one by ordinal.
    """
    having: dict[int, list[int]] = defaultdict(list)
    for row in stored:
        for band in map(int, row["bands"]):
            having[band].append(int(row["ord"]))
    texts: dict[int, str] = {}
    found = False
    for new in fresh:
        ord, text = int(new.row["ord"]), new.article.text
        for other in _alike(new.row["bands"], having):
            if other not in texts:
                texts[other] = text_of(other)
            if same(text, texts[other]):
                new.row["twins"].append(other)
                found = True
        texts[ord] = text
        for band in new.row["bands"]:
            having[band].append(ord)
    return found


def _alike(bands: Iterable[int], having: Mapping[int, Sequence[int]]) -> list[int]:
    """Return the articles whose texts are to be compared, those with most bands in common first, the newer first."""
    shared: dict[int, int] = {}
    for band in bands:
        for other in sorted(having.get(band, ()), reverse=True)[:NEWEST]:
            shared[other] = shared.get(other, 0) + 1
    return sorted(shared, key=lambda other: (-shared[other], -other))[:COMPARED]
