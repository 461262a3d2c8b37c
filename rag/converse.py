"""A follow-up question and its history -> a question that stands alone, by rules.

A follow-up leaves out what the question before it says.  What is left tells how to put it back: a time or a name by
itself takes the place of the one before; a bare "For how much?" goes in front of what was asked; whatever else leans
on the history gets the names that it leans on in brackets.  A question that leans on nothing is left as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from rag.answer.asked import asked, name_runs
from rag.answer.names import runs
from rag.words import QUESTION_WORDS, terms, words

TURNS = 6
"""How many questions back a subject is looked for."""

NAMES = 5
"""Names put in brackets, at most."""

LONGEST = 600
"""Characters of a question that was put together, unless what is asked is half as long itself: more is no question."""

BRIEF = 4
"""Content words up to which a question without a name that speaks of "the" thing leans on the one before."""

_VERBS = r"(?:did|do|does|is|are|was|were|has|have|had|will|would|can|could|should|may|might|must)(?:n['’]?t)?"
_PREPOSITIONS = r"in|on|at|by|from|to|for|of|with|under|over|into|about|between|after|before|during|since|until|against"
_MONTHS = (
    r"january|february|march|april|(?-i:May)|june|july|august|september|october|november|december"
    r"|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec"
)
_YEAR = r"(?:1[0-9]\d\d|20\d\d)"
_YEARS = rf"{_YEAR}(?:[–-]\d\d(?:\d\d)?)?"
_DATE = rf"(?:(?:\d{{1,2}}\s+)?(?:{_MONTHS})\b\.?(?:\s+\d{{1,2}}\b,?)?(?:\s+{_YEARS})?|{_YEARS})"
_AT = r"(?:in|on|by|during|since|from|until|till|before|after|around)"
_TIME = re.compile(rf"(?<![\w-])(?:({_AT})\s+)?((?:(?:early|mid|late)[\s-]+)?{_DATE})(?![\w-])", re.IGNORECASE)
_COUNTS = {w: n for n, w in enumerate("zero one two three four five six seven eight nine ten".split())}
_OTHER_YEAR = (
    r"(?:the\s+)?(?:(?P<count>an?|one|two|three|four|five|six|seven|eight|nine|ten|\d{1,2})\s+)?years?\s+"
    r"(?P<way>after|before|later|earlier|on|ago)(?:\s+(?:that|it|then|this))?"
    r"|(?:the\s+|that\s+)?(?P<beside>next|following|previous|preceding|last|same)\s+year"
)
_RELATIVE = re.compile(
    rf"(?:{_AT}\s+)?(?:(?P<month>{_MONTHS})\s+(?:of\s+)?)?(?:{_OTHER_YEAR})(?:\s+then)?", re.IGNORECASE
)
_OPENING = re.compile(
    r"^\W*(?:(?:(?:i see|ok(?:ay)?|thanks|thank you|right|well|hm+|and|but|or|also|so|then)\b[\s,.:;!—–-]*)+)",
    re.IGNORECASE,
)
_WHAT_ABOUT = re.compile(r"^\W*(?:what|how)\s+(?:about|of)\s+", re.IGNORECASE)
PRONOUN = re.compile(
    r"\b(?:it|its|they|them|their|theirs|he|him|his|she|her|hers|this|that|these|those|one|ones)\b", re.IGNORECASE
)
_ENDS_IN_PRONOUN = re.compile(r"\b(?:it|them|him|her|there|that|this|these|those)\W*$", re.IGNORECASE)
_THERE = re.compile(rf"(?<!\b[Ii]s )(?<!\b[Aa]re )(?<!\b[Ww]as )(?<!\b[Ww]ere )\bthere\b(?! (?:{_VERBS})\b)")
_SAID_BEFORE = re.compile(r"\b(?:back to|again|from before|as before|you (?:said|mentioned))\b", re.IGNORECASE)
_POINTS_AT = re.compile(
    rf"(?:^|\b(?:{_PREPOSITIONS}|{_VERBS}|[a-z]+(?:ing|ed))\s)(?:that|this|these|those)\s+([a-z][\w-]+)"
)
_POINTED = re.compile(r"\b(?:that|this|these|those|the|teh)\s+((?:[a-z][\w-]+\s*){1,3})", re.IGNORECASE)
_FIRST = re.compile(
    r"\b(?:the\s+)?(first|second|third|fourth|fifth|last|latter|former|earlier|latest)"
    r"(?:\s+ones?\b|\s+of\s+(?:these|those|them|the\s+\w+)\b)",
    re.IGNORECASE,
)
_FIRST_OF_ANY = re.compile(r"\bthe\s+(first|second|third|fourth|fifth|last|latter|former)\b", re.IGNORECASE)
_RANK = r"first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|last|latest|next|previous"
_RANKED = re.compile(rf"\b(?:{_RANK})\b", re.IGNORECASE)
_OTHER_RANK = re.compile(
    rf"(?:(?:the|its|his|her|their)\s+)?({_RANK})(?:\s+ones?|((?:\s+[a-z][\w-]*){{1,3}}))?", re.IGNORECASE
)
_PLACES = {"first": 0, "former": 0, "earlier": 0, "second": 1, "third": 2, "fourth": 3, "fifth": 4}
_BARE = frozenset(
    "price cost result results effect reason purpose outcome exactly then so come tho though not one ones amount kind "
    "else there that please many much long often far high big old deep wide whom since till until".split()
).union(QUESTION_WORDS)
"""Words of which a question may consist that only goes on from the one before."""
_AT_THE_END = re.compile(r"[\s,]*\b(?:then|exactly|tho|though|so|come|please)\W*$", re.IGNORECASE)
_IN_BRACKETS = re.compile(r"^([^()]*)\? \((.*)\)$", re.DOTALL)
_ASKS = re.compile(rf"^\W*(.*?)\b({_VERBS})\b\s*(.*)$", re.IGNORECASE | re.DOTALL)
_QUESTION_WORD = re.compile(r"\b(?:who|whom|whose|when|where|why|how|which|what)\b", re.IGNORECASE)
_VERB = re.compile(rf"\b{_VERBS}\b", re.IGNORECASE)
_VERB_FOLLOWS = re.compile(rf"\b(?:(?:when|where|why|how)\s+{_VERBS}|(?!is|are|was|were){_VERBS})\s+$", re.IGNORECASE)
"""What a verb stands behind that ends a phrase: "did the Kiel ferry sail", but not "what is the Kiel ferry"."""
_JOINED = re.compile(r"(?:–[\w’'-]+)+")
_OWNED = re.compile(r"(?:\b[A-ZÀ-Þ][\w-]*\.?\s+)*\b[A-ZÀ-Þ][\w-]*['’]s?(?=\s)")
_NO_OWNER = re.compile(r"(?:What|Who|Where|When|How|It|That|There|He|She|Let)['’]s", re.IGNORECASE)
_SMALL_TALK = re.compile(
    r"\W*(?:(?:hello|hi|hey|thanks?(?: you)?(?: very much| a lot)?|ok(?:ay)?|yes|no|yep|nope|sure|great|good|nice|cool"
    r"|wow|please|bye|goodbye|interesting|i see|got it|who cares)\b\W*)+",
    re.IGNORECASE,
)
"""What asks nothing."""
_MORE = re.compile(
    r"\W*(?:(?:please|and|ok(?:ay)?)\W+)*"
    r"(?:tell me more|say more|more(?: details)?|go on|continue|what else|anything else)\W*",
    re.IGNORECASE,
)
_HOW_MUCH = re.compile(r"\W*how\s+\w", re.IGNORECASE)
_WORD = re.compile(r"[\w’'-]+")
_ENDS_PHRASE = frozenset(
    "that which who whom whose when where is are was were did do does has have had will would can could and or than as "
    "like".split()
).union(_PREPOSITIONS.split("|"))


def standalone(question: str, history: Sequence[Mapping[str, str]] = ()) -> str:
    """Return the question with what it leaves out, taken from the user's questions before.

    >>> before = [{"role": "user", "content": "When did Türkiye recognise Azerbaijan?"}]
    >>> standalone("And Pakistan?", before), standalone("Why?", before)
    ('When did Pakistan recognise Azerbaijan?', 'Why did Türkiye recognise Azerbaijan?')
    >>> standalone("And the second?", [{"role": "user", "content": "When did the Kaan make its first flight?"}])
    'When did the Kaan make its second flight?'
    >>> standalone("How was it received?", before), standalone("Who flew the TB2 first?", before)
    ('How was it received? (Türkiye, Azerbaijan)', 'Who flew the TB2 first?')
    """
    before: list[str] = []
    for message in history:
        said = message.get("content", "").strip()
        if message.get("role") == "user" and said and not _SMALL_TALK.fullmatch(said):
            before = [*before[1 - TURNS :], _alone(said, before)]
    return _alone(question, before)


def _alone(question: str, before: Sequence[str]) -> str:
    if not before or _SMALL_TALK.fullmatch(question):
        return question
    made = _made(question, before)
    return made if len(made) <= max(LONGEST, 2 * len(question)) else question


def _made(question: str, before: Sequence[str]) -> str:
    if _MORE.fullmatch(question):
        names = ", ".join(_names(before[-1])[:NAMES])
        return f"{question.strip()} ({names})" if names else question
    left = _WHAT_ABOUT.sub("", _OPENING.sub("", question)).strip().rstrip("?!. ")
    last = before[-1]
    return (
        _at_another_time(left, last)
        or _of_another_rank(left, last)
        or _of_another(left, last, question)
        or _gone_on(question, last)
        or _with_subject(question, before)
    )


# -- another time -----------------------------------------------------------------------------


def _at_another_time(left: str, last: str) -> str | None:
    """Return the last question asked of another time, if a time is all that is left."""
    times = list(_TIME.finditer(last))
    then = times[-1] if times else None
    if own := _TIME.fullmatch(left):
        at, date = own[1], own[2]
    elif (own := _RELATIVE.fullmatch(left)) and then and (year := _year(own, then[2])):
        at, date = None, f"{own['month']} {year}" if own["month"] else year
    else:
        return None
    if then is None:
        return f"{last.rstrip('?!. ')} {at or 'in'} {date}?"
    if at is None and then[1]:
        # What happens in a year may happen on a day.
        at = "in" if then[1].lower() == "on" else then[1]
    return f"{last[: then.start()]}{at + ' ' if at and then[1] else ''}{date}{last[then.end() :]}"


def _year(told: re.Match[str], date: str) -> str | None:
    """Return the year that is told by its distance from a date; years that run from one into the next stay so."""
    found = re.search(rf"({_YEAR})(?:([–-])(\d\d(?:\d\d)?))?", date)
    if found is None:
        return None
    if told["beside"]:
        by = {"next": 1, "following": 1, "same": 0}.get(told["beside"].lower(), -1)
    else:
        count = (told["count"] or "one").lower()
        by = int(count) if count.isdigit() else _COUNTS.get(count, 1)
        by = by if told["way"].lower() in ("after", "later", "on") else -by
    year = str(int(found[1]) + by)
    if not found[2]:
        return year
    digits = len(found[3])
    return f"{year}{found[2]}{str((int(found[3]) + by) % 10**digits).zfill(digits)}"


# -- another thing ----------------------------------------------------------------------------


def _of_another(left: str, last: str, question: str) -> str | None:
    """Return the last question asked of another thing, if its name is all that is left."""
    said = left.split()
    if not 1 <= len(said) <= 7 or _VERB.search(left) or _QUESTION_WORD.search(left) or _leans_by_itself(left):
        return None
    if _is_bare(left) or not (_OPENING.search(question) or _WHAT_ABOUT.search(question) or len(said) <= 4):
        return None
    by = said[0].lower()
    if by in _ENDS_PHRASE and len(said) > 1:
        found = list(re.finditer(rf"\b{by}\s+", last, re.IGNORECASE))
        if not found:
            return f"{last.rstrip('?!. ')} {left}?"
        end = _phrase_end(last, found[-1].end())
        return f"{last[: found[-1].start()]}{left}{last[end:]}"
    place = _owner(last) if re.search(r"['’]s?$", left) else _like(left, last)
    if place is None:
        return f"{left}: {last}"
    return f"{last[: place[0]]}{left}{last[place[1] :]}"


def _of_another_rank(left: str, last: str) -> str | None:
    """Return the last question asked of the second thing in place of the first, if that is all that is left."""
    own, ranks = _OTHER_RANK.fullmatch(left), list(_RANKED.finditer(last))
    if not own or not ranks:
        return None
    then = ranks[-1]
    # "the second flight" after "its first flight", but "the second engine" is another thing.
    if own[2] and not re.match(rf"{re.escape(own[2])}\b", last[then.end() :], re.IGNORECASE):
        return None
    return f"{last[: then.start()]}{own[1]}{last[then.end() :]}"


def _leans_by_itself(text: str) -> bool:
    return bool(PRONOUN.search(text) or _THERE.search(text))


def _owner(last: str) -> tuple[int, int] | None:
    found = [m.span() for m in _OWNED.finditer(last) if not _NO_OWNER.fullmatch(m[0])]
    return found[-1] if found else None


def _like(left: str, last: str) -> tuple[int, int] | None:
    """Return where the last question names the thing that another is to take the place of."""
    phrases = _phrases(last)
    own = set(terms(left))
    shared = [p for p in phrases if own.intersection(terms(last[slice(*p)]))]
    if shared:
        return shared[-1]
    # Whom or what the question is about stands behind its verb.
    for m in _VERB.finditer(last):
        for start, end in phrases:
            if start >= m.end() and not last[m.end() : start].strip():
                return start, end
    return phrases[0] if phrases else None


def _phrases(text: str) -> list[tuple[int, int]]:
    """Return where the things that a question names stand, each with its article and the words up to its end."""
    found: list[tuple[int, int]] = []
    for first, run in runs(text):
        if first and len(run) == 1:
            continue
        start, end = run[0].start(), run[-1].end()
        if joined := _JOINED.match(text, end):
            end = joined.end()
        opened = re.search(r"\b(?:the|a|an|its|their)\s+(?:[a-z][\w-]*\s+){0,2}$", text[:start], re.IGNORECASE)
        if opened and not _ENDS_PHRASE.intersection(opened[0].lower().split()):
            start = opened.start()
            end = _phrase_end(text, end, verb=bool(_VERB_FOLLOWS.search(text[:start])))
        if not found or start >= found[-1][1]:
            found.append((start, end))
    return found


def _phrase_end(text: str, at: int, *, verb: bool = False) -> int:
    """Return where the phrase ends that goes on at a place; with `verb` the last word before its end is the verb."""
    ends = [at]
    for m in _WORD.finditer(text, at):
        if text[ends[-1] : m.start()].strip() or (m[0].lower() in _ENDS_PHRASE and m.start() > at):
            break
        # "did the Kiel ferry carry the …"
        if verb and (m[0].lower() in ("the", "a", "an") or m[0][0].isupper()):
            break
        ends.append(m.end())
    return ends[-2] if verb and len(ends) > 1 else ends[-1]


# -- going on ---------------------------------------------------------------------------------


def _gone_on(question: str, last: str) -> str | None:
    """Return the question in front of what was asked last, if it asks nothing by itself."""
    bare = _OPENING.sub("", question).strip()
    if not _is_bare(bare) or not _QUESTION_WORD.search(bare) or _VERB.search(bare) or PRONOUN.search(bare):
        return None
    bare = _AT_THE_END.sub("", bare.rstrip("?!. "))
    asks = _ASKS.match(last)
    # "How much freight" cannot be left out of what was asked.
    if asks and not _HOW_MUCH.match(asks[1]) and (not asks[1].strip() or _QUESTION_WORD.search(asks[1])):
        return f"{bare} {asks[2].lower()} {asks[3]}"
    # "Why?" asked of "Why? (It rained)" asks no more.
    within = _IN_BRACKETS.match(last)
    return f"{bare}? ({within[2] if within and _is_bare(within[1]) else last})"


def _is_bare(text: str) -> bool:
    said = words(text)
    return 0 < len(said) <= 5 and _BARE.issuperset(said)


# -- the subject ------------------------------------------------------------------------------


def _with_subject(question: str, before: Sequence[str]) -> str:
    """Return the question with the names that it leans on in brackets, or as it is."""
    if not _leans(question, before):
        return question
    own = set(words(question))
    for asked_before in _by_likelihood(question, before):
        names = [n for n in _names(asked_before) if not own.issuperset(words(n))]
        if names:
            return f"{question} ({', '.join(names[:NAMES])})"
    return question


def _leans(question: str, before: Sequence[str]) -> bool:
    if _SAID_BEFORE.search(question) or _POINTS_AT.search(question) or _FIRST.search(question):
        return True
    if _ENDS_IN_PRONOUN.search(question) or _THERE.search(question):
        return True
    own = asked(_OPENING.sub("", question))
    if own.names:
        # A pronoun beside a name most often means that name.
        return False
    if PRONOUN.search(question) or _OPENING.search(question):
        return True
    stems = set(terms(question))
    said = {stem for b in before for stem in terms(b)}
    return bool(stems & said) or (bool(_POINTED.search(question)) and len(stems) <= BRIEF)


def _by_likelihood(question: str, before: Sequence[str]) -> list[str]:
    """Return the questions before, the one that is most likely meant first."""
    latest = list(reversed(before))
    again = _SAID_BEFORE.search(question)
    if (place := (_FIRST_OF_ANY if again else _FIRST).search(question)) and len(before) > 1:
        n = _PLACES.get(place[1].lower(), len(before) - 1)
        return [before[min(n, len(before) - 1)], *latest]
    nouns = {stem for m in _POINTED.finditer(question) for stem in terms(m[1])}
    named = [b for b in latest if nouns.intersection(terms(b))]
    return [*named, *latest]


def _names(text: str) -> list[str]:
    """Return the names in a question, or else its content words."""
    found = [re.sub(r"['’]s?$", "", " ".join(run)) for run in name_runs(text)]
    if not found:
        found = [w for w in _WORD.findall(text) if terms(w) and w.lower() not in _BARE]
    return list(dict.fromkeys(found))
