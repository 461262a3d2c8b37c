"""Lines at an article's edges that a desk adds: who reported, whom to write to, what to download, how to vote.

Every pattern has to match its whole line, so that a sentence which merely opens like one of them stays.
"""

from __future__ import annotations

import re

from rag.intake.bylines import Byline, read_byline, read_names

_REPORTING = re.compile(
    r"(?P<open>[(\[])?\s*(?:(?:additional|further)\s+)?(?P<what>reporting|writing|report)\s+(?:and\s+(?:writing|editing|reporting)\s+)?"
    r"by\s+(?P<names>[^;.()\[\]]{3,120})(?P<more>[;.]\s*[^()\[\]]{0,160})?[)\]]?",
    re.IGNORECASE,
)
_EDITING = re.compile(r"\b(?:editing|edited)\s+by\b", re.IGNORECASE)
_FROM_DESK = re.compile(r"[(\[](?:[\w.’'-]+\s+){0,3}(?:newsroom|news\s*desk|bureau|staff)[)\]]", re.IGNORECASE)
_IN_PLACE = re.compile(r"\s+(?:in|from|at)\s+(?-i:[^\W\d_a-z]).*", re.IGNORECASE)
_AND = re.compile(r"\s*(?:,\s*and\b|\band\b|&|,)\s*")

_ADDRESS = r"\S{1,64}@\S{3,64}"
_PHONE = r"\+?\(?\d[\d() .-]{5,20}\d"
_CONTACT = re.compile(
    rf"(?:contact|reach|e-?mail)\s+(?-i:[^\W\d_a-z])[^.!?@]{{2,60}}?\s(?:at|on|via|by)\s+(?:{_ADDRESS}|{_PHONE})(?:\s+(?:or|and)\s+\S.{{3,40}})?"
    rf"|(?:media|press|news)\s+(?:contacts?|enquir(?:y|ies)|inquir(?:y|ies)|quer(?:y|ies)|office)\s*:\s*\S.{{2,100}}"
    rf"|(?:[^.!?@]{{2,60}}\s(?:is|are)\s+(?:edited|run|published|produced|written|maintained|made|put\s+together)\s(?:by|in|from)\b[^.!?@]{{2,50}}\.\s+)?"
    rf"(?:write|send|letters|submissions|enquiries)\b[^.!?@]{{0,40}}{_ADDRESS}(?:,\s.{{3,90}})?",
    re.IGNORECASE,
)
_THING = (
    r"(?:article|paper|report|brief|briefing|pdf|issue|essay|document|text|file|chapter|study|transcript|version"
    r"|publication|epub)"
)
_DOWNLOAD = re.compile(
    rf"download\s+(?:(?:the|this|a)\s+)?(?:(?:full|complete|entire|free|printable|policy|pdf)\s+){{0,2}}{_THING}"
    r"(?:\s+(?:as|in|here)(?:\s+(?:a\s+)?pdf(?:\s+format)?)?)?(?:\s*[(\[][^()\[\]]{1,30}[)\]])?",
    re.IGNORECASE,
)
_COUNTERS = re.compile(
    r"(?:[^\x00-\x7f\w€£¥§°–—•·×÷±«»„“”‘’…]{1,3}\s*\d[\d.,]*[km]?\s*){2,6}(?:share|save|reply|comment)?", re.IGNORECASE
)
_ACCESS = re.compile(
    r"[∙·•|]\s*(?:paid|free|preview)|(?:for\s+)?(?:paid\s+)?(?:subscribers|members)\s+only|subscriber\s+exclusive",
    re.IGNORECASE,
)
_WIDGET = re.compile(
    r"like\s+this\s*:(?:\s+like)?(?:\s+loading)?[\s.…]*|was\s+this\s+(?:page|article|post|answer|information)\s+(?:helpful|useful)\s*\?.{0,30}"
    r"|your\s+e-?mail\s+address\s+will\s+not\s+be\s+published\b.{0,60}|required\s+fields\s+are\s+marked\s*\W?"
    r"|(?:print|e-?mail|save|download|bookmark)\s+this\s+(?:page|article|post|story|speech)|buy\s+this\s+(?:book|issue)(?:\s+from\s.{3,30})?"
    r"|jump\s+to\s*:\s*.{1,100}|(?:on|in)\s+this\s+(?:page|article|explainer|guide|report|issue)\s*:?"
    r"|check\s+against\s+delivery|(?:as\s+(?:prepared\s+for\s+delivery|delivered))",
    re.IGNORECASE,
)
_PLEA = re.compile(
    r"if\s+you\s+(?:enjoyed|liked|found|valued?|like|appreciated?|want|would\s+like)\b[^.!?]{0,60},\s+(?:please\s+|do\s+|why\s+not\s+|you\s+can\s+)?(?:consider\s+|think\s+(?:about|of)\s+)?"
    r"(?:subscrib(?:e|ing)|donat(?:e|ing)|support(?:ing)?\s+(?:us|our)|becom(?:e|ing)\s+a\s+(?:member|subscriber|supporter|patron)"
    r"|sign(?:ing)?\s+up|shar(?:e|ing)\s+it|forward(?:ing)?\s+it|join(?:ing)?\s+our)\b[^.!?]{0,80}[.!]?",
    re.IGNORECASE,
)
_EDITED = re.compile(
    r"(?:this|the|our)\s+(?:interview|conversation|transcript|discussion|exchange|q\s?&\s?a)\s+(?:has\s+been|was)\s+(?:\w+ly\s+)?"
    r"(?:edited|condensed|abridged|translated|shortened)\b[^.!?]{0,80}\.?",
    re.IGNORECASE,
)
_HEARD = re.compile(
    r"[\[(](?:(?:prolonged|loud|long)\s+)?(?:applause|laughter|cheers|cheering|music|ends?)(?:\s+and\s+\w+)?\.?[\])]",
    re.IGNORECASE,
)
_SIGNUP = re.compile(
    r"by\s+(?:subscribing|signing\s+up|registering|continuing|clicking\b.{1,30}),?\s+(?:i|you)\s+(?:agree|accept|consent|acknowledge)\b"
    r".{0,120}\b(?:terms|privacy|policy|conditions)\b.{0,40}",
    re.IGNORECASE,
)
_READERS = re.compile(
    r"(?:join\s+)?(?:over\s+|more\s+than\s+)?\d[\d,.]*k?\+?\s+(?:other\s+)?(?:subscribers|followers|members)",
    re.IGNORECASE,
)
_MORE = re.compile(
    r"(?:more|related|recent|latest|other|further|also|previous|earlier|read|keep\s+reading|next|elsewhere|archives?|you)\b",
    re.IGNORECASE,
)
_ENTRY = re.compile(r"\S.{5,110}?(?:\s[–—|·•-]\s|,\s)(?P<rest>\S.{8,70})")


def is_desk_credit(line: str) -> bool:
    """Return whether a line below an article says who reported or edited it.

    >>> is_desk_credit("(Reporting by Ann Roe in Oslo; editing by Bo Li)"), is_desk_credit("Reporting by night.")
    (True, False)
    """
    if len(line) > 240:
        return False
    match = _REPORTING.fullmatch(line)
    return bool(match and (match["open"] or _EDITING.search(match["more"] or ""))) or bool(_FROM_DESK.fullmatch(line))


def reporters(line: str) -> tuple[str, ...]:
    """Return whom such a line names as the reporters.

    >>> reporters("(Reporting by Ann Roe in Oslo and Cy Poe in Rome; editing by Bo Li)")
    ('Ann Roe', 'Cy Poe')
    """
    match = _REPORTING.fullmatch(line) if is_desk_credit(line) else None
    if match is None or line.lstrip("([ ").lower().startswith(("additional", "further")):
        return ()
    names: list[str] = []
    for part in _AND.split(match["names"].strip()):
        found = read_names(_IN_PLACE.sub("", part))
        if not found or any(" " not in name for name in found):
            return ()
        names.extend(name for name in found if name not in names)
    return tuple(names)


def is_addition(line: str) -> bool:
    """Return whether a line is no prose of an article but what a desk or a page's machinery adds at its edge.

    >>> is_addition("Contact Ann Roe at ann@gull.example or 555-0114."), is_addition("Contact was lost at noon.")
    (True, False)
    >>> is_addition("Download the full report (PDF, 2 MB)"), is_addition("♡ 12 💬 3 Share")
    (True, True)
    """
    if len(line) > 240:
        return False
    if is_desk_credit(line):
        return True
    return len(line) <= 150 and any(
        pattern.fullmatch(line) for pattern in (_CONTACT, _DOWNLOAD, _COUNTERS, _ACCESS, _WIDGET, _PLEA)
    )


def is_last_word(line: str) -> bool:
    """Return whether a line at an article's very end belongs to the desk or the stenographer, not to the author."""
    return len(line) <= 140 and bool(_EDITED.fullmatch(line) or _HEARD.fullmatch(line))


def is_sign_up(line: str, *, at_top: bool) -> bool:
    """Return whether a line is a sign-up form's small print or, above all text, its count of readers."""
    return len(line) <= 220 and bool(_SIGNUP.fullmatch(line) or (at_top and _READERS.fullmatch(line)))


def is_announcement(line: str) -> bool:
    """Return whether a line could announce a list of other articles by what it says first."""
    return len(line) <= 50 and line[-1] not in ".!?" and bool(_MORE.match(line))


def is_entry(line: str) -> bool:
    """Return whether a line lists another article with its author and day, as lists below an article do.

    >>> is_entry("Monsoon by Tram – Dev Roy, 2 May 2014"), is_entry("Monsoon by Tram – 2 May 2014")
    (True, False)
    """
    match = _ENTRY.fullmatch(line) if len(line) <= 180 and line[-1].isdigit() else None
    if match is None:
        return False
    for cut in re.finditer(r"\s[–—|·•-]\s|,\s", line):
        byline: Byline | None = read_byline(line[cut.end() :])
        if byline and byline.authors and byline.published and all(" " in name for name in byline.authors):
            return True
    return False
