"""Calls of models as the workflows make them: measured, retried, with fallbacks, priced.

Every attempt is one span and one record, the failed ones too. No usage is dropped: where the provider does not say what
it used, or was cut off before it could, the tokens are counted here and marked as estimated.
"""

import asyncio
import logging
import random
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from spanledger.errors import telemetry_message
from spanledger.pricing import PriceBook, Priced, Usage, settle
from spanledger.telemetry import CacheSavings, GenAI, Inference, InferenceRequest, InferenceResult
from spanledger.workflows import tokens
from spanledger.workflows.assembly import replayed
from spanledger.workflows.cache import ResponseCache
from spanledger.workflows.intent import intended
from spanledger.workflows.model import Chunk, LanguageModel, Message, ModelError, ModelReply, ModelRequest, ModelStream
from spanledger.workflows.run import CallRecord, Emit, Run

ATTEMPTS = 3  # per model, the first included
BACKOFF_S = 0.25  # before the second attempt; doubles with each further one
MAX_RETRY_AFTER_S = 5.0  # a provider that wants a longer pause is given up

_log = logging.getLogger(__name__)


class Caller:
    """Asks models. Stateless; one per service."""

    def __init__(self, model: LanguageModel, genai: GenAI, book: PriceBook) -> None:
        self._model = model
        self._genai = genai
        self._book = book
        self._cache = ResponseCache()

    async def ask(self, run: Run, messages: Sequence[Message], parameters: dict[str, Any]) -> ModelReply:
        """The first good answer. Raises ModelError or UnknownModel of the last attempt.

        A stream that broke off after its first piece is not tried again: the piece cannot be taken back.
        """
        number = 0
        last: ModelError | None = None
        for model in (run.order.model, *run.order.fallbacks):
            request = ModelRequest(model, messages, {**run.order.parameters, **parameters})
            for attempt in range(ATTEMPTS):
                number += 1
                heard = _Heard(run.emit)
                try:
                    run.reply = await self._attempt(request, run, number, heard)
                    return run.reply
                except ModelError as exc:
                    last = exc
                    if heard.anything:
                        raise
                    pause = pause_before_retry(exc, attempt)
                    if pause is None:
                        break
                    _log.warning(
                        "attempt %d with %s failed (%s), again in %.2f s", number, model, telemetry_message(exc), pause
                    )
                    await asyncio.sleep(pause)
        assert last is not None
        raise last

    async def _attempt(self, request: ModelRequest, run: Run, number: int, heard: "_Heard") -> ModelReply:
        name = self._model.name(request.model)
        if run.guards:
            intent = await asyncio.to_thread(intended, name, request, self._book)
            for guard in run.guards:
                await guard(intent)
        requested = InferenceRequest(
            provider=name.provider,
            model=name.model,
            stream=run.stream,
            attempt=number,
            parameters=request.parameters,
            messages=request.messages,
            cache=bool(run.order.cache),
        )
        tenant = run.order.principal.tenant
        with self._genai.inference(requested) as call:
            if requested.cache and (found := await self._cache.find(tenant, request)) is not None:
                run.records.append(self._account_saved(call, requested, found, request))
                if run.stream:
                    for chunk in replayed(found.response):
                        heard(chunk)
                return found
            started_at = datetime.now(UTC)
            reply: ModelReply | None = None
            try:
                if run.stream:
                    stream = await self._model.stream(request)
                    try:
                        await _listen(stream, call, heard)
                    except BaseException as exc:
                        if heard.anything or isinstance(exc, asyncio.CancelledError):
                            reply = stream.reply()
                        raise
                    finally:
                        await stream.close()
                    reply = stream.reply()
                else:
                    reply = await self._model.complete(request)
            finally:
                run.records.append(self._account(call, requested, reply, request, started_at))
        if requested.cache:
            await self._cache.keep(tenant, request, reply)
        return reply

    def _account_saved(
        self, call: Inference, requested: InferenceRequest, reply: ModelReply, request: ModelRequest
    ) -> CallRecord:
        """The same for an answer from the cache: nothing was used, and so much was not."""
        served = str(reply.response.get("model") or "").removeprefix(f"{requested.provider}/")
        used = _used(reply, request)
        priced = self._price(requested.provider, served, requested.model, used, reply, request, datetime.now(UTC))
        messages = [c.get("message") or {} for c in reply.response.get("choices") or ()]
        call.answer(InferenceResult(Usage(), model=served, finish_reasons=reply.finish_reasons, messages=messages))
        call.from_cache(CacheSavings(used.usage, priced.cost_usd))
        return CallRecord(requested.provider, served or requested.model, None, None, cached=True)

    def _account(
        self,
        call: Inference,
        requested: InferenceRequest,
        reply: ModelReply | None,
        request: ModelRequest,
        started_at: datetime,
    ) -> CallRecord:
        """Writes what is known of the call on its span, and returns the same as a record."""
        if reply is None:
            return CallRecord(requested.provider, requested.model, None, None)
        used = _used(reply, request)
        # The books name a model without its provider, as spans of other senders do.
        served = str(reply.response.get("model") or "").removeprefix(f"{requested.provider}/")
        claim = reply.billed_usd if reply.billed_usd is not None else reply.claimed_usd
        source = "provider" if reply.billed_usd is not None else "local"
        call.answer(
            InferenceResult(
                usage=used.usage,
                usage_estimated=used.is_estimated,
                response_id=str(reply.response.get("id") or ""),
                model=served,
                finish_reasons=reply.finish_reasons,
                service_tier=reply.service_tier,
                cost_usd=claim,
                cost_source=source if claim is not None else "",
                messages=[c.get("message") or {} for c in reply.response.get("choices") or ()],
            )
        )
        priced = self._price(requested.provider, served, requested.model, used, reply, request, started_at)
        return CallRecord(requested.provider, served or requested.model, used.usage, priced)

    def _price(
        self,
        provider: str,
        served: str,
        requested_model: str,
        used: "_Used",
        reply: ModelReply,
        request: ModelRequest,
        started_at: datetime,
    ) -> Priced:
        """By the same rule as the ledger, so that an answer and the books say the same."""
        price = self._book.lookup(provider, served or requested_model, started_at)
        if price is None and served:
            price = self._book.lookup(provider, requested_model, started_at)
        return settle(
            price,
            used.usage,
            service_tier=reply.service_tier or str(request.parameters.get("service_tier") or ""),
            usage_estimated=used.is_estimated,
            claim_usd=_as_exported(reply.billed_usd),
            claim_source="provider" if reply.billed_usd is not None else "",
        )


class _Heard:
    """Passes chunks on and remembers whether there were any."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self.anything = False

    def __call__(self, chunk: Chunk) -> None:
        self.anything = True
        self._emit(chunk)


async def _listen(stream: ModelStream, call: Inference, heard: _Heard) -> None:
    async for chunk in stream:
        call.chunk()
        heard(chunk)


def pause_before_retry(error: ModelError, attempt: int) -> float | None:
    """Seconds before the next attempt, or None: not again."""
    if not error.retryable or attempt + 1 >= ATTEMPTS:
        return None
    if error.retry_after_s is not None:
        return error.retry_after_s if error.retry_after_s <= MAX_RETRY_AFTER_S else None
    return BACKOFF_S * float(2**attempt) * random.uniform(0.5, 1.0)


class _Used(NamedTuple):
    """What a call used, and whether any of it was counted here."""

    usage: Usage
    is_estimated: bool


def _used(reply: ModelReply, request: ModelRequest) -> _Used:
    if reply.usage is None:
        prompt_tokens = tokens.count_prompt(request.messages, request.parameters.get("tools"))
        return _Used(Usage(input_tokens=prompt_tokens, output_tokens=_counted(reply)), True)
    if reply.usage.output_tokens is None:
        return _Used(reply.usage._replace(output_tokens=_counted(reply)), True)
    return _Used(reply.usage, False)


def _counted(reply: ModelReply) -> int:
    """Tokens of an answer as we count them; details are not known then."""
    counted = 0
    for choice in reply.response.get("choices") or ():
        message = choice.get("message") or {}
        counted += sum(tokens.count(text) for key in ("content", "reasoning_content") if (text := message.get(key)))
        for call in message.get("tool_calls") or ():
            function = call.get("function") or {}
            counted += tokens.count(function.get("name") or "") + tokens.count(function.get("arguments") or "")
    return counted


def _as_exported(amount: Decimal | None) -> Decimal | None:
    """The amount as the span carries it: OTLP has no decimals, so the books see the nearest double."""
    return None if amount is None else Decimal(str(float(amount)))
