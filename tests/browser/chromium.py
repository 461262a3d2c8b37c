"""The browser that the pages are tried in, and the marks of tests that need it."""

from __future__ import annotations

import os
import shutil

import pytest

pytest.importorskip("playwright.sync_api", reason="the page is tested through playwright")

CHROMIUM = os.environ.get("FOOTNOTE_CHROMIUM") or next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
NEEDED = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: install chromium, or set FOOTNOTE_CHROMIUM"),
]
