"""The documents, queries and judgments that every system is given."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Iterable, Iterator
from pathlib import Path

from protocol import Article, articles, titled

SEED = 20240229


class Set:
    """A folder in BEIR's form, or its first articles and the judgments about them."""

    def __init__(self, folder: Path, work: Path, *, most_queries: int, sample: int | None) -> None:
        self.folder, self.work, self.most_queries, self.sample = folder, work, most_queries, sample
        self.name = folder.name

    @property
    def corpus(self) -> Path:
        """The corpus, cut where a sample is asked for."""
        whole = self.folder / "corpus.jsonl"
        if not self.sample:
            return whole
        cut = self.work / f"{self.name}.jsonl"
        with whole.open(encoding="utf-8") as lines:
            cut.write_text("".join(line for line, _ in zip(lines, range(self.sample), strict=False)), "utf-8")
        return cut

    def qrels(self) -> list[tuple[str, str, int]]:
        """Return the judgments about the articles of the corpus."""
        there = {a.id for a in articles(self.corpus)} if self.sample else None
        with (self.folder / "qrels" / "test.tsv").open(encoding="utf-8") as lines:
            rows = list(csv.reader(lines, delimiter="\t"))[1:]
        return [(q, d, int(s)) for q, d, s in rows if there is None or d in there]

    def questions(self) -> dict[str, str]:
        """Return the judged queries by id, or a seeded sample of them."""
        judged = sorted({q for q, _, relevance in self.qrels() if relevance > 0})
        if len(judged) > self.most_queries:
            judged = sorted(random.Random(SEED).sample(judged, self.most_queries))
        with (self.folder / "queries.jsonl").open(encoding="utf-8") as lines:
            texts = {r["_id"]: r["text"] for r in map(json.loads, lines)}
        return {id: texts[id] for id in judged}


def multiplied(corpora: Iterable[Path], count: int) -> Iterator[dict[str, str]]:
    """Yield so many articles as records: the real ones again and again, each time under another id, title and text."""
    real = [a for corpus in corpora for a in articles(corpus)]
    for n in range(count):
        yield copy(real[n % len(real)], n)


def copy(article: Article, n: int) -> dict[str, str]:
    """Return the n-th article of a large corpus as a record, no text of it the same as another's."""
    return {
        "_id": f"{n}-{article.id}",
        "title": titled(f"Copy {n}", article.title).replace("\n", ", "),
        "text": f"Number{n} {article.text}",
    }


def quality(qrels: list[tuple[str, str, int]], found: dict[str, list[str]]) -> dict[str, float]:
    """Return nDCG@10 and R@10 of what was found for some queries."""
    # Not at the top: other processes read this file without it.
    import ir_measures
    from ir_measures import R, nDCG

    judged = [ir_measures.Qrel(*j) for j in qrels if j[0] in found]
    scored = [ir_measures.ScoredDoc(q, d, -rank) for q, ids in found.items() for rank, d in enumerate(ids)]
    values = ir_measures.calc_aggregate([nDCG @ 10, R @ 10], judged, scored)
    return {str(m): round(v, 4) for m, v in values.items()}
