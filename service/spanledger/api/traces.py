"""Traces: `/v1/traces/{id}`, `/v1/correlations/{id}`."""

from typing import Annotated

from fastapi import APIRouter, Query

from spanledger.api.parameters import CorrelationId, Cursor, SpanId, TraceId, limit
from spanledger.api.reader import Reads
from spanledger.stats import traces as stats
from spanledger.stats.one_span import OneSpan, one_span
from spanledger.stats.trace_rows import TraceRows, trace_rows

router = APIRouter(tags=["traces"])
AnyId = Annotated[
    bool, Query(alias="any", description="Whether the id may also be a correlation, message or conversation id.")
]


@router.get("/v1/traces/{trace_id}")
def get_trace(trace_id: TraceId, reads: Reads, any_id: AnyId = False) -> stats.Trace:
    """All spans of a trace with their logs and what they cost. `any=true`: also by message or conversation id."""
    find = stats.find if any_id else stats.trace
    return find(reads.store, reads.tenant, trace_id)


@router.get("/v1/correlations/{correlation_id}")
def get_correlation(correlation_id: CorrelationId, reads: Reads) -> stats.Trace:
    """All traces that carry a correlation id, as one."""
    return stats.correlation(reads.store, reads.tenant, correlation_id)


Words = Annotated[str, Query(max_length=200, description="Only spans with this text, and those above them.")]
Closed = Annotated[
    list[str],
    Query(default_factory=list, max_length=5000, description="Ids of spans whose children are left out; repeated."),
]


@router.get("/v1/traces/{trace_id}/rows")
def list_trace_rows(
    trace_id: TraceId,
    reads: Reads,
    closed: Closed,
    limit: Annotated[int, limit(5000)] = 500,
    cursor: Cursor = "",
    q: Words = "",
) -> TraceRows:
    """The spans of a trace in the order of its tree, without attributes, with the usage of each and of all below it."""
    return trace_rows(reads.store, reads.tenant, stats.as_stored(trace_id), limit, cursor or None, q, closed)


@router.get("/v1/traces/{trace_id}/spans/{span_id}")
def get_span(
    trace_id: TraceId,
    span_id: SpanId,
    reads: Reads,
    cut: Annotated[int, Query(ge=0, le=1_000_000, description="Characters shown of a value; 0: all.")] = 0,
) -> OneSpan:
    """One span: its attributes, how they were read, its events, links and log records, and its usage."""
    return one_span(reads.store, reads.tenant, stats.as_stored(trace_id), stats.as_stored(span_id), cut)
