"""What a reader takes out through the page answers no more, and has a way back for a while."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag.engine import Engine
from rag.errors import RagError, UnknownArticle
from rag.faces import removing
from rag.faces.removing import Removing, TooLate

pytestmark = pytest.mark.model


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def page(bridge_engine: Engine, bridge_index: Path, clock: Clock) -> Removing:
    return Removing(bridge_engine, bridge_index, clock)


def test_what_is_removed_answers_no_more_and_comes_back(page: Removing, bridge_engine: Engine, clock: Clock) -> None:
    gone = page.remove("bridge")
    assert (gone["title"], gone["id"]) == ("The bridge", "bridge")
    assert bridge_engine.ask("When was the bridge built?").outcome == "abstained"
    with pytest.raises(UnknownArticle):
        page.remove("bridge")
    back = page.bring_back(gone["undo"])
    assert back["title"] == "The bridge"
    assert "1911" in bridge_engine.ask("When was the bridge built?").text
    with pytest.raises(TooLate, match="too late"):
        page.bring_back(gone["undo"])
    gone = page.remove("bridge")
    clock.now = removing.REGRET + 1
    with pytest.raises(TooLate, match="too late"):
        page.bring_back(gone["undo"])
    assert not page._removed


def test_undo_that_cannot_be_done_now_can_be_tried_again(page: Removing, bridge_index: Path) -> None:
    from rag.store.lock import locked

    gone = page.remove("bridge")
    with locked(bridge_index), pytest.raises(RagError, match="are being added just now"):
        page.bring_back(gone["undo"])
    assert page.bring_back(gone["undo"])["id"] == "bridge"
