"""Fit rag/answer/evidence.npz: `python eval/evidence/fit.py DATA[:MOST]...`.

The network of network.py is fitted on the tuning halves and shown on the reporting halves, beside what it is to beat,
the nearest sentences by cosine, and beside itself fitted without the set that is shown.  Its log-odds and a few plain
features of the question become a probability by a logistic model, fitted on questions of the tuning halves that the
network had not seen (stacking: Wolpert, "Stacked Generalization", Neural Networks 5, 1992).  The threshold is the
middle of those at which the two kinds of error cost about least there, averaged over sets.
"""

from __future__ import annotations

import argparse
import sys
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import plain
import torch
from cases import NOT_WITHHELD, Case, States, load
from network import Network, fit, scored
from sklearn.metrics import roc_auc_score

from rag.answer import evidence as ev
from rag.answer import features, head
from rag.embed.model import Model
from rag.evaluation.refusals import brier, cheapest, ece
from rag.evaluation.tables import of_records

sys.path.insert(0, str(Path(__file__).parents[1]))
from tables import commit

WRONG_COST = 1.0
"""What a wrong answer costs, in wrong refusals: every sentence of it can be checked in a second, and is."""

SHORT = 3
"""Epochs where a fit only serves to measure."""

Scored = list[tuple[np.ndarray, float]]
TARGET = Path(head.__file__).with_name(head.FILE)
RESULTS = Path(__file__).parents[1] / "results"


def held_out(case: Case) -> bool:
    """Say whether a case is kept from the network whose odds the probabilities are learnt on."""
    return zlib.crc32(case.id.encode()) % 4 == 0


def question_rows(cases: Sequence[Case], found: Scored) -> np.ndarray:
    """Return what the probability of an answer is made of, shape (cases, features)."""
    rows = []
    for c, (scores, odds) in zip(cases, found, strict=True):
        order = np.argsort(-scores, kind="stable")
        best = [replace(c.found[i], score=float(scores[i])) for i in order[:2]]
        plain_ones = features.of_question(c.text, c.hits, best, c.rows[order])
        rows.append([odds, *plain_ones, *features.of_premise(c.text, c.hits, best[0])])
    return np.array(rows)


def sure_of(cases: Sequence[Case], found: Scored) -> ev.Weights:
    """Return the logistic model of probabilities; each set weighs the same, in it both answers, in these each kind.

    No weight may go against what its feature means: that costs a little on the sets and carries over to others.
    """
    # Where the evidence was not retrieved nothing is to be learnt from an answerable question.
    used = [n for n, c in enumerate(cases) if c.kind != "answerable" or c.gold.any()]
    count: dict[tuple[str, str], int] = {}
    for n in used:
        key = cases[n].set_name, cases[n].kind
        count[key] = count.get(key, 0) + 1
    kinds = {n: sum(s == n and k != "answerable" for s, k in count) for n, _ in count}
    weight = [
        500
        / count[cases[n].set_name, cases[n].kind]
        / (1 if cases[n].kind == "answerable" else kinds[cases[n].set_name])
        for n in used
    ]
    x = question_rows(cases, found)[used]
    return plain.fit(x, np.array([cases[n].kind == "answerable" for n in used]), np.array(weight), features.SURE)


def threshold_of(cases: Sequence[Case], sure: np.ndarray) -> float:
    """Return the threshold at which both kinds of error cost about least."""
    grid = np.arange(0.2, 0.81, 0.01)
    kinds = np.array([c.kind for c in cases])
    sets = np.array([c.set_name for c in cases])

    def cost(threshold: float) -> float:
        total = 0.0
        for name in sorted(set(sets)):
            here = sets == name
            wrong = [
                float(np.mean(sure[here & (kinds == k)] >= threshold))
                for k in ("unanswerable", "withheld", "swapped")
                if (here & (kinds == k)).any()
            ]
            total += float(np.mean(sure[here & (kinds == "answerable")] < threshold)) + WRONG_COST * float(
                np.mean(wrong)
            )
        return total / len(set(sets))

    return round(cheapest(grid, np.array([cost(float(t)) for t in grid])), 2)


def row(what: str, cases: Sequence[Case], found: Scored, sure: np.ndarray | None, threshold: float) -> dict[str, Any]:
    """Return the figures of one way to judge some cases."""
    marked = [n for n, c in enumerate(cases) if c.kind == "answerable" and c.marked]
    orders = {n: np.argsort(-found[n][0], kind="stable") for n in marked}

    def among(k: int, of: Callable[[Case], np.ndarray]) -> float:
        return float(np.mean([of(cases[n])[orders[n][:k]].any() for n in marked]))

    figures: dict[str, Any] = {
        "judged by": what,
        "questions": len(marked),
        "evidence first": among(1, lambda c: c.gold),
        "in three": among(3, lambda c: c.gold),
        "answer first": among(1, lambda c: c.answer),
        "answer in three": among(3, lambda c: c.answer),
    }
    odds = np.array([f[1] for f in found]) if sure is None else sure
    kinds = np.array([c.kind for c in cases])
    for k in ("unanswerable", "withheld", "swapped"):
        both = np.isin(kinds, ("answerable", k))
        has = len(set(kinds[both])) == 2
        figures[f"AUROC {k}"] = float(roc_auc_score(kinds[both] == "answerable", odds[both])) if has else None
    if sure is not None:
        own = np.isin(kinds, ("answerable", "unanswerable"))
        truth = kinds == "answerable"
        figures["refused wrongly"] = float(np.mean(sure[truth] < threshold))
        for k in ("unanswerable", "withheld", "swapped"):
            figures[f"{k} answered"] = float(np.mean(sure[kinds == k] >= threshold)) if (kinds == k).any() else None
        if len(set(truth[own])) == 2:
            figures |= {"Brier": brier(sure[own], truth[own]), "ECE": ece(sure[own], truth[own])}
    return {k: f"{v:.3f}" if isinstance(v, float) else v for k, v in figures.items()}


def nearest(cases: Sequence[Case]) -> Scored:
    """Return the candidates scored by their cosine alone."""
    return [(c.rows[:, 0], float(c.rows[:, 0].max())) for c in cases]


def main() -> None:
    """Fit, report, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="+", metavar="DATA[:MOST]", help="a set, and how many questions of it at most")
    parser.add_argument("--report", action="store_true", help="fit nothing, only show what is shipped")
    parser.add_argument("--without", action="store_true", help="fit also without each set, to see what carries over")
    args = parser.parse_args()
    states: dict[str, States] = {}
    every: list[Case] = []
    for given in args.data:
        folder, _, most = given.partition(":")
        some, states[Path(folder).name] = load(Path(folder), int(most or 10**9))
        every += some
        print(f"{Path(folder).name}: {len(some)} cases", flush=True)
    tune = [c for c in every if c.half == "tune"]
    # A part of the tuning cases, all of a question together, is judged by a network that has not seen it.
    unseen = [c for c in tune if held_out(c)]
    judged: Scored = []
    if args.without or not args.report:
        judged = scored(fit([c for c in tune if not held_out(c)], states), unseen, states)
    if not args.report:
        write(fit(tune, states), sure_of(unseen, judged), unseen, judged)
    network, model, threshold = shipped(every)

    tables = []
    for name in sorted(states):
        here = [c for c in every if c.set_name == name and c.half == "report"]
        found = scored(network, here, states)
        rows = [row("nearest by cosine", here, nearest(here), None, threshold)]
        if args.without and name not in NOT_WITHHELD:
            alone = scored(fit([c for c in tune if c.set_name != name], states, SHORT), here, states)
            seen = [n for n, c in enumerate(unseen) if c.set_name != name]
            stranger = sure_of([unseen[n] for n in seen], [judged[n] for n in seen])
            rows.append(row("fitted without this set", here, alone, _sure(stranger, here, alone), threshold))
        rows.append(row("the network's odds alone", here, found, None, threshold))
        rows.append(row("as shipped", here, found, _sure(model, here, found), threshold))
        # Columns that only one row has stand empty in the others.
        columns = dict.fromkeys(k for r in rows for k in r)
        tables.append(f"{name}, reporting half:\n\n{of_records([{k: r.get(k) for k in columns} for r in rows])}\n")
        print(tables[-1], flush=True)
    told = ", ".join(f"{n} {w:.3f}" for n, w in zip(features.SURE, model.weights, strict=True))
    text = (
        f"Made {date.today()} by eval/evidence/fit.py at commit {commit()}.  Threshold {threshold}; "
        f"{TARGET.stat().st_size / 1000:.0f} kB of weights; weights of the probability: {told}.\n\n"
    )
    (RESULTS / "evidence.md").write_text(text + "\n".join(tables), "utf-8")
    print(text)


def write(network: Network, model: ev.Weights, unseen: Sequence[Case], judged: Scored) -> None:
    """Write what is shipped."""
    named = {name: value.numpy() for name, value in network.state_dict().items()}
    # A few numbers that others are multiplied by stay exact.
    held = {name: value if name in ("mu", "sd", "mix") else value.astype(np.float16) for name, value in named.items()}
    held |= {"sure.weight": model.weights.astype(np.float32), "sure.bias": np.array(model.bias, np.float32)}
    held["threshold"] = np.array(threshold_of(unseen, _sure(model, unseen, judged)), np.float32)
    np.savez_compressed(TARGET, **held, digest=np.array(Model().digest.partition("-")[0]))


def shipped(cases: Sequence[Case]) -> tuple[Network, ev.Weights, float]:
    """Return what is shipped: the network, the model of probabilities, the threshold."""
    with np.load(TARGET, allow_pickle=False) as held:
        weights = {name: held[name] for name in held.files}
    network = Network(cases[0].rows, cases[0].question.states.shape[1])
    network.load_state_dict({n: torch.from_numpy(np.asarray(weights[n], np.float32)) for n in network.state_dict()})
    model = ev.Weights(weights["sure.weight"].astype(np.float64), float(weights["sure.bias"]))
    return network.eval(), model, round(float(weights["threshold"]), 2)


def _sure(model: ev.Weights, cases: Sequence[Case], found: Scored) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-model.log_odds(question_rows(cases, found)))))


if __name__ == "__main__":
    main()
