"""Writes the model's weights as ONNX, for peers that can run them so: `python export.py tokens|optimised MODEL OUT`.

`tokens`: one vector a token in OUT/onnx/model.onnx with the tokenizer's files beside it, as Chroma and txtai read it.
`optimised`: the folder that sentence-transformers' own exporter makes at O3, its highest level that stays float32.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

FILES = ("config.json", "special_tokens_map.json", "tokenizer_config.json", "tokenizer.json", "vocab.txt")
INPUTS = ("input_ids", "attention_mask", "token_type_ids")


def tokens(model: str, out: Path) -> None:
    """Export what the model says of each token."""
    import torch
    from transformers import AutoModel

    class Hidden(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = AutoModel.from_pretrained(model, attn_implementation="eager").eval().float()

        def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
            return self.model(**dict(zip(INPUTS, inputs, strict=True))).last_hidden_state

    folder = out / "onnx"
    folder.mkdir(parents=True, exist_ok=True)
    ids = torch.tensor([[101, 2023, 2003, 1037, 3231, 102], [101, 3231, 102, 0, 0, 0]])
    axes = {name: {0: "batch", 1: "sequence"} for name in (*INPUTS, "last_hidden_state")}
    with torch.no_grad():
        torch.onnx.export(
            Hidden(),
            (ids, (ids > 0).long(), torch.zeros_like(ids)),
            str(folder / "model.onnx"),
            input_names=list(INPUTS),
            output_names=["last_hidden_state"],
            dynamic_axes=axes,
            opset_version=17,
            dynamo=False,
        )
    for name in FILES:
        shutil.copy(Path(model) / name, folder / name)


def optimised(model: str, out: Path) -> None:
    """Export as the library that three of the peers embed with does."""
    from sentence_transformers import SentenceTransformer, export_optimized_onnx_model

    loaded = SentenceTransformer(model, backend="onnx", device="cpu")
    loaded.save_pretrained(str(out))
    export_optimized_onnx_model(loaded, "O3", str(out))


if __name__ == "__main__":
    {"tokens": tokens, "optimised": optimised}[sys.argv[1]](sys.argv[2], Path(sys.argv[3]))
