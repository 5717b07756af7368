"""The books themselves: `/v1/audit`, `/v1/reprice` and read-only SQL."""

import asyncio
import tempfile
import threading
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from spanledger.access import DEFAULT_TENANT, Principal
from spanledger.api.reader import Reads, only
from spanledger.api.streams import ClientGone, disconnected
from spanledger.errors import Elsewhere, Refused
from spanledger.ledger import activations
from spanledger.runtime.daemon import in_daemon_thread
from spanledger.runtime.services import Caller, services_of
from spanledger.stats import times
from spanledger.stats.sandbox.pool import Sandboxes, Statement
from spanledger.telemetry import audit

router = APIRouter(tags=["books"])

_MEDIA_TYPES = {"json": "application/json", "csv": "text/csv; charset=utf-8", "pretty": "text/plain; charset=utf-8"}
_TOLD_CHARACTERS = 500  # of a query, in the audit trail


class Audit(BaseModel):
    """`repair`: post what is missing."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)
    start: str | None = None
    end: str | None = None
    repair: bool = False


class Reprice(BaseModel):
    """A window with both ends, or the id of a re-pricing to `undo`. `price_book`: YAML that goes before the book."""

    model_config = ConfigDict(extra="forbid")
    start: str | None = None
    end: str | None = None
    price_book: str | None = None
    price_book_name: str = "prices.yaml"
    dry_run: bool = False
    undo: str | None = None


class Query(BaseModel):
    """`format`: json (default), csv or pretty.

    `from`, `to`: the rows of `[from, to)` alone, in tables that have a time. `all_tenants`: for who runs this machine;
    without keys that is whoever reaches a loopback address.
    """

    model_config = ConfigDict(extra="forbid")
    query: str
    format: str = "json"
    start: str | None = Field(None, alias="from")
    end: str | None = Field(None, alias="to")
    all_tenants: bool = False


@router.get("/v1/audit")
def audited(request: Request, principal: Caller) -> dict[str, Any]:
    """Recomputes the books of `[from, to)` from the raw spans and compares them level by level."""
    only(request, ("from", "to"))
    asked = request.query_params
    tenant = None if principal.operator else principal.tenant
    return _audit(request, times.window(asked.get("from"), asked.get("to")), repair=False, tenant=tenant)


@router.post("/v1/audit")
def repaired(request: Request, wish: Audit) -> dict[str, Any]:
    """The same, and with `repair` posts the differences."""
    return _audit(request, times.window(wish.start, wish.end), wish.repair)


@router.get("/v1/reprice")
def price_books(reads: Reads) -> dict[str, Any]:
    """Which price book holds for which window; later ones go before earlier ones."""
    return activations.listed(reads.store)


@router.post("/v1/reprice")
def repriced(request: Request, wish: Reprice) -> dict[str, Any]:
    """Prices the calls of a window again as new entries, or takes that back; old and new stay side by side."""
    ledger = request.app.state.services.ledger
    if wish.undo:
        taken_back: dict[str, Any] = ledger.undo_reprice(wish.undo).as_dict()
        return taken_back
    start, end = times.bounded(times.window(wish.start, wish.end))
    with tempfile.TemporaryDirectory(prefix="spanledger-prices-") as folder:
        book = Path(folder) / Path(wish.price_book_name).name if wish.price_book else None
        if book is not None and wish.price_book:
            book.write_text(wish.price_book)
        result: dict[str, Any] = ledger.reprice(start, end, book, wish.dry_run).as_dict()
    return result


@router.post("/v1/sql")
async def run_sql(request: Request, reads: Reads, wish: Query, principal: Caller) -> Response:
    """One reading statement over this tenant's rows, limited in time, rows and memory. It ends with its client."""
    if wish.all_tenants and not principal.operator:
        raise Refused("all_tenants is for who runs this machine")
    tenant = None if wish.all_tenants else reads.tenant
    window = times.window(wish.start, wish.end)
    statement = Statement(wish.query, wish.format, tenant, principal.operator, window)
    outcome = "failed"
    try:
        answer = await _while_connected(request, services_of(request).sandboxes, statement)
        outcome = "allowed"
    finally:
        _tell_query(request, principal, wish, outcome)
    return Response(answer, media_type=_MEDIA_TYPES[wish.format])


async def _while_connected(request: Request, sandboxes: Sandboxes | None, statement: Statement) -> bytes:
    """Raises what the statement raises, and ClientGone."""
    if sandboxes is None:
        raise Elsewhere("this process runs no SQL")
    cancelled = threading.Event()
    running: asyncio.Future[bytes] = in_daemon_thread(partial(sandboxes.run, statement, cancelled), "sql")
    leaving: asyncio.Future[None] = asyncio.ensure_future(disconnected(request))
    both: set[asyncio.Future[Any]] = {running, leaving}
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            return running.result()
        cancelled.set()
        await asyncio.wait({running})
        raise ClientGone("the client went away before the answer began")
    finally:
        cancelled.set()
        leaving.cancel()


def _tell_query(request: Request, principal: Principal, wish: Query, outcome: str) -> None:
    """Who looked at what by SQL."""
    request.app.state.services.platform.access.reports.note(
        audit.AUDIT,
        "data.query",
        outcome,
        tenant="" if principal.tenant == DEFAULT_TENANT else principal.tenant,
        key_id=principal.key_id,
        target="all tenants" if wish.all_tenants else f"tenant {principal.tenant}",
        query=wish.query.strip()[:_TOLD_CHARACTERS],
    )


def _audit(request: Request, window: times.Window, repair: bool, tenant: str | None = None) -> dict[str, Any]:
    """`tenant`: only what concerns it."""
    report = request.app.state.services.ledger.audit(times.moment(window.start), times.moment(window.end), repair)
    answer: dict[str, Any] = (report if tenant is None else report.of_tenant(tenant)).as_dict()
    return answer
