"""Which traces are kept: all that may hold usage."""

from collections.abc import Sequence

from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import Link, SpanKind, TraceState, get_current_span
from opentelemetry.util.types import Attributes

_READS = frozenset({"GET", "HEAD", "OPTIONS"})


class KeepUsage(Sampler):
    """Keeps every span but those of requests that only read.

    A caller's `traceparent` does not decide: with its sampled flag off, usage would be lost. Reads are left out because
    the service reads the books it writes, and every look at a dashboard would become vouchers about looking.
    """

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        parent = get_current_span(parent_context)
        context = parent.get_span_context()
        ours = context.is_valid and not context.is_remote
        if ours:
            keep = parent.is_recording() or context.trace_flags.sampled
        else:
            keep = kind is not SpanKind.SERVER or (attributes or {}).get("http.request.method") not in _READS
        return SamplingResult(
            Decision.RECORD_AND_SAMPLE if keep else Decision.DROP,
            attributes if keep else None,
            context.trace_state if context.is_valid else trace_state,
        )

    def get_description(self) -> str:
        return "KeepUsage"
