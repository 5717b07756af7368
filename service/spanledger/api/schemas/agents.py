"""Agents, tools, grants, MCP servers."""

from typing import Annotated

from pydantic import Field, JsonValue

from spanledger.api.inputs import Parameters
from spanledger.api.schemas.common import Answer
from spanledger.stats.fields import Moment, OrNull
from spanledger.stats.tools import ToolRuns
from spanledger.workflows.tools.grants import Who


class Agent(Answer):
    """An agent in one version. `tools` null: the workflow's own."""

    agent_id: str
    name: str
    version: int
    created_at: Moment
    created_by: OrNull
    workflow: str
    description: str
    instructions: str
    model: OrNull
    fallbacks: list[str]
    parameters: Parameters
    tools: list[str] | None
    profile: OrNull
    prompt: OrNull


class Tool(Answer):
    """`allowed`: whether the caller may use it, and if not for which `reason`. `parameters`: a JSON Schema."""

    name: str
    description: str
    source: Annotated[str, Field(description="`builtin`, or the name of the MCP server that has it.")]
    parameters: dict[str, JsonValue]
    timeout_s: float
    allowed: bool
    reason: str | None
    runs: ToolRuns


class UnavailableServer(Answer):
    server: str
    detail: str


class ForeignTool(Answer):
    """A tool that only the books know."""

    name: str
    runs: ToolRuns


class Tools(Answer):
    items: list[Tool]
    unavailable: list[UnavailableServer]
    foreign: list[ForeignTool]


class ToolGrant(Answer):
    """`allow` null: everybody but `deny`."""

    name: str
    version: int
    created_at: Moment
    allow: Who | None = None
    deny: Who
    timeout_s: float | None = None


class McpServerState(Answer):
    """Values of the environment and of headers are hidden."""

    name: str
    version: int
    created_at: Moment
    command: OrNull
    args: list[str]
    env: dict[str, str]
    cwd: OrNull
    url: OrNull
    headers: dict[str, str]
    description: str
    timeout_s: float
    connect_timeout_s: float
    connected: bool
    protocol_version: str | None
    error: str | None


class McpServerCheck(McpServerState):
    """`tools` of a server that answers, or the `detail` of what went wrong."""

    ok: bool
    tools: list[str] | None = None
    detail: str | None = None
