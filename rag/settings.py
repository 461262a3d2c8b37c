"""Every setting, in one typed place.

Taken from arguments, then `RAG_GROUP__FIELD` in the environment, then `rag.toml` in the working
folder, then the defaults below.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

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

    hits: int = Field(12, ge=1, le=100, description="passages the writer is given")
    sentences: int = Field(4, ge=1, le=20, description="most sentences in an answer")
    threshold: float | None = Field(
        None, ge=0, le=1, description="least confidence to answer at; unset: the calibrated one that is shipped"
    )
    entailment: str | None = Field(
        None, description="name or folder of a CrossEncoder for natural language inference that reads citations again"
    )


class PageSettings(_Group):
    """The chat page."""

    examples: tuple[str, ...] = Field((), description="questions to start from, shown on the empty page")


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
        env_prefix="RAG_", env_nested_delimiter="__", toml_file="rag.toml", extra="forbid", frozen=True
    )

    model: ModelSettings = ModelSettings()
    passages: PassageSettings = PassageSettings()
    search: SearchSettings = SearchSettings()
    answer: AnswerSettings = AnswerSettings()
    page: PageSettings = PageSettings()
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
            raise InvalidSettings(
                f"setting {where}={str(first.get('input'))[:60]!r}: {first['msg']}; "
                "set it in rag.toml or as RAG_GROUP__FIELD"
            ) from e
        except (OSError, ValueError) as e:
            raise InvalidSettings(f"rag.toml cannot be read: {e}") from e
