"""A run as one page to read: figures, plots, and the failures one by one.  No link leads out of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from rag.errors import MissingExtra
from rag.evaluation import pictures
from rag.evaluation.runs import Run, replace

FAILURES = 50
"""Questions shown of those that went worst."""


def retrieval(run: Run, row: Mapping[str, Any], path: Path) -> Path:
    """Write the page of a run of search: the questions with the least of its first measure, and what was found."""
    leading, values = next(iter(run.values.items()))
    worst = sorted((q for q in values if values[q] < 1), key=lambda q: (values[q], q))
    failures = [
        {
            "id": q,
            "text": run.texts[q],
            "value": values[q],
            "wanted": [{**w, "rank": _rank(run, q, w["article"])} for w in run.wanted.get(q, ())],
            "hits": [
                {
                    **h,
                    "parts": marked(h["passage"], run.wanted.get(q, ())),
                    "right": h["article"]["id"] in _right(run, q),
                }
                for h in run.hits[q][:3]
            ],
        }
        for q in worst[:FAILURES]
    ]
    plots = [Markup(pictures.per_question(leading, list(values.values())))]
    return _write(path, "retrieval.html", row=row, leading=leading, failures=failures, failed=len(worst), plots=plots)


def answers(figures: Mapping[str, Any], questions: Sequence[Mapping[str, Any]], path: Path) -> Path:
    """Write the page of a run of answers: calibration, and each wrong answer, wrong refusal and answer to nothing."""
    plots = [
        Markup(pictures.reliability(figures["reliability"])),
        Markup(pictures.risk_coverage({figures["set"]: figures["risk_coverage"]})),
    ]
    kinds: dict[str, list[Mapping[str, Any]]] = {
        "answered, and not rightly": [],
        "refused": [],
        "answered from nothing": [],
    }
    for q in questions:
        answered = q["outcome"] != "abstained" and q["confidence"] >= figures["threshold"]
        if q["answerable"] and not answered:
            kinds["refused"].append(q)
        elif answered and not q["answerable"]:
            kinds["answered from nothing"].append(q)
        elif answered and not q.get("holds_answer", q.get("evidence_recall", 1.0) > 0):
            kinds["answered, and not rightly"].append(q)
    return _write(path, "answers.html", figures=figures, kinds=kinds, most=FAILURES, plots=plots)


def comparison(found: Mapping[str, Any], path: Path) -> Path:
    """Write the page of a comparison: its table, the differences by question, and the questions that moved most."""
    leading = found["rows"][0]["measure"]
    plots = {run: Markup(pictures.differences(leading, list(of.values()))) for run, of in found["differences"].items()}
    return _write(path, "comparison.html", found=found, leading=leading, plots=plots)


def marked(passage: Mapping[str, Any], wanted: Sequence[Mapping[str, Any]]) -> list[tuple[str, bool]]:
    """Return a passage's text in parts, each with whether it is of a quote that answers.

    >>> marked({"article_id": "a", "start": 10, "text": "one two"}, [{"article": "a", "spans": [[14, 17]]}])
    [('one ', False), ('two', True)]
    """
    text, start = passage["text"], passage["start"]
    inside = [False] * len(text)
    for want in wanted:
        if want["article"] == passage["article_id"]:
            for a, b in want["spans"]:
                for n in range(max(a - start, 0), min(b - start, len(text))):
                    inside[n] = True
    parts: list[tuple[str, bool]] = []
    at = 0
    for n in range(1, len(text) + 1):
        if n == len(text) or inside[n] != inside[at]:
            parts.append((text[at:n], inside[at]))
            at = n
    return parts


def _rank(run: Run, query: str, article: str) -> int | None:
    return next((n for n, (a, _) in enumerate(run.ranked.get(query, ()), 1) if a == article), None)


def _right(run: Run, query: str) -> set[str]:
    return {w["article"] for w in run.wanted.get(query, ())}


def _write(path: Path, template: str, **given: Any) -> Path:
    try:
        import jinja2
    except ImportError as e:
        raise MissingExtra("a report", "eval") from e
    # Articles and questions are untrusted: everything is escaped but our own plots.
    pages = jinja2.Environment(
        loader=jinja2.PackageLoader("rag.evaluation", "pages"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    replace(path, pages.get_template(template).render(**given))
    return path
