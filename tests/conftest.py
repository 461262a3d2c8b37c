"""What every test runs under: no network but loopback, a clean environment, and the real model loaded once."""

from __future__ import annotations

import ipaddress
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from rag.embed.model import Model

if TYPE_CHECKING:
    from rag.engine import Engine

# Before any library reads them.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

_connect, _lookup = socket.socket.connect, socket.getaddrinfo


def _local(host: object) -> bool:
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if host in (None, "", "localhost"):
        return True
    try:
        address = ipaddress.ip_address(str(host))
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _guarded_connect(self: socket.socket, address: Any) -> Any:
    if self.family in (socket.AF_INET, socket.AF_INET6) and not _local(address[0]):
        raise OSError(f"a test tried to reach {address}")
    return _connect(self, address)


def _guarded_lookup(host: Any, *args: Any, **kwargs: Any) -> Any:
    if not _local(host):
        raise OSError(f"a test tried to look up {host!r}")
    return _lookup(host, *args, **kwargs)


# From the moment tests are collected: a library that calls home while it is imported is caught too.
socket.socket.connect = _guarded_connect  # type: ignore[method-assign]
socket.getaddrinfo = _guarded_lookup


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("RAG_") and name != "RAG_EVAL_DATA":
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def model() -> Model:
    """The bundled model, really loaded."""
    return Model()


@pytest.fixture(scope="session")
def eval_data() -> Path:
    """The folder of outside sets."""
    folder = os.environ.get("RAG_EVAL_DATA")
    if not folder:
        pytest.skip("RAG_EVAL_DATA does not name the folder of outside evaluation sets")
    return Path(folder)


@pytest.fixture(scope="session")
def corpus_index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of corpus/, made by the real ingest with the real model."""
    import rag

    folder = tmp_path_factory.mktemp("corpus") / "index"
    report = rag.ingest(Path(__file__).parent.parent / "corpus", index=folder)
    assert not report.failed
    return folder


@pytest.fixture
def bridge_index(tmp_path: Path) -> Path:
    """An index of one article on a bridge, made by the real ingest."""
    import rag

    rag.ingest(
        [rag.Article(id="bridge", title="The bridge", text="The bridge was built in 1911.")], index=tmp_path / "i"
    )
    return tmp_path / "i"


@pytest.fixture
def bridge_engine(bridge_index: Path) -> Iterator[Engine]:
    """The engine of that index."""
    import rag

    with rag.open(bridge_index) as engine:
        yield engine


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A folder that any user can reach, unlike those of pytest."""
    with tempfile.TemporaryDirectory(prefix="footnote-") as made:
        Path(made).chmod(0o755)
        yield Path(made)
