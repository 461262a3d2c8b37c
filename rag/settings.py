"""Every setting, in one typed place.

Taken from arguments, then `RAG_GROUP__FIELD` in the environment, then `rag.toml` in the working
folder, then the defaults below.
"""

from __future__ import annotations

from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from rag.errors import InvalidSettings


class _Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelSettings(_Group):
    """Which sentence-transformers model embeds."""

    name: str | None = Field(None, description="name or folder of the model; unset: the bundled all-MiniLM-L6-v2")
    precision: Literal["float32", "int8", "half"] | None = Field(
        None, description="of passages' vectors; unset: half with a GPU, else float32"
    )
    batch: int | None = Field(None, ge=1, le=4096, description="texts in one forward pass in half precision")
    cache: str | None = Field(
        None, description="folder of models made ready; unset: footnote/models in the user's cache folder"
    )


class PassageSettings(_Group):
    """How articles are cut.  Changing these needs `rag ingest --rebuild`."""

    tokens: int = Field(100, ge=32, le=8192, description="most tokens of the model in one passage, its title included")
    overlap: int = Field(
        0, ge=0, le=1024, description="tokens of whole sentences repeated from the passage before, at most"
    )
    title: bool = Field(True, description="embed passages below their article's title")
    context: float = Field(0.5, ge=0, le=1, description="share of its article in the vector that finds a passage")


class SearchSettings(_Group):
    """How passages are found."""

    retriever: str = Field("fused", description="dense, lexical or fused")
    dense_weight: float = Field(0.65, ge=0, le=1, description="weight of the dense score in the fused one")
    depth: int = Field(100, ge=10, le=10_000, description="candidates taken from each member before fusing")
    phrase_words: int = Field(
        20, ge=0, description="words of a question up to which its quoted phrases must occur in what is found"
    )
    time_weight: float = Field(
        0.05, ge=0, le=1, description="bonus, as a share of the best score, to hits of the time that a question names"
    )
    reranker: str | None = Field(
        None, description="name or folder of a sentence-transformers CrossEncoder that reads the first hits again"
    )
    rerank_depth: int = Field(50, ge=1, le=1_000, description="hits that the reranker reads")


class AnswerSettings(_Group):
    """How answers are written."""

    writer: str = Field("extractive", description="extractive: quotes the articles; chat: a chat model, see below")
    strict: bool = Field(False, description="leave out what a chat model says without support, instead of marking it")
    hits: int = Field(12, ge=1, le=100, description="passages the writer is given")
    sentences: int = Field(4, ge=1, le=20, description="most sentences quoted; a chat model is asked for as many")
    threshold: float | None = Field(
        None, ge=0, le=1, description="least confidence to answer at; unset: the calibrated one that is shipped"
    )
    entailment: str | None = Field(
        None, description="name or folder of a CrossEncoder for natural language inference that reads citations again"
    )


LEAST_ROOM = 1_000
"""Tokens for what a chat model is told, some 600, a question and a source."""


class ChatSettings(_Group):
    """The model behind an OpenAI-compatible address that writes answers when `answer.writer` is chat."""

    base_url: str = Field("http://127.0.0.1:11434/v1", description="its address up to /v1; this one is Ollama's")
    model: str | None = Field(None, description="the model's name there")
    key: SecretStr | None = Field(None, description="key of a hosted service; better as RAG_CHAT__KEY than in a file")
    timeout: float = Field(60, gt=0, le=3_600, description="seconds of silence to bear, before the first word or later")
    total: float = Field(180, gt=0, le=7_200, description="seconds for a whole answer, all tries together")
    retries: int = Field(2, ge=0, le=10, description="further tries when the service is busy or cannot be reached")
    context_tokens: int = Field(4_096, ge=1_024, description="tokens that the model reads and writes together")
    answer_tokens: int = Field(600, ge=16, description="tokens that an answer may take of these")
    temperature: float = Field(0, ge=0, le=2, description="0: the likeliest words")

    @field_validator("base_url")
    @classmethod
    def _plain_address(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("this is no http:// or https:// address")
        if parts.port == 0:
            raise ValueError("there is no port 0")
        # They would be told wherever the address is; the key has a place of its own.
        if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
            raise ValueError("name, password, ? and # have no place in it; a key goes into chat.key")
        return value.rstrip("/")

    @field_validator("key")
    @classmethod
    def _fits_a_header(cls, value: SecretStr | None) -> SecretStr | None:
        # Read from a file it often ends in a newline.
        key = value.get_secret_value().strip() if value else ""
        if not key.isascii() or not key.isprintable():
            raise ValueError("a key has printable ASCII characters only")
        return SecretStr(key) if key else None

    @model_validator(mode="after")
    def _leaves_room(self) -> ChatSettings:
        if self.answer_tokens + LEAST_ROOM > self.context_tokens:
            raise ValueError(
                f"chat.context_tokens must hold chat.answer_tokens and {LEAST_ROOM} more for instructions and a source"
            )
        return self


_ADDRESS = ("http", "https")
"""Schemes of the addresses at which a server keeps an index."""


def is_address(where: str) -> bool:
    """Say whether a text names a server's address or a database in a file, and no folder."""
    return urlsplit(where).scheme in _ADDRESS or where.endswith(".db")


class StoreSettings(_Group):
    """Where the index is kept, if not in the folder --index: a Milvus server, see docs/scale.md."""

    uri: str | None = Field(
        None, description="address of a Milvus server, http://HOST:19530, or a file of Milvus Lite, PATH.db"
    )
    token: SecretStr | None = Field(
        None, description="USER:PASSWORD or key of the server; better as RAG_STORE__TOKEN than in a file"
    )
    name: str = Field(
        "footnote", pattern=r"^[A-Za-z][A-Za-z0-9_]{0,99}$", description="what its collections there are named by"
    )
    timeout: float = Field(30, gt=0, le=3_600, description="seconds that one request to the server may take")
    index: Literal["auto", "flat", "hnsw", "ivf_sq8", "ivf_rabitq", "diskann"] = Field(
        "auto", description="kind of vector index of a new index; auto: the server's choice, exact in Milvus Lite"
    )
    shards: int = Field(1, ge=1, le=16, description="channels that passages of a new index are written through at once")
    partitions: int = Field(
        16, ge=1, le=1_024, description="parts that passages of a new index are spread over by their source"
    )

    @field_validator("uri")
    @classmethod
    def _plain_address(cls, value: str | None) -> str | None:
        if not value:
            return None
        if not is_address(value):
            raise ValueError("this is neither an http:// or https:// address nor a file.db")
        if value.endswith(".db"):
            return value
        parts = urlsplit(value)
        # They would be told wherever the address is; the token has a place of its own.
        if not parts.hostname or parts.username is not None or parts.password is not None or parts.query:
            raise ValueError("name, password and ? have no place in it; they go into store.token as name:password")
        return value.rstrip("/")

    @field_validator("token")
    @classmethod
    def _without_newline(cls, value: SecretStr | None) -> SecretStr | None:
        # Read from a file it often ends in one.
        token = value.get_secret_value().strip() if value else ""
        return SecretStr(token) if token else None

    def at(self, uri: str) -> StoreSettings:
        """Return these settings for another address.  Raises InvalidSettings."""
        try:
            return StoreSettings.model_validate({**dict(self), "uri": uri})
        except ValidationError as e:
            raise InvalidSettings(f"the address of a store cannot be so: {e.errors()[0]['msg']}") from e


class PageSettings(_Group):
    """The chat page."""

    examples: tuple[str, ...] = Field((), description="questions to start from, shown on the empty page")


class RaySettings(_Group):
    """The workers of `rag ingest --with ray`."""

    address: str | None = Field(
        None,
        description="of a Ray cluster that this machine is a node of; unset: RAY_ADDRESS, else one is started here",
    )
    workers: int | None = Field(None, ge=1, le=10_000, description="workers of one core each; unset: one for each core")
    batch: int = Field(64, ge=1, le=4096, description="texts that a worker embeds at a time, and that its loss costs")


class LimitSettings(_Group):
    """Sizes beyond which input is refused, never cut."""

    page_bytes: int = Field(32 * 2**20, ge=1, description="a .md, .txt or .html page")
    line_bytes: int = Field(16 * 2**20, ge=1, description="a line of a .jsonl file")
    question_chars: int = Field(4_000, ge=1, description="a question")
    k: int = Field(1_000, ge=1, description="hits asked for at once")


class Settings(BaseSettings):
    """All settings.  Raises InvalidSettings through `load`.

    >>> Settings.load(search={"dense_weight": 0.5}).search.dense_weight
    0.5
    """

    model_config = SettingsConfigDict(
        env_prefix="RAG_",
        env_nested_delimiter="__",
        toml_file="rag.toml",
        extra="forbid",
        frozen=True,
        # A key in the wrong place is not to be told by the error about it.
        hide_input_in_errors=True,
    )

    model: ModelSettings = ModelSettings()
    passages: PassageSettings = PassageSettings()
    search: SearchSettings = SearchSettings()
    answer: AnswerSettings = AnswerSettings()
    chat: ChatSettings = ChatSettings()
    store: StoreSettings = StoreSettings()
    page: PageSettings = PageSettings()
    ray: RaySettings = RaySettings()
    limits: LimitSettings = LimitSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    @classmethod
    def load(cls, **groups: Any) -> Settings:
        """Return the settings in force, with those given by name put first.  Raises InvalidSettings."""
        try:
            return cls(**groups)
        except ValidationError as e:
            first = e.errors()[0]
            where = ".".join(str(p) for p in first["loc"])
            value = "" if _may_be_secret(first["loc"], first["type"]) else f"={str(first.get('input'))[:60]!r}"
            raise InvalidSettings(
                f"setting {where}{value}: {first['msg']}; set it in rag.toml or as RAG_GROUP__FIELD"
            ) from e
        except SettingsError as e:
            raise InvalidSettings(
                f"an environment variable RAG_... is not as its setting wants it, lists as JSON: {e}"
            ) from e
        except (OSError, ValueError) as e:
            raise InvalidSettings(f"rag.toml cannot be read: {e}") from e


_TOLD = ("timeout", "total", "retries", "context_tokens", "answer_tokens", "temperature")


def _may_be_secret(where: tuple[int | str, ...], kind: str) -> bool:
    """Say whether what was given for a setting may be a key, put right or into a place that is nearly right."""
    if kind == "extra_forbidden" or kind.endswith(("_parsing", "_type")) or len(where) < 2:
        return True
    return (where[0] == "chat" and where[1] not in _TOLD) or (where[0] == "store" and where[1] in ("uri", "token"))
