"""Answers of models: our own form, and OpenAI's."""

from typing import Any, Literal

from pydantic import ConfigDict

from spanledger.api.schemas.common import Answer
from spanledger.stats.usage import Usage


class Source(Answer):
    """A passage that the model was given, without its text."""

    document_id: str
    chunk: int
    name: str
    score: float


class Reply(Answer):
    """The answer, with its usage and cost. `sources` null: nothing was looked up."""

    message_id: str
    conversation_id: str
    user_id: str | None
    trace_id: str | None
    correlation_id: str
    workflow: str
    content: str
    provider: str
    model: str
    finish_reason: str | None
    duration_ms: float
    cache_hit: bool
    usage: Usage
    sources: list[Source] | None


class OpenAIModel(Answer):
    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class OpenAIModels(Answer):
    object: Literal["list"]
    data: list[OpenAIModel]


class CompletionUsage(Answer):
    model_config = ConfigDict(extra="allow")

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class CompletionChoice(Answer):
    model_config = ConfigDict(extra="allow")

    index: int
    message: dict[str, Any]
    finish_reason: str | None = None


class ChatCompletion(Answer):
    """A chat completion in OpenAI's format."""

    model_config = ConfigDict(extra="allow")

    id: str
    object: str
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: CompletionUsage


class TextCompletion(Answer):
    """A legacy completion in OpenAI's format."""

    model_config = ConfigDict(extra="allow")

    id: str | None
    object: Literal["text_completion"]
    created: int | None
    model: str | None
    choices: list[dict[str, Any]]
    usage: CompletionUsage


class ModelResponse(Answer):
    """An answer in the format of OpenAI's Responses API."""

    model_config = ConfigDict(extra="allow")

    id: str
    object: str
    model: str
    output: list[dict[str, Any]]
