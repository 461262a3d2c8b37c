"""Stored text and folded names."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.intake.text import clean, fold

_ANY = st.text(st.characters(), max_size=200) | st.text(st.sampled_from("a\x00\r\n\x0b\ufeff\ud800\u0301\u2028é \x85"))


@given(_ANY)
def test_cleaning_twice_changes_nothing(text: str) -> None:
    once = clean(text)
    assert clean(once) == once


@given(_ANY)
def test_clean_text_is_nfc_encodable_and_free_of_controls(text: str) -> None:
    once = clean(text)
    once.encode("utf-8")
    assert unicodedata.is_normalized("NFC", once)
    assert not any(unicodedata.category(c) == "Cc" and c not in "\n\t" for c in once)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("one\r\ntwo\rthree\u2028four", "one\ntwo\nthree\nfour"),
        ("\ufeffcafe\u0301\x00", "café"),
        ("a\ud800b", "a\ufffdb"),
        ("a\u00a0b\u200bc “d”", "a\u00a0b\u200bc “d”"),
    ],
)
def test_clean(text: str, wanted: str) -> None:
    assert clean(text) == wanted


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Gökdoğan", "gokdogan"),
        ("İSTANBUL ısı", "istanbul isi"),
        ("Łódź", "lodz"),
        ("Søren Đặng", "soren dang"),
        ("Weiß", "WEISS"),
        ("Ægir Þór", "aegir thor"),
        ("O’Neill", "o'neill"),
        (" Ana\u00a0 de  la Cruz", "ana de la cruz"),
        ("Fazl\u2011e\u2011Haider", "fazl-e-haider"),
    ],
)
def test_names_that_are_the_same_fold_alike(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@given(_ANY)
def test_folding_twice_changes_nothing(text: str) -> None:
    assert fold(fold(text)) == fold(text)
