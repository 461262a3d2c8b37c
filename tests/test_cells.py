"""Approximate search of a large segment: it finds what an exact one finds, whatever is removed or filtered."""

from __future__ import annotations

from pathlib import Path

import faiss
import numpy as np
import pytest

from rag.errors import IndexDamaged
from rag.handover import Vectors
from rag.store import cells, columns, merging, segmentfile, segments
from rag.store.columns import Columns, Mask
from rag.store.segmentfile import Named
from rag.store.segments import Segment

DIM, ROWS = 96, 6_000


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segmentfile, "CELLS_FROM", 2_000)
    monkeypatch.setattr(segments, "EXACT", 200)
    monkeypatch.setattr(segments, "FEW", 50)


def made(rows: int = ROWS, seed: int = 1) -> Vectors:
    """Return vectors in clusters, as those of texts lie."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((60, DIM))
    vectors = centres[rng.integers(0, 60, rows)] + 0.9 * rng.standard_normal((rows, DIM))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def table(rows: int, first: int = 1) -> Columns:
    """Return columns of articles of ten passages."""
    passages = np.array([(first + n, 1) for n in range(rows)], columns.PASSAGES)
    articles = np.array([(first + n, n, 0, 1) for n in range(0, rows, 10)], columns.ARTICLES)
    return Columns(passages, articles, np.empty(0, columns.BYLINES))


def written(folder: Path, vectors: Vectors, name: str = "s", first: int = 1) -> Named:
    halves = vectors.astype(np.float16)
    return segmentfile.write(folder, name, table(len(vectors), first), np.array_split(halves, 7), DIM)


@pytest.fixture
def segment(tmp_path: Path) -> Segment:
    return segmentfile.read(tmp_path, written(tmp_path, made()), DIM)


def asked() -> Vectors:
    """Return questions, none of them in the segment."""
    return made(80, seed=1)[:80] * np.float32(0.4) + made(80, seed=2) * np.float32(0.6)


def recall(segment: Segment, mask: Mask, k: int) -> float:
    return segment.recall(asked(), segment.nearest(asked(), k, mask), k, mask)


@pytest.mark.parametrize("share", [1.0, 0.5, 0.1, 0.04])
def test_what_is_near_is_found_among_any_share(segment: Segment, share: float) -> None:
    assert segment.cells is not None
    mask = np.random.default_rng(3).random(ROWS) < share
    assert recall(segment, mask, 10) >= 0.99
    for places, scores in segments.best([segment], asked(), 100, mask):
        assert mask[places].all()
        assert len(places) >= min(100, mask.sum())
        assert len(set(places.tolist())) == len(places)
        assert scores.shape == places.shape


def test_matches_that_lie_far_away_are_found(segment: Segment) -> None:
    """All in cells that a search for something else would never look into."""
    question = asked()[:1]
    (far,) = segments.best([segment], -question, 400, np.ones(ROWS, bool))
    mask = np.zeros(ROWS, bool)
    mask[far[0]] = True
    ((places, _),) = segments.best([segment], question, 100, mask, approximate=True)
    assert len(places) == 100
    assert recall(segment, mask, 10) >= 0.99


def test_scores_are_those_of_an_exact_search_to_the_bit(segment: Segment) -> None:
    mask = np.ones(ROWS, bool)
    for (exact, true), (places, scores) in zip(
        segment.best(asked(), 10, mask), segments.best([segment], asked(), 10, mask), strict=True
    ):
        known = dict(zip(exact.tolist(), true.tolist(), strict=True))
        assert all(known[p] == s for p, s in zip(places.tolist(), scores.tolist(), strict=True) if p in known)


def test_few_matches_are_all_compared(segment: Segment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cells.Cells, "candidates", None)
    for count in (0, 1, 40, 200):
        mask = np.zeros(ROWS, bool)
        mask[:count] = True
        ((places, _),) = segments.best([segment], asked()[:1], 10, mask)
        assert len(places) == min(10, count)


def test_candidates_of_several_segments_are_chosen_together(tmp_path: Path) -> None:
    vectors = made(9_000)
    parts = [
        segmentfile.read(tmp_path, written(tmp_path, vectors[:5_000], "a"), DIM),
        segmentfile.read(tmp_path, written(tmp_path, vectors[5_000:], "b", 5_001), DIM),
    ]
    assert all(part.cells for part in parts)
    mask = np.ones(9_000, bool)
    whole = segments.in_memory(vectors.astype(np.float16), table(9_000))
    true = whole.nearest(asked(), 10, mask)
    found = segments.best(parts, asked(), 10, mask)
    assert sum(len(t & set(p.tolist())) for t, (p, _) in zip(true, found, strict=True)) >= 0.98 * 10 * len(true)


@pytest.mark.parametrize("share", [0.9, 0.3])
def test_a_merge_leaves_out_what_is_gone(tmp_path: Path, share: float) -> None:
    """With the centroids that are there while most of the segment stays, and with new ones."""
    vectors = made()
    old = written(tmp_path, vectors)
    gone = np.flatnonzero(np.random.default_rng(4).random(ROWS // 10) > share)
    rows = (1 + 10 * gone[:, None] + np.arange(10)).ravel()
    merge = merging.Merge(tmp_path, DIM, "new", [old], rows.astype(np.int64))
    merge.run()
    assert merge.error is None
    assert merge.new is not None
    new = segmentfile.read(tmp_path, merge.new, DIM)
    np.testing.assert_array_equal(new.columns.rows, np.setdiff1d(np.arange(1, ROWS + 1), rows))
    kept = ~np.isin(np.arange(1, ROWS + 1), rows)
    np.testing.assert_array_equal(new.vectors(slice(None)), vectors[kept].astype(np.float16).astype(np.float32))
    if new.cells:
        assert recall(new, np.ones(len(new), bool), 10) >= 0.99
        assert (new.cells.index.nlist == cells.count_for(ROWS)) == (share == 0.9)


def test_a_merge_that_is_stopped_leaves_what_was(tmp_path: Path) -> None:
    old = written(tmp_path, made())
    merge = merging.Merge(tmp_path, DIM, "new", [old], np.empty(0, np.int64))
    merge._stop_asked.set()
    merge.run()
    assert merge.new is None
    assert isinstance(merge.error, merging._Stopped)
    assert segmentfile.spoiled(tmp_path, old) == []


def test_where_sketches_tell_too_little_everything_is_compared(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    flat = np.repeat(rng.standard_normal((1, 4)), 3_000, axis=0) + 1e-3 * rng.standard_normal((3_000, 4))
    named = segmentfile.write(tmp_path, "s", table(3_000), [flat.astype(np.float16)], 4)
    assert (named.probes, named.recall) == (0, 1.0)
    assert segmentfile.read(tmp_path, named, 4).cells is None


def test_another_index_than_cells_is_refused_before_faiss_reads_it(tmp_path: Path) -> None:
    faiss.write_index(faiss.IndexFlatIP(DIM), str(tmp_path / "other"))
    with pytest.raises(IndexDamaged, match="other is damaged"):
        cells.opened(tmp_path / "other", 0, DIM, 8)


def test_which_segments_are_written_anew() -> None:
    def named(*rows: int) -> list[Named]:
        return [Named(str(n), n, n, size, 0, 1.0, {}) for n, size in enumerate(rows)]

    def due(*rows: int, dead: dict[int, int] | None = None, erase: int = -1) -> list[int]:
        found = merging.due(
            named(*rows),
            [(dead or {}).get(n, 0) for n in range(len(rows))],
            [n == erase for n in range(len(rows))],
            100,
        )
        return [n.rows for n in found]

    assert due() == []
    assert due(100, 100, 100) == []
    assert due(100, 100, 100, 101) == [100, 100, 100, 101]
    assert due(1_700, 101, 101, 101, 101) == [101, 101, 101, 101]
    assert due(1_700, 401, 401, 401, 401) == [401, 401, 401, 401]
    assert due(1_700, 401, 401, 401, 101) == []
    assert due(10, 10, 10, 10, 10, 10, 10, 10, 10) == [10] * 9
    assert due(1_000, 500, dead={0: 250}) == []
    assert due(1_000, 500, dead={0: 251}) == [1_000]
    assert due(1_000, 500, 300, erase=1) == [500]
