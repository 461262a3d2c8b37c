"""Markdown as the text a reader sees: front matter taken off, paragraphs, headings and lists kept apart."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from html.parser import HTMLParser

import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token

from rag.errors import UnreadablePage

# Template tags of site generators; code spans and fences show them on purpose.
_LIQUID = re.compile(
    r"(?P<code>(?<!`)(`{1,3})(?!`)[^`\n]{0,400}\2(?!`))"
    r"|\{%[^%]{0,2000}(?:%(?!\})[^%]{0,2000}){0,20}%\}|\{\{[^{}\n]{0,400}\}\}"
)
_FENCE = re.compile(r" {0,3}(?P<mark>`{3,}|~{3,})")
_FRONT = re.compile(r"---[ \t]*\n")
_FRONT_END = re.compile(r"^(?:---|\.\.\.)[ \t]*$", re.MULTILINE)
_SPACES = re.compile(" {2,}")
_TAG = re.compile(r"<[^<>]{0,2000}>")
_TRAILING = re.compile(r"[ \t]+$", re.MULTILINE)
_LONGEST_FRONT = 256 * 1024
_UNSHOWN = frozenset({"script", "style", "svg", "iframe", "template", "noscript", "object", "video", "audio"})
_NESTING = 60
_FRONT_NESTING = 60
_LONGEST_INLINE = 20_000
_MARKUP = re.compile(r"[\n\\`~*_\[\]<&]")
"""What may be more than text within a paragraph."""


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, list item, table row, code block or heading; `level` is 0 for all but headings.

    `tight` says that it follows the block above without a blank line.
    """

    text: str
    level: int = 0
    tight: bool = False


def front_matter(text: str) -> tuple[dict[str, object], str]:
    """Return the fields of the front matter and the rest of the text; no fields where there is none.

    Raises UnreadablePage, with the line number, for front matter that is unclosed or no YAML mapping.
    """
    opening = _FRONT.match(text)
    if opening is None:
        return {}, text
    closing = _FRONT_END.search(text, opening.end(), opening.end() + _LONGEST_FRONT)
    if closing is None:
        if not re.match(r"[A-Za-z_][\w -]*:(?:\s|$)", text[opening.end() :]):
            return {}, text
        raise UnreadablePage("line 1: the front matter is never closed: end it with a line ---")
    if _depth(text[opening.end() : closing.start()]) > _FRONT_NESTING:
        raise UnreadablePage("line 2: the front matter is no valid YAML (nested too deeply): flatten it")
    try:
        # Tabs at the ends of lines are invisible to whoever typed them, and an error to the YAML parser.
        fields = yaml.safe_load(_TRAILING.sub("", text[opening.end() : closing.start()]))
    except yaml.MarkedYAMLError as error:
        line = (error.problem_mark.line if error.problem_mark else 0) + 2
        raise UnreadablePage(f"line {line}: the front matter is no valid YAML ({error.problem}): correct it") from error
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        reason = " ".join(str(error).split())[:120]
        raise UnreadablePage(f"line 2: the front matter is no valid YAML ({reason}): correct it") from error
    if fields is None:
        fields = {}
    if not isinstance(fields, dict):
        raise UnreadablePage(f"line 2: the front matter is a {type(fields).__name__}: write it as `name: value` lines")
    return {str(name): value for name, value in fields.items()}, text[closing.end() :]


def _depth(yaml_text: str) -> int:
    # The YAML parser needs time by the square of the nesting.
    depth = deepest = 0
    for c in yaml_text:
        if c in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif c in "]}":
            depth = max(0, depth - 1)
    return deepest


def render(text: str) -> list[Block]:
    """Return the blocks of a Markdown text in order, as plain text."""
    parser = _parser()
    references: dict[str, object] = {}
    tokens = parser.parse(_without_liquid(text), references)
    for token in tokens:
        if token.type == "inline":
            token.children = _children(parser, token.content, references)
    return _blocks(tokens)


@cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"maxNesting": _NESTING}).enable(["table", "strikethrough"])
    return parser.disable(["inline", "text_join"])


def _children(parser: MarkdownIt, content: str, references: dict[str, object]) -> list[Token]:
    # Inline parsing takes time by the square of the text: no paragraph that somebody wrote is this long.
    if len(content) > _LONGEST_INLINE or not _MARKUP.search(content):
        return [Token("text", "", 0, content=content)]
    children: list[Token] = []
    parser.inline.parse(content, parser, references, children)
    return children


def _without_liquid(text: str) -> str:
    if "{%" not in text and "{{" not in text:
        return text
    out: list[str] = []
    outside: list[str] = []
    fence: str | None = None

    def flush() -> None:
        out.append(_LIQUID.sub(lambda m: m[0] if m["code"] else "", "".join(outside)))
        outside.clear()

    for line in text.splitlines(keepends=True):
        mark = _FENCE.match(line)
        if fence is None and mark:
            flush()
            fence = mark["mark"]
            out.append(line)
        elif fence is not None:
            out.append(line)
            if mark and mark["mark"].startswith(fence) and not line.strip().strip(fence[0]):
                fence = None
        else:
            outside.append(line)
    flush()
    return "".join(out)


def _blocks(tokens: list[Token]) -> list[Block]:
    blocks: list[Block] = []
    lists: list[str] = []
    cells: list[str] = []
    level = 0
    marker = ""
    tight = False
    in_row = first_row = False
    for token in tokens:
        kind = token.type
        if kind in ("bullet_list_open", "ordered_list_open"):
            lists.append("- " if kind[0] == "b" else "")
        elif kind in ("bullet_list_close", "ordered_list_close"):
            lists.pop()
        elif kind == "list_item_open":
            # Deeper items are set in by two columns, as they are usually typed.
            own = lists[-1] if lists and lists[-1] else f"{token.info or '-'}{token.markup if token.info else ''} "
            marker = "  " * (len(lists) - 1) + own
        elif kind == "heading_open":
            level = int(token.tag[1:])
        elif kind == "heading_close":
            level = 0
        elif kind == "tr_open":
            cells, in_row = [], True
        elif kind == "table_open":
            first_row = True
        elif kind == "tr_close":
            in_row = False
            if any(cells):
                blocks.append(Block(" | ".join(cells), tight=not first_row))
            first_row = False
        elif kind == "inline":
            words = _inline(token.children or [])
            if in_row:
                cells.append(" ".join(words.split()))
            elif words:
                blocks.append(Block(marker + words, level, bool(marker) and tight))
                tight, marker = bool(lists), ""
        elif kind in ("fence", "code_block"):
            if token.content.strip():
                blocks.append(Block(token.content.strip("\n").rstrip()))
        elif kind == "html_block":
            blocks += [Block(words) for words in _shown(token.content)]
        if not lists:
            tight = False
    return blocks


def _inline(children: list[Token]) -> str:
    out: list[str] = []
    for child in children:
        if child.type in ("text", "text_special", "code_inline"):
            out.append(child.content)
        elif child.type == "softbreak":
            out.append(" ")
        elif child.type == "hardbreak" or (child.type == "html_inline" and child.content.lower().startswith("<br")):
            out.append("\n")
    lines = "".join(out).split("\n")
    return "\n".join(line for line in (_SPACES.sub(" ", line).strip(" ") for line in lines) if line)


class _Shown(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.words: list[str] = []
        self.hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.hidden += tag in _UNSHOWN
        self.words.append("\n" if tag in ("p", "div", "li", "br", "tr", "h1", "h2", "h3", "h4") else "")

    def handle_endtag(self, tag: str) -> None:
        self.hidden = max(0, self.hidden - (tag in _UNSHOWN))

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.words.append(data)


def _shown(html: str) -> list[str]:
    # HTML inside Markdown: its tags and comments go, what a reader would see of it stays.
    if len(html) > _LONGEST_INLINE:
        seen = _TAG.sub(" ", html)
    else:
        parser = _Shown()
        parser.feed(html)
        parser.close()
        seen = "".join(parser.words)
    return [words for row in seen.split("\n") if (words := " ".join(row.split()))]
