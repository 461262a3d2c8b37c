"""Whether a sentence says what a name stands for: what "What is TRIPP?" or "Who is Ana Brix?" asks for.

Such a question has one word or two beside those that ask, which says little to a model; how prose explains a name says
much: its long form before it or in brackets behind it, an apposition, an office, or "is a".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from rag.handover import Evidence
from rag.intake.text import fold
from rag.words import QUESTION_WORDS

_ASKS = re.compile(
    r"\W*(?:please\s+)?(?:what|who)(?:['’]s|\s+(?:exactly\s+)?(?:is|are|was|were))\s+(?:meant\s+by\s+)?(?P<is>[^?!.,;]+?)\W*"
    r"|\W*what\s+(?:does|do|did)\s+(?P<means>[^?!.,;]+?)\s+(?:mean|stand\s+for|refer\s+to)\W*",
    re.IGNORECASE,
)
_LEADING = frozenset("and for in of on to".split())
_OFFICES = (
    "president|minister|premier|chancellor|chairman|chairwoman|general|colonel|admiral|commander|director|professor|leader|"
    "founder|spokesman|spokeswoman|spokesperson|ambassador|envoy|secretary|chief|king|queen|emperor|prince|princess|bishop|"
    "pope|captain|engineer|author|writer|singer|actor|actress|analyst|economist|historian|scientist|researcher|physicist|"
    "mathematician|philosopher|painter|composer|senator|governor|mayor|judge|lawyer|journalist|coach|player|quarterback"
)
_WORD = re.compile(r"[^\W_]+(?:[-'’.](?!s\b)[^\W_]+)*")
_JOINING = frozenset("a al an and bin de for in of on the to van von".split())

WORDS = 5
"""Words of a name, at most."""
_OFFICE = re.compile(rf"\b(?:{_OFFICES})(?:\s+(?:of|in|for)\b|$)", re.IGNORECASE)
"""Whoever asks who an office's holder is wants the name, and not what the office is."""

LIKELY = 0.8
"""Probability of an answer where a sentence explains the name: of 68 such sentences in outside articles 60 do."""

RAISED = 8.0
"""Log-odds that such a sentence is raised by: above any that only has the name."""


def explained(evidence: Evidence) -> Evidence:
    """Return the evidence with sentences first that explain a name, where the question asks for that."""
    texts = [s.text for s in evidence.sentences]
    names = printed(name_asked(evidence.question), texts)
    found = [any(glossed(n, t) for n in names) for t in texts]
    if not any(found):
        return evidence
    raised = [replace(s, score=s.score + RAISED * f) for s, f in zip(evidence.sentences, found, strict=True)]
    return replace(
        evidence,
        sentences=tuple(sorted(raised, key=lambda s: -s.score)),
        confidence=max(evidence.confidence, LIKELY),
    )


@lru_cache(maxsize=512)
def name_asked(question: str) -> str | None:
    """Return what may be a name that a question wants explained, or None where it asks anything else.

    >>> [name_asked(q) for q in ("What is TRIPP?", "who was the ana brix", "What is Ana's prize?", "When is it?")]
    ['TRIPP', 'ana brix', None, None]
    """
    # White space of any length would be matched in too many ways.
    asks = _ASKS.fullmatch(" ".join(question.split()))
    words = (asks["is"] or asks["means"]).split() if asks else []
    if words[:1] and words[0].lower() in ("a", "an", "the"):
        del words[0]
    if not 0 < len(words) <= WORDS or any(re.search(r"['’]s?$", w) for w in words):
        return None
    # "Who was he?" names nobody, and "Who is in Lima?" asks for others.
    shouted = words[0].isupper() and not question.isupper()
    if words[0] in _LEADING or (len(words) == 1 and fold(words[0]) in QUESTION_WORDS and not shouted):
        return None
    name = " ".join(words)
    return None if _OFFICE.search(name) else name


def printed(name: str | None, texts: Sequence[str]) -> set[str]:
    """Return how texts print a name; nothing if it is none, for one of them has it without capitals.

    >>> sorted(printed("ana oz", ["So Ana Öz said.", "ANA OZ's"])), printed("ferry", ["A ferry."])
    (['ANA OZ', 'Ana Öz'], set())
    """
    if not name:
        return set()
    wanted = [fold(w[0]) for w in _WORD.finditer(name)]
    if not wanted:
        return set()
    found = set()
    for text in texts:
        words = list(_WORD.finditer(text))
        folded = [fold(w[0]) for w in words]
        for i in range(len(words) - len(wanted) + 1):
            if folded[i : i + len(wanted)] == wanted:
                found.add(text[words[i].start() : words[i + len(wanted) - 1].end()])
    named = all(not w[0].islower() for f in found for w in f.split() if w not in _JOINING)
    return found if named else set()


def glossed(name: str, text: str) -> bool:
    """Return whether a sentence says what a name stands for or whom it names.

    >>> [glossed("AESA", s) for s in ("An active electronically scanned array (AESA) saw it.", "The AESA saw it.")]
    [True, False]
    """
    if name not in text:
        return False
    return any(form.search(text) for form in _forms(name)) or _short_for(name, text)


@lru_cache(maxsize=512)
def _forms(name: str) -> tuple[re.Pattern[str], ...]:
    n = rf"(?<![\w-]){re.escape(name)}(?![\w-])"
    of_person = rf"(?:\b[A-Z][\w’'.-]{{0,40}}\s+){{0,2}}{n}"
    return (
        # Behind it in brackets, two words at least.
        re.compile(
            rf"{n}\s+\((?!born|previously|now|also|at)"
            r"(?=[^)]{0,60}[a-z]{2}[^)]{0,60} [a-z]{2})[^()\d]{3,120}\)"
        ),
        re.compile(rf"\b[A-Z][\w’'-]{{0,40}}, or (?:the )?{n}(?=[,.;)])"),
        # An apposition with its end; not "In Lima, the council …", nor a member of a list.
        re.compile(
            rf"(?<!\b[IiOo]n )(?<!\b[Aa]t )(?<!\b[Tt]o )(?<!\b[Ff]or )(?<!\b[Ff]rom )(?<!\b[Aa]fter )(?<!\b[Uu]nlike )"
            rf"(?<!, )(?<!, the )(?<!\d ){n}(?:\s+\([^)]{{0,80}}\))?,\s+"
            r"(?:then\s+|now\s+|also\s+)?"
            r"(?:an?|the(?=\s+(?:[A-Z][\w-]*\s+)?[a-z-]{4})|one of|which (?:is|was)|who (?:is|was)|whose|formerly)\s"
            r"[^,;.]{3,120}[,;.]"
        ),
        re.compile(rf"\b(?:(?i:{_OFFICES}),?|leadership of)\s+{of_person}"),
        re.compile(
            rf"^\W*(?:[Tt]he\s+)?{of_person}(?:\s+\([^)]{{0,80}}\))?(?:,[^,]{{0,120}},)?\s+(?:is|are|was|were)\s+"
            r"(?:an?|the|one of|part of|made|built|developed|designed|formed|founded|\w+['’]s)\s"
        ),
        re.compile(rf"\b(?:called|named|known as|nicknamed|dubbed)\s+(?:the\s+)?[\"“‘']?{n}(?!['’]s)"),
        re.compile(rf"{n}[^.;]{{0,20}}\b(?:stands for|is short for|refers to)\b"),
        re.compile(rf"^\W*(?:[Tt]he\s+)?{n}['’\"”]?\s+means\s+(?!to\b|for\b|well\b|that\b)"),
    )


def _short_for(name: str, text: str) -> bool:
    """Return whether a name stands in brackets behind words that begin with its letters, half of them at least."""
    letters = "".join(c for c in name.lower() if c.isalnum())
    at = text.find(f"({name})")
    if at < 0:
        return False
    before = re.findall(r"[^\W_]+", text[:at].lower())[-2 * len(letters) :]
    # A NEWSNET may be the North East Wind Station Network; of and the may have a letter or none.
    for words in (before, [w for w in before if w not in _JOINING]):
        initials = "".join(w[0] for w in words)
        if any(letters.startswith(initials[-n:]) for n in range(max((len(letters) + 1) // 2, 2), len(initials) + 1)):
            return True
    return False
