"""Prints our passages of some corpora as one JSON list, as they are embedded: `python passages.py CORPUS...`."""

from __future__ import annotations

import json
import sys

from rag.embed.model import Model
from rag.intake.chunk import TITLE_SHARE, chunk, short_title
from rag.intake.readers import read
from rag.intake.sources import pages
from rag.intake.text import embedded_text
from rag.settings import Settings
from rag.types import Article


def main() -> None:
    """Cut every article as ingest does."""
    settings = Settings.load()
    limits, cut = settings.limits, settings.passages
    model, found = Model(), []
    for page in (page for path in sys.argv[1:] for page in pages(path)):
        for article in read(page, max_page=limits.page_bytes, max_line=limits.line_bytes):
            if isinstance(article, Article):
                title = short_title(article.title, model, cut.tokens // TITLE_SHARE)
                passages = chunk(article, model, tokens=cut.tokens, overlap=cut.overlap)
                found += [embedded_text(title, p.text) for p in passages]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
