"""Patterns: `/v1/behaviour/users|workflows|errors`."""

from fastapi import APIRouter, Request

from spanledger.api.reader import Reads, only, whole_number
from spanledger.stats import behaviour, times

router = APIRouter(tags=["behaviour"])


@router.get("/v1/behaviour/users")
def users(request: Request, reads: Reads) -> behaviour.Users:
    """Sessions, retention by week, hours of the day and models of `[from, to)`; of one user with `user_id`."""
    only(request, ("from", "to", "user_id"))
    return behaviour.users(reads.store, reads.tenant, _window(request), request.query_params.get("user_id", ""))


@router.get("/v1/behaviour/workflows")
def workflows(request: Request, reads: Reads) -> dict[str, list[behaviour.Workflow]]:
    """Runs, durations, failures and paths of each workflow."""
    only(request, ("from", "to", "workflow", "limit"))
    limit = whole_number(request, "limit", 100, 1, 1000)
    name = request.query_params.get("workflow", "")
    return {"items": behaviour.workflows(reads.store, reads.tenant, _window(request), name, limit)}


@router.get("/v1/behaviour/errors")
def errors(request: Request, reads: Reads) -> dict[str, list[behaviour.ErrorCluster]]:
    """Errors that are alike, with an example of each."""
    only(request, ("from", "to", "limit"))
    limit = whole_number(request, "limit", 100, 1, 1000)
    return {"items": behaviour.errors(reads.store, reads.tenant, _window(request), limit)}


def _window(request: Request) -> times.Window:
    asked = request.query_params
    return times.window(asked.get("from"), asked.get("to"))
