"""A language model behind one protocol. Messages, answers and chunks are in OpenAI's chat format, as plain dicts."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Protocol

from spanledger.errors import BadRequest, UpstreamError
from spanledger.pricing import Usage

Message = dict[str, Any]
Chunk = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One call. `model` is LiteLLM's name, `provider/model`; `parameters` are OpenAI's: tools, temperature, …"""

    model: str
    messages: Sequence[Message]
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Name:
    """Who serves a model: the canonical provider, and that provider's name for the model."""

    provider: str
    model: str


@dataclass(frozen=True, slots=True)
class ModelReply:
    """A whole answer. `usage` is None when the provider did not say; its `output_tokens` when only that is missing."""

    response: dict[str, Any]  # chat.completion
    usage: Usage | None
    billed_usd: Decimal | None = None  # what the provider says it charges
    claimed_usd: Decimal | None = None  # what LiteLLM reckons
    service_tier: str = ""

    @property
    def message(self) -> Message:
        """The first choice's message."""
        choices = self.response.get("choices") or [{}]
        message: Message = choices[0].get("message") or {}
        return message

    def so_far(self) -> "ModelReply":
        """The reply of an answer that was cut off: the provider's output counts are not final and are dropped."""
        usage = None if self.usage is None else self.usage._replace(output_tokens=None, reasoning_output_tokens=None)
        return replace(self, usage=usage)

    @property
    def finish_reasons(self) -> list[str]:
        return [reason for c in self.response.get("choices") or () if (reason := c.get("finish_reason"))]


@dataclass(frozen=True, slots=True)
class EmbeddingRequest:
    """One call. A text is a string, or its tokens as the provider counts them."""

    model: str
    texts: Sequence[str | Sequence[int]]
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EmbeddingReply:
    """A vector per text, in their order. `usage` is None when the provider did not say."""

    vectors: list[list[float]]
    model: str  # that served
    usage: Usage | None
    claimed_usd: Decimal | None = None  # what LiteLLM reckons


class ModelStream(Protocol):
    """A streamed answer: iterate, then ask `reply`; `close` lets go of the connection at any time."""

    def __aiter__(self) -> AsyncIterator[Chunk]: ...

    def reply(self) -> ModelReply:
        """What has arrived so far, put together."""
        ...

    async def close(self) -> None: ...


class LanguageModel(Protocol):
    """Exactly one request to a provider per call: no retries, no fallbacks. Raises ModelError, UnknownModel."""

    async def ready(self) -> None:
        """Loads what is slow to load."""
        ...

    async def close(self) -> None: ...

    def name(self, model: str) -> Name: ...

    async def complete(self, request: ModelRequest) -> ModelReply: ...

    async def stream(self, request: ModelRequest) -> ModelStream: ...


class EmbeddingModel(Protocol):
    """The same for embeddings."""

    async def ready(self) -> None: ...

    def name(self, model: str) -> Name: ...

    async def embed(self, request: EmbeddingRequest) -> EmbeddingReply: ...


class UnknownModel(BadRequest):
    """No provider is known for the model's name, or the provider does not have it."""

    title = "Unknown model"
    status = 422
    error_type = "unknown_model"


class ModelError(UpstreamError):
    """A call of a provider failed. `status` is what our own caller gets."""

    def __init__(
        self,
        message: str,
        *,
        error_type: str,
        status: int,
        retryable: bool,
        retry_after_s: float | None = None,
        telemetry_text: str = "",
    ) -> None:
        super().__init__(message)
        self.telemetry_text = telemetry_text
        self.error_type = error_type
        self.status = status
        self.retryable = retryable
        self.retry_after_s = retry_after_s
