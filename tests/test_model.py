"""The embedding model: found, checked, and never cutting a text silently."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import rag
from rag.embed import model as m
from rag.embed.model import Model, readable
from rag.errors import IndexMismatch, ModelError, TextTooLong
from rag.types import Embedder

pytestmark = pytest.mark.model


def test_it_is_the_published_model(model: Model) -> None:
    assert m.BUNDLED_SHA256.startswith(model.digest)
    assert (model.name, model.dim, model.max_tokens) == ("all-MiniLM-L6-v2", 384, 256)
    assert isinstance(model, Embedder)


def test_vectors_are_those_of_the_library(model: Model) -> None:
    from sentence_transformers import SentenceTransformer

    texts = ["A harbour in winter.", "Grain prices rose.", "x"]
    theirs = SentenceTransformer(str(m.bundled_folder())).encode(texts, normalize_embeddings=True)
    ours = np.concatenate(list(model.passages(texts)))
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    np.testing.assert_allclose(model.query(texts[0]), theirs[0], atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(ours, axis=1), 1, atol=1e-5)


def test_a_spoiled_copy_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = shutil.copytree(m.bundled_folder(), tmp_path / "model")
    with (copy / "model.safetensors").open("r+b") as f:
        f.seek(5_000_000)
        f.write(b"\x00\x01\x02")
    monkeypatch.setattr(m, "bundled_folder", lambda: copy)
    with pytest.raises(ModelError, match="not the published"):
        Model().query("x")


def test_no_text_is_cut(model: Model) -> None:
    long = "word " * 300
    assert model.count([long]) == [302]
    with pytest.raises(TextTooLong, match="302 tokens"):
        list(model.passages(["short", long]))


def test_long_runs_are_broken_up_and_nothing_else() -> None:
    assert readable("plain words stay") == "plain words stay"
    assert readable("a" * 81) == f"{'a' * 40} {'a' * 40} a"
    assert readable("a" * 40) == "a" * 40


@pytest.mark.parametrize("name", ["/no/such/folder", "./nothing", "a/b/c"])
def test_a_missing_folder_is_named(name: str) -> None:
    with pytest.raises(ModelError, match="does not exist"):
        Model(name)


def test_a_name_that_cannot_be_loaded_is_one_line() -> None:
    with pytest.raises(ModelError, match="nobody/nothing") as caught:
        Model("nobody/nothing").query("x")
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of random weights with another dimension, in a folder of its own."""
    from transformers import BertConfig, BertModel

    folder = tmp_path_factory.mktemp("tiny") / "model"
    config = BertConfig(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64)
    BertModel(config).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
        shutil.copy(m.bundled_folder() / name, folder)
    return folder


def test_any_other_model_by_its_folder(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.txt").write_text("The ferry sails at nine. It takes five hours to Aland.\n", "utf-8")
    index = tmp_path / "index"
    monkeypatch.setenv("RAG_MODEL__NAME", str(tiny))
    assert rag.ingest(tmp_path / "a.txt", index=index).added == 1
    monkeypatch.delenv("RAG_MODEL__NAME")
    with rag.open(index) as engine:
        assert engine.embedder.dim == 32
        assert engine.search("ferry")[0].article.id == "a.txt"
    # Ingesting with the default model is refused, and names both.
    with pytest.raises(IndexMismatch, match="all-MiniLM-L6-v2"):
        rag.ingest(tmp_path / "a.txt", index=index)
    with rag.open(index) as old:
        rebuilt = rag.ingest(tmp_path / "a.txt", index=index, rebuild=True)
        assert (rebuilt.added, rebuilt.embedded) == (1, 1)
        # An engine that embeds with the old model must not search vectors of the new one.
        with pytest.raises(IndexMismatch, match="open the index again"):
            old.search("ferry")
    with rag.open(index) as engine:
        assert engine.embedder.dim == 384
        assert engine.search("ferry")[0].article.id == "a.txt"


def test_weights_that_would_be_unpickled_are_refused(tiny: Path, tmp_path: Path) -> None:
    import torch
    from transformers import BertModel

    copy = shutil.copytree(tiny, tmp_path / "model")
    torch.save(BertModel.from_pretrained(tiny).state_dict(), copy / "pytorch_model.bin")
    (copy / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="safetensors"):
        Model(str(copy)).query("x")


def test_other_weights_under_the_same_name_are_noticed(tiny: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(tiny, tmp_path / "model")
    (tmp_path / "a.txt").write_text("The ferry sails at nine.\n", "utf-8")
    settings = rag.Settings.load(model={"name": str(copy)})
    rag.ingest(tmp_path / "a.txt", index=tmp_path / "index", settings=settings)
    weights = copy / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(IndexMismatch, match="digest"):
        rag.open(tmp_path / "index")
