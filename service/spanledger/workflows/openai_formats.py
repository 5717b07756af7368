"""OpenAI's other request formats as chat completions: the Responses API and the legacy completions.

LiteLLM's own translation between the Responses API and chat completions is used in both directions. Importing it
imports litellm (seconds of CPU), so every function here imports it when called.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from spanledger.errors import BadRequest
from spanledger.workflows.model import Chunk, Message

_TRANSLATED = ("messages", "model", "stream", "stream_options", "user", "metadata", "safety_identifier")
_INTERNAL = frozenset({"custom_llm_provider", "extra_headers", "context_management", "reasoning_summary"})


def chat_request(body: Mapping[str, Any]) -> tuple[list[Message], dict[str, Any]]:
    """Messages and parameters of the chat completion that a Responses API request amounts to. Raises BadRequest."""
    from litellm.responses.litellm_completion_transformation.transformation import LiteLLMCompletionResponsesConfig

    try:
        request = LiteLLMCompletionResponsesConfig.transform_responses_api_request_to_chat_completion_request(
            model=str(body.get("model") or ""), input=body["input"], responses_api_request=dict(body)
        )
    except Exception as exc:  # litellm raises ValueError, TypeError, KeyError and its own for what it cannot read
        raise BadRequest(f"the input cannot be read as a Responses API request: {type(exc).__name__}") from exc
    messages = [_plain(message) for message in request["messages"]]
    left_out = {*_TRANSLATED, *_INTERNAL}
    parameters = {name: _plain(v) for name, v in request.items() if name not in left_out and v is not None}
    # What the translation leaves out of a request's body.
    more = {"verbosity": (body.get("text") or {}).get("verbosity"), "service_tier": body.get("service_tier")}
    return messages, parameters | {name: value for name, value in more.items() if value is not None}


def response_of(body: Mapping[str, Any], completion: dict[str, Any]) -> dict[str, Any]:
    """A chat completion as the answer to a Responses API request; its id is the completion's."""
    from litellm.responses.litellm_completion_transformation.transformation import LiteLLMCompletionResponsesConfig

    found = LiteLLMCompletionResponsesConfig.transform_chat_completion_response_to_responses_api_response(
        request_input=body["input"], responses_api_request=dict(body), chat_completion_response=completion
    )
    return {**found.model_dump(mode="json"), "id": completion["id"], "model": completion["model"]}


class _Pieces:
    """Chunks in the shape in which LiteLLM's translator reads a stream."""

    logging_obj = None

    def __init__(self, chunks: AsyncIterator[Chunk]) -> None:
        self._chunks = chunks

    def __aiter__(self) -> "_Pieces":
        return self

    async def __anext__(self) -> Any:
        from litellm.types.utils import ModelResponseStream

        return ModelResponseStream(**await anext(self._chunks))


async def response_events(body: Mapping[str, Any], chunks: AsyncIterator[Chunk]) -> AsyncIterator[dict[str, Any]]:
    """The events of a streamed Responses API answer, of the chunks of a chat completion with usage in the last one.

    Raises what the chunks raise.
    """
    from litellm.responses.litellm_completion_transformation.streaming_iterator import (
        LiteLLMCompletionStreamingIterator,
    )

    pieces: Any = _Pieces(chunks)
    model = str(body.get("model") or "")
    async for event in LiteLLMCompletionStreamingIterator(model, pieces, body["input"], dict(body)):
        yield event.model_dump(mode="json", exclude_none=True)


def text_prompts(prompt: str | Sequence[str]) -> list[Message]:
    """A legacy completion's prompts, each as the message of a chat of its own."""
    return [{"role": "user", "content": text} for text in ([prompt] if isinstance(prompt, str) else prompt)]


def text_choices(completion: Mapping[str, Any], first: int) -> list[dict[str, Any]]:
    """The choices of a chat completion as those of a legacy one, numbered from `first`."""
    return [
        {
            "index": first + number,
            "text": (choice.get("message") or choice.get("delta") or {}).get("content") or "",
            "logprobs": None,
            "finish_reason": choice.get("finish_reason"),
        }
        for number, choice in enumerate(completion.get("choices") or ())
    ]


def _plain(value: Any) -> Any:
    """Without pydantic objects."""
    if hasattr(value, "model_dump"):
        return value.model_dump(exclude_none=True)
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value
