"""Made articles in chunks: written once to the cache folder, each chunk always the same, and read again one at a time.

A collection of N passages is the first articles that hold as many, so a larger one begins with every smaller one.
"""

from __future__ import annotations

import hashlib
import json
import random
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import heads as headings
import numpy as np
import numpy.typing as npt
import vocabulary
from heads import Heads, heads
from plan import ARTICLES, Plan, mixed, plan, spread
from progress import Progress
from real import Real
from vocabulary import Exchange, Open

from rag.handover import NewPassage, Vectors
from rag.types import Article, Section

Ints = npt.NDArray[np.int64]
SAMPLE = 300
"""Articles that are made to see how often a rare word is exchanged."""


@dataclass(frozen=True, slots=True)
class Made:
    """One article as it goes into a store."""

    article: Article
    passages: list[NewPassage]
    vectors: Vectors


class Maker:
    """Makes chunks from real passages."""

    def __init__(self, real: Real, words: vocabulary.Vocabulary, *, noise: float, seed: int) -> None:
        self._real, self._noise, self._seed = real, noise, seed
        self._exchange = exchange(real, words.open_words)
        self._spreading = spread(real.vectors)

    def write(self, folder: Path, chunk: int) -> None:
        """Write a chunk's three files; the one that says it is whole comes last."""
        of = plan(self._real, self._seed, chunk)
        stem = folder / f"{chunk:06}"
        vectors = mixed(self._real.vectors, of, self._spreading, self._noise, self._seed, chunk)
        np.save(stem.with_suffix(".npy"), vectors.astype(np.float16))
        lengths, distinct, running = [], set(), 0
        with stem.with_suffix(".jsonl").open("w", encoding="utf-8") as out:
            for title, texts in written(self._real, of, self._exchange, self._seed, chunk):
                out.write(json.dumps([title, texts], ensure_ascii=False) + "\n")
                lengths += [len(t) for t in texts]
                said = [w for t in texts for w in vocabulary.words(t)]
                running += len(said)
                distinct.update(said)
        columns = heads(of.sizes, self._seed, chunk)
        half_made = stem.with_suffix(".part.npz")
        np.savez(
            half_made, sizes=of.sizes, lengths=np.array(lengths), authors=columns.authors, days=columns.days,
            sources=columns.sources, sections=columns.sections, running=running,
            words=np.array(sorted(zlib.crc32(w.encode()) for w in distinct), np.uint32),
        )  # fmt: skip
        half_made.rename(stem.with_suffix(".npz"))


def exchange(real: Real, open_words: Open) -> Exchange:
    """Return what rewrites the sentences of real passages."""
    counts = vocabulary.counted(real.sentences)
    return Exchange(counts, open_words, vocabulary.content_words(counts))


def written(real: Real, of: Plan, words: Exchange, seed: int, chunk: int) -> Iterator[tuple[str, list[str]]]:
    """Yield the title and the passages of each article of a chunk."""
    chance = random.Random(f"{seed} {chunk}")
    at = 0
    for size in of.sizes.tolist():
        renamed: dict[str, str] = {}
        texts = []
        for n in range(at, at + size):
            said, others = list(real.sentences[of.first[n]]), real.sentences[of.second[n]]
            # The second passage has as large a part in the text as in the vector, in whole sentences.
            for place in chance.sample(range(len(said)), round((1 - float(of.share[n])) * len(said))):
                said[place] = others[int(chance.random() * len(others))]
            texts.append(" ".join(words.rewrite(s, renamed, chance) for s in said))
        title = words.rewrite(real.titles[of.first[at]], renamed, chance)
        yield title or " ".join(texts[0].split()[:8]), texts
        at += size


def exchanges_per_word(real: Real, seed: int) -> float:
    """Return how many words of the open vocabulary are drawn for each running word."""
    of = plan(real, seed, 0)
    words = exchange(real, Open(2.0, 1000.0))
    running = 0
    for _, (_, texts) in zip(range(SAMPLE), written(real, of, words, seed, 0), strict=False):
        running += sum(len(vocabulary.words(t)) for t in texts)
    return words.draws / running


class Material:
    """The made articles in a folder.  `ensure` makes what is missing of them."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.seed = folder, seed

    @classmethod
    def at(cls, cache: Path, real_digest: str, *, noise: float, seed: int) -> Material:
        """Return the material of some parameters; another one lies in another folder."""
        # What decides about the content beside the real texts: the code that makes it.
        code = [
            (Path(__file__).parent / f"{name}.py").read_bytes() for name in ("material", "plan", "heads", "vocabulary")
        ]
        named = hashlib.sha256(b"".join([repr((real_digest, noise, seed)).encode(), *code])).hexdigest()[:12]
        return cls(cache / f"made-{named}", seed)

    def ensure(self, passages: int, real: Real, words: vocabulary.Vocabulary, *, noise: float) -> None:
        """Make chunks until they hold so many passages; those that are there are kept."""
        self.folder.mkdir(parents=True, exist_ok=True)
        maker: Maker | None = None
        progress = Progress("making articles", passages, "passages")
        held = chunk = 0
        while held < passages:
            progress.at(held)
            if not (self.folder / f"{chunk:06}.npz").exists():
                maker = maker or Maker(real, words, noise=noise, seed=self.seed)
                maker.write(self.folder, chunk)
            held += int(self.column(chunk, "sizes").sum())
            chunk += 1
        progress.at(passages)

    def columns(self, chunk: int) -> dict[str, Any]:
        """Return the columns of a chunk by name."""
        with np.load(self.folder / f"{chunk:06}.npz") as found:
            return {name: found[name] for name in found.files}

    def column(self, chunk: int, name: str) -> npt.NDArray[Any]:
        """Return one column of a chunk."""
        with np.load(self.folder / f"{chunk:06}.npz") as found:
            return np.asarray(found[name])

    def vectors(self, chunk: int) -> Vectors:
        """Return the vectors of a chunk as every store is given them, each of length 1."""
        found = np.load(self.folder / f"{chunk:06}.npy").astype(np.float32)
        return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), np.float32)

    def articles(self, chunk: int) -> Iterator[Made]:
        """Yield the articles of a chunk in order."""
        columns, vectors, at = self.columns(chunk), self.vectors(chunk), 0
        with (self.folder / f"{chunk:06}.jsonl").open(encoding="utf-8") as lines:
            for n, line in enumerate(lines):
                title, texts = json.loads(line)
                stop = at + len(texts)
                yield self._made(chunk * ARTICLES + n, title, texts, columns, n, at, vectors[at:stop])
                at = stop

    def _made(
        self, number: int, title: str, texts: list[str], columns: dict[str, Any], n: int, at: int, vectors: Vectors
    ) -> Made:
        starts = np.cumsum([0, *(len(t) + 1 for t in texts)]).tolist()
        names = columns["sections"][at : at + len(texts)].tolist()
        sections: list[Section] = []
        passages = []
        for place, (text, name, start) in enumerate(zip(texts, names, starts[:-1], strict=True)):
            called, end = headings.section(name), start + len(text)
            passages.append(NewPassage(start, end, called, key(self.seed, number, place)))
            if sections and sections[-1].name == called:
                sections[-1] = Section(called, sections[-1].start, end)
            else:
                sections.append(Section(called, start, end))
        article = Article(
            article_id(number),
            title,
            "\n".join(texts),
            tuple(headings.author(a) for a in columns["authors"][n].tolist() if a != headings.NONE),
            headings.day(columns["days"][n]),
            f"https://{headings.source(columns['sources'][n])}/{number}",
            headings.source(columns["sources"][n]),
            sections=tuple(sections),
        )
        return Made(article, passages, vectors)


def key(seed: int, article: int, place: int) -> bytes:
    """Return the key of a passage's vector; no two passages share one."""
    return hashlib.sha256(f"scale {seed} {article} {place}".encode()).digest()[:16]


def article_id(number: int) -> str:
    """Return the id of an article."""
    return f"made-{number:08}"


def article_number(id: str) -> int:
    """Return the number of an article by its id."""
    return int(id.removeprefix("made-"))


class Collection:
    """The first articles of a material that hold so many passages."""

    def __init__(self, material: Material, passages: int) -> None:
        self.material, self.passages = material, 0
        # How many articles of each chunk, and how many passages these hold.
        self._chunks: list[tuple[int, int]] = []
        while self.passages < passages:
            ends = np.cumsum(material.column(len(self._chunks), "sizes"))
            count = min(int(np.searchsorted(ends, passages - self.passages)) + 1, len(ends))
            self._chunks.append((count, int(ends[count - 1])))
            self.passages += int(ends[count - 1])

    @property
    def chunks(self) -> int:
        return len(self._chunks)

    def articles(self) -> Iterator[Made]:
        """Yield all articles in order."""
        for n, (count, _) in enumerate(self._chunks):
            for _, made in zip(range(count), self.material.articles(n), strict=False):
                yield made

    def some(self, numbers: set[int]) -> list[Made]:
        """Return the articles of these numbers, in order."""
        found = []
        for chunk in sorted({n // ARTICLES for n in numbers}):
            found += [m for n, m in enumerate(self.material.articles(chunk), chunk * ARTICLES) if n in numbers]
        return found

    def vectors(self) -> Iterator[tuple[Vectors, Ints]]:
        """Yield the vectors of each chunk, those of its articles that belong here, with the sizes of these."""
        for n, (count, passages) in enumerate(self._chunks):
            yield self.material.vectors(n)[:passages], self.material.column(n, "sizes")[:count]

    def _of_articles(self, name: str) -> Ints:
        return np.concatenate([self.material.column(n, name)[:count] for n, (count, _) in enumerate(self._chunks)])

    def _of_passages(self, name: str) -> Ints:
        return np.concatenate([self.material.column(n, name)[:most] for n, (_, most) in enumerate(self._chunks)])

    @cached_property
    def sizes(self) -> Ints:
        """Passages of each article."""
        return self._of_articles("sizes")

    @cached_property
    def article(self) -> Ints:
        """The article's number of each passage."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)

    @cached_property
    def heads(self) -> Heads:
        """The columns."""
        return Heads(
            self._of_articles("authors"), self._of_articles("days"), self._of_articles("sources"),
            self._of_passages("sections"),
        )  # fmt: skip

    @cached_property
    def starts(self) -> Ints:
        """Where each passage begins in its article."""
        lengths = self._of_passages("lengths") + 1
        ends = np.cumsum(lengths)
        firsts = np.cumsum(self.sizes) - self.sizes
        return ends - lengths - np.repeat((ends - lengths)[firsts], self.sizes)

    def number(self, article_id: str, start: int) -> int:
        """Return the number of the passage that begins at a place of an article."""
        article = article_number(article_id)
        first = int(self._firsts[article])
        return first + int(np.searchsorted(self.starts[first : first + int(self.sizes[article])], start))

    @cached_property
    def _firsts(self) -> Ints:
        return np.cumsum(self.sizes) - self.sizes

    def distinct_words(self) -> tuple[int, int]:
        """Return how many words the texts of its chunks have, running and distinct."""
        found = [self.material.column(n, "words") for n in range(self.chunks)]
        running = sum(int(self.material.column(n, "running")) for n in range(self.chunks))
        return running, len(np.unique(np.concatenate(found)))
