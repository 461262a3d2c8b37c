"""A chat model behind an OpenAI-compatible address: a request out, pieces of text back, and every way it can fail.

The openai package speaks the protocol.  What is decided here is what it may do: no redirect is followed, only known
headers go out, silence, time and bytes are bounded, and a failure is one line that holds neither the key nor a word
of what the service said.
"""

from __future__ import annotations

import email.utils
import logging
import random
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from rag.errors import InvalidSettings, MissingExtra
from rag.settings import ChatSettings

if TYPE_CHECKING:
    import httpx2

log = logging.getLogger(__name__)

Message = Mapping[str, str]
"""A role and what is said in it."""

FIRST_WAIT, LONGEST_WAIT = 0.5, 20.0
"""Seconds before a second try, doubled before each further one; a service that asks for longer is not asked again."""

MOST_BYTES = 8 * 2**20
"""A reply of more is not read on: an answer of a thousand tokens comes in some 300 kB."""

_NEW_LIMIT = "max_completion_tokens"
_AGAIN = frozenset((408, 425, 429, 500, 502, 503, 504, 529))
_SENT = frozenset(("host", "accept", "connection", "content-type", "content-length"))
_ADVICE = {
    401: ": check chat.key",
    403: ": check chat.key",
    404: ": check chat.base_url and chat.model",
}
_until: ContextVar[float] = ContextVar("until", default=float("inf"))


class ChatFailed(Exception):
    """The chat model gave no answer, or not all of it; the text is the reason, the end of a sentence."""


class _Busy(ChatFailed):
    """A failure after which another try may do; `wait` are the seconds that the service asks for."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


class ChatClient:
    """One model at one address.  Safe to share between threads.

    Raises MissingExtra without the package, and InvalidSettings where no model is named.
    """

    def __init__(self, settings: ChatSettings) -> None:
        if not settings.model:
            raise InvalidSettings("a chat model is to write, but chat.model names none: set RAG_CHAT__MODEL")
        try:
            import httpx2
            import openai
        except ImportError as e:
            raise MissingExtra("a chat model", "chat") from e
        self.settings = settings
        self._limit, self._warm = "max_tokens", True
        parts = urlsplit(settings.base_url)
        self.host = parts.netloc
        self._http = httpx2.Client(
            follow_redirects=False,
            # A proxy of the environment is for the way out, not for a model on this machine.
            trust_env=parts.hostname not in ("localhost", "127.0.0.1", "::1"),
            event_hooks={"request": [self._only_what_is_needed], "response": [_bounded]},
        )
        self._openai = openai.OpenAI(
            # Both are put in later or not at all: left out, they would be taken from OpenAI's own variables.
            api_key="unset",
            admin_api_key="",
            base_url=settings.base_url,
            max_retries=0,
            http_client=self._http,
        )

    def pieces(
        self,
        messages: Sequence[Message],
        *,
        tokens: int | None = None,
        timeout: float | None = None,
        total: float | None = None,
        retries: int | None = None,
    ) -> Generator[str, None, None]:
        """Yield what the model writes, as it comes.  Raises ChatFailed, at once or after some of it.

        `tokens` are the most that it may write; `timeout` and `total` are seconds, as in the settings, which hold for
        what is not given.  A try that fails before the first piece is made again, if another may go better.
        """
        s = self.settings
        timeout = s.timeout if timeout is None else timeout
        tries = (s.retries if retries is None else retries) + 1
        until = time.monotonic() + (s.total if total is None else total)
        for n in range(1, tries + 1):
            begun = False
            try:
                with closing(self._tried(messages, tokens or s.answer_tokens, timeout, until)) as tried:
                    for piece in tried:
                        begun = True
                        yield piece
                return
            except _Busy as failed:
                said = f"{failed}, after {n} tries" if n > 1 else str(failed)
                wait = failed.wait or random.uniform(0.5, 1) * min(FIRST_WAIT * 2 ** (n - 1), LONGEST_WAIT)
                if begun or n == tries:
                    raise ChatFailed(said) from failed
                if wait > LONGEST_WAIT or time.monotonic() + wait >= until:
                    raise ChatFailed(f"{said}; another try would have to wait {wait:.0f} seconds") from failed
                log.info("%s: %s; trying again in %.1f seconds", self.host, failed, wait)
                time.sleep(wait)

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._http.close()

    def _tried(
        self, messages: Sequence[Message], tokens: int, timeout: float, until: float
    ) -> Generator[str, None, None]:
        """Yield what one try gives.  Raises ChatFailed."""
        import httpx2
        import openai

        left = until - time.monotonic()
        if left <= 0:
            raise ChatFailed("it took too long")
        silence = min(timeout, left)
        at = _until.set(until)
        try:
            stream = self._stream(messages, tokens, httpx2.Timeout(silence, connect=min(silence, 10)))
        except openai.OpenAIError as error:
            raise _told(error, timeout, until) from error
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError, OSError) as error:
            # What the package lets through: a body that is not what its header says, an address it cannot use.
            raise ChatFailed("its reply cannot be read") from error
        finally:
            _until.reset(at)
        with closing(stream):
            kind = stream.response.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind and kind != "text/event-stream":
                raise ChatFailed("it sent something else than a stream of text: check chat.base_url")
            ended = None
            try:
                for chunk in stream:
                    piece, why = _read(chunk)
                    ended = why or ended
                    if piece:
                        yield piece
                    if time.monotonic() > until:
                        raise ChatFailed("it took too long")
            except openai.OpenAIError as error:
                raise _told(error, timeout, until) from error
            except (httpx2.HTTPError, ValueError, OSError, RecursionError) as error:
                raise ChatFailed("a part of its reply cannot be read") from error
        if ended is None:
            raise _Busy("the connection ended before the answer did")
        if ended == "length":
            raise ChatFailed("it reached the limit of chat.answer_tokens")
        if ended == "content_filter":
            raise ChatFailed("its service held back the rest")

    def _stream(self, messages: Sequence[Message], tokens: int, timeout: httpx2.Timeout) -> Any:
        """Return the open stream of one try."""
        import openai

        create: Any = self._openai.chat.completions.create
        while True:
            # No tools, ever: what a model reads must not be able to have it do anything but write.
            asked: dict[str, Any] = {
                "model": self.settings.model,
                "messages": [dict(m) for m in messages],
                self._limit: tokens,
            }
            if self._warm:
                asked["temperature"] = self.settings.temperature
            try:
                return create(**asked, stream=True, timeout=timeout)
            except openai.BadRequestError as error:
                # Newer models of OpenAI's have another name for the one and do without the other, and say so.
                if error.param == "max_tokens" and self._limit != _NEW_LIMIT:
                    self._limit = _NEW_LIMIT
                elif error.param == "temperature" and self._warm:
                    self._warm = False
                else:
                    raise

    def _only_what_is_needed(self, request: httpx2.Request) -> None:
        """Leave the request no other header: the package adds the machine's, and whatever a variable names."""
        for name in {n.lower() for n in request.headers} - _SENT:
            del request.headers[name]
        request.headers["user-agent"] = "footnote"
        # A small reply may become a large one when it is unpacked.
        request.headers["accept-encoding"] = "identity"
        if self.settings.key:
            request.headers["authorization"] = f"Bearer {self.settings.key.get_secret_value()}"


def _bounded(response: httpx2.Response) -> None:
    """Have a reply end with an error when it is too long, takes too long or is packed."""
    import httpx2

    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise httpx2.DecodingError("packed", request=response.request)

    class Bounded(httpx2.SyncByteStream):
        """The same bytes, but not for ever."""

        def __init__(self, stream: Any, until: float) -> None:
            self.stream, self.until = stream, until

        def __iter__(self) -> Iterator[bytes]:
            taken = 0
            for part in self.stream:
                taken += len(part)
                if taken > MOST_BYTES:
                    raise httpx2.DecodingError("too long", request=response.request)
                if time.monotonic() > self.until:
                    raise httpx2.ReadTimeout("too late", request=response.request)
                yield part

        def close(self) -> None:
            self.stream.close()

    response.stream = Bounded(response.stream, _until.get())


def _read(chunk: object) -> tuple[str, str | None]:
    """Return the text of a piece of the stream and why the answer ends with it.  Raises ChatFailed.

    The package does not check what it is sent, so any attribute may be absent or of another kind.
    """
    choices = getattr(chunk, "choices", None)
    if not isinstance(choices, list):
        raise ChatFailed("a part of its reply cannot be read")
    if not choices:  # only counts what was used
        return "", None
    delta, why = getattr(choices[0], "delta", None), getattr(choices[0], "finish_reason", None)
    text = getattr(delta, "content", None)
    if not isinstance(text, str | None) or not isinstance(why, str | None):
        raise ChatFailed("a part of its reply cannot be read")
    return text or "", why


def _told(error: Exception, timeout: float, until: float) -> ChatFailed:
    """Return a failure of the package as ours: in our own words, since its own may repeat what the service said."""
    import httpx2
    import openai

    if isinstance(error, openai.APIStatusError):
        status = error.status_code
        if 300 <= status < 400:
            return ChatFailed(f"{_status(status)}, and another address is not followed: check chat.base_url")
        told = f"{_status(status)}{_ADVICE.get(status, '')}"
        return _Busy(told, _asked_to_wait(error.response.headers)) if status in _AGAIN else ChatFailed(told)
    if isinstance(error, openai.APITimeoutError):
        if isinstance(error.__cause__, httpx2.ConnectTimeout):
            return _Busy("it cannot be reached")
        late = time.monotonic() >= until
        return ChatFailed("it took too long" if late else f"nothing came for {timeout:g} seconds")
    if isinstance(error, openai.APIConnectionError):
        if isinstance(error.__cause__, httpx2.ConnectError):
            return _Busy("it cannot be reached")
        if isinstance(error.__cause__, httpx2.DecodingError):
            return ChatFailed("its reply cannot be read")
        return _Busy("the connection broke")
    return ChatFailed("it reported an error")


def _status(code: int) -> str:
    from http import HTTPStatus

    names = {s.value: s.phrase for s in HTTPStatus}
    return f"{code} {names.get(code, '')}".strip()


def _asked_to_wait(headers: Mapping[str, str]) -> float:
    """Return the seconds that a Retry-After header asks for, a number or a date; 0 where there is none."""
    said = headers.get("retry-after", "").strip()
    if said.isascii() and said.isdigit():
        return float(min(int(said[:9]), 10**6))
    try:
        at = email.utils.parsedate_tz(said)
        return max(email.utils.mktime_tz(at) - time.time(), 0.0) if at else 0.0
    except (ValueError, OverflowError):  # a day that no calendar has
        return 0.0
