"""Fit rag/answer/evidence.npz and what rag/embed/pairs.py adds: `python eval/evidence/fit.py DATA[:MOST]...`.

Some networks of network.py, each from random numbers of its own, and the model of pairs.py are fitted on the tuning
halves and shown on the reporting halves, beside what they are to beat, the nearest sentences by cosine, and beside
themselves fitted without the set that is shown.  What they tell and a few plain features of the question become a
probability by a logistic model, fitted on questions of the tuning halves that neither had seen (stacking: Wolpert,
"Stacked Generalization", Neural Networks 5, 1992).  There also is chosen what a sentence's words weigh when its passage
was read together with the question.  The threshold is the middle of those at which the two kinds of error cost about
least there.

Each fit is kept in out/fits, named by what it was made of and by, and taken from there with --resume.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import sys
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pairs
import plain
import torch
from cases import OUT, Case, States, load
from network import Network, fit, scored
from sklearn.metrics import roc_auc_score

from rag.answer import evidence as ev
from rag.answer import features, head
from rag.answer.features import of_pairs
from rag.answer.reading import LEAST_MASS, TOGETHER, settled
from rag.embed import pairs as trained
from rag.embed.model import Model
from rag.evaluation.refusals import brier, cheapest, ece
from rag.evaluation.tables import of_records
from rag.handover import PairReading

sys.path.insert(0, str(Path(__file__).parents[1]))
from tables import commit

WRONG_COST = 1.15
"""What a wrong answer costs, in wrong refusals: a little more, though a reader can check it in a second."""

SEEDS = (0, 1, 2)
"""Of the networks whose mean is taken: what one makes of a question hangs a little on the numbers it began from."""

UNANSWERED = ("unanswerable", "withheld", "swapped", "figure", "confused")
"""Kinds of cases that nothing answers."""

WEIGHED = np.arange(0, 1.01, 0.1)
"""What is tried for `pair.weight`."""


@dataclass
class Judged:
    """What is made of a case: scores of its candidates, log-odds, and what its best passages say read together."""

    scores: np.ndarray
    odds: float
    read: list[tuple[int, float, np.ndarray]] = field(default_factory=list)

    def mass(self, case: Case) -> np.ndarray:
        """Return for each candidate how likely its tokens are the answer's, as rag.answer.reading does."""
        found = np.full(len(case.gold), LEAST_MASS, np.float32)
        for p, _, answering in self.read:
            held = case.sentence[p][case.tokens[p] >= 0][1 : len(answering) + 1]
            for n in set(held.tolist()) - {-1}:
                found[n] = max(np.logaddexp.reduce(answering[: len(held)][held == n]), LEAST_MASS)
        return found

    def together(self) -> list[float]:
        """Return the features that reading together gives."""
        return of_pairs([PairReading(odds, answering) for _, odds, answering in self.read])


Scored = list[Judged]
FITS = OUT / "fits"
TARGET = Path(head.__file__).with_name(head.FILE)
TAUGHT = Path(str(trained.file_of(Model().digest)))
RESULTS = Path(__file__).parents[1] / "results"


def held_out(case: Case) -> bool:
    """Say whether a case is kept from the network whose odds the probabilities are learnt on."""
    return zlib.crc32(case.id.encode()) % 4 == 0


def question_rows(cases: Sequence[Case], found: Scored) -> np.ndarray:
    """Return what the probability of an answer is made of, shape (cases, features)."""
    rows = []
    for c, j in zip(cases, found, strict=True):
        order = np.argsort(-j.scores, kind="stable")
        best = [replace(c.found[i], score=float(j.scores[i])) for i in order[:2]]
        plain_ones = features.of_question(c.text, c.hits, best, c.rows[order])
        premise, contrary = features.of_premise(c.text, c.hits, best[0]), features.of_contrary(c.text, best[0])
        rows.append([j.odds, *j.together(), *plain_ones, *premise, *contrary])
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
    """Return the threshold at which both kinds of error cost about least.

    Of each set the square root of its number of questions counts, as when the networks are fitted: one of seven
    questions more or less would decide where every set counts the same.
    """
    grid = np.arange(0.2, 0.81, 0.01)
    kinds = np.array([c.kind for c in cases])
    sets = np.array([c.set_name for c in cases])
    counts = {name: math.sqrt(np.sum((sets == name) & (kinds == "answerable"))) for name in sorted(set(sets))}

    def cost(threshold: float) -> float:
        total = 0.0
        for name, weight in counts.items():
            here = sets == name
            wrong = [
                float(np.mean(sure[here & (kinds == k)] >= threshold))
                for k in UNANSWERED
                if (here & (kinds == k)).any()
            ]
            refused = float(np.mean(sure[here & (kinds == "answerable")] < threshold))
            total += weight * (refused + WRONG_COST * float(np.mean(wrong)))
        return total / sum(counts.values())

    return round(cheapest(grid, np.array([cost(float(t)) for t in grid])), 2)


def row(what: str, cases: Sequence[Case], found: Scored, sure: np.ndarray | None, threshold: float) -> dict[str, Any]:
    """Return the figures of one way to judge some cases."""
    marked = [n for n, c in enumerate(cases) if c.kind == "answerable" and c.marked]
    orders = {n: np.argsort(-found[n].scores, kind="stable") for n in marked}

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
    odds = np.array([j.odds for j in found]) if sure is None else sure
    kinds = np.array([c.kind for c in cases])
    for k in UNANSWERED:
        both = np.isin(kinds, ("answerable", k))
        has = len(set(kinds[both])) == 2
        figures[f"AUROC {k}"] = float(roc_auc_score(kinds[both] == "answerable", odds[both])) if has else None
    if sure is not None:
        own = np.isin(kinds, ("answerable", "unanswerable"))
        truth = kinds == "answerable"
        figures["refused wrongly"] = float(np.mean(sure[truth] < threshold))
        for k in UNANSWERED:
            figures[f"{k} answered"] = float(np.mean(sure[kinds == k] >= threshold)) if (kinds == k).any() else None
        if len(set(truth[own])) == 2:
            figures |= {"Brier": brier(sure[own], truth[own]), "ECE": ece(sure[own], truth[own])}
    return {k: f"{v:.3f}" if isinstance(v, float) else v for k, v in figures.items()}


def nearest(cases: Sequence[Case]) -> Scored:
    """Return the candidates scored by their cosine alone."""
    return [Judged(c.rows[:, 0], float(c.rows[:, 0].max())) for c in cases]


def read_together(taught: pairs.Taught, cases: Sequence[Case], states: Mapping[str, States], found: Scored) -> None:
    """Add to what is made of cases what their best passages say when they are read together with the question."""
    where = [
        (n, p)
        for n, (c, j) in enumerate(zip(cases, found, strict=True))
        for p in pairs.passages_by(c, j.scores)[:TOGETHER]
    ]
    read = pairs.read(taught, [pairs.pair(cases[n], states, p) for n, p in where])
    for (n, p), (odds, answering) in zip(where, read, strict=True):
        found[n].read.append((p, odds, answering[:-1]))


def weighed(cases: Sequence[Case], found: Scored, weight: float) -> Scored:
    """Return what is made of cases with the words of sentences read together in their scores."""
    return [
        replace(j, scores=settled(c.text, c.found, j.scores + weight * j.mass(c)))
        for c, j in zip(cases, found, strict=True)
    ]


def weight_of(cases: Sequence[Case], found: Scored) -> float:
    """Return the weight with which the answer is first, and among three, for most questions.

    Not averaged over sets: there one question more of a small set would outweigh ten of a large one.
    """
    marked = [n for n, c in enumerate(cases) if c.kind == "answerable" and c.marked]

    def right(weight: float) -> float:
        judged = weighed([cases[n] for n in marked], [found[n] for n in marked], weight)
        orders = [np.argsort(-j.scores, kind="stable") for j in judged]
        # Two truths added are one truth to numpy.
        hit = [
            int(cases[n].answer[o[:1]].any()) + int(cases[n].answer[o[:3]].any())
            for n, o in zip(marked, orders, strict=True)
        ]
        return float(np.mean(hit))

    return round(float(max(WEIGHED, key=right)), 1)


def kept(
    name: str, cases: Sequence[Case], resume: bool, make: Callable[[], dict[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """Return the weights that a fit makes of some cases, or made before of the same ones with the same code."""
    told = (f"{c.set_name} {c.id} {c.kind} {c.text} {len(c.found)} {c.gold.nonzero()[0].tolist()}" for c in cases)
    made_of = hashlib.sha256("\n".join(told).encode())
    for file in ("cases.py", "network.py", "pairs.py", "batches.py"):
        made_of.update(Path(__file__).with_name(file).read_bytes())
    path = FITS / f"{name}-{made_of.hexdigest()[:12]}.npz"
    if not (resume and path.exists()):
        FITS.mkdir(parents=True, exist_ok=True)
        began = path.with_suffix(".new.npz")
        np.savez(began, **make())
        began.rename(path)
    with np.load(path, allow_pickle=False) as held:
        return {name: held[name] for name in held.files}


def network_from(held: Mapping[str, np.ndarray], cases: Sequence[Case]) -> Network:
    """Return a network with some weights."""
    network = Network(cases[0].rows, cases[0].question.states.shape[1])
    network.load_state_dict({n: torch.from_numpy(np.asarray(held[n], np.float32)) for n in network.state_dict()})
    return network.eval()


def taught_from(held: Mapping[str, np.ndarray]) -> pairs.Taught:
    """Return the model taught what is kept."""
    taught = pairs.Taught()
    taught.learn(held)
    return taught.eval()


def meant(
    networks: Sequence[Network], cases: Sequence[Case], states: Mapping[str, States]
) -> list[tuple[np.ndarray, float]]:
    """Return the scores of each case's candidates and the log-odds that any answers: the means of all networks."""
    each = [scored(network, cases, states) for network in networks]
    return [
        (np.mean([scores for scores, _ in of], axis=0), float(np.mean([odds for _, odds in of])))
        for of in zip(*each, strict=True)
    ]


def both_fits(
    name: str, resume: bool, cases: Sequence[Case], states: Mapping[str, States]
) -> tuple[list[Network], pairs.Taught]:
    """Return the networks and the model fitted on some cases."""
    # Comparing word with word cannot tell who did what to whom.
    plain_ones = [c for c in cases if c.kind != "confused"]

    def begun_from(seed: int) -> dict[str, np.ndarray]:
        return {n: v.numpy() for n, v in fit(plain_ones, states, seed=seed).state_dict().items()}

    networks = [
        network_from(kept(f"network-{name}-{seed}", plain_ones, resume, partial(begun_from, seed)), cases)
        for seed in SEEDS
    ]

    def teach() -> dict[str, np.ndarray]:
        found = [scores for scores, _ in meant(networks, cases, states)]
        return pairs.fit(pairs.pairs_of(cases, states, found)).learnt()

    return networks, taught_from(kept(f"pairs-{name}", cases, resume, teach))


def judge(
    networks: Sequence[Network], taught: pairs.Taught, cases: Sequence[Case], states: Mapping[str, States]
) -> Scored:
    """Return what both make of cases, the words of sentences read together not yet in their scores."""
    found = [Judged(scores, odds) for scores, odds in meant(networks, cases, states)]
    read_together(taught, cases, states, found)
    return found


def main() -> None:
    """Fit, report, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="+", metavar="DATA[:MOST]", help="a set, and how many questions of it at most")
    parser.add_argument("--report", action="store_true", help="show what is shipped, and fit nothing anew for it")
    parser.add_argument("--resume", action="store_true", help="take the fits that were made before")
    parser.add_argument(
        "--without",
        nargs="+",
        default=[],
        metavar="NAME",
        help="fit also without each of these sets: what carries over",
    )
    args = parser.parse_args()
    if strange := set(args.without) - {Path(given.partition(":")[0]).name for given in args.data}:
        parser.error(f"--without {' '.join(sorted(strange))}: not among the sets given")
    states: dict[str, States] = {}
    every: list[Case] = []
    for given in args.data:
        folder, _, most = given.partition(":")
        some, states[Path(folder).name] = load(Path(folder), int(most or 10**9))
        every += some
        print(f"{Path(folder).name}: {len(some)} cases", flush=True)
    tune = [c for c in every if c.half == "tune"]
    # A part of the tuning cases, all of a question together, is judged by fits that have not seen it.
    unseen = [c for c in tune if held_out(c)]
    judged: Scored = []
    if args.without or not args.report:
        judged = judge(*both_fits("part", args.resume, [c for c in tune if not held_out(c)], states), unseen, states)
    if not args.report:
        write(*both_fits("all", args.resume, tune, states), unseen, judged)
    networks, taught, weight, model, threshold = shipped(every)

    tables = []
    for name in sorted(states):
        here = [c for c in every if c.set_name == name and c.half == "report"]
        alone = judge(networks, taught, here, states)
        found = weighed(here, alone, weight)
        rows = [row("nearest by cosine", here, nearest(here), None, threshold)]
        if name in args.without:
            rest = [c for c in tune if c.set_name != name]
            stranger = judge(*both_fits(f"without-{name}", args.resume, rest, states), here, states)
            seen = [n for n, c in enumerate(unseen) if c.set_name != name]
            others, of_others = [unseen[n] for n in seen], [judged[n] for n in seen]
            by = weight_of(others, of_others)
            sure = sure_of(others, weighed(others, of_others, by))
            stranger = weighed(here, stranger, by)
            rows.append(row("fitted without this set", here, stranger, _sure(sure, here, stranger), threshold))
        rows.append(row("the networks alone", here, alone, None, threshold))
        rows.append(row("as shipped", here, found, _sure(model, here, found), threshold))
        # Columns that only one row has stand empty in the others.
        columns = dict.fromkeys(k for r in rows for k in r)
        tables.append(f"{name}, reporting half:\n\n{of_records([{k: r.get(k) for k in columns} for r in rows])}\n")
        print(tables[-1], flush=True)
    told = ", ".join(f"{n} {w:.3f}" for n, w in zip(features.SURE, model.weights, strict=True))
    text = (
        f"Made {date.today()} by eval/evidence/fit.py at commit {commit()}.  Threshold {threshold}; "
        f"{TARGET.stat().st_size / 1000:.0f} and {TAUGHT.stat().st_size / 1000:.0f} kB of weights; words read together "
        f"weigh {weight}; weights of the probability: {told}.\n\n"
    )
    (RESULTS / "evidence.md").write_text(text + "\n".join(tables), "utf-8")
    print(text)


def write(networks: Sequence[Network], taught: pairs.Taught, unseen: Sequence[Case], judged: Scored) -> None:
    """Write what is shipped."""
    weight = weight_of(unseen, judged)
    judged = weighed(unseen, judged, weight)
    model = sure_of(unseen, judged)
    held: dict[str, np.ndarray] = {}
    for n, network in enumerate(networks):
        for name, value in network.state_dict().items():
            # A few numbers that others are multiplied by stay exact.
            kind = np.float32 if name in ("mu", "sd", "mix") else np.float16
            held[f"{n}.{name}"] = value.numpy().astype(kind)
    held |= {"sure.weight": model.weights.astype(np.float32), "sure.bias": np.array(model.bias, np.float32)}
    held["pair.weight"] = np.array(weight, np.float32)
    held["threshold"] = np.array(threshold_of(unseen, _sure(model, unseen, judged)), np.float32)
    np.savez_compressed(TARGET, **held, digest=np.array(Model().digest.partition("-")[0]))
    np.savez_compressed(TAUGHT, **taught.learnt())


def shipped(cases: Sequence[Case]) -> tuple[list[Network], pairs.Taught, float, ev.Weights, float]:
    """Return what is shipped: networks, model, the weight of words read together, probabilities, the threshold."""
    with np.load(TARGET, allow_pickle=False) as held:
        weights = {name: held[name] for name in held.files}
    with np.load(TAUGHT, allow_pickle=False) as held:
        taught = taught_from({name: held[name] for name in held.files})
    model = ev.Weights(weights["sure.weight"].astype(np.float64), float(weights["sure.bias"]))
    numbers = (round(float(weights[name]), 2) for name in ("pair.weight", "threshold"))
    weight, threshold = numbers
    networks = [
        network_from({name.removeprefix(f"{n}."): w for name, w in weights.items() if name.startswith(f"{n}.")}, cases)
        for n in range(len(SEEDS))
    ]
    return networks, taught, weight, model, threshold


def _sure(model: ev.Weights, cases: Sequence[Case], found: Scored) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-model.log_odds(question_rows(cases, found)))))


if __name__ == "__main__":
    main()
