"""What the failure of a request to a Milvus server means, in one line that says what to do.

Servers, the client and the connection below it each have words of their own for it.
"""

from __future__ import annotations

from rag.errors import NoIndex, StoreError

_MEANINGS = (
    (
        (
            "unauthenticated",
            "missing authorization",
            "auth check failure",
            "permission deny",
            "permissiondenied",
            "permission_denied",
        ),
        "{where} refuses the token: see RAG_STORE__TOKEN",
    ),
    (("database not found", "database not exist"), "{where} has no such database: see the end of store.uri"),
    (
        ("deadline_exceeded", "deadline exceeded", "futuretimeout"),
        "{where} did not answer within {seconds:g} s: see that it is well, or raise store.timeout",
    ),
    (
        ("unavailable", "fail connecting", "failed to connect", "connection refused", "illegal connection"),
        "{where} cannot be reached: start it, or see store.uri",
    ),
    (
        ("open local milvus failed",),
        "{where} cannot be opened; another process may have it open, or it is no file of Milvus Lite: a file is for one"
        " process, run `milvus-lite server` for several",
    ),
    (
        ("quota exceeded", "disk full", "no space left", "out of memory"),
        "{where} has no room left: free some, and run it again",
    ),
    (("rate limit", "ratelimit"), "{where} is asked too much at once: try again later"),
)
"""Words in what is said, and what to tell."""


def as_ours(error: Exception, address: str, seconds: float) -> StoreError:
    """Return what a failure means; the line names the server and never the token."""
    where = f"Milvus at {address}"
    said = " ".join(str(getattr(error, "message", "") or error).split())
    # What was behind a failed connection is in its cause only.
    causes = [error, error.__cause__, error.__context__]
    told = " ".join(f"{_code(cause)} {cause}" for cause in causes if cause is not None).lower()
    for marks, meaning in _MEANINGS:
        if any(mark in told for mark in marks):
            return StoreError(meaning.format(where=where, seconds=seconds))
    if "collection not found" in told or "can't find collection" in told or "does not exist" in told:
        return NoIndex(f"{where} has not what it is asked for ({said[:160]}): see store.name, or ingest anew")
    return StoreError(f"{where} failed: {said[:240] or type(error).__name__}")


def is_of_connection(error: Exception) -> bool:
    """Say whether the connection is to be made anew."""
    return _code(error) in ("2", "StatusCode.UNAVAILABLE")


def _code(error: BaseException) -> str:
    code = getattr(error, "code", "")
    return str(code() if callable(code) else code)
