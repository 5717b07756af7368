"""The audit trail: `/v1/audit-log`, and what it comes to: `/v1/compliance`."""

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from spanledger.api.reader import Reads, only, whole_number
from spanledger.errors import BadRequest
from spanledger.stats import audit_trail as stats
from spanledger.stats.times import window

router = APIRouter(tags=["audit"])


@router.get("/v1/audit-log")
def audit_log(request: Request, reads: Reads) -> stats.Page:
    """Who did what, latest first. `actor`: a key's id, `local` or a user; `action`: `key.create`, or `key.*`."""
    only(request, ("from", "to", "actor", "action", "outcome", "limit", "cursor"))
    asked = request.query_params
    return stats.entries(
        reads.store,
        reads.tenant,
        _secret(request),
        window(asked.get("from"), asked.get("to")),
        actor=asked.get("actor", ""),
        action=asked.get("action", ""),
        outcome=asked.get("outcome", ""),
        limit=whole_number(request, "limit", 100, 1, 1000),
        cursor=asked.get("cursor"),
    )


@router.get("/v1/compliance")
def compliance(request: Request, reads: Reads) -> Response:
    """Who did what to which data in `[from, to)`, with which outcome; `format=csv` for a spreadsheet."""
    only(request, ("from", "to", "format"))
    asked = request.query_params
    form = asked.get("format") or "json"
    if form not in {"json", "csv"}:
        raise BadRequest(f"format={form!r} is unknown; it can be json or csv")
    found = stats.report(reads.store, reads.tenant, _secret(request), window(asked.get("from"), asked.get("to")))
    if form == "csv":
        headers = {"Content-Disposition": 'attachment; filename="compliance.csv"'}
        return Response(stats.as_csv(found), media_type="text/csv; charset=utf-8", headers=headers)
    facts: dict[str, Any] = asdict(found)
    facts["from"], facts["to"] = facts.pop("start"), facts.pop("end")
    return JSONResponse(facts)


def _secret(request: Request) -> str:
    secret: str = request.app.state.services.platform.access.seal_secret
    return secret
