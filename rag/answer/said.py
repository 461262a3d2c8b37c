"""What a chat model wrote, as plain text: no links but those of its sources, no markup, no invisible characters."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rag.fence import seen
from rag.words import words

ECHO = 6
"""So many words in a row of the instructions are an echo of them,"""
SHORT_ECHO = 3
"""and so many where nothing else is said."""

_TOKEN = re.compile(r"<[|｜][^<>\n]{0,60}[|｜]>|\[/?(?:INST|SYS|TOOL_CALLS|AVAILABLE_TOOLS)\]|<</?SYS>>")
_IMAGE = re.compile(r"!\[([^\[\]]*)\]\s?(?:\([^()\s]*[^()]*\)|\[[^\[\]]*\])")
_LINK = re.compile(r"\[([^\[\]]*)\]\(\s*<?((?:[^()\s<>]|\([^()\s]*\))*)(?:[^()]|\([^()]*\))*\)")
_DEFINITION = re.compile(r"^\s*\[[^\[\]]+\]:\s*(\S+).*$", re.MULTILINE)
_FOOTNOTE = re.compile(r"\[\^[^\[\]]*\]:?")
_COMMON = (
    r"com|org|net|edu|gov|info|biz|io|ai|dev|app|co|me|xyz|online|site|invalid|example|test|onion|local|ru|cn|de|uk"
)
_ADDRESS = re.compile(
    r"<?("
    r"(?:[a-z][a-z0-9+.-]{1,20}:[/\\]{1,3}|(?:javascript|vbscript|data|mailto|file|blob|tel|about):(?=\S)|www\.)[^\s<>]*"
    r"|[\w.+-]+@(?:[\w-]+\.)+[\w-]{2,}"
    rf"|\b(?:[\w-]+\.)+(?:{_COMMON})\b(?:[/?#:][^\s<>]*)?"
    r"|\b(?:[\w-]+\.)+[a-z]{2,}/[^\s<>]*"
    r")>?",
    re.IGNORECASE,
)
_TAG = re.compile(r"<(?!(?:[a-z][a-z0-9+.-]*:|www\.))/?[a-z!?][^<>]*>", re.IGNORECASE)
_HALF_TAG = re.compile(r"<(?=[a-zA-Z/!?|｜])")
_NUMBER = re.compile(r"[\[【]\s*(\d[\d\s,;–-]*)[\]】]")
_EMPTY = re.compile(r"\[\s*\]|\(\s*\)|【\s*】")
_LEADING = re.compile(r"^\s*(?:#{1,6}\s+|>\s*|[-*•·–]\s+|\(?\d{1,2}[.)]\s+)+")
_EMPHASIS = re.compile(r"\*\*|__|`+|(?<!\w)[*_](?=\w)|(?<=[\w.!?])[*_](?!\w)")
_SPACES = re.compile(r"\s+")
_BEFORE_STOP = re.compile(r"\s+(?=[.,;:!?…](?:\s|$))")
_LAST = ".,;:!?'\"]}»”’"

_SOURCES = (
    r"(?:the|these|this|my)?\s*(?:(?:given|provided|available)\s+)?"
    r"(?:sources?|articles?|passages?|texts?|documents?|context|excerpts?|information)(?:\s+(?:given|provided))?"
)
_REFUSAL = re.compile(
    r"\W*(?:unfortunately,?\s+|sorry,?\s+(?:but\s+)?|based on [^,]{1,40},\s+)?(?:"
    rf"none of {_SOURCES}\s+\w+"
    rf"|{_SOURCES}\s+(?:(?:do|does|did|can|could)(?:\s+not|n['’]t)|cannot|lacks?|(?:is|are)\s+(?:not|insufficient))\b"
    r"|there\s+(?:is|was)(?:\s+no|n['’]t\s+any)\s+(?:information|answer|mention|evidence)\b"
    r"|no\s+(?:information|answer|mention)\b"
    r"|i\s+(?:do\s+not|don['’]t|cannot|can['’]t|could\s+not|couldn['’]t|am\s+unable|am\s+not\s+able|have\s+no)\b"
    rf"|[^.]{{0,80}}\b(?:is|are|was|were)\s+not\s+(?:\w+\s+)?(?:in|by)\s+{_SOURCES}\b"
    r")",
    re.IGNORECASE,
)
_LONGEST_REFUSAL = 240


@dataclass(frozen=True, slots=True)
class Plain:
    """A sentence made plain, and how many links were taken out of it."""

    text: str
    links: int


def plain(text: str, sources: str) -> Plain:
    """Return what a model wrote as one line of plain text.

    An address stays, as text, only if it stands in `sources` too.

    >>> plain("**It** is [here](https://a.example/x), see <b>www.b.example</b>.", "www.b.example says")
    Plain(text='It is here, see www.b.example.', links=1)
    """
    links = 0

    def known(address: str) -> bool:
        bare = _bare(address)
        return re.search(rf"(?<![\w.@/-]){re.escape(bare)}(?![\w@/-])", sources) is not None

    def without_target(m: re.Match[str]) -> str:
        nonlocal links
        links += not known(m[2])
        return m[1]

    def dropped(m: re.Match[str]) -> str:
        nonlocal links
        links += 1
        return ""

    def address(m: re.Match[str]) -> str:
        nonlocal links
        if known(m[1]):
            return m[1]
        links += 1
        return m[1][len(_bare(m[1])) :]

    def tag(m: re.Match[str]) -> str:
        nonlocal links
        links += _ADDRESS.search(m[0]) is not None
        return ""

    text = _TOKEN.sub("", seen(text))
    text = _DEFINITION.sub(dropped, _IMAGE.sub(dropped, text))
    text = _FOOTNOTE.sub("", _LINK.sub(without_target, text))
    before = None
    # What is taken out may bring together what is to be taken out.
    while before != text:
        before = text
        text = _HALF_TAG.sub("‹", _ADDRESS.sub(address, _TAG.sub(tag, _TOKEN.sub("", text))))
        text = _NUMBER.sub(r"(\1)", text)
    text = _EMPTY.sub("", _EMPHASIS.sub("", _LEADING.sub("", text)))
    return Plain(_BEFORE_STOP.sub("", _SPACES.sub(" ", text)).strip(), links)


def _bare(address: str) -> str:
    """Return an address without the punctuation of the sentence that it stands in."""
    return address.rstrip(_LAST if "(" in address else _LAST + ")")


def is_refusal(text: str) -> bool:
    """Say whether a sentence says no more than that the sources do not answer.

    >>> is_refusal("The provided sources do not mention a price."), is_refusal("The source of the river is unknown.")
    (True, False)
    """
    return len(text) <= _LONGEST_REFUSAL and _REFUSAL.match(text) is not None


class Echo:
    """Knows the instructions of a request again, in what comes back."""

    def __init__(self, instructions: str, allowed: Iterable[str] = ()) -> None:
        allowed = list(allowed)
        self._grams = set(_grams(instructions)).difference(gram for text in allowed for gram in _grams(text))
        self._whole, self._allowed = _joined(instructions), {_joined(text) for text in allowed}

    def __call__(self, text: str) -> bool:
        """Say whether a text repeats some of them: many words in a row, or nothing but a few."""
        said = _joined(text)
        if len(words(text)) >= SHORT_ECHO and said in self._whole and said not in self._allowed:
            return True
        return any(gram in self._grams for gram in _grams(text))


def _joined(text: str) -> str:
    return f" {' '.join(words(text))} "


def _grams(text: str) -> Iterator[tuple[str, ...]]:
    said = words(text)
    return (tuple(said[i : i + ECHO]) for i in range(len(said) - ECHO + 1))
