"""`/v1/dead-letters`: what was acknowledged and could not be loaded, and sending it through the door again."""

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict

from spanledger.errors import Refused
from spanledger.runtime.services import Caller

router = APIRouter(tags=["operations"])


class Replay(BaseModel):
    """Which letters; none: all of them."""

    model_config = ConfigDict(extra="forbid")
    ids: list[str] = []


@router.get("/v1/dead-letters")
def listed(request: Request, caller: Caller) -> dict[str, Any]:
    """The oldest first. `records` is how many in one are intact and can be sent again."""
    _operator(caller.operator)
    return {"items": [letter.as_dict() for letter in request.app.state.services.ingest.dead_letters()]}


@router.post("/v1/dead-letters/replay")
def replayed(request: Request, caller: Caller, wish: Replay) -> dict[str, Any]:
    """Returns when what went through is loaded and settled. What is refused again stays, with the new reason."""
    _operator(caller.operator)
    services = request.app.state.services
    outcomes = services.ingest.replay(wish.ids)
    if services.ledger is not None:
        services.ledger.settler.settle_now()
    return {"results": [asdict(outcome) for outcome in outcomes]}


def _operator(operator: bool) -> None:
    """Letters hold spans of all tenants."""
    if not operator:
        raise Refused("dead letters are shown to the operator of this machine only")
