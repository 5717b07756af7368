"""The response cache: answers to repeated requests, kept by LiteLLM's own cache.

LiteLLM's `Cache` is used as a store, not through `acompletion(caching=True)`: that way needs the packages of LiteLLM's
proxy, tells a hit only by hidden parameters, and leaves unknown parameters out of the key. The key here is the whole
request with the tenant: tenants never share an entry. It lives in this process and is opt-in (`Order.cache`).
"""

import hashlib
import json
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from spanledger.pricing import Usage
from spanledger.workflows.model import ModelReply, ModelRequest

TTL_S = 3600
MAX_ANSWERS = 2_000
MAX_ANSWER_CHARS = 64 * 1024  # longer ones are not kept
_WHOLE = frozenset({"stop", "tool_calls"})  # a cut or filtered answer is not worth keeping


@dataclass(slots=True)
class ResponseCache:
    """Complete answers by request. One cache per service; litellm is imported at the first lookup."""

    _cache: Any = field(default=None)

    async def find(self, tenant: str, request: ModelRequest) -> ModelReply | None:
        """The answer that was given to exactly this, within the last hour."""
        found = await self._open().async_get_cache(cache_key=_key(tenant, request))
        if not isinstance(found, dict):
            return None
        usage = Usage(**found["usage"]) if found["usage"] is not None else None
        billed = Decimal(found["billed_usd"]) if found["billed_usd"] is not None else None
        return ModelReply(found["response"], usage, billed_usd=billed, service_tier=found["service_tier"])

    async def keep(self, tenant: str, request: ModelRequest, reply: ModelReply) -> None:
        """Keeps a whole answer; the oldest ones make room."""
        if not reply.finish_reasons or not _WHOLE.issuperset(reply.finish_reasons):
            return
        text = json.dumps(
            {
                "response": reply.response,
                "usage": reply.usage._asdict() if reply.usage is not None else None,
                "billed_usd": str(reply.billed_usd) if reply.billed_usd is not None else None,
                "service_tier": reply.service_tier,
            }
        )
        if len(text) <= MAX_ANSWER_CHARS:
            await self._open().async_add_cache(text, cache_key=_key(tenant, request))

    def _open(self) -> Any:
        if self._cache is None:
            import litellm
            from litellm.caching.caching import Cache
            from litellm.caching.in_memory_cache import InMemoryCache

            before = list(litellm.input_callback), list(litellm.success_callback), list(litellm._async_success_callback)
            self._cache = Cache(type="local", ttl=TTL_S, max_messages=None)
            self._cache.cache = InMemoryCache(max_size_in_memory=MAX_ANSWERS, default_ttl=TTL_S)
            # It hooks itself into every call there is; we ask it ourselves.
            litellm.input_callback, litellm.success_callback, litellm._async_success_callback = before
        return self._cache


def _key(tenant: str, request: ModelRequest) -> str:
    key_parts = [tenant, request.model, list(request.messages), dict(request.parameters)]
    return hashlib.sha256(json.dumps(key_parts, sort_keys=True, default=str).encode()).hexdigest()
