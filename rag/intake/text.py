"""Text as it is stored, and text as names are compared."""

from __future__ import annotations

import re
import unicodedata

# Form feeds, vertical tabs and the Unicode separators end a line wherever they stand in for one.
_NEWLINES = re.compile("[\r\x0b\x0c\x85\u2028\u2029]")
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f]")
_SURROGATES = re.compile("[\ud800-\udfff]")
_SPACES = re.compile(r"\s+")

# Letters that decompose to nothing simpler, yet are typed without their stroke or dot.
_PLAIN = str.maketrans(
    {
        "ı": "i",
        "ł": "l",
        "ø": "o",
        "đ": "d",
        "ð": "d",
        "þ": "th",
        "æ": "ae",
        "œ": "oe",
        "ħ": "h",
        "ŋ": "n",
        "ŧ": "t",
        "ƶ": "z",
        "ə": "e",
        "ʻ": "'",
        "ʼ": "'",
        "‘": "'",
        "’": "'",
        "‐": "-",
        "‑": "-",
        "–": "-",
        "—": "-",
    }
)


def clean(text: str) -> str:
    """Return the text in NFC with plain newlines, free of control characters and broken code points.

    White space other than newlines, zero-width characters and typographic quotes stand as they are.

    >>> clean("\\ufeffone\\r\\ntwo\\x00")
    'one\\ntwo'
    """
    text = _NEWLINES.sub("\n", text.replace("\r\n", "\n"))
    text = _CONTROLS.sub("", text)
    text = _SURROGATES.sub("\ufffd", text)
    return unicodedata.normalize("NFC", text.lstrip("\ufeff"))


def fold(text: str) -> str:
    """Return the text as names are compared: no case, no diacritics, single spaces.

    >>> fold("Łukasz  GÖKDOĞAN-Ørsted")
    'lukasz gokdogan-orsted'
    """
    apart = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(c for c in apart if not unicodedata.combining(c))
    return _SPACES.sub(" ", bare.casefold().translate(_PLAIN)).strip()


def embedded_text(title: str, text: str) -> str:
    """Return what the model reads for a passage: the title in front of its text."""
    return f"{title}\n{text}" if title else text
