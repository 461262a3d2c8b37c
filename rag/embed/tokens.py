"""Texts to the tokens that a model reads, each word worked out once where the tokenizer treats words apart."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Ids = tuple[int, ...]

LONGEST_WORD = 40
"""Letters that stand together in what a model reads.

WordPiece gives a word of over 100 letters the one token for unknown words, so such a run would
count as nothing; broken up it is read.  Few real words are longer than this.
"""
_LONG_RUN = re.compile(rf"\S{{{LONGEST_WORD}}}(?=\S)")

_MARKS = re.compile("([,.;:!?()\"'-])")
_BRACKETED = re.compile(r"[\[<]/?\w+[\]>]")

REMEMBERED = 100_000
"""Words whose tokens are kept, about 20 MB of them; then all are dropped, and the common ones are soon back."""


def readable(text: str) -> str:
    """Return the text as the model should read it: long unspaced runs broken up."""
    return _LONG_RUN.sub(lambda m: m.group() + " ", text)


def in_text(text: str, spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return where spans of the readable text stand in the text itself.

    >>> in_text("x" * 50, [(38, 42)]), in_text("a b", [(2, 3)])
    ([(38, 41)], [(2, 3)])
    """
    put_in = [m.end() + n for n, m in enumerate(_LONG_RUN.finditer(text))]
    return [(start - bisect_left(put_in, start), end - bisect_left(put_in, end)) for start, end in spans]


class Tokens:
    """What a tokenizer makes of readable texts, whole and with its special tokens.  Safe to share between threads.

    Most words of a text have been seen before: looking them up takes a fifteenth of the time that
    the tokenizer takes.  A tokenizer that may look across a space is given the whole text.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._words = _Words(tokenizer) if _treats_words_apart(tokenizer) else None
        bare, framed = (tokenizer.encode("a", add_special_tokens=special).ids for special in (False, True))
        at = framed.index(bare[0])
        self._before, self._after = framed[:at], framed[at + len(bare) :]

    def count(self, texts: Sequence[str]) -> list[int]:
        """Return how many tokens each text costs, special ones included."""
        if self._words is None:
            return [len(ids) for ids in self.ids(texts)]
        special, known = len(self._before) + len(self._after), self._words.__getitem__
        return [special + sum(map(len, map(known, _split(text)))) for text in texts]

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the tokens of each text, special ones included."""
        if self._words is None:
            return [e.ids for e in self._tokenizer.encode_batch_fast([readable(text) for text in texts])]
        known = self._words.__getitem__
        return [[*self._before, *chain.from_iterable(map(known, _split(text))), *self._after] for text in texts]


class _Words(dict[str, Ids]):
    """Tokens by word, worked out when first asked for."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._lowercase = tokenizer.normalizer.lowercase

    def __missing__(self, word: str) -> Ids:
        if len(word) > LONGEST_WORD:
            # A run without a space may be a whole page: it will not come back, and is not kept.
            return self._encoded(readable(word))
        if len(self) >= REMEMBERED:
            self.clear()
        parts = [part for part in _MARKS.split(word) if part]
        # A word that is new only by the comma after it costs the tokenizer nothing.
        ids = tuple(chain.from_iterable([self[part] for part in parts])) if len(parts) > 1 else self._one(word)
        self[word] = ids
        return ids

    def _one(self, word: str) -> Ids:
        if word.isascii() and word.isalnum():
            # WordPiece takes the longest piece it has, so a whole word that it has is one token.
            id = self._tokenizer.token_to_id(word.lower() if self._lowercase else word)
            if id is not None:
                return (id,)
        return self._encoded(word)

    def _encoded(self, word: str) -> Ids:
        return tuple(self._tokenizer.encode(word, add_special_tokens=False).ids)


def _split(text: str) -> list[str]:
    # At these two characters every such tokenizer ends a word; about other white space they differ.
    return text.replace("\n", " ").split(" ")


def _treats_words_apart(tokenizer: Tokenizer) -> bool:
    """Say whether the tokens of a text are those of its words, one after another, as in BERT and its many kin."""
    from tokenizers import models, normalizers, pre_tokenizers

    return (
        isinstance(tokenizer.normalizer, normalizers.BertNormalizer)
        and isinstance(tokenizer.pre_tokenizer, pre_tokenizers.BertPreTokenizer)
        and isinstance(tokenizer.model, models.WordPiece)
        # One that is not in brackets could be found inside a word, or across its end.
        and all(_BRACKETED.fullmatch(t.content) for t in tokenizer.get_added_tokens_decoder().values())
    )
