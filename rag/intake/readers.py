"""Pages to articles: one reader for each kind of page, all listed in one table."""

from __future__ import annotations

import codecs
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from rag.errors import InvalidArticle, UnreadablePage
from rag.intake.bylines import read_byline
from rag.intake.fields import Known, from_front_matter
from rag.intake.jsonl import opened_lines, parsed_line
from rag.intake.markdown import Block, front_matter, render
from rag.intake.sections import make_sections
from rag.intake.sources import Kind, Page, Raw
from rag.intake.split import Piece, made_title, split
from rag.intake.text import clean, fold
from rag.intake.webpage import extract
from rag.types import Article, Failure, Section

MAX_PAGE = 32 * 1024 * 1024
MAX_LINE = 16 * 1024 * 1024

_BOMS = ((codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"), (codecs.BOM_UTF8, "utf-8-sig"))
_BOMS16 = ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_MAGIC = (b"%PDF-", b"PK\x03\x04", b"\x89PNG", b"GIF8", b"\xff\xd8\xff", b"\x1f\x8b", b"\x7fELF", b"\xd0\xcf\x11\xe0")
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\r\f\v\x1b"))
_OPENING_WORDS = 5


def read(page: Page, *, max_page: int = MAX_PAGE, max_line: int = MAX_LINE) -> Iterator[Article | Failure]:
    """Yield the articles of a page in order; what cannot be read comes as a Failure in its place.

    `max_page` bounds a text, Markdown or HTML page and `max_line` a line of a JSONL page, in bytes.
    """
    for raw in opened(page, max_page=max_page, max_line=max_line):
        yield from parsed(raw) if isinstance(raw, Raw) else [raw]


def opened(page: Page, *, max_page: int = MAX_PAGE, max_line: int = MAX_LINE) -> Iterator[Raw | Failure]:
    """Yield what a page holds, not yet read: all of it, or line after line; see `read`."""
    if page.kind == "jsonl":
        yield from opened_lines(page, max_line)
        return
    try:
        raw = Raw(page, _bytes(page, max_page))
    except UnreadablePage as error:
        yield Failure(page.path, str(error))
        return
    yield raw


def parsed(raw: Raw) -> list[Article | Failure]:
    """Return the articles of what was opened, in order.  It needs nothing but the bytes, wherever the page lies."""
    if raw.page.kind == "jsonl":
        return [parsed_line(raw)]
    try:
        return [*_READERS[raw.page.kind](raw.page, raw.data)]
    except (UnreadablePage, InvalidArticle) as error:
        return [Failure(raw.page.path, str(error))]


def _bytes(page: Page, limit: int) -> bytes:
    try:
        with Path(page.path).open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise UnreadablePage(f"it cannot be opened ({error.strerror}): check its permissions") from error
    if len(data) > limit:
        raise UnreadablePage(f"it is larger than {limit:,} bytes: split it, or turn it into .jsonl")
    if not data.strip():
        raise UnreadablePage("it is empty: remove it or fill it")
    return data


def _decode(data: bytes) -> str:
    for mark, name in _BOMS + _BOMS16:
        if data.startswith(mark):
            try:
                return data.decode(name)
            except UnicodeDecodeError as error:
                raise UnreadablePage(f"broken {name.upper()} at byte {error.start:,}: save it as UTF-8") from error
    _refuse_binary(data)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UnreadablePage(f"line {line}: no valid UTF-8 at byte {error.start:,}: save the page as UTF-8") from error


def _refuse_binary(data: bytes) -> None:
    head = data[:65536]
    controls = len(head) - len(head.translate(None, _CONTROLS))
    if b"\x00" in head or head.startswith(_MAGIC) or controls > 0.1 * len(head):
        raise UnreadablePage("it is binary, not text: give its text as UTF-8, or remove it")


def _text_page(page: Page, data: bytes) -> Iterator[Article]:
    pieces = split(clean(_decode(data)))
    yield from _articles(page, pieces, Known())


def _html_page(page: Page, data: bytes) -> Iterator[Article]:
    if data.startswith(tuple(mark for mark, _ in _BOMS + _BOMS16)):
        found = extract(_decode(data))
    else:
        _refuse_binary(data)
        found = extract(data)
    pieces = split(clean(found.text))
    known = Known(title=found.title, authors=found.authors, published=found.published, url=found.url or None)
    if len(pieces) > 1:
        known = Known(url=known.url)
    yield from _articles(page, pieces, known)


def _articles(page: Page, pieces: list[Piece], known: Known) -> Iterator[Article]:
    if not pieces:
        raise UnreadablePage("it holds no words: remove it or fill it")
    base = known.id or _address(known.url or page.name)
    ids = [base] if len(pieces) == 1 else _split_ids(base, pieces)
    taken: set[str] = set()
    for id, piece in zip(ids, pieces, strict=True):
        # The same article twice on one page is one article.
        if id in taken:
            continue
        taken.add(id)
        yield Article(
            id=id,
            title=known.title or piece.title,
            title_made=piece.title_made and not known.title,
            text=piece.text,
            authors=known.authors or piece.authors,
            published=known.published or piece.published,
            url=known.url,
            source=known.source or page.name,
            sections=piece.sections,
        )


def _split_ids(base: str, pieces: list[Piece]) -> list[str]:
    ids = [""] * len(pieces)
    open_ = list(range(len(pieces)))
    for words in (_OPENING_WORDS, 8, 12, 20, 40):
        for n in open_:
            ids[n] = f"{base}#{_slug(pieces[n], words)}"
        times = Counter(ids)
        open_ = [n for n in open_ if times[ids[n]] > 1]
    for n in open_:
        piece = pieces[n]
        whole = f"{piece.title}\n{piece.published}\n{piece.authors}\n{piece.text}"
        ids[n] += "-" + hashlib.sha256(whole.encode()).hexdigest()[:8]
    return ids


def _slug(piece: Piece, words: int) -> str:
    opening = piece.text[: 40 * words].replace("’", "'").split()[:words]
    parts = [*piece.authors[:1], *opening]
    slug = "".join(c if c.isalnum() else "-" for c in fold(" ".join(parts)))
    return re.sub(r"-{2,}", "-", slug).strip("-")


def _address(name: str) -> str:
    # White space would end an id where ids are listed: it is percent-encoded, and nothing else is.
    return "".join(quote(c) if c.isspace() else c for c in name)


def _markdown_page(page: Page, data: bytes) -> Iterator[Article]:
    fields, rest = front_matter(clean(_decode(data)))
    try:
        blocks = render(rest)
    except RecursionError as error:
        raise UnreadablePage("its Markdown is nested too deeply: flatten it") from error
    known = from_front_matter(fields)
    firsts = [n for n, block in enumerate(blocks) if block.level == 1]
    if not fields and len(firsts) != 1:
        yield from _articles(page, split("\n\n".join(_marked(b) for b in blocks)), known)
        return
    if firsts and (not known.title or fold(blocks[firsts[0]].text) == fold(known.title)):
        heading = blocks.pop(firsts[0])
        known = replace(known, title=known.title or " ".join(heading.text.split()))
        if not fields:
            known, blocks = _under_heading(known, blocks, firsts[0])
    text, sections = _joined(blocks)
    if not text:
        raise UnreadablePage("it holds no words below its front matter: remove it or fill it")
    piece = Piece(made_title(text), True, (), None, text, sections)
    yield from _articles(page, [piece], known)


def _marked(block: Block) -> str:
    return "#" * block.level + " " + block.text if block.level else block.text


def _under_heading(known: Known, blocks: list[Block], at: int) -> tuple[Known, list[Block]]:
    # Without front matter, byline and date may stand as paragraphs under the title.
    while at < len(blocks) and not blocks[at].level:
        bylines = [read_byline(row) for row in blocks[at].text.split("\n")]
        if not all(b and (b.strong or b.dated) for b in bylines):
            break
        for byline in filter(None, bylines):
            known = replace(
                known,
                authors=known.authors or byline.authors,
                published=known.published or byline.published or byline.updated,
            )
        blocks = blocks[:at] + blocks[at + 1 :]
    return known, blocks


def _joined(blocks: list[Block]) -> tuple[str, tuple[Section, ...]]:
    parts: list[str] = []
    heads: list[tuple[str, int, int]] = []
    at = 0
    for block in blocks:
        if parts:
            parts.append("\n" if block.tight else "\n\n")
            at += len(parts[-1])
        parts.append(block.text)
        if block.level:
            heads.append((block.text, at, at + len(block.text)))
        at += len(block.text)
    text = "".join(parts)
    return text, make_sections(text, heads)


_READERS: dict[Kind, Callable[[Page, bytes], Iterator[Article]]] = {
    "md": _markdown_page,
    "txt": _text_page,
    "html": _html_page,
}
