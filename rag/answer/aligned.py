"""What stands in the place of what, where a sentence goes along with its quote: another name, another number, a "not".

Comparing facts as sets misses a name or number that the quote has too, but elsewhere.  Word for word, as a diff shows
two texts, it is seen.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from rag.answer.facts import Date, Facts, Number, facts
from rag.answer.names import is_common, kin
from rag.answer.numbers import numbers
from rag.intake.text import fold

AT_MOST = 5
"""Words on either side up to which one stretch may stand in the place of another."""

_TOKEN = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+")
_NEGATING = frozenset("not never no nor neither without none cannot nt".split())
_LISTED = re.compile(r"[ ,]*(?:\b(?:and|or)\b)?[ ,]*(?:the )?")
_SHORT_NOT = re.compile(r"n['’]t\b")


@dataclass(frozen=True, slots=True)
class Replaced:
    """How many names, numbers and dates have another in their place, and negations came in or went."""

    names: int = 0
    numbers: int = 0
    dates: int = 0
    negations: int = 0


@dataclass(frozen=True, slots=True)
class _Word:
    text: str
    start: int
    end: int


def replaced(sentence: str, quote: str) -> Replaced:
    """Return what of a quote has something else in its place in a sentence that goes along with it.

    >>> replaced("Iran beat Peru in Lima.", "Peru beat Iran in Lima."), replaced("It is not late.", "It is late.")
    (Replaced(names=2, numbers=0, dates=0, negations=0), Replaced(names=0, numbers=0, dates=0, negations=1))
    """
    mine, theirs = _words(sentence), _words(quote)
    said, given = facts(sentence), facts(quote)
    dated = [(d.start, d.end) for d in said.dates]
    steps = SequenceMatcher(None, [_key(w) for w in theirs], [_key(w) for w in mine], autojunk=False).get_opcodes()
    found = [0, 0, 0, 0]
    for step, a, b, c, d in steps:
        out, new = theirs[a:b], mine[c:d]
        if step == "equal" or len(out) > AT_MOST or len(new) > AT_MOST:
            continue
        negating = sum(w.text.lower() in _NEGATING for w in new) - sum(w.text.lower() in _NEGATING for w in out)
        found[3] += abs(negating) == 1 and len(out) + len(new) <= 3 and len(mine) > d
        if step == "replace":
            undated = [w for w in new if not any(x <= w.start < y for x, y in dated)]
            found[0] += _other_name(out, undated, theirs, mine)
            found[1] += _other_number(out, new, given, said)
            found[2] += _other_date(out, new, given.dates, said.dates)
    found[0] = found[0] or 2 * _exchanged(theirs, mine, quote, sentence)
    return Replaced(*found)


def _words(text: str) -> list[_Word]:
    plain = _SHORT_NOT.sub(" nt", text)
    return [_Word(m.group(), m.start(), m.end()) for m in _TOKEN.finditer(plain)]


def _key(word: _Word) -> str:
    return kin(fold(word.text))


def _capital(words: Sequence[_Word], all_: Sequence[_Word]) -> list[_Word]:
    """Return the capitalised words that are likely names: a first word only if it is no common one."""
    return [w for w in words if w.text[0].isupper() and not (w is all_[0] and is_common(w.text))]


def _other_name(out: Sequence[_Word], new: Sequence[_Word], theirs: Sequence[_Word], mine: Sequence[_Word]) -> bool:
    old, put = _capital(out, theirs), _capital(new, mine)
    if not old or not put:
        return False
    one, two = ("".join(w.text[0] for w in some).lower() for some in (old, put))
    short = (len(put) == 1 and fold(put[0].text) == one) or (len(old) == 1 and fold(old[0].text) == two)
    return not short and not {_key(w) for w in old} & {_key(w) for w in put}


def _exchanged(theirs: Sequence[_Word], mine: Sequence[_Word], quote: str, sentence: str) -> bool:
    """Say whether all words but the names stand in one order, and the names in another: who did what to whom."""
    (names, rest), (their_names, their_rest) = _apart(mine, sentence), _apart(theirs, quote)
    if not names or not _follows(rest, their_rest):
        return False
    if not {n for group in names for n in group} <= {n for group in their_names for n in group}:
        return False
    # Of names in a list either may come first; what stands between them in one text may be left out of the other.
    return not any(_follows(_flat(names, way), _flat(their_names, way)) for way in (list, sorted))


def _flat(groups: Sequence[list[str]], way: Callable[[list[str]], list[str]]) -> list[str]:
    return [n for group in groups for n in way(group)]


def _apart(words: Sequence[_Word], text: str) -> tuple[list[list[str]], list[str]]:
    """Return the names of a text, those of a list in one group, and its other words in order."""
    groups: list[list[str]] = []
    rest: list[str] = []
    end = -1
    named = {id(w) for w in _capital(words, words)}
    for w in words:
        if id(w) not in named:
            rest.append(_key(w))
        elif end >= 0 and _LISTED.fullmatch(text, end, w.start):
            groups[-1].append(_key(w))
            end = w.end
        else:
            groups.append([_key(w)])
            end = w.end
    return groups, rest


def _follows(some: Sequence[str], all_: Sequence[str]) -> bool:
    """Say whether some words stand among others in the same order."""
    left = iter(all_)
    return all(w in left for w in some)


def _within(found: Sequence[Number] | Sequence[Date], words: Sequence[_Word]) -> list[Number | Date]:
    return [f for f in found if f.start < words[-1].end and words[0].start < f.end]


def _other_number(out: Sequence[_Word], new: Sequence[_Word], given: Facts, said: Facts) -> bool:
    old, put = _within(given.numbers, out), _within(said.numbers, new)
    if old and put:
        pairs = [(g, n) for g in old for n in put if isinstance(g, Number) and isinstance(n, Number)]
        return not any(g.says(n) or g.agrees(n) for g, n in pairs)
    if _within(given.dates, out) or _within(said.dates, new) or old or put:
        return False
    one, two = (numbers(" ".join(w.text for w in some)) for some in (out, new))
    return bool(one and two) and not any(g.says(n) for g in one for n in two)


def _other_date(out: Sequence[_Word], new: Sequence[_Word], given: Sequence[Date], said: Sequence[Date]) -> bool:
    pairs = [(g, d) for g in _within(given, out) for d in _within(said, new)]
    return bool(pairs) and not any(g.agrees(d) for g, d in pairs if isinstance(g, Date) and isinstance(d, Date))
