"""What stands on a page around its articles: credits, closing lines, biographies, footers."""

from __future__ import annotations

import re
from typing import Literal

from rag.intake.credits import is_addition
from rag.intake.crumbs import is_caption, is_pointer, is_sharing

_FILE = re.compile(
    r"(?:(?:file|image|img|photo)\s*:\s*)?[^\s/\\?*<>|:]{1,80}(?: [^\s/\\?*<>|:]{1,40}){0,12}"
    r"\.(?:jpe?g|png|gif|webp|svg|tiff?|bmp|heic|avif)(?:\s*[-–—|(].{0,60})?",
    re.IGNORECASE,
)
_SOURCE = re.compile(
    r"[\[(]?(?:photo(?:graph)?|image|picture|illustration)s?\s+sources?\s*:\s*\S.{0,150}", re.IGNORECASE
)
_CREDIT = re.compile(
    r"[\[(]?(?:(?:photo(?:graph)?s?|images?|pictures?|illustrations?|artwork|graphics?|foto|cover)\s*(?:credits?)?"
    r"\s*(?:courtesy\b|(?:by|via|from)\b|[:©]|/)|(?:photo|image|picture)\s+credits?\b|credits?\s*:"
    r"|courtesy\s+of|(?:getty images|shutterstock|istock|unsplash|wikimedia commons|reuters|ap photo|afp)\b.{0,30}$)"
    r".{0,90}",
    re.IGNORECASE,
)
# Told apart by what they say: the first kind names a shelf and ends an article, the second may stand anywhere.
_SHELVED = re.compile(
    r"(?:(?:published|posted|filed|categori[sz]ed|appeared|archived)\s+(?:in|under)|(?:filed\s+)?under\s*:"
    r"|(?:tags?|tagged|categor(?:y|ies)|topics?|labels?|keywords|filed)(?:\s*:|\s+(?:with|as|under|in)\b))\s*:?\s*.{0,110}",
    re.IGNORECASE,
)
_PRESSED = re.compile(
    r"(?:read\s+(?:more|on|the\s+(?:rest|full\s+(?:story|article)))|continue\s+reading|more|full\s+(?:story|article)"
    r"|share\s*(?:this(?:\s+(?:article|post|story))?|on\b.{0,40})?|permalink|print(?:\s+this)?|e-?mail\s+this"
    r"|(?:leave|post|add)\s+a\s+(?:comment|reply)|\d{1,6}\s+(?:comments?|replies|likes|shares|views|claps)|no\s+comments?(?:\s+yet)?"
    r"|(?:read|viewed|seen|shared|downloaded|visited)\s+\d[\d,. ]*\s+times?"
    r"|(?:section|department|desk|rubrik|ressort|series)\s*:\s*[^\W\d_][^.:!?]{1,40}"
    r"|comments?(?:\s+(?:off|closed|are\s+closed|\(\d+\)))?|back\s+to\s+top|top|the\s+end|end|\[?…\]?|###?|-30-|30)",
    re.IGNORECASE,
)
_PRESSED_TAIL = re.compile(r"[\s:.…»→>|·•\-\])]+$")
_FOOTER = re.compile(
    r"(?:visit\s+also|see\s+also|newsletters?|sign\s+up\b.{0,80}|subscribe\b.{0,80}"
    r"|follow\s+(?:us\b.{0,40}|.{2,40}\s+on\s+(?:twitter|x|facebook|instagram|mastodon|bluesky|linkedin))"
    r"|(?:related|latest)\s+(?:articles?|posts?|stories|links?|reading|speeches|documents?|news|publications?|events|items|resources|coverage|interviews)|read\s+next|more\s+(?:from|in|on)\s.{1,40}|you\s+(?:may|might)\s+also\s+like"
    r"|about\s+us|contact(?:\s+us)?|privacy(?:\s+policy)?|terms\s+(?:of|and)\s.{0,30}|(?:copyright|©|\(c\)).{0,100}"
    r"|.{0,60}all\s+rights\s+reserved.?|older\s+(?:posts|entries|articles)|newer\s+(?:posts|entries|articles)"
    r"|[«‹<←]?\s*(?:previous|next|older|newer)(?:\s+(?:page|posts?|entries))?\s*[»›>→]?|page\s+\d+(?:\s+of\s+\d+)?"
    r"|(?:[«‹<←]?\s*(?:previous|prev|first|page)\s+)?(?:\d{1,4}\s+(?:(?:…|\.\.\.|\|)\s*)?){2,12}(?:next|last|older)\b|discussion\s+about\s+this\s+post"
    r"|load\s+more|recent\s+(?:posts|comments|articles)|archives?|powered\s+by\b.{0,40}|(?:(?:proudly\s+)?(?:built|published|made)\s+with|(?:blog|site|website)\s+(?:at|by|on))\s+(?:hugo|jekyll|wordpress|ghost|gatsby|eleventy|astro|squarespace|wix|blogger|substack|drupal|medium)\b.{0,40}|most\s+(?:read|popular|viewed)"
    r"|join\s+our\b.{0,60}|get\s+our\b.{0,60}|our\s+partners|partners|sponsors|advertisement|popular\s+posts?|search)\W{0,3}",
    re.IGNORECASE,
)
_BIOGRAPHY = re.compile(
    r"(?:about\s+the\s+authors?|(?:the\s+)?(?:author|contributor|writer)s?[’'`]?s?[’'`]?\s+(?:bio(?:graph(?:y|ies))?s?|notes?|profiles?|info)"
    r"|author\s*bio|bio(?:graphy)?|about\s+the\s+(?:writer|contributor)s?)\s*(?:[:.–—-]|$)",
    re.IGNORECASE,
)
_ROLE_AFTER_NAME = re.compile(
    r",?\s+(?:is|was|are|has\s+been|works|writes|teaches|lives|serves|holds|studies|reports|covers|blogs|edits)\b"
)
_WORK_OF = re.compile(
    r"[’']s?\s+(?:(?:new|latest|first|second|third|last|most\s+recent|next|debut|forthcoming)\s+)*(?:book|novel|collection|memoir|biography|history|play|album|film)"
    r"\b.{0,120}?\b(?:is|was|appeared|came\s+out|will\s+be|won|has\s+been)\b"
)
_DOES = re.compile(
    r"(?:,[^.]{2,80},)?\s+(?:[a-z]+ly\s+)?(?!(?:says|asks|adds|thinks|knows|argues|believes|explains|replies|tells|remembers)\b)[a-z]{2,}s\b"
)
_SPAMBOTS = re.compile(
    r"\s*This e-?mail address is being protected from spam\s?bots\.?(?:\s*You need JavaScript enabled to view it\.?)?",
    re.IGNORECASE,
)
# A caption that lost its line: lower-case words stuck to the full stop of the paragraph above it.
_STUCK = re.compile(
    r"(?<=[^\W\d_]{3}[.!?])(?!(?:com|org|net|gov|edu|io|js|py|md|txt|html?|pdf)\b)[a-z]{2,}(?: [a-z0-9]+){2,9}$"
)
Closing = Literal["shelved", "pressed"]


def is_picture(line: str) -> bool:
    """Return whether a line is a picture's file name, its credit, or a caption that ends with one."""
    if len(line) <= 160 and (_FILE.fullmatch(line) or (len(line.split()) <= 14 and _CREDIT.fullmatch(line))):
        return True
    return is_caption(line) or (len(line) <= 200 and bool(_SOURCE.fullmatch(line)))


def closing(line: str) -> Closing | None:
    """Return how a line closes an article: by naming its shelf ("Published in X") or as a button ("Read more")."""
    if len(line) > 150:
        return "pressed" if is_addition(line) else None
    if _SHELVED.fullmatch(line) and not (line.endswith(".") and len(line.split()) > 6):
        return "shelved"
    if _PRESSED.fullmatch(_PRESSED_TAIL.sub("", line)) or is_sharing(line) or is_pointer(line) or is_addition(line):
        return "pressed"
    return None


def opens_footer(line: str) -> bool:
    """Return whether a line opens what stands below a page's articles."""
    return len(line) <= 140 and bool(_FOOTER.fullmatch(line))


def is_biography(line: str, authors: tuple[str, ...]) -> bool:
    """Return whether a paragraph tells of the authors: by its label, or by opening with an author's name.

    `authors` is empty where the paragraph stands too high in its article for its opening to mean that.
    """
    if _BIOGRAPHY.match(line[:80]):
        return True
    plain = re.sub(r"^(?:Dr|Prof|Professor|Mr|Mrs|Ms)\.?\s+", "", line[:300].lstrip("*_ —–-"))
    name = next((n for n in authors if " " in n and plain.startswith(n)), None)
    if name is None or len(line) > 700:
        return False
    if _WORK_OF.match(plain[len(name) :]):
        return len(line) <= 300
    if _ROLE_AFTER_NAME.match(plain[len(name) :]):
        return True
    # What the authors do besides ("drives trains") may be anything, so that then the paragraph has to name them all.
    return len(line) <= 400 and all(n in line for n in authors) and bool(_DOES.match(plain[len(name) :]))


def is_label_of_biography(line: str) -> bool:
    """Return whether the line only announces a biography that stands below it."""
    match = _BIOGRAPHY.match(line[:80])
    return bool(match) and not line[match.end() if match else 0 :].strip(" :.–—-")


def without_notices(paragraph: str) -> str:
    """Return a paragraph without notices to browsers and without a caption stuck to its end.

    >>> without_notices("The wall held through the night.tower wall big")
    'The wall held through the night.'
    """
    if "spam" in paragraph:
        paragraph = _SPAMBOTS.sub("", paragraph)
    tail = max(0, len(paragraph) - 120)
    stuck = _STUCK.search(paragraph, tail)
    return paragraph[: stuck.start()] if stuck else paragraph
