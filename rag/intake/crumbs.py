"""Lines that a page's machinery leaves about: reading times, trails, buttons to share, links to other articles.

Every pattern has to match its whole line, so that a sentence which merely opens like one of them stays.
"""

from __future__ import annotations

import re

_PARTS = re.compile(r"\s*[|•·∙]\s*|\s+[–—/-]\s+|\s{3,}")
_MINUTES = r"\d{1,3}(?:\s*[-–]\s*\d{1,3})?\s*-?\s*min(?:ute)?[ns]?\b\.?"
_READING = re.compile(
    rf"(?:about|approx(?:imately|\.)?|ca\.?|~)?\s*{_MINUTES}[\s-]+(?:read(?:ing)?(?:[\s-]+time)?|to\s+read|lesezeit|de\s+lecture|de\s+lectura)"
    rf"|(?:(?:estimated|approximate|average)\s+)?(?:read(?:ing)?[\s-]+time|time\s+to\s+read|lesezeit|temps\s+de\s+lecture"
    rf"|tiempo\s+de\s+lectura)\s*[:–—-]?\s*(?:about|ca\.?|~)?\s*{_MINUTES}(?:\s+(?:read|to\s+read))?",
    re.IGNORECASE,
)
_LENGTH = re.compile(r"\d{1,3}(?:[, ]?\d{3})?\s+(?:words|views|reads|hits)", re.IGNORECASE)
_NOTICE = re.compile(
    r"skip\s+to\s+(?:(?:the\s+)?(?:main\s+)?(?:content|navigation|menu|search))|listen\s+to\s+(?:this|the)\s+(?:article|story|post)"
    r"(?:\s*\W?\s*\d{1,3}(?::\d\d)?(?:\s*min\w*)?\W?)?|toggle\s+navigation|[-–—\s]*advertis(?:e)?ment[-–—\s]*"
    r"|(?:(?:story|article)\s+continues|continue\s+reading|scroll)\s+(?:below|after)\s+(?:this\s+|the\s+)?(?:ad|advert|advertisement)"
    r"|advertisement\s*\W\s*(?:scroll\s+to\s+continue|continue\s+reading\s+below)|\((?:reuters|ap|afp|dpa|epa|ians|pti|xinhua)\)",
    re.IGNORECASE,
)
_STEP = r"[^\W_][^>»›/|\\.!?]{0,38}"
_HOME = r"(?:home(?:\s?page)?|start(?:seite)?|accueil|inicio|front\s+page)"
_HOME_TRAIL = re.compile(
    rf"(?:you\s+are\s+here\s*:\s*)?{_HOME}(?:\s*[>»›→/|\\•·]\s*{_STEP}){{2,8}}[>»›→/\s]*", re.IGNORECASE
)
_TRAIL = re.compile(rf"(?:you\s+are\s+here\s*:\s*)?{_STEP}(?:\s*[>»›]\s*{_STEP}){{1,7}}[>»›\s]*", re.IGNORECASE)

_NETWORK = (
    r"(?:facebook|twitter|x|linked-?in|whats-?app|telegram|reddit|pinterest|mastodon|bluesky|threads|instagram|tumblr|pocket"
    r"|flipboard|messenger|xing|vkontakte|weibo|e-?mail|sms|print|copy\s+(?:link|url)|tweet|pin\s+it|link)"
)
_APART = r"(?:\s*[,|·•∙/;–—-]\s*(?:(?:and|or)\s+)?|\s+(?:and|or)\s+|\s+)"
_SHARE = re.compile(
    rf"share(?:\s+(?:this|it|the))?(?:\s+(?:article|post|story|page|entry|piece))?(?:\s+(?:on|via|with|by|to))?\s*[:|·•–—-]?\s*"
    rf"{_NETWORK}(?:{_APART}{_NETWORK}){{0,11}}(?:{_APART}(?:more|share))?"
    rf"|share\s+(?:this|the)\s+(?:article|post|story|page|entry|piece)(?:\s+(?:with|on)\s.{{3,30}})?",
    re.IGNORECASE,
)
_PRESS = rf"(?:{_NETWORK}|share|pin|save)"
_NETWORKS = re.compile(rf"{_PRESS}(?:{_APART}{_PRESS}){{2,11}}", re.IGNORECASE)
_NETWORK_ALONE = re.compile(_NETWORK, re.IGNORECASE)
_BUTTON = re.compile(
    rf"{_NETWORK}|share(?:\s+this)?|edit(?:\s+this(?:\s+page)?)?|save(?:\s+for\s+later)?|reply|like|listen|bookmark|gift|cite|download(?:\s+(?:pdf|as\s+pdf))?"
    r"|pdf|permalink|print\s+(?:this(?:\s+(?:article|page))?|page|article)|e-?mail\s+(?:this(?:\s+article)?|article|a\s+friend)"
    r"|(?:\d{1,6}|no|leave\s+a|add|post\s+a)\s+comments?|comments?(?:\s*\(?\d+\)?)?|read\s+(?:more|on)|more",
    re.IGNORECASE,
)

_MARK = r"\s*(?:[:»›→>|]|\s[–—-]\s)\s*"
_LINK = re.compile(
    rf"(?:read\s+(?:next|more|also|this\s+next|more\s+about\s+this)|also\s+read|must\s+read|up\s+next|don[’']t\s+miss|in\s+case\s+you\s+missed\s+it"
    rf"|(?:more\s+)?related(?:\s+(?:articles?|stor(?:y|ies)|posts?|coverage|reading|content|news|links?|topics?))?"
    rf"|recommended\s+(?:reading|stories|for\s+you)|more\s+(?:on|about)\s+this(?:\s+(?:story|topic|subject))?|you\s+(?:may|might)\s+also\s+like"
    rf"|continue\s+reading){_MARK}\S.{{2,120}}",
    re.IGNORECASE,
)
_NEIGHBOUR = re.compile(
    r"(?:[«‹<←]\s*)?(?:see\s+also\s*:|(?:next|prev|previous|newer|older|earlier)(?:\s+(?:article|post|story|entry|page|explainer|essay|chapter|in\s+this\s+series)\s*[:»›→>|]|\s*[:»›→>]))\s*\S.{2,120}"
    r"|more\s+(?:from|by)\s+(?:this\s+(?:author|writer|section|series|issue)|the\s+(?:same\s+)?author)\b.{0,60}"
    r"|(?:view|see|read)\s+all\s+(?:posts?|articles?|stories|entries)\s+by\s.{2,60}",
    re.IGNORECASE,
)
# Headings of lists below an article.  None of them heads paragraphs, and an article may well end with one as its text.
_OPENS_LIST = re.compile(
    r"topics?|tags|by\s+the\s+same\s+author|also\s+(?:in|from)\s+this\s+(?:issue|site|section|series|edition)"
    r"|elsewhere\s+(?:on\s+this\s+site|in\s+this\s+(?:issue|section|edition))|(?:sources|references|notes)\s+(?:and|&)\s+(?:further|additional)\s+reading"
    r"|more\s+(?:from|by|on|in)\s+.{2,40}|more\s+(?:articles|stories|posts|news|essays|interviews|reviews|letters)"
    r"|what\s+to\s+read\s+next|recommended(?:\s+(?:for\s+you|reading|stories|articles))?|(?:most|trending)\s+(?:read|popular|viewed|shared|now)",
    re.IGNORECASE,
)
_CAPTION = re.compile(
    r".{8,180}?(?:[(\[](?:(?:(?:file|staff|(?-i:[^\W\d_a-z][\w’'.-]*))\s+){0,3}(?:photo(?:graph)?|image|picture|illustration|graphic|foto)s?\s*(?:credits?\s*)?(?:by\b|via\b|from\b|courtesy\b|[:©/])|credits?\s*:|file\s+photo)[^()\[\]]{0,80}[)\]]\.?"
    r"|[.!?…]['\"”’]?\s+(?:(?:file\s+)?(?:photo(?:graph)?|image|picture|illustration)s?(?:\s+credits?)?|credits?)\s*[:©]\s*[^.!?]{2,70}"
    r"|[(\[][^()\[\]]{2,50}\s?/\s?(?:reuters|ap|afp|epa|dpa|getty(?:\s+images)?|shutterstock|alamy)\b[^()\[\]]{0,30}[)\]]\.?)",
    re.IGNORECASE,
)  # fmt: skip


def is_notice(line: str, *, at_top: bool) -> bool:
    """Return whether a line is no part of any article wherever it stands, a trail through the site included.

    >>> is_notice("1,200 words · 8 min read", at_top=False), is_notice("It was an 8 minute read.", at_top=False)
    (True, False)
    >>> is_notice("File > Save as > Text", at_top=False)
    False
    """
    if len(line) > 120:
        return False
    if _NOTICE.fullmatch(line) or (len(line) <= 100 and _HOME_TRAIL.fullmatch(line)):
        return True
    # Help pages write their menus like trails, so that one without a home counts only above all text.
    if at_top and len(line) <= 100 and sum(line.count(c) for c in ">»›") >= 2 and _TRAIL.fullmatch(line):
        return all(step.strip()[:1].isupper() or not step.strip() for step in re.split("[>»›]", line))
    parts = [p for p in _PARTS.split(line) if p]
    return any(_READING.fullmatch(p) for p in parts) and all(
        _READING.fullmatch(p) or _LENGTH.fullmatch(p) for p in parts
    )


def is_sharing(line: str) -> bool:
    """Return whether a line is buttons: to share, print, edit or comment.

    >>> is_sharing("Share this: Facebook · Twitter · Email"), is_sharing("Edit | Print | 3 comments")
    (True, True)
    >>> is_sharing("Share this with friends who print on paper, or do not print at all.")
    False
    """
    if len(line) > 140:
        return False
    line = line.strip(" \t:|·•")
    if _SHARE.fullmatch(line) or _NETWORKS.fullmatch(line):
        return True
    parts = [p.strip() for p in re.split(r"[|•·∙]|\s/\s", line) if p.strip()]
    return len(parts) >= 2 and len(set(parts)) == len(parts) and all(_BUTTON.fullmatch(p) for p in parts)


def is_invitation(line: str) -> bool:
    """Return whether a line asks to share and names where: no sentence does so, even between two paragraphs."""
    return len(line) <= 140 and bool(_SHARE.fullmatch(line.strip(" \t:|·•")))


def is_network(line: str) -> bool:
    """Return whether a line is one button's name: it counts only beside another."""
    return len(line) <= 12 and bool(_NETWORK_ALONE.fullmatch(line))


def is_link(line: str) -> bool:
    """Return whether a line announces another article and names it, as may stand between two paragraphs.

    >>> is_link("Read next: Why the night train matters"), is_link("Related: nobody knew that it was so.")
    (True, False)
    """
    return len(line) <= 150 and bool(_LINK.fullmatch(line)) and not _is_sentence(line)


def is_pointer(line: str) -> bool:
    """Return whether a line points to another article, also in words that count only at an article's end."""
    return is_link(line) or (len(line) <= 150 and bool(_NEIGHBOUR.fullmatch(line)) and not _is_sentence(line))


def opens_list(line: str) -> bool:
    """Return whether a line could head a list of other articles, of topics or of sources below an article."""
    return len(line) <= 60 and bool(_OPENS_LIST.fullmatch(line.rstrip(" :")))


def is_caption(line: str) -> bool:
    """Return whether a line is a caption that ends with its credit.

    >>> is_caption("Nets on the quay at Orrin. Photo: Ann Roe / Gull")
    True
    """
    return len(line) <= 220 and "://" not in line and bool(_CAPTION.fullmatch(line))


def _is_sentence(line: str) -> bool:
    return line.endswith(".") and not line.endswith(("...", "U.S.", "Jr.", "Inc."))
