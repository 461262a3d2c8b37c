"""Near-duplicates: what is linked, what must not be, and what it costs: `python eval/twins.py FOLDER`.

FOLDER holds the outside sets.  Twins are made of their articles by what happens to a text that is printed again, and
look-alikes by what makes another article of the same words; both from fixed seeds.  One half of the articles, by a
digest of their ids, is for choosing the parameters, the other reports.
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
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from tables import commit

from rag.evaluation.halves import half
from rag.evaluation.tables import table
from rag.files import records
from rag.intake import items, signature, twins
from rag.intake.readers import read
from rag.intake.tokens import tokens
from rag.settings import Settings
from rag.store import twins as stored
from rag.types import Article

HERE = Path(__file__).parent
SETS = ("news-2022", "time-1963", "articles-18f", "timeqa-articles", "nq-gold", "squad2-half", "checkthat-2020",
        "cranfield", "medline-1033")  # fmt: skip
SOURCES = ("news-2022", "time-1963", "articles-18f", "timeqa-articles")
"""Sets of whole articles, of which twins and look-alikes are made."""
WORDS = (150, 6_000)
"""Articles of so many words: long enough to be cut, short enough for there to be many."""
READ = """\
Read in November 2026, the pairs of news-2022 and nq-gold: all right, a wire story in two newspapers, a page's passage
in two versions or cut a few words apart.  The claims of checkthat-2020 were not read one by one.  Of candidates
that were not linked, some of the news were read: a disaster's next report with another toll, a daily column with its
standing parts."""
PARAMETERS = ("SHORT", "ADDED", "REPLACED", "SENTENCE", "CUT", "FIGURE_ALONE",
              "CAPITALS", "JOINT", "EDGE")  # fmt: skip
TRIED = ((100, 8, 3), (400, 8, 3), (200, 8, 2), (200, 8, 4), (200, 4, 3), (200, 6, 3), (200, 12, 3))
"""Other signatures: words of the opening, bands, values in a band."""
HARD = ("cut to 55 %", "2 standing paragraphs", "6 % of words edited", "cut to 70 %, byline, typography, 1 % edited")
"""Ways of printing again that signatures are chosen by: the others are found by nearly any."""
MOST = 200
"""Articles of a set that are varied."""

Change = Callable[[str, str, random.Random], str]
"""A text, another article's text and a source of chance, to the text as it is printed again."""


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


# -- what makes a twin ------------------------------------------------------------------------


def paragraphs(text: str) -> list[str]:
    """Return the paragraphs of a text, a single long one in parts of some sentences."""
    found = [p for p in text.split("\n") if p.strip()]
    if len(found) > 3:
        return found
    sentences = re.split(r"(?<=[.!?]) ", " ".join(found))
    return [" ".join(sentences[n : n + 3]) for n in range(0, len(sentences), 3)]


def typography(text: str, _: str, draw: random.Random) -> str:
    """Return the text as another desk sets it: other quotes, dashes, spaces, ellipses and line ends."""
    text = re.sub(r'"([^"]*)"', r"“\1”", text) if draw.random() < 0.5 else re.sub("[“”]", '"', text)
    text = text.replace("'", "’") if draw.random() < 0.5 else text.replace("’", "'")
    return text.replace(" - ", " — ").replace("...", "…").replace(". ", ".  ").replace("\n", "\r\n")


def plain_letters(text: str, _: str, draw: random.Random) -> str:
    """Return the text without diacritics, its first words and now and then a word in capitals."""
    text = text.translate(str.maketrans("éèêáàâíóôöúüñç", "eeeaaaiooouunc"))
    words = text.split(" ")
    return " ".join(w.upper() if n < 5 or draw.random() < 0.02 else w for n, w in enumerate(words))


def cut(share: float) -> Change:
    """Return what keeps a share of the text's words, up to the end of a paragraph where there is one near."""

    def change(text: str, _: str, draw: random.Random) -> str:
        return text[: int(len(text) * share)].rsplit(" ", 1)[0]

    return change


def byline(text: str, _: str, draw: random.Random) -> str:
    """Return the text with another desk's byline, place and credits."""
    name = f"{draw.choice(('Ann', 'Joao', 'Mira'))} {draw.choice(('Roe', 'Doe-Smith', 'Castellan'))}"
    place = draw.choice(("LONDON (AP) — ", "PARIS, March 3 (Reuters) - ", "", "(CNN) "))
    foot = draw.choice((f"\n(Reporting by {name}; editing by Bo Li)", f"\n© 20{draw.randrange(10, 30)} The Gull.", ""))
    return f"By {name}\n{place}{text}{foot}"


_NUMBERS = frozenset("one two three four five six seven eight nine ten eleven twelve".split())
BOILERPLATE = (
    "Sign up for our newsletter and get the best of the week in your inbox every Friday.",
    "This story is part of a series on how cities change. Read more about the series and write to us.",
    "The Gull is a nonprofit newsroom. Support its work by becoming a member, and follow it on social media.",
    "More: What we know so far. A database of earlier stories is kept for subscribers who want to look things up.",
)


def boilerplate(pieces: int) -> Change:
    """Return what puts in standing paragraphs of another site."""

    def change(text: str, _: str, draw: random.Random) -> str:
        parts = paragraphs(text)
        for piece in draw.sample(BOILERPLATE, pieces):
            parts.insert(draw.choice((0, len(parts), draw.randrange(len(parts) + 1))), piece)
        return "\n\n".join(parts)

    return change


def added(text: str, other: str, draw: random.Random) -> str:
    """Return the text with a paragraph of some forty words of another article."""
    parts = paragraphs(text)
    parts.insert(draw.randrange(1, len(parts) + 1), " ".join(other.split()[:40]))
    return "\n\n".join(parts)


def dropped(text: str, _: str, draw: random.Random) -> str:
    """Return the text without one of its paragraphs, if that is a small part of it."""
    parts = paragraphs(text)
    small = [n for n, p in enumerate(parts) if len(p) < 0.1 * len(text)]
    if small:
        del parts[draw.choice(small)]
    return "\n\n".join(parts)


def edited(share: float) -> Change:
    """Return what edits a share of the words that are written small, numbers aside: another word, none, or one more."""

    def change(text: str, _: str, draw: random.Random) -> str:
        out = []
        for piece in re.split(r"(\s+)", text):
            if piece.isalpha() and piece.islower() and piece not in _NUMBERS and draw.random() < share:
                piece = draw.choice(("notably", "likewise", f"{piece} indeed", ""))
            out.append(piece)
        return "".join(out)

    return change


def both(*changes: Change) -> Change:
    """Return several changes one after another."""

    def change(text: str, other: str, draw: random.Random) -> str:
        for one in changes:
            text = one(text, other, draw)
        return text

    return change


TWINS: dict[str, Change] = {
    "copy": lambda text, *_: text,
    "other quotes, dashes, line ends": typography,
    "no diacritics, words in capitals": plain_letters,
    "other byline, place, credits": byline,
    "cut to 85 %": cut(0.85),
    "cut to 70 %": cut(0.7),
    "cut to 55 %": cut(0.55),
    "1 standing paragraph": boilerplate(1),
    "2 standing paragraphs": boilerplate(2),
    "a paragraph of 40 words added": added,
    "a paragraph dropped": dropped,
    "1 % of words edited": edited(0.01),
    "3 % of words edited": edited(0.03),
    "6 % of words edited": edited(0.06),
    "cut to 70 %, byline, typography, 1 % edited": both(cut(0.7), edited(0.01), typography, byline),
    "byline, 1 standing paragraph, 2 % edited": both(edited(0.02), boilerplate(1), byline),
}


# -- what makes another article ---------------------------------------------------------------

_FIGURE = re.compile(r"\d+")
_NAME = re.compile(r"(?<=[a-z,] )[A-Z][a-z]{2,}")


def other_figures(most: int) -> Change:
    """Return what puts other figures in the places of some, as the next day's report has them."""

    def change(text: str, _: str, draw: random.Random) -> str:
        found = list(_FIGURE.finditer(text))
        for m in sorted(draw.sample(found, min(most, len(found))), key=lambda m: -m.start()):
            text = text[: m.start()] + str(int(m[0]) + draw.randrange(1, 9)) + text[m.end() :]
        return text

    return change


def other_name(most: int) -> Change:
    """Return what replaces some of a text's names throughout, as a report on somebody else has them."""

    def change(text: str, _: str, draw: random.Random) -> str:
        names = sorted(set(_NAME.findall(text)))
        for name in draw.sample(names, min(most, len(names))):
            text = re.sub(rf"\b{name}\b", draw.choice(("Vandermeer", "Okonkwo", "Brightwater")), text)
        return text

    return change


def same_opening(share: float) -> Change:
    """Return what keeps a share of the text and goes on with another article."""

    def change(text: str, other: str, draw: random.Random) -> str:
        return (
            cut(share)(text, "", draw) + "\n\n" + " ".join(other.split()[: int(len(text.split()) * (1 - share)) + 20])
        )

    return change


def same_close(text: str, other: str, draw: random.Random) -> str:
    """Return another article that closes with half of the text."""
    words = text.split(" ")
    return " ".join(other.split()[: len(words) // 2]) + "\n\n" + " ".join(words[len(words) // 2 :])


def grown(share: float) -> Change:
    """Return what puts new entries above the text, as a live page grows."""

    def change(text: str, other: str, draw: random.Random) -> str:
        new = itertools.islice(itertools.cycle(other.split()), int(share * len(text.split())))
        return " ".join(new) + "\n\n" + text

    return change


def updated(text: str, other: str, draw: random.Random) -> str:
    """Return the text with a figure changed and a paragraph more on top."""
    if not _FIGURE.search(text):
        return text
    return " ".join(other.split()[:40]) + "\n\n" + other_figures(1)(text, other, draw)


def other_lead(text: str, other: str, draw: random.Random) -> str:
    """Return the text with another article's first paragraphs in place of its own."""
    words = text.split(" ")
    n = max(len(words) // 6, 25)
    return " ".join(other.split()[:n]) + "\n\n" + " ".join(words[n:])


def notice(text: str, _: str, draw: random.Random) -> str:
    """Return the text's opening, as a notice of it has it."""
    return " ".join(text.split()[:45])


OTHERS: dict[str, Change] = {
    "1 figure differs": other_figures(1),
    "3 figures differ": other_figures(3),
    "all figures differ": other_figures(10_000),
    "1 name replaced throughout": other_name(1),
    "3 names replaced throughout": other_name(3),
    "same opening third, another body": same_opening(0.33),
    "same opening two thirds, another body": same_opening(0.67),
    "same second half, another first": same_close,
    "grown at its top by 25 %": grown(0.25),
    "grown at its top by 60 %": grown(0.6),
    "a figure updated, a paragraph on top": updated,
    "another lead": other_lead,
    "a notice of 45 words": notice,
}


# -- measuring --------------------------------------------------------------------------------


def varied(texts: dict[str, str], name: str, part: str) -> list[str]:
    """Return the ids of articles to vary: of one half, of middling length, chosen by a digest."""
    fit = [id for id, t in texts.items() if half(name, id) == part and WORDS[0] <= len(t.split()) <= WORDS[1]]
    return sorted(fit, key=lambda id: hashlib.sha256(id.encode()).digest())[:MOST]


def pairs(folder: Path, changes: dict[str, Change], part: str) -> Iterator[tuple[str, str, str, str, str]]:
    """Yield (set, id, change, text, changed text) of every article and change that alters it as it is meant to."""
    for name in SOURCES:
        texts = articles(folder, name)
        ids = varied(texts, name, part)
        for n, id in enumerate(ids):
            other = texts[ids[(n + 1) % len(ids)]]
            for kind, change in changes.items():
                changed = change(texts[id], other, random.Random(f"{name}/{id}/{kind}"))
                if changes is OTHERS and changed == texts[id]:
                    continue  # without a figure or a name there is nothing to change
                yield name, id, kind, texts[id], changed


def recall(folder: Path, part: str) -> dict[str, dict[str, Any]]:
    """Return, for each way of printing a text again, how many are candidates, and how many of each set are linked."""
    out: dict[str, dict[str, Any]] = {k: {"n": 0, "candidates": 0, "linked": 0, "sets": {}} for k in TWINS}
    own: dict[tuple[str, str], frozenset[int]] = {}
    for name, id, kind, text, changed in pairs(folder, TWINS, part):
        bands = own.setdefault((name, id), frozenset(signature.signature(text)))
        found = bool(bands.intersection(signature.signature(changed)))
        linked = found and twins.same(text, changed)
        row = out[kind]
        of_set = row["sets"].setdefault(name, {"n": 0, "linked": 0})
        for counts in (row, of_set):
            counts["n"] += 1
            counts["linked"] += linked
        row["candidates"] += found
    return out


def look_alikes(folder: Path, part: str) -> dict[str, dict[str, Any]]:
    """Return, for each way of making another article, how many are wrongly linked, and the first of them."""
    out: dict[str, dict[str, Any]] = {k: {"n": 0, "candidates": 0, "wrong": 0, "ids": []} for k in OTHERS}
    own: dict[tuple[str, str], frozenset[int]] = {}
    for name, id, kind, text, changed in pairs(folder, OTHERS, part):
        bands = own.setdefault((name, id), frozenset(signature.signature(text)))
        row, wrong = out[kind], twins.same(text, changed)
        row["n"] += 1
        row["candidates"] += bool(bands.intersection(signature.signature(changed)))
        row["wrong"] += wrong
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
        [k, f"{r['n']:,}", share(r["candidates"], r["n"]), share(r["linked"], r["n"])]
        + [share(r["sets"].get(s, {"linked": 0})["linked"], r["sets"].get(s, {"n": 0})["n"]) for s in SOURCES]
        for k, r in found["twins"].items()
    ]
    others = [
        [k, f"{r['n']:,}", share(r["candidates"], r["n"]), f"{r['wrong']}"] for k, r in found["look_alikes"].items()
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
            "Candidates share a band; linked ones are found the same by their texts.  In time-1963 names are written "
            "small, so that an edited word may always be one: it is strict there on purpose.",
            "",
            table(["printed again by", "n", "candidates", "linked", *SOURCES], of_twins),
            "",
            "## Look-alikes: other articles",
            "",
            table(["other article by", "n", "candidates", "linked"], others),
            "",
            *(["Linked, to be read:", "", *wrong, ""] if wrong else []),
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
