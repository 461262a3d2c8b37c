"""How well sentences and quotes are judged: `python eval/verdicts.py FOLDER`.

FOLDER holds the outside sets.  Of each sentence that holds marked evidence, `restated.py` makes others: such as say the
same, which its quote supports, and such as say something else, which it does not.  Questions belong to halves: rules
and cuts were made on one, with the half of our own labelled sentences (questions/verdicts.jsonl, written by a small
model) that tunes, and everything in the report is of the other.

Writes results/verdicts.md and .json.  No text of a set is kept.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from restated import QUOTED, TRUE, WRONG, Given, embedded, names
from tables import commit

from rag.answer import support
from rag.answer.facts import facts
from rag.evaluation.halves import Half, half
from rag.evaluation.tables import table
from rag.files import records
from rag.intake.chunk import sentences
from rag.types import Verdict
from rag.words import terms

HERE = Path(__file__).parent
LABELLED = HERE / "questions" / "verdicts.jsonl"
SETS = ("squad2-half", "nq-gold", "timeqa-articles", "news-2022")
LENGTH = (30, 400)
"""Sentences of so many characters are taken: shorter ones are headings, longer ones lists."""
MOST = 3000
"""Pairs of one kind, of either half."""
OURS = "written by a model"
NAMES = ("supported", "partial", "unsupported")


@dataclass(frozen=True)
class Pair:
    """A sentence, its quote, what else the reader knows, and what the verdict should be."""

    kind: str
    half: Half
    sentence: str
    quote: str
    context: str
    label: str


Judge = Callable[[Pair], Verdict]


# -- pairs ------------------------------------------------------------------------------------


def given(folder: Path) -> Iterator[tuple[str, Half, Given]]:
    """Yield the sentences that hold evidence, each once, with the id and the half of its question."""
    for name in SETS:
        corpus = {str(r["_id"]): r for _, r in records(folder / name / "corpus.jsonl")}
        spans: dict[str, list[str]] = {}
        seen = set()
        for _, question in records(folder / name / "qa.jsonl"):
            for evidence in question.get("evidence", ()):
                id = evidence["doc_id"]
                article = corpus.get(id)
                if not article or not evidence["text"] or evidence["text"] not in article["text"]:
                    continue
                if id not in spans:
                    text = article["text"]
                    spans[id] = [" ".join(text[s.start : s.end].split()) for s in sentences(text)]
                wanted = " ".join(evidence["text"].split())
                at = next((i for i, s in enumerate(spans[id]) if wanted in s or s in wanted), None)
                if at is None or (id, at) in seen or not LENGTH[0] <= len(spans[id][at]) <= LENGTH[1]:
                    continue
                seen.add((id, at))
                beside = [spans[id][i] for i in (at - 1, at + 1) if 0 <= i < len(spans[id])]
                beside = [b for b in beside if LENGTH[0] <= len(b) <= LENGTH[1]]
                around = names(" ".join(spans[id][max(at - 20, 0) : at + 20]))
                yield (
                    f"{name}/{question['id']}",
                    half(name, question["id"]),
                    Given(spans[id][at], article["title"], around, beside),
                )


def made(folder: Path) -> list[Pair]:
    """Return the pairs made of all sets, at most so many of a kind, drawn by the seed."""
    pairs = defaultdict(list)
    for id, part, one in given(folder):
        for kind, change in (TRUE | WRONG).items():
            draw = random.Random(hashlib.sha256(f"{id}/{kind}".encode()).digest())
            said = change(one, draw)
            if said is None or (said == one.text and kind != "verbatim"):
                continue
            label = "supported" if kind in TRUE else "unsupported"
            pairs[kind].append(Pair(kind, part, said, one.text, one.title, label))
        for kind, openings in QUOTED.items():
            draw = random.Random(hashlib.sha256(f"{id}/{kind}".encode()).digest())
            quote = embedded(one, draw.choice(openings))
            pairs[kind].append(Pair(kind, part, one.text, quote, one.title, "unsupported"))
    draw = random.Random(0)
    return [p for kind in (*TRUE, *WRONG, *QUOTED) for p in draw.sample(pairs[kind], min(MOST, len(pairs[kind])))]


def labelled() -> list[Pair]:
    """Return the sentences that a model wrote and that are labelled by hand."""
    return [
        Pair(OURS, half("verdicts", r["id"]), r["sentence"], r["quote"], "", r["label"]) for _, r in records(LABELLED)
    ]


# -- judging ----------------------------------------------------------------------------------


def by_words(pair: Pair) -> Verdict:
    """Return the verdict that shared words alone give: what was done before facts were compared."""
    said = " ".join(pair.sentence.split())
    if said in " ".join(pair.quote.split()):
        return Verdict("supported", 1.0)
    wanted = set(terms(said))
    share = len(wanted & set(terms(pair.quote))) / len(wanted) if wanted else 0.0
    return Verdict("supported" if share >= 0.9 else "partial" if share >= 0.5 else "unsupported", share)


def by_facts(pair: Pair) -> Verdict:
    """Return the shipped verdict."""
    return support.verdict(pair.sentence, pair.quote, context=pair.context)


JUDGES: dict[str, Judge] = {"shared words": by_words, "shipped": by_facts}


def counted(pairs: Sequence[Pair], judge: Judge) -> dict[str, Any]:
    """Return how often each verdict is given, by kind of pair."""
    found: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(NAMES, 0))
    for p in pairs:
        found[p.kind][judge(p).verdict] += 1
    return dict(found)


def confusion(pairs: Sequence[Pair], judge: Judge) -> dict[str, dict[str, int]]:
    """Return how often each verdict is given for each label."""
    found = {label: dict.fromkeys(NAMES, 0) for label in NAMES}
    for p in pairs:
        found[p.label][judge(p).verdict] += 1
    return found


def calibration(pairs: Sequence[Pair], judge: Judge) -> list[list[str]]:
    """Return, of bands of the score, how many of the pairs are supported by their labels."""
    rows = []
    scored = [(judge(p).score, p.label) for p in pairs]
    for low, high in ((0, 0.2), (0.2, 0.5), (0.5, 0.7), (0.7, 0.85), (0.85, 1.01)):
        some = [label for score, label in scored if low <= score < high]
        if some:
            shares = [f"{some.count(n) / len(some):.0%}" for n in NAMES]
            rows.append([f"{low:g} to {min(high, 1):g}", str(len(some)), *shares])
    return rows


# -- report -----------------------------------------------------------------------------------


def of_kinds(found: dict[str, dict[str, dict[str, int]]]) -> str:
    """Return tables of the kinds of change, those that keep a sentence true first."""
    shipped, words = found["shipped"], found["shared words"]
    true_rows, wrong_rows = [], []
    # Precision depends on how many true sentences there are: they are weighted as if there were as many as wrong ones.
    false_alarm = np.mean([1 - c["supported"] / sum(c.values()) for k, c in shipped.items() if k in TRUE])
    alarm_words = np.mean([1 - c["supported"] / sum(c.values()) for k, c in words.items() if k in TRUE])
    for kind in TRUE:
        if kind in shipped:
            c, n = shipped[kind], sum(shipped[kind].values())
            true_rows.append(
                [kind, f"{n:,}", *(f"{c[v] / n:.1%}" for v in NAMES), f"{words[kind]['supported'] / n:.1%}"]
            )
    for kind in (*WRONG, *QUOTED):
        if kind in shipped:
            c, n = shipped[kind], sum(shipped[kind].values())
            caught, before = 1 - c["supported"] / n, 1 - words[kind]["supported"] / n
            wrong_rows.append(
                [
                    kind,
                    f"{n:,}",
                    f"{caught:.1%}",
                    f"{caught / (caught + false_alarm):.1%}",
                    f"{c['unsupported'] / n:.1%}",
                    f"{before:.1%}",
                    f"{before / (before + alarm_words):.1%}",
                ]
            )
    return "\n\n".join(
        [
            "Still true; recall is the share that is called supported.",
            table(["said again", "pairs", *NAMES, "supported by shared words"], true_rows),
            "Made wrong; recall is the share that is not called supported.  Precision: of what is not called "
            "supported, the share that is wrong, with as many true sentences, of all kinds above alike, as wrong ones.",
            table(
                [
                    "made wrong by",
                    "pairs",
                    "recall",
                    "precision",
                    "called unsupported",
                    "recall, shared words",
                    "precision, shared words",
                ],
                wrong_rows,
            ),
        ]
    )


def of_confusion(found: dict[str, dict[str, int]]) -> str:
    """Return a confusion table with precision and recall."""
    rows = []
    for label in NAMES:
        n, said = sum(found[label].values()), sum(found[x][label] for x in NAMES)
        right = found[label][label]
        rows.append(
            [
                label,
                str(n),
                *(str(found[label][v]) for v in NAMES),
                f"{right / said:.2f}" if said else "",
                f"{right / n:.2f}" if n else "",
            ]
        )
    return table(["label", "n", *(f"judged {n}" for n in NAMES), "precision", "recall"], rows)


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    args = parser.parse_args()
    pairs, ours = made(args.folder), labelled() if LABELLED.exists() else []
    report, own = ([p for p in some if p.half == "report"] for some in (pairs, ours))
    kinds = {name: counted(report, judge) for name, judge in JUDGES.items()}
    facts.cache_clear()
    began = time.process_time()
    counted(report, by_facts)
    each = (time.process_time() - began) / max(len(report), 1) * 1e3
    tables = {name: confusion(own, judge) for name, judge in JUDGES.items()}
    text = "\n\n".join(
        [
            f"Made {date.today()} by eval/verdicts.py at commit {commit()}.  Rules and cuts made on the tuning "
            f"halves, but for one choice told below; all figures of the reporting halves of {', '.join(SETS)}.  "
            f"{each:.2f} ms a pair.",
            "## Sentences changed by rule",
            of_kinds(kinds),
            f"## Sentences that a model wrote, labelled by hand (reporting half, {len(own)})",
            "As shipped:",
            of_confusion(tables["shipped"]),
            "By shared words alone:",
            of_confusion(tables["shared words"]),
            "One choice was made by a look at these very sentences: cuts of the share of words, and not a model of "
            "ordered outcomes over the same facts.  So their figures flatter it a little.",
            "What scores mean, on the same sentences:",
            table(["score", "n", *NAMES], calibration(own, by_facts)),
        ]
    )
    found = {"commit": commit(), "kinds": kinds, "labelled": tables}
    (HERE / "results" / "verdicts.md").write_text(text + "\n", "utf-8")
    (HERE / "results" / "verdicts.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    print(text)


if __name__ == "__main__":
    main()
