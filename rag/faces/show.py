"""Values as text for a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import click

from rag.types import Answer, Article, ArticleHead, Citation, Hit, Progress, Report, Steps, Text

LOOKS: dict[str, dict[str, bool]] = {"strong": {"bold": True}, "added": {"dim": True}}
"""How a terminal shows the answering words, and what was added to a quote."""


@contextmanager
def progress() -> Iterator[Callable[[Progress | Steps], None]]:
    """Give a function that shows progress on standard error: a bar on a terminal, else a line now and then."""
    if sys.stderr.isatty():
        with _bar() as on_progress:
            yield on_progress
        return
    shown = 0.0

    def line(p: Progress | Steps) -> None:
        nonlocal shown
        if p.seconds < shown:  # something else began
            shown = 0.0
        if p.seconds - shown >= 10:
            shown = p.seconds
            print(_told(p), file=sys.stderr, flush=True)  # noqa: T201

    yield line


def _told(p: Progress | Steps) -> str:
    rate = p.done / p.seconds if p.seconds else 0.0
    left = f", {_time((p.total - p.done) / rate)} left" if rate else ""
    what = f"{p.doing}: " if isinstance(p, Steps) else ""
    things = p.things if isinstance(p, Steps) else "pages"
    return f"{what}{p.done:,} of {p.total:,} {things}, {_rate(p)}, {_time(p.seconds)} so far{left}"


def _rate(p: Progress | Steps) -> str:
    if isinstance(p, Steps):
        return f"{p.done / p.seconds if p.seconds else 0:,.0f} a second"
    return f"{p.embedded:,} passages embedded ({p.embedded / p.seconds if p.seconds else 0:,.0f} a second)"


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"


@contextmanager
def _bar() -> Iterator[Callable[[Progress | Steps], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def on_progress(p: Progress | Steps) -> None:
            doing = p.doing if isinstance(p, Steps) else "ingest"
            if doing not in tasks:
                tasks[doing] = bars.add_task(doing, total=p.total, note="")
            bars.update(tasks[doing], completed=p.done, total=p.total, note=_rate(p))

        yield on_progress


def report(r: Report, *, dry_run: bool) -> str:
    """Return what an ingest did, in a few lines."""
    told = "would be " if dry_run else ""
    counts = (
        f"{r.added:,} {told}added, {r.changed:,} {told}changed, {r.removed:,} {told}removed, {r.unchanged:,} unchanged"
    )
    if r.failed:
        counts += f", {len(r.failed):,} not read"
    if r.duplicates:
        counts += f"; {r.duplicates:,} also printed elsewhere"
    if dry_run:
        return counts
    return (
        f"{counts}\n{r.articles:,} articles in {r.passages:,} passages; "
        f"{r.embedded:,} embedded, {r.reused:,} known already; {_time(r.seconds)}"
    )


def byline(head: ArticleHead) -> str:
    """Return title, authors and date in one line."""
    parts = [head.title, ", ".join(head.authors), head.published.isoformat() if head.published else ""]
    return " · ".join(p for p in parts if p)


def also(head: ArticleHead) -> str:
    """Return the line that names another article which prints a hit too."""
    told = ", ".join(p for p in (head.source, head.published.isoformat() if head.published else "") if p)
    return f"also in {head.title}{f' ({told})' if told else ''}"


def hits(found: Sequence[Hit], phrases: Sequence[str] = ()) -> str:
    """Return hits as numbered paragraphs, or which `phrases` of the question they would have had to hold."""
    if not found:
        said = " and ".join(f'"{line(p)}"' for p in phrases)
        return f"nothing found: no passage holds {said}, as quotation marks demand" if said else "nothing found"
    return "\n\n".join(
        f"{h.rank}. {h.score:.3f}  {line(byline(h.article))}\n   {line(h.passage.id)}"
        f"{'  ' + line(h.passage.section) if h.passage.section else ''}\n   {line(' '.join(h.passage.text.split()))}"
        f"{''.join(f'{chr(10)}   {line(also(a))}' for a in h.also)}"
        for h in found
    )


def piece(p: Text | Citation | Answer) -> str:
    """Return a piece of a streaming answer."""
    if isinstance(p, Text):
        # What click.echo writes elsewhere than to a terminal loses these again.
        return _safe(p.text) if p.role == "plain" else click.style(_safe(p.text), **LOOKS[p.role])
    return f" [{p.number}]" if isinstance(p, Citation) else ""


def sources(a: Answer) -> str:
    """Return what stands below an answer: how it came about, its sources, or the nearest passages without an answer."""
    told = [f"Searched for: {line(a.standalone)}"] if a.standalone != a.question else []
    told += [f"Note: {line(note)}" for note in a.notes]
    lines = ["", *([""] if told else []), *told]
    if a.outcome == "abstained":
        if a.hits:
            lines += ["", "Nearest passages:"]
        for h in a.hits[:3]:
            lines.append(f"  - {line(byline(h.article))}\n    {line(_short(h.passage.text))}")
            lines += [f"    {line(also(twin))}" for twin in h.also]
        return "\n".join(lines)
    lines += ["", "Sources:"]
    for c in a.citations:
        mark = "" if c.support.verdict == "supported" else f"  ({c.support.verdict})"
        lines.append(f"  [{c.number}] {line(byline(c.article))}{mark}\n      {line(c.article_id)} [{c.start}:{c.end}]")
        lines += [f"      {line(also(twin))}" for twin in c.also]
    return "\n".join(lines)


def articles(listed: Sequence[tuple[ArticleHead, int]]) -> str:
    """Return articles, one a line."""
    if not listed:
        return "no articles"
    return "\n".join(f"{line(head.id)}\n    {line(byline(head))} · {n} passages" for head, n in listed)


def article(a: Article, passages: int, current: str | None) -> str:
    """Return an article with what is known about it; `current` is the revision that is searched now."""
    changed = f" (superseded: the article has changed, {current} is its newest)"
    if current is None:
        changed = " (superseded: the article has been taken out, ingest it again)"
    facts = [
        ("id", a.id),
        ("title", a.title + (" (made from the opening words)" if a.title_made else "")),
        ("authors", ", ".join(a.authors)),
        ("published", a.published.isoformat() if a.published else ""),
        ("url", a.url or ""),
        ("source", a.source),
        ("revision", a.revision + (changed if a.revision != current else "")),
        ("sections", ", ".join(s.name for s in a.sections)),
        ("passages", str(passages)),
    ]
    return "\n".join(f"{name:10} {line(value)}" for name, value in facts if value) + "\n\n" + _safe(a.text)


def findings(f: Mapping[str, Any]) -> str:
    """Return what `rag doctor` found."""
    apart = ("problems", "packages", "index", "repaired", "compared")
    lines = [f"{name:10} {value}" for name, value in f.items() if name not in apart]
    lines += [f"{'packages':10} " + ", ".join(f"{n} {v}" for n, v in f["packages"].items())]
    told = ("fingerprint", "approximate", "recall")
    lines += [f"{'index':10} " + ", ".join(f"{n} {v}" for n, v in f["index"].items() if n not in told)]
    if "recall" in f["index"]:
        lines += [f"{'recall':10} {_recall(f['index']['approximate'], f['index']['recall'])}"]
    if "compared" in f:
        lines += [f"{'compared':10} " + ", ".join(f"{n} {v}" for n, v in f["compared"].items())]
    lines += [f"repaired: {one}" for one in f.get("repaired", ())]
    partly = " with what was looked through" if "format" in f["index"] else ""
    lines += [f"problem: {one}" for one in f["problems"]] or [f"nothing is wrong{partly}"]
    return "\n".join(map(line, lines))


def _recall(approximate: int, recall: float) -> str:
    if not approximate:
        return "every search by meaning is exact"
    return f"recall@10 {recall:.3f} of made questions, {approximate:,} passages approximate; the rest exact"


def _short(text: str, most: int = 200) -> str:
    said = " ".join(text.split())
    return said if len(said) <= most else said[: most - 1].rsplit(" ", 1)[0] + "…"


def line(text: str) -> str:
    """Return text for one line of a terminal, safe there; see `_safe`."""
    return _safe(" ".join(text.splitlines()))


def _safe(text: str) -> str:
    """Return text that cannot move a terminal's cursor or change its state."""
    return "".join(c if c in "\n\t" or c.isprintable() or (c.isspace() and ord(c) >= 0xA0) else " " for c in text)
