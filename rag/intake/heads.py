"""Where articles begin on a page: title, byline and date in any order, and which of them to believe."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from datetime import date

from rag.intake.lines import Line

_VALEDICTION = re.compile(
    r"(?:yours|sincerely|faithfully|truly|respectfully|cordially|warmly|affectionately|love|regards|best|kind(?:est)?|warm(?:est)?"
    r"|with\s+(?:love|thanks|gratitude|best|kind|warm|respect|sympathy|every)|your\s+(?:loving|obedient|friend|humble|devoted|affectionate"
    r"|ever|most|faithful|son|daughter|brother|sister|father|mother|old)|ever|as\s+ever|signed|thank\s+you|thanks|cheers|in\s+haste"
    r"|i\s+(?:am|remain)|god\s+bless|farewell|adieu|until\s+then|very\s+truly|most\s+sincerely)\b.{0,40}",
    re.IGNORECASE,
)
_SALUTATION = re.compile(r"[“\"'‘>\s]*(?:(?:my\s+)?dear(?:est)?\b|to\s+the\s+editor|to\s+whom|sirs?\b|madam|gentlemen|dear\s).{0,60}[,:;.—!-]", re.IGNORECASE)
_NUMBERS = re.compile(r"\d+")

ACCEPTED = 3.0
"""The evidence from which a head starts an article of its own."""


@dataclass(frozen=True, slots=True)
class Head:
    """A head at lines [lo:hi], title included.  `title` is the title's line or None."""

    lo: int
    hi: int
    title: int | None
    authors: tuple[str, ...] = ()
    published: date | None = None
    strong: bool = False
    dated: bool = False

    @property
    def parts(self) -> frozenset[str]:
        """Which of title, author and date the head gives."""
        given = {"title": self.title is not None, "author": bool(self.authors), "date": self.dated}
        return frozenset(name for name, there in given.items() if there)


def find_heads(lines: list[Line]) -> list[Head]:
    """Return the heads of the articles on a page, in order; one or none where the page is one article.

    The first head counts although nothing separates it from anything; each further one must be like
    it, or be announced by a closing line, and must be followed by paragraphs of its own.
    """
    first_body = next((n for n, line in enumerate(lines) if line.is_body), len(lines))
    closers = find_closers(lines, first_body)
    clusters = _clusters(lines)
    heads = [h for h in _titled(lines, clusters, closers | _repeated(lines, clusters, first_body)) if _has_body(lines, h.hi)]
    heads = _with_bare_titles(lines, heads, closers)
    top = next((h for h in heads if h.lo <= first_body), None)
    rest = [h for h in heads if h is not top and h.lo > first_body]
    accepted = [h for h in rest if _evidence(lines, h, top, rest, closers) >= ACCEPTED]
    if _is_chronicle(top, accepted):
        accepted = []
    if top is None and len(accepted) == 1 and not (lines and accepted and _announced(lines, accepted[0], closers)):
        accepted = []
    return ([top] if top else []) + accepted


def find_closers(lines: list[Line], first_body: int) -> set[int]:
    """Return the numbers of the lines that close articles because their like closes several."""
    shelved = [n for n, line in enumerate(lines) if line.kind == "shelved" and n > first_body]
    pressed = [n for n, line in enumerate(lines) if line.kind == "pressed" and n > first_body]
    alike = Counter(_key(lines[n]) for n in pressed)
    opening = {n for n, line in enumerate(lines[:first_body]) if line.kind == "shelved"}
    closers = set() if opening or len(shelved) < 2 else set(shelved)
    return closers | {n for n in pressed if alike[_key(lines[n])] >= 2}


def _key(line: Line) -> str:
    return _NUMBERS.sub("0", line.text.casefold())


def _clusters(lines: list[Line]) -> list[tuple[int, int]]:
    # Runs of author and date lines, a single short line or picture between two of them included.
    clusters: list[tuple[int, int]] = []
    n = 0
    while n < len(lines):
        if not lines[n].is_anchor or lines[n].apart:
            n += 1
            continue
        end = n + 1
        while end < len(lines) and end - n < 8:
            if lines[end].is_anchor and not lines[end].apart:
                end += 1
            elif (
                end + 1 < len(lines)
                and lines[end].kind in ("short", "shelved", "pressed", "other", "footer")
                and lines[end + 1].kind in ("byline", "date")
                and len(lines[end].text) <= 150
            ):
                end += 2
            else:
                break
        clusters.append((n, end))
        n = end
    return clusters


def _repeated(lines: list[Line], clusters: list[tuple[int, int]], first_body: int) -> set[int]:
    # A line that comes back above several heads is the page's own, no title.
    above = [lo - 1 for lo, _ in clusters if lo - 1 > first_body and lines[lo - 1].kind in ("short", "other", "name")]
    above += [n - 1 for n in above if lines[n - 1].kind in ("short", "other")]
    alike = Counter(_key(lines[n]) for n in above if len(lines[n].text) <= 80)
    return {n for n in above if alike[_key(lines[n])] >= 2}


def _titled(lines: list[Line], clusters: list[tuple[int, int]], closers: set[int]) -> list[Head]:
    # Whether titles stand above or below the bylines is a habit of the page, so the page votes.
    def above(lo: int) -> bool:
        return lo > 0 and _may_be_title(lines[lo - 1]) and lo - 1 not in closers

    def below(hi: int) -> bool:
        return hi + 1 < len(lines) and _may_be_title(lines[hi]) and lines[hi + 1].is_body and lines[hi + 1].kind == "prose"

    firm = [(lo, hi) for lo, hi in clusters if any(lines[n].kind in ("byline", "date") for n in range(lo, hi))]
    votes_below = sum(below(hi) for _, hi in firm)
    prefers_below = votes_below > sum(above(lo) for lo, _ in firm)
    heads: list[Head] = []
    used = -1
    for lo, hi in clusters:
        head = _read(lines, lo, hi)
        if head.title is None:
            if prefers_below and below(hi):
                head = replace(head, title=hi, hi=hi + 1)
            elif not prefers_below and above(lo) and lo - 1 > used:
                at = lo - 1
                # A title and its subtitle stand together, with nothing blank between them.
                while at - 1 > used and not lines[at].gap and _may_be_title(lines[at - 1]) and at - 1 not in closers and lo - at < 3:
                    if not any(line.gap for line in lines[at : lo + 1]) and lines[at - 1].gap is False and at - 1 > 0:
                        break
                    at -= 1
                head = replace(head, title=at, lo=at)
        used = head.hi - 1
        heads.append(head)
    return heads


def _may_be_title(line: Line) -> bool:
    return line.kind in ("short", "name") and not line.apart


def _read(lines: list[Line], lo: int, hi: int) -> Head:
    cluster = range(lo, hi)
    strong = any(lines[n].kind == "byline" for n in cluster)
    names = [n for n in cluster if lines[n].kind == "name"]
    title = next((n for n in cluster if lines[n].kind == "short"), None)
    if names and title is None and (strong or len(names) > 1):
        # Where a byline says who wrote it, or two lines could be names, the first of them is the title.
        title = names[0]
    authors: list[str] = []
    published = updated = None
    dated = by = False
    for n in cluster:
        byline = lines[n].byline
        if byline is None or n == title:
            continue
        by = by or byline.strong
        dated = dated or byline.dated
        published = published or byline.published
        updated = updated or byline.updated
        if not (strong and lines[n].kind == "name"):
            authors.extend(a for a in byline.authors if a not in authors)
    return Head(lo, hi, title, tuple(authors), published or updated, by, dated)


def _has_body(lines: list[Line], hi: int) -> bool:
    for line in lines[hi : hi + 5]:
        if line.is_body:
            return True
        if line.kind in ("byline", "date"):
            return False
    return False


def _with_bare_titles(lines: list[Line], heads: list[Head], closers: set[int]) -> list[Head]:
    # After a closing line an article may start with its title alone, or with nothing at all.
    taken = {n for h in heads for n in range(h.lo, h.hi)}
    found = list(heads)
    for n in closers:
        at = n + 1
        while at < len(lines) and (at in closers or lines[at].kind in ("rule", "picture", "pressed")):
            at += 1
        if at >= len(lines) or at in taken:
            continue
        if _may_be_title(lines[at]) and at + 1 < len(lines) and lines[at + 1].is_body:
            found.append(Head(at, at + 1, at))
        elif lines[at].kind == "prose" and lines[n].kind == "shelved" and len(lines[at].text) >= 160:
            found.append(Head(at, at, None))
        taken.add(at)
    if len(found) > len(heads) and lines and _may_be_title(lines[0]) and not any(h.lo <= 1 for h in heads):
        if _has_body(lines, 1):
            found.append(Head(0, 1, 0))
    return sorted(found, key=lambda h: h.lo)


def _announced(lines: list[Line], head: Head, closers: set[int]) -> bool:
    at = head.lo - 1
    while at >= 0 and (lines[at].kind in ("rule", "pressed", "picture", "shelved") or at in closers):
        if at in closers:
            return True
        at -= 1
    return False


def _evidence(lines: list[Line], head: Head, top: Head | None, rest: list[Head], closers: set[int]) -> float:
    score = 0.0
    if head.authors:
        score += 2 if head.strong else 1
    score += head.dated
    score += head.title is not None
    announced = _announced(lines, head, closers)
    if announced:
        closer = next(n for n in range(head.lo - 1, -1, -1) if n in closers)
        score += 3 if lines[closer].kind == "shelved" else 2
    ruled = head.lo > 0 and lines[head.lo - 1].kind == "rule"
    score += ruled and bool(head.authors)
    like = [h for h in ([top] if top else [h for h in rest if h is not head])]
    if any(h.parts == head.parts for h in like):
        score += 1
    if top and not announced:
        score -= len(top.parts - head.parts)
        score -= top.strong and not head.strong
        if not head.authors and top.parts != head.parts:
            score -= 1
    if not announced:
        if top is None and not (head.strong and (head.dated or ruled or (head.title is not None and _opens_early(lines, rest)))):
            # Without a head at the top of the page nothing shows what a head looks like here.
            return 0.0
        if head.parts == {"date"} or head.parts == {"title"}:
            return 0.0
        score -= 4 * _is_quoted(lines, head)
    return score


def _opens_early(lines: list[Line], rest: list[Head]) -> bool:
    # A page may open with a few words about itself; an article that opens with its own text is longer.
    opening = [line for line in lines[: rest[0].lo] if line.is_body]
    return len(opening) <= 2 and sum(len(line.text) for line in opening) <= 500


def _is_quoted(lines: list[Line], head: Head) -> bool:
    # A letter's signature, or a title page shown within an article, is no head.
    above = [line for line in lines[max(0, head.lo - 2) : head.lo] if line.kind != "rule"]
    if above and (above[-1].text.endswith(":") or above[-1].text.startswith(("“", '"', "«")) and len(above[-1].text) < 60):
        return True
    first = lines[head.lo]
    near = [*above, first]
    if any(len(line.text.split()) <= 6 and _VALEDICTION.fullmatch(line.text) for line in near):
        return True
    if above and above[-1].text.endswith(",") and len(above[-1].text) <= 60:
        return True
    if head.strong and head.title is not None:
        return False
    for n in range(head.lo - 1, max(-1, head.lo - 12), -1):
        if len(lines[n].text) <= 90 and _SALUTATION.fullmatch(lines[n].text):
            return True
        if len(lines[n].text) > 90 and _SALUTATION.match(lines[n].text[:40]):
            return True
    return False


def _is_chronicle(top: Head | None, heads: list[Head]) -> bool:
    # Dated headings without authors that run forward in time are one story's calendar, not a list of articles.
    if any(h.authors for h in heads) or len(heads) < 1:
        return False
    days = [h.published for h in ([top] if top else []) + heads if h.published]
    return len(days) >= 3 and days == sorted(days) or (top is not None and "author" in top.parts)
