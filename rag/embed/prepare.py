"""A model made ready once, so that from then on no process that embeds need load torch.

A prepared model is a folder in the user's cache, named by the weights' digest: the tokenizer, the
network as ONNX in float32 and int8 with its weights in files that are mapped and not read, the network as it
was taught to read pairs where it was (see pairs.py), and what else there is to know.  It is written whole or
not at all, and only after its vectors were compared with those of sentence-transformers.
"""

from __future__ import annotations

import json
import logging
import re
import shutil
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock

from rag.embed import pairs
from rag.errors import ModelError
from rag.files import sha256, sync

if TYPE_CHECKING:
    import torch
    from sentence_transformers import SentenceTransformer

    from rag.embed.network import Reader

log = logging.getLogger(__name__)

DIGEST = re.compile(r"[0-9a-f]{1,64}")
"""What the digest of some weights looks like, which names the folder that they are prepared in."""

FORMAT = 4
ABOUT = "model.json"
CLOSE = 0.9999
"""The least cosine between a prepared model's float32 vector of a text and that of sentence-transformers."""

OPSET = 20

SLOW = ["SkipLayerNormFusion"]
"""Rewritings of the network that onnxruntime holds to be faster and that are slower on a CPU: the fused
operator took 5.0 ms of a 42 ms run on 240 tokens, the two it replaces 1.1 ms."""

SAMPLES = (
    "When is the harbour frozen?",
    "The ferry to the outer islands sails at nine from the eastern pier and takes about five hours, ice permitting.",
    "Zinc melts at 419.5 °C and boils at 907 °C; its density near room temperature is 7.14 grams a cubic centimetre.",
    "Gökdoğan, Łukasiewicz and O’Brien—three names with marks on them—stand in a sentence with “quotation marks”.",
    "Ostatni pociąg odjeżdża o 23:40. Der letzte Zug fährt um 23.40 Uhr. 最終列車は23時40分に出発します。",
    "A lighthouse\nA lighthouse marks a dangerous coast or a safe entry to a harbour. Its lamp was once an open fire, "
    "later oil, then gas, and is now electric; lenses made of many rings of glass throw the light far out to sea. "
    "Each has a rhythm of its own, by which a ship's crew can tell where they are. Most keepers have left, because "
    "the lamps now light themselves when it grows dark and report by radio when something has failed. " * 2,
)
"""Texts of several lengths and scripts on which a prepared model is compared with the original."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is known of a prepared model.

    `int8_cosine` is the least cosine of int8 vectors with float32 ones, `pairs` the digest of what it was taught to
    read pairs, empty for a model that was not.
    """

    format: int
    name: str
    onnxruntime: str
    dim: int
    max_tokens: int
    query_prompt: str
    passage_prompt: str
    cosine: float
    int8_cosine: float
    pairs: str
    sha256: dict[str, str]
    bytes: dict[str, int]


def find(cache: Path, digest: str) -> Prepared | None:
    """Return the prepared model with these weights, or None when there is none that fits this onnxruntime."""
    import onnxruntime

    folder = cache / digest
    found = _about(cache, digest)
    if found is None:
        return None
    try:
        whole = all((folder / name).stat().st_size == size for name, size in found.bytes.items())
    except (OSError, ValueError, TypeError, AttributeError):
        return None
    made = found.format, found.onnxruntime, found.pairs
    return found if whole and made == (FORMAT, onnxruntime.__version__, pairs.digest(digest)) else None


def known_as(cache: Path, digest: str) -> str | None:
    """Return the name of the model that was prepared here with these weights, for whatever onnxruntime, or None."""
    name = _told(cache, digest).get("name")
    return name if isinstance(name, str) else None


def _about(cache: Path, digest: str) -> Prepared | None:
    try:
        return Prepared(**_told(cache, digest))
    except TypeError:
        return None


def _told(cache: Path, digest: str) -> dict[str, Any]:
    """Return what a prepared model's folder tells of it, {} where there is none."""
    if not DIGEST.fullmatch(digest):
        return {}
    try:
        told = json.loads((cache / digest / ABOUT).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def prepare(cache: Path, digest: str, name: str, transformer: SentenceTransformer) -> Prepared:
    """Make a model ready and return what is known of it.

    Raises ModelError when its vectors would not be those of sentence-transformers, when it cannot be
    written as ONNX, and when the cache cannot be written.
    """
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with FileLock(cache / f"{digest}.lock"):
            found = find(cache, digest)
            if found:
                return found
            log.info("preparing the model %s; this is done once and takes some seconds", name)
            for left in cache.glob(f"{digest}.new-*"):
                # Of one that was killed at it: nobody else makes this model, for the lock is ours.
                shutil.rmtree(left, ignore_errors=True)
            with tempfile.TemporaryDirectory(prefix=f"{digest}.new-", dir=cache) as new:
                made = _write(Path(new), digest, name, transformer)
                shutil.rmtree(cache / digest, ignore_errors=True)
                Path(new).rename(cache / digest)
                # The context manager wants its folder back.
                Path(new).mkdir()
            return made
    except OSError as e:
        raise ModelError(
            f"the model cannot be prepared in {cache.absolute()} ({e.strerror or e}): "
            "set model.cache to a folder that can be written"
        ) from e


def _write(folder: Path, digest: str, name: str, transformer: SentenceTransformer) -> Prepared:
    import onnxruntime

    from rag.embed.network import Network, Reader

    tokenizer = _tokenizer(transformer)
    (folder / "tokenizer.json").write_text(tokenizer, "utf-8")
    with tempfile.TemporaryDirectory() as work:
        _export(_whole(transformer), ["ids"], ["vectors", "states"], Path(work) / "whole.onnx")
        _quantize(Path(work) / "whole.onnx", Path(work) / "int8.onnx")
        _optimize(Path(work) / "whole.onnx", folder, "float32")
        _optimize(Path(work) / "int8.onnx", folder, "int8")
        if pairs.digest(digest):
            taught = pairs.taught(transformer[0].auto_model, pairs.weights(digest))
            _export(taught, ["ids", "types"], ["odds", "answering"], Path(work) / "pairs.onnx")
            _quantize(Path(work) / "pairs.onnx", Path(work) / "pairs8.onnx")
            _optimize(Path(work) / "pairs8.onnx", folder, "pairs")
    prompts = _prompts(transformer)
    max_tokens = int(transformer.max_seq_length or 512)
    reader = Reader(folder / "tokenizer.json", max_tokens, prompts[1])
    samples = [_within(t, reader) for t in SAMPLES]
    theirs = transformer.encode(
        [prompts[1] + t for t in samples], normalize_embeddings=True, prompt="", show_progress_bar=False
    )
    exact, small = (
        np.concatenate([network.run(ids) for ids in reader.passages(samples)])
        for network in (Network(folder, "float32", 1), Network(folder, "int8", 1))
    )
    cosine = float((exact * theirs).sum(1).min())
    if not cosine >= CLOSE:
        raise ModelError(f"model {name!r} written as ONNX gives other vectors (cosine {cosine:.4f}): choose another")
    files = sorted(p.name for p in folder.iterdir())
    made = Prepared(
        FORMAT,
        name,
        onnxruntime.__version__,
        exact.shape[1],
        max_tokens,
        *prompts,
        round(cosine, 6),
        round(float((small * theirs).sum(1).min()), 6),
        pairs.digest(digest),
        {n: sha256(folder / n) for n in files},
        {n: (folder / n).stat().st_size for n in files},
    )
    (folder / ABOUT).write_text(json.dumps(asdict(made), indent=1), "utf-8")
    for path in folder.iterdir():
        sync(path)
    return made


def _within(text: str, reader: Reader) -> str:
    """Return as much of a text as a model of any length reads."""
    while reader.count([text])[0] > reader.max_tokens:
        text = text[: len(text) * 3 // 4]
    return text


def _tokenizer(transformer: SentenceTransformer) -> str:
    """Return the model's tokenizer as JSON, without cutting and padding: counting must see the whole text."""
    from tokenizers import Tokenizer

    fast = getattr(transformer.tokenizer, "backend_tokenizer", None)
    if fast is None:
        raise ModelError("the model has no fast tokenizer: choose one that has a tokenizer.json")
    mine = Tokenizer.from_str(fast.to_str())
    mine.no_truncation()
    mine.no_padding()
    return str(mine.to_str())


def _prompts(transformer: SentenceTransformer) -> tuple[str, str]:
    """Return what the model wants before a question and before a passage, by the rules of its library."""
    known = {k: v or "" for k, v in transformer.prompts.items()}
    default = known.get(transformer.default_prompt_name or "", "")
    passage = next((known[n] for n in ("document", "passage", "corpus") if n in known), default)
    return known.get("query", default), passage


def _whole(transformer: SentenceTransformer) -> torch.nn.Module:
    """Return the network from token ids of shape (texts, tokens), all of them read, to two outputs.

    They are vectors of length 1, and the states of the tokens that these were made of.
    """
    import torch

    class Whole(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.steps = torch.nn.ModuleList(list(transformer))

        def forward(self, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            # Texts are never padded, so there is no mask to add to every attention.
            features = self.steps[0]({"input_ids": ids})
            features["attention_mask"] = torch.ones_like(ids)
            states = features["token_embeddings"]
            for step in list(self.steps)[1:]:
                features = step(features)
            return torch.nn.functional.normalize(features["sentence_embedding"], dim=-1), states

    return Whole()


def _export(network: torch.nn.Module, inputs: Sequence[str], outputs: Sequence[str], path: Path) -> None:
    """Write a network as ONNX; each input is of whole numbers, of shape (texts, tokens)."""
    import torch

    sizes = {0: torch.export.Dim("texts", min=1, max=4096), 1: torch.export.Dim("tokens", min=2, max=1 << 16)}
    # Ones serve as tokens and as types.
    example = tuple(torch.ones((2, 17), dtype=torch.long) for _ in inputs)
    noisy = logging.getLogger("torch.onnx")
    level = noisy.level
    try:
        noisy.setLevel(logging.ERROR)
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                network.eval().to("cpu"),
                example,
                str(path),
                input_names=inputs,
                output_names=outputs,
                dynamo=True,
                dynamic_shapes=(sizes,) * len(inputs),
                opset_version=OPSET,
                external_data=False,
                verbose=False,
            )
    except Exception as e:  # the exporter raises whatever the model's code trips it over
        reason = " ".join(str(e).split())[:200]
        raise ModelError(f"the model cannot be written as ONNX ({reason}): choose another") from e
    finally:
        noisy.setLevel(level)


def _quantize(source: Path, target: Path) -> None:
    """Write the network with weights of 8 bits.

    Seven bits of them are used, a scale for each column: without the first, two products overflow in
    AVX2's 16-bit sums; with both every processor computes the same vectors.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quiet = logging.getLogger()
    level = quiet.level
    quiet.setLevel(logging.ERROR)
    try:
        quantize_dynamic(source, target, weight_type=QuantType.QInt8, per_channel=True, reduce_range=True)
    finally:
        quiet.setLevel(level)


def _optimize(source: Path, folder: Path, precision: str) -> None:
    """Write a network as onnxruntime would rewrite it at every start, its weights in a file that can be mapped."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # What the next level adds holds only on a processor like this one.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(folder / f"{precision}.onnx")
    options.add_session_config_entry("session.optimized_model_external_initializers_file_name", f"{precision}.weights")
    options.add_session_config_entry("session.optimized_model_external_initializers_min_size_in_bytes", "1024")
    onnxruntime.InferenceSession(str(source), options, providers=["CPUExecutionProvider"], disabled_optimizers=SLOW)
