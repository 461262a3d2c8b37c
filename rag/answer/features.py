"""What tells an answering sentence from one that is only about the subject: features, in plain numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rag.answer.asked import Asked, asked
from rag.types import EvidenceSentence, Hit
from rag.words import terms, words

Features = npt.NDArray[np.float64]

SENTENCE = (
    "cosine",  # of the question with the sentence
    "near",  # of the question with its passage
    "hit",  # the passage's score in the search, as a share of the best hit's
    "overlap",  # share of the question's content words in the sentence
    "around",  # the same in the sentence, its neighbours and the article's title
    "kind",  # whether it holds the kind of thing asked for: a date, a number, a name
    "counted",  # whether a number stands near what is to be counted
    "focus",  # share of what is asked for ("soldiers" in how many soldiers) in the sentence
    "names",  # share of the question's names in the sentence
    "names_around",  # the same in the sentence, its neighbours and the title
    "length",  # in characters, 1 at 400
)
QUESTION = (
    "best",  # log-odds of the best sentence
    "cosine",  # largest of any sentence
    "passage",  # largest cosine of any passage
    "overlap",  # of the best sentence, as above; so are the others that bear the same names
    "around",
    "missing",  # number of the question's content words that occur in no hit
    "names_around",
    "figures",  # share of the question's figures in the best sentence's passage and title
    "kind",
    "counted",
    "focus",
    "focus_anywhere",  # share of what is asked for in all hits together
    "margin",  # log-odds by which the best sentence leads the next
)


def of_sentences(
    question: str, hits: Sequence[Hit], found: Sequence[EvidenceSentence], near: Features, near_hits: Features
) -> Features:
    """Return a row for each candidate sentence, shape (n, len(SENTENCE)).

    `near` holds the cosine of the question with each sentence, `near_hits` with each hit's passage.
    """
    about = asked(question)
    at = {id(h): i for i, h in enumerate(hits)}
    best = hits[0].score or 1.0
    stems, plain = [set(terms(s.text)) for s in found], [set(words(s.text)) for s in found]
    titles = {h.article.title: (set(terms(h.article.title)), set(words(h.article.title))) for h in hits}
    rows = []
    for i, s in enumerate(found):
        hit = at[id(s.hit)]
        # The sentences beside it, and the title, often hold the name that this one means by "it".
        beside = [j for j in (i - 1, i, i + 1) if 0 <= j < len(found) and found[j].hit is s.hit]
        title_stems, title_words = titles[s.hit.article.title]
        rows.append(
            [
                near[i],
                near_hits[hit],
                hits[hit].score / best,
                about.share(stems[i]),
                about.share(title_stems.union(*(stems[j] for j in beside))),
                about.kind_in(s.text),
                about.counted_in(s.text),
                about.focus_share(stems[i]),
                about.names_share(plain[i]),
                about.names_share(title_words.union(*(plain[j] for j in beside))),
                min(len(s.text), 400) / 400,
            ]
        )
    return np.array(rows, np.float64)


def of_question(question: str, hits: Sequence[Hit], best: Sequence[EvidenceSentence], rows: Features) -> Features:
    """Return the features of a question from its candidates and their rows, best first; shape (len(QUESTION),)."""
    about = asked(question)
    top = dict(zip(SENTENCE, rows[0].tolist(), strict=True))
    everywhere = set().union(*(terms(h.passage.text) + terms(h.article.title) for h in hits))
    second = best[1].score if len(best) > 1 else best[0].score - 1
    return np.array(
        [
            best[0].score,
            rows[:, 0].max(),
            rows[:, 1].max(),
            top["overlap"],
            top["around"],
            _missing(about, everywhere),
            top["names_around"],
            about.figures_share(best[0].hit.passage.text + " " + best[0].hit.article.title),
            top["kind"],
            top["counted"],
            top["focus"],
            about.focus_share(everywhere),
            best[0].score - second,
        ],
        np.float64,
    )


def _missing(about: Asked, stems: set[str]) -> float:
    """Return how many content words of the question occur in no hit at all."""
    return float(len(about.terms - stems))
