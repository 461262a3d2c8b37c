"""A page that a browser sends: its name made plain, and the articles read from it, looked at before they are added."""

from __future__ import annotations

import hashlib
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from rag.engine import Engine
from rag.errors import BadSource, RagError
from rag.intake.chunk import chunk, short_title
from rag.intake.readers import read
from rag.intake.sources import KINDS, Page
from rag.intake.text import fold
from rag.types import Article, Failure

FOLDER = "uploads"


@dataclass(frozen=True, slots=True)
class Upload:
    """A page that was read: the articles in it with their numbers of passages, what failed, and its size."""

    articles: list[tuple[Article, int]]
    failed: list[Failure]
    bytes: int


def read_upload(engine: Engine, name: str, data: bytes) -> Upload:
    """Return what is in a page, cut as the engine's index cuts.  Nothing is raised: what fails is told in `failed`."""
    limits = engine.settings.limits
    articles: list[tuple[Article, int]] = []
    failed: list[Failure] = []
    with tempfile.TemporaryDirectory(prefix="footnote-") as folder:
        path = Path(folder, f"page{PurePosixPath(name).suffix.lower()}")
        path.write_bytes(data)
        page = Page(f"{FOLDER}/{name}", str(path), KINDS[path.suffix])
        for found in read(page, max_page=limits.page_bytes, max_line=limits.line_bytes):
            if isinstance(found, Failure):
                # A reader knows the page by its name alone.
                failed.append(Failure(found.source.replace(str(path), name), found.reason.replace(str(path), name)))
                continue
            try:
                articles.append((found, _passages(engine, found)))
            except RagError as error:
                failed.append(Failure(found.id, str(error)))
    if not articles and not failed:
        failed.append(Failure(name, "no article was found in it"))
    return Upload(articles, failed, len(data))


def _passages(engine: Engine, article: Article) -> int:
    made, embedder = engine.store.fingerprint, engine.embedder
    title = short_title(article.title, embedder, made.passage_tokens) if made.title else ""
    return len(chunk(article, embedder, tokens=made.passage_tokens, overlap=made.overlap_tokens, title=title))


def page_name(name: str) -> str:
    """Return the name of an uploaded page.  Raises BadSource for one that is of no known kind, or has no name."""
    name = plain_name(name)
    if PurePosixPath(name).suffix.lower() not in KINDS:
        raise BadSource(f"this file is of an unknown kind: give one of {', '.join(KINDS)}")
    return name


def pasted(text: str, title: str = "") -> tuple[str, bytes]:
    """Return pasted text as a page, its name and its bytes.  Raises BadSource where there is none.

    The same text has the same name, and so is the same article when it comes again.
    """
    if not text.strip():
        raise BadSource("there is no text: paste some")
    given = f"{' '.join(title.split())}\n\n{text}" if title.strip() else text
    slug = re.sub(r"\W+", "-", fold(" ".join((title or text[:200]).split()[:6]))).strip("-")[:60]
    digest = hashlib.sha256(given.encode("utf-8", "surrogatepass")).hexdigest()[:6]
    return f"{slug or 'text'}-{digest}.txt", given.encode("utf-8", "replace")


def plain_name(name: str) -> str:
    """Return the last part of a file's name as a browser gives it, without what no file name should hold.

    Raises BadSource where nothing is left.

    >>> plain_name("C:\\\\tmp\\\\../a b.txt"), plain_name("../../etc/passwd.md")
    ('a b.txt', 'passwd.md')
    """
    last = re.split(r"[\\/]", name)[-1]
    kept = " ".join("".join(c if c.isprintable() else " " for c in last).split()).lstrip(".")
    if not kept:
        raise BadSource("the file has no name: give it one")
    # The beginning of a long name goes, never its kind.
    return kept[-120:]
