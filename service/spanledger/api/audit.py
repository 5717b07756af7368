"""`/v1/audit`: checks that the books balance and lists differences; `/v1/operations/{id}`: long operations."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from spanledger.access import Principal
from spanledger.api.inputs import MAX_ID_CHARS, Text
from spanledger.api.parameters import Window
from spanledger.api.schemas.books import AuditReport, AuditResult, OperationState, Repricing
from spanledger.api.schemas.common import Body, Items
from spanledger.api.schemas.erasures import Erasure, OperationResult
from spanledger.errors import BadRequest, Refused
from spanledger.ledger.ledger import Ledger
from spanledger.runtime.operations import Operation, Operations, Say
from spanledger.runtime.services import Caller, Services, services_of
from spanledger.stats import times

router = APIRouter(tags=["books"])

WAIT_S = 30.0
GOES_ON: dict[int | str, dict[str, Any]] = {202: {"model": OperationState}}


def _one(meaning: str, example: str) -> object:
    return Query(min_length=1, max_length=MAX_ID_CHARS, description=meaning, examples=[example])


Wait = Annotated[
    float, Query(ge=0, le=600, description="Seconds after which the answer is 202 and the operation goes on.")
]
Conversation = Annotated[str | None, _one("Only this conversation.", "support-42")]
Message = Annotated[str | None, _one("Only this message.", "msg-1")]
Trace = Annotated[str | None, _one("Only this trace.", "4bf92f3577b34da6a3ce929d0e0e4736")]
User = Annotated[str | None, _one("Only this user.", "ann")]
Tenant = Annotated[str | None, _one("Only this tenant; for who runs this machine.", "default")]
OperationId = Annotated[
    str, Path(min_length=1, max_length=64, description="The id of an operation.", examples=["0af7651916cd43dd"])
]
TimeText = Annotated[Text, Field(max_length=64, examples=["2026-11-21T00:00:00Z"])]


class NewAudit(Body):
    """A window `[start, end)`. `repair`: post what is missing. `wait`: seconds until the answer is 202."""

    start: TimeText | None = None
    end: TimeText | None = None
    repair: bool = False
    wait: Annotated[float, Field(ge=0, le=600)] = WAIT_S


def _ledger(services: Annotated[Services, Depends(services_of)]) -> Ledger:
    return services.ledger


def _operations(request: Request) -> Operations:
    found: Operations = request.app.state.operations
    return found


Books = Annotated[Ledger, Depends(_ledger)]
Running = Annotated[Operations, Depends(_operations)]


@router.get("/v1/audit", response_model=AuditReport, responses=GOES_ON)
async def get_audit(
    books: Books,
    operations: Running,
    principal: Caller,
    window: Window,
    conversation: Conversation = None,
    message: Message = None,
    trace: Trace = None,
    user: User = None,
    tenant: Tenant = None,
    wait: Wait = WAIT_S,
) -> Response:
    """Recomputes the books of `[from, to)`, or of one conversation, message, trace or user, from the raw spans and
    compares them level by level. 202 with the `Location` of the operation when it takes longer than `wait` seconds.

    An admin's audit looks at the rows of its tenant alone; the operator's at all of them, or at those of `tenant`."""
    if tenant is not None and not principal.operator and tenant != principal.tenant:
        raise Refused("tenant is for who runs this machine")
    owned = tenant if principal.operator else principal.tenant
    things = {"conversation": conversation, "message": message, "trace": trace, "user": user}
    named = {kind: value for kind, value in things.items() if value is not None}
    if len(named) > 1 or (named and window != times.Window()):
        raise BadRequest("audit one thing, or a window of time: conversation, message, trace and user stand alone")

    def work(say: Say) -> dict[str, Any]:
        for kind, value in named.items():
            return books.audit_thing(owned or principal.tenant, kind, value, say).as_dict()
        start, end = times.moment(window.start), times.moment(window.end)
        return books.audit(start, end, say=say, tenant=owned).as_dict()

    key = f"audit {owned} {window} {sorted(named.items())}"
    return await answered(operations, operations.start(owner_of(principal), key, work, urgent=bool(named)), wait)


@router.get("/v1/audits")
def list_audits(books: Books, principal: Caller) -> Items[AuditResult]:
    """The results of the last audits of windows, the latest first: those of all tenants and those of the caller's own;
    for the operator also those of other tenants."""
    found = [one for one in books.audits() if principal.operator or one.tenant in (None, principal.tenant)]
    return Items(items=[AuditResult.model_validate(asdict(one)) for one in found])


@router.post("/v1/audit", response_model=AuditReport, responses=GOES_ON)
async def create_audit(wish: NewAudit, books: Books, operations: Running, principal: Caller) -> Response:
    """The same over all tenants, and with `repair` posts the differences."""
    window = times.window(wish.start, wish.end, times.BODY_NAMES)

    def work(say: Say) -> dict[str, Any]:
        return books.audit(times.moment(window.start), times.moment(window.end), wish.repair, say).as_dict()

    key = f"audit of all {window} {wish.repair}"
    return await answered(operations, operations.start(owner_of(principal), key, work), wish.wait)


@router.get("/v1/operations/{operation_id}", response_model=OperationResult, responses=GOES_ON)
async def get_operation(operation_id: OperationId, operations: Running, principal: Caller, wait: Wait = 0) -> Response:
    """202 and how far it is; what the request that began it would have answered when it is done."""
    return await answered(operations, operations.get(owner_of(principal), operation_id), wait)


async def answered(operations: Operations, operation: Operation, wait: float) -> Response:
    """The result, or 202 when it takes longer than `wait` seconds."""
    if await operations.wait(operation, wait):
        return Response(await run_in_threadpool(_report, operation), media_type="application/json")
    headers = {"Location": f"/v1/operations/{operation.operation_id}", "Retry-After": "1"}
    return JSONResponse(operation.progress_report(), 202, headers)


def _report(operation: Operation) -> str:
    found = operation.answer()
    form = Erasure if "erasure_id" in found else Repricing if "reprice_id" in found else AuditReport
    return form.model_validate(found).model_dump_json(by_alias=True)


def owner_of(principal: Principal) -> str:
    return "" if principal.operator else principal.tenant
