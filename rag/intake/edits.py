"""Whether two stretches of words say the same, and where sentences begin.

An edit may change how a word is written, and put in or leave out a word of no weight.  Any other word counts, however
small: "not", "before" and "she" turn what is said around as a figure or a name does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from rag.intake.spelling import DAYS, spelled
from rag.intake.tokens import tokens

_LIGHT = frozenset("a an the that".split())
"""Words that may be put in or left out."""

_BEFORE_DAYS = frozenset(("on", "of"))
"""Words that may be put in or left out at the name of a day or a month."""

_TURNED_BY_LIGHT = frozenset("few little lot".split())
"""Words that say nearly the opposite with an article before them."""

_APART = _LIGHT | frozenset("no not re un in".split())
"""Words that are not joined to the next: what is notable is not able, and who re-signs does not resign."""

_SIGNS = {
    "%": " percent ", "‰": " permille ", "$": " dollar ", "€": " euro ", "£": " pound ", "¥": " yen ", "₹": " rupee ",
    "&": " and ", "<": " below ", ">": " above ", "≤": " at most ", "≥": " at least ", "=": " equals ", "+": " plus ",
    "±": " plus or minus ", "≠": " differs from ", "°": " degrees ", "²": " squared ", "³": " cubed ", "½": " 1/2 ",
    "¼": " 1/4 ", "¾": " 3/4 ", **dict.fromkeys("✓✔✅☑", " yes "), **dict.fromkeys("✗✘❌✖✕☒", " no "),
    **dict.fromkeys("↑▲", " up "), **dict.fromkeys("↓▼", " down "), "−": "-",
}  # fmt: skip
# What is looked for stands first and the look behind it second: that is many times as fast.
_MINUS = re.compile(r"-(?=\d)(?<![\w.,)]-)")
_HOURS = {m: re.compile(rf"\.{m}(?<=\b[apAP]\.{m})\b\.?") for m in "mM"}
_END = re.compile(r"[.!?…][\"'”’»)\]]*\s+|[。！？]+[」』”’）]*|\s*\n\s*")
_CLOSED = re.compile(r"(?<!\.)[.!?。！？][\"'”’»)\]」』）]*\s*$")
_SENTENCE, _LINE = "xzxsentence", "xzxline"
_MARKS = frozenset((_SENTENCE, _LINE))


class Text:
    """The words of a text, as written and as compared, and after how many of them sentences end."""

    def __init__(self, text: str, *, marked: bool = False) -> None:
        """Read a text; `marked` where the ends of its sentences will be wanted, so that it is read once."""
        self.text = text
        if marked:
            self.written, self.folded, self.ends = self._read()
        else:
            found = tokens(signed(text))
            self.written, self.folded = found.written, found.folded

    @cached_property
    def ends(self) -> Mapping[int, bool]:
        """Numbers of words at which a sentence ends, and whether it ends its line; a heading or an item is one, too."""
        _, folded, ends = self._read()
        return ends if len(folded) == len(self.folded) else {}

    def _read(self) -> tuple[Sequence[str], Sequence[str], Mapping[int, bool]]:
        found = tokens(signed(_END.sub(_marked, self.text)))
        marks = [n for n, word in enumerate(found.folded) if word in _MARKS]
        ends = {0: True}
        for passed, n in enumerate(marks):
            ends[n - passed] = ends.get(n - passed, False) or found.folded[n] == _LINE
        written, folded = list(found.written), list(found.folded)
        for n in reversed(marks):
            del written[n], folded[n]
        return written, folded, {**ends, len(folded): True}

    @cached_property
    def open(self) -> bool:
        """Whether the text breaks off: it ends as no sentence does."""
        return not _CLOSED.search(self.text[-20:])

    @cached_property
    def joined(self) -> str:
        """All words as compared, each between spaces."""
        return f" {' '.join(self.folded)} "

    def weighty(self, start: int, end: int) -> list[str]:
        """Return the words of a stretch that count, in one spelling."""
        return [w for n in range(start, end) if not self._light(n) for w in spelled(self.folded[n])]

    def _light(self, n: int) -> bool:
        word, beside = self.folded[n], self.folded[max(n - 1, 0) : n + 2]
        if word in _BEFORE_DAYS:
            return not DAYS.isdisjoint(beside)
        # Vitamin A is no article.
        return word in _LIGHT and self.written[n] != "A" and _TURNED_BY_LIGHT.isdisjoint(beside)


def signed(text: str) -> str:
    """Return a text with signs as words: a price in pounds is another than in dollars.

    >>> signed("-5 to 5%, 9 a.m.")
    ' minus 5 to 5 percent , 9 am'
    """
    for sign, word in _SIGNS.items():
        if sign in text:
            text = text.replace(sign, word)
    for m, hours in _HOURS.items():
        text = hours.sub(m, text)
    return _MINUS.sub(" minus ", text)


def _marked(end: re.Match[str]) -> str:
    return f"{end[0]} {_LINE if chr(10) in end[0] else _SENTENCE} "


def sentence_ends(text: str) -> list[int]:
    """Return the places in a text after which a sentence begins, its two edges among them."""
    return [0, *(m.end() for m in _END.finditer(text) if 0 < m.end() < len(text)), len(text)]


def alike(one: Text, here: tuple[int, int], two: Text, there: tuple[int, int]) -> bool:
    """Say whether stretches of two texts say the same.

    >>> one, two = Text("The theatre would open on-line."), Text("Theater wouldn't open online.")
    >>> alike(one, (0, 2), two, (0, 1)), alike(one, (4, 6), two, (3, 4)), alike(one, (2, 3), two, (1, 2))
    (True, True, False)
    """
    a, b = one.weighty(*here), two.weighty(*there)
    if a == b:
        return True
    i = j = 0
    while i < len(a) and j < len(b):
        if a[i] == b[j]:
            i, j = i + 1, j + 1
            continue
        for m, n in ((1, 2), (2, 1), (1, 3), (3, 1)):
            if _in_one(a[i : i + m], b[j : j + n]):
                i, j = i + m, j + n
                break
        else:
            return False
    return i == len(a) and j == len(b)


def _in_one(a: Sequence[str], b: Sequence[str]) -> bool:
    """Say whether words are the same but for a space or a hyphen."""
    return "".join(a) == "".join(b) and _APART.isdisjoint((*a, *b)) and not any(w[0].isdigit() for w in (*a, *b))


@dataclass(frozen=True, slots=True)
class Sentences:
    """Words [start:end] of a text that are whole sentences, and whether these have lines of their own."""

    start: int
    end: int
    lines: bool


def whole(text: Text, start: int, end: int, other: Text, at: int) -> Sentences | None:
    """Return the sentences that a text has more than another, which has nothing there; None if the words are none.

    Words that open both these sentences and the next, or close them and the one before, may be told of either.
    """
    words = text.folded
    back = 0
    while start - back > 0 and words[start - back - 1] == words[end - back - 1]:
        back += 1
    ahead = 0
    while end + ahead < len(words) and words[start + ahead] == words[end + ahead]:
        ahead += 1
    places = [
        Sentences(start + n, end + n, text.ends[start + n] and text.ends[end + n] and other.ends[at + n])
        for n in range(-back, ahead + 1)
        if start + n in text.ends and end + n in text.ends and at + n in other.ends
    ]
    return max(places, key=lambda p: p.lines, default=None)
