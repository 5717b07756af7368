"""Texts as vectors: measured, retried and priced like every other call of a model."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from spanledger.errors import telemetry_message
from spanledger.pricing import PriceBook, Usage, cost, settle
from spanledger.telemetry import GenAI, Inference, InferenceRequest, InferenceResult, semconv
from spanledger.workflows import tokens
from spanledger.workflows.calls import pause_before_retry
from spanledger.workflows.model import EmbeddingModel, EmbeddingReply, EmbeddingRequest, ModelError, Name
from spanledger.workflows.run import CallRecord, Intent, Run

BATCH = 64  # texts of one call
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Embedded:
    """A vector per text, in their order; `model` is the served model, `input_tokens` the sum of all texts."""

    vectors: list[list[float]]
    model: str
    input_tokens: int


class Embedder:
    """Asks embedding models. Stateless; one per service."""

    def __init__(self, model: EmbeddingModel, genai: GenAI, book: PriceBook) -> None:
        self._model = model
        self._genai = genai
        self._book = book

    async def embed(
        self,
        run: Run,
        texts: Sequence[str | Sequence[int]],
        model: str,
        parameters: Mapping[str, Any] | None = None,
    ) -> Embedded:
        """In calls of BATCH texts; each attempt is a span and a record of the run. Raises ModelError, UnknownModel."""
        await self._model.ready()
        vectors: list[list[float]] = []
        served, used = "", 0
        for start in range(0, len(texts), BATCH):
            request = EmbeddingRequest(model, texts[start : start + BATCH], parameters or {})
            reply, count = await self._ask(run, request)
            vectors += reply.vectors
            served, used = reply.model or served, used + count
        return Embedded(vectors, served or model, used)

    async def _ask(self, run: Run, request: EmbeddingRequest) -> tuple[EmbeddingReply, int]:
        attempt = 0
        while True:
            try:
                return await self._attempt(run, request, attempt + 1)
            except ModelError as exc:
                pause = pause_before_retry(exc, attempt)
                if pause is None:
                    raise
                details = (attempt + 1, request.model, telemetry_message(exc), pause)
                _log.warning("attempt %d with %s failed (%s), again in %.2f s", *details)
                await asyncio.sleep(pause)
            attempt += 1

    async def _attempt(self, run: Run, request: EmbeddingRequest, number: int) -> tuple[EmbeddingReply, int]:
        name = self._model.name(request.model)
        if run.guards:
            intent = await asyncio.to_thread(self._intended, name, request)
            for guard in run.guards:
                await guard(intent)
        requested = InferenceRequest(name.provider, name.model, operation=semconv.EMBEDDINGS, attempt=number)
        record = CallRecord(requested.provider, requested.model, None, None)
        started_at = datetime.now(UTC)
        with self._genai.inference(requested) as call:
            try:
                reply = await self._model.embed(request)
                record = self._account(call, requested, reply, request, started_at)
                if len(reply.vectors) != len(request.texts):
                    raise ModelError(
                        f"{request.model} answered {len(request.texts)} texts with {len(reply.vectors)} vectors",
                        error_type="invalid_response",
                        status=502,
                        retryable=False,
                    )
            finally:
                run.records.append(record)
        assert record.usage is not None
        return reply, record.usage.input_tokens or 0

    def _intended(self, name: Name, request: EmbeddingRequest) -> Intent:
        used = sum(_count(text) for text in request.texts)
        price = self._book.lookup(name.provider, name.model, datetime.now(UTC))
        usd = cost(price, Usage(input_tokens=used, output_tokens=0)).usd if price is not None else None
        return Intent(name.provider, name.model, used, usd)

    def _account(
        self,
        call: Inference,
        requested: InferenceRequest,
        reply: EmbeddingReply,
        request: EmbeddingRequest,
        started_at: datetime,
    ) -> CallRecord:
        """Writes what is known of the call on its span, and returns the same as a record."""
        usage = reply.usage or Usage(input_tokens=sum(_count(text) for text in request.texts), output_tokens=0)
        served = reply.model.removeprefix(f"{requested.provider}/")
        call.answer(
            InferenceResult(
                usage=usage,
                usage_estimated=reply.usage is None,
                model=served,
                cost_usd=reply.claimed_usd,
                cost_source="local" if reply.claimed_usd is not None else "",
            )
        )
        if reply.vectors:
            call.span.set_attribute(semconv.EMBEDDINGS_DIMENSIONS, len(reply.vectors[0]))
        price = self._book.lookup(requested.provider, served or requested.model, started_at)
        if price is None and served:
            price = self._book.lookup(requested.provider, requested.model, started_at)
        priced = settle(price, usage, usage_estimated=reply.usage is None)
        return CallRecord(requested.provider, served or requested.model, usage, priced)


def _count(text: str | Sequence[int]) -> int:
    return tokens.count(text) if isinstance(text, str) else len(text)
