"""Validation of input, shared by the chat routes."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

MAX_ID_CHARS = 256
MAX_MODEL_CHARS = 256
MAX_FALLBACKS = 5


def unicode_text(text: str) -> str:
    """JSON can spell halves of characters (`\\ud800`), which no encoding, database or provider takes."""
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        raise ValueError("is not valid Unicode: it holds a lone surrogate") from exc
    return text


Text = Annotated[str, AfterValidator(unicode_text)]
Id = Annotated[str, Field(min_length=1, max_length=MAX_ID_CHARS), AfterValidator(unicode_text)]
Model = Annotated[str, Field(min_length=1, max_length=MAX_MODEL_CHARS), AfterValidator(unicode_text)]
ModelOrNone = Annotated[Model | Literal[""] | None, AfterValidator(lambda model: model or "")]
Fallbacks = Annotated[list[Model], Field(max_length=MAX_FALLBACKS)]


class Parameters(BaseModel):
    """What may be decided of how a model answers, in OpenAI's words."""

    model_config = ConfigDict(extra="forbid")

    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    max_tokens: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    stop: Annotated[list[Text], Field(max_length=4)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high"] | None = None


class Memory(BaseModel):
    """How much of the conversation the model sees; see workflows/memory.py."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["all", "window", "summary"]
    exchanges: Annotated[int, Field(ge=1, le=1000)] | None = None
    tokens: Annotated[int, Field(ge=1, le=10_000_000)] | None = None

    @model_validator(mode="after")
    def _says_how_much(self) -> "Memory":
        if self.kind == "window" and self.exchanges is None and self.tokens is None:
            raise ValueError("a window needs exchanges or tokens")
        if self.kind == "all" and not (self.exchanges is None and self.tokens is None):
            raise ValueError("all of it has no limits")
        return self


def given(model: BaseModel | None) -> dict[str, Any]:
    """The fields that were given, without the empty ones."""
    return {} if model is None else model.model_dump(exclude_none=True)
