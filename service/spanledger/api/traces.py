"""Traces: `/v1/traces/{id}`, `/v1/correlations/{id}`."""

from typing import Annotated

from fastapi import APIRouter, Query, Request

from spanledger.api.reader import Reads, checked_id, only
from spanledger.stats import traces as stats
from spanledger.stats.one_span import OneSpan, one_span
from spanledger.stats.trace_rows import TraceRows, trace_rows

router = APIRouter(tags=["traces"])


@router.get("/v1/traces/{trace_id}")
def trace(request: Request, trace_id: str, reads: Reads) -> stats.Trace:
    """All spans of a trace with their logs and what they cost. `any=1`: also by message or conversation id."""
    only(request, ("any",))
    find = stats.find if request.query_params.get("any") == "1" else stats.trace
    return find(reads.store, reads.tenant, checked_id(trace_id, "trace_id"))


@router.get("/v1/correlations/{correlation_id}")
def correlation(request: Request, correlation_id: str, reads: Reads) -> stats.Trace:
    """All traces that carry a correlation id, as one."""
    only(request, ())
    return stats.correlation(reads.store, reads.tenant, checked_id(correlation_id, "correlation_id"))


@router.get("/v1/traces/{trace_id}/rows", operation_id="getTraceRows")
def rows(
    request: Request,
    trace_id: str,
    reads: Reads,
    limit: Annotated[int, Query(ge=1, le=5000, description="rows on a page")] = 500,
    cursor: Annotated[str | None, Query(max_length=20, description="next_cursor of the page before")] = None,
    q: Annotated[str, Query(max_length=200, description="only spans with this text, and those above them")] = "",
    closed: Annotated[list[str] | None, Query(description="ids of spans whose children are left out")] = None,
) -> TraceRows:
    """The spans of a trace in the order of its tree, without attributes, with the usage of each and of all below it."""
    only(request, ("limit", "cursor", "q", "closed"))
    return trace_rows(reads.store, reads.tenant, checked_id(trace_id, "trace_id"), limit, cursor, q, closed or ())


@router.get("/v1/traces/{trace_id}/spans/{span_id}", operation_id="getSpan")
def span(
    request: Request,
    trace_id: str,
    span_id: str,
    reads: Reads,
    cut: Annotated[int, Query(ge=0, le=1_000_000, description="characters shown of a value; 0: all")] = 0,
) -> OneSpan:
    """One span: what it said, how it was read, its events, links and log records, and what it used."""
    only(request, ("cut",))
    return one_span(reads.store, reads.tenant, checked_id(trace_id, "trace_id"), checked_id(span_id, "span_id"), cut)
