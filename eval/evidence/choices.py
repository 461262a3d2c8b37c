"""What the writer's constants were chosen by: `python eval/evidence/choices.py DATA[:MOST]...`.

Everything is told of that quarter of the tuning halves which the fits of fit.py for the probability had not seen, so
fit.py has to have run with the same sets before.  One constant is varied at a time, the others being as they are.
Shipped values are marked with a star.  Writes results/choices.md; nothing of the reporting halves is looked at.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import fit
import numpy as np
from cases import Case, States, load
from sklearn.metrics import roc_auc_score

from rag.answer import extract, pointed, reading
from rag.answer.asked import asked
from rag.answer.evidence import Judge
from rag.embed import pairs, prepare, weights
from rag.embed.model import Model
from rag.embed.network import Network
from rag.evaluation.answers import holds
from rag.evaluation.tables import of_records
from rag.handover import Evidence

sys.path.insert(0, str(Path(__file__).parents[1]))
from tables import commit

MOST_TOGETHER = 3
MOST_READ = 2_000
"""Cases of a set, of all kinds, that are read in other precisions."""

RESULT = Path(__file__).parents[1] / "results" / "choices.md"
Row = dict[str, Any]


def main() -> None:
    """Judge once, vary, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="+", metavar="DATA[:MOST]", help="as given to fit.py")
    args = parser.parse_args()
    states: dict[str, States] = {}
    tune: list[Case] = []
    for given in args.data:
        folder, _, most = given.partition(":")
        some, states[Path(folder).name] = load(Path(folder), int(most or 10**9))
        tune += [c for c in some if c.half == "tune"]
    fits = fit.both_fits("part", True, [c for c in tune if not fit.held_out(c)], states)
    cases = [c for c in tune if fit.held_out(c) and c.kind == "answerable" and c.marked]
    fit.TOGETHER = MOST_TOGETHER
    found = fit.judge(*fits, cases, states)
    weight = fit.shipped(cases)[2]
    tables = {
        "What the words weigh that the second reading points to (pair.weight, chosen by fit.py)": [
            {"weight": star(float(w), weight), **ranked(cases, together(found, reading.TOGETHER), float(w))}
            for w in np.round(fit.WEIGHED, 1)
        ],
        "Passages of the best sentences that are read together with the question (reading.TOGETHER)": [
            {"passages": star(n, reading.TOGETHER), **ranked(cases, together(found, n), weight)}
            for n in range(MOST_TOGETHER + 1)
        ],
        "Log-odds that a number other than the question's takes from a sentence (reading.OTHER_NUMBER)": list(
            other_numbers(cases, together(found, reading.TOGETHER), weight)
        ),
    }
    judged = fit.weighed(cases, together(found, reading.TOGETHER), weight)
    evidence = [evidence_of(c, j) for c, j in zip(cases, judged, strict=True)]
    for name, values in (
        ("ENOUGH", (0.8, 0.9, 0.95, 0.97, 0.99)),
        ("LIKELY", (0.01, 0.03, 0.05, 0.07, 0.1)),
        ("USUAL", (1, 2, 3, 4)),
        ("FURTHER_WITH_NAME", (0.0, 3.0, 5.0, 9.0, 15.0)),
        ("SEVERAL", (0.0, 2.5, 4.5, 7.0)),
    ):
        tables[f"Sentences of an answer (extract.{name})"] = list(written(cases, evidence, name, values))
    tables["Words emphasised in the best sentence where the model must be so sure of them (pointed.SURE)"] = list(
        emphasised(cases, judged, evidence)
    )
    tables["Weights that passages are read with, alone and together with the question"] = list(
        precisions([Path(given.partition(":")[0]) for given in args.data], tune)
    )
    about = (
        f"Made {date.today()} by eval/evidence/choices.py at commit {commit()}: {len(cases)} answerable questions of "
        "the tuning halves, judged by fits that had not seen them.  A star marks what is shipped."
    )
    text = "\n\n".join([about, *(f"{title}:\n\n{of_records(rows)}" for title, rows in tables.items())])
    RESULT.write_text(text + "\n", "utf-8")
    print(text)


def precisions(folders: Sequence[Path], tune: Sequence[Case]) -> Iterator[Row]:
    """Yield a row for each set and way to read: how good the evidence is, and how long it takes.

    The head is the one shipped, which has seen these questions: only the rows of a set may be compared.
    """
    with tempfile.TemporaryDirectory() as made:
        for folder in folders:
            cases = [c for c in tune if c.set_name == folder.name and fit.held_out(c)][:MOST_READ]
            cases = [c for c in cases if c.kind in ("answerable", "unanswerable")]
            model = Model()
            networks = {
                "float32": (model._exact, exact_pairs(model, Path(made))),
                "int8": (model._small, model._for_pairs),
            }
            for alone, paired in (("float32", "float32"), ("int8", "float32"), ("int8", "int8")):
                model.__dict__["_small"], model.__dict__["_for_pairs"] = networks[alone][0], networks[paired][1]
                judge = Judge(model)
                judge("Is it ready?", cases[0].hits)
                began = time.perf_counter()
                found = [judge(c.text, c.hits) for c in cases]
                each = (time.perf_counter() - began) / len(cases) * 1e3
                yield {
                    "set": folder.name,
                    "read alone": star(alone, "int8") if paired == "int8" else alone,
                    "read together": star(paired, "int8"),
                    **evidence_row(cases, found),
                    "ms a question": f"{each:.0f}",
                }


def evidence_row(cases: Sequence[Case], found: Sequence[Evidence]) -> Row:
    """Return how often the best sentence, and one of three, holds the answer, and how well refusals are told."""
    held = [
        [holds(s.text, c.answers) for s in e.sentences[:3]]
        for c, e in zip(cases, found, strict=True)
        if c.kind == "answerable" and c.marked
    ]
    truth = np.array([c.kind == "answerable" for c in cases])
    sure = np.array([e.confidence for e in found])
    return {
        "questions": len(cases),
        "first": f"{np.mean([h[0] for h in held]):.3f}",
        "in three": f"{np.mean([any(h) for h in held]):.3f}",
        "AUROC": f"{roc_auc_score(truth, sure):.3f}" if len(set(truth)) == 2 else "",
    }


def exact_pairs(model: Model, folder: Path) -> Network:
    """Return the network that reads pairs with its weights as they were taught."""
    if not (folder / "pairs.onnx").exists():
        body = weights.load(model.name, weights.folder_of(model.name))[0].auto_model
        taught = pairs.taught(body, pairs.weights(model.digest))
        prepare._export(taught, ["ids", "types"], ["odds", "answering"], folder / "exported.onnx")
        prepare._optimize(folder / "exported.onnx", folder, "pairs")
    return Network(folder, "pairs", 1)


def star(value: object, shipped: object) -> str:
    """Return a value as it is told, marked if it is the shipped one."""
    return f"{value}{' *' if value == shipped else ''}"


def together(found: fit.Scored, n: int) -> fit.Scored:
    """Return what was judged with so many passages read together."""
    return [replace(j, read=j.read[:n]) for j in found]


def by_set(cases: Sequence[Case], of: Callable[[int], float], what: str) -> Row:
    """Return the mean of something over each set's questions."""
    names = sorted({c.set_name for c in cases})
    means = {n: np.mean([of(i) for i, c in enumerate(cases) if c.set_name == n]) for n in names}
    return {f"{what} {n}": f"{mean:.3f}" for n, mean in means.items()}


def ranked(cases: Sequence[Case], found: fit.Scored, weight: float) -> Row:
    """Return for each set how often the best sentence, and one of the three best, holds the answer."""
    judged = fit.weighed(cases, found, weight)
    held = [c.answer[np.argsort(-j.scores, kind="stable")] for c, j in zip(cases, judged, strict=True)]
    first = by_set(cases, lambda i: float(held[i][:1].any()), "first")
    return first | by_set(cases, lambda i: float(held[i][:3].any()), "in three")


def other_numbers(cases: Sequence[Case], found: fit.Scored, weight: float) -> Iterator[Row]:
    """Yield a row for each weight of another number."""
    shipped = reading.OTHER_NUMBER
    for value in (0.0, 2.0, 4.0, 6.0, 9.0):
        reading.OTHER_NUMBER = value
        yield {"log-odds": star(value, shipped), **ranked(cases, found, weight)}
    reading.OTHER_NUMBER = shipped


def evidence_of(case: Case, judged: fit.Judged) -> Evidence:
    """Return the evidence that the writer is given."""
    order = np.argsort(-judged.scores, kind="stable")
    best = tuple(replace(case.found[i], score=float(judged.scores[i])) for i in order)
    return Evidence(case.text, tuple(case.hits), best, 1.0)


def written(cases: Sequence[Case], evidence: Sequence[Evidence], name: str, values: Sequence[float]) -> Iterator[Row]:
    """Yield a row for each value of a constant of the writer: is the answer among what is quoted?"""
    shipped = getattr(extract, name)
    answers = [{(s.hit.passage.id, s.start) for s, a in zip(c.found, c.answer, strict=True) if a} for c in cases]
    for value in values:
        setattr(extract, name, value)
        chosen = [extract.choose(e, 4) for e in evidence]
        held = [any((s.hit.passage.id, s.start) in a for s in some) for some, a in zip(chosen, answers, strict=True)]
        yield {
            name.lower(): star(value, shipped),
            **by_set(cases, lambda i, held=held: float(held[i]), "answer"),  # type: ignore[misc]
            **by_set(cases, lambda i, chosen=chosen: float(len(chosen[i])), "sentences"),  # type: ignore[misc]
        }
    setattr(extract, name, shipped)


def emphasised(cases: Sequence[Case], judged: fit.Scored, evidence: Sequence[Evidence]) -> Iterator[Row]:
    """Yield a row for each kind of question and surety: in how many sentences words are emphasised, and right."""
    model = Model()
    kept, others = dict(pointed.SURE), pointed.SURE_OF_OTHERS
    asks: dict[str, list[int]] = {}
    for i, c in enumerate(cases):
        asks.setdefault(asked(c.text).kind, []).append(i)
    for kind in sorted(asks):
        shipped = kept.get(kind, others)
        for sure in (0.3, 0.5, 0.8, 0.9):
            pointed.SURE, pointed.SURE_OF_OTHERS = {}, sure
            right = [r for i in asks[kind] if (r := _right(model, cases[i], judged[i], evidence[i])) is not None]
            told = [r for r in right if r != "none"]
            yield {
                "asks": kind,
                "sure": star(sure, shipped),
                "best sentence answers": len(right),
                "emphasised": len(told),
                "right": f"{np.mean([r == 'right' for r in told]):.3f}" if told else "",
            }
    pointed.SURE, pointed.SURE_OF_OTHERS = kept, others


def _right(model: Model, case: Case, judged: fit.Judged, evidence: Evidence) -> str | None:
    """Return right, wrong or none for what is emphasised in a best sentence; None if that holds no answer."""
    best = evidence.sentences[0]
    at = next(i for i, h in enumerate(case.hits) if h is best.hit)
    logits = {p: answering for p, _, answering in judged.read}.get(at)
    spans = [m.span() for a in case.answers for m in re.finditer(re.escape(a), best.text, re.IGNORECASE) if a]
    if logits is None or not spans:
        return None
    (passage,) = model.tokens(reading.printed([best.hit]))
    # The first token and the last are none of the text's.
    whole = np.full(len(passage.ids), -1e4, np.float32)
    whole[1 : 1 + len(logits)] = logits[: len(whole) - 1]
    found = reading.answering(case.text, best, passage, whole, together=True)
    if found is None:
        return "none"
    start, end = (x - best.start for x in found)
    return "right" if any(start < b and a < end for a, b in spans) else "wrong"


if __name__ == "__main__":
    main()
