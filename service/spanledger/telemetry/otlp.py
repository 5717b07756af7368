"""Spans and log records over OTLP/HTTP, by threads that leave the interpreter to requests.

The SDK's exporters encode a whole batch in one go, and the event loop waits for the interpreter meanwhile: 5 ms and
more on the slowest messages. Here a batch is encoded in slices, with a pause after each in which requests run.
"""

import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import httpx
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from spanledger.telemetry.outbox import AGAIN, Resender

SLICE = 8  # items that are encoded at once: 0.4 ms of spans
PAUSE_S = 0.002  # between two slices
FULL_BATCH = 512  # more is waiting behind it: there are no pauses then
_FIRST_BACKOFF_S = 0.25
_PROTOBUF = {"Content-Type": "application/x-protobuf"}

_log = logging.getLogger(__name__)

T = TypeVar("T")


class Door:
    """The endpoint. What it does not take within `timeout_s` goes to `resender`, if there is one. Thread-safe."""

    def __init__(
        self, endpoint: str, headers: Mapping[str, str], timeout_s: float, resender: Resender | None = None
    ) -> None:
        self._client = httpx.Client(base_url=endpoint, headers=dict(headers), timeout=timeout_s)
        self._timeout_s = timeout_s
        self._resender = resender
        self._failing = False

    def deliver(self, signal: str, body: bytes, items: int) -> bool:
        """Whether the endpoint has it, or it waits on disk. While something waits, what comes goes behind it: an
        endpoint that is down is not waited for at every batch."""
        kept = self._resender
        if kept is not None and kept.waiting and kept.keep(signal, body, items):
            return True
        return self._sent(signal, body) or (kept is not None and kept.keep(signal, body, items))

    def close(self) -> None:
        self._client.close()

    def _sent(self, signal: str, body: bytes) -> bool:
        deadline = time.monotonic() + self._timeout_s
        pause = _FIRST_BACKOFF_S
        while True:
            problem, again = self._posted(signal, body)
            if not problem:
                self._failing = False
                return True
            pause *= random.uniform(1.0, 2.0)
            if not again or time.monotonic() + pause >= deadline:
                self._tell(signal, problem)
                return False
            time.sleep(pause)

    def _posted(self, signal: str, body: bytes) -> tuple[str, bool]:
        """What is wrong, empty when nothing is; and whether to try again."""
        try:
            answer = self._client.post(f"/v1/{signal}", content=body, headers=_PROTOBUF)
        except httpx.HTTPError as exc:
            return str(exc) or type(exc).__name__, True
        return ("", False) if answer.is_success else (f"status {answer.status_code}", answer.status_code in AGAIN)

    def _tell(self, signal: str, problem: str) -> None:
        """Once for each outage; what is lost by it is counted."""
        if not self._failing:
            self._failing = True
            _log.warning("the endpoint does not take %s: %s", signal, problem)


class OtlpSpans(SpanExporter):
    def __init__(self, door: Door) -> None:
        self._door = door

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        body = _encoded(spans, encode_spans)
        delivered = self._door.deliver("traces", body, len(spans))
        return SpanExportResult.SUCCESS if delivered else SpanExportResult.FAILURE

    def shutdown(self) -> None:
        self._door.close()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True


class OtlpLogs(LogRecordExporter):
    def __init__(self, door: Door) -> None:
        self._door = door

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        body = _encoded(batch, encode_logs)
        delivered = self._door.deliver("logs", body, len(batch))
        return LogRecordExportResult.SUCCESS if delivered else LogRecordExportResult.FAILURE

    def shutdown(self) -> None:
        self._door.close()

    def force_flush(self, timeout_millis: int = 10_000) -> bool:
        return True


def _encoded(batch: Sequence[T], encode: Callable[[Sequence[T]], Any]) -> bytes:
    """An OTLP request body: the bodies of its slices one after the other, as protobuf has it for repeated fields."""
    parts: list[bytes] = []
    for start in range(0, len(batch), SLICE):
        if parts and len(batch) < FULL_BATCH:
            time.sleep(PAUSE_S)
        parts.append(encode(batch[start : start + SLICE]).SerializeToString())
    return b"".join(parts)
