"""The embedding model: found, checked, and never cutting a text silently."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rag
from rag.embed import prepare
from rag.embed import weights as w
from rag.embed.half import has_amx, has_gpu
from rag.embed.model import Model, cores
from rag.embed.prepare import CLOSE
from rag.embed.tokens import readable
from rag.errors import IndexMismatch, ModelError, TextTooLong
from rag.protocols import Embedder
from rag.store.local import LocalStore
from rag.types import Fingerprint

pytestmark = pytest.mark.model


def test_it_is_the_published_model(model: Model) -> None:
    assert w.BUNDLED_SHA256.startswith(model.digest.partition("-")[0])
    assert (model.name, model.dim, model.max_tokens) == ("all-MiniLM-L6-v2", 384, 256)
    assert isinstance(model, Embedder)


def test_vectors_are_those_of_the_library(model: Model) -> None:
    from sentence_transformers import SentenceTransformer

    texts = ["A harbour in winter.", "Grain prices rose.", "x"]
    theirs = SentenceTransformer(str(w.bundled_folder())).encode(texts, normalize_embeddings=True)
    ours = np.concatenate(list(model.passages(texts)))
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    np.testing.assert_allclose(model.vectors(texts), theirs, atol=1e-5)
    assert model.vectors([]).shape == (0, 384)
    np.testing.assert_allclose(model.query(texts[0]), theirs[0], atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(ours, axis=1), 1, atol=1e-5)


def test_a_spoiled_copy_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = shutil.copytree(w.bundled_folder(), tmp_path / "model")
    with (copy / "model.safetensors").open("r+b") as f:
        f.seek(5_000_000)
        f.write(b"\x00\x01\x02")
    monkeypatch.setattr(w, "bundled_folder", lambda: copy)
    with pytest.raises(ModelError, match="not the published"):
        Model(cache=tmp_path / "cache").query("x")


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
        shutil.copy(w.bundled_folder() / name, folder)
    return folder


def test_any_other_model_by_its_folder(
    model: Model, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.txt").write_text("The ferry sails at nine. It takes five hours to Aland.\n", "utf-8")
    index = tmp_path / "index"
    monkeypatch.setenv("RAG_MODEL__NAME", str(tiny))
    # Models of random weights have no business in the cache of whoever runs the tests; the bundled one has.
    shutil.copytree(model.folder, tmp_path / "cache" / model.folder.name)
    monkeypatch.setenv("RAG_MODEL__CACHE", str(tmp_path / "cache"))
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
        Model(str(copy), cache=tmp_path / "cache").query("x")


def test_other_weights_under_the_same_name_are_noticed(tiny: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(tiny, tmp_path / "model")
    (tmp_path / "a.txt").write_text("The ferry sails at nine.\n", "utf-8")
    settings = rag.Settings.load(model={"name": str(copy), "cache": str(tmp_path / "cache")})
    rag.ingest(tmp_path / "a.txt", index=tmp_path / "index", settings=settings)
    weights = copy / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(IndexMismatch, match="digest"):
        rag.ingest(tmp_path / "a.txt", index=tmp_path / "index", settings=settings)
    # The weights that the index was built with are still there, prepared, so searching goes on.
    there = rag.Settings.load(model={"cache": str(tmp_path / "cache")})
    with rag.open(tmp_path / "index", settings=there) as engine:
        assert engine.search("ferry")
    # Where it was never prepared, it is loaded only for who names it, and then it is another.
    elsewhere = {"cache": str(tmp_path / "none")}
    with pytest.raises(ModelError, match=r"not been used here.*RAG_MODEL__NAME") as caught:
        rag.open(tmp_path / "index", settings=rag.Settings.load(model=elsewhere))
    assert str(copy) in str(caught.value)
    with pytest.raises(ModelError, match="build the index anew"):
        rag.open(tmp_path / "index", settings=rag.Settings.load(model={**elsewhere, "name": str(copy)})).search("ferry")


@pytest.mark.parametrize("digest", ["", "0", "-half", "-int8"])
def test_a_model_that_only_an_index_names_is_not_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, digest: str, model: Model
) -> None:
    """Not even under the digest of one that is prepared here: half precision is loaded by its name."""
    model.dim
    weights = w.BUNDLED_SHA256[:16]
    recorded = Fingerprint("a-stranger/model", digest if digest == "0" else weights + digest, 384, 256, 100, 0, 0.5)
    LocalStore.create(tmp_path / "index", recorded).close()
    monkeypatch.setattr(w, "load", lambda *_: pytest.fail("loaded"))
    for ask in (lambda: rag.open(tmp_path / "index"), lambda: rag.search("ferry", index=tmp_path / "index")):
        with pytest.raises(ModelError, match=r"a-stranger/model.*RAG_MODEL__NAME=a-stranger/model") as caught:
            ask()
        assert "\n" not in str(caught.value)
    named = rag.Settings.load(model={"name": "a-stranger/model"})
    rag.open(tmp_path / "index", settings=named).close()


@pytest.mark.parametrize("digest", ["../../evil", "/tmp/evil", "..", "A", "0/1", "0\n", "g" * 16])
def test_a_digest_is_no_path(tmp_path: Path, digest: str) -> None:
    (tmp_path / "evil").mkdir()
    with pytest.raises(ModelError, match="no digest"):
        Model("a-stranger/model", digest=digest, cache=tmp_path / "a" / "b")
    assert prepare.find(tmp_path / "a" / "b", digest) is None


def test_python_beside_the_weights_is_not_run(tiny: Path, tiny_pairs: Path, tmp_path: Path) -> None:
    from rag.embed.cross import PairScorer

    mark = tmp_path / "mark"
    code = f"from pathlib import Path\nPath({str(mark)!r}).touch()\nclass Evil:\n    pass\n"
    one, pairs = (shutil.copytree(folder, tmp_path / folder.parent.name) for folder in (tiny, tiny_pairs))
    for folder in (one, pairs):
        (folder / "evil.py").write_text(code, "utf-8")
    modules = [{"idx": 0, "name": "0", "path": "", "type": "evil.Evil"}]
    (one / "modules.json").write_text(json.dumps(modules), "utf-8")
    with pytest.raises(ModelError, match="cannot be loaded"):
        Model(str(one), cache=tmp_path / "cache").query("x")
    config = json.loads((pairs / "config.json").read_text("utf-8"))
    config["auto_map"] = {"AutoModelForSequenceClassification": "evil.Evil"}
    (pairs / "config.json").write_text(json.dumps(config), "utf-8")
    PairScorer(str(pairs)).scores("a", ["b"])
    assert not mark.exists()


def few(eval_data: Path, most: int = 100) -> list[str]:
    """Return passages of real articles, as they are embedded."""
    texts = []
    with (eval_data / "time-1963" / "corpus.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            texts += [line[i : i + 600] for i in range(100, min(len(line), 4000) - 600, 600)]
    return texts[:most]


@pytest.mark.data
def test_real_passages_get_the_vectors_of_the_library(model: Model, eval_data: Path) -> None:
    from sentence_transformers import SentenceTransformer

    texts = few(eval_data)
    theirs = SentenceTransformer(str(w.bundled_folder())).encode(texts, normalize_embeddings=True)
    cosines = (np.concatenate(list(model.passages(texts))) * theirs).sum(1)
    assert len(cosines) == 100
    assert cosines.min() >= CLOSE


@pytest.mark.data
@pytest.mark.parametrize(("precision", "least"), [("int8", 0.975), ("half", 0.999)])
def test_other_precisions_are_near(
    precision: str, least: float, model: Model, eval_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag.embed.model.MANY", 50)
    other = Model(precision=precision)
    assert other.digest == f"{w.BUNDLED_SHA256[:16]}-{precision}"
    texts = few(eval_data)
    vectors = np.concatenate(list(other.passages(iter(texts))))
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    cosines = (vectors * model.vectors(texts)).sum(1)
    assert cosines.min() >= least
    if precision == "int8" or has_gpu() or has_amx():
        assert cosines.min() < 0.99999, "these are not other vectors"
    # Questions are always exact, so that one prepared model serves every index.
    np.testing.assert_array_equal(other.query(texts[0][:200]), model.query(texts[0][:200]))
    with pytest.raises(TextTooLong):
        list(other.passages(["word " * 300] * 60))


def test_texts_are_taken_as_they_are_needed(model: Model) -> None:
    taken = 0

    def endless() -> Iterator[str]:
        nonlocal taken
        while True:
            taken += 1
            yield f"text number {taken}"

    stream = Model(precision="float32").passages(endless())
    first = next(stream)
    assert taken <= 16 * cores() + 8
    stream.close()  # type: ignore[attr-defined]
    np.testing.assert_allclose(first[0], model.query("text number 1"), atol=1e-5)


def test_what_cannot_be_embedded_is_told_from_a_stream(model: Model) -> None:
    stream = model.passages(["short"] * 100 + ["word " * 300])
    with pytest.raises(TextTooLong, match="302 tokens"):
        list(stream)


def saved(folder: Path, transformer: Any, **options: Any) -> Path:
    """Save a model of random weights as sentence-transformers does."""
    from sentence_transformers import SentenceTransformer, models

    transformer.save_pretrained(folder / "plain")
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
        shutil.copy(w.bundled_folder() / name, folder / "plain")
    word = models.Transformer(str(folder / "plain"), max_seq_length=64)
    pooling = models.Pooling(word.get_embedding_dimension(), options.pop("pooling", "mean"))
    dense = models.Dense(word.get_embedding_dimension(), 24)
    SentenceTransformer(modules=[word, pooling, dense], **options).save(str(folder / "model"))
    return folder / "model"


@pytest.mark.parametrize("kind", ["bert", "roberta", "distilbert", "mpnet", "electra"])
def test_other_architectures(kind: str, tmp_path: Path) -> None:
    import transformers
    from sentence_transformers import SentenceTransformer

    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
    if kind == "distilbert":
        sizes = {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 48}
    config = transformers.AutoConfig.for_model(kind, vocab_size=30522, **sizes)
    prompts = {"query": "query: ", "document": "passage: "}
    folder = saved(tmp_path, transformers.AutoModel.from_config(config), pooling="cls", prompts=prompts)
    ours = Model(str(folder), precision="float32", cache=tmp_path / "cache")
    theirs = SentenceTransformer(str(folder))
    texts = ["A harbour in winter, frozen from shore to shore.", "Grain."]
    assert (ours.dim, ours.max_tokens) == (24, 64)
    np.testing.assert_allclose(ours.vectors(texts), theirs.encode_document(texts, normalize_embeddings=True), atol=1e-5)
    np.testing.assert_allclose(
        ours.query("word " * 100), theirs.encode_query("word " * 100, normalize_embeddings=True), atol=1e-5
    )


def test_a_spoiled_prepared_model_is_made_again(tiny: Path, tmp_path: Path) -> None:
    def again() -> Model:
        return Model(str(tiny), cache=tmp_path)

    before = again().query("ferry")
    (weights,) = tmp_path.glob("*/float32.weights")
    weights.write_bytes(weights.read_bytes()[:-100])
    np.testing.assert_array_equal(again().query("ferry"), before)
    about = weights.parent / "model.json"
    told = json.loads(about.read_text("utf-8"))
    for spoiled in ("", "{}", json.dumps({**told, "format": told["format"] - 1})):
        about.write_text(spoiled, "utf-8")
        np.testing.assert_array_equal(again().query("ferry"), before)
        assert json.loads(about.read_text("utf-8")) == told
    assert {p.name for p in tmp_path.iterdir()} == {again().digest.partition("-")[0], f"{weights.parent.name}.lock"}


def test_what_a_killed_preparation_left_is_cleared_away(tiny: Path, tmp_path: Path) -> None:
    digest = Model(str(tiny), cache=tmp_path).digest.partition("-")[0]
    left = tmp_path / f"{digest}.new-abc"
    left.mkdir(parents=True)
    (left / "float32.weights").write_bytes(b"half")
    other = tmp_path / "0123456789abcdef.new-abc"
    other.mkdir()
    Model(str(tiny), cache=tmp_path).query("ferry")
    assert not left.exists()
    assert other.exists()


def test_bytes_that_changed_in_a_prepared_model_are_found(tiny: Path, tmp_path: Path) -> None:
    model = Model(str(tiny), cache=tmp_path)
    assert not model.is_prepared()
    assert model.dim == 32
    assert model.is_prepared()
    assert model.damaged() == []
    (weights,) = tmp_path.glob("*/int8.weights")
    data = bytearray(weights.read_bytes())
    data[100] ^= 1
    weights.write_bytes(data)
    assert model.damaged() == [weights]


def test_a_cache_that_cannot_be_written_is_named(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match=r"set model\.cache") as caught:
        Model(str(tiny), cache=tmp_path / "file").query("x")
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def tiny_pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cross-encoder of random weights."""
    from transformers import BertConfig, BertForSequenceClassification

    folder = tmp_path_factory.mktemp("tiny-pairs") / "model"
    config = BertConfig(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64, num_labels=1)
    BertForSequenceClassification(config).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
        shutil.copy(w.bundled_folder() / name, folder)
    return folder


def test_a_cross_encoder_reads_the_first_hits_again(tiny_pairs: Path, tmp_path: Path) -> None:
    from sentence_transformers import CrossEncoder

    for n, text in enumerate(("The ferry sails at nine.", "A lamp was lit.", "The ferry is late.", "Rye bread.")):
        (tmp_path / f"{n}.txt").write_text(text + "\n", "utf-8")
    rag.ingest(tmp_path, index=tmp_path / "index")
    settings = rag.Settings.load(search={"reranker": str(tiny_pairs), "rerank_depth": 3})
    with rag.open(tmp_path / "index", settings=settings) as engine:
        hits = engine.search("When does the ferry sail?")
    assert sorted(h.ranks.get("reranked", 0) for h in hits) == [0, 1, 2, 3]
    read = hits[:3]
    library = CrossEncoder(str(tiny_pairs))
    texts = [f"{h.article.title}\n{h.passage.text}" for h in read]
    expected = library.predict([("When does the ferry sail?", t) for t in texts], show_progress_bar=False)
    assert [h.score for h in read] == pytest.approx(expected.tolist(), abs=1e-5)
    assert [h.score for h in hits] == sorted((h.score for h in hits), reverse=True)


def test_a_cross_encoder_that_is_none_is_one_line(tiny: Path, tmp_path: Path) -> None:
    from rag.embed.cross import PairScorer

    with pytest.raises(ModelError, match="does not exist"):
        PairScorer(str(tmp_path / "nowhere"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match="cannot be loaded") as caught:
        PairScorer(str(tmp_path / "empty")).scores("a", ["b"])
    assert "\n" not in str(caught.value)
