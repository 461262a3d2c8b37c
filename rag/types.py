"""The values that users see, from an article that is handed over to the answer that cites it.

They are frozen and hold no I/O; what they are given is checked.  All offsets count Unicode code points in
`Article.text`, half open: `text[start:end]`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from rag.errors import InvalidArticle, InvalidFilter
from rag.given import as_date, as_text, as_texts, as_tuple, short

Outcome = Literal["answered", "partly", "conflict", "abstained"]
Role = Literal["plain", "strong", "added"]
VerdictName = Literal["supported", "partial", "unsupported"]
Group = Literal["passage", "article"]
With = Literal["ray"]


@dataclass(frozen=True, slots=True)
class Section:
    """A named stretch of an article."""

    name: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class ArticleHead:
    """What a reader needs to know an article by: everything but its text."""

    id: str
    title: str
    authors: tuple[str, ...] = ()
    published: date | None = None
    url: str | None = None
    source: str = ""
    title_made: bool = False


@dataclass(frozen=True, slots=True)
class Article:
    """One article: its own slice of a page, and what is known about it.

    `published` may be given as ISO text.  `title_made` says that the title was made from the
    opening words because the page had none.  `revision` is a digest of everything a reader sees,
    so it changes exactly when the article does.  Half a surrogate pair, which no file can hold, becomes U+FFFD.

    Raises InvalidArticle for an empty id, white space in it, a bad date, a section outside the text, and for what is
    no text where text belongs.

    >>> Article(id="a", title="T", text="Body.", published="2024-11-20").published.year
    2024
    """

    id: str
    title: str
    text: str
    authors: tuple[str, ...] = ()
    published: date | None = None
    url: str | None = None
    source: str = ""
    title_made: bool = False
    sections: tuple[Section, ...] = ()
    revision: str = field(init=False, default="")

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "id", as_text(self.id, "article id"))
        if not self.id or any(c.isspace() for c in self.id):
            raise InvalidArticle(f"article id {self.id!r} is empty or holds white space: give it another id")
        this = f"article {self.id}:"
        for name in ("title", "text", "source"):
            put(self, name, as_text(getattr(self, name), f"{this} {name}"))
        put(self, "url", None if self.url is None else as_text(self.url, f"{this} url"))
        put(self, "published", as_date(self.published, f"{this} published"))
        put(self, "authors", as_texts(self.authors, f"{this} authors"))
        put(self, "title_made", bool(self.title_made))
        put(
            self,
            "sections",
            tuple(_section(s, len(self.text), this) for s in as_tuple(self.sections, f"{this} sections")),
        )
        seen = [
            self.title,
            self.title_made,
            self.text,
            list(self.authors),
            self.published.isoformat() if self.published else None,
            self.url,
            [[s.name, s.start, s.end] for s in self.sections],
        ]
        digest = hashlib.sha256(json.dumps(seen, ensure_ascii=True, separators=(",", ":")).encode()).hexdigest()
        put(self, "revision", digest[:16])

    @property
    def head(self) -> ArticleHead:
        """The article without its text."""
        return ArticleHead(self.id, self.title, self.authors, self.published, self.url, self.source, self.title_made)


@dataclass(frozen=True, slots=True)
class Passage:
    """A stretch of one revision of an article: `article.text[start:end] == text`."""

    article_id: str
    revision: str
    start: int
    end: int
    section: str
    text: str

    @property
    def id(self) -> str:
        """The passage's address, `article@revision:start-end`."""
        return f"{self.article_id}@{self.revision}:{self.start}-{self.end}"


@dataclass(frozen=True, slots=True)
class Filter:
    """What a hit must satisfy.  Values of one kind are alternatives, kinds are combined.

    Dates are inclusive; an article without a date is outside every date range.  Authors match by
    whole name, case and diacritics folded.  Section names are canonical, so any case will do.
    `phrases` must all occur in the passage.

    Raises InvalidFilter for a bad date, a bare string where a list belongs and what is no text in one.
    """

    authors: tuple[str, ...] = ()
    since: date | None = None
    until: date | None = None
    sections: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    articles: tuple[str, ...] = ()
    phrases: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("authors", "sections", "sources", "articles", "phrases"):
            object.__setattr__(self, name, as_texts(getattr(self, name), f"filter {name}", InvalidFilter))
        for name in ("since", "until"):
            object.__setattr__(self, name, as_date(getattr(self, name), f"filter {name}", InvalidFilter))

    def __bool__(self) -> bool:
        return any((self.authors, self.since, self.until, self.sections, self.sources, self.articles, self.phrases))


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage found for a question.

    `rank` counts from 1.  `score` is the retriever's own, higher is better, and compares only
    within one list.  `ranks` says where each member of a fused retriever had it.  `also` names the articles that print
    the passage too, of which no hit of their own is shown; a filter does not hold for them.
    """

    rank: int
    score: float
    ranks: Mapping[str, int]
    passage: Passage
    article: ArticleHead
    also: tuple[ArticleHead, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a cited span supports a sentence; `score` from 0 to 1."""

    verdict: VerdictName
    score: float


@dataclass(frozen=True, slots=True)
class Support:
    """The verdict on one citation of a sentence, named by its number."""

    number: int
    verdict: VerdictName
    score: float


@dataclass(frozen=True, slots=True)
class Citation:
    """A numbered span of an article: `article.text[start:end] == quote` in that revision, always.

    One number names one span.  `support` is the worst verdict among its uses.  `also` names the articles linked with
    this one, when the answer was given, that print the quote word for word; a filter does not hold for them.
    """

    number: int
    article: ArticleHead
    article_id: str
    revision: str
    start: int
    end: int
    quote: str
    support: Verdict
    also: tuple[ArticleHead, ...] = ()


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of an answer, without markers, and the numbers of the citations behind it.

    `strong` are the spans of its text that hold the answering words, `added` those that were put in to make it clear
    or say its date; both are characters [start:end], in order.
    """

    text: str
    citations: tuple[int, ...]
    support: tuple[Support, ...]
    strong: tuple[tuple[int, int], ...] = ()
    added: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply to a question.

    `text` is the sentences with their markers, as in `It has two. [1]`.  `confidence` is the
    probability, 0 to 1, that the evidence answers the question.  `notes` are lines on how it came about that a reader
    should know, as that a service failed.
    """

    question: str
    standalone: str
    text: str
    sentences: tuple[Sentence, ...]
    citations: tuple[Citation, ...]
    hits: tuple[Hit, ...]
    outcome: Outcome
    confidence: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Failure:
    """A page that could not be read, and why."""

    source: str
    reason: str


@dataclass(frozen=True, slots=True)
class Report:
    """What an ingest did.  All but `seconds` and `failed` are counts.

    `duplicates` articles of those added or changed are printed alike by others.  `articles` and `passages` are what the
    index holds afterwards.  `embedded` texts went through
    the model in this run; `reused` ones were known from an earlier run or article.
    """

    added: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0
    duplicates: int = 0
    articles: int = 0
    passages: int = 0
    embedded: int = 0
    reused: int = 0
    seconds: float = 0.0
    failed: tuple[Failure, ...] = ()


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an ingest has come: pages stored of all there are, texts embedded so far, seconds since it began."""

    done: int
    total: int
    embedded: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Steps:
    """How far something else that takes long has come: what it is doing, things done of all, seconds so far."""

    doing: str
    done: int
    total: int
    seconds: float
    things: str = "questions"


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of an answer's text, as it is written.

    Its role says whether it holds the answering words, or was added to make what is quoted clear.
    """

    text: str
    role: Role = "plain"


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What must be equal for vectors to be comparable and passages to be cut alike."""

    model: str
    model_digest: str
    dim: int
    max_tokens: int
    passage_tokens: int
    overlap_tokens: int
    context: float = 0.0
    title: bool = True


@dataclass(frozen=True, slots=True)
class Stats:
    """What an index holds.

    `approximate` passages are searched through cells, of whose ten nearest a share of `recall` was found when these
    were made; all others exactly.
    """

    articles: int
    passages: int
    segments: int
    tombstones: int
    generation: int
    bytes: int
    fingerprint: Fingerprint
    approximate: int = 0
    recall: float = 1.0


def _section(value: object, end: int, this: str) -> Section:
    if not isinstance(value, Section):
        raise InvalidArticle(f"{this} {short(value)} is no section: give rag.Section values")
    name = as_text(value.name, f"{this} a section's name")
    if not isinstance(value.start, int) or not isinstance(value.end, int) or not 0 <= value.start <= value.end <= end:
        raise InvalidArticle(f"{this} section {name!r} [{short(value.start)}:{short(value.end)}] is outside the text")
    return value if name == value.name else Section(name, value.start, value.end)
