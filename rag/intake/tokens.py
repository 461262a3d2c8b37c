"""Words of a text as two printings of it are compared: no case, no diacritics, no typography.

Nothing here may change what it returns, since signatures that are stored were made of it.  So the few letters that no
decomposition makes plain are listed here once more, and not taken from where names are folded.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

# Thai, Lao, Burmese, Khmer, Chinese and Japanese are written without spaces: each character counts as a word.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_TOKEN = re.compile(rf"\d+(?:[.,]\d+)*|[{_UNSPACED}]|[^\W\d_{_UNSPACED}]+")
_ASCII_TOKEN = re.compile(r"[A-Za-z]+|[0-9]+(?:[.,][0-9]+)*")
# What is looked for stands first and the look behind it second: that is many times as fast.
_THOUSANDS = re.compile(r",(?<=\d,)(?=\d{3}(?!\d))")
_THIN_THOUSANDS = re.compile("[\u00a0\u202f](?<=\\d.)(?=\\d{3}(?!\\d))")
# Short runs, because they are remembered: a Chinese article is one long one.
_BEYOND_ASCII = re.compile("[^\x00-\x7f]{1,16}")
_APOSTROPHES = frozenset("‘’ʼʻʹ′`´\u02c8")
_INVISIBLE = frozenset("\u200b\u200c\u200d\u2060\u00ad\ufeff")
_PLAIN = str.maketrans(
    {"ł": "l", "Ł": "L", "ø": "o", "Ø": "O", "đ": "d", "Đ": "D", "ı": "i", "æ": "ae", "Æ": "Ae", "œ": "oe", "Œ": "Oe"}
)


@dataclass(frozen=True, slots=True)
class Tokens:
    """The words of a text in order: as they are written but for their marks, and as they are compared."""

    written: Sequence[str]
    folded: Sequence[str]


def tokens(text: str) -> Tokens:
    """Return the words and numbers of a text.

    >>> tokens("Łódź’s “1,200” CAFÉS: 3.5 日本").folded
    ['lodzs', '1200', 'cafes', '3.5', '日', '本']
    """
    if not text.isascii():
        text = _BEYOND_ASCII.sub(lambda run: _plain(run[0]), _THIN_THOUSANDS.sub("", text))
    text = _THOUSANDS.sub("", text.replace("'", ""))
    written = (_ASCII_TOKEN if text.isascii() else _TOKEN).findall(text)
    return Tokens(written, " ".join(written).casefold().split(" ") if written else [])


@lru_cache(10_000)
def _plain(run: str) -> str:
    """Return a run of characters beyond ASCII without apostrophes and marks; other punctuation becomes a space."""
    bare = "".join(c for c in run if c not in _APOSTROPHES and c not in _INVISIBLE)
    apart = unicodedata.normalize("NFKD", bare).translate(_PLAIN)
    # Only the marks of European letters: those of other scripts are vowels.
    kept = (c for c in apart if not "\u0300" <= c <= "\u036f")
    return "".join(c if c.isalnum() or unicodedata.category(c)[0] == "M" else " " for c in kept)
