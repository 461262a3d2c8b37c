"""An answer to take along: as Markdown, as HTML or as plain text, its sources as footnotes below it.

Made from what the page drew, so what is pasted elsewhere says what was read here.  Words of articles stay words: in
HTML they are escaped, in Markdown nothing of them starts a link, an image or a tag.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any, Literal

Form = Literal["md", "html", "txt"]
FORMS: tuple[Form, ...] = ("md", "html", "txt")

# What begins something in Markdown wherever it stands, and what does so at the start of a line.
_INLINE = re.compile(r"([\\`*_\[\]<>|~!&$@#])")
_LINE = re.compile(r"^(\s*\d{0,9})([+.)=-])", re.MULTILINE)
_LINK = re.compile(r"(?<![A-Za-z])(https?|ftp|mailto|xmpp|www)([:.])", re.IGNORECASE)

_AFTER_MARK = "\x00"
"""Stands behind a number while a text is put together; no text of an article holds it."""

VERDICTS = {"partial": "backs this only in part", "unsupported": "does not back this"}
"""What a source says that is not for all of a sentence."""
CUT_SHORT = "This answer was not written to its end."

Turn = Mapping[str, Any]
"""A question and what was drawn of its answer."""


def copied(turn: Turn, form: Form) -> str:
    """Return a question's answer with its sources."""
    return _WRITERS[form](turn, 0)


def exported(title: str, turns: Sequence[Turn], form: Form) -> str:
    """Return a whole conversation; sources are numbered anew in each answer."""
    parts = [_WRITERS[form](turn, n) for n, turn in enumerate(turns, 1)]
    if form == "html":
        head = f'<!doctype html>\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n<h1>{escape(title)}</h1>\n'
        return head + "\n".join(parts)
    if form == "md":
        return f"# {_plain_markdown(title)}\n\n" + "\n".join(parts)
    return f"{title}\n{'=' * min(len(title), 80)}\n\n" + "\n\n".join(parts)


def _markdown(turn: Turn, number: int) -> str:
    prefix = f"{number}-" if number else ""

    def words(piece: Turn) -> str:
        text = _plain_markdown(str(piece["text"]))
        if not _is_strong(piece):
            return text
        # A mark of emphasis must stand right at the word.
        word = text.strip()
        before, after = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
        return f"{before}**{word}**{after}"

    lines = [f"## {_plain_markdown(_line(turn['question']))}", ""]
    lines += [_broken(_body(turn, words, lambda n: f"[^{prefix}{n}]")), ""]
    for c in turn["citations"]:
        place = f" <{c['url']}>" if c.get("url") else ""
        quote = _plain_markdown(_line(c["quote"]))
        lines.append(f"[^{prefix}{c['number']}]: {_plain_markdown(_reference(c))}: “{quote}”{place}")
    return "\n".join([*lines, *map(_plain_markdown, _caveat(turn))]).rstrip() + "\n"


def _html(turn: Turn, number: int) -> str:
    prefix = f"fn{number}-" if number else "fn"

    def words(piece: Turn) -> str:
        text = escape(str(piece["text"])).replace("\n", "<br>")
        return f"<strong>{text}</strong>" if _is_strong(piece) else text

    body = _body(turn, words, lambda n: f'<sup><a href="#{prefix}{n}">{n}</a></sup>')
    lines = [f"<h2>{escape(str(turn['question']))}</h2>", f"<p>{body}</p>"]
    if turn["citations"]:
        lines.append("<ol>")
        for c in turn["citations"]:
            told = escape(_reference(c))
            if c.get("url"):
                told = f'<a href="{escape(c["url"])}">{told}</a>'
            lines.append(
                f'<li id="{prefix}{c["number"]}" value="{c["number"]}">{told}: <q>{escape(str(c["quote"]))}</q></li>'
            )
        lines.append("</ol>")
    lines += [f"<p>{escape(line)}</p>" for line in _caveat(turn) if line]
    return "\n".join(lines) + "\n"


def _plain(turn: Turn, _: int) -> str:
    lines = [str(turn["question"]), "", _body(turn, lambda piece: str(piece["text"]), lambda n: f"[{n}]")]
    if turn["citations"]:
        lines.append("")
    for c in turn["citations"]:
        lines.append(f"[{c['number']}] {_reference(c)}: “{_line(c['quote'])}”")
        if c.get("url"):
            lines.append(f"    {c['url']}")
    return "\n".join([*lines, *_caveat(turn)]) + "\n"


_WRITERS = {"md": _markdown, "html": _html, "txt": _plain}


def _body(turn: Turn, words: Callable[[Turn], str], mark: Callable[[int], str]) -> str:
    said = ""
    for piece in turn["pieces"]:
        if "cite" in piece:
            # A number stands right at its sentence, and apart from another number.
            said = (said if said.endswith(_AFTER_MARK) else said.rstrip(" ")) + mark(piece["cite"]) + _AFTER_MARK
        else:
            text = words(piece)
            said += text.lstrip(" ") if said.endswith(_AFTER_MARK) else text
    return said.replace(_AFTER_MARK, " ").strip()


def _is_strong(piece: Turn) -> bool:
    return piece.get("role") == "strong" and bool(str(piece["text"]).strip())


def _reference(citation: Turn) -> str:
    told = [", ".join(citation["authors"]), f"“{citation['title']}”", citation["published"] or ""]
    verdict = VERDICTS.get(citation.get("verdict", ""), "")
    return ", ".join(_line(t) for t in (*told, verdict) if t)


def _caveat(turn: Turn) -> list[str]:
    """Return what must be known beside an answer: what it leaves out, what differs, that it did not come to its end."""
    end = turn.get("end") or {}
    said = [_line(note) for note in end.get("notes") or ()]
    if end.get("outcome") in ("stopped", "failed"):
        said.append(CUT_SHORT)
    return ["", *said] if said else []


def _line(text: object) -> str:
    return " ".join(str(text).split())


def _plain_markdown(text: str) -> str:
    """Return text that Markdown shows as it stands, its lines not yet broken."""
    escaped = _LINE.sub(r"\1\\\2", _INLINE.sub(r"\\\1", text))
    # An address would become a link by itself.
    return _LINK.sub(r"\1\\\2", escaped)


def _broken(markdown: str) -> str:
    """Return Markdown in which each line of a paragraph is one when it is shown."""
    lines = [line.strip() for line in markdown.split("\n")]
    return "\n".join(
        f"{line}\\" if line and after else line for line, after in zip(lines, [*lines[1:], ""], strict=True)
    )
