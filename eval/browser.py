"""The Chromium that the page is measured and pictured in."""

from __future__ import annotations

import os
import shutil

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
