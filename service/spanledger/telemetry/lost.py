"""Spans whose process ended before it could end them."""

from collections.abc import Mapping
from dataclasses import dataclass

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from spanledger.telemetry import semconv

ABANDONED = "abandoned"


@dataclass(frozen=True, slots=True)
class LostSpan:
    """What is known of one. It keeps its ids, so that what happened inside it finds its parent again."""

    trace_id: str
    span_id: str
    name: str
    start_ns: int
    end_ns: int  # the last that was heard of it
    attributes: Mapping[str, str]

    def readable(self, resource: Resource) -> ReadableSpan:
        """The span, failed as abandoned."""
        context = SpanContext(int(self.trace_id, 16), int(self.span_id, 16), False, TraceFlags(TraceFlags.SAMPLED))
        return ReadableSpan(
            self.name,
            context,
            resource=resource,
            attributes={**self.attributes, semconv.ERROR_TYPE: ABANDONED},
            kind=SpanKind.INTERNAL,
            instrumentation_scope=InstrumentationScope("spanledger.workflows"),
            status=Status(StatusCode.ERROR, "the process that ran it ended before it did"),
            start_time=self.start_ns,
            end_time=self.end_ns,
        )
