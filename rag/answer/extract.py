"""The writer that quotes: the sentences that answer, word for word, the direct one first."""

from __future__ import annotations

from collections.abc import Iterator

from rag.answer.asked import asked
from rag.types import Evidence, EvidenceSentence, Mark, Text
from rag.words import terms, words

FURTHER = 0.6
"""A second sentence may be this many log-odds below the first: nearly as likely to be the one that answers."""

FURTHER_WITH_NAME = 3.0
"""And this many if it holds a name of the question that is still missing, as when two things are asked for."""

SAME = 0.6
"""Two sentences that share this much of their words say the same."""


class Extractive:
    """A Writer that needs no service: everything it says stands in the articles."""

    def __init__(self, most: int = 4) -> None:
        self.most = most

    def write(self, evidence: Evidence) -> Iterator[Text | Mark]:
        for n, sentence in enumerate(choose(evidence, self.most)):
            yield Text((" " if n else "") + sentence.text)
            yield Mark(sentence.hit, sentence.start, sentence.end)


def choose(evidence: Evidence, most: int) -> list[EvidenceSentence]:
    """Return the sentences to quote: the best, then those that may answer as well or name what is still missing."""
    if not evidence.sentences:
        return []
    about = asked(evidence.question)
    first = evidence.sentences[0]
    chosen, held = [first], [set(terms(first.text))]
    missing = _without(set(about.names), first)
    for s in evidence.sentences[1:]:
        behind = first.score - s.score
        if len(chosen) == most or behind > FURTHER_WITH_NAME:
            break
        stems = set(terms(s.text))
        if any(len(stems & h) > SAME * max(min(len(stems), len(h)), 1) for h in held):
            continue
        left = _without(missing, s)
        if left != missing or (behind <= FURTHER and len(chosen) < 2):
            chosen.append(s)
            held.append(stems)
            missing = left
    return chosen


def _without(names: set[str], sentence: EvidenceSentence) -> set[str]:
    """Return the names that neither the sentence nor its article's title holds."""
    held = set(words(f"{sentence.text} {sentence.hit.article.title}"))
    return {n for n in names if not held.issuperset(words(n))}
