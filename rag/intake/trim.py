"""What stays of an article's lines once the furniture among them and at their ends is off."""

from __future__ import annotations

from rag.intake.credits import is_announcement, is_entry, is_last_word
from rag.intake.crumbs import is_invitation, is_link, opens_list
from rag.intake.furniture import is_biography, is_label_of_biography
from rag.intake.lines import Line, ends_sentence
from rag.intake.sections import inline_label, usual

# A footer may hold this many characters of paragraphs: more is an article's own text under such a heading.
_FOOTER = 900
_FOOTER_ALONE = 160
# A list below an article has no more entries than this.
_LIST = 14
_EDGES = ("rule", "pressed", "shelved", "picture")


def trimmed(body: list[Line], authors: tuple[str, ...], *, several: bool) -> list[Line]:
    """Return the lines of an article without furniture: pictures and links among them, lists and notes at its end."""
    body = _without_last_words(without_edges(_above_footer(body, several=several)))
    return without_edges(_without_last_words(without_edges(_without_furniture(body, authors, several=several))))


def _without_furniture(body: list[Line], authors: tuple[str, ...], *, several: bool) -> list[Line]:
    kept: list[Line] = []
    prose = 0
    skip = False
    total = len(body)
    for n, line in enumerate(body):
        if skip:
            skip = False
            if line.is_body and len(line.text) <= 900:
                continue
        near_end = n >= total - 4 or n >= 0.6 * total
        if line.kind == "picture" or (line.kind == "pressed" and (is_link(line.text) or is_invitation(line.text))):
            continue
        if prose and near_end and is_biography(line.text, authors if n >= total - 4 and prose > 1 else ()):
            skip = is_label_of_biography(line.text)
            continue
        if _is_crumb(kept, line, body[n + 1] if n + 1 < total else None, several=several):
            continue
        prose += line.is_body
        kept.append(line)
    return kept


def _above_footer(body: list[Line], *, several: bool) -> list[Line]:
    # What stands above a line that opens the page's own words, or a list at an article's end.
    below = [0] * (len(body) + 1)
    for n in range(len(body) - 1, -1, -1):
        below[n] = below[n + 1] + len(body[n].text) * body[n].is_body
    prose = 0
    for n, line in enumerate(body):
        if prose and line.kind == "footer" and below[n] <= (_FOOTER if several else _FOOTER_ALONE):
            return body[:n]
        short = prose > 1 and line.kind in ("short", "other", "name") and not line.apart
        if short and below[n] <= _FOOTER_ALONE and 1 < len(body) - n <= _LIST and opens_list(line.text):
            return body[:n]
        prose += line.is_body
    return body


def _without_last_words(body: list[Line]) -> list[Line]:
    # Notes of the desk, and a list of other articles with the line that announces it.
    entries = 0
    end = len(body)
    while end > 1:
        line = body[end - 1]
        listed = line.kind in ("short", "byline", "date", "other") and is_entry(line.text)
        announces = entries > 1 and not line.is_body and is_announcement(line.text)
        if listed:
            entries += 1
        elif announces or (not entries and is_last_word(line.text)):
            entries = 0
        elif not (line.kind in _EDGES or (not entries and line.kind == "footer")):
            break
        end -= 1
    # Such lines that nothing announces may be sources, or a list that belongs to the article.
    return body if entries else body[:end]


def _is_crumb(kept: list[Line], line: Line, below: Line | None, *, several: bool) -> bool:
    # A caption that lost its picture: a few words alone between paragraphs, above a labelled one or low of case.
    if line.kind not in ("short", "other", "name") or len(line.text.split()) > 7 or not kept or below is None:
        return False
    if not kept[-1].is_body or not below.is_body or not line.gap or line.apart:
        return False
    if below.kind == "labelled" and usual(inline_label(below.text) or ""):
        return not line.text.isupper() and not line.text.startswith("#") and not ends_sentence(line.text)
    low = next((c for c in line.text if c.isalpha()), "A").islower() and "://" not in line.text
    return several and low and line.text[-1].isalnum() and ends_sentence(kept[-1].text) and line.text[0].isalpha()


def is_page_end(tail: list[Line], *, closed: bool) -> bool:
    """Return whether the page's own words follow, below its last closing line, and no paragraph of the article.

    `closed` says that such a line ends each of the other articles.
    """
    first = next((n for n, line in enumerate(tail) if line.is_body), None)
    if first is None or (closed and sum(len(line.text) for line in tail if line.is_body) <= _FOOTER_ALONE):
        return True
    return any(line.kind == "footer" for line in tail[:first]) and sum(len(x.text) for x in tail if x.is_body) <= 3000


def without_edges(body: list[Line]) -> list[Line]:
    """Return the lines between the rules, buttons and pictures at both ends; all where nothing else is there."""
    first, last = 0, len(body)
    while first < last and body[first].kind in _EDGES:
        first += 1
    while last > first and body[last - 1].kind in (*_EDGES, "footer"):
        last -= 1
    return body[first:last] if first < last else body
