"""The writer that quotes: the sentences that answer, word for word, the direct one first."""

from __future__ import annotations

from collections.abc import Iterator

from rag.answer.asked import asked
from rag.types import Evidence, EvidenceSentence, Mark, Text
from rag.words import terms

FURTHER = 0.9
"""A further sentence may be this many log-odds below the first.  See eval/results."""

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
    """Return the sentences to quote: the best, then those nearly as good that add something."""
    if not evidence.sentences:
        return []
    about = asked(evidence.question).terms
    first = evidence.sentences[0]
    chosen, held = [first], [set(terms(first.text))]
    for s in evidence.sentences[1:]:
        if len(chosen) == most:
            break
        if s.score < first.score - FURTHER:
            break
        stems = set(terms(s.text))
        covered = set().union(*held)
        repeats = any(len(stems & h) > SAME * max(min(len(stems), len(h)), 1) for h in held)
        # Once every word of the question is met, more sentences of the kind only make the answer longer.
        adds = bool((about & stems) - covered) or len(chosen) < 2
        if not repeats and adds:
            chosen.append(s)
            held.append(stems)
    return chosen
