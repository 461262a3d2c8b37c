"""Names as prose gives them: runs of capitalised words, compared by their folded words, acronyms and peoples."""

from __future__ import annotations

import re
from collections.abc import Iterable, Set
from dataclasses import dataclass
from functools import lru_cache

from rag.answer.dates import MONTHS, WEEKDAYS
from rag.intake.spelling import spelled
from rag.intake.text import fold
from rag.words import QUESTION_WORDS

_WORD = re.compile(r"(?:[A-Z]\.){2,}|\w(?:[\w’'-]*\w)?")
_SENTENCE_END = re.compile(r"[.?!:]\s*$")
_NO_NAME = re.compile(rf"(?:{MONTHS}|{WEEKDAYS}|I|The|A|An)$")
_POSSESSIVE = re.compile(r"['’]s?$")
_JOIN = re.compile(r" (?:of|of the|for|for the|de|del|da|la|al|bin|van|von|der|the) $")
_PARTS = re.compile(r"[^\W_]+")
# A sentence's first word of such an ending is a common word far more often than a name.
_COMMON_ENDING = re.compile(r"(?:ly|ing|ed|ions?|ments?|ers|ness|ity|ties|ists)$")
_COMMON = frozenset(
    "according although among another around because besides beyond compared despite early earlier eventually every "
    "everyone except finally following four five six seven eight nine ten given hence however indeed instead last late "
    "later latter like many meanwhile moreover much near neither never nevertheless next none nothing officials one "
    "once others part people perhaps prior rather recent second several similar since sometimes soon still subsequent "
    "ten that therefore third though three thus today together tomorrow twelve twenty two unlike upon us usually "
    "whether within without women men yes yesterday yet first no not along amid across most researchers scientists "
    "students troops compare describe discuss explain give summarise summarize tell".split()
) | set(QUESTION_WORDS)
_PEOPLES = (
    "france french frenchman", "britain british briton britons uk", "germany german", "netherlands dutch holland",
    "spain spanish", "greece greek greeks hellenic", "switzerland swiss", "america american us usa",
    "thailand thai", "turkey turkish turkiye turk turks", "wales welsh", "scotland scottish scots", "ireland irish",
    "england english", "denmark danish dane danes", "sweden swedish swede swedes", "poland polish pole poles",
    "finland finnish finn finns", "norway norwegian", "iceland icelandic", "portugal portuguese", "china chinese",
    "lebanon lebanese", "philippines filipino philippine", "afghanistan afghan", "azerbaijan azerbaijani azeri",
    "pakistan pakistani", "uzbekistan uzbek", "kazakhstan kazakh", "kyrgyzstan kyrgyz", "tajikistan tajik",
    "turkmenistan turkmen", "cyprus cypriot", "iraq iraqi", "israel israeli", "czech czechia", "peru peruvian",
    "argentina argentine argentinian", "congo congolese", "ukraine ukrainian", "belgium belgian", "yemen yemeni",
    "brazil brazilian", "canada canadian", "mexico mexican", "europe european", "vietnam vietnamese",
    "japan japanese", "saudi saudis", "rome roman romans", "qatar qatari", "kuwait kuwaiti", "oman omani",
    "emirates uae emirati",
)  # fmt: skip
_PEOPLE = {w: group.split()[0] for group in _PEOPLES for w in group.split()}
_PEOPLE_ENDING = re.compile(r"(?:n|an|ian|ish|ese|i|ic)s?$")


@dataclass(frozen=True, slots=True)
class Name:
    """A name at [start:end] of a text; `words` are its own, folded, without joining ones and possessives.

    `sure` is False for a single word that begins its sentence, which may be any word.

    >>> [(n.words, n.sure) for n in names("Last May Ana Brix met the EU's Council of Ministers. Peru paid.")]
    [(('ana', 'brix'), True), (('eu',), True), (('council', 'ministers'), True), (('peru',), False)]
    """

    start: int
    end: int
    words: tuple[str, ...]
    sure: bool = True

    @property
    def initials(self) -> str:
        """The first letters of its words, "eu" of European Union."""
        return "".join(w[0] for w in self.words)

    def among(self, held: Set[str]) -> float:
        """Return the share of the name's words among those held; 1 if its acronym is, or it is one of one of these.

        Words are held when they are themselves there, or their singular, or one of the same people: Turkish where
        Türkiye is.
        """
        if len(self.words) > 1 and self.initials in held:
            return 1.0
        ours = {kin(w) for w in held}
        # The F16 of one is the F-16 of another.
        if self.words[-1].isdigit() and "".join(self.words) in held:
            return 1.0
        # Without their s, US and SS are letters that any text has.
        found = (w in held or (len(w) > 3 and w.removesuffix("s") in held) or kin(w) in ours for w in self.words)
        return sum(found) / len(self.words)


def runs(text: str) -> list[tuple[bool, list[re.Match[str]]]]:
    """Return runs of capitalised words, and of each whether it begins its sentence.

    The first word of a sentence that is common there begins none.
    """
    found: list[tuple[bool, list[re.Match[str]]]] = []
    end, open_run = 0, False
    for m in _WORD.finditer(text):
        gap, word = text[end : m.start()], m.group()
        first = end == 0 or bool(_SENTENCE_END.search(gap))
        end = m.end()
        if not word[0].isupper() or _NO_NAME.match(word) or (first and word.lower() in QUESTION_WORDS):
            open_run = False
        elif open_run and not gap.strip(" .") and not first:
            found[-1][1].append(m)
        else:
            found.append((first, [m]))
            open_run = True
    return found


def names(text: str) -> tuple[Name, ...]:
    """Return the names in a text, in order."""
    found: list[Name] = []
    for first, run in runs(text):
        if first and len(run) > 1 and is_common(run[0].group()):
            first, run = False, run[1:]
        elif first and len(run) == 1 and is_common(run[0].group()):
            continue
        piece: list[re.Match[str]] = []
        for m in run:
            piece.append(m)
            # "Turkey's President Brix" is two names.
            if _POSSESSIVE.search(m.group()):
                found.extend(_name(piece, first and len(piece) == 1))
                piece, first = [], False
        found.extend(_name(piece, first and len(piece) == 1))
    return tuple(_joined(found, text))


def acronyms(found: Iterable[Name]) -> frozenset[str]:
    """Return the initials of the names of several words, which a text may use in their place."""
    return frozenset(n.initials for n in found if len(n.words) > 1)


@lru_cache(maxsize=16_384)
def kin(word: str) -> str:
    """Return what a folded word of a country and of its people have in common; else the word itself.

    >>> kin("turkish") == kin("turkiye"), kin("armenians") == kin("armenia"), kin("iran") == kin("iraq")
    (True, True, False)
    """
    word = " ".join(spelled(word))
    if word in _PEOPLE:
        return _PEOPLE[word]
    if len(word) > 5 and _PEOPLE_ENDING.search(word):
        bare = word.removesuffix("s")
        for ending in ("ians", "ian", "ese", "ish", "an", "n", "i"):
            if bare.endswith(ending) and len(bare) - len(ending) >= 4:
                bare = bare.removesuffix(ending)
                break
        return bare.rstrip("aeioy")
    return word.rstrip("aeioy") if len(word) > 4 else word


def folded(text: str) -> frozenset[str]:
    """Return the words of a text as those of names are compared, "us" for U.S., "f16" too where there is an F-16."""
    plain = re.sub(r"\b((?:[A-Z]\.){2,})", lambda m: m[1].replace(".", ""), text)
    joined = " ".join(f"{m[1]}{m[2]}" for m in re.finditer(r"\b([A-Z][A-Za-z]{0,3})-(\d+)", plain))
    return frozenset(_PARTS.findall(fold(f"{plain} {joined}")))


def is_common(word: str) -> bool:
    """Say whether a capitalised word that begins a sentence is likely no name."""
    return word.lower() in _COMMON or (bool(_COMMON_ENDING.search(word)) and not word.isupper())


def _name(run: list[re.Match[str]], unsure: bool) -> list[Name]:
    if not run:
        return []
    said = (_POSSESSIVE.sub("", m.group().replace(".", "")) for m in run)
    words = tuple(part for w in said for part in _PARTS.findall(fold(w)))
    # A number in Roman figures or a letter by itself names nothing.
    return [Name(run[0].start(), run[-1].end(), words, not unsure)] if any(len(w) > 1 for w in words) else []


def _joined(found: list[Name], text: str) -> list[Name]:
    """Return the names with those that a small word joins made one: Bank of England."""
    joined: list[Name] = []
    for name in found:
        last = joined[-1] if joined else None
        if last and _JOIN.match(text[last.end : name.start]) and text[name.start - 1 : name.start] == " ":
            joined[-1] = Name(last.start, name.end, last.words + name.words)
        else:
            joined.append(name)
    return joined
