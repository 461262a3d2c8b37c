"""How words are compared, the same way wherever they are: case and diacritics folded, English stems."""

from __future__ import annotations

from functools import cache, lru_cache

import tantivy

QUESTION_WORDS = (
    "a about above after again all also am an and any are as at be because been before being between both but by "
    "can could did do does doing down during each few for from further had has have having he her here hers him his "
    "how i if in into is it its just me might more most must my no nor not now of off on once only or other our "
    "ours out over own same shall she should so some such than that the their theirs them then there these they "
    "this those through to too under until up very was we were what when where which while who whom whose why will "
    "with would you your yours s t"
).split()
"""Words that make a question of a subject, or stand in nearly every sentence; never searched for."""


def analyzer(*, stem: bool, stop: bool = False) -> tantivy.TextAnalyzer:
    """Return the chain that turns text into terms; `stop` drops the words that only make a sentence of a question."""
    # Folding comes before lower case: the lower case of a dotted capital I is two characters.
    chain = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    chain = chain.filter(tantivy.Filter.remove_long(80)).filter(tantivy.Filter.ascii_fold())
    chain = chain.filter(tantivy.Filter.lowercase())
    if stop:
        chain = chain.filter(tantivy.Filter.custom_stopword(list(QUESTION_WORDS)))
    if stem:
        chain = chain.filter(tantivy.Filter.stemmer("english"))
    return chain.build()


@cache
def _question_analyzer() -> tantivy.TextAnalyzer:
    return analyzer(stem=True, stop=True)


@cache
def _word_analyzer() -> tantivy.TextAnalyzer:
    return analyzer(stem=False)


@cache
def _stemmer() -> tantivy.TextAnalyzer:
    return analyzer(stem=True)


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """Return the stem of one word, folded; of a word of several parts, as with a hyphen, the last part's.

    >>> stem("Elections"), stem("twenty-soldier")
    ('elect', 'soldier')
    """
    return next(reversed(_stemmer().analyze(word.replace("’", "'").removesuffix("'s"))), word.lower())


def analyzed(text: str) -> list[str]:
    """Return the stems of all words of a text, in order, folded: what a lexical index holds of it."""
    return list(_stemmer().analyze(text))


def terms(text: str) -> list[str]:
    """Return the stems of a question's content words, in order, folded."""
    return list(_question_analyzer().analyze(text))


def words(text: str) -> list[str]:
    """Return all words of a text in order, case and diacritics folded."""
    return list(_word_analyzer().analyze(text))
