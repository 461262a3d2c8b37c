"""What a page says about itself, checked: ids, titles, authors and dates of front matter and metadata."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from rag.errors import UnreadablePage
from rag.intake.bylines import read_names
from rag.intake.dates import read_date
from rag.intake.text import clean


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of an article before its text is read; empty where nothing was said."""

    id: str = ""
    title: str = ""
    authors: tuple[str, ...] = ()
    published: date | None = None
    url: str | None = None
    source: str = ""


def from_front_matter(fields: dict[str, object]) -> Known:
    """Return what the front matter says.  Raises UnreadablePage for a field of the wrong type."""
    by = "authors" if fields.get("authors") is not None else "author"
    day = "published" if fields.get("published") is not None else "date"
    return Known(
        id=as_id(fields.get("id"), "front matter id"),
        title=as_words(fields.get("title"), "front matter title"),
        authors=as_authors(fields.get(by), f"front matter {by}"),
        published=as_published(fields.get(day), f"front matter {day}"),
        url=as_words(fields.get("url"), "front matter url") or None,
        source=as_words(fields.get("source"), "front matter source"),
    )


def as_words(value: object, what: str) -> str:
    """Return a text on one line; empty for None.  Raises UnreadablePage for a list, mapping or truth value."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, (str, int, float, date)):
        raise UnreadablePage(f"{what} is {_shown(value)}: write it as text")
    return " ".join(clean(str(value)).split())


def as_id(value: object, what: str) -> str:
    """Return an id; empty for None.  Raises UnreadablePage where it holds white space."""
    words = as_words(value, what)
    if " " in words:
        raise UnreadablePage(f"{what} {words[:60]!r} holds white space: write it without")
    return words


def as_authors(value: object, what: str) -> tuple[str, ...]:
    """Return authors given as a list of names or as one text.  Raises UnreadablePage for anything else."""
    if value is None:
        return ()
    if isinstance(value, str):
        words = as_words(value, what)
        names = read_names(words)
        return names if len(names) > 1 else ((words,) if words else ())
    if isinstance(value, list) and all(name is None or isinstance(name, str) for name in value):
        return tuple(dict.fromkeys(words for name in value if (words := as_words(name, what))))
    raise UnreadablePage(f"{what} is {_shown(value)}: write a list of names")


def as_published(value: object, what: str) -> date | None:
    """Return a day given as date, time, ISO text or words.  Raises UnreadablePage for anything else."""
    if value is None or value == "":
        return None
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value.strip()).date()
        except ValueError:
            # Not ISO: a date in words is taken too, an ambiguous one is not.
            day = read_date(value)
        if day:
            return day
    raise UnreadablePage(f"{what} is {_shown(value)}, no date: write it as YYYY-MM-DD")


def _shown(value: object) -> str:
    # A list or mapping of YAML may repeat itself without end: only its kind is named.
    if isinstance(value, (list, dict, set, bytes)):
        return f"a {type(value).__name__}"
    return f"the {type(value).__name__} {' '.join(str(value)[:200].split())[:40]!r}"
