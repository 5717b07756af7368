"""An agent is a workflow with instructions, a model, tools and a profile of its own (registry kind `agent`)."""

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, field_validator

from spanledger.configuration.references import References
from spanledger.errors import BadRequest
from spanledger.store.registry import Entry, Registry
from spanledger.workflows import WORKFLOWS, Order

KIND: Final = "agent"
_Name = Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f]+$")]
_Long = Annotated[str, Field(max_length=100_000, pattern=r"^[^\x00]*$")]


class UnknownAgent(BadRequest):
    title = "Unknown agent"
    status = 422
    error_type = "unknown_agent"


class NewAgent(BaseModel):
    """What an agent is made of; everything but the workflow may be left to others. `tools` absent: the workflow's own;
    `server.*` are all of an MCP server's."""

    model_config = ConfigDict(extra="forbid")

    workflow: str = "assistant"
    description: _Long = ""
    instructions: _Long = ""
    model: Annotated[str, Field(max_length=256)] = ""
    fallbacks: Annotated[list[_Name], Field(max_length=5)] = []
    parameters: dict[_Name, Any] = {}
    tools: Annotated[list[_Name], Field(max_length=128)] | None = None
    profile: Annotated[str, Field(max_length=256)] = ""
    prompt: Annotated[str, Field(max_length=256)] = ""

    @field_validator("workflow")
    @classmethod
    def _known(cls, workflow: str) -> str:
        if workflow not in WORKFLOWS:
            raise ValueError(f"there is no workflow {workflow[:100]!r}; there are {', '.join(WORKFLOWS)}")
        return workflow


@dataclass(frozen=True)
class Agent:
    """`agent_id` stays the same over all versions, and when the agent is removed and made again."""

    agent_id: str
    name: str
    version: int
    created_at: datetime
    created_by: str
    definition: NewAgent


class Agents:
    """The agents of all tenants."""

    def __init__(self, registry: Registry, references: References) -> None:
        self._registry = registry
        self._references = references

    def all(self, tenant: str) -> list[Agent]:
        return [_agent(entry) for entry in self._registry.names(tenant, KIND)]

    def page(self, tenant: str, after: str, limit: int) -> tuple[list[Agent], bool]:
        """By name, from behind `after` on; whether there are more."""
        found, more = self._registry.page(tenant, KIND, after, limit)
        return [_agent(entry) for entry in found], more

    def get(self, tenant: str, name: str) -> Agent | None:
        entry = self._registry.get(tenant, KIND, name)
        return None if entry is None else _agent(entry)

    def put(self, tenant: str, name: str, new: NewAgent, by: str) -> Agent:
        """A new version, or the present one if nothing is different. Raises BadRequest."""
        if name in WORKFLOWS:
            raise BadRequest(f"{name!r} is the name of a workflow, whose runs without an agent are booked under it")
        self._references.check(tenant, new.model_dump())
        return _agent(self._registry.put(tenant, KIND, name, new.model_dump(), by))

    def remove(self, tenant: str, name: str, by: str) -> bool:
        return self._registry.remove(tenant, KIND, name, by)

    def apply(self, order: Order) -> Order:
        """The step: an order that names an agent becomes the agent's, where its caller decided nothing else.

        Raises UnknownAgent.
        """
        if not order.agent:
            return order
        agent = self.get(order.principal.tenant, order.agent)
        if agent is None:
            raise UnknownAgent(f"there is no agent {order.agent[:100]!r}")
        its = agent.definition
        order = order.completed(
            workflow=its.workflow,
            instructions=its.instructions,
            model=its.model,
            fallbacks=tuple(its.fallbacks),
            parameters=its.parameters,
            profile=its.profile,
            prompt=its.prompt,
        )
        tools = order.tools if order.tools is not None or its.tools is None else tuple(its.tools)
        return replace(order, agent_id=agent.agent_id, agent_version=str(agent.version), tools=tools)


def _agent(entry: Entry) -> Agent:
    identity = hashlib.sha256(f"{len(entry.tenant)}:{entry.tenant}{entry.name}".encode()).hexdigest()[:24]
    return Agent(
        agent_id=f"agent_{identity}",
        name=entry.name,
        version=entry.version,
        created_at=entry.created_at,
        created_by=entry.created_by,
        definition=NewAgent.model_validate(entry.body),
    )
