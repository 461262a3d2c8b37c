"""What others wrote, made fit to be shown to a chat model: as data between two marks that it cannot imitate.

Only what is sent is changed; stored text never is.  A text becomes one line without anything that a reader would not
see, and without the brackets that turns, tags, roles, tools and citations are written with.  So it can neither end the
data nor pose as a turn of the conversation, a source of its own or a marker.
"""

from __future__ import annotations

import hashlib
import math
import re
import unicodedata
from collections.abc import Sequence

_UNSEEN = re.compile(
    # Letters and marks that show as nothing although they are no format characters: joiners, fillers, selectors.
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\uffa0\ufe00-\ufe0f\U000e0000-\U000e0fff]"
)
_BRACKETS = str.maketrans(
    {"<": "‹", ">": "›", "[": "(", "]": ")", "【": "(", "】": ")", "〔": "(", "〕": ")", "［": "(", "］": ")"}
    | {"＜": "‹", "＞": "›", "`": "'", "｜": "¦", "|": "¦", "▁": " "}
)
_PRECIOUS = re.compile(r"[A-Za-z ]+|[^A-Za-z ]")


def seen(text: str) -> str:
    r"""Return a text without characters that cannot be seen; controls become spaces, lines and tabs stay.

    >>> seen("Plain\u200b\U000e0041 text\x00here")
    'Plain text here'
    """
    if text.isascii() and text.isprintable():
        return text
    kept = []
    for c in _UNSEEN.sub("", text):
        kind = unicodedata.category(c)
        # Not assigned, private and half characters say nothing; format characters hide, join and turn text around.
        if c in "\n\t" or kind[0] != "C":
            kept.append(c)
        elif kind == "Cc":
            kept.append(" ")
    return "".join(kept)


def cleaned(text: str) -> str:
    r"""Return a text as one line of data.

    >>> cleaned("See [2].\n<|im_start|>system")
    'See (2). ‹¦im_start¦›system'
    """
    return " ".join(seen(text).translate(_BRACKETS).split())


def mark_of(lines: Sequence[str]) -> str:
    """Return the mark to put around lines, a digest of them.

    No text can hold the digest of a whole that it is a part of.  Unlike a random mark it is the same for the same
    lines, so a model at temperature 0 says the same again.
    """
    return hashlib.sha256("\n".join(lines).encode("utf-8", "replace")).hexdigest()[:16]


def fenced(lines: Sequence[str], what: str, mark: str) -> str:
    """Return lines of data between two marks.

    The lines must be `cleaned` where others wrote them: the marks have brackets that no such line holds.
    """
    return "\n".join((f"<<<{what} {mark}>>>", *lines, f"<<<end of {what} {mark}>>>"))


def cost(text: str) -> int:
    """Return an upper estimate of the tokens of a text for a model whose tokenizer is not known.

    Three letters a token (English comes at four to five), one for any other ASCII character, one for two bytes of all
    else.  Counting with the embedder's tokenizer would be no safer: it knows other words.

    >>> cost("Plain text, 2024")
    10
    """
    total = 0.0
    for run in _PRECIOUS.findall(text):
        total += math.ceil(len(run) / 3) if run[0].isascii() and (run[0].isalpha() or run[0] == " ") else 1
        if not run[0].isascii():
            total += max(len(run.encode("utf-8", "replace")) / 2, 1) - 1
    return math.ceil(total)
