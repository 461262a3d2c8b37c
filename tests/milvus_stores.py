"""Stores in Milvus for tests: their settings, writers that are killed, and what holds on every server."""

from __future__ import annotations

import random
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from contracts import EMBEDDER, article, consistent, put
from fakes import FINGERPRINT

from rag.errors import RagError
from rag.protocols import Store
from rag.settings import StoreSettings
from rag.store.milvus import MilvusStore, head
from rag.store.milvus import server as milvus_server
from rag.store.milvus.builds import Build

HERE = Path(__file__).parent

Make = Callable[[], Store]


def settings(address: str, **more: object) -> StoreSettings:
    """Return settings with a name of their own."""
    return StoreSettings.model_validate({"uri": address, "name": f"t{secrets.token_hex(6)}", **more})


def refused(work: Callable[[], object], kind: type[RagError], said: str) -> None:
    """Assert that something fails in one short line that says this."""
    with pytest.raises(kind, match=said) as caught:
        work()
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


WRITER = """
import sys
sys.path.insert(0, {tests!r})
from contracts import article, put
from rag.protocols import Store
from rag.settings import StoreSettings
from rag.store.milvus import MilvusStore
store = MilvusStore(StoreSettings(uri={uri!r}, name={name!r}, token={token!r}))
version = int(sys.argv[1])
while True:
    version += 1
    with store.writer() as t:
        for n in range(8):
            put(t, article(n, version))
            if n == 5 and version > 1:
                t.remove("a00003")
            if n % 3 == 0:
                t.ids()  # writes what waits
        if version == 1:
            t.remove("a00003")
    print(version, flush=True)
"""


@contextmanager
def writing(here: StoreSettings, version: int = 0) -> Iterator[subprocess.Popen[str]]:
    """A process that writes one version after another, killed at the end."""
    token = here.token.get_secret_value() if here.token else None
    code = WRITER.format(tests=str(HERE), uri=here.uri, name=here.name, token=token)
    process = subprocess.Popen([sys.executable, "-c", code, str(version)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        assert process.stdout.readline(), "the writer could not start"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def readers_see_whole_articles(here: StoreSettings, *, words: bool = True) -> None:
    """Assert that readers never see half an article while a writer writes and is killed, time and again."""
    reader = MilvusStore.create(here, FINGERPRINT)
    rng, version, seen = random.Random(11), 0, set[int]()
    for _ in range(3):
        with writing(here, version):
            end, more = time.monotonic() + rng.uniform(1.0, 3.0), len(seen) + 2
            while time.monotonic() < end or len(seen) < more:
                seen.add(consistent(reader, words=words))
                assert time.monotonic() < end + 60, "the readers saw no change"
        version = max(consistent(reader, words=words), consistent(MilvusStore(here), words=words))
    with MilvusStore(here).writer() as t:
        put(t, article(100))
    with reader.view() as view:
        rows = view.dense(EMBEDDER.query("alpha"), 100).rows.tolist()
        assert len(rows) == 16
    server = milvus_server.Server(here)
    now = head.read(server, here.name, milvus_server.STRONG)[-1]
    build = Build(here.name, now.build)
    for name, left in [(build.passages, f"row >= {now.next_row}"), (build.articles, f"ord >= {now.next_ord}")]:
        assert server.count(name, left) == 0, "rows that no head tells of stay behind"


def swapped_under_a_reader(here: StoreSettings) -> None:
    """Assert that a reader sees an index that is built anew as it was or as it is, and a view stays what it is."""
    store, reader = MilvusStore.create(here, FINGERPRINT), MilvusStore(here)
    with store.writer() as t:
        put(t, article(1))
    over, wrong = threading.Event(), []

    def read() -> None:
        while not over.is_set():
            with reader.view() as view:
                listed = [h.id for h, _ in view.articles()]
                rows = view.dense(EMBEDDER.query("word"), 10).rows.tolist()
                if listed not in (["a00001"], ["a00002"]) or {h.id for _, h in view.passages(rows)} != set(listed):
                    wrong.append(listed)

    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read)
        try:
            with reader.view() as held:
                for n in (2, 1, 2):
                    with store.writer(FINGERPRINT) as t:
                        put(t, article(n))
                assert [h.id for h, _ in held.articles()] == ["a00001"]
        finally:
            over.set()
        reading.result(60)
    assert not wrong
    with reader.view() as view:
        assert [h.id for h, _ in view.articles()] == ["a00002"]
