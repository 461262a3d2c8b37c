"""Articles and passages as rows of the collections, and back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from rag.errors import IndexDamaged, StoreError
from rag.handover import NewPassage, Vector
from rag.intake.signature import signature
from rag.intake.text import fold
from rag.store import columns
from rag.store.milvus import filters, layout
from rag.store.milvus.abilities import Abilities
from rag.store.milvus.builds import Build
from rag.store.milvus.layout import NONE, PART, PARTS
from rag.store.milvus.server import MOST_BYTES, Row, Server, among, lists_of
from rag.types import Article, ArticleHead, Section
from rag.words import analyzed


@dataclass(frozen=True)
class Told:
    """What the row of an article says of it that no filter asks about.

    `parts` counts those of its body that hold the text, the sections and the keys.
    """

    head: ArticleHead
    origin: str
    parts: tuple[int, int, int]

    @classmethod
    def of(cls, row: Row) -> Told:
        """Return what a row says.  Raises IndexDamaged."""
        try:
            said = json.loads(str(row["said"]))
            id, title, made, authors, published, url, source = said["head"]
            day = date.fromisoformat(published) if published else None
            head = ArticleHead(id, title, tuple(authors), day, url, source, bool(made))
            text, sections, keys = said["parts"]
            return cls(head, said["origin"], (text, sections, keys))
        except (TypeError, ValueError, KeyError, RecursionError) as e:
            raise IndexDamaged(
                f"article row {row.get('ord')} cannot be read: rebuild the index with `rag ingest SOURCE --rebuild`"
            ) from e

    def said(self) -> str:
        """Return this as it stands in a row."""
        h = self.head
        day = h.published.isoformat() if h.published else None
        head = [h.id, h.title, h.title_made, h.authors, day, h.url, h.source]
        # ASCII only: an origin may hold bytes that are no text, which no server takes otherwise.
        return json.dumps({"head": head, "origin": self.origin, "parts": self.parts})


@dataclass(frozen=True)
class New:
    """An article about to be stored, as rows; its passages still lack their vectors, and itself its twins."""

    article: Article
    row: Row
    bodies: list[Row]
    passages: list[Row]
    keys: list[str]


def new(article: Article, passages: Sequence[NewPassage], origin: str, ord: int, first: int, can: Abilities) -> New:
    """Return an article as rows.  Raises StoreError for what fits no field, and TypeError for what is no text."""
    keys = [p.key.hex() for p in passages]
    sections = json.dumps([[s.name, s.start, s.end] for s in article.sections])
    texts = [list(_parts(t)) for t in (article.text, sections, "".join(keys))]
    bodies = [
        {"part": ord * PARTS + n, "text": text, "none": NONE}
        for n, text in enumerate(part for parts in texts for part in parts)
    ]
    told = Told(article.head, origin, (len(texts[0]), len(texts[1]), len(texts[2])))
    about = {
        "id": filters.digest(article.id),
        "source": filters.digest(article.source),
        "authors": [filters.folded(name) for name in dict.fromkeys(map(fold, article.authors))],
        "day": columns.day(article.published),
    }
    row = {
        **about,
        **{"ord": ord, "revision": article.revision},
        **{"within": list(filters.folders(origin)), "bands": sorted(set(signature(article.text))), "twins": []},
        **{"first": first, "passages": len(passages), "said": told.said(), "none": NONE},
    }
    rows = []
    for n, (p, key) in enumerate(zip(passages, keys, strict=True), first):
        if not isinstance(p.section, str):
            raise TypeError(f"section {p.section!r} is no text")
        text = article.text[p.start : p.end]
        passage = {
            **about,
            **{"row": n, "ord": ord, "start": p.start, "stop": p.end, "key": key, "section": p.section},
            **{"heading": filters.folded(p.section), "named": filters.digest(p.section)},
        }
        if can.infix:
            passage["said"] = filters.said(text)
        if can.words:
            passage["terms"] = filters.terms_of(analyzed(f"{article.title}\n{text}"))
        rows.append(passage)
    _check(article.id, row, rows, len(bodies))
    return New(article, row, bodies, rows, keys)


def _check(id: str, row: Row, passages: list[Row], parts: int) -> None:
    """Raise StoreError where a field does not hold what is to be stored; Milvus Lite would not say so."""
    this = f"article {id[:60]!r} cannot be stored in Milvus:"
    if len(row["said"]) > MOST_BYTES:
        raise StoreError(f"{this} title, authors and addresses have more than {MOST_BYTES:,} bytes: shorten them")
    if len(row["authors"]) > layout.MOST_AUTHORS:
        raise StoreError(f"{this} it has more than {layout.MOST_AUTHORS:,} authors: give fewer")
    if parts > PARTS:
        raise StoreError(f"{this} it has more than {PARTS * PART:,} characters: split it")
    for passage in passages:
        if len(passage["section"].encode()) > MOST_BYTES:
            raise StoreError(f"{this} the name of a section has more than {MOST_BYTES:,} bytes: shorten it")
        if any(len(passage.get(field, "").encode()) > MOST_BYTES for field in ("said", "terms")):
            raise StoreError(
                f"{this} the words of a passage have more than {MOST_BYTES:,} bytes: lower passages.tokens and rebuild"
            )


def with_vector(passage: Row, vector: Vector, *, halves: bool) -> Row:
    """Return the row of a passage with the vector that it is found by."""
    return {**passage, "vector": vector.astype("float16") if halves else vector}


def ascii_of(origin: str) -> str:
    """Return an origin as a field can hold it: it may have bytes that are no text."""
    return json.dumps(origin)


def origin_of(stored: str) -> str:
    """Return the origin that is stored as this."""
    return str(json.loads(stored))


def _parts(text: str) -> Iterator[str]:
    for at in range(0, len(text), PART):
        yield text[at : at + PART]


def body_keys(ord: int, parts: tuple[int, int, int], which: int) -> list[int]:
    """Return the keys of the parts of an article's body: 0 of its text, 1 of its sections, 2 of the keys of vectors."""
    before = sum(parts[:which])
    return [ord * PARTS + n for n in range(before, before + parts[which])]


def body(server: Server, build: Build, row: Row, which: int, at: int) -> str:
    """Return what a part of an article's body says, see `body_keys`, as far as it is there."""
    keys = body_keys(int(row["ord"]), Told.of(row).parts, which)
    found: dict[int, str] = {}
    for some in lists_of(keys):
        held = server.rows(build.bodies, among("part", some), ["part", "text"], at)
        found.update({int(part["part"]): str(part["text"]) for part in held})
    return "".join(found.get(key, "") for key in keys)


def all_keys(row: Row) -> list[int]:
    """Return the keys of all parts of an article's body."""
    return [ord for which in range(3) for ord in body_keys(int(row["ord"]), Told.of(row).parts, which)]


def keys_of(text: str) -> list[str]:
    """Return the keys of vectors that stand in a body."""
    return [text[at : at + 32] for at in range(0, len(text), 32)]


def article(row: Row, text: str, sections: str) -> Article:
    """Return an article of its row and its body.  Raises IndexDamaged."""
    h = Told.of(row).head
    try:
        named = tuple(Section(*s) for s in json.loads(sections))
        made = Article(h.id, h.title, text, h.authors, h.published, h.url, h.source, h.title_made, named)
    except (TypeError, ValueError, RecursionError) as e:
        raise _damaged(h.id) from e
    if made.revision != row["revision"]:
        raise _damaged(h.id)
    return made


def _damaged(id: str) -> IndexDamaged:
    return IndexDamaged(f"article {id[:60]!r} is not what was written: ingest it again, or rebuild the index")
