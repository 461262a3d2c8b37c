"""A Ray cluster, joined or started for one run."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from rag.embed.model import cores
from rag.errors import ClusterError, MissingExtra
from rag.settings import RaySettings

log = logging.getLogger(__name__)

STORE_BYTES = 200_000_000
"""Of memory, at most, for what lies between a cluster that is started here and its workers: a few batches."""

LOOPBACK_ONLY = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""Makes Ray take 127.0.0.1 for this machine's address, as it does on Windows and macOS, and listen nowhere else."""


@contextmanager
def cluster(settings: RaySettings) -> Iterator[ModuleType]:
    """Give Ray, connected; what was started for it is ended afterwards.

    Raises MissingExtra, and ClusterError for a cluster that cannot be joined or started.
    """
    address = settings.address or os.environ.get("RAY_ADDRESS")
    # Nothing is told to Ray's makers.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if address:
        with _joined(_ray(), address) as ray:
            yield ray
        return
    # Whoever reaches a cluster can run anything on it.  Ray reads the token once a process, so it stays.
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    if not {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & os.environ.keys():
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    os.environ.update(LOOPBACK_ONLY)
    try:
        with _started(_ray(), settings.workers or cores()) as ray:
            yield ray
    finally:
        for name in LOOPBACK_ONLY:
            os.environ.pop(name, None)


def _ray() -> ModuleType:
    try:
        import ray
    except ImportError as e:
        raise MissingExtra("an ingest with Ray", "ray") from e
    found: ModuleType = ray
    return found


@contextmanager
def _joined(ray: ModuleType, address: str) -> Iterator[ModuleType]:
    if ray.is_initialized():
        # The caller's own connection, which is the caller's to end.
        yield ray
        return
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as e:  # the library raises whatever it meets: ConnectionError, RuntimeError, its own
        raise ClusterError(
            f"the Ray cluster at {address} cannot be joined ({_first_line(e)}): check that this machine is a node of "
            "it, RAY_AUTH_MODE and RAY_AUTH_TOKEN, and that both have the same Ray and Python"
        ) from e
    try:
        yield ray
    finally:
        ray.shutdown()


@contextmanager
def _started(ray: ModuleType, workers: int) -> Iterator[ModuleType]:
    if ray.is_initialized():
        yield ray
        return
    folder = tempfile.mkdtemp(prefix="footnote-ray-")
    try:
        ray.init(
            address="local",
            num_cpus=workers,
            object_store_memory=STORE_BYTES,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            _temp_dir=folder,
        )
        yield ray
    except (OSError, RuntimeError) as e:
        raise ClusterError(f"Ray cannot be started here ({_first_line(e)}): see whether `ray start --head` can") from e
    finally:
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
