"""Any model that LiteLLM can call, by LiteLLM's name for it.

litellm is imported by `ready` (3 to 8 s of CPU), never by importing this module.
"""

import asyncio
import base64
import os
import threading
from array import array
from collections import deque
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

from spanledger.foreign import amounts
from spanledger.pricing import PriceBook, Usage, canonical
from spanledger.workflows import tokens
from spanledger.workflows.assembly import assembled
from spanledger.workflows.litellm_errors import mapped
from spanledger.workflows.model import (
    Chunk,
    EmbeddingReply,
    EmbeddingRequest,
    ModelReply,
    ModelRequest,
    Name,
    UnknownModel,
)
from spanledger.workflows.providers import Providers

TIMEOUT_S = 120.0  # of one attempt, to its last byte
# Retries are ours: every attempt is a span. A caller's own retries would hide behind one.
_ONE_ATTEMPT = {"num_retries": 0, "max_retries": 0}


class LiteLLM:
    """`LanguageModel` by LiteLLM, with the offline provider registered. Make one per process and book."""

    def __init__(
        self,
        book: PriceBook,
        timeout_s: float = TIMEOUT_S,
        providers: Providers = Providers(),  # noqa: B008 - frozen
    ) -> None:
        self._book = book
        self._providers = providers
        self._timeout_s = timeout_s
        self._one_attempt = {"timeout": timeout_s, **_ONE_ATTEMPT}
        self._guard = threading.Lock()
        self._litellm: Any = None

    async def ready(self) -> None:
        if self._litellm is None:
            await asyncio.to_thread(self._load)

    async def close(self) -> None:
        if self._litellm is not None:
            from litellm.litellm_core_utils.logging_worker import GLOBAL_LOGGING_WORKER

            await GLOBAL_LOGGING_WORKER.stop()
            await self._litellm.close_litellm_async_clients()

    def has_provider(self, model: str) -> bool:
        """Whether a provider is known for a model of that name; imports litellm where the name alone does not
        tell."""
        provider, slash, _ = model.partition("/")
        if slash and self._providers.known(provider):
            return True
        self._load()
        try:
            self._litellm.get_llm_provider(model)
        except Exception:  # noqa: BLE001 — it raises its own for a name that it does not know
            return False
        return True

    def name(self, model: str) -> Name:
        try:
            bare, provider, _, _ = self._litellm.get_llm_provider(model)
        except Exception as exc:
            raise UnknownModel(
                f"no provider is known for model {model[:200]!r}; give it as provider/model, "
                "for example offline/small or openai/gpt-4o-mini"
            ) from exc
        if not self._providers.allowed(str(provider)):
            raise UnknownModel(self._providers.refusal(str(provider)))
        return Name(canonical(provider), bare)

    async def complete(self, request: ModelRequest) -> ModelReply:
        try:
            async with asyncio.timeout(self._timeout_s):  # some providers' clients ignore their own time-out
                response = await self._litellm.acompletion(**self._arguments(request))
        except Exception as exc:
            raise mapped(exc) from exc
        usage = _reported(response)
        claim = _money(response._hidden_params.get("response_cost")) if usage is not None else None
        return _reply(response.model_dump(exclude_none=True), usage, claim)

    async def stream(self, request: ModelRequest) -> "LiteLLMStream":
        arguments = {**self._arguments(request), "stream": True, "stream_options": {"include_usage": True}}
        deadline = asyncio.get_running_loop().time() + self._timeout_s
        try:
            async with asyncio.timeout_at(deadline):
                stream = await self._litellm.acompletion(**arguments)
        except Exception as exc:
            raise mapped(exc) from exc
        return LiteLLMStream(self, stream, request, deadline)

    async def embed(self, request: EmbeddingRequest) -> EmbeddingReply:
        arguments = {**request.parameters, "model": request.model, "input": list(request.texts), **self._one_attempt}
        try:
            response = await self._litellm.aembedding(**arguments)
        except Exception as exc:
            raise mapped(exc) from exc
        reported = response.usage if response.usage is not None and response.usage.prompt_tokens else None
        claim = _money(response._hidden_params.get("response_cost")) if reported is not None else None
        return EmbeddingReply(
            vectors=[_floats(item["embedding"]) for item in sorted(response.data, key=lambda item: item["index"])],
            model=str(response.model or ""),
            usage=Usage(input_tokens=reported.prompt_tokens, output_tokens=0) if reported is not None else None,
            claimed_usd=claim,
        )

    def _load(self) -> None:
        with self._guard:
            if self._litellm is not None:
                return
            # Before the import: it would fetch its price list from the network, and retry for seconds without one.
            os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
            import litellm

            from spanledger.workflows import litellm_silence, offline

            litellm.telemetry = False
            litellm.suppress_debug_info = True  # or it prints advice to stdout on every error
            litellm_silence.accept()
            offline.register(self._book)
            tokens.load()
            # The first calls import another second's worth, with tools the most.
            tool = {"type": "function", "function": {"name": "nothing", "parameters": {}}}
            hello = {"model": "offline/small", "messages": [{"role": "user", "content": "hello"}], "tools": [tool]}
            litellm.completion(**hello)
            deque(litellm.completion(**hello, stream=True, stream_options={"include_usage": True}), maxlen=0)
            self._litellm = litellm

    def _arguments(self, request: ModelRequest) -> dict[str, Any]:
        return {
            **request.parameters,
            "model": request.model,
            "messages": list(request.messages),
            **self._one_attempt,
        }

    def claim(self, body: dict[str, Any], model: str, usage: Any) -> Decimal | None:
        """The cost of a stream as LiteLLM computes it, None if it has no price."""
        response = self._litellm.ModelResponse(model=body.get("model"), usage=usage)
        try:
            return _money(self._litellm.completion_cost(completion_response=response, model=model))
        except Exception:  # noqa: BLE001 — it raises plain Exception for an unknown model
            return None


class LiteLLMStream:
    """A `ModelStream` over LiteLLM's. `deadline`: of the event loop's clock, for the last byte."""

    def __init__(self, owner: LiteLLM, stream: Any, request: ModelRequest, deadline: float) -> None:
        self._owner = owner
        self._stream = stream
        self._request = request
        self._deadline = deadline
        self._chunks: list[Chunk] = []
        self._served = ""

    async def __aiter__(self) -> AsyncIterator[Chunk]:
        try:
            while True:
                async with asyncio.timeout_at(self._deadline):
                    chunk = await anext(self._stream, None)
                if chunk is None:
                    return
                # LiteLLM puts the requested name on the chunks; the served model is a hidden parameter.
                self._served = chunk._hidden_params.get("provider_response_model") or self._served
                chunk.model = self._served or chunk.model
                self._chunks.append(chunk.model_dump(exclude_none=True))
                yield self._chunks[-1]
        except Exception as exc:
            raise mapped(exc) from exc

    def reply(self) -> ModelReply:
        # LiteLLM ends every stream with a usage chunk, and makes the figures up if the provider sent none. What the
        # provider sent is on the chunks as they came in.
        usage = next((u for c in reversed(self._stream.chunks) if (u := _reported(c)) is not None), None)
        body = assembled(self._chunks)
        if not any(choice.get("finish_reason") for choice in body.get("choices") or ()):
            return _reply(body, usage, None).so_far()
        claim = self._owner.claim(body, self._request.model, usage) if usage is not None else None
        return _reply(body, usage, claim)

    async def close(self) -> None:
        await self._stream.aclose()


def _reply(body: dict[str, Any], usage: Any, claim: Decimal | None) -> ModelReply:
    """`usage` is LiteLLM's object, or None if the provider was silent."""
    return ModelReply(
        response=body,
        usage=_usage(usage),
        billed_usd=_money(getattr(usage, "cost", None)),
        claimed_usd=claim,
        service_tier=str(body.get("service_tier") or ""),
    )


def _reported(response: Any) -> Any:
    """The usage object if it says anything: a provider that reports none leaves None or zeros."""
    usage = getattr(response, "usage", None)
    if usage is None or not (usage.prompt_tokens or usage.completion_tokens):
        return None
    return usage


def _usage(usage: Any) -> Usage | None:
    """Tokens in our terms; LiteLLM's prompt_tokens include cache reads and writes, whatever the provider does."""
    if usage is None:
        return None
    prompt, completion = usage.prompt_tokens_details, usage.completion_tokens_details
    written = getattr(prompt, "cache_creation_token_details", None)  # by how long a cache lasts
    return Usage(
        input_tokens=usage.prompt_tokens,
        output_tokens=usage.completion_tokens,
        cache_read_input_tokens=_detail(prompt, "cached_tokens"),
        cache_write_input_tokens=_detail(prompt, "cache_creation_tokens"),
        cache_write_1h_input_tokens=_detail(written, "ephemeral_1h_input_tokens"),
        reasoning_output_tokens=_detail(completion, "reasoning_tokens"),
        audio_input_tokens=_detail(prompt, "audio_tokens"),
        audio_output_tokens=_detail(completion, "audio_tokens"),
        image_input_tokens=_detail(prompt, "image_tokens"),
        image_output_tokens=_detail(completion, "image_tokens"),
    )


def _floats(embedding: Any) -> list[float]:
    """A vector as numbers, which some providers send as base64 of little-endian floats."""
    if isinstance(embedding, str):
        return array("f", base64.b64decode(embedding)).tolist()
    return [float(value) for value in embedding]


def _detail(details: Any, name: str) -> int | None:
    value = getattr(details, name, None)
    return value if isinstance(value, int) else None


def _money(amount: Any) -> Decimal | None:
    """A cost that is stated as a binary float: 12 digits are significant, the rest is rounding error."""
    if amount is None or isinstance(amount, bool):
        return None
    value = amounts.parse(f"{amount:.12g}" if isinstance(amount, float) else amount)
    return value if value is not None and value >= 0 else None
