"""Tokens of a text looked up word by word are those that the tokenizer makes of the whole."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from rag.embed import tokens
from rag.embed.tokens import LONGEST_WORD, Tokens, readable
from rag.embed.weights import bundled_folder

pytestmark = pytest.mark.model


def bundled() -> Tokenizer:
    """Return the bundled model's tokenizer, WordPiece, cutting nothing."""
    tokenizer = Tokenizer.from_file(str(bundled_folder() / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def cased() -> Tokenizer:
    """Return a small WordPiece that tells capitals apart."""
    pieces = ["[UNK]", "[CLS]", "[SEP]", "Zinc", "zin", "zinc", "##c", ",", "##s", "b", "é", "[", "]", "SEP"]
    tokenizer = Tokenizer(models.WordPiece({p: n for n, p in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    tokenizer.add_special_tokens(["[CLS]", "[SEP]"])
    return tokenizer


def across_words() -> Tokenizer:
    """Return a WordPiece with a token of two words, which none of the two could be looked up for."""
    tokenizer = bundled()
    tokenizer.add_tokens([AddedToken("zinc oxide", normalized=True), "inc"])
    return tokenizer


def bytes_and_spaces() -> Tokenizer:
    """Return a byte-level BPE, in which the space before a word is part of it."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({c: n for n, c in enumerate([*letters, "Ġz", "zi"])}, [("Ġ", "z"), ("z", "i")]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


TOKENIZERS = {f.__name__: f() for f in (bundled, cased, across_words, bytes_and_spaces)}
TEXTS = st.lists(
    st.one_of(
        st.sampled_from(
            ["zinc", "Zinc oxide", "zincs,", "[SEP]", "U.S.-led", "ΟΔΟΣ", "e\u0301", "it's", " ", "\n", "x" * 50]
        ),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
    ),
    max_size=20,
).map("".join)


@pytest.mark.parametrize("name", TOKENIZERS)
@given(texts=st.lists(TEXTS, max_size=3))
@settings(max_examples=150, deadline=None)
def test_they_are_those_of_the_whole_text(name: str, texts: list[str]) -> None:
    tokenizer = TOKENIZERS[name]
    expected = [tokenizer.encode(readable(text)).ids for text in texts]
    ours = Tokens(tokenizer)
    assert ours.ids(texts) == expected
    assert ours.count(texts) == [len(ids) for ids in expected]


@pytest.mark.parametrize("make", [bundled, cased])
def test_no_white_space_joins_or_parts_words_otherwise(make: Callable[[], Tokenizer]) -> None:
    tokenizer = make()
    texts = [f"zinc{chr(c)}zinc {chr(c)}\n{chr(c)}b" for c in range(0x3100) if not 0xD800 <= c < 0xE000]
    assert Tokens(tokenizer).ids(texts) == [e.ids for e in tokenizer.encode_batch(texts)]


def test_words_are_forgotten_before_they_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "REMEMBERED", 5)
    tokenizer = bundled()
    ours = Tokens(tokenizer)
    texts = [f"word{n} of many, (and {n})" for n in range(50)] + ["y" * 10 * LONGEST_WORD]
    assert ours.ids(texts) == [tokenizer.encode(readable(text)).ids for text in texts]
    assert ours._words is not None
    assert 0 < len(ours._words) <= 5 + 5
    assert all(len(word) <= LONGEST_WORD for word in ours._words)
