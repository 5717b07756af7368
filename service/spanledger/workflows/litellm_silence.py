"""Answers without usage, in the formats in which LiteLLM takes them for broken ones.

Anthropic and Gemini say what they used with every answer, so LiteLLM reads it without looking. A proxy in their format,
or Gemini when it withholds an answer, may say nothing, and then LiteLLM raises: the answer was paid for and lost, and
looks like an unreachable provider, which is retried. Here such an answer gets an empty usage before
LiteLLM reads it, which is what providers without usage come to in every other format; the tokens are counted by us.
"""

import functools
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import httpx

_NOTHING: dict[str, Mapping[str, int]] = {
    "usageMetadata": {"promptTokenCount": 0, "candidatesTokenCount": 0, "totalTokenCount": 0},
    "usage": {"input_tokens": 0, "output_tokens": 0},
}
_OF_CONTENT = frozenset({"content-encoding", "content-length", "transfer-encoding"})


def accept() -> None:
    """Teaches LiteLLM's two readers, once however often it is called."""
    from litellm import AnthropicConfig, VertexGeminiConfig

    # Answers of another form than OpenAI's are printed to stderr with their words.
    warnings.filterwarnings("ignore", "Pydantic serializer warnings")
    _teach(VertexGeminiConfig, "usageMetadata")
    _teach(AnthropicConfig, "usage")


def _teach(reader: Any, member: str) -> None:
    original: Callable[..., Any] = reader.transform_response
    if hasattr(original, "__wrapped__"):
        return

    @functools.wraps(original)
    def transform_response(self: Any, model: str, raw_response: httpx.Response, *args: Any, **more: Any) -> Any:
        return original(self, model, _completed(raw_response, member), *args, **more)

    reader.transform_response = transform_response


def _completed(response: httpx.Response, member: str) -> httpx.Response:
    """The response, or a copy that says something of usage. An error, or what is no JSON object, stays as it is."""
    try:
        body = response.json()
    except ValueError:
        return response
    if not isinstance(body, dict) or "error" in body or body.get(member) is not None:
        return response
    headers = {name: value for name, value in response.headers.items() if name.lower() not in _OF_CONTENT}
    return httpx.Response(response.status_code, headers=headers, json={**body, member: _NOTHING[member]})
