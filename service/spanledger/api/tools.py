"""Tools, permissions for tools, and MCP servers: `/v1/tools…`, `/v1/tool-grants…`, `/v1/mcp-servers…`."""

import asyncio
import re
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request

from spanledger.access import Principal
from spanledger.api.listing import ListingRoute
from spanledger.api.names import Parts
from spanledger.api.paging import Limit, NameCursor, after_name, name_of, page_of
from spanledger.api.parameters import Bucket, OfUser, ToolName, Window
from spanledger.api.reader import AppServices, Reads
from spanledger.api.schemas import agents as schemas
from spanledger.api.schemas.agents import (
    ForeignTool,
    McpServerCheck,
    McpServerState,
    ToolGrant,
    Tools,
    UnavailableServer,
)
from spanledger.api.schemas.common import NO_CONTENT, Page
from spanledger.errors import BadRequest, NotFound, Refused
from spanledger.runtime.platform import Platform
from spanledger.runtime.services import Caller
from spanledger.settings import LOOPBACK_HOSTS, Settings
from spanledger.stats import tools as stats
from spanledger.store.registry import Entry
from spanledger.telemetry import audit
from spanledger.workflows import Order
from spanledger.workflows.tools import Grant, Tool, ToolError, grants, mcp_config
from spanledger.workflows.tools.mcp_config import McpServer

router = APIRouter(tags=["tools"], route_class=ListingRoute)
ServerName = Annotated[
    str, Path(min_length=1, max_length=256, description="The name of an MCP server.", examples=["files"])
]
_GRANT_NAME = re.compile(r"\*|[^\s*]{1,200}(\.\*)?")


@router.get("/v1/tools")
async def list_tools(parts: Parts, reads: Reads, principal: Caller, window: Window, user_id: OfUser = "") -> Tools:
    """The tools that agents may be given, with how they did in `[from, to)`; `user_id` asks whether that user may use
    them. `unavailable` are servers that do not answer, `foreign` tools that only the books know."""
    order = Order(principal=principal, user_id=user_id)
    listed, unavailable = await _available(parts, principal.tenant)
    ran = await asyncio.to_thread(stats.all_tools, reads.store, reads.tenant, window)
    return Tools(
        items=[_shown(tool, parts, order, ran.get(tool.name, stats.NONE)) for tool in listed],
        unavailable=unavailable,
        foreign=[ForeignTool(name=name, runs=ran[name]) for name in ran.keys() - {tool.name for tool in listed}],
    )


@router.get("/v1/tools/{name}/usage")
def get_tool_usage(name: ToolName, reads: Reads, window: Window, bucket: Bucket = None) -> stats.ToolUsage:
    """Runs, latency and errors of a tool in `[from, to)`, by user, agent and bucket."""
    return stats.tool(reads.store, reads.tenant, name, window, bucket)


@router.get("/v1/tool-grants")
def list_tool_grants(parts: Parts, principal: Caller, limit: Limit = 50, cursor: NameCursor = "") -> Page[ToolGrant]:
    """Which callers may use which tool, by name; a tool without a grant is open to all."""
    found = parts.registry.page(principal.tenant, grants.KIND, after_name(cursor), limit)
    return Page(**page_of(found, _grant, name_of))


@router.put("/v1/tool-grants/{name}")
def put_tool_grant(name: ToolName, body: Grant, parts: Parts, principal: Caller) -> ToolGrant:
    """Sets the grant of a tool, of all of a server (`server.*`), or of all without one of their own (`*`)."""
    if not _GRANT_NAME.fullmatch(name):
        raise BadRequest("a grant is named like a tool, server.* or *")
    parts.references.check_grant(principal.tenant, name, body)
    entry = parts.registry.put(principal.tenant, grants.KIND, name, body.model_dump(), principal.key_id)
    return _grant(entry)


@router.delete("/v1/tool-grants/{name}", **NO_CONTENT)
def delete_tool_grant(name: ToolName, parts: Parts, principal: Caller) -> None:
    """Takes a grant away."""
    if not parts.registry.remove(principal.tenant, grants.KIND, name, principal.key_id):
        raise NotFound(f"there is no grant {name!r}")


@router.get("/v1/mcp-servers")
def list_mcp_servers(
    parts: Parts, principal: Caller, limit: Limit = 50, cursor: NameCursor = ""
) -> Page[McpServerState]:
    """The MCP servers of the caller's tenant, by name, without their secrets."""
    found = parts.registry.page(principal.tenant, mcp_config.KIND, after_name(cursor), limit)
    return Page(**page_of(found, lambda entry: McpServerState.model_validate(_server(entry, parts)), name_of))


@router.get("/v1/mcp-servers/{name}")
def get_mcp_server(name: ServerName, parts: Parts, principal: Caller) -> McpServerState:
    """One MCP server, without its secrets."""
    return McpServerState.model_validate(_server(_known_server(name, parts, principal), parts))


@router.put("/v1/mcp-servers/{name}")
def put_mcp_server(
    request: Request, name: ServerName, body: McpServer, parts: Parts, principal: Caller, services: AppServices
) -> McpServerState:
    """Registers a server: a `command` that is started here, or the `url` of one that speaks streamable HTTP."""
    if not mcp_config.NAME.fullmatch(name):
        raise BadRequest("a server's name has 1 to 64 letters, digits, _ or -")
    if body.command:
        try:
            _refuse_command(request, principal, services.settings)
        except Refused as exc:
            audit.record(
                services.telemetry,
                audit.SECURITY,
                "mcp_server.put",
                "denied",
                target=f"mcp_server/{name}",
                reason=str(exc),
            )
            raise
    entry = parts.registry.put(principal.tenant, mcp_config.KIND, name, body.model_dump(), principal.key_id)
    return McpServerState.model_validate(_server(entry, parts))


@router.delete("/v1/mcp-servers/{name}", **NO_CONTENT)
def delete_mcp_server(name: ServerName, parts: Parts, principal: Caller) -> None:
    """Removes a server and ends its process."""
    if not parts.registry.remove(principal.tenant, mcp_config.KIND, name, principal.key_id):
        raise NotFound(f"there is no MCP server {name!r}")


@router.post("/v1/mcp-servers/{name}/check")
async def check_mcp_server(name: ServerName, parts: Parts, principal: Caller) -> McpServerCheck:
    """Connects and asks for the tools; says what went wrong if it did."""
    entry = _known_server(name, parts, principal)
    try:
        found = await parts.servers.tools(principal.tenant, name)
    except ToolError as exc:
        return McpServerCheck.model_validate({"ok": False, "detail": str(exc), **_server(entry, parts)})
    names = [tool.name for tool in found]
    return McpServerCheck.model_validate({"ok": True, "tools": names, **_server(entry, parts)})


def _refuse_command(request: Request, principal: Principal, settings: Settings) -> None:
    """A command runs with all rights of this process, so only the operator may choose it. A page in their browser
    that got itself resolved to this address may not. Raises Refused."""
    if not principal.operator and not settings.mcp_commands:
        raise Refused(
            "commands are for the operator of this machine, or for admins where SPANLEDGER_MCP_COMMANDS is on"
        )
    if principal.operator and request.url.hostname not in LOOPBACK_HOSTS:
        raise Refused("commands are registered under a loopback address, for example http://127.0.0.1:8000")


def _known_server(name: str, parts: Platform, principal: Principal) -> Entry:
    entry = parts.registry.get(principal.tenant, mcp_config.KIND, name)
    if entry is None:
        raise NotFound(f"there is no MCP server {name!r}")
    return entry


async def _available(parts: Platform, tenant: str) -> tuple[list[Tool], list[UnavailableServer]]:
    """All tools, and the servers that do not answer."""
    names = parts.servers.names(tenant)
    answers = await asyncio.gather(*(parts.servers.tools(tenant, name) for name in names), return_exceptions=True)
    listed, unavailable = list(parts.toolbox.builtin.values()), []
    for name, answer in zip(names, answers, strict=True):
        if isinstance(answer, ToolError):
            unavailable.append(UnavailableServer(server=name, detail=str(answer)))
        elif isinstance(answer, BaseException):
            raise answer
        else:
            listed += answer
    return listed, unavailable


def _shown(tool: Tool, parts: Platform, order: Order, runs: stats.ToolRuns) -> schemas.Tool:
    verdict = parts.toolbox.verdict(tool.name, order)
    return schemas.Tool.model_validate(
        {
            "name": tool.name,
            "description": tool.description,
            "source": tool.source,
            "parameters": tool.parameters,
            "timeout_s": verdict.timeout_s or tool.timeout_s,
            "allowed": verdict.allowed,
            "reason": verdict.reason or None,
            "runs": runs,
        }
    )


def _server(entry: Entry, parts: Platform) -> dict[str, Any]:
    state = parts.servers.state(entry.tenant, entry.name)
    return {
        **_entry(entry, mcp_config.shown(entry.body)),
        "connected": state.connected,
        "protocol_version": state.protocol_version or None,
        "error": state.error or None,
    }


def _grant(entry: Entry) -> ToolGrant:
    return ToolGrant.model_validate(_entry(entry, entry.body))


def _entry(entry: Entry, body: Any) -> dict[str, Any]:
    return {"name": entry.name, "version": entry.version, "created_at": entry.created_at, **body}
