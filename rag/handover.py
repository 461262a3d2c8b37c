"""The values that one stage hands to the next and no user sees: of the model, of the store, of judge and writer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rag.types import Article, Hit, Outcome, Text

Vector = npt.NDArray[np.float32]
"""One embedding, shape (dim,), of length 1."""
Vectors = npt.NDArray[np.float32]
"""Embeddings, shape (n, dim), each row of length 1."""


@dataclass(frozen=True, slots=True)
class TokenStates:
    """A text as a model reads it: the ids of its tokens, shape (n,); where each stands in the text, shape (n, 2), empty
    for those that stand nowhere; and what the model makes of each in its place, shape (n, width).
    """

    ids: npt.NDArray[np.int64]
    spans: npt.NDArray[np.int64]
    states: Vectors


@dataclass(frozen=True, slots=True)
class PairReading:
    """A question and a passage read together: the log-odds that the passage answers; of each of its tokens to be a part
    of the answer, against there being none, shape (tokens,).
    """

    odds: float
    answering: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class NewPassage:
    """A passage about to be stored: its span, its section and the key of its vector in the cache."""

    start: int
    end: int
    section: str
    key: bytes


@dataclass(frozen=True, slots=True)
class Kept:
    """A current article as it went into a store, so that it can go into another without being embedded again.

    `vectors`, shape (passages, dim), are those of its passages as they were embedded; `former` are its earlier
    revisions, the oldest first, which have no passages any more.
    """

    article: Article
    passages: tuple[NewPassage, ...]
    vectors: Vectors
    origin: str
    former: tuple[Article, ...]


@dataclass(frozen=True, slots=True)
class Scored:
    """Rows of a store and their scores, best first; both of shape (n,)."""

    rows: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class EvidenceSentence:
    """A sentence of a hit that may answer, `article.text[start:end] == text`; a higher score is better.

    `answer` is the span of the article that holds the answering words, where they are known.
    """

    hit: Hit
    start: int
    end: int
    text: str
    score: float
    answer: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was found for a question: hits, their sentences best first, and the probability that they answer.

    `parts` holds the evidence of each, where several things are asked.
    """

    question: str
    hits: tuple[Hit, ...]
    sentences: tuple[EvidenceSentence, ...]
    confidence: float
    parts: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class Mark:
    """A writer's claim that what it just wrote rests on `hit`'s article, characters [start:end]."""

    hit: Hit
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class End:
    """The end of a sentence for which a writer has no mark: without it, the next one's would be taken for its own."""


@dataclass(frozen=True, slots=True)
class Note:
    """A writer's line on how its answer came about; it goes into the answer's notes.

    An `outcome` says what that makes of the answer.  Abstained holds only where nothing was written.
    """

    text: str
    outcome: Outcome | None = None


Written = Text | Mark | End | Note
"""What a writer yields."""
