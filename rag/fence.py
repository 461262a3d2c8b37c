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
LETTERS, LONG, LETTERS_OF_LONG = 2.4, 16, 1.3
"""Letters a token in words of up to so many, and in longer ones, which no tokenizer knows."""

_RUN = re.compile(r"[A-Za-z ]+|[^A-Za-z ]")


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
    """Return an estimate, rather too high, of the tokens of a text for a model whose tokenizer is not known.

    So many letters a token (English comes at four to five, other languages and mere letters at less), one for any other
    ASCII character, one for two bytes of all else.  Counting with the embedder's tokenizer would be no safer: it knows
    other words.

    >>> cost("Plain text, 2024")
    11
    """
    total = 0.0
    for run in _RUN.findall(text):
        if run[0].isascii() and (run[0].isalpha() or run[0] == " "):
            longest = max(map(len, run.split()), default=0)
            total += math.ceil(len(run) / (LETTERS if longest <= LONG else LETTERS_OF_LONG))
        else:
            total += 1 if run[0].isascii() else max(len(run.encode("utf-8", "replace")) / 2, 1)
    return math.ceil(total)
