"""Ways of printing an article again, and of making another article of it with the same words.

Each is a function of the text, another article's text and a source of chance.  Those that put a set's own words in the
place of others learn these first.
"""

from __future__ import annotations

import itertools
import random
import re
from collections import Counter
from collections.abc import Callable
from typing import ClassVar

Change = Callable[[str, str, random.Random], str]
"""A text, another article's text and a source of chance, to the text as it is printed again."""


# -- what makes a twin ------------------------------------------------------------------------


def paragraphs(text: str) -> list[str]:
    """Return the paragraphs of a text, a single long one in parts of some sentences."""
    found = [p for p in text.split("\n") if p.strip()]
    if len(found) > 3:
        return found
    sentences = re.split(r"(?<=[.!?]) ", " ".join(found))
    return [" ".join(sentences[n : n + 3]) for n in range(0, len(sentences), 3)]


def typography(text: str, _: str, draw: random.Random) -> str:
    """Return the text as another desk sets it: other quotes, dashes, spaces, ellipses and line ends."""
    text = re.sub(r'"([^"]*)"', r"“\1”", text) if draw.random() < 0.5 else re.sub("[“”]", '"', text)
    text = text.replace("'", "’") if draw.random() < 0.5 else text.replace("’", "'")
    return text.replace(" - ", " — ").replace("...", "…").replace(". ", ".  ").replace("\n", "\r\n")


def plain_letters(text: str, _: str, draw: random.Random) -> str:
    """Return the text without diacritics, its first words and now and then a word in capitals."""
    text = text.translate(str.maketrans("éèêáàâíóôöúüñç", "eeeaaaiooouunc"))
    words = text.split(" ")
    return " ".join(w.upper() if n < 5 or draw.random() < 0.02 else w for n, w in enumerate(words))


def cut(share: float) -> Change:
    """Return what keeps a share of the text's words, up to the end of a paragraph where there is one near."""

    def change(text: str, _: str, draw: random.Random) -> str:
        return text[: int(len(text) * share)].rsplit(" ", 1)[0]

    return change


def byline(text: str, _: str, draw: random.Random) -> str:
    """Return the text with another desk's byline, place and credits."""
    name = f"{draw.choice(('Ann', 'Joao', 'Mira'))} {draw.choice(('Roe', 'Doe-Smith', 'Castellan'))}"
    place = draw.choice(("LONDON (AP) — ", "PARIS, March 3 (Reuters) - ", "", "(CNN) "))
    foot = draw.choice((f"\n(Reporting by {name}; editing by Bo Li)", f"\n© 20{draw.randrange(10, 30)} The Gull.", ""))
    return f"By {name}\n{place}{text}{foot}"


_NUMBERS = frozenset("one two three four five six seven eight nine ten eleven twelve".split())
BOILERPLATE = (
    "Sign up for our newsletter and get the best of the week in your inbox every Friday.",
    "This story is part of a series on how cities change. Read more about the series and write to us.",
    "The Gull is a nonprofit newsroom. Support its work by becoming a member, and follow it on social media.",
    "More: What we know so far. A database of earlier stories is kept for subscribers who want to look things up.",
)


def boilerplate(pieces: int) -> Change:
    """Return what puts in standing paragraphs of another site."""

    def change(text: str, _: str, draw: random.Random) -> str:
        parts = paragraphs(text)
        for piece in draw.sample(BOILERPLATE, pieces):
            parts.insert(draw.choice((0, len(parts), draw.randrange(len(parts) + 1))), piece)
        return "\n\n".join(parts)

    return change


def added(text: str, other: str, draw: random.Random) -> str:
    """Return the text with a paragraph of some forty words of another article."""
    parts = paragraphs(text)
    parts.insert(draw.randrange(1, len(parts) + 1), " ".join(other.split()[:40]))
    return "\n\n".join(parts)


def dropped(text: str, _: str, draw: random.Random) -> str:
    """Return the text without one of its paragraphs, if that is a small part of it."""
    parts = paragraphs(text)
    small = [n for n, p in enumerate(parts) if len(p) < 0.1 * len(text)]
    if small:
        del parts[draw.choice(small)]
    return "\n\n".join(parts)


def edited(share: float) -> Change:
    """Return what edits a share of the words that are written small, numbers aside: another word, none, or one more."""

    def change(text: str, _: str, draw: random.Random) -> str:
        out = []
        for piece in re.split(r"(\s+)", text):
            if piece.isalpha() and piece.islower() and piece not in _NUMBERS and draw.random() < share:
                piece = draw.choice(("notably", "likewise", f"{piece} indeed", ""))
            out.append(piece)
        return "".join(out)

    return change


STYLE = {
    r"or\b(?<=[a-z](?:labor|favor|color|honor|humor|rumor))": "our",
    r"(?<=[a-z]{4})iz(?=(?:e|ed|es|ing|ation|ations)\b)": "is",
    r"\bcenter\b": "centre", r"\btheater\b": "theatre", r"\bdefense\b": "defence", r"\bprogram\b": "programme",
    r"\bpercent\b": "per cent", r"\bdid not\b": "didn't", r"\bdo not\b": "don't", r"\bis not\b": "isn't",
    r"\bfive\b": "5", r"\bthree\b": "3", r"\btwo\b": "2", r"\bemail\b": "e-mail", r"\btoward\b": "towards",
    r"\bsaid that\b": "said", r"\bU\.S\.(?= )": "US", r"\ba\.m\.": "am", r"\bp\.m\.": "pm", r"\bJanuary\b": "Jan.",
    r"\bDecember\b": "Dec.", r"\bon (?=Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)": "",
}  # fmt: skip
"""What another desk's rules of style make of words."""


def house_style(text: str, other: str, draw: random.Random) -> str:
    """Return the text in another desk's spelling, with its figures and short forms."""
    for pattern, instead in STYLE.items():
        text = re.sub(pattern, instead, text)
    return text


def both(*changes: Change) -> Change:
    """Return several changes one after another."""

    def change(text: str, other: str, draw: random.Random) -> str:
        for one in changes:
            text = one(text, other, draw)
        return text

    return change


TWINS: dict[str, Change] = {
    "copy": lambda text, *_: text,
    "other quotes, dashes, line ends": typography,
    "no diacritics, words in capitals": plain_letters,
    "other byline, place, credits": byline,
    "cut to 85 %": cut(0.85),
    "cut to 70 %": cut(0.7),
    "cut to 55 %": cut(0.55),
    "1 standing paragraph": boilerplate(1),
    "2 standing paragraphs": boilerplate(2),
    "a paragraph of 40 words added": added,
    "a paragraph dropped": dropped,
    "1 % of words edited": edited(0.01),
    "3 % of words edited": edited(0.03),
    "6 % of words edited": edited(0.06),
    "other spelling, short forms, figures": house_style,
    "cut to 70 %, byline, typography, spelling": both(cut(0.7), house_style, typography, byline),
    "byline, 1 standing paragraph, spelling": both(house_style, boilerplate(1), byline),
    "cut to 70 %, byline, typography, 1 % edited": both(cut(0.7), edited(0.01), typography, byline),
    "byline, 1 standing paragraph, 2 % edited": both(edited(0.02), boilerplate(1), byline),
}


# -- what makes another article ---------------------------------------------------------------

_FIGURE = re.compile(r"\d+")
_NAME = re.compile(r"(?<=[a-z,] )[A-Z][a-z]{2,}")


def other_figures(most: int) -> Change:
    """Return what puts other figures in the places of some, as the next day's report has them."""

    def change(text: str, _: str, draw: random.Random) -> str:
        found = list(_FIGURE.finditer(text))
        for m in sorted(draw.sample(found, min(most, len(found))), key=lambda m: -m.start()):
            text = text[: m.start()] + str(int(m[0]) + draw.randrange(1, 9)) + text[m.end() :]
        return text

    return change


def other_name(most: int) -> Change:
    """Return what replaces some of a text's names throughout, as a report on somebody else has them."""

    def change(text: str, _: str, draw: random.Random) -> str:
        names = sorted(set(_NAME.findall(text)))
        for name in draw.sample(names, min(most, len(names))):
            text = re.sub(rf"\b{name}\b", draw.choice(("Vandermeer", "Okonkwo", "Brightwater")), text)
        return text

    return change


def same_opening(share: float) -> Change:
    """Return what keeps a share of the text and goes on with another article."""

    def change(text: str, other: str, draw: random.Random) -> str:
        return (
            cut(share)(text, "", draw) + "\n\n" + " ".join(other.split()[: int(len(text.split()) * (1 - share)) + 20])
        )

    return change


def same_close(text: str, other: str, draw: random.Random) -> str:
    """Return another article that closes with half of the text."""
    words = text.split(" ")
    return " ".join(other.split()[: len(words) // 2]) + "\n\n" + " ".join(words[len(words) // 2 :])


def grown(share: float) -> Change:
    """Return what puts new entries above the text, as a live page grows."""

    def change(text: str, other: str, draw: random.Random) -> str:
        new = itertools.islice(itertools.cycle(other.split()), int(share * len(text.split())))
        return " ".join(new) + "\n\n" + text

    return change


def updated(text: str, other: str, draw: random.Random) -> str:
    """Return the text with a figure changed and a paragraph more on top."""
    if not _FIGURE.search(text):
        return text
    return " ".join(other.split()[:40]) + "\n\n" + other_figures(1)(text, other, draw)


def other_lead(text: str, other: str, draw: random.Random) -> str:
    """Return the text with another article's first paragraphs in place of its own."""
    words = text.split(" ")
    n = max(len(words) // 6, 25)
    return " ".join(other.split()[:n]) + "\n\n" + " ".join(words[n:])


def notice(text: str, _: str, draw: random.Random) -> str:
    """Return the text's opening, as a notice of it has it."""
    return " ".join(text.split()[:45])


_SMALL_WORD = re.compile(r"(?<=[\w,] )[a-z]{4,}(?=[ ,.])")
_NOUN = re.compile(r"(?<= the )[a-z]{4,}(?=[ ,.])|(?<= a )[a-z]{4,}(?= (?:of|in|and|is|was|who|that|to)\b)")
_VERB = re.compile(r"(?<=[a-z] )[a-z]{3,}ed(?= (?:the|a|to|in|that|by|on|his|its|their|it|him|them)\b)")
_TURNED = re.compile(r" (?:is|are|was|were|will|would|can|could|has|had|should|may|might)(?= [a-z])")
_NEGATION = re.compile(r" (?:not|never|no longer|without|no|nor)(?= [a-z])|n['’]t\b")
OPPOSITES = {
    x: y
    for line in (
        "more less|before after|with without|first last|high low|higher lower|up down|in out|over under|now then"
        "|good bad|best worst|new old|increase decrease|increased decreased|rise fall|rose fell|won lost|win lose"
        "|accept reject|accepted rejected|approved rejected|agreed refused|allowed banned|open closed|opened closed"
        "|start end|started ended|began ended|support oppose|supported opposed|men women|man woman|boy girl|he she"
        "|his her|north south|east west|left right|always never|many few|all none|same different|early late"
        "|earlier later|inside outside|buy sell|bought sold|morning evening|day night|to from|and or|can cannot"
        "|will would|large small|long short|above below|against for|because although|only also"
    ).split("|")
    for x, y in (line.split(" "), line.split(" ")[::-1])
}
_OPPOSITE = re.compile(rf"(?<= )(?:{'|'.join(OPPOSITES)})(?= )")
HOURS = ("in the morning", "at noon", "in the evening", "at bedtime")
EFFECTS = ("headache", "nausea", "drowsiness", "dizziness", "constipation", "a dry mouth", "itching", "cramps")
LEAFLET = (
    "Take one tablet {} with a glass of water, and another {} after a meal. Common side effects are {}, {} and {}. "
    "Ask your doctor if any of them gets serious or goes on for long."
)


class Words:
    """The words of a set that stand where a pattern finds one, those of like frequency beside one another."""

    known: ClassVar[dict[tuple[str, str], list[str]]] = {}

    @classmethod
    def learn(cls, name: str, texts: dict[str, str]) -> None:
        """Count the words of a set."""
        for pattern in (_SMALL_WORD, _NOUN, _VERB):
            counts = Counter(m[0] for t in texts.values() for m in pattern.finditer(t))
            cls.known[name, pattern.pattern] = [w for w, _ in counts.most_common() if counts[w] > 1 and w != "that"]

    @classmethod
    def like(cls, name: str, pattern: re.Pattern[str], word: str, draw: random.Random) -> str:
        """Return another word of the same kind, about as frequent."""
        words = cls.known[name, pattern.pattern]
        at = words.index(word) if word in words else len(words) - 1
        return draw.choice([w for w in words[max(at - 15, 0) : at + 16] if w != word])


def _at(text: str, match: re.Match[str], instead: str) -> str:
    return text[: match.start()] + instead + text[match.end() :]


def other_word(pattern: re.Pattern[str], most: int = 1) -> Change:
    """Return what puts other words of the same kind in the places of some."""

    def change(text: str, other: str, draw: random.Random) -> str:
        found = list(pattern.finditer(text))
        for m in sorted(draw.sample(found, min(most, len(found))), key=lambda m: -m.start()):
            text = _at(text, m, Words.like(other.partition("\0")[0], pattern, m[0], draw))
        return text

    return change


def swapped(text: str, _: str, draw: random.Random) -> str:
    """Return the text with two of its nouns in each other's place."""
    found = list(_NOUN.finditer(text))
    pairs = [(m, n) for m, n in itertools.pairwise(found) if m[0] != n[0]]
    if not pairs:
        return text
    m, n = draw.choice(pairs)
    return _at(_at(text, n, m[0]), m, n[0])


def word_more(text: str, other: str, draw: random.Random) -> str:
    """Return the text with a word of the set put in."""
    found = list(_SMALL_WORD.finditer(text))
    m = draw.choice(found)
    return _at(text, m, f"{Words.like(other.partition(chr(0))[0], _SMALL_WORD, m[0], draw)} {m[0]}")


def word_less(text: str, _: str, draw: random.Random) -> str:
    """Return the text without one of its words of four letters or more, which is not one that an editor drops."""
    found = [m for m in _SMALL_WORD.finditer(text) if m[0] != "that"]
    m = draw.choice(found)
    return text[: m.start()] + text[m.end() + 1 :] if text[m.end()] == " " else _at(text, m, "")


def negated(text: str, _: str, draw: random.Random) -> str:
    """Return the text with a negation put in."""
    found = list(_TURNED.finditer(text))
    if not found:
        return text
    m = draw.choice(found)
    return _at(text, m, m[0] + draw.choice((" not", " never", " no longer", " hardly")))


def affirmed(text: str, _: str, draw: random.Random) -> str:
    """Return the text without one of its negations."""
    found = list(_NEGATION.finditer(text))
    return _at(text, draw.choice(found), "") if found else text


def opposite(text: str, _: str, draw: random.Random) -> str:
    """Return the text with a word's opposite in its place."""
    found = list(_OPPOSITE.finditer(text))
    if not found:
        return text
    m = draw.choice(found)
    return _at(text, m, OPPOSITES[m[0]])


def prefixed(text: str, _: str, draw: random.Random) -> str:
    """Return the text with a word turned by un- or dis-, written together or apart."""
    m = draw.choice(list(_SMALL_WORD.finditer(text)))
    return _at(text, m, draw.choice(("un", "dis", "non-", "in", "mis")) + m[0])


def leaflet(text: str, draw: random.Random, change: bool) -> str:
    """Return the text with a leaflet's paragraph in its middle, as first drawn or with a part of that changed."""
    hours, effects = draw.sample(HOURS, 2), draw.sample(EFFECTS, 4)
    if change and draw.random() < 0.5:
        hours[draw.randrange(2)] = draw.choice([h for h in HOURS if h not in hours])
    elif change:
        effects[draw.randrange(3)] = effects[3]
    parts = paragraphs(text)
    parts.insert(len(parts) // 2, LEAFLET.format(*hours, *effects[:3]))
    return "\n\n".join(parts)


def other_doses(text: str, other: str, draw: random.Random) -> str:
    """Return the text, which has a leaflet's paragraph, with another hour or side effect in it."""
    return leaflet(other.partition("\0")[2], draw, change=True)


def turned_and_moved(text: str, _: str, draw: random.Random) -> str:
    """Return the text with one of its sentences turned, and told elsewhere."""
    parts = [s for p in paragraphs(text) for s in re.split(r"(?<=[.!?]) ", p)]
    fit = [n for n, s in enumerate(parts) if _TURNED.search(s) and 8 < len(s.split()) < 40]
    if len(parts) < 6 or not fit:
        return text
    n = draw.choice(fit)
    sentence = parts.pop(n)
    m = _TURNED.search(sentence)
    assert m is not None
    parts.insert((n + len(parts) // 2) % len(parts), _at(sentence, m, m[0] + " not"))
    return "\n".join(parts)


BY_A_WORD: dict[str, Change] = {
    "a negation put in": negated,
    "a negation taken out": affirmed,
    "a word's opposite": opposite,
    "another verb": other_word(_VERB),
    "another noun": other_word(_NOUN),
    "another word as frequent": other_word(_SMALL_WORD),
    "2 other words as frequent": other_word(_SMALL_WORD, 2),
    "2 nouns swapped": swapped,
    "a word put in": word_more,
    "a word left out": word_less,
    "a word with un-, dis-, non-": prefixed,
    "other hours or side effects": other_doses,
    "a sentence turned, and moved": turned_and_moved,
}
"""What makes another article with a word or two."""

OTHERS: dict[str, Change] = {
    "1 figure differs": other_figures(1),
    "3 figures differ": other_figures(3),
    "all figures differ": other_figures(10_000),
    "1 name replaced throughout": other_name(1),
    "3 names replaced throughout": other_name(3),
    "same opening third, another body": same_opening(0.33),
    "same opening two thirds, another body": same_opening(0.67),
    "same second half, another first": same_close,
    "grown at its top by 25 %": grown(0.25),
    "grown at its top by 60 %": grown(0.6),
    "a figure updated, a paragraph on top": updated,
    "another lead": other_lead,
    "a notice of 45 words": notice,
    **BY_A_WORD,
}
