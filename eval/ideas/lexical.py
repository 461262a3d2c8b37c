"""What counts as a word, and how much: stems, stop words, titles, numbers, names, words that stand side by side.

BM25 over the passages with the very analysers of the search, so that what cannot be set in the engine from here can be
tried.  Robertson and Zaragoza, "The Probabilistic Relevance Framework", 2009.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
import numpy.typing as npt
import tantivy
from cases import Case, Scores, best_passages, share, top
from fusion import Idea
from scipy.sparse import csr_matrix

from rag.words import QUESTION_WORDS, analyzer

K1, B = 1.2, 0.75
"""As in tantivy."""

Cut = Callable[[str], list[str]]


@cache
def cut(stem: bool, stop: bool) -> Cut:
    """Return an analyser of the search as a function."""
    chain = analyzer(stem=stem, stop=stop)
    return lambda text: list(chain.analyze(text))


def pairs(stem: bool, stop: bool) -> Cut:
    """Return an analyser whose terms are two words side by side."""
    words = cut(stem, stop)
    return lambda text: [f"{a} {b}" for a, b in itertools.pairwise(words(text))]


_COMPOUND = re.compile(r"\w+(?:-\w+)+")
_COMMA = re.compile(r"(?<=\d),(?=\d{3}\b)")


def with_compounds(stop: bool) -> Cut:
    """Return the analyser of the search with the words that hyphens join also as one: air, cooled, aircooled."""
    words = cut(True, stop)
    return lambda text: words(f"{text} {' '.join(w.replace('-', '') for w in _COMPOUND.findall(text))}")


def whole_numbers(stop: bool) -> Cut:
    """Return the analyser of the search with 1,500 as one number and not two."""
    words = cut(True, stop)
    return lambda text: words(_COMMA.sub("", text))


def unfolded(stop: bool) -> Cut:
    """Return the analyser of the search with letters that differ by their marks kept apart."""
    chain = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    chain = chain.filter(tantivy.Filter.remove_long(80)).filter(tantivy.Filter.lowercase())
    if stop:
        chain = chain.filter(tantivy.Filter.custom_stopword(list(QUESTION_WORDS)))
    built = chain.filter(tantivy.Filter.stemmer("english")).build()
    return lambda text: list(built.analyze(text))


class Bm25:
    """BM25 of some texts.  `weights` and `shares` have shape (texts, terms)."""

    def __init__(self, texts: Sequence[str], of_text: Cut, of_question: Cut, k1: float = K1, b: float = B) -> None:
        self._of_question = of_question
        cut_texts = [of_text(t) for t in texts]
        self.number = {t: n for n, t in enumerate(dict.fromkeys(itertools.chain.from_iterable(cut_texts)))}
        counts = self._count(cut_texts)
        length = np.asarray(counts.sum(axis=1)).ravel()
        within = np.bincount(counts.indices, minlength=len(self.number))
        self.rarity = np.log(1 + (len(texts) - within + 0.5) / (within + 0.5)).astype(np.float32)
        rows = np.repeat(np.arange(len(texts)), np.diff(counts.indptr))
        damp = k1 * (1 - b + b * length / max(length.mean(), 1e-9))
        data = self.rarity[counts.indices] * (k1 + 1) * counts.data / (counts.data + damp[rows])
        self.weights = csr_matrix((data.astype(np.float32), counts.indices, counts.indptr), counts.shape)
        self.shares = csr_matrix(
            (counts.data / np.maximum(length[rows], 1), counts.indices, counts.indptr), counts.shape
        )

    def questions(self, texts: Sequence[str]) -> csr_matrix:
        """Return the counts of the terms of questions, shape (questions, terms)."""
        return self._count([[t for t in self._of_question(text) if t in self.number] for text in texts])

    def scores(self, texts: Sequence[str], boost: Callable[[str, str], float] | None = None) -> Scores:
        """Return the scores of all texts for questions; `boost` weighs a term of a question."""
        asked = self.questions(texts)
        if boost:
            terms = list(self.number)
            rows = np.repeat(np.arange(len(texts)), np.diff(asked.indptr))
            weights = [boost(texts[r], terms[t]) for r, t in zip(rows, asked.indices, strict=True)]
            asked = csr_matrix((asked.data * np.array(weights, np.float32), asked.indices, asked.indptr), asked.shape)
        return np.asarray((asked @ self.weights.T).todense(), np.float32)

    def _count(self, cut_texts: Sequence[Sequence[str]]) -> csr_matrix:
        columns = [self.number[t] for text in cut_texts for t in text]
        rows = np.repeat(np.arange(len(cut_texts)), [len(t) for t in cut_texts])
        shape = (len(cut_texts), len(self.number))
        counted = csr_matrix((np.ones(len(columns), np.float32), (rows, columns)), shape)
        counted.sum_duplicates()
        return counted


_made: dict[tuple[int, str], Bm25] = {}


def bm25(case: Case, how: str = "shipped") -> Bm25:
    """Return the BM25 of a case's passages, by how words are cut; made once."""
    key = (id(case), how)
    if key not in _made:
        titles = [case.titles[a] for a in case.article]
        times = {"no title": 0, "title twice": 2}.get(how, 1)
        texts = ["\n".join([title] * times + [text]) for title, text in zip(titles, case.passages, strict=True)]
        of_text, of_question = {
            "no stems": (cut(False, False), cut(False, True)),
            "all words": (cut(True, False), cut(True, False)),
            "pairs": (pairs(True, False), pairs(True, False)),
            "compounds": (with_compounds(False), with_compounds(True)),
            "whole numbers": (whole_numbers(False), whole_numbers(True)),
            "unfolded": (unfolded(False), unfolded(True)),
        }.get(how, (cut(True, False), cut(True, True)))
        _made[key] = Bm25(texts, of_text, of_question)
    return _made[key]


def with_words(case: Case, words: Scores, weight: float = 0.65) -> Scores:
    """Return the shipped fusion with other lexical scores."""
    kept = top(words, 100) & (words > 0)
    among = top(case.dense, 100) | kept
    return best_passages(
        case,
        np.where(among, weight * share(case.dense, among) + (1 - weight) * share(np.where(kept, words, 0), among), -2),
    )


def other_cut(case: Case, how: str) -> Scores:
    """Return the fusion with words cut in another way."""
    return with_words(case, bm25(case, how).scores(case.texts))


def article_words(case: Case) -> Scores:
    """Return the BM25 score of each passage's whole article, title and text."""
    key = (id(case), "articles")
    if key not in _made:
        texts = [[title] for title in case.titles]
        for article, passage in zip(case.article, case.passages, strict=True):
            texts[article].append(passage)
        _made[key] = Bm25(["\n".join(t) for t in texts], cut(True, False), cut(True, True))
    return _made[key].scores(case.texts)[:, case.article]


def covering(case: Case, much: float) -> Scores:
    """Return the fusion with less of the lexical score the less of the question's words, by rarity, a passage holds."""
    model = bm25(case)
    asked = (model.questions(case.texts) > 0).astype(np.float32).multiply(model.rarity).tocsr()
    held = np.asarray((asked @ (model.weights > 0).astype(np.float32).T).todense())
    covered = held / np.maximum(np.asarray(asked.sum(axis=1)), 1e-9)
    return with_words(case, case.lexical * (1 - much + much * covered))


def words_of_title(case: Case, much: float) -> Scores:
    """Return the fusion with the BM25 score of the title alone added to the lexical one."""
    titles = Bm25([t or "-" for t in case.titles], cut(True, False), cut(True, True))
    return with_words(case, case.lexical + much * titles.scores(case.texts)[:, case.article])


def side_by_side(case: Case, much: float) -> Scores:
    """Return the fusion with a part of the score of the question's pairs of words, in the lexical one."""
    words, both = bm25(case).scores(case.texts), bm25(case, "pairs").scores(case.texts)
    return with_words(case, words + much * both)


_NUMBER = re.compile(r"\d")
_stem = cut(True, False)


@cache
def names(text: str) -> frozenset[str]:
    """Return the stems of a question's capitalised words, its first word only if it is in capitals."""
    said = re.findall(r"\w+", text)
    kept = [w for n, w in enumerate(said) if w[:1].isupper() and (n or w.isupper()) and w.lower() not in QUESTION_WORDS]
    return frozenset(t for w in kept for t in _stem(w))


def boosted(case: Case, number: float, name: float) -> Scores:
    """Return the fusion with more weight on the question's numbers and capitalised words."""

    def boost(text: str, term: str) -> float:
        return number if _NUMBER.search(term) else name if term in names(text) else 1.0

    return with_words(case, bm25(case).scores(case.texts, boost))


IDEAS: dict[str, dict[str, Idea]] = {
    "our BM25 in place of tantivy's (a check)": {"": lambda c: other_cut(c, "shipped")},
    "no stemmer": {"": lambda c: other_cut(c, "no stems")},
    "no stop words": {"": lambda c: other_cut(c, "all words")},
    "diacritics kept": {"": lambda c: other_cut(c, "unfolded")},
    "compounds also as one word": {"": lambda c: other_cut(c, "compounds")},
    "1,500 as one number": {"": lambda c: other_cut(c, "whole numbers")},
    "title among the words": {h: lambda c, h=h: other_cut(c, h) for h in ("no title", "title twice")},
    "title as a field of its own": {f"{m}": lambda c, m=m: words_of_title(c, m) for m in (0.1, 0.2, 0.4)},
    "how many of the words": {f"{m}": lambda c, m=m: covering(c, m) for m in (0.2, 0.4, 0.6)},
    "words side by side": {f"{m}": lambda c, m=m: side_by_side(c, m) for m in (0.1, 0.3, 0.6)},
    "numbers and names": {
        f"numbers {n}, names {m}": lambda c, n=n, m=m: boosted(c, n, m)
        for n, m in ((1.5, 1), (1, 1.5), (1.5, 1.5), (2, 2))
    },
}

Array = npt.NDArray[np.float32]
