"""Words that never run out: sentences whose rare words, numbers and some others can be exchanged.

Putting real sentences together in other ways makes no new word, so that the vocabulary would stop growing, which a real
one never does (Heaps' law, V = K n^b).  Rare words are therefore exchanged for words of an open vocabulary whose
frequencies follow Zipf and Mandelbrot's law with the exponent 1/b that goes with Heaps' b; its offset is chosen so
that all words together are as many as Heaps' law, fitted on the real texts, says for a large collection.
"""

from __future__ import annotations

import json
import math
import random
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

WORD = re.compile(r"[^\W\d_]+|\d+")
RARE = 40
"""A word that the real texts have at most so often is rare: one in four articles that would use it has another one."""
KEPT = 0.75
OTHER = 0.12
"""Share of the more frequent content words that may be exchanged for another of the set; every second time they are."""
LEAST = 4
"""Letters of a word that is exchanged; shorter ones are mostly grammar."""
LARGE = 55_000_000
"""Running words of the large collection that Heaps' law is met at: about a million passages."""
_SYLLABLES = [c + v + e for c in "b d f g h k l m n p r s t v z br st".split() for v in "aeiou" for e in ("", "n", "r")]


def words(text: str) -> list[str]:
    """Return the words of a text as they are counted here: runs of letters or of digits, lower case."""
    return WORD.findall(text.lower())


def made_word(number: int) -> str:
    """Return a word that can be pronounced, another one for each number.

    >>> made_word(0) != made_word(1) and made_word(10**9) == made_word(10**9)
    True
    """
    said = ""
    number += len(_SYLLABLES)
    while number:
        number, last = divmod(number, len(_SYLLABLES))
        said = _SYLLABLES[last] + said
    return said


@dataclass(frozen=True, slots=True)
class Heaps:
    """V = K n^b."""

    k: float
    b: float

    def distinct(self, n: float) -> float:
        """Return how many distinct words so many running words hold."""
        return float(self.k * n**self.b)


def fit_heaps(points: Sequence[tuple[int, int]]) -> Heaps:
    """Return the law through (running, distinct) words, by least squares on their logarithms.

    Only points above a 32nd of the last one count: real vocabularies grow faster at first, and what is wanted is how
    this one goes on.
    """
    upper = [p for p in points if p[0] >= points[-1][0] / 32]
    b, log_k = np.polyfit(np.log([n for n, _ in upper]), np.log([v for _, v in upper]), 1)
    return Heaps(float(np.exp(log_k)), float(b))


def growth(texts: Iterable[str]) -> list[tuple[int, int]]:
    """Return (running words, distinct words) each time the running words have doubled."""
    seen: set[str] = set()
    running, mark, found = 0, 4096, []
    for text in texts:
        of_it = words(text)
        seen.update(of_it)
        running += len(of_it)
        if running >= mark:
            found.append((running, len(seen)))
            mark = 2 * running
    return [*found, (running, len(seen))]


@dataclass(frozen=True, slots=True)
class Open:
    """The open vocabulary: word i has a frequency in proportion to (i + offset)^-exponent."""

    exponent: float
    offset: float

    def number(self, uniform: float) -> int:
        """Return the number of the word at a point of the distribution, 0 < uniform <= 1."""
        return int(self.offset * (uniform ** (-1 / (self.exponent - 1)) - 1))

    def distinct(self, draws: float) -> float:
        """Return how many different words so many draws are expected to give."""
        at = np.geomspace(1, 1e13, 4000)
        share = (self.exponent - 1) * self.offset ** (self.exponent - 1) * (at + self.offset) ** -self.exponent
        return float(np.trapezoid(-np.expm1(-draws * share), at))


def fit_open(heaps: Heaps, real_words: int, draws_per_word: float) -> Open:
    """Return the open vocabulary that beside the real words makes as many as Heaps' law says at LARGE."""
    wanted = max(heaps.distinct(LARGE) - real_words, 1.0)
    low, high = 0.0, 16.0
    for _ in range(60):
        middle = (low + high) / 2
        if Open(1 / heaps.b, 10**middle).distinct(draws_per_word * LARGE) < wanted:
            low = middle
        else:
            high = middle
    return Open(1 / heaps.b, 10**high)


@dataclass(frozen=True, slots=True)
class Template:
    """A sentence: text that stays, and between two pieces of it a word that may go."""

    stays: list[str]
    goes: list[str]


class Exchange:
    """Rewrites sentences.  What a rare word becomes is remembered for an article, since a name comes back there."""

    def __init__(self, counts: Counter[str], open_words: Open, others: Sequence[str]) -> None:
        self._counts, self._open, self._others = counts, open_words, others
        self._templates: dict[str, Template] = {}
        self.draws = 0

    def template(self, sentence: str) -> Template:
        """Return what may go in a sentence."""
        known = self._templates.get(sentence)
        if known is None:
            chance = random.Random(sentence)
            stays, goes, at = [], [], 0
            for match in WORD.finditer(sentence):
                word = match.group()
                count = self._counts[word.lower()]
                if word.isdigit() or (len(word) >= LEAST and (count <= RARE or chance.random() < OTHER)):
                    stays.append(sentence[at : match.start()])
                    goes.append(word)
                    at = match.end()
            known = self._templates[sentence] = Template([*stays, sentence[at:]], goes)
        return known

    def rewrite(self, sentence: str, renamed: dict[str, str], chance: random.Random) -> str:
        """Return the sentence with words exchanged; `renamed` is what the article has exchanged so far."""
        template = self.template(sentence)
        if not template.goes:
            return sentence
        said = [template.stays[0]]
        for word, after in zip(template.goes, template.stays[1:], strict=True):
            said += (self._other(word, renamed, chance), after)
        return "".join(said)

    def _other(self, word: str, renamed: dict[str, str], chance: random.Random) -> str:
        if word in renamed:
            return renamed[word]
        if word.isdigit():
            return word if chance.random() < KEPT else _number(word, chance)
        if self._counts[word.lower()] > RARE:
            if not self._others or chance.random() < 0.5:
                return word
            return _like(word, self._others[int(chance.random() * len(self._others))])
        other = word
        if chance.random() >= KEPT:
            self.draws += 1
            other = _like(word, made_word(self._open.number(1 - chance.random())))
        renamed[word] = other
        return other


def _number(word: str, chance: random.Random) -> str:
    # A year stays one; other numbers get other digits, the first of them never 0.
    if len(word) == 4 and word[:2] in ("18", "19", "20"):
        return word[:2] + f"{int(chance.random() * 100):02}"
    return str(int((1 + chance.random() * 9) * 10 ** (len(word) - 1)))


def _like(word: str, other: str) -> str:
    return other.capitalize() if word[0].isupper() else other


@dataclass(frozen=True)
class Vocabulary:
    """What the real texts say about words."""

    heaps: Heaps
    open_words: Open
    points: list[tuple[int, int]]
    draws_per_word: float

    @cached_property
    def real_words(self) -> int:
        """How many different words the real texts hold."""
        return self.points[-1][1]


def counted(sentences: Sequence[Sequence[str]]) -> Counter[str]:
    """Return how often the real passages have each word."""
    counts: Counter[str] = Counter()
    for passage in sentences:
        for sentence in passage:
            counts.update(words(sentence))
    return counts


def content_words(counts: Counter[str]) -> list[str]:
    """Return content words for exchange, each as often as a thousandth of the texts has it, at least once."""
    frequent = {w for w, _ in counts.most_common(300)}
    return [
        w for w, n in sorted(counts.items())
        if n > RARE and len(w) >= LEAST and w not in frequent and not w.isdigit()
        for _ in range(math.ceil(n / 1000))
    ]  # fmt: skip


def fit(sentences: Sequence[Sequence[str]], draws_per_word: float, seed: int) -> Vocabulary:
    """Return the laws of the real texts, their passages taken in an order of chance."""
    order = list(range(len(sentences)))
    random.Random(seed).shuffle(order)
    points = growth(" ".join(sentences[n]) for n in order)
    heaps = fit_heaps(points)
    return Vocabulary(heaps, fit_open(heaps, points[-1][1], draws_per_word), points, draws_per_word)


def write(vocabulary: Vocabulary, path: Path) -> None:
    """Keep a vocabulary."""
    path.write_text(json.dumps(asdict(vocabulary)), "utf-8")


def read(path: Path) -> Vocabulary:
    """Return a vocabulary that was kept."""
    found = json.loads(path.read_text("utf-8"))
    points = [(int(n), int(v)) for n, v in found["points"]]
    return Vocabulary(Heaps(**found["heaps"]), Open(**found["open_words"]), points, found["draws_per_word"])
