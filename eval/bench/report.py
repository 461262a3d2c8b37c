"""Figures -> Markdown, JSON and a picture.  Everything said here is computed from the figures that are there."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from figures import COLD, MEASURES, Best, Figures, Measure, config, mebibytes, milliseconds, read, whole
from peers import OURS
from picture import draw
from targets import targets

NONE = "–"
"""Stands where nothing was measured."""


def markdown(figures: Figures) -> str:
    """Return the whole report."""
    parts = ["# Us and five peers", *_machine(figures), _targets(figures), _start(figures)]
    parts += [_set(set, figures) for set in dict.fromkeys([*figures.sets("index"), *figures.sets("query")])]
    parts += [_embedding(figures), _limits(figures), _memory(figures), _failures(figures), _versions(figures)]
    return "\n\n".join(p for p in parts if p) + "\n"


def table(names: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return rows as Markdown."""
    lines = ["| " + " | ".join(names) + " |", "|" + " --- |" * len(names)]
    return "\n".join([*lines, *("| " + " | ".join(map(str, row)) + " |" for row in rows)])


def _cell(measure: Measure, best: Best | None) -> str:
    if best is None:
        return NONE
    return f"{measure.show(best.value)} ({best.variant if measure.mode else config(best)})"


def _machine(figures: Figures) -> list[str]:
    m = figures.machine
    if not m:
        return []
    said = (
        f"Measured {m['date']} at commit {m['commit']} on {m['cpu']}, {m['cores']} cores, "
        f"{m['memory_bytes'] / 2**30:.0f} GiB ({', '.join(m['flags'])}), {m['system']}; "
        f"load when it began {m['load']}; threads: {m['threads']}."
    )
    how = (
        "The same weights (all-MiniLM-L6-v2), documents and queries for all. Peers run as their quick start has them "
        "(quick), tuned as their documentation advises (tuned), and with ONNX Runtime where they offer it (onnx); ours "
        "by precision of the model. Each figure is a system's best, and says of which configuration; what each does "
        "is at the top of its file under `eval/bench/systems/`. Tokens that an embedder cuts off do "
        "not count as indexed."
    )
    notes = [f"Settings of ours: {', '.join(m['settings'])}."] if m["settings"] else []
    notes += [f"A trial: only the first {m['sample']} articles of each set."] if m["sample"] else []
    return [said, how, *notes]


def _targets(figures: Figures) -> str:
    words = {True: "yes", False: "no", None: NONE}
    rows = [(t.name, t.wanted, t.measured, words[t.reached]) for t in targets(figures)]
    return "## Targets\n\n" + table(["what", "wanted", "measured", "reached"], rows) if rows else ""


def _start(figures: Figures) -> str:
    rows = []
    for system in figures.systems():
        imports = figures.values.get(f"imports/{system}")
        cells = [_cell(COLD, figures.best(COLD, set, system)) for set in figures.sets("cold")]
        rows.append((system, f"{statistics.median(imports['seconds']):.2f}" if imports else NONE, *cells))
    names = ["system", "imports s", *(f"{COLD.title}, {set}" for set in figures.sets("cold"))]
    text = (
        "Medians of fresh processes. A cold start is from the start of a process to the first hit of an index on disk."
    )
    return f"## Starting\n\n{text}\n\n{table(names, rows)}" if rows else ""


def _set(set: str, figures: Figures) -> str:
    rows = [(s, *(_cell(m, figures.best(m, set, s)) for m in MEASURES)) for s in figures.systems()]
    queries = max((v["queries"] for v in figures.of("query", set).values()), default=0)
    text = (
        f"Indexing reads corpus.jsonl and ends with an index on disk, the model being loaded. {queries} judged "
        "queries, one after another, from text to ten hits with their texts; quality is of articles, each by its best "
        "piece."
    )
    return "\n\n".join(
        [f"## {set}", text, table(["system", *(m.title for m in MEASURES)], rows), _indexes(set, figures)]
    )


def _indexes(set: str, figures: Figures) -> str:
    """Every index that was made, with what its embedder never saw."""
    rows = [
        (
            key.system,
            key.mode,
            key.variant,
            f"{value['load_s']:.1f}",
            f"{value['index_s']:.1f}",
            whole(value["pieces"]),
            whole(value["tokens"]),
            f"{whole(value['truncated'])} (reads {value['reads']})",
            whole(value["over_positions"]),
        )
        for key, value in figures.of("index", set).items()
    ]
    names = "system mode variant load_s index_s pieces tokens truncated over_256".split()
    text = "Indexes, with the tokens cut off silently and those beyond the model's 256 positions:"
    return f"{text}\n\n{table(names, rows)}"


def _embedding(figures: Figures) -> str:
    rates, passages = figures.rates(), figures.values.get("passages")
    if not rates or not passages:
        return ""
    rounds = sorted({n for by_round in rates.values() for n in by_round})
    fastest = {n: max((r[n] for (s, _), r in rates.items() if s != OURS and n in r), default=0.0) for n in rounds}
    rows = []
    for (system, variant), by_round in rates.items():
        ratios = [f"{by_round[n] / fastest[n]:.2f}" if n in by_round and fastest[n] else NONE for n in rounds]
        agreement = _agreement(figures, system, variant)
        rows.append((system, variant, whole(statistics.median(by_round.values())), ", ".join(ratios), agreement))
    text = (
        f"{whole(passages['passages'])} of our passages with their titles, {whole(passages['tokens'])} tokens, each "
        f"system by its own class, all systems in each of {len(rounds)} rounds. The ratio is to the fastest peer of "
        "the same round; the cosine is the least of a few vectors with ours in float32."
    )
    if trial := figures.values.get("batch"):
        times = ", ".join(f"{n}: {seconds:.1f} s" for n, seconds in trial["seconds"].items())
        text += f" Tuned peers take batches of {trial['best']}, the best in a trial with {trial['system']} ({times})."
    names = ["system", "variant", "tokens/s (median)", "ratio by round", "cosine"]
    return f"## Embedding the same passages\n\n{text}\n\n{table(names, rows)}"


def _agreement(figures: Figures, system: str, variant: str) -> str:
    """The least cosine of the sampled vectors with ours in float32: whether the weights are the same."""
    found = [figures.values.get(f"embed/1/{s}/{v}") for s, v in ((OURS, "float32"), (system, variant))]
    if not all(found):
        return NONE
    pairs = zip(found[0]["sample"], found[1]["sample"], strict=True)  # type: ignore[index]
    return f"{min(sum(x * y for x, y in zip(a, b, strict=True)) for a, b in pairs):.5f}"


def _limits(figures: Figures) -> str:
    parts = []
    machine, passages = figures.values.get("limits"), figures.values.get("passages")
    if machine:
        rows = [(p["product"], p["library"], f"{p['gflops']:.0f}") for p in machine["products"]]
        parts.append("Products of float32 matrices:\n\n" + table(["product", "library", "GFLOP/s"], rows))
        scan = machine["scan"]
        parts.append(
            f"A scan of {whole(scan['rows'])} vectors takes {milliseconds(scan['limit_s'])} ms at the rate memory was "
            f"read ({scan['bytes_per_s'] / 1e9:.1f} GB/s); our dense scan takes {milliseconds(scan['ours_s'])} ms, "
            f"{scan['ours_s'] / scan['limit_s']:.2f} times that."
        )
    if (limit := figures.embed_limit()) and passages:
        parts.append(
            f"The model takes {passages['flops'] / passages['tokens'] / 1e6:.1f} million operations a token of these "
            f"passages, so the best of these rates is {whole(limit)} tokens/s."
        )
    rows = []
    for set in figures.sets("query"):
        if p := figures.values.get(f"parts/{set}"):
            times = [milliseconds(p[n]) for n in ("model_s", "scan_s", "lexical_s")]
            total = milliseconds(figures.query_limit(set) or 0)
            rows.append((set, whole(p["passages"]), p["tokens"], *times, total))
    if rows:
        names = "set passages query_tokens model_ms scan_ms lexical_ms sum_ms".split()
        parts.append("The bare parts of a hybrid question:\n\n" + table(names, rows))
    return "\n\n".join(["## Limits of this machine", *parts]) if parts else ""


def _memory(figures: Figures) -> str:
    rows = []
    for key, v in figures.of("memory").items():
        rate = v["articles"] / v["index_s"]
        count, _, chars = key.set.partition("x")
        rows.append(
            (whole(int(count)), chars, key.system, key.mode, key.variant, mebibytes(v["peak_bytes"]), f"{rate:.1f}")
        )
    if not rows:
        return ""
    text = (
        f"Measured {figures.values.get('machine-memory', figures.machine).get('date')}. Peak of the process that "
        "indexes; articles are real ones again and again, each time with another id, title and first "
        "word. Where characters are given, only that many of each piece are embedded, by every system."
    )
    names = ["articles", "characters embedded", "system", "mode", "variant", "peak MiB", "articles/s"]
    return "\n\n".join(p for p in ("## Memory of large indexes", text, table(names, rows), _growth(figures)) if p)


def _growth(figures: Figures) -> str:
    """How our peak grows with the number of articles."""
    found = {
        int(k.set.partition("x")[0]): v["peak_bytes"]
        for k, v in figures.of("memory").items()
        if (k.system, k.variant) == (OURS, figures.default)
    }
    if len(found) < 2:
        return ""
    few, many = min(found), max(found)
    return f"Ours with {whole(many)} articles takes {found[many] / found[few]:.2f} times the memory of {whole(few)}."


def _failures(figures: Figures) -> str:
    lines = [f"- `{key}`: {reason}" for key, reason in figures.failed.items()]
    return "## Not measured\n\n" + "\n".join(lines) if lines else ""


def _versions(figures: Figures) -> str:
    found = figures.machine.get("versions", {})
    lines = [f"- {name}: {', '.join(f'{p} {v}' for p, v in packages.items())}" for name, packages in found.items()]
    return "## Versions\n\n" + "\n".join(lines) if lines else ""


def write(source: Path, out: Path) -> list[Path]:
    """Write the report in its three forms and return where they are."""
    raw = read(source)
    figures = Figures(raw)
    paths = [out.with_suffix(ending) for ending in (".md", ".json", ".png")]
    out.parent.mkdir(parents=True, exist_ok=True)
    paths[0].write_text(markdown(figures), "utf-8")
    slim = [f | {"value": {k: v for k, v in f["value"].items() if k != "sample"}} if "value" in f else f for f in raw]
    content = {"targets": [asdict(t) for t in targets(figures)], "figures": slim}
    paths[1].write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", "utf-8")
    draw(figures, paths[2])
    return [p for p in paths if p.exists()]
