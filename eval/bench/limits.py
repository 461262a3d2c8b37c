"""What this machine could do at best: `python limits.py JOB.json OUT.json`.

Nothing here is a system: a rate of matrix products, a rate of reading memory, one bare run of the model, and the parts
of a query with nothing around them.  `report.py` holds the figures of the systems against these.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

ROWS = 240
"""Rows of the products that the model is made of: a passage or so.  More rows are measured too."""

SCAN_ROWS = 400_000
"""Vectors of the scan: more bytes than most caches hold."""

DEPTH = 100
"""Candidates that each half of a fused search is asked for."""


class Shape(NamedTuple):
    """What the cost of a transformer follows from."""

    layers: int
    hidden: int
    inner: int

    @classmethod
    def of(cls, model: Path) -> Shape:
        """Return the shape that a model's config.json gives."""
        config = json.loads((model / "config.json").read_text("utf-8"))
        return cls(config["num_hidden_layers"], config["hidden_size"], config["intermediate_size"])


def flops(shape: Shape, lengths: Sequence[int]) -> int:
    """Return the floating-point operations of a forward pass over texts of these lengths, none of it for padding.

    A token takes four products with hidden x hidden weights and two with hidden x inner ones; attention takes two
    products of length x length x hidden.  Norms, activations and pooling are left out: a limit may be too low, not
    too high.

    >>> flops(Shape(1, 2, 8), [3])
    360
    """
    weights = 2 * (4 * shape.hidden**2 + 2 * shape.hidden * shape.inner)
    attention = 2 * 2 * shape.hidden
    return shape.layers * sum(n * weights + n * n * attention for n in lengths)


def products(shape: Shape) -> list[tuple[int, int, int]]:
    """Return (m, k, n) of the products to time: the model's own, the same on more rows, and one large square."""
    sizes = [(shape.hidden, shape.hidden), (shape.hidden, shape.inner), (shape.inner, shape.hidden)]
    return [(rows, k, n) for rows in (ROWS, 16 * ROWS) for k, n in sizes] + [(2048, 2048, 2048)]


def best_time(work: Callable[[], object], seconds: float = 0.5) -> float:
    """Return the shortest time that some work took, tried for so long: nearest to a limit is the best, not the mean."""
    work()
    best, until = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < until:
        began = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - began)
    return best


def product_rates(shape: Shape) -> list[dict[str, Any]]:
    """Return the float32 rate of each product in numpy and torch, on all cores."""
    import numpy as np
    import torch

    made = np.random.default_rng(0)
    rates = []
    for m, k, n in products(shape):
        a, b = made.random((m, k), np.float32), made.random((k, n), np.float32)
        ta, tb = torch.from_numpy(a), torch.from_numpy(b)
        out, t_out = np.empty((m, n), np.float32), torch.empty((m, n))
        works = {
            "numpy": lambda a=a, b=b, out=out: np.matmul(a, b, out=out),
            "torch": lambda a=ta, b=tb, out=t_out: torch.mm(a, b, out=out),
        }
        for library, work in works.items():
            rates.append({"library": library, "product": f"{m}x{k}x{n}", "gflops": 2e-9 * m * k * n / best_time(work)})
    return rates


def scan(dim: int, rows: int = SCAN_ROWS) -> dict[str, Any]:
    """Return how fast vectors can be read in a product with one vector, and how long our dense scan takes for them."""
    import numpy as np
    import torch

    from rag.store import columns, segmentfile, segments

    made = np.random.default_rng(0)
    vectors, question = made.random((rows, dim), np.float32), made.random(dim, np.float32)
    t_vectors, t_question = torch.from_numpy(vectors), torch.from_numpy(question)
    shortest = min(best_time(lambda: vectors @ question), best_time(lambda: torch.mv(t_vectors, t_question)))
    rate = vectors.nbytes / shortest
    table = columns.Columns(
        np.array([(n, 1) for n in range(rows)], columns.PASSAGES),
        np.array([(1, 0, 0, 1)], columns.ARTICLES),
        np.empty(0, columns.BYLINES),
    )
    mask = np.ones(rows, bool)
    # So large a segment would have cells, and not be compared as a whole.
    segmentfile.CELLS_FROM = rows + 1
    with tempfile.TemporaryDirectory() as folder:
        # From a file, because where vectors lie in memory decides what may be done with them.
        blocks = (vectors[n : n + segments.BLOCK].astype(np.float16) for n in range(0, rows, segments.BLOCK))
        named = segmentfile.write(Path(folder), "scan", table, blocks, dim)
        segment = segmentfile.read(Path(folder), named, dim)
        ours = best_time(lambda: segment.best(question[None, :], DEPTH, mask))
    # They are kept as halves, so half as many bytes are to be read.
    return {"rows": rows, "bytes_per_s": rate, "limit_s": vectors.nbytes / 2 / rate, "ours_s": ours}


def bare_run(onnx: Path, tokens: int) -> float:
    """Return the median time of one run of our prepared model on so many tokens, with onnxruntime's defaults."""
    import numpy as np
    import onnxruntime

    session = onnxruntime.InferenceSession(str(onnx), providers=["CPUExecutionProvider"])
    given = {"ids": np.full((1, tokens), 2003, np.int64)}
    return median_time(lambda _: session.run(None, given), range(200))


def median_time(work: Callable[[Any], object], given: Sequence[Any]) -> float:
    """Return the median time of some work over what it is given, after a few rounds that do not count."""
    times = []
    for one in [*given[:5], *given]:
        began = time.perf_counter()
        work(one)
        times.append(time.perf_counter() - began)
    return statistics.median(times[min(5, len(given)) :])


def query_parts(index: str, questions: Sequence[str], model: str) -> dict[str, Any]:
    """Return the time of each part that a hybrid question cannot do without, in an index of ours."""
    import numpy as np
    from protocol import token_counts

    import rag
    from rag.embed.model import Model

    tokens = int(statistics.median(token_counts(questions, model)))
    with rag.open(index) as engine, engine.view() as view:
        onnx = cast(Model, engine.embedder).folder / "float32.onnx"
        rows = engine.stats().passages
        lexical = median_time(lambda q: view.lexical(q, DEPTH), questions)
    made = np.random.default_rng(0)
    vectors = made.random((rows, Shape.of(Path(model)).hidden), np.float32)
    asked = made.random((200, vectors.shape[1]), np.float32)

    def exact(question: Any) -> Any:
        scores = vectors @ question
        return np.argpartition(scores, -min(DEPTH, rows))[-min(DEPTH, rows) :]

    return {
        "tokens": tokens,
        "passages": rows,
        "model_s": bare_run(onnx, tokens),
        "scan_s": median_time(exact, list(asked)),
        "lexical_s": lexical,
    }


def main() -> None:
    """Measure what the job names: `machine` or the parts of a `query`."""
    job = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    if job["do"] == "machine":
        shape = Shape.of(Path(job["model"]))
        found = {"products": product_rates(shape), "scan": scan(shape.hidden)}
    else:
        found = query_parts(job["index"], list(job["questions"].values()), job["model"])
    Path(sys.argv[2]).write_text(json.dumps(found), "utf-8")


if __name__ == "__main__":
    main()
