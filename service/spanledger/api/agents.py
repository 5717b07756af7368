"""Agents: `/v1/agents…`."""

from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import Field

from spanledger.api.inputs import Parameters, given
from spanledger.api.names import Parts
from spanledger.api.reader import Reads, checked_id, only, whole_number
from spanledger.configuration import Agent, NewAgent
from spanledger.configuration.agents import UnknownAgent
from spanledger.errors import BadRequest, NotFound
from spanledger.runtime.services import Caller
from spanledger.stats import agents as stats
from spanledger.stats.times import window

router = APIRouter(tags=["agents"])


class AgentBody(NewAgent):
    """`parameters` are those that every model may be given; where and with whose key it is asked is not for agents."""

    parameters: Annotated[Parameters, Field(default_factory=Parameters)]  # type: ignore[assignment]


@router.get("/v1/agents")
def agents(request: Request, parts: Parts, principal: Caller) -> dict[str, Any]:
    """The agents of the caller's tenant, by name."""
    only(request, ())
    return {"items": [_shown(agent) for agent in parts.agents.all(principal.tenant)]}


@router.get("/v1/agents/{name}")
def agent(request: Request, name: str, parts: Parts, principal: Caller) -> dict[str, Any]:
    """One agent in its present version."""
    only(request, ())
    found = parts.agents.get(principal.tenant, checked_id(name, "name"))
    if found is None:
        raise NotFound(f"there is no agent {name!r}")
    return _shown(found)


@router.put("/v1/agents/{name}")
def put_agent(name: str, body: AgentBody, parts: Parts, principal: Caller) -> dict[str, Any]:
    """Makes or changes an agent: a new version, unless nothing is different."""
    checked_id(name, "name")
    if not name.isprintable():
        raise BadRequest("an agent's name is one line of printable characters")
    for tool in body.tools or ():
        if not parts.toolbox.knows(principal.tenant, tool):
            raise UnknownAgentTool(f"there is no tool {tool!r}; GET /v1/tools lists them, server.* are all of a server")
    new = NewAgent.model_validate({**body.model_dump(), "parameters": given(body.parameters)})
    return _shown(parts.agents.put(principal.tenant, name, new, principal.key_id))


@router.delete("/v1/agents/{name}")
def remove_agent(name: str, parts: Parts, principal: Caller) -> dict[str, Any]:
    """Removes an agent; its runs stay in the books."""
    if not parts.agents.remove(principal.tenant, checked_id(name, "name"), principal.key_id):
        raise NotFound(f"there is no agent {name!r}")
    return {"removed": name}


@router.get("/v1/agents/{name}/performance")
def performance(request: Request, name: str, reads: Reads) -> stats.Performance:
    """Runs, failures, latency, tokens, cost and tools of an agent in `[from, to)`; of any that the books know."""
    only(request, ("from", "to"))
    asked = request.query_params
    span = window(asked.get("from"), asked.get("to"))
    return stats.performance(reads.store, reads.tenant, checked_id(name, "name"), span)


@router.get("/v1/agents/{name}/decisions")
def decisions(request: Request, name: str, reads: Reads) -> dict[str, list[stats.Decision]]:
    """What the agent decided and why, the latest first."""
    only(request, ("from", "to", "trace_id", "limit"))
    asked = request.query_params
    found = stats.decisions(
        reads.store,
        reads.tenant,
        checked_id(name, "name"),
        window(asked.get("from"), asked.get("to")),
        asked.get("trace_id", ""),
        whole_number(request, "limit", 200, 1, 10_000),
    )
    return {"items": found}


class UnknownAgentTool(UnknownAgent):
    title = "Unknown tool"
    error_type = "unknown_tool"


def _shown(agent: Agent) -> dict[str, Any]:
    return {
        "agent_id": agent.agent_id,
        "name": agent.name,
        "version": agent.version,
        "created_at": agent.created_at,
        "created_by": agent.created_by or None,
        **agent.definition.model_dump(),
    }
