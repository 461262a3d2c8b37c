"""The servers that tests run: what is acknowledged outlives a kill, a frozen one keeps silent, a full one refuses."""

from __future__ import annotations

import importlib.util
import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from milvus_servers import Milvus235, Server, milvus_235, milvus_lite

if importlib.util.find_spec("pymilvus") is None:
    pytest.skip("the pymilvus package is not installed", allow_module_level=True)

import grpc
from pymilvus import DataType, MilvusClient, MilvusException

SECONDS = 30.0


@pytest.fixture(params=["2.3.5", "lite"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    with (milvus_235 if request.param == "2.3.5" else milvus_lite)(tmp_path) as running:
        yield running


def a_collection(client: MilvusClient) -> None:
    schema = client.create_schema()
    schema.add_field("row", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=2)
    index = client.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type="IP")
    client.create_collection("things", schema=schema, index_params=index, timeout=SECONDS)


def insert(client: MilvusClient, *rows: int, timeout: float = SECONDS) -> None:
    client.insert("things", [{"row": row, "vector": [1.0, 0.0]} for row in rows], timeout=timeout)


def rows(client: MilvusClient) -> set[int]:
    found = client.query("things", "row >= 0", output_fields=["row"], consistency_level="Strong", timeout=SECONDS)
    return {row["row"] for row in found}


def eventually(happens: Callable[[], Any]) -> Any:
    """What comes of it, once it does no longer raise."""
    end = time.monotonic() + SECONDS
    while True:
        try:
            return happens()
        except (MilvusException, grpc.RpcError):
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def test_what_was_acknowledged_outlives_a_kill(server: Server) -> None:
    client = MilvusClient(server.address, timeout=SECONDS)
    a_collection(client)
    insert(client, 1, 2, 3)
    server.kill()
    assert not server.running
    with pytest.raises(MilvusException):
        insert(client, 4)
    server.start()
    eventually(lambda: client.load_collection("things", timeout=SECONDS))
    assert eventually(lambda: rows(client)) == {1, 2, 3}


def test_a_frozen_server_keeps_silent_and_goes_on(server: Server) -> None:
    client = MilvusClient(server.address, timeout=SECONDS)
    a_collection(client)
    insert(client, 1)
    server.pause()
    began = time.monotonic()
    with pytest.raises(grpc.RpcError) as caught:
        insert(client, 2, timeout=1.0)
    assert isinstance(caught.value, grpc.Call)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert 0.9 < time.monotonic() - began < 3
    server.resume()
    assert rows(client) - {2} == {1}


def test_a_server_past_its_quota_refuses_and_takes_again(tmp_path: Path) -> None:
    with milvus_235(tmp_path) as server:
        client = MilvusClient(server.address, timeout=SECONDS)
        a_collection(client)
        insert(client, 1)
        refuse(server, True)
        with pytest.raises(MilvusException, match="quota exceeded"):
            insert_for(client, SECONDS)
        assert 1 in rows(client)
        refuse(server, False)
        eventually(lambda: insert(client, 3))
        assert {1, 3} <= rows(client)


def insert_for(client: MilvusClient, seconds: float) -> None:
    """Rows from 100 on, one after another: this server loses sight of others where a row is inserted twice."""
    end = time.monotonic() + seconds
    for row in itertools.count(100):
        if time.monotonic() > end:
            break
        insert(client, row)
        time.sleep(0.2)


def refuse(server: Milvus235, refused: bool) -> None:
    memory = "quotaAndLimits.limitWriting.memProtection"
    for node in ("dataNode", "queryNode"):
        low, high = (0.0001, 0.0002) if refused else (0.85, 0.95)
        server.configure({f"{memory}.{node}MemoryLowWaterLevel": low, f"{memory}.{node}MemoryHighWaterLevel": high})


def test_a_password_is_asked_for(tmp_path: Path) -> None:
    with milvus_235(tmp_path, {"common.security.authorizationEnabled": True}) as server:
        assert (
            MilvusClient(server.address, token="root:Milvus", timeout=SECONDS).list_collections(timeout=SECONDS) == []
        )
        with pytest.raises(MilvusException) as caught:
            MilvusClient(server.address, token="root:other", timeout=SECONDS)
        assert isinstance(caught.value.__cause__, grpc.Call)
        assert caught.value.__cause__.code() is grpc.StatusCode.UNAUTHENTICATED
