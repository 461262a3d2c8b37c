"""What readers of the page thought of answers, as questions that evaluation reads, and as a list of what to mend.

An answer called good shows what answers its question: the words it cites.  A refusal called good says that nothing
does.  An answer called bad says neither; it goes to the other list, for somebody to read and to answer rightly.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

JSON = dict[str, Any]

QUESTIONS = "questions.jsonl"
CRITICISED = "criticised.jsonl"


def questions(opinions: Iterable[Mapping[str, Any]]) -> list[JSON]:
    """Return the questions that opinions answer, one for each text asked, in the order they were first judged.

    A later opinion on the same question adds its evidence; that there is none stands only while nobody found some.
    """
    found: dict[str, JSON] = {}
    for o in opinions:
        if not o["good"] or not o["answer"]:
            continue
        text = str(o["question"]).strip()
        evidence = _evidence(o)
        if not evidence and o["answer"].get("outcome") != "abstained":
            continue
        record = found.setdefault(text, {"question": text, "evidence": []})
        record["evidence"] += [e for e in evidence if e not in record["evidence"]]
    for record in found.values():
        record["answerable"] = bool(record["evidence"])
    return list(found.values())


def criticised(opinions: Iterable[Mapping[str, Any]]) -> list[JSON]:
    """Return what was called bad: the question, the answer, the sentence that was meant, and the reader's reason."""
    return [
        {
            "question": o["question"],
            "outcome": o["answer"].get("outcome", "stopped"),
            "answer": o["answer"].get("text", ""),
            "sentence": _sentence(o).get("text"),
            "reason": o["reason"],
            "cited": _evidence(o),
        }
        for o in opinions
        if not o["good"]
    ]


def write(opinions: Iterable[Mapping[str, Any]], folder: Path) -> dict[str, int]:
    """Write both lists into a folder, and return how many records each has."""
    all_of_them = list(opinions)
    written = {QUESTIONS: questions(all_of_them), CRITICISED: criticised(all_of_them)}
    folder.mkdir(parents=True, exist_ok=True)
    for name, records in written.items():
        lines = "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records)
        (folder / name).write_text(lines, "utf-8")
    return {name: len(records) for name, records in written.items()}


def _sentence(opinion: Mapping[str, Any]) -> Mapping[str, Any]:
    sentences = opinion["answer"].get("sentences", ())
    n = opinion["sentence"]
    return sentences[n] if n is not None and n < len(sentences) else {}


def _evidence(opinion: Mapping[str, Any]) -> list[JSON]:
    """Return what the answer cites, or the sentence that is meant."""
    citations = opinion["answer"].get("citations", ())
    if opinion["sentence"] is not None:
        meant = set(_sentence(opinion).get("citations", ()))
        citations = [c for c in citations if c["number"] in meant]
    return [{"doc_id": c["article_id"], "text": c["quote"]} for c in citations]
