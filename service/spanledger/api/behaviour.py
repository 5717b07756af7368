"""Patterns: `/v1/behaviour/users|workflows|errors`."""

from typing import Annotated

from fastapi import APIRouter, Query

from spanledger.api.listing import ListingRoute
from spanledger.api.parameters import OfUser, Window, limit
from spanledger.api.reader import Reads
from spanledger.api.schemas.common import Items
from spanledger.stats import behaviour

router = APIRouter(tags=["behaviour"], route_class=ListingRoute)
OfWorkflow = Annotated[str, Query(max_length=256, description="Only this workflow.", examples=["chat"])]


@router.get("/v1/behaviour/users")
def get_user_behaviour(reads: Reads, window: Window, user_id: OfUser = "") -> behaviour.UserBehaviour:
    """Sessions, retention by week, hours of the day and models of `[from, to)`; of one user with `user_id`."""
    return behaviour.users(reads.store, reads.tenant, window, user_id)


@router.get("/v1/behaviour/workflows")
def list_workflow_behaviour(
    reads: Reads, window: Window, workflow: OfWorkflow = "", limit: Annotated[int, limit(1000)] = 100
) -> Items[behaviour.WorkflowBehaviour]:
    """Runs, durations, failures and paths of each workflow."""
    return Items(items=behaviour.workflows(reads.store, reads.tenant, window, workflow, limit))


@router.get("/v1/behaviour/errors")
def list_error_clusters(
    reads: Reads, window: Window, limit: Annotated[int, limit(1000)] = 100
) -> Items[behaviour.ErrorCluster]:
    """Errors that are alike, with an example of each."""
    return Items(items=behaviour.errors(reads.store, reads.tenant, window, limit))
