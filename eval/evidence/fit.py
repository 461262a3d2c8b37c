"""Fit rag/answer/evidence.npz: `python eval/evidence/fit.py DATA[:MOST]...`.

The network of network.py is fitted on the tuning halves and shown on the reporting halves, beside what it is to beat:
the nearest sentences by cosine, and beside itself fitted without the set that is shown.  Its log-odds are turned into
probabilities by two numbers, found on questions of the tuning halves that the fitted network had not seen (Platt,
"Probabilistic Outputs for Support Vector Machines", 1999).  The threshold is the middle of those at which the two kinds
of error cost about least there, averaged over sets.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from cases import Case, States, load
from network import fit, scored
from scipy.optimize import minimize
from sklearn.metrics import roc_auc_score

from rag.answer import head
from rag.embed.model import Model
from rag.evaluation.refusals import brier, cheapest, ece
from rag.evaluation.tables import of_records

WRONG_COST = 1.5
"""What a wrong answer costs, in wrong refusals: a refusal shows the nearest passages and misleads nobody."""

SHORT = 3
"""Epochs where a fit only serves to measure."""

Scored = list[tuple[np.ndarray, float]]
TARGET = Path(head.__file__).with_name(head.FILE)
RESULTS = Path(__file__).parents[1] / "results"


def calibrated(cases: Sequence[Case], odds: np.ndarray) -> tuple[float, float]:
    """Return slope and bias that turn log-odds into probabilities; each set weighs the same, in it each kind."""
    count: dict[tuple[str, str], int] = {}
    for c in cases:
        count[c.set_name, c.kind] = count.get((c.set_name, c.kind), 0) + 1
    unanswered = {n: sum(s == n and k != "answerable" for s, k in count) for n, _ in count}
    weight = np.array(
        [
            1 / count[c.set_name, c.kind] / (1 if c.kind == "answerable" else unanswered[c.set_name])
            for c in cases
        ]
    )  # fmt: skip
    sign = np.array([1.0 if c.kind == "answerable" else -1.0 for c in cases])

    def value(p: np.ndarray) -> float:
        return float(weight @ np.logaddexp(0, -sign * (p[0] * odds + p[1])))

    slope, bias = minimize(value, np.array([1.0, 0.0]), method="Nelder-Mead").x
    return float(slope), float(bias)


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
    odds = np.array([f[1] for f in found])
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
    report = [c for c in every if c.half == "report"]

    # Each half of the tuning cases is judged by a network that has seen only the other.
    halves = [[c for n, c in enumerate(tune) if (n // 3) % 2 == side] for side in (0, 1)]
    unseen: list[Case] = []
    odds: list[float] = []
    for side in (0, 1):
        of_half = scored(fit(halves[1 - side], states, SHORT), halves[side], states)
        unseen += halves[side]
        odds += [o for _, o in of_half]
    slope, bias = calibrated(unseen, np.array(odds))
    threshold = threshold_of(unseen, _sure(np.array(odds), slope, bias))

    network = fit(tune, states)
    held = {name: value.numpy().astype(np.float16) for name, value in network.state_dict().items()}
    held |= {"calibration": np.array([slope, bias], np.float32), "threshold": np.array(threshold, np.float32)}
    held |= {name: value.numpy() for name, value in network.state_dict().items() if name in ("mu", "sd", "mix")}
    np.savez_compressed(TARGET, **held, digest=np.array(Model().digest.partition("-")[0]))

    tables = []
    names = sorted(states)
    for name in names:
        here = [c for c in report if c.set_name == name]
        found = scored(network, here, states)
        sure = _sure(np.array([o for _, o in found]), slope, bias)
        rows = [row("nearest by cosine", here, nearest(here), None, threshold)]
        if args.without and name != "news-2022":
            other = fit([c for c in tune if c.set_name != name], states, SHORT)
            alone = scored(other, here, states)
            sure_alone = _sure(np.array([o for _, o in alone]), slope, bias)
            rows.append(row("fitted without this set", here, alone, sure_alone, threshold))
        rows.append(row("as shipped", here, found, sure, threshold))
        # Columns that only one row has stand empty in the others.
        columns = dict.fromkeys(k for r in rows for k in r)
        tables.append(f"{name}, reporting half:\n\n{of_records([{k: r.get(k) for k in columns} for r in rows])}\n")
        print(tables[-1], flush=True)
    size = TARGET.stat().st_size
    text = (
        "Made by eval/evidence/fit.py.  "
        f"Threshold {threshold}; calibration {slope:.3f}, {bias:.3f}; {size / 1000:.0f} kB of weights.\n\n"
    )
    (RESULTS / "evidence.md").write_text(text + "\n".join(tables), "utf-8")
    print(json.dumps({"threshold": threshold, "slope": slope, "bias": bias, "bytes": size}))


def _sure(odds: np.ndarray, slope: float, bias: float) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-(slope * odds + bias))))


if __name__ == "__main__":
    main()
