"""Who wrote it and when: one short line read as a byline, a date line or both."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from rag.intake.dates import LONGEST, find_dates


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_PARTICLES = _words(
    "de da do dos das di du del della der den des van von vom zu zur zum af av la le lo las los el al ul ur"
    " bin ibn bint ben ter ten te e y i of-the und d' o' st. san mac"
)
_HONORIFICS = _words(
    "dr prof professor sir dame lord lady mr mrs ms miss mx rev reverend fr sr gen general col colonel capt"
    " captain lt maj major sgt amb ambassador sen senator rep judge justice rabbi imam sheikh"
)
_SUFFIXES = _words("jr sr ii iii iv phd ph.d md m.d esq obe mbe cbe qc kc dphil msc ma ba llm")
# Words that stand in titles and never in a person's name.
_TITLE_WORDS = _words(
    "the a an and or of in on at to for from with without by as is are was were be been has have had do does"
    " did how why what when where who which this that these those not no new old its it their our your his her"
    " my we you they i'm can could will would should may after before between over under into against about"
    " more most less than every all some any first last next part chapter section volume review news report"
    " introduction conclusion background summary analysis contents comments photo image share read posted"
    " published monday tuesday wednesday thursday friday saturday sunday january february march april june july"
    " august september october november december university institute department press journal magazine times"
    " street road city river north south east west northern southern eastern western world bibliography references"
    " further reading related"
)
_ROLES = _words(
    "staff writer reporter correspondent editor columnist analyst associate senior contributor contributing editorial"
    " director fellow researcher lecturer chief special guest bureau agency agencies university college school"
    " institute press post news times herald tribune reuters afp ap bbc cnn npr dpa magazine review center centre"
    " foundation society council desk team"
)
_AFFILIATED = re.compile(
    r"special\s+(?:to|for)\s.+|for\s+the\s.+|(?:.*\s)?(?:writer|reporter|correspondent|editor|columnist|analyst|contributor|critic"
    r"|fellow|professor|lecturer|researcher|intern|bureau\s+chief|staff|news\s+service|associated\s+press|reuters|afp|economist)"
    r"(?:,?\s+(?:at|of|for|in|with)?\s*(?:the\s+)?[A-Z].*)?",
    re.IGNORECASE,
)
_TAKEN_OFF = re.compile(
    r"(?:(?:dr|prof|professor|mr|mrs|ms)\b\.?\s+)+(?=\S)"
    r"|(?:(?:fr|revd?|reverend|hon|commissioner|ambassador|senator|governor)\b\.?\s+)+(?=\S+\s+\S)",
    re.IGNORECASE,
)
_LETTER = r"[^\W\d_]"
_TOKEN = re.compile(rf"(?:{_LETTER}\.?)+(?:[-‐‑’'ʼ`]{_LETTER}+\.?)*,?")
_BY = re.compile(
    r"(?:(?:posted|published|written|reported|reviewed|words|text|story|article|edited|contributed|compiled|created"
    r"|submitted|added|translated|(?:guest\s+)?(?:post|column|essay|opinion|analysis|commentary|comment|feature|interview|dispatch))"
    r"\s*(?:and\s+\w+\s+)?by|by|(?:text\s+)?von|par|por|di)\s*:?\s+"
    r"|(?:author|authors|writer|byline|words|text|reporter|correspondent)\s*:\s*",
    re.IGNORECASE,
)
_REPORTS = re.compile(r"(?P<names>.{3,60}?)\s+reports?(?:\s+(?:from|in|for)\s+[A-Z].{1,40})?", re.DOTALL)
_BRACKETED = re.compile(r"\s*\([^()\d]{2,40}\)?$")
_NAMELESS = re.compile(
    r"(?:our|the)\s+(?:[a-z]+\s+){0,2}(?:correspondents?|reporters?|editors?|editorial\s+(?:board|team)|staff|desk)",
    re.IGNORECASE,
)
_ACCOUNT = re.compile(
    r"(?:site\s*|web\s*|blog\s*)?(?:admin(?:istrator)?|master|editor|moderator|user)s?|(?:the\s+)?(?:editors?|staff|newsroom)"
    r"|staff\s+(?:writer|reporter|correspondent)s?|(?:news|web|online|digital|city)\s*desk|guest(?:\s+(?:author|contributor|writer))?|contributor|anonymous|unknown|root|superuser",
    re.IGNORECASE,
)
_DATE_LABEL = re.compile(
    r"(?:(?:first|last|originally)\s+)?(?:posted|published|updated|modified|created|added|written|submitted"
    r"|date|dated|filed|release[d]?|issued|edited|reviewed)(?:\s+(?:on|at))?\s*:?\s*$",
    re.IGNORECASE,
)
_UPDATED = re.compile(r"(?:updated|modified|edited|reviewed)(?:\s+on)?\s*:?\s*$", re.IGNORECASE)
_JOINT = re.compile(r"\s*(?:,\s*and\b|\band\b|&|;|,|/|\bwith\b)\s*", re.IGNORECASE)
_AFFILIATION = re.compile(r"\s*(?:[|•·∙–—]|\s-\s|,|\(|\s(?:in|for|at|of|from|under|via)\s).*$", re.IGNORECASE)
_CUTS = re.compile(r"\s*(?:[|•·∙–—]|\s-\s|\s/\s|\t|\s{3,})\s*")
_CRUMB = re.compile(
    r"(?:\d+\s*[-–]?\s*(?:min(?:ute)?s?|words?)(?:\s+read)?|\d+\s+comments?|no comments?|comments?( off)?"
    r"|leave a (?:comment|reply)|share|print|(?:filed |posted )(?:under|in)\s*:?\s.{1,60}|edit|permalink"
    r"|(?-i:[A-Z][^\W\d_]*(?: (?:&|and|[A-Z][^\W\d_]*)){0,2}))[.:»]?",
    re.IGNORECASE,
)
_EDGES = " \t\u00a0\u200b|•·∙–—-,;:/()[]*_#~"


@dataclass(frozen=True, slots=True)
class Byline:
    """What a head line says.  `strong` where it says in words that these are the authors.

    `dated` is set for a line that names a day, even one that cannot be read for certain.
    """

    authors: tuple[str, ...]
    strong: bool
    dated: bool
    published: date | None
    updated: date | None


def read_byline(line: str, *, day_first: bool | None = None) -> Byline | None:
    """Return what a byline or date line says; None for a line that is neither.

    A bare name comes back with `strong` off: many a line of two capitalised words is no name.

    >>> read_byline("Posted on 4 March 2024 by Ana de la Cruz").authors
    ('Ana de la Cruz',)
    >>> read_byline("By the way, it rained.") is None
    True
    """
    if not 2 < len(line) <= LONGEST:
        return None
    line = line.strip(_EDGES)
    found = find_dates(line, day_first=day_first)
    published = updated = None
    pieces: list[str] = []
    at = 0
    for date_ in found:
        before = line[at : date_.start]
        label = _DATE_LABEL.search(before)
        if label and _UPDATED.search(before):
            updated = updated or date_.day
        elif published is None:
            published = date_.day
        pieces.append(before[: label.start()] if label else re.sub(r"(?:^|\s)(?:on|at)\s*$", " ", before, flags=re.I))
        at = date_.end
    pieces.append(line[at:])
    rest = " | ".join(p.strip(_EDGES) for p in pieces if p.strip(_EDGES))
    if not rest:
        return Byline((), False, True, published, updated) if found else None
    authors, strong, left = _authors(rest, dated=bool(found))
    if (authors or strong) and left:
        return Byline(authors, strong, bool(found), published, updated)
    if found and not authors and all(_CRUMB.fullmatch(part) for part in _CUTS.split(rest)) and len(rest) <= 40:
        return Byline((), False, True, published, updated)
    return None


def read_names(text: str) -> tuple[str, ...]:
    """Return the names in a list such as "A. Roe, B. Doe and C. Poe"; empty where one part is no name."""
    parts = [p.strip(_EDGES) for p in _JOINT.split(text.strip())]
    names: list[str] = []
    joined = re.search(r"\band\b|&", text)
    for part in parts:
        if names and not joined and (" " not in part or _is_role(part)) and part.lower().strip(".") not in _SUFFIXES:
            continue
        if part.lower().strip(".") in _SUFFIXES and names:
            names[-1] += ", " + part
        elif part and _is_name(part):
            names.append(_cased(part))
        else:
            return ()
    return tuple(names)


def is_affiliation(line: str) -> bool:
    """Return whether a line under a byline says who the author works for, or as what.

    >>> is_affiliation("Senior Correspondent"), is_affiliation("Special to the Gull"), is_affiliation("Low Tide")
    (True, True, False)
    """
    return len(line) <= 80 and len(line.split()) <= 9 and bool(_AFFILIATED.fullmatch(line.strip(_EDGES)))


def _authors(rest: str, *, dated: bool) -> tuple[tuple[str, ...], bool, bool]:
    # Returns the authors, whether the line calls them so, and whether nothing unexplained is left over.
    by = _BY.match(rest)
    if by:
        return *_named(rest[by.end() :]), True
    parts = [p for p in _CUTS.split(rest) if p]
    for n, part in enumerate(parts):
        by = _BY.match(part)
        if by and all(_CRUMB.fullmatch(p) or len(p) < 40 for p in parts[:n] + parts[n + 1 :]):
            return *_named(part[by.end() :]), True
    inner = re.search(r"\s(?:written |posted )?by\s+(?=\S)", rest, re.IGNORECASE)
    if inner and dated and _CRUMB.fullmatch(rest[: inner.start()].strip(_EDGES) or "share"):
        return *_named(rest[inner.end() :]), True
    reports = _REPORTS.fullmatch(rest.rstrip("."))
    names = read_names(reports["names"]) if reports else ()
    if names and all(" " in n for n in names):
        return names, True, True
    names = read_names(_BRACKETED.sub("", parts[0]))
    if not names or any(" " not in n for n in names) or len(parts) > 4:
        return (), False, False
    return names, False, all(_CRUMB.fullmatch(p) for p in parts[1:])


def _named(text: str) -> tuple[tuple[str, ...], bool]:
    if _ACCOUNT.fullmatch(_CUTS.split(text)[0]):
        # The name of an account says that the line is a byline, and not who wrote.
        return (), True
    if _NAMELESS.fullmatch(text):
        return (" ".join(text.split()),), True
    if text.rstrip().endswith((".", ":", "?", "!")) and not re.search(r"(?:\b[A-Z]|\bJr|\bSr|\bD)\.$", text.rstrip()):
        sentence = text.rstrip().rstrip(".:")
        if not read_names(sentence) or len(sentence.split()) > 6:
            return (), False
        text = sentence
    names = read_names(text)
    if names:
        return names, True
    # An affiliation may follow: the longest run of names at the start counts, what follows must be short.
    kept: list[str] = []
    for part in _JOINT.split(_CUTS.split(text)[0]):
        got = read_names(part)
        if not got:
            break
        kept.extend(got)
    if not kept:
        kept.extend(read_names(_AFFILIATION.sub("", text)))
    if not kept or len(text.split()) > 16:
        return (), False
    return tuple(kept[:1] if len(kept) > 1 and not re.search(r"\band\b|&", text) else kept), True


def _is_role(text: str) -> bool:
    return any(word.strip(".,").lower() in _ROLES for word in text.split())


def _is_name(text: str) -> bool:
    tokens = text.replace("\u00a0", " ").split()
    if not 1 <= len(tokens) <= 7:
        return False
    capitals = 0
    for n, token in enumerate(tokens):
        plain = token.strip(".,").lower()
        if plain in _HONORIFICS or (n and plain in _SUFFIXES):
            continue
        if n and plain in _PARTICLES and token.islower():
            continue
        if not _TOKEN.fullmatch(token) or not token[0].isupper():
            # al-Rashid and d'Arc start low and are no less names.
            if re.fullmatch(r"[’'‘](?:t|s|n)|d[’']", token):
                continue
            if not (re.match(r"(?:al|el|ul|bin|d|l|o|de|ad|an|as|ash|ur)[-’'‐‑]", token) and _TOKEN.fullmatch(token)):
                return False
        if plain in _TITLE_WORDS and not re.fullmatch(r"[A-Z]\.", token):
            return False
        capitals += 1
    return 1 <= capitals <= 5


def _cased(name: str) -> str:
    # JANE O'NEILL is the same person as Jane O'Neill, and Dr. Jane O'Neill is too.
    words = _TAKEN_OFF.sub("", name).split()
    if not all(w.isupper() for w in words) or len(name) <= 4:
        return " ".join(words)
    if len(words) == 1 and len(name) <= 5:
        return name
    return " ".join(
        w.lower() if w.lower() in _PARTICLES and n else re.sub(r"[^\W\d_]+", lambda m: m[0].capitalize(), w)
        for n, w in enumerate(words)
    )
