"""Questions with what the search found for them: what the evidence model learns from, and is measured on.

Five kinds have no answer.  The set's own were written to look answerable.  Users also ask what is simply not there:
for each answerable question a second case is made with the passages of its gold articles withheld.  And they ask from
a wrong premise: a third case is the question with one of its names replaced by another that no passage found holds, a
fourth with one of its figures.  Harder is a name that the evidence does speak of: a fifth case is the question with a
name of the passage in the place of one of its own, or with two of its names exchanged.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import rag
from rag import retrieve
from rag.answer import evidence as ev
from rag.answer import reading
from rag.answer.asked import FIGURE, name_runs
from rag.engine import Engine, open_engine
from rag.evaluation import collection
from rag.evaluation.answers import holds
from rag.evaluation.halves import half
from rag.evaluation.retrieval import index_of
from rag.handover import EvidenceSentence, TokenStates
from rag.types import Hit
from rag.words import words

NOT_WITHHELD = {"news-2022"}
"""Sets in which other articles tell of the same event, so that withholding the gold one proves nothing."""

DATED = {"timeqa-articles"}
"""Sets whose questions name a year in which something held, which the evidence need not name."""

MADE = ("swapped", "figure", "confused")
"""Kinds that are made by chance, out of an answerable question."""

TRIES = 20
"""Names and figures tried for one that no passage holds."""

OUT = Path(__file__).parents[1] / "out"


@dataclass(eq=False)
class Case:
    """One question, its candidates, and what is known of them.

    `tokens` and `sentence` have shape (passages, tokens): places in the set's states, -1 where there is no token, and
    the candidate that a token belongs to, -1 for none.  `gold` tells which candidates hold the evidence, `answer`
    which hold an answer's words, `answering` which tokens are of the answer.
    """

    set_name: str
    id: str
    half: str
    kind: str  # answerable, unanswerable, withheld, swapped, figure, confused
    text: str
    hits: Sequence[Hit]
    found: Sequence[EvidenceSentence]
    question: TokenStates
    tokens: np.ndarray
    sentence: np.ndarray
    answering: np.ndarray
    passage: np.ndarray
    rows: np.ndarray
    gold: np.ndarray
    answer: np.ndarray
    marked: bool
    answers: Sequence[str] = ()


@dataclass
class States:
    """The tokens of all passages of a set: ids of shape (n,), states of shape (n, width)."""

    ids: np.ndarray
    states: np.ndarray


def load(data: Path, most: int) -> tuple[list[Case], States]:
    """Return the cases of at most so many questions of a set, and the tokens of the passages that they met."""
    settings = rag.Settings.load()
    index = index_of(collection.read(data), settings, OUT / "indexes")
    with (data / "qa.jsonl").open(encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    # By a digest, so that a set that grows keeps the cases it had.
    records.sort(key=lambda r: hashlib.sha256(r["id"].encode()).digest())
    records = records[:most]
    with open_engine(index, settings) as engine:
        with engine.view() as view:
            found = retrieve.search_many(
                engine.retriever,
                view,
                [r["question"] for r in records],
                2 * settings.answer.hits,
                None,
                "passage",
                settings.search.phrase_words,
            )
        maker = _Maker(data.name, engine, records, found, settings.answer.hits)
        return list(maker.cases()), maker.states()


class _Maker:
    def __init__(
        self, name: str, engine: Engine, records: list[Any], found: Sequence[Sequence[Hit]], most: int
    ) -> None:
        self.name, self.engine, self.records, self.found, self.most = name, engine, records, found, most
        self._read: dict[str, tuple[int, TokenStates]] = {}
        self._at = 0
        self.names = {which: self._names_of(which) for which in ("tune", "report")}

    def _names_of(self, which: str) -> dict[int, list[str]]:
        """Return names by their number of words, of the questions of one half: those of the other stay unknown."""
        own = [(r, hits) for r, hits in zip(self.records, self.found, strict=True) if half(self.name, r["id"]) == which]
        names = {" ".join(run) for r, _ in own for run in name_runs(r["question"])}
        if len(names) < len(own) // 4:  # Questions in lower case have none.
            names = {" ".join(run) for _, hits in own for h in hits[:1] for run in name_runs(h.passage.text)[:3]}
        by_words: dict[int, list[str]] = {}
        for n in sorted(names):
            by_words.setdefault(len(n.split()), []).append(n)
        return by_words

    def cases(self) -> Iterator[Case]:
        for r, wide in zip(self.records, self.found, strict=True):
            # Each question has chances of its own, so that a case stays what it is when others come or go.
            rng, rng_figures, rng_confused = (random.Random(f"{what} {r['id']}") for what in MADE)
            gold = {e["doc_id"] for e in r.get("evidence") or []} if r["answerable"] else set()
            case = self.case(r, wide[: self.most], "answerable" if r["answerable"] else "unanswerable")
            if case is None:
                continue
            yield case
            if gold and self.name not in NOT_WITHHELD:
                rest = [h for h in wide if h.article.id not in gold][: self.most]
                if rest and (without := self.case(r, rest, "withheld")):
                    yield without
            if (
                case.gold.any()
                and (question := self.swapped(r, wide[: self.most], rng))
                and (other := self.case({**r, "question": question}, wide[: self.most], "swapped"))
            ):
                yield other
            if (
                case.gold.any()
                and self.name not in DATED
                and (question := another_figure(r["question"], wide[: self.most], rng_figures))
                and (other := self.case({**r, "question": question}, wide[: self.most], "figure"))
            ):
                yield other
            if (
                case.gold.any()
                and (question := confused(r["question"], case, r.get("answers") or [], rng_confused))
                and (other := self.case({**r, "question": question}, wide[: self.most], "confused"))
            ):
                yield other

    def case(self, r: Mapping[str, Any], hits: Sequence[Hit], kind: str) -> Case | None:
        found = ev.candidates(hits)
        if not found:
            return None
        asked = reading.halved(self.engine.embedder.tokens([r["question"]])[0])
        kept = [self.read(t) for t in reading.printed(hits)]
        passages = [p for _, p in kept]
        ranges = reading.token_ranges(hits, found, passages)
        rows = reading.plain_rows(r["question"], asked, hits, found, passages, ranges)
        here = (kind == "answerable") * np.ones(len(found), bool)
        gold = np.array([holds_evidence(s, r.get("evidence") or []) for s in found]) & here
        answer = np.array([holds(s.text, r.get("answers") or []) for s in found]) & here
        width = max(len(p.ids) for p in passages)
        tokens, sentence = (np.full((len(hits), width), -1, np.int32) for _ in range(2))
        answering = np.zeros((len(hits), width), bool)
        n = 0
        for i, ((at, p), of_hit) in enumerate(zip(kept, ranges, strict=True)):
            tokens[i, : len(p.ids)] = np.arange(at, at + len(p.ids))
            for a, b in of_hit:
                sentence[i, a:b] = n
                if gold[n]:
                    answering[i, a:b] = _answering(found[n], p, (a, b), r.get("answers") or [])
                n += 1
        passage = np.array([i for i, of_hit in enumerate(ranges) for _ in of_hit])
        marked = bool(r.get("evidence"))
        which = half(self.name, r["id"])
        known = (self.name, r["id"], which, kind, r["question"], hits, found, asked)
        return Case(*known, tokens, sentence, answering, passage, rows, gold, answer, marked, r.get("answers") or [])

    def read(self, text: str) -> tuple[int, TokenStates]:
        if text not in self._read:
            self._read[text] = (self._at, reading.halved(self.engine.embedder.tokens([text])[0]))
            self._at += len(self._read[text][1].ids)
        return self._read[text]

    def states(self) -> States:
        every = [p for _, p in self._read.values()]
        return States(np.concatenate([p.ids for p in every]), np.concatenate([p.states for p in every]))

    def swapped(self, record: Mapping[str, Any], hits: Sequence[Hit], rng: random.Random) -> str | None:
        """Return the question with one of its names replaced by one that no hit holds, or None."""
        question = record["question"]
        held = {w for h in hits for w in words(f"{h.article.title} {h.passage.text}")}
        known = _names(question, hits)
        if not known:
            return None
        name = rng.choice(known)
        others = self.names[half(self.name, record["id"])].get(len(name.split()), [])
        for other in (rng.choice(others) for _ in range(TRIES) if others):
            if not held.issuperset(words(other)):
                return question.replace(name, other.lower() if name.islower() else other, 1)
        return None


def confused(question: str, case: Case, answers: Sequence[str], rng: random.Random) -> str | None:
    """Return the question with a name of the passage that answers in the place of one of its own, or None.

    Or, as often where it can be, with two of its own exchanged.
    """
    own = list(dict.fromkeys(_names(question, case.hits)))
    if not own:
        return None
    if len(own) > 1 and rng.random() < 0.5:
        first, second = sorted(rng.sample(own, 2), key=question.index)
        start, end = question.index(first), question.index(second)
        between = question[start + len(first) : end]
        # Of "A and B" as of "B and A" the same is true.
        if between.strip() and not re.search(r"\b(?:and|or|between)\b", question[:end]):
            return question[:start] + second + between + first + question[end + len(second) :]
    gold = case.found[int(np.flatnonzero(case.gold)[0])].hit
    taken = {w for text in (question, *answers) for w in words(text)}
    others = [" ".join(run) for run in name_runs(gold.passage.text) if not taken.intersection(words(" ".join(run)))]
    name = rng.choice(own)
    alike = [n for n in others if len(n.split()) == len(name.split())] or others
    if not alike:
        return None
    other = rng.choice(alike)
    return question.replace(name, other.lower() if name.islower() else other, 1)


def _names(question: str, hits: Sequence[Hit]) -> list[str]:
    """Return the names of a question as it writes them."""
    known = [" ".join(run) for run in name_runs(question)] or _lower_names(question, hits)
    return [n for n in known if n in question]


def another_figure(question: str, hits: Sequence[Hit], rng: random.Random) -> str | None:
    """Return the question with one of its whole numbers replaced by one near it that no hit holds, or None."""
    known = [m for m in FIGURE.finditer(question) if m.group().isdecimal()]
    if not known:
        return None
    held = {f for h in hits for f in FIGURE.findall(f"{h.article.title} {h.passage.text}")}
    chosen = rng.choice(known)
    value = int(chosen.group())
    for _ in range(TRIES):
        far = rng.randint(1, 12 if 1000 <= value < 2100 else max(2, value // 2))
        other = str(max(1, value + rng.choice((-far, far))))
        if other not in held and int(other) != value:
            return question[: chosen.start()] + other + question[chosen.end() :]
    return None


def _lower_names(question: str, hits: Sequence[Hit]) -> list[str]:
    """Return what is a name in the passages found, as a question in lower case writes it."""
    capitals = {w.lower() for h in hits[:3] for run in name_runs(h.passage.text) for w in run if len(w) > 2}
    found: list[list[str]] = [[]]
    for word in question.split():
        if word.strip("?,.'") in capitals:
            found[-1].append(word.strip("?,.'"))
        elif found[-1]:
            found.append([])
    return [" ".join(run) for run in found if run]


def holds_evidence(sentence: EvidenceSentence, evidence: Sequence[Mapping[str, Any]]) -> bool:
    """Say whether a sentence is in marked evidence, or holds it."""
    said = " ".join(sentence.text.split())
    for e in evidence:
        gold = " ".join(e["text"].split())
        if e["doc_id"] == sentence.hit.article.id and (said in gold or gold in said):
            return True
    return False


def _answering(s: EvidenceSentence, p: TokenStates, tokens: reading.Range, answers: Sequence[str]) -> np.ndarray:
    shift = len(s.hit.article.title) + 1 - s.hit.passage.start + s.start
    for answer in answers:
        found = re.search(re.escape(answer), s.text, re.IGNORECASE)
        if found and found.end() > found.start():
            starts, ends = p.spans[slice(*tokens)].T
            return (ends > shift + found.start()) & (starts < shift + found.end())
    return np.zeros(tokens[1] - tokens[0], bool)
