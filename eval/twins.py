"""Near-duplicates: what is linked, what must not be, and what it costs: `python eval/twins.py FOLDER`.

FOLDER holds the outside sets.  Twins are made of their articles by what happens to a text that is printed again, and
look-alikes by what makes another article of the same words; both from fixed seeds.  One half of the articles, by a
digest of their ids, is for choosing the parameters, the other reports.
Look-alikes that a word makes take it from the set's own words of the same kind and as frequent.  Passages of either are
folded as search folds them, the two articles linked.
Then all articles of each set are held against one another, and the ids of those linked are named, to be read.

Writes results/twins.md and .json.  No text of a set is kept, only ids.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import random
import re
import sqlite3
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any, cast

import numpy as np
from reprints import BY_A_WORD, OTHERS, TWINS, Change, Words, leaflet, other_doses
from tables import commit

from rag.evaluation.halves import half
from rag.evaluation.tables import table
from rag.files import records
from rag.folding import fold
from rag.intake import items, signature, twins
from rag.intake.readers import read
from rag.intake.tokens import tokens
from rag.protocols import View
from rag.settings import Settings
from rag.store import twins as stored
from rag.types import Article, ArticleHead, Hit, Passage

HERE = Path(__file__).parent
SETS = ("news-2022", "time-1963", "articles-18f", "timeqa-articles", "nq-gold", "squad2-half", "checkthat-2020",
        "cranfield", "medline-1033")  # fmt: skip
SOURCES = ("news-2022", "time-1963", "articles-18f", "timeqa-articles")
"""Sets of whole articles, of which twins and look-alikes are made."""
WORDS = (150, 6_000)
"""Articles of so many words: long enough to be cut, short enough for there to be many."""
READ = """\
Read in November 2026: the pair of news-2022 is a wire story in two newspapers.  Of the 186 pairs of checkthat-2020 all
are the same claim: 6 are equal, 180 have the same letters and figures with other quotation marks, apostrophes or
capitals.  Of candidates that were not linked, some of the news were read: a disaster's next report with another toll, a
daily column with its standing parts.  In nq-gold a page's passage in two versions, with a word more or another, is not
linked, nor where it is cut within a sentence at both ends."""
ALTERNATIVES = """\
Tried when the rules were made (2026-11-25) and not measured anew since, on the tuning half, 100 articles of a set,
9,412 look-alikes.  Without known spellings and words of no weight,
5 % of the texts in another desk's spelling are linked in place of 99.7 %; with spellings and without such words 91
%.  Without headings, captions and the like of up to six words 85 % of the texts that lack a paragraph, in place of
97 %.  With adverbs that may be put in or left out (also, however, then, still) 8 look-alikes are linked; with one
small word in 200 replaced 2,646, and 8 % of the texts of which 1 % of the words are edited.  What was linked before,
with a share of words in place of others that were neither figures nor names: 80 % of those texts, and nearly all
look-alikes by a word."""
PARAMETERS = ("SHORT", "ADDED", "ALONE", "CUT", "RUN", "EDGE")
TRIED = ((100, 8, 3), (400, 8, 3), (200, 8, 2), (200, 8, 4), (200, 4, 3), (200, 6, 3), (200, 12, 3))
"""Other signatures: words of the opening, bands, values in a band."""
HARD = ("cut to 55 %", "2 standing paragraphs", "6 % of words edited", "cut to 70 %, byline, typography, 1 % edited")
"""Ways of printing again that signatures are chosen by: the others are found by nearly any."""
MOST = 200
"""Articles of a set that are varied."""


def articles(folder: Path, name: str) -> dict[str, str]:
    """Return a set's texts by id."""
    corpus = folder / name / "corpus.jsonl"
    if corpus.exists():
        return {str(r["_id"]): str(r["text"]) for _, r in records(corpus)}
    limits = Settings().limits
    found = (
        a
        for item in items.find([folder / name])
        if not isinstance(item.value, Article) and hasattr(item.value, "kind")
        for a in read(item.value, max_page=limits.page_bytes, max_line=limits.line_bytes)
    )
    return {a.id: a.text for a in found if isinstance(a, Article)}


# -- measuring --------------------------------------------------------------------------------


def varied(texts: dict[str, str], name: str, part: str) -> list[str]:
    """Return the ids of articles to vary: of one half, of middling length, chosen by a digest."""
    fit = [id for id, t in texts.items() if half(name, id) == part and WORDS[0] <= len(t.split()) <= WORDS[1]]
    return sorted(fit, key=lambda id: hashlib.sha256(id.encode()).digest())[:MOST]


def pairs(folder: Path, changes: dict[str, Change], part: str) -> Iterator[tuple[str, str, str, str, str]]:
    """Yield (set, id, change, text, changed text) of every article and change that alters it as it is meant to."""
    for name in SOURCES:
        texts = articles(folder, name)
        if changes is OTHERS:
            Words.learn(name, texts)
        ids = varied(texts, name, part)
        for n, id in enumerate(ids):
            text, other = texts[id], texts[ids[(n + 1) % len(ids)]]
            for kind, change in changes.items():
                one, given = text, other
                if kind in BY_A_WORD:
                    given = f"{name}\0{text}"
                if change is other_doses:
                    one = leaflet(text, random.Random(f"{name}/{id}/{kind}"), change=False)
                changed = change(one, given, random.Random(f"{name}/{id}/{kind}"))
                if changes is OTHERS and tokens(changed).folded == tokens(one).folded:
                    continue  # without a figure or a name there is nothing to change
                yield name, id, kind, one, changed


_SENTENCES = re.compile(r"(?<=[.!?]) |\n+")


def sentences(text: str) -> list[str]:
    """Return the sentences of a text, bylines and rights left out."""
    return [s for s in _SENTENCES.split(text) if twins.body(s)]


def cut_up(text: str) -> list[tuple[int, int]]:
    """Return the places of passages of some seventy words, which end where a sentence does."""
    out, start = [], 0
    for m in re.finditer(r"[.!?][”\"')]*\s+|\n+|$", text):
        if len(text[start : m.end()].split()) >= 70 or (m.end() == len(text) and text[start:].strip()):
            out.append((start, start + len(text[start : m.end()].rstrip())))
            start = m.end()
    return out


class Linked:
    """What folding sees of an index: two articles that are linked."""

    def __init__(self, one: str, two: str) -> None:
        self.texts = {"one": one, "two": two}

    def article(self, id: str) -> Article:
        """Return one of the two."""
        return Article(id=id, title="", text=self.texts[id])

    def twins(self, ids: Sequence[str]) -> dict[str, tuple[ArticleHead, ...]]:
        """Return the other of each."""
        return {id: (ArticleHead("two" if id == "one" else "one", ""),) for id in ids}


def folded(one: str, two: str, passages: Sequence[tuple[int, int]]) -> int:
    """Return how many passages of the second text are folded into those of the first, the two linked."""

    def hits(id: str, text: str, places: Sequence[tuple[int, int]]) -> list[Hit]:
        return [
            Hit(n, 1 / n, {}, Passage(id, "", start, end, "", text[start:end]), ArticleHead(id, ""))
            for n, (start, end) in enumerate(places, 1)
        ]

    ours = hits("one", one, cut_up(one)) if passages else []
    found = fold(cast(View, Linked(one, two)), [*ours, *hits("two", two, passages)], "passage")
    return len(passages) - sum(h.article.id == "two" for h in found)


def recall(folder: Path, part: str) -> dict[str, dict[str, Any]]:
    """Return, for each way of printing a text again, how many are candidates, and how many of each set are linked."""
    out: dict[str, dict[str, Any]] = {
        k: {"n": 0, "candidates": 0, "linked": 0, "passages": 0, "folded": 0, "sets": {}} for k in TWINS
    }
    own: dict[tuple[str, str], frozenset[int]] = {}
    for n, (name, id, kind, text, changed) in enumerate(pairs(folder, TWINS, part)):
        bands = own.setdefault((name, id), frozenset(signature.signature(text)))
        found = bool(bands.intersection(signature.signature(changed)))
        linked = found and twins.same(text, changed)
        row = out[kind]
        if n // len(TWINS) % 4 == 0:
            every = cut_up(changed)
            row["passages"] += len(every)
            row["folded"] += folded(text, changed, every)
        of_set = row["sets"].setdefault(name, {"n": 0, "linked": 0})
        for counts in (row, of_set):
            counts["n"] += 1
            counts["linked"] += linked
        row["candidates"] += found
    return out


def look_alikes(folder: Path, part: str) -> dict[str, dict[str, Any]]:
    """Return, for each way of making another article, how many are wrongly linked, and the first of them."""
    out: dict[str, dict[str, Any]] = {
        k: {"n": 0, "candidates": 0, "wrong": 0, "passages": 0, "folded": 0, "ids": []} for k in OTHERS
    }
    own: dict[str, frozenset[int]] = {}
    for name, id, kind, text, changed in pairs(folder, OTHERS, part):
        bands = own.get(text) or own.setdefault(text, frozenset(signature.signature(text)))
        row, wrong = out[kind], twins.same(text, changed)
        row["n"] += 1
        row["candidates"] += bool(bands.intersection(signature.signature(changed)))
        row["wrong"] += wrong
        said = " ".join(tokens(text).folded)
        differing = [
            p
            for p in cut_up(changed)
            if any(" ".join(tokens(s).folded) not in said for s in sentences(changed[slice(*p)]))
        ]
        row["passages"] += len(differing)
        row["folded"] += folded(text, changed, differing)
        if wrong and len(row["ids"]) < 10:
            row["ids"].append(f"{name}/{id}")
    return out


def whole_set(folder: Path, name: str) -> dict[str, Any]:
    """Return what is linked among all articles of a set, put one after another into an index's tables, and the time."""
    texts = articles(folder, name)
    ids = list(texts)
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE articles (ord INTEGER PRIMARY KEY, text TEXT NOT NULL, live INTEGER NOT NULL)")
    for statement in stored.TABLES.split(";"):
        db.execute(statement)
    began = time.perf_counter()
    signatures = [signature.signature(t) for t in texts.values()]
    signing = time.perf_counter() - began
    at: dict[int, list[int]] = defaultdict(list)
    for n, keys in enumerate(signatures):
        for key in keys:
            at[key].append(n)
    candidates = {p for same in at.values() for p in itertools.combinations(same, 2)}
    linked, linking = [], 0.0
    for n, text in enumerate(texts.values(), 1):
        db.execute("INSERT INTO articles VALUES (?, ?, 1)", (n, text))
        began = time.perf_counter()
        linked += [(ids[other - 1], ids[n - 1]) for other in stored.link(db, n, text)]
        linking += time.perf_counter() - began
    (size,) = db.execute("SELECT COUNT(*) * 1.0 FROM bands").fetchone()
    chars = sum(map(len, texts.values()))
    return {
        "articles": len(texts),
        "candidates": len(candidates),
        "linked": len(linked),
        "ids": [list(p) for p in linked],
        "characters": round(chars / len(texts)),
        "signature_ms": round(1e3 * signing / len(texts), 3),
        "link_ms": round(1e3 * linking / len(texts), 3),
        "signature_ms_per_5000_characters": round(5e6 * signing / chars, 3),
        "keys": round(size / len(texts), 1),
    }


def bytes_each(count: int = 100_000) -> float:
    """Return the bytes of an article's bands in a file of so many articles, their keys drawn at random."""
    path = HERE / "out" / "twins.sqlite"
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    db, draw = sqlite3.connect(path), random.Random(0)
    for statement in stored.TABLES.split(";"):
        db.execute(statement)
    for n in range(1, count + 1):
        keys = [draw.randrange(-(2**31), 2**31) for _ in range(2 * signature.BANDS)]
        db.executemany("INSERT INTO bands VALUES (?, ?)", [(k, n) for k in keys])
    db.commit()
    db.close()
    size = path.stat().st_size / count
    path.unlink()
    return size


def library(texts: Sequence[str]) -> dict[str, float] | None:
    """Return milliseconds an article of datasketch's MinHash and of ours, of the same words and number of hashes."""
    try:
        from datasketch import MinHash
    except ImportError:
        return None
    words = [tokens(t).folded for t in texts]
    began = time.perf_counter()
    hashes, run = 2 * signature.BANDS * signature.ROWS, signature.SHINGLE
    for folded in words:
        runs = range(max(len(folded) - run + 1, 1))
        MinHash(num_perm=hashes).update_batch([" ".join(folded[n : n + run]).encode() for n in runs])
    theirs = time.perf_counter() - began
    began = time.perf_counter()
    for t in texts:
        signature.signature(t)
    ours = time.perf_counter() - began
    began = time.perf_counter()
    for t in texts:
        tokens(t)
    reading = time.perf_counter() - began
    per = 5e6 / sum(map(len, texts))
    return {
        "datasketch": round(theirs * per, 3),
        "ours": round((ours - reading) * per, 3),
        "words": round(reading * per, 3),
    }


def sweep(folder: Path) -> list[list[str]]:
    """Return the least and the mean recall of candidates over the hard ways of printing again, for other signatures."""
    rows = []
    ours = signature.OPENING, signature.BANDS, signature.ROWS
    for opening, bands, least in [ours, *TRIED]:
        signature.OPENING, signature.BANDS, signature.ROWS = opening, bands, least
        signature._FACTORS = signature._numbers(2 * bands * least) | np.uint64(1)
        signature._PLACES = signature._numbers(signature.SHINGLE + least) | np.uint64(1)
        own: dict[tuple[str, str], frozenset[int]] = {}
        counts: dict[str, list[bool]] = defaultdict(list)
        for name, id, kind, text, changed in pairs(folder, {k: TWINS[k] for k in HARD}, "tune"):
            keys = own.setdefault((name, id), frozenset(signature.signature(text)))
            counts[kind].append(bool(keys.intersection(signature.signature(changed))))
        shares = [sum(c) / len(c) for c in counts.values()]
        signatures = [s for (name, _), s in own.items() if name == "news-2022"]
        other = [bool(a & b) for a, b in itertools.combinations(signatures, 2)]
        mean, million = sum(shares) / len(shares), 1e6 * sum(other) / len(other)
        rows.append([f"{opening} / {bands} / {least}", f"{min(shares):.2%}", f"{mean:.2%}", f"{million:.0f}"])
    signature.OPENING, signature.BANDS, signature.ROWS = ours
    signature._FACTORS = signature._numbers(2 * signature.BANDS * signature.ROWS) | np.uint64(1)
    signature._PLACES = signature._numbers(signature.SHINGLE + signature.ROWS) | np.uint64(1)
    return rows


def share(part: int, whole: int) -> str:
    """Return a share for a table."""
    return f"{part / whole:.1%}" if whole else ""


def report(found: dict[str, Any]) -> str:
    """Return what was measured as Markdown."""
    of_twins = [
        [
            k,
            f"{r['n']:,}",
            share(r["candidates"], r["n"]),
            share(r["linked"], r["n"]),
            share(r["folded"], r["passages"]),
        ]
        + [share(r["sets"].get(s, {"linked": 0})["linked"], r["sets"].get(s, {"n": 0})["n"]) for s in SOURCES]
        for k, r in found["twins"].items()
    ]
    others = [
        [k, f"{r['n']:,}", share(r["candidates"], r["n"]), f"{r['wrong']}", f"{r['passages']:,}", f"{r['folded']}"]
        for k, r in found["look_alikes"].items()
    ]
    wrong = [f"- {k}: {', '.join(r['ids'])}" for k, r in found["look_alikes"].items() if r["ids"]]
    counts = ("articles", "characters", "candidates", "linked")
    times = ("signature_ms", "link_ms", "signature_ms_per_5000_characters")
    sets = [
        [n, *(f"{r[c]:,}" for c in counts), *(f"{r[t]:.2f}" for t in times)]
        for n, r in found["sets"].items()
    ]  # fmt: skip
    ids = [
        f"- {n}: " + ", ".join(" = ".join(p) for p in r["ids"][:40]) + (" and so on" if len(r["ids"]) > 40 else "")
        for n, r in found["sets"].items() if r["ids"]
    ]  # fmt: skip
    both = found["library"]
    told = (
        f"Milliseconds for 5,000 characters, {2 * signature.BANDS * signature.ROWS} hashes: words {both['words']:.2f}, "
        f"ours from the words {both['ours']:.2f}, datasketch's MinHash from the same words {both['datasketch']:.2f}."
        if both
        else "datasketch was not installed."
    )
    return "\n".join(
        [
            f"Made {date.today()} by eval/twins.py at commit {found['commit']}.  Parameters chosen on the tuning half "
            "of the articles, figures of the reporting half.",
            "",
            "## Twins: printed again",
            "",
            "Candidates share a band; linked ones are found the same by their texts; of every fourth text, passages "
            "of some 70 words are folded into the other's.  Where any word may have been edited, so that the text may "
            "say something else, nothing is linked on purpose.",
            "",
            table(["printed again by", "n", "candidates", "linked", "passages folded", *SOURCES], of_twins),
            "",
            "## Look-alikes: other articles",
            "",
            table(["other article by", "n", "candidates", "linked", "passages that differ", "folded"], others),
            "",
            *(["Linked, to be read:", "", *wrong, ""] if wrong else []),
            ALTERNATIVES,
            "",
            "## Real articles, all pairs",
            "",
            table(
                [
                    "set",
                    "articles",
                    "characters each",
                    "candidate pairs",
                    "linked pairs",
                    "signature, ms",
                    "signature and links, ms",
                    "signature, ms for 5,000 characters",
                ],
                sets,
            ),
            "",
            "Linked:",
            "",
            *ids,
            "",
            READ,
            "",
            "## Cost",
            "",
            f"{told}  The {2 * signature.BANDS} keys of an article take {found['bytes']:.0f} bytes "
            "where there are 100,000 articles.",
            "",
            "## Bands, on the tuning half",
            "",
            "Words of the opening, bands of it (and of the whole), values in a band; recall of candidates over "
            "four hard ways of printing again, and pairs of different news-2022 articles that become candidates, in a "
            "million.",
            "",
            table(["opening / bands / values", "least recall", "mean recall", "in a million"], found["sweep"]),
            "",
        ]
    )


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    found: dict[str, Any] = {"commit": commit(), "parameters": {n: getattr(twins, n) for n in PARAMETERS}}
    found["twins"] = recall(folder, "report")
    found["look_alikes"] = look_alikes(folder, "report")
    found["sets"] = {name: whole_set(folder, name) for name in SETS}
    found["bytes"] = round(bytes_each(), 1)
    found["library"] = library(list(articles(folder, "news-2022").values())[:300])
    found["sweep"] = sweep(folder)
    out = HERE / "results"
    (out / "twins.md").write_text(report(found), "utf-8")
    (out / "twins.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    print(report(found))


if __name__ == "__main__":
    main()
