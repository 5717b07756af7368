"""The books themselves: `/v1/reprice` and read-only SQL."""

import asyncio
import hashlib
import tempfile
import threading
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from spanledger.access import DEFAULT_TENANT, Principal
from spanledger.api.audit import GOES_ON, Running, answered, owner_of
from spanledger.api.inputs import Text
from spanledger.api.reader import AppServices, Reads
from spanledger.api.schemas.books import PriceBookInForce, Repricing, SqlAnswer
from spanledger.api.schemas.common import Body, Items
from spanledger.api.streams import ClientGone, disconnected
from spanledger.errors import BadRequest, Elsewhere, Refused, SettingsError
from spanledger.foreign.texts import harmless_csv
from spanledger.ledger import activations
from spanledger.ledger.ledger import Ledger
from spanledger.pricing import load_book
from spanledger.runtime.daemon import in_daemon_thread
from spanledger.runtime.operations import Say
from spanledger.runtime.services import Caller, Services
from spanledger.stats import times
from spanledger.stats.sandbox.pool import Sandboxes, Statement
from spanledger.telemetry import audit

router = APIRouter(tags=["books"])

_MEDIA_TYPES = {"json": "application/json", "csv": "text/csv; charset=utf-8", "pretty": "text/plain; charset=utf-8"}
_TEXTS: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/csv": {"schema": {"type": "string"}}, "text/plain": {"schema": {"type": "string"}}}}
}
_LOOK_S = 0.01  # at whether the client is still there
_TOLD_CHARACTERS = 500  # of a query, in the audit trail


TimeText = Annotated[Text, Field(max_length=64, examples=["2026-11-21T00:00:00Z"])]


class NewRepricing(Body):
    """A window with both ends, or the id of a re-pricing to `undo`. `price_book`: YAML that goes before the book.
    `wait`: seconds until the answer is 202; without it the answer comes at the end."""

    start: TimeText | None = None
    end: TimeText | None = None
    price_book: Annotated[Text, Field(max_length=4 * 1024 * 1024)] | None = None
    price_book_name: Annotated[Text, Field(pattern=r"^[^/\x00]{1,200}$")] = "prices.yaml"
    dry_run: bool = False
    undo: Annotated[Text, Field(max_length=256)] | None = None
    wait: Annotated[float, Field(ge=0, le=600)] | None = None


class NewQuery(Body):
    """`format`: json (default), csv or pretty.

    `from`, `to`: the rows of `[from, to)` alone, in tables that have a time. `all_tenants`: for who runs this machine;
    without keys that is every caller on loopback.
    """

    query: Annotated[Text, Field(max_length=1024 * 1024, examples=["SELECT count() FROM messages"])]
    format: Literal["json", "csv", "pretty"] = "json"
    start: Annotated[TimeText | None, Field(alias="from")] = None
    end: Annotated[TimeText | None, Field(alias="to")] = None
    all_tenants: bool = False


@router.get("/v1/reprice")
def list_price_books(reads: Reads) -> Items[PriceBookInForce]:
    """Which price book holds for which window; later ones go before earlier ones."""
    return Items[PriceBookInForce].model_validate(activations.listed(reads.store))


@router.post("/v1/reprice", response_model=Repricing, responses=GOES_ON)
async def create_repricing(
    services: AppServices, operations: Running, principal: Caller, wish: NewRepricing
) -> Response:
    """Prices the calls of a window again as new entries, or takes that back; old and new stay side by side. With `wait`
    202 and the `Location` of the operation when it takes longer than so many seconds."""
    work = partial(_repriced, services.ledger, wish)
    if wish.wait is None:
        done = Repricing.model_validate(await run_in_threadpool(work, _unheard))
        return Response(done.model_dump_json(by_alias=True), media_type="application/json")
    key = f"reprice {hashlib.sha256(wish.model_dump_json().encode()).hexdigest()}"
    return await answered(operations, operations.start(owner_of(principal), key, work), wish.wait)


def _unheard(progress: str) -> None:
    """For requests without `wait`, whose progress is not shown."""


def _repriced(ledger: Ledger, wish: NewRepricing, say: Say) -> dict[str, Any]:
    if wish.undo:
        return ledger.undo_reprice(wish.undo, say).as_dict()
    start, end = times.bounded(times.window(wish.start, wish.end, times.BODY_NAMES), times.BODY_NAMES)
    with tempfile.TemporaryDirectory(prefix="spanledger-prices-") as folder:
        book = _kept(Path(folder) / "book", wish.price_book_name, wish.price_book) if wish.price_book else None
        return ledger.reprice(start, end, book, wish.dry_run, say).as_dict()


def _kept(folder: Path, name: str, text: str) -> Path:
    """A price book of the caller as a file. Raises BadRequest for one that is none."""
    folder.mkdir()
    try:
        (folder / name).write_text(text)
        load_book([folder / name])
    except OSError as exc:
        raise BadRequest(f"price_book_name={name!r} is no name of a file") from exc
    except SettingsError as exc:  # its place here is no part of it
        raise BadRequest(str(exc).replace(f"{folder}/", "")) from exc
    return folder / name


@router.post("/v1/sql", response_model=SqlAnswer, responses=_TEXTS)
async def run_sql(request: Request, services: AppServices, reads: Reads, wish: NewQuery, principal: Caller) -> Response:
    """One reading statement over this tenant's rows, limited in time, rows and memory. It ends with its client."""
    if wish.all_tenants and not principal.operator:
        raise Refused("all_tenants is for who runs this machine")
    tenant = None if wish.all_tenants else reads.tenant
    window = times.window(wish.start, wish.end)
    statement = Statement(wish.query, wish.format, tenant, principal.operator, window)
    recorded, outcome = await run_in_threadpool(_recorded_query, services, wish.query.strip()), "failed"
    try:
        answer = await _while_connected(request, services.sandboxes, statement)
        outcome = "allowed"
    finally:
        _tell_query(services, principal, wish.all_tenants, recorded, outcome)
    if wish.format == "csv":
        answer = harmless_csv(answer)
    return Response(answer, media_type=_MEDIA_TYPES[wish.format])


async def _while_connected(request: Request, sandboxes: Sandboxes | None, statement: Statement) -> bytes:
    """Raises what the statement raises, and ClientGone."""
    if sandboxes is None:
        raise Elsewhere("this process runs no SQL")
    leaving: asyncio.Future[None] = asyncio.ensure_future(disconnected(request))
    if (await asyncio.wait({leaving}, timeout=_LOOK_S))[0]:
        raise ClientGone("the client went away while it waited for its turn")
    cancelled = threading.Event()
    running: asyncio.Future[bytes] = in_daemon_thread(partial(sandboxes.run, statement, cancelled), "sql")
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
        running.add_done_callback(lambda ended: ended.cancelled() or ended.exception())  # retrieved, so not logged


def _recorded_query(services: Services, query: str) -> str:
    """What the audit trail keeps of a statement: with content capture off, none of its author's words."""
    return query if services.settings.capture_content else services.sandboxes.shapes.of(query)


def _tell_query(services: Services, principal: Principal, all_tenants: bool, recorded: str, outcome: str) -> None:
    """Who looked at what by SQL."""
    services.platform.access.reports.note(
        audit.AUDIT,
        "data.query",
        outcome,
        tenant="" if principal.tenant == DEFAULT_TENANT else principal.tenant,
        key_id=principal.key_id,
        target="all tenants" if all_tenants else f"tenant {principal.tenant}",
        query=recorded[:_TOLD_CHARACTERS],
    )
