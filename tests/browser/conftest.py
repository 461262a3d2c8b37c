"""What the page's tests share, one for each file of them: the browser, and a page over a forced engine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from forced import ForcedEngine
    from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A running Chromium; where there is none, or no playwright, the tests that ask for it are skipped before."""
    from chromium import CHROMIUM, FLAGS
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[ForcedEngine, str]]:
    """The page over an engine that says what each test needs, and its address."""
    from forced import EXAMPLES, ForcedEngine

    from rag.faces.serving import running

    engine = ForcedEngine()
    with running(engine, examples=EXAMPLES) as address:
        yield engine, address
        engine.gate.set()
