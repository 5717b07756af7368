"""The audit trail: `/v1/audit-log`, and the compliance report made from it: `/v1/compliance`."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response

from spanledger.api.names import Parts
from spanledger.api.parameters import Cursor, Window, limit
from spanledger.api.reader import Reads
from spanledger.stats import audit_trail as stats

router = APIRouter(tags=["audit"])
_CSV: dict[int | str, dict[str, Any]] = {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}}


def _seal_secret(parts: Parts) -> str:
    return parts.access.seal_secret


SealSecret = Annotated[str, Depends(_seal_secret)]
OfActor = Annotated[str, Query(max_length=256, description="A key's id, `local` or a user.", examples=["local"])]
OfAction = Annotated[str, Query(max_length=256, description="One action, or `key.*`.", examples=["key.create"])]
OfOutcome = Annotated[str, Query(max_length=256, description="Only this outcome.", examples=["denied"])]
Format = Annotated[Literal["json", "csv"], Query(description="`csv` is for a spreadsheet.")]


@router.get("/v1/audit-log")
def list_audit_entries(
    reads: Reads,
    window: Window,
    secret: SealSecret,
    actor: OfActor = "",
    action: OfAction = "",
    outcome: OfOutcome = "",
    limit: Annotated[int, limit(1000)] = 100,
    cursor: Cursor = "",
) -> stats.AuditPage:
    """Who did what, latest first."""
    return stats.entries(
        reads.store,
        reads.tenant,
        secret,
        window,
        actor=actor,
        action=action,
        outcome=outcome,
        limit=limit,
        cursor=cursor,
    )


@router.get("/v1/compliance", response_model=stats.ComplianceReport, responses=_CSV)
def get_compliance(reads: Reads, window: Window, secret: SealSecret, format: Format = "json") -> Any:
    """Who did what to which data in `[from, to)`, with which outcome; `format=csv` for a spreadsheet."""
    found = stats.report(reads.store, reads.tenant, secret, window)
    if format == "csv":
        headers = {"Content-Disposition": 'attachment; filename="compliance.csv"'}
        return Response(stats.as_csv(found), media_type="text/csv; charset=utf-8", headers=headers)
    return found
