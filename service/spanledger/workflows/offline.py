"""The offline provider: `offline/<model>` as a LiteLLM custom provider. No network, no key, no bill.

Importing this imports litellm (3 to 8 s of CPU): only `litellm_model` does, when the first model is needed.
"""

import asyncio
import time
import uuid
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import litellm
from litellm import CustomLLM
from litellm.types.utils import Choices, EmbeddingResponse, ModelResponse
from litellm.types.utils import Message as LiteLLMMessage
from litellm.types.utils import Usage as LiteLLMUsage

from spanledger.pricing import PriceBook
from spanledger.workflows import offline_answers, tokens
from spanledger.workflows.offline_answers import PROVIDER, Answer

_EMBEDDING_DIMENSIONS = 256
_SLOW_CHUNK_S = 0.02
_CUT_AFTER_CHUNKS = 5
_FLAKY_MEMORY = 4096


def register(book: PriceBook) -> None:
    """Makes LiteLLM know the provider and its prices. Doing it again replaces the first."""
    others = [item for item in litellm.custom_provider_map if item["provider"] != PROVIDER]
    litellm.custom_provider_map = [*others, {"provider": PROVIDER, "custom_handler": OfflineProvider()}]
    litellm.utils.custom_llm_setup()
    litellm.register_model({f"{PROVIDER}/{model}": entry for model, entry in _prices(book).items()})


class OfflineProvider(CustomLLM):  # type: ignore[misc] # litellm is untyped
    """Answers by `offline_answers`, and fails as its fault models are meant to."""

    def __init__(self) -> None:
        super().__init__()
        self._refused: OrderedDict[str, None] = OrderedDict()

    def completion(self, model: str, messages: list[dict[str, Any]], **kwargs: Any) -> ModelResponse:
        choices = (kwargs.get("optional_params") or {}).get("n") or 1
        return _response(kwargs["model_response"], model, self._answer(model, messages, kwargs, stream=False), choices)

    async def acompletion(self, model: str, messages: list[dict[str, Any]], **kwargs: Any) -> ModelResponse:
        return self.completion(model, messages, **kwargs)

    def streaming(self, model: str, messages: list[dict[str, Any]], **kwargs: Any) -> Iterator[dict[str, Any]]:
        pause = _SLOW_CHUNK_S if model == "slow" else 0
        for chunk in _chunks(model, self._answer(model, messages, kwargs, stream=True)):
            time.sleep(pause)
            yield chunk

    async def astreaming(
        self, model: str, messages: list[dict[str, Any]], **kwargs: Any
    ) -> AsyncIterator[dict[str, Any]]:
        pause = _SLOW_CHUNK_S if model == "slow" else 0
        for chunk in _chunks(model, self._answer(model, messages, kwargs, stream=True)):
            await asyncio.sleep(pause)
            yield chunk

    def embedding(
        self, model: str, input: list[Any], model_response: EmbeddingResponse, **kwargs: Any
    ) -> EmbeddingResponse:
        if model not in offline_answers.EMBEDDING_MODELS:
            raise _unknown(model)
        texts = [input] if isinstance(input, str) else input
        model_response.model = f"{PROVIDER}/{model}"
        model_response.data = [
            {"object": "embedding", "index": i, "embedding": offline_answers.vector(str(text), _EMBEDDING_DIMENSIONS)}
            for i, text in enumerate(texts)
        ]
        used = sum(tokens.count(text) if isinstance(text, str) else len(text) for text in texts)
        model_response.usage = LiteLLMUsage(prompt_tokens=used, completion_tokens=0, total_tokens=used)
        return model_response

    async def aembedding(
        self, model: str, input: list[Any], model_response: EmbeddingResponse, **kwargs: Any
    ) -> EmbeddingResponse:
        # On a thread: a hosted model would not hold the event loop either.
        return await asyncio.to_thread(self.embedding, model, input, model_response, **kwargs)

    def _answer(self, model: str, messages: list[dict[str, Any]], kwargs: dict[str, Any], stream: bool) -> Answer:
        if model not in (*offline_answers.CHAT_MODELS, *offline_answers.FAULT_MODELS):
            raise _unknown(model)
        if model == "error-500" or (model == "cut" and not stream):
            raise litellm.InternalServerError("offline: failing as requested", llm_provider=PROVIDER, model=model)
        if model == "error-400":
            raise litellm.BadRequestError("offline: refused as requested", model=model, llm_provider=PROVIDER)
        given = kwargs.get("optional_params") or {}
        if what := _not_offered(given, stream):
            raise litellm.BadRequestError(f"offline: {what} are not offered", model=model, llm_provider=PROVIDER)
        if model == "flaky-429" and self._refuse_once(offline_answers.fingerprint(messages)):
            raise litellm.RateLimitError("offline: the first request is refused", llm_provider=PROVIDER, model=model)
        return offline_answers.answer(model, messages, kwargs.get("optional_params") or {})

    def _refuse_once(self, key: str) -> bool:
        if key in self._refused:
            return False
        self._refused[key] = None
        while len(self._refused) > _FLAKY_MEMORY:
            self._refused.popitem(last=False)
        return True


def _unknown(model: str) -> Exception:
    known = ", ".join(f"{PROVIDER}/{name}" for name in offline_answers.CHAT_MODELS)
    error: Exception = litellm.NotFoundError(
        f"there is no model {PROVIDER}/{model}; chat models are {known}", model=model, llm_provider=PROVIDER
    )
    return error


def _served_as(model: str) -> str:
    """Fault models are `small` with a fault, and cost what it costs."""
    return f"{PROVIDER}/{'small' if model in offline_answers.FAULT_MODELS else model}"


def _usage(answer: Answer) -> dict[str, Any]:
    return {
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": answer.completion_tokens,
        "total_tokens": answer.prompt_tokens + answer.completion_tokens,
        "prompt_tokens_details": {
            "cached_tokens": answer.cached_tokens,
            "cache_creation_tokens": answer.cache_write_tokens,
        },
        "completion_tokens_details": {"reasoning_tokens": answer.reasoning_tokens},
    }


def _calls(answer: Answer) -> list[dict[str, Any]]:
    return [
        {"index": i, "id": f"call_{uuid.uuid4().hex[:24]}", "type": "function", "function": dict(call)}
        for i, call in enumerate(answer.tool_calls)
    ]


def _response(response: ModelResponse, model: str, answer: Answer, count: int) -> ModelResponse:
    """`count` equal choices: the models are deterministic."""
    answer = replace(
        answer,
        completion_tokens=answer.completion_tokens * count,
        reasoning_tokens=answer.reasoning_tokens * count,
    )
    calls = [{k: v for k, v in call.items() if k != "index"} for call in _calls(answer)]
    message = LiteLLMMessage(role="assistant", content=answer.content or None, tool_calls=calls or None)
    if answer.reasoning:
        message.reasoning_content = answer.reasoning
    response.id = f"chatcmpl-{uuid.uuid4().hex}"
    response.model = _served_as(model)
    response.created = int(time.time())
    response.choices = [Choices(index=i, message=message, finish_reason=answer.finish_reason) for i in range(count)]
    if model != "no-usage":
        response.usage = LiteLLMUsage(**_usage(answer))
    return response


def _chunks(model: str, answer: Answer) -> Iterator[dict[str, Any]]:
    """The stream in LiteLLM's GenericStreamingChunk form, and the name of the model that serves it."""
    empty = {"text": "", "tool_use": None, "is_finished": False, "finish_reason": "", "usage": None, "index": 0}
    empty["model"] = _served_as(model)
    for number, text in enumerate(answer.chunks()):
        if model == "cut" and number == _CUT_AFTER_CHUNKS:
            raise litellm.InternalServerError("offline: cut off as requested", llm_provider=PROVIDER, model=model)
        yield {**empty, "text": text}
    for call in _calls(answer):
        yield {**empty, "tool_use": call}
    finished = {**empty, "is_finished": True, "finish_reason": answer.finish_reason}
    yield finished
    if model != "no-usage":
        yield {**finished, "usage": _usage(answer)}


def _prices(book: PriceBook) -> dict[str, dict[str, Any]]:
    """The price book's prices of the offline models in LiteLLM's form (USD per token, binary floats)."""
    keys = (
        ("input", "input_cost_per_token"),
        ("cache_read", "cache_read_input_token_cost"),
        ("cache_write", "cache_creation_input_token_cost"),
        ("output", "output_cost_per_token"),
    )
    found = {}
    for model in (*offline_answers.CHAT_MODELS, *offline_answers.EMBEDDING_MODELS):
        price = book.lookup(PROVIDER, model, datetime.now(UTC))
        if price is None:
            continue
        rates = price.rates()
        mode = "embedding" if model in offline_answers.EMBEDDING_MODELS else "chat"
        entry: dict[str, Any] = {"litellm_provider": PROVIDER, "mode": mode}
        entry |= {key: rate / 1e15 for name, key in keys if (rate := getattr(rates, name)) is not None}
        found[model] = entry
    return found


_SEARCH = "web_search_options"  # an empty one asks for a search too
# What would change an answer and these models cannot do.
_NOT_OFFERED = {
    "logprobs": "log probabilities",
    "audio": "spoken answers",
    "functions": "functions (tools are)",
    _SEARCH: "searches",
    "logit_bias": "biased tokens",
}


def _not_offered(given: dict[str, Any], stream: bool) -> str:
    """What a request asks for that these models do not do; '' for nothing."""
    if stream and (given.get("n") or 1) > 1:
        return "several choices in a stream"
    if {*(given.get("modalities") or ())} - {"text"}:
        return _NOT_OFFERED["audio"]
    if any(tool.get("type", "function") != "function" for tool in given.get("tools") or ()):
        return "tools other than functions"
    unsupported = (
        name for name in _NOT_OFFERED if given.get(name) or (name == _SEARCH and given.get(name) is not None)
    )
    return next((_NOT_OFFERED[name] for name in unsupported), "")
