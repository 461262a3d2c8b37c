"""A Ray cluster, joined or started for one run."""

from __future__ import annotations

import logging
import os
import re
import secrets
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from rag.embed.model import cores
from rag.errors import ClusterError, MissingExtra
from rag.settings import RaySettings

log = logging.getLogger(__name__)

STORE_BYTES = 200_000_000
"""Of memory, at most, for what lies between a cluster that is started here and its workers: a few batches."""

REACH_SECONDS = 5.0
"""To wait for whoever listens at a cluster's address."""

LOOPBACK_ONLY = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""Set to 0 it makes Ray take 127.0.0.1 for this machine's address, as on Windows and macOS, and listen nowhere else."""

TRIES = "RAY_NUM_REDIS_GET_RETRIES"
"""How often Ray tries to join a cluster, once a second; 20 unless it is set."""

_HOST_AND_PORT = re.compile(r"\[?([\w.:-]+?)\]?:(\d{1,5})")


@contextmanager
def cluster(settings: RaySettings) -> Iterator[ModuleType]:
    """Give Ray, connected; what was started for it is ended afterwards.

    A cluster that is started here listens on this machine alone, and knows its own by a token.  A connection that the
    caller has already is used as it is.  Raises MissingExtra, and ClusterError for a cluster that cannot be joined or
    started.
    """
    address = settings.address or os.environ.get("RAY_ADDRESS")
    # Nothing is told to Ray's makers.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if address:
        os.environ.setdefault(TRIES, "3")
    else:
        # Whoever reaches a cluster can run anything on it.  Ray reads the token once a process, so it stays.
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        if not (os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH")):
            os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
        os.environ[LOOPBACK_ONLY] = "0"
    try:
        ray = _imported()
        if ray.is_initialized():
            yield ray
        elif address:
            _join(ray, address)
            with _ending(ray):
                yield ray
        else:
            with (
                tempfile.TemporaryDirectory(prefix="footnote-ray-", ignore_cleanup_errors=True) as folder,
                _ending(ray),
            ):
                _start(ray, settings.workers or cores(), folder)
                yield ray
    finally:
        os.environ.pop(LOOPBACK_ONLY, None)


def _imported() -> ModuleType:
    try:
        import ray
    except ImportError as e:
        raise MissingExtra("an ingest with Ray", "ray") from e
    found: ModuleType = ray
    return found


@contextmanager
def _ending(ray: ModuleType) -> Iterator[None]:
    try:
        yield
    finally:
        ray.shutdown()


def _join(ray: ModuleType, address: str) -> None:
    place = _HOST_AND_PORT.fullmatch(address)
    if place:
        try:
            socket.create_connection((place[1], int(place[2])), REACH_SECONDS).close()
        except (OSError, OverflowError) as e:
            raise ClusterError(
                f"nothing answers at the Ray cluster's address {address} ({_line(e)}): check ray.address or RAY_ADDRESS"
            ) from e
    with _kept_back() as told:
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except Exception as e:  # the library raises whatever it meets: ConnectionError, RuntimeError, its own
            if "AuthToken" in told() or isinstance(e, ray.exceptions.AuthenticationError):
                reason = "it does not take this token: set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN as its machines do"
            else:
                reason = f"{_line(e)}: this machine must be a node of it, with the same Ray and Python"
            raise ClusterError(f"the Ray cluster at {address} cannot be joined, {reason}") from e


def _start(ray: ModuleType, workers: int, folder: str) -> None:
    try:
        ray.init(
            address="local",
            num_cpus=workers,
            object_store_memory=STORE_BYTES,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            # Paths of sockets must be short.
            _temp_dir=folder if len(folder) < 40 else None,
        )
    except Exception as e:
        raise ClusterError(f"Ray cannot be started here ({_line(e)}): see whether `ray start --head` can") from e


@contextmanager
def _kept_back() -> Iterator[Any]:
    """Keep back what is written to standard error, also by Ray's native code; give a function that returns it.

    It is written after all, unless an error says what there is to say.
    """
    with tempfile.TemporaryFile() as kept:

        def told() -> str:
            kept.seek(0)
            return kept.read().decode("utf-8", "replace")

        try:
            before = os.dup(2)
        except OSError:  # there is none
            yield told
            return
        os.dup2(kept.fileno(), 2)
        try:
            yield told
        finally:
            os.dup2(before, 2)
            os.close(before)
        os.write(2, told().encode())


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
