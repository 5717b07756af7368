"""Traces: `/v1/traces/{id}`, `/v1/correlations/{id}`."""

from fastapi import APIRouter, Request

from spanledger.api.reader import Reads, checked_id, only
from spanledger.stats import traces as stats

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
