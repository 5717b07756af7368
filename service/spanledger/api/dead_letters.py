"""`/v1/dead-letters`: acknowledged records that could not be loaded; lists them and sends them again."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from spanledger.api.reader import AppServices
from spanledger.api.schemas.common import Body, Items
from spanledger.api.schemas.operations import DeadLetter, Replays
from spanledger.errors import Refused
from spanledger.runtime.services import Caller

router = APIRouter(tags=["operations"])


class NewReplay(Body):
    """Which letters; none: all of them."""

    ids: Annotated[list[Annotated[str, Field(max_length=512)]], Field(default_factory=list, max_length=10_000)]


@router.get("/v1/dead-letters")
def list_dead_letters(services: AppServices, caller: Caller) -> Items[DeadLetter]:
    """The oldest first. `records` is how many in one are intact and can be sent again."""
    _operator(caller.operator)
    return Items(items=[DeadLetter.model_validate(letter.as_dict()) for letter in services.ingest.dead_letters()])


@router.post("/v1/dead-letters/replay")
def replay_dead_letters(services: AppServices, caller: Caller, body: NewReplay) -> Replays:
    """Returns when what went through is loaded and settled. What is refused again stays, with the new reason."""
    _operator(caller.operator)
    outcomes = services.ingest.replay(body.ids)
    services.ledger.settler.settle_now()
    return Replays.model_validate({"results": [asdict(outcome) for outcome in outcomes]})


def _operator(operator: bool) -> None:
    """Letters hold spans of all tenants."""
    if not operator:
        raise Refused("dead letters are shown to the operator of this machine only")
