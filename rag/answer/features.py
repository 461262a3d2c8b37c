"""What tells an answering sentence from one that is only about the subject: features, in plain numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rag.answer import lacking
from rag.answer.asked import asked
from rag.answer.compared import compared
from rag.handover import EvidenceSentence, PairReading
from rag.intake.chunk import sentences
from rag.types import Hit
from rag.words import terms, words

Features = npt.NDArray[np.float64]

SENTENCE = (
    "cosine",  # of the question with the sentence
    "near",  # of the question with its passage
    "hit",  # the passage's score in the search, as a share of the best hit's
    "overlap",  # share of the question's content words in the sentence
    "kind",  # whether it holds the kind of thing asked for: a date, a number with its unit, a name
    "counted",  # whether a number stands near what is to be counted
    "focus",  # share of what is asked for ("soldiers" in how many soldiers) in the sentence
    "length",  # in characters, 1 at 400
)
READ = (
    *SENTENCE,  # the cosines being of means of token states
    "rank",  # 1 for a sentence of the best hit, 1/2 of the next
    "first",  # whether it begins its passage
)
QUESTION = (
    "cosine",  # largest of any sentence
    "passage",  # largest cosine of any passage
    "around",  # share of the question's content words in the best sentence, those beside it and the title
    "missing",  # number of the question's content words that occur in no hit
    "names",  # share of the question's names in the best sentence, those beside it and the title
    "figures",  # share of the question's figures in the best sentence's passage and title
    "kind",  # of the best sentence, as above
    "margin",  # log-odds by which the best sentence leads the next
)


PREMISE = (
    "lacking",  # number of the question's names and figures, years aside, that no hit mentions
    "undated",  # number of its years that no hit mentions, nor was published in
    "apart",  # number of its names that no hit of the best sentence's article mentions
)
PAIRS = (
    "together",  # log-odds that a passage answers, read together with the question; the largest
    "pointed",  # log-odds of the answer's words, there; the largest
)
CONTRARY = (  # what the best sentence has otherwise than the question, each a count
    "other number",
    "other date",
    "other name",  # anywhere in the sentence
    "name put",  # in the very place of one of the question's
    "negated",  # in one of the two
    "opposite",  # words in each other's place
)
SURE = ("odds", *PAIRS, *QUESTION, *PREMISE, *CONTRARY)  # the head's log-odds that any sentence answers, and as above


def of_sentences(
    question: str, hits: Sequence[Hit], found: Sequence[EvidenceSentence], near: Features, near_hits: Features
) -> Features:
    """Return a row for each candidate sentence, shape (n, len(SENTENCE)).

    `near` holds the cosine of the question with each sentence, `near_hits` with each hit's passage.
    """
    about = asked(question)
    at = {id(h): i for i, h in enumerate(hits)}
    best = hits[0].score or 1.0
    rows = []
    for s, cosine in zip(found, near, strict=True):
        hit, stems = at[id(s.hit)], set(terms(s.text))
        rows.append(
            [
                cosine,
                near_hits[hit],
                hits[hit].score / best,
                about.share(stems),
                about.kind_in(s.text),
                about.counted_in(s.text),
                about.focus_share(stems),
                min(len(s.text), 400) / 400,
            ]
        )
    return np.array(rows, np.float64)


def of_question(question: str, hits: Sequence[Hit], best: Sequence[EvidenceSentence], rows: Features) -> Features:
    """Return the features of a question from its candidates and their rows, best first; shape (len(QUESTION),)."""
    about, top = asked(question), best[0]
    everywhere = set().union(*(terms(h.passage.text) + terms(h.article.title) for h in hits))
    around = f"{top.hit.article.title} {_around(top)}"
    second = best[1].score if len(best) > 1 else top.score - 1
    return np.array(
        [
            rows[:, SENTENCE.index("cosine")].max(),
            rows[:, SENTENCE.index("near")].max(),
            about.share(set(terms(around))),
            len(about.terms - everywhere),
            about.names_share(set(words(around))),
            about.figures_share(f"{top.hit.article.title} {top.hit.passage.text}"),
            rows[0, SENTENCE.index("kind")],
            top.score - second,
        ],
        np.float64,
    )


def of_premise(question: str, hits: Sequence[Hit], top: EvidenceSentence) -> Features:
    """Return what of a question nothing found bears out, shape (len(PREMISE),)."""
    every = lacking.mentioned(hits)
    own = lacking.mentioned([h for h in hits if h.article.id == top.hit.article.id])
    return np.array(
        [
            len(lacking.names(question, every)) + len(lacking.figures(question, every)),
            len(lacking.figures(question, every, years=True)),
            len(lacking.names(question, own)),
        ],
        np.float64,
    )


def of_contrary(question: str, top: EvidenceSentence) -> Features:
    """Return what the best sentence has otherwise than the question takes for granted, shape (len(CONTRARY),)."""
    c = compared(question, top.text, top.hit.article.title)
    return np.array(
        [c.numbers_wrong, c.dates_wrong, c.names_wrong, c.names_put, c.flipped, c.opposed],
        np.float64,
    )


def of_pairs(read: Sequence[PairReading]) -> list[float]:
    """Return the features of the passages that were read together with the question, at least one."""
    return [max(r.odds for r in read), max(float(np.logaddexp.reduce(r.answering)) for r in read)]


def _around(sentence: EvidenceSentence) -> str:
    """Return the sentence with the one before and after, which often hold the name that it means by "it"."""
    p = sentence.hit.passage
    spans = sentences(p.text)
    here = next((i for i, s in enumerate(spans) if p.start + s.start == sentence.start), 0)
    return p.text[spans[max(here - 1, 0)].start : spans[min(here + 1, len(spans) - 1)].end]
