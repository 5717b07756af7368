"""`/v1/erasures`: erases the data of a user, a conversation or a trace."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import Field, model_validator
from starlette.concurrency import run_in_threadpool

from spanledger.access import Principal
from spanledger.api.inputs import MAX_ID_CHARS, Id
from spanledger.api.schemas.common import NO_CONTENT, Body, Items
from spanledger.api.schemas.erasures import Erasure
from spanledger.erasure.erasures import Erasures
from spanledger.erasure.subject import Extent, Kind, Subject
from spanledger.errors import Refused
from spanledger.runtime.operations import Operations
from spanledger.runtime.services import Caller, Services, services_of

router = APIRouter(tags=["erasures"])

ErasureId = Annotated[
    str, Path(min_length=1, max_length=64, description="The id of an erasure.", examples=["0af7651916cd43dd"])
]


TenantName = Annotated[
    str | None,
    Query(min_length=1, max_length=MAX_ID_CHARS, description="Only for who runs this machine.", examples=["default"]),
]


class NewErasure(Body):
    """One of user, conversation and trace. `content`: texts go, figures and ids stay. `identity`: a keyed pseudonym
    takes the place of the user's or the conversation's id, figures stay. `everything`: figures go too, by
    counter-entries."""

    user_id: Id | None = None
    conversation_id: Id | None = None
    trace_id: Id | None = None
    scope: Literal["content", "identity", "everything"] = Field(examples=["content"])
    tenant: Id | None = Field(None, description="Only for who runs this machine; without it the caller's.")

    @model_validator(mode="after")
    def _names_one(self) -> "NewErasure":
        if len(self.named) != 1:
            raise ValueError("name exactly one of user_id, conversation_id and trace_id")
        return self

    @property
    def named(self) -> list[tuple[Kind, str]]:
        found: list[tuple[Kind, str | None]] = [
            ("user", self.user_id),
            ("conversation", self.conversation_id),
            ("trace", self.trace_id),
        ]
        return [(kind, value) for kind, value in found if value is not None]


def _erasures(services: Annotated[Services, Depends(services_of)]) -> Erasures:
    return services.erasures


def _operations(request: Request) -> Operations:
    found: Operations = request.app.state.operations
    return found


Known = Annotated[Erasures, Depends(_erasures)]
Running = Annotated[Operations, Depends(_operations)]


@router.post("/v1/erasures", status_code=202, response_model=Erasure)
async def create_erasure(wish: NewErasure, erasures: Known, operations: Running, principal: Caller) -> Response:
    """Begins to erase, in the tenant of the key. The answer's `Location` tells how far it is, and then what was done.
    What arrives later with the same id is erased as well."""
    ((kind, value),) = wish.named
    extent: Extent = wish.scope
    owner = "" if principal.operator else principal.tenant
    tenant = _tenant(principal, wish.tenant)

    def begin() -> tuple[str, dict[str, Any]]:
        ordered = erasures.order(Subject(tenant, kind, value), extent, principal.key_id)
        started = operations.start(owner, _key(ordered.name), lambda say: erasures.run(ordered, say))
        return started.operation_id, erasures.described(tenant, ordered.name)

    operation_id, erasure = await run_in_threadpool(begin)
    body = Erasure.model_validate(erasure).model_dump(mode="json")
    headers = {"Location": f"/v1/erasures/{erasure['erasure_id']}", "Retry-After": "1", "X-Operation-ID": operation_id}
    return JSONResponse(body, 202, headers)


@router.get("/v1/erasures", response_model=Items[Erasure])
async def list_erasures(erasures: Known, principal: Caller, tenant: TenantName = None) -> Any:
    """All of the tenant, latest first."""
    return {"items": await run_in_threadpool(erasures.listed, _tenant(principal, tenant))}


@router.get("/v1/erasures/{erasure_id}", response_model=Erasure)
async def get_erasure(
    erasure_id: ErasureId, erasures: Known, operations: Running, principal: Caller, tenant: TenantName = None
) -> Any:
    """How far it is, and what it did."""
    erasure = await run_in_threadpool(erasures.described, _tenant(principal, tenant), erasure_id)
    return {**erasure, "progress": operations.progress_of(_key(erasure_id)) if erasure["state"] == "running" else None}


@router.delete("/v1/erasures/{erasure_id}", **NO_CONTENT)
async def lift_erasure(erasure_id: ErasureId, erasures: Known, principal: Caller, tenant: TenantName = None) -> None:
    """What arrives from now on with the id stays. What was erased does not come back."""
    await run_in_threadpool(erasures.lift, _tenant(principal, tenant), erasure_id, principal.key_id)


def _tenant(principal: Principal, named: str | None) -> str:
    """Raises Refused."""
    if named is not None and not principal.operator and named != principal.tenant:
        raise Refused("tenant is for who runs this machine")
    return named or principal.tenant


def _key(erasure_id: str) -> str:
    return f"erasure {erasure_id}"
