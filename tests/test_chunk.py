"""Passages: exact spans on hostile text, nothing the model would cut, sections kept apart."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from fakes import HashEmbedder
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rag.embed.model import Model
from rag.embed.tokens import LONGEST_WORD, readable
from rag.intake.chunk import chunk, sentences, short_title
from rag.intake.text import clean, embedded_text
from rag.protocols import Embedder
from rag.types import Article, Passage, Section

HOSTILE = {
    "repeated sentences": "The same sentence again. " * 400,
    "no space at all": "x" * 300_000,
    "non-breaking and zero-width spaces": ("One\xa0two\u200bthree. \u200b\xa0\n\xa0 Four\u2060five! " * 200),
    "combining marks": "e\u0301\u0323\u0308" * 3_000 + " a\u0300 " * 500,
    "a marker in the text": "As shown in [2] and [1], see [12]. The [2] is text. " * 60,
    "astral letters": "𝔉𝔬𝔬 😀👩‍👩‍👧 نص عربي. " * 300,
    "no sentence ends": "word " * 5_000,
    "unspaced script": "日本語の文章です。" * 700,
    "three thousand letters": "abcdefghij" * 300,
    "only white space around": "\n\n  \xa0 Short. \u200b\n",
    "lone punctuation": ". . . ? ! ; ; " * 300,
}


def check(article: Article, embedder: Embedder, tokens: int) -> list[Passage]:
    """Assert the laws of passages and return them."""
    title = short_title(article.title, embedder, tokens)
    found = chunk(article, embedder, tokens=tokens, overlap=20, title=title)
    for p in found:
        assert article.text[p.start : p.end] == p.text
        assert p.text.strip() == p.text != ""
        assert (p.article_id, p.revision) == (article.id, article.revision)
    for count in embedder.count([embedded_text(title, p.text) for p in found]):
        assert count <= min(tokens, embedder.max_tokens)
    assert [p.start for p in found] == sorted(p.start for p in found)
    covered = set()
    for p in found:
        covered.update(range(p.start, p.end))
    lost = "".join(c for i, c in enumerate(article.text) if i not in covered)
    assert lost.strip() == "" or article.sections
    return found


@pytest.mark.model
@pytest.mark.parametrize("name", HOSTILE)
def test_spans_are_exact_and_nothing_is_cut(name: str, model: Model) -> None:
    text = clean(HOSTILE[name])
    found = check(Article(id="a", title="A title of some words", text=text), model, 200)
    assert found
    # No passage is one unknown token: it costs the model tokens in proportion to its letters.
    for p, n in zip(found, model.count([p.text for p in found]), strict=True):
        assert n - 2 >= len(p.text.split()[0]) / LONGEST_WORD / 2
        assert len(p.text) <= 200 * 8


@pytest.mark.model
def test_a_run_of_letters_does_not_become_one_unknown_token(model: Model) -> None:
    (count,) = model.count(["a" * 3_000])
    assert count > 100
    assert readable("a" * 100).replace(" ", "") == "a" * 100


@pytest.mark.model
def test_a_long_title_leaves_room_for_text(model: Model) -> None:
    article = Article(id="a", title="Seventy words of title " * 30, text="One sentence here. " * 50)
    assert len(check(article, model, 200)) < 10


TEXTS = st.text(
    alphabet=st.one_of(
        st.sampled_from(list("ab .!?\n[]12\xa0\u200b\u0301é日😀")), st.characters(exclude_categories=["Cs", "Cc"])
    ),
    max_size=600,
)


@given(TEXTS, st.integers(8, 64))
@settings(max_examples=150, deadline=None)
def test_any_text_keeps_its_offsets(text: str, tokens: int) -> None:
    check(Article(id="a", title="T", text=clean(text)), HashEmbedder(), tokens)


class PairsCost(HashEmbedder):
    """One whose counts do not add up: every two words that stand together cost one token more."""

    def count(self, texts: Sequence[str]) -> list[int]:
        return [max(2 * len(t.split()) - 1, 0) + 2 for t in texts]


@given(TEXTS, st.integers(8, 64))
@example("0 0 0 0", 10)
@settings(max_examples=150, deadline=None)
def test_counts_that_do_not_add_up_cut_nothing(text: str, tokens: int) -> None:
    check(Article(id="a", title="T", text=clean(text)), PairsCost(), tokens)


@given(TEXTS)
@settings(max_examples=150, deadline=None)
def test_sentences_are_spans_in_order(text: str) -> None:
    at = 0
    for s in sentences(text):
        assert at <= s.start < s.end <= len(text)
        assert text[s.start : s.end].strip() == text[s.start : s.end]
        assert not text[at : s.start].strip()
        at = s.end
    assert not text[at:].strip()


def test_no_passage_crosses_a_section_and_headings_stay_out() -> None:
    text = "Lead in.\n\nBACKGROUND: First part. More of it.\n\nIMPLICATIONS:\nSecond part."
    sections = tuple(
        Section(name, text.index(body), text.index(body) + len(body))
        for name, body in (("BACKGROUND", "First part. More of it."), ("IMPLICATIONS", "Second part."))
    )
    found = chunk(Article(id="a", title="", text=text, sections=sections), HashEmbedder(), tokens=60)
    assert [(p.section, p.text) for p in found] == [
        ("", "Lead in."),
        ("BACKGROUND", "First part. More of it."),
        ("IMPLICATIONS", "Second part."),
    ]


def test_overlap_is_whole_sentences_of_the_same_section() -> None:
    text = " ".join(f"Sentence number {n} has six words." for n in range(40))
    found = chunk(Article(id="a", title="", text=text), HashEmbedder(), tokens=32, overlap=8)
    for before, after in pairwise(found):
        shared = text[after.start : before.end]
        assert shared.startswith("Sentence")
        assert shared.endswith("words.")
    assert chunk(Article(id="a", title="", text=text), HashEmbedder(), tokens=32, overlap=0)[1].start > found[0].end
