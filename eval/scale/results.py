"""Figures -> Markdown, JSON and pictures.  Everything said here is computed from the figures that are there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import curves
import numpy as np

from rag.evaluation.tables import table

Figures = Mapping[str, Any]

SELECTIVITIES = ("0.1", "0.01", "0.001")
MIB = 2**20


def sizes(figures: Figures) -> list[int]:
    """Return the sizes that something was measured at."""
    return sorted({int(key.partition("/")[2]) for key in figures if "/" in key})


def of(figures: Figures, kind: str) -> dict[int, Any]:
    """Return the figures of one kind by size."""
    return {size: figures[f"{kind}/{size}"] for size in sizes(figures) if f"{kind}/{size}" in figures}


def at(values: Iterable[float], percent: float) -> float:
    """Return a percentile."""
    return float(np.percentile(list(values), percent))


def times(seconds: Mapping[str, Sequence[float]], mode: str, selectivity: str | None) -> list[float]:
    """Return the seconds of one way of searching at one selectivity, with filters of all kinds."""
    if selectivity is None:
        return list(seconds.get(mode, []))
    return [s for key, found in seconds.items() if key.startswith(f"{mode}/{selectivity}/") for s in found]


def commits(rows: Sequence[Mapping[str, Any]], what: str, *, one: bool) -> list[Mapping[str, Any]]:
    """Return the commits that delete or add one article, or many."""
    return [r for r in rows if r["what"] == what and (r["articles"] == 1) == one]


def markdown(figures: Figures) -> str:
    """Return the whole report."""
    parts = ["# The store by size", _machine(figures), _about(figures), _neighbourhoods(figures), _words(figures)]
    parts += [_building(figures), _disk(figures), _starting(figures), _questions(figures), _kinds(figures)]
    parts += [_recall(figures), _changes(figures)]
    return "\n\n".join(p for p in parts if p) + "\n"


def _machine(figures: Figures) -> str:
    m = figures.get("machine")
    if not m:
        return ""
    versions = ", ".join(f"{name} {v}" for name, v in m["versions"].items())
    at_commits = " and ".join(figures.get("commits", [m["commit"]]))
    loads = figures.get("loads", [0.0])
    return (
        f"Measured {m['date']} at commit {at_commits} by `make scale` on {m['cpu']}, {m['cores']} cores, "
        f"{m['memory_bytes'] / 2**30:.0f} GiB ({', '.join(m['flags'])}), {m['system']}; load before a figure was begun "
        f"{min(loads):.1f} to {max(loads):.1f}; {versions}.\n\n![The same figures as curves](scale.svg)"
    )


def _about(figures: Figures) -> str:
    each = figures.get("words", {}).get("per_article")
    if not each:
        return ""
    return (
        "Passages are made from the real ones of six outside sets, cut at 100 tokens as the product cuts and embedded "
        f"once with the bundled model. An article ({each:.1f} passages in the mean) takes its passages from around one "
        "real passage: those beside it and near ones of its set. Each is mixed with a near neighbour in a share of "
        "chance, whole sentences of the text and the vector alike; rare words, numbers and some others are then "
        "exchanged, the vector gets noise. Questions are real ones with their own vectors, from the reporting halves "
        "of nq-gold, squad2-half and time-1963; the noise was chosen by those of the tuning halves. A larger "
        "collection begins with every smaller one."
    )


def _neighbourhoods(figures: Figures) -> str:
    found = figures.get("realism")
    if not found:
        return ""
    names = [f"{of}_cosine_{n}" for of in ("own", "context") for n in (1, 10, 100)]
    lines = []
    for row, far in zip(found["rows"], found["distance"], strict=True):
        level = "real" if row["noise"] is None else f"{row['noise']:g}"
        cosines = [f"{row[n]:.2f} ({row[n + '_p10']:.2f}–{row[n + '_p90']:.2f})" for n in names]
        dimensions = [f"{row[n]:.1f}" for n in ("own_dimension", "context_dimension", "passage_dimension")]
        lines.append([level, *cosines, *dimensions, f"{row['passage_cosine_10']:.2f}", f"{far:.3f}"])
    heads = ["noise", *(f"{w} {n}" for w in ("own", "in context") for n in (1, 10, 100)), "LID own", "LID in context",
             "LID passages", "passage 10", "difference"]  # fmt: skip
    return (
        "## Are the neighbourhoods real?\n\nCosine of a real question to its 1st, 10th and 100th neighbour, median "
        f"(10 % to 90 %), among the {found['real']:,} real passages and as many made ones: by the passages' own "
        "vectors, and by those that find them (half their article's). LID is the local intrinsic dimensionality at "
        "100 neighbours, around questions and around passages; the difference is the mean relative one of what a "
        "search meets (in context, and around passages). Real articles of nq-gold have fewer than two passages, "
        "made ones nine: hence the farther first neighbour in context. Drawing by chance leaves out one real "
        f"passage in three, another reason. Noise {found['noise']:g} is used.\n\n" + table(heads, lines)
    )


def _words(figures: Figures) -> str:
    found = figures.get("words")
    if not found:
        return ""
    rows = [
        [r["passages"] if isinstance(r["passages"], str) else f"{r['passages']:,}", f"{r['running']:,}",
         f"{r['distinct']:,}", f"{r['heaps']:,}", f"{r['distinct'] / r['heaps']:.2f}"]
        for r in found["growth"]
    ]  # fmt: skip
    shares = [[r["term"], f"{r['real']:.4f}", f"{r['made']:.4f}"] for r in found["terms"]]
    h, o = found["heaps"], found["open"]
    return (
        f"## Are the words real?\n\nHeaps' law on the real texts: V = {h['k']:.3g} n^{h['b']:.3f}. "
        f"Exchanged rare words ({100 * found['draws_per_word']:.1f} in a hundred running words) come from an open "
        f"vocabulary with frequencies (i + {o['offset']:,.0f})^-{o['exponent']:.2f}. Numbers are made anew as well. "
        "Words are counted over whole chunks.\n\n"
        + table(["passages", "running words", "distinct", "Heaps", "ratio"], rows)
        + "\n\nShare of the passages that hold a term that questions search for:\n\n"
        + table(["term", "real", "made"], shares)
    )


def _with_table(text: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a text and the table it is about, nothing where that has no rows."""
    return f"{text}\n\n{table(heads, rows)}" if rows else ""


def _building(figures: Figures) -> str:
    found = of(figures, "build")
    rows = []
    for v in found.values():
        s, peak, before = v["seconds"], v["peak"], v["before"]
        rows.append([
            f"{v['passages']:,}", f"{v['articles']:,}", f"{v['per_s']:,.0f}",
            *(f"{s.get(n, 0):.1f}" for n in ("vectors", "articles", "commits", "closing", "reading")),
            f"{peak['resident'] / MIB:,.0f}", f"{peak['anonymous'] / MIB:,.0f}", f"{before['anonymous'] / MIB:,.0f}",
            f"{v['segments']}",
        ])  # fmt: skip
    heads = ["passages", "articles", "passages/s", "vectors s", "articles s", "commits s", "closing s", "reading s",
             "peak MiB", "anonymous MiB", "before MiB", "segments"]  # fmt: skip
    text = (
        "## Building\n\n"
        "One writer, vectors given, a commit every five seconds as in an ingest. The rate leaves out reading the "
        "material. Anonymous is the peak that belongs to no file, sampled twenty times a second; before is what the "
        "process held before the index was made, the benchmark's own."
    )
    return _with_table(text, heads, rows)


def _disk(figures: Figures) -> str:
    found = of(figures, "build")
    kinds = sorted({k for v in found.values() for k, n in v["bytes"].items() if n})
    rows = [[k, *(f"{v['bytes'].get(k, 0) / v['passages']:,.1f}" for v in found.values())] for k in kinds]
    rows.append(["all", *(f"{sum(v['bytes'].values()) / v['passages']:,.1f}" for v in found.values())])
    heads = ["bytes a passage", *(f"{v['passages']:,}" for v in found.values())]
    return _with_table("## On disk", heads, rows if found else [])


def _starting(figures: Figures) -> str:
    rows = []
    for size, v in of(figures, "start").items():
        starts, s = v["starts"], v["searching"]
        rows.append([
            f"{size:,}", *(_ms([x[n] for x in starts]) for n in ("imports_s", "first_s", "process_s")),
            str(len(starts)),
            *(f"{s[m]['anonymous'] / MIB:,.0f}" for m in ("memory_at_first", "memory", "memory_with_filters")),
            f"{s['memory']['mapped'] / MIB:,.0f}",
        ])  # fmt: skip
    if not rows:
        return ""
    some = next(iter(of(figures, "start").values()))
    heads = ["passages", "imports ms", "open to first answer ms", "process to first answer ms", "starts",
             "anonymous MiB at first", f"after {some['searches']}", "with filters", "mapped MiB"]  # fmt: skip
    text = (
        "## Starting, and memory of a searching process\n\n"
        "Fresh processes, files in the page cache, median (95 %): importing what a search needs, opening the index up "
        "to its first hybrid answer, and from the start of the process up to there. Then the memory of one that goes "
        f"on to {some['searches']} questions, and {some['filters']} more with filters it has not seen: its own "
        "(anonymous), and what it has mapped from files."
    )
    return _with_table(text, heads, rows)


def _ms(seconds: Sequence[float]) -> str:
    return f"{at(seconds, 50) * 1000:.1f} ({at(seconds, 95) * 1000:.1f})" if seconds else "–"


def _questions(figures: Figures) -> str:
    rows = []
    for size, v in of(figures, "ask").items():
        for selectivity in (None, *SELECTIVITIES):
            for mode in ("hybrid",) if selectivity is None else ("new", "again"):
                seconds = times(v["seconds"], mode, selectivity)
                if not seconds:
                    continue
                halves = [times(v["seconds"], half, selectivity) for half in ("dense", "lexical")]
                label = {"hybrid": "", "new": ", first use", "again": ", used again"}[mode]
                rows.append([
                    f"{size:,}", (selectivity or "none") + label, str(len(seconds)),
                    *(f"{at(seconds, p) * 1000:.2f}" for p in (50, 95, 100)),
                    *(f"{at(h, p) * 1000:.2f}" if mode != "new" else "" for h in halves for p in (50, 95)),
                ])  # fmt: skip
    if not rows:
        return ""
    v = next(iter(of(figures, "ask").values()))
    heads = ["passages", "filter", "searches", "p50 ms", "p95 ms", "max ms", "dense p50", "p95", "lexical p50", "p95"]
    text = (
        "## Questions\n\n"
        f"{v['questions']} questions, their vectors given, one after another in an order of chance: hybrid search "
        f"(depth 100) to ten hits with their texts, each on the newest state; without a filter {v['repeats']} times. "
        "Filters are different ones each time, of six kinds; each is used first with one question, then with two "
        "others. Dense and lexical are the halves alone, 100 rows each without their texts."
    )
    return _with_table(text, heads, rows)


def _kinds(figures: Figures) -> str:
    rows = []
    for size, v in of(figures, "ask").items():
        for key, shares in v["shares"].items():
            selectivity, _, kind = key.partition("/")
            new, again = v["seconds"][f"new/{key}"], v["seconds"][f"again/{key}"]
            rows.append([f"{size:,}", selectivity, kind, str(len(shares)), f"{at(shares, 50):.4f}",
                         *(f"{at(s, p) * 1000:.2f}" for s in (new, again) for p in (50, 95))])  # fmt: skip
    heads = ["passages", "wanted", "over", "filters", "passing", "first use p50 ms", "p95", "again p50 ms", "p95"]
    text = (
        "By what filters are made over: how many different ones, and the median share of the passages that they let "
        "pass. Values of a kind are alternatives, so several sources, authors, sections or articles are named; an "
        "article filter names 2,000 at most."
    )
    return _with_table(text, heads, rows)


def _recall(figures: Figures) -> str:
    rows, notes = [], []
    for size, v in of(figures, "compare").items():
        for selectivity in ("none", *SELECTIVITIES):
            some = [r for key, r in v["recall"].items() if key.partition("/")[0] == selectivity]
            values = {k: [x for r in some for x in r[k]] for k in ("10", "100")}
            if values["10"]:
                rows.append([f"{size:,}", selectivity, str(len(values["10"])),
                             *(f"{f(values[k]):.4f}" for k in ("10", "100") for f in (np.mean, np.min))])  # fmt: skip
        notes.append(
            f"With {size:,} passages {v['short']} of {v['searches']} searches gave fewer than min(100, matches), and "
            f"{v['outside']} hits were outside their filter."
        )
    heads = ["passages", "filter", "searches", "recall@10", "least", "recall@100", "least"]
    text = (
        "## Recall\n\n"
        "Dense search against brute force over the vectors as they were given, mixed with their articles' apart from "
        "the store. A hit as near as the last wanted (within .0002) counts, since 16 bits cannot tell them apart."
    )
    return _with_table(text, heads, rows) + "\n\n" + " ".join(notes) if rows else ""


def _changes(figures: Figures) -> str:
    rows = []
    for size, v in of(figures, "change").items():
        for one in (True, False):
            for what in ("add", "delete"):
                some = commits(v["rows"], what, one=one)
                if some:
                    columns = ("commit_s", "close_s", "seen_s", "reader_first_s", "reader_next_s")
                    rows.append([f"{size:,}", f"{what} {some[0]['articles']:,}", str(len(some)),
                                 *(_ms([r[c] for r in some]) for c in columns)])  # fmt: skip
    heads = ["passages", "articles", "commits", "to commit ms", "closing ms", "seen after ms", "first search ms",
             "next search ms"]  # fmt: skip
    text = (
        "## Changes\n\n"
        "Articles of the index are deleted one after another and then added again, each time by a new writer: from "
        "before it is opened to its commit, closing it, and from its opening until a reader in another process has the "
        "new state, median (95 %). Then that reader's first search, taking up the new state included, and its next one."
    )
    return _with_table(text, heads, rows)


def write(figures: Figures, out: Path) -> list[Path]:
    """Write the results in their forms and return where they are."""
    out.parent.mkdir(parents=True, exist_ok=True)
    paths = [out.with_suffix(ending) for ending in (".md", ".json", ".svg")]
    paths[0].write_text(markdown(figures), "utf-8")
    paths[1].write_text(json.dumps(_rounded(figures), ensure_ascii=False, indent=1) + "\n", "utf-8")
    paths[2].write_text(curves.draw(curves.panels(figures)) + "\n", "utf-8")
    return paths


def _rounded(value: Any) -> Any:
    """Return the figures with times to the microsecond, lists of numbers as percentiles where they are long."""
    if isinstance(value, Mapping):
        return {k: _rounded(v) for k, v in value.items()}
    if isinstance(value, list):
        if len(value) > 20 and all(isinstance(v, float) for v in value):
            return {"n": len(value), **{f"p{p}": round(at(value, p), 6) for p in (0, 5, 25, 50, 75, 95, 99, 100)}}
        return [_rounded(v) for v in value]
    return round(value, 6) if isinstance(value, float) else value
