"""What turns a statement round: negation and how far it reaches, and words that are each other's opposites.

Scope is simple on purpose: from the cue to the end of its clause, as in NegEx (Chapman et al. 2001,
doi:10.1006/jbin.2001.1029), which found that to serve nearly as well as a parse.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice

from rag.words import QUESTION_WORDS, stem

REACH = 8
"""Words behind a cue that it may negate, its clause going on so long."""

LONGEST_END = 9
"""Characters of what ends a clause, " and they"."""

_CUE = re.compile(
    r"\b(?:not|never|no longer|no one|nobody|none|nothing|neither|nor|no|without|cannot|"
    r"(?:fail(?:s|ed|ing)?|refus(?:es|ed|e|ing)|declin(?:es|ed|e|ing)) to|"
    r"(?<!is )(?<!as )(?<!re )(?<!en )den(?:y|ies|ied|ying)|"
    r"rul(?:es|ed|e|ing) out|lack(?:s|ed|ing)?|unable to|instead of|rather than|far from|hardly|barely|"
    r"false(?:ly)?|untrue|(?:was|were|is|are|did|does|do|has|have|had|could|would|should|ca|wo)n['’]?t|"
    r"prevent(?:s|ed|ing)?|stopped short of)\b"
    r"|n['’]t\b",
    re.IGNORECASE,
)
# A passive "was denied" negates what is before it, so it is no cue and is left to the opposites below.
# "Not only", "no fewer than" and "no doubt" negate nothing.
_NO_CUE = re.compile(
    r"\s+(?:only|just|least|merely|fewer|less|more|later|doubt|wonder|matter|\d)\b|\.\s?\d|\s*$", re.IGNORECASE
)
_CLAUSE_END = re.compile(
    r"[,;:.!?()\n—–]"
    r"|\b(?:but|although|though|while|because|since|which|who|when|whereas|however|and (?:he|she|it|they))\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W_](?:[\w’'-]*[^\W_])?")

_OPPOSITES = {
    "change": (
        "rise rises rising rose risen grow grows growing grew grown growth increase increases increased increasing "
        "gain gained gains climb climbed climbs jump jumped soar soared surge surged doubled tripled expand expanded",
        "fall falls falling fell fallen drop drops dropped decline declines declined decrease decreases decreased "
        "shrink shrank shrunk slump slumped plunge plunged sink sank reduce reduced reduces reduction halved",
    ),
    "more": (
        "more higher larger greater bigger longer above most highest largest",
        "less fewer lower smaller shorter below least lowest smallest",
    ),
    "contest": ("win wins won winning victory defeated beat", "lose loses lost losing loss defeat"),
    "decision": (
        "approve approves approved approval accept accepts accepted agree agreed agrees allow allowed allows permitted "
        "back backed support supported supports confirm confirmed",
        "reject rejects rejected rejection refuse refused refuses refusal veto vetoed block blocked forbid forbade "
        "banned ban deny denied denies oppose opposed opposes opposition dismiss dismissed",
    ),
    "time": ("before earlier prior", "after later following"),
    "course": (
        "begin begins began begun start starts started opened open launch launched",
        "end ends ended stop stopped stops closed close finish finished cease ceased",
    ),
    "trade": (
        "buy buys bought purchase purchased import imports imported",
        "sell sells sold sale export exports exported",
    ),
    "north": ("north northern", "south southern"),
    "east": ("east eastern", "west western"),
    "member": ("join joined joins", "leave left leaves quit withdrew"),
    "possible": ("able possible legal lawful", "unable impossible illegal unlawful"),
    "first": ("first", "last"),
    "age": ("oldest older old", "youngest younger young newest new"),
    "sex": ("male man men father son brother husband he", "female woman women mother daughter sister wife she"),
    "quality": ("good better best success successful", "bad worse worst failure unsuccessful"),
}
_SIGNS = {
    word: (axis, sign)
    for axis, (up, down) in _OPPOSITES.items()
    for sign, side in ((1, up), (-1, down))
    for word in side.split()
}


@dataclass(frozen=True, slots=True)
class Negation:
    """A negating word and, behind it, what it negates: [start:end] of a text, the cue included.

    `stems` are those of the content words in its reach, in order.

    >>> [n.stems for n in negations("They did not sign the treaty, but Iran did.")]
    [('sign', 'treati')]
    """

    start: int
    end: int
    cue: str
    stems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Direction:
    """A word at [start:end] that has an opposite: "rose" is +1 on the axis "change", "fell" is -1."""

    start: int
    end: int
    axis: str
    sign: int


def negations(text: str) -> tuple[Negation, ...]:
    """Return the negations of a text, in order."""
    found: list[Negation] = []
    for m in _CUE.finditer(text):
        if not _NO_CUE.match(text, m.end()):
            near = list(islice(_WORD.finditer(text, m.end()), REACH))
            stop = _CLAUSE_END.search(text, m.end(), near[-1].end() + LONGEST_END) if near else None
            reached = [w for w in near if not stop or w.end() <= stop.start()]
            end = reached[-1].end() if reached else m.end()
            stems = tuple(stem(w.group()) for w in reached if w.group().lower() not in QUESTION_WORDS)
            found.append(Negation(m.start(), end, m.group().lower(), stems))
    return tuple(found)


def directions(text: str) -> tuple[Direction, ...]:
    """Return the words of a text that have opposites, in order."""
    return tuple(
        Direction(m.start(), m.end(), *_SIGNS[word])
        for m in _WORD.finditer(text)
        if (word := m.group().lower()) in _SIGNS
    )
