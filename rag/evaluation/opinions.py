"""What readers of the page thought of answers, as questions that evaluation reads, and as a list of what to mend.

An answer called good shows what answers its question: the words it cites.  A refusal called good says that nothing
does.  An answer called bad says neither; it goes to the other list, for somebody to read and to answer rightly.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rag.errors import BadSource
from rag.to_json import JSON

QUESTIONS = "questions.jsonl"
CRITICISED = "criticised.jsonl"


def questions(opinions: Iterable[Mapping[str, Any]]) -> list[JSON]:
    """Return the questions that opinions answer, one for each text asked, in the order they were first judged.

    A follow-up is told as the whole question that was searched for.  A later opinion on the same question adds its
    evidence; that there is none stands only while nobody found some, and tells nothing where a filter was on.  What
    a sentence called bad rests on is no evidence.
    """
    listed = list(opinions)
    bad = {(o["turn"], n) for o in listed if not o["good"] and o["sentence"] is not None for n in _cited(o)}
    found: dict[str, JSON] = {}
    for o in listed:
        if not o["good"] or not o["answer"]:
            continue
        text = str(o["answer"].get("standalone") or o["question"]).strip()
        evidence = [e for n, e in _evidence(o).items() if (o["turn"], n) not in bad]
        is_refusal = o["answer"].get("outcome") == "abstained" and not any(o["filters"].values())
        if not evidence and not is_refusal:
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
            "cited": list(_evidence(o).values()),
        }
        for o in opinions
        if not o["good"]
    ]


def write(opinions: Iterable[Mapping[str, Any]], folder: Path) -> dict[str, int]:
    """Write both lists into a folder, and return how many records each has.

    Raises BadSource where one is there already, which may be somebody's own, or cannot be written.
    """
    all_of_them = list(opinions)
    written = {QUESTIONS: questions(all_of_them), CRITICISED: criticised(all_of_them)}
    for name in written:
        if (folder / name).exists():
            raise BadSource(f"{(folder / name).absolute()} is there already: name another folder, or remove it")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, records in written.items():
            lines = "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records)
            (folder / name).write_text(lines, "utf-8")
    except OSError as error:
        raise BadSource(f"{folder.absolute()} cannot be written ({error.strerror}): name another folder") from error
    return {name: len(records) for name, records in written.items()}


def _sentence(opinion: Mapping[str, Any]) -> Mapping[str, Any]:
    sentences = opinion["answer"].get("sentences", ())
    n = opinion["sentence"]
    return sentences[n] if n is not None and n < len(sentences) else {}


def _cited(opinion: Mapping[str, Any]) -> set[int]:
    """Return the numbers of the citations of the answer, or of the sentence that is meant."""
    if opinion["sentence"] is None:
        return {c["number"] for c in opinion["answer"].get("citations", ())}
    return set(_sentence(opinion).get("citations", ()))


def _evidence(opinion: Mapping[str, Any]) -> dict[int, JSON]:
    """Return what is cited, by its number."""
    meant = _cited(opinion)
    return {
        c["number"]: {"doc_id": c["article_id"], "text": c["quote"]}
        for c in opinion["answer"].get("citations", ())
        if c["number"] in meant
    }
