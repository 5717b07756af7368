"""Agents: `/v1/agents…`."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from spanledger.api.inputs import Parameters, given
from spanledger.api.listing import ListingRoute
from spanledger.api.names import Parts
from spanledger.api.paging import Limit, NameCursor, after_name, name_of, page_of
from spanledger.api.parameters import AgentName, OfTrace, Window, limit
from spanledger.api.reader import Reads
from spanledger.api.schemas import agents as schemas
from spanledger.api.schemas.common import NO_CONTENT, Items, Page
from spanledger.configuration import Agent, NewAgent
from spanledger.errors import BadRequest, NotFound
from spanledger.runtime.services import Caller
from spanledger.stats import agents as stats

router = APIRouter(tags=["agents"], route_class=ListingRoute)


class AgentBody(NewAgent):
    """`parameters` are those that every model accepts; an agent cannot choose the address or the key of a provider."""

    parameters: Annotated[Parameters, Field(default_factory=Parameters)]  # type: ignore[assignment]


@router.get("/v1/agents")
def list_agents(parts: Parts, principal: Caller, limit: Limit = 50, cursor: NameCursor = "") -> Page[schemas.Agent]:
    """The agents of the caller's tenant, by name; `next_cursor` leads to the next page."""
    return Page(**page_of(parts.agents.page(principal.tenant, after_name(cursor), limit), _shown, name_of))


@router.get("/v1/agents/{name}")
def get_agent(name: AgentName, parts: Parts, principal: Caller) -> schemas.Agent:
    """One agent in its present version."""
    found = parts.agents.get(principal.tenant, name)
    if found is None:
        raise NotFound(f"there is no agent {name!r}")
    return _shown(found)


@router.put("/v1/agents/{name}")
def put_agent(name: AgentName, body: AgentBody, parts: Parts, principal: Caller) -> schemas.Agent:
    """Makes or changes an agent: a new version, unless nothing is different."""
    if not name.isprintable():
        raise BadRequest("an agent's name is one line of printable characters")
    new = NewAgent.model_validate({**body.model_dump(), "parameters": given(body.parameters)})
    return _shown(parts.agents.put(principal.tenant, name, new, principal.key_id))


@router.delete("/v1/agents/{name}", **NO_CONTENT)
def delete_agent(name: AgentName, parts: Parts, principal: Caller) -> None:
    """Removes an agent; its runs stay in the books."""
    if not parts.agents.remove(principal.tenant, name, principal.key_id):
        raise NotFound(f"there is no agent {name!r}")


@router.get("/v1/agents/{name}/performance")
def get_agent_performance(name: AgentName, reads: Reads, window: Window) -> stats.AgentPerformance:
    """Runs, failures, latency, tokens, cost and tools of an agent in `[from, to)`; of any that the books know."""
    return stats.performance(reads.store, reads.tenant, name, window)


@router.get("/v1/agents/{name}/decisions")
def list_agent_decisions(
    name: AgentName, reads: Reads, window: Window, trace_id: OfTrace = "", limit: Annotated[int, limit(10_000)] = 200
) -> Items[stats.AgentDecision]:
    """What the agent decided and why, the latest first."""
    return Items(items=stats.decisions(reads.store, reads.tenant, name, window, trace_id, limit))


def _shown(agent: Agent) -> schemas.Agent:
    return schemas.Agent.model_validate(
        {
            "agent_id": agent.agent_id,
            "name": agent.name,
            "version": agent.version,
            "created_at": agent.created_at,
            "created_by": agent.created_by,
            **agent.definition.model_dump(),
        }
    )
