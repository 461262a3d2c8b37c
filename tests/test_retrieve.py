"""Dense, lexical and fused search, over a real store with a small deterministic embedder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pytest
from contracts import EMBEDDER, article, put
from fakes import FINGERPRINT

from rag.protocols import Retriever, View
from rag.retrieve import Dense, Fused, Lexical, Reranked, quoted, search
from rag.store.local import LocalStore
from rag.types import Article, Filter, Section
from rag.words import words


class SharedWords:
    """A scorer: the share of the question's words that a text holds."""

    def scores(self, question: str, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        asked = set(words(question))
        return np.array([len(asked & set(words(t))) / len(asked) for t in texts], np.float32)


RETRIEVERS: list[Retriever] = [
    Dense(EMBEDDER),
    Lexical(),
    Fused(EMBEDDER, dense_weight=0.7, depth=10),
    Reranked(Fused(EMBEDDER, dense_weight=0.7, depth=10), SharedWords(), depth=20),
]


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> Iterator[View]:
    store = LocalStore.create(tmp_path_factory.mktemp("r") / "index", FINGERPRINT)
    with store.writer() as t:
        for n in range(40):
            put(t, article(n))
        for id in ("z-twin", "b-twin", "m-twin"):
            text = "Twins say exactly the same thing."
            put(t, Article(id=id, title="Twin", text=text, sections=(Section("", 0, len(text)),)))
    with store.view() as view:
        yield view


@pytest.mark.parametrize("retriever", RETRIEVERS, ids=lambda r: type(r).__name__)
class TestEveryRetriever:
    def test_hits_come_best_first_and_count_from_one(self, view: View, retriever: Retriever) -> None:
        hits = retriever.search(view, "word7 Gökdoğan story", 12)
        assert [h.rank for h in hits] == list(range(1, 13))
        assert [h.score for h in hits] == sorted((h.score for h in hits), reverse=True)
        assert "word7 " in hits[0].passage.text

    def test_equal_scores_are_ordered_by_id(self, view: View, retriever: Retriever) -> None:
        hits = retriever.search(view, "Twins say exactly the same thing.", 2)
        assert [h.article.id for h in hits] == ["b-twin", "m-twin"]
        assert hits[0].score == hits[1].score

    def test_a_filter_holds_for_every_hit(self, view: View, retriever: Retriever) -> None:
        where = Filter(sections=("background",), sources=("s1",))
        hits = retriever.search(view, "group3 alpha more", 50, where)
        assert hits
        assert {(h.passage.section, h.article.source) for h in hits} == {("BACKGROUND", "s1")}

    def test_a_quoted_phrase_must_occur(self, view: View, retriever: Retriever) -> None:
        hits = search(retriever, view, 'what of "exactly the SAME" thing', 10)
        assert [(h.article.id, [a.id for a in h.also]) for h in hits] == [("b-twin", ["m-twin", "z-twin"])]
        assert search(retriever, view, '"same the exactly" thing', 10) == []

    def test_the_first_hits_are_the_same_however_many_are_wanted(self, view: View, retriever: Retriever) -> None:
        for question in ("alpha group3 story", "Twins say exactly the same thing.", "word7 beta version0"):
            for group in ("passage", "article"):
                many = search(retriever, view, question, 83, group=group)
                for k in (1, 3, 10, 25, 40):
                    some = search(retriever, view, question, k, group=group)
                    assert [(h.passage.id, h.score) for h in some] == [(h.passage.id, h.score) for h in many[:k]]

    def test_as_many_articles_as_asked_for(self, view: View, retriever: Retriever) -> None:
        hits = search(retriever, view, "alpha beta group story more twins", 30, group="article")
        assert len({h.article.id for h in hits}) == len(hits) == 30
        assert [h.rank for h in hits] == list(range(1, 31))
        # Each is its article's best passage.
        every = {
            p.id: h for h in retriever.search(view, "alpha beta group story more twins", 1000) for p in [h.passage]
        }
        for h in hits:
            best = max(e.score for e in every.values() if e.article.id == h.article.id)
            assert h.score == pytest.approx(best)


def test_min_of_k_and_matches(view: View) -> None:
    for retriever in (Dense(EMBEDDER), Fused(EMBEDDER, dense_weight=0.7, depth=10)):
        assert len(retriever.search(view, "anything", 1000)) == 83
        assert len(retriever.search(view, "anything", 83)) == 83
        # The three that say the same are one.
        assert len(search(retriever, view, "anything", 1000, group="article")) == 41
        assert len(retriever.search(view, "anything", 1000, Filter(articles=("a00001", "z-twin")))) == 3
        assert retriever.search(view, "anything", 5, Filter(articles=("none",))) == []


def test_fused_scores_are_the_convex_sum(view: View) -> None:
    """The formula worked out again from the two lists."""
    question = "word7 group3 story"
    dense, lexical = view.dense(EMBEDDER.query(question), 1000), view.lexical(question, 1000)
    cosine = dict(zip(dense.rows.tolist(), dense.scores.tolist(), strict=True))
    words = dict(zip(lexical.rows.tolist(), lexical.scores.tolist(), strict=True))
    most, best = max(cosine.values()), max(words.values())
    want = sorted((0.6 * max(c, 0) / most + 0.4 * words.get(r, 0) / best for r, c in cosine.items()), reverse=True)
    got = Fused(EMBEDDER, dense_weight=0.6, depth=1000).search(view, question, 20)
    np.testing.assert_allclose([h.score for h in got], want[:20], atol=1e-5)


def test_ranks_say_what_each_member_thought(view: View) -> None:
    hit = Fused(EMBEDDER, dense_weight=0.5, depth=50).search(view, "Twins say exactly the same thing.", 1)[0]
    assert hit.ranks["dense"] <= 3
    assert hit.ranks["lexical"] <= 3
    (only,) = Lexical().search(view, "twins", 1)
    assert dict(only.ranks) == {"lexical": 1}


def test_a_question_of_stop_words_still_finds(view: View) -> None:
    assert Lexical().search(view, "what is the of", 5) == []
    assert len(Fused(EMBEDDER, dense_weight=0.7, depth=10).search(view, "what is the of", 5)) == 5


def test_query_syntax_is_only_text(view: View) -> None:
    for question in ("word7 AND (", "body:word7", "word7~2 [a TO b]", "*", 'row:1 OR "', "\\", "word7^9"):
        found = {h.article.id for h in Lexical().search(view, question, 5)}
        assert ("a00007" in found) == ("word7" in question)
        assert len(search(RETRIEVERS[2], view, question, 5)) == 5


def test_quoted() -> None:
    assert quoted('a "b c" d "e') == ["b c"]
    assert quoted('""  " "') == []
    text = 'one "two three" ' + "word " * 17
    assert quoted(text) == ["two three"]
    assert quoted(text + "word") == []
    assert quoted(text + "word", 21) == ["two three"]


def test_a_reranker_orders_the_first_hits_and_leaves_the_rest(view: View) -> None:
    class Backwards:
        """A scorer that likes what comes last."""

        def scores(self, question: str, texts: Sequence[str]) -> npt.NDArray[np.float32]:
            return np.arange(len(texts), dtype=np.float32) / 10 + 0.1

    inner = Dense(EMBEDDER)
    plain = inner.search(view, "word7 story", 8)
    found = Reranked(inner, Backwards(), depth=3).search(view, "word7 story", 8)
    ids = [h.passage.id for h in plain]
    assert [h.passage.id for h in found] == [ids[2], ids[1], ids[0], *ids[3:]]
    assert [h.ranks["dense"] for h in found] == [3, 2, 1, 4, 5, 6, 7, 8]
    assert [h.ranks.get("reranked") for h in found] == [1, 2, 3, None, None, None, None, None]
    assert [h.score for h in found] == sorted((h.score for h in found), reverse=True)
