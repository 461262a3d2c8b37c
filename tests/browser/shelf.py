"""A library of a few articles, and the way to its table."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect

import rag

BRIDGE = "When was the bridge at Kilda built?"
FERRY = "When did the ferry to Hirta first sail?"
ARTICLES = (
    rag.Article(
        "bridge",
        "The bridge at Kilda",
        "The bridge at Kilda was built in 1911.",
        ("Bo Vane",),
        "2021-03-01",
        source="north",
    ),  # type: ignore[arg-type]
    rag.Article(
        "mill",
        "The mill",
        "The mill at Runsa was built in 1905. It grinds rye.",
        ("Bo Vane",),
        "2022-03-01",
        source="north",
    ),  # type: ignore[arg-type]
    rag.Article(
        "tower", "The tower", "The tower at Runsa was built in 1899.", ("Ada Brix",), "2024-03-01", source="south"
    ),  # type: ignore[arg-type]
)
PAGE = (
    "# The ferry to Hirta\n\nBy Mira Castellan\n\n3 May 2024\n\nThe ferry to Hirta sailed first in 1987, from Oban.\n"
)


def shelf(page: Page) -> Locator:
    """Go to the library and return the titles in its table."""
    page.locator(".views [data-view=library]").click()
    titles = page.locator("tbody .link")
    expect(titles.first).to_be_visible()
    return titles
