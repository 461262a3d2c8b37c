"""What may become of a sentence when it is said again: kinds of change that keep it true, and kinds that make it wrong.

Names, numbers and dates are found by patterns of this file alone, not by those that are measured, so that what the
product cannot read is changed too.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

MONTHS = "January February March April May June July August September October November December".split()
_MONTH = "|".join(MONTHS)
_NAME = re.compile(r"(?<=[a-z,] )(?:[A-Z][a-zé]{2,}(?: [A-Z][a-zé]{2,})*)")
_FIGURE = re.compile(r"(?<![\w.,:/-])\d{1,3}(?:,\d{3})+(?![\w,])|(?<![\w.,:/-])\d+(?:\.\d+)?(?![\w,/:-]|\.\d)")
_SPELLED = re.compile(r"\b(?:two|three|four|five|six|seven|eight|nine|ten|twelve|twenty|thirty|forty|fifty|hundred)\b")
_YEAR = re.compile(r"(?<![\w,.-])(?:1[5-9]\d\d|20[0-2]\d)(?![\w,.-]\d|\w)")
_DAY_MONTH = re.compile(rf"\b(\d{{1,2}}) ({_MONTH})\b(?: (\d{{4}}))?")
_MONTH_DAY = re.compile(rf"\b({_MONTH}) (\d{{1,2}})(?:, ?(\d{{4}}))?\b")
_LONE_MONTH = re.compile(rf"(?<=[a-z] )(?:{_MONTH})\b(?= \d{{4}}|,|\.)")
_AUXILIARY = re.compile(r"\b(?:was|were|is|are|has|had|have|will|can|could|would|did)\b(?! not\b|n't)")
_NOT = re.compile(r" (?:not|never)\b|n't\b| no longer\b")
_ASIDE = re.compile(r" \([^()]{3,80}\)")
_ADVERB = re.compile(
    r"(?<=[a-z,]) (?:also|usually|currently|originally|initially|famously|subsequently|generally|officially|formally)\b"
)
_LEADING = re.compile(r"^((?:In|On|During|After|Since|By|At|Before) [^,]{3,60}), ((?:[a-z]|[A-Z])[^;:]+)\.$")
_PASSIVE = re.compile(r"^((?:The )?[A-Z][\w ]{2,40}?) (?:was|were) (\w+ed) by ((?:the )?[A-Z][\w .]{2,40})\.$")
_MILLIONS = re.compile(r"(?<![\w.,])(\d{1,3}),(\d00),000(?![\w,])")
_MILLION = re.compile(r"(?<![\w.,])(\d+)(?:\.(\d))? million\b")
_THOUSANDS = re.compile(r"(?<![\w.,])(\d{1,3}),(\d{3})(?![\w,])")
_PERCENT = re.compile(r"(\d)%")
_PER_CENT = re.compile(r"(\d) (?:per ?cent)\b")
_SMALL = re.compile(r"(?<![\w.,:/-])([2-9])(?= [a-z]{3,}s\b)")
_HE = re.compile(r"^(?:He|She)\b(?!['’])")
_WORDS = "zero one two three four five six seven eight nine".split()


@dataclass(frozen=True)
class Given:
    """A sentence of an article, the name of the article, other names in it, and the sentences beside this one."""

    text: str
    title: str
    names: Sequence[str]
    beside: Sequence[str]


Change = Callable[[Given, random.Random], str | None]
"""What a sentence becomes; None where the kind of change does not apply."""


def names(text: str) -> list[str]:
    """Return runs of capitalised words that begin no sentence."""
    return [m.group() for m in _NAME.finditer(text) if m.group().split()[0] not in MONTHS]


def _put(text: str, m: re.Match[str], new: str) -> str:
    return text[: m.start()] + new + text[m.end() :]


def _one(pattern: re.Pattern[str], text: str, draw: random.Random) -> re.Match[str] | None:
    found = list(pattern.finditer(text))
    return draw.choice(found) if found else None


def other_name(given: Given, draw: random.Random) -> str | None:
    """Put another name of the article in a name's place."""
    found = [m for m in _NAME.finditer(given.text) if m.group().split()[0] not in MONTHS]
    others = [n for n in given.names if not set(n.split()) & set(given.text.split())]
    return _put(given.text, draw.choice(found), draw.choice(others)) if found and others else None


def names_exchanged(given: Given, draw: random.Random) -> str | None:
    """Exchange two names of the sentence, both not at its beginning."""
    found = [m for m in _NAME.finditer(given.text) if m.group().split()[0] not in MONTHS]
    one, two = draw.sample(found, 2) if len(found) > 1 else (None, None)
    if not one or not two or one.group() == two.group():
        return None
    one, two = sorted((one, two), key=lambda m: m.start())
    between = given.text[one.end() : two.start()]
    # Of two in a list either may come first.
    if re.fullmatch(r"(?:,| and| or|, and| [A-Z]\w+|,? ?[A-Z]?\w*,)*\s?", between):
        return None
    return given.text[: one.start()] + two.group() + between + one.group() + given.text[two.end() :]


def other_number(given: Given, draw: random.Random) -> str | None:
    """Change a number: one that is no year."""
    found = [m for m in _FIGURE.finditer(given.text) if not _YEAR.fullmatch(m.group()) and not _dated(given.text, m)]
    if found and (m := draw.choice(found)):
        value, plain = float(m.group().replace(",", "")), m.group()
        for _ in range(9):
            new = value + draw.choice((1, 2, 3, 5, -1)) * max(1, 10 ** (len(plain.split(".")[0].replace(",", "")) - 2))
            said = f"{new:,.0f}" if "," in plain else f"{new:.{len(plain.partition('.')[2])}f}"
            if new > 0 and said != plain and not re.search(rf"(?<!\d){re.escape(said)}(?!\d)", given.text):
                return _put(given.text, m, said)
    if m := _one(_SPELLED, given.text, draw):
        return _put(
            given.text,
            m,
            draw.choice([w for w in "two four five six seven nine eleven".split() if w not in given.text]),
        )
    return None


def _dated(text: str, m: re.Match[str]) -> bool:
    """Say whether a figure stands beside a month."""
    return bool(re.search(rf"(?:{_MONTH}) $", text[: m.start()]) or re.match(rf" (?:{_MONTH})", text[m.end() :]))


def other_date(given: Given, draw: random.Random) -> str | None:
    """Change a year, a month or a day."""
    ways = []
    for pattern, day, month in ((_DAY_MONTH, 1, 2), (_MONTH_DAY, 2, 1)):
        for m in pattern.finditer(given.text):
            for group, choices in ((day, [str(d) for d in range(1, 29)]), (month, MONTHS)):
                new = draw.choice([c for c in choices if c not in given.text])
                ways.append(given.text[: m.start(group)] + new + given.text[m.end(group) :])
    for m in _YEAR.finditer(given.text):
        new = str(int(m.group()) + draw.choice((-11, -3, -2, -1, 1, 2, 3, 10)))
        if new not in given.text:
            ways.append(_put(given.text, m, new))
    ways += [
        _put(given.text, m, draw.choice([x for x in MONTHS if x not in given.text]))
        for m in _LONE_MONTH.finditer(given.text)
    ]
    return draw.choice(ways) if ways else None


def negated(given: Given, draw: random.Random) -> str | None:
    """Put "not" behind the first auxiliary."""
    m = _AUXILIARY.search(given.text)
    return _put(given.text, m, m.group() + " not") if m and not _NOT.search(given.text) else None


def affirmed(given: Given, draw: random.Random) -> str | None:
    """Take the only negation out."""
    found = list(_NOT.finditer(given.text))
    return _put(given.text, found[0], "") if len(found) == 1 and " only" not in given.text else None


def neighbour(given: Given, draw: random.Random) -> str | None:
    """Take the sentence beside it."""
    return draw.choice(given.beside) if given.beside else None


def verbatim(given: Given, draw: random.Random) -> str | None:
    """Leave it as it is."""
    return given.text


def no_aside(given: Given, draw: random.Random) -> str | None:
    """Leave a parenthesis out."""
    m = _one(_ASIDE, given.text, draw)
    return _put(given.text, m, "") if m else None


def no_adverb(given: Given, draw: random.Random) -> str | None:
    """Leave an adverb out."""
    m = _one(_ADVERB, given.text, draw)
    return _put(given.text, m, "") if m else None


def reordered(given: Given, draw: random.Random) -> str | None:
    """Move what leads the sentence to its end."""
    m = _LEADING.match(given.text)
    if not m or m[2].split()[0] in ("and", "or", "when", "where", "which", *MONTHS) or re.match(r"[^,]*\d{4},", m[2]):
        return None
    return f"{m[2][0].upper()}{m[2][1:]} {m[1][0].lower()}{m[1][1:]}."


def date_rewritten(given: Given, draw: random.Random) -> str | None:
    """Write a day in another order, short or in figures."""
    if m := _DAY_MONTH.search(given.text):
        day, month, year = int(m[1]), m[2], m[3]
    elif m := _MONTH_DAY.search(given.text):
        month, day, year = m[1], int(m[2]), m[3]
    else:
        return None
    forms = [f"{day} {month}", f"{month} {day}", f"{month[:3]}. {day}", f"the {day}th of {month}"]
    if year:
        iso = f"{year}-{MONTHS.index(month) + 1:02}-{day:02}"
        forms = [f"{day} {month} {year}", f"{month} {day}, {year}", f"{month[:3]}. {day}, {year}", iso]
    return _put(given.text, m, draw.choice([f for f in forms if f != m.group()]))


def number_rewritten(given: Given, draw: random.Random) -> str | None:
    """Write a number in another way: millions, commas, per cent, words."""
    ways = []
    if m := _MILLIONS.search(given.text):
        ways.append(_put(given.text, m, f"{m[1]}.{m[2][0]} million"))
    if m := _MILLION.search(given.text):
        ways.append(_put(given.text, m, f"{int(m[1]) * 1000000 + int(m[2] or 0) * 100000:,}"))
    if (m := _THOUSANDS.search(given.text)) and not _MILLIONS.search(given.text):
        ways.append(_put(given.text, m, m[1] + m[2]))
    if m := _PERCENT.search(given.text):
        ways.append(_put(given.text, m, f"{m[1]} per cent"))
    if m := _PER_CENT.search(given.text):
        ways.append(_put(given.text, m, f"{m[1]}%"))
    if m := _SMALL.search(given.text):
        ways.append(_put(given.text, m, _WORDS[int(m[1])]))
    if m := re.search(r"\b(two|three|four|five|six|seven|eight|nine)\b(?= [a-z]{3,}s\b)", given.text):
        ways.append(_put(given.text, m, str(_WORDS.index(m[1]))))
    return draw.choice(ways) if ways else None


def made_active(given: Given, draw: random.Random) -> str | None:
    """Turn a passive with its agent round."""
    m = _PASSIVE.match(given.text)
    return (
        f"{m[3][0].upper()}{m[3][1:]} {m[2]} {m[1][0].lower() if m[1].startswith('The ') else m[1][0]}{m[1][1:]}."
        if m
        else None
    )


def named(given: Given, draw: random.Random) -> str | None:
    """Put the article's title in the place of the pronoun that opens the sentence."""
    m = _HE.match(given.text)
    return _put(given.text, m, given.title.split(" (")[0]) if m and given.title else None


TRUE: dict[str, Change] = {
    "verbatim": verbatim,
    "parenthesis left out": no_aside,
    "adverb left out": no_adverb,
    "clauses reordered": reordered,
    "date written otherwise": date_rewritten,
    "number written otherwise": number_rewritten,
    "active for passive": made_active,
    "the title's name for he or she": named,
}
WRONG: dict[str, Change] = {
    "another name": other_name,
    "two names exchanged": names_exchanged,
    "another number": other_number,
    "another date": other_date,
    "negation put in": negated,
    "negation taken out": affirmed,
    "the sentence beside it": neighbour,
}
QUOTED = {
    "denied in the quote": (
        "Officials denied that",
        "It is not true that",
        "There is no evidence that",
        "She rejected the claim that",
        "Historians have refuted the idea that",
        "Hardly anybody believes that",
    ),
    "left open in the quote": (
        "Some people claim that",
        "It is possible that",
        "Much would change if",
        "Early reports suggested that",
        "They hoped that",
        "It remains unclear whether",
    ),
}
"""How a quote may begin that says a sentence word for word, and does not say that it is so."""


def embedded(given: Given, opening: str) -> str:
    """Return the sentence as a clause behind an opening."""
    first = given.text.split()[0]
    small = first in ("The", "A", "An", "In", "On", "It", "He", "She", "They", "This", "There", "During", "After")
    return f"{opening} {given.text[0].lower() if small else given.text[0]}{given.text[1:]}"
