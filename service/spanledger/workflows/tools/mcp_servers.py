"""The MCP servers of all tenants: connected on first use, kept, connected anew after they went away."""

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spanledger.store.registry import Change, Entry, Registry
from spanledger.telemetry import Telemetry
from spanledger.telemetry.operations import Operations
from spanledger.workflows.tool import Tool, ToolError
from spanledger.workflows.tools.mcp_config import KIND, McpServer

if TYPE_CHECKING:
    from spanledger.workflows.tools.mcp_connection import McpConnection

MAX_BACKOFF_S = 60.0  # a server that cannot be reached is tried again after 1, 2, 4 … seconds
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Place:
    """One server: the version of its configuration, its connection, and why there is none."""

    version: int
    guard: asyncio.Lock
    connection: "McpConnection | None" = None
    failures: int = 0
    error: str = ""
    not_before: float = 0.0


@dataclass(frozen=True, slots=True)
class State:
    """What is known of a server without asking it. `error` is of the last attempt, "" after a good one."""

    connected: bool
    protocol_version: str
    error: str


class McpServers:
    """A `Servers`. Belongs to the event loop on which it is used first."""

    def __init__(self, registry: Registry, telemetry: Telemetry, private_addresses: bool = False) -> None:
        self._registry = registry
        self._private_addresses = private_addresses  # whether servers that a key registered may be in our network
        self._operations = Operations(telemetry)
        self._places: dict[tuple[str, str], _Place] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        registry.on_change(self._heard)

    def names(self, tenant: str) -> list[str]:
        return [entry.name for entry in self._registry.names(tenant, KIND)]

    async def tools(self, tenant: str, server: str) -> list[Tool]:
        """The server's tools; connects if need be. Raises ToolError."""
        entry = self._registry.get(tenant, KIND, server)
        if entry is None:
            raise ToolError(f"there is no server {server}", "unknown_tool")
        self._loop = asyncio.get_running_loop()
        place = self._place(entry)
        async with place.guard:
            connection = place.connection
            if connection is None or not connection.usable:
                connection = await self._connect(place, entry)
            return await connection.tools()

    def state(self, tenant: str, server: str) -> State:
        place = self._places.get((tenant, server))
        if place is None or place.connection is None:
            return State(False, "", place.error if place is not None else "")
        return State(place.connection.usable, place.connection.protocol_version, place.error)

    async def close(self) -> None:
        """Ends all connections."""
        for key in list(self._places):
            self._drop(key)
        if self._closing:
            await asyncio.wait(self._closing)

    def _place(self, entry: Entry) -> _Place:
        key = (entry.tenant, entry.name)
        place = self._places.get(key)
        if place is None or place.version != entry.version:
            self._drop(key)
            place = self._places[key] = _Place(entry.version, asyncio.Lock())
        return place

    async def _connect(self, place: _Place, entry: Entry) -> "McpConnection":
        if time.monotonic() < place.not_before:
            raise ToolError(place.error, "unreachable")
        if place.connection is not None:
            self._end(place.connection)
            place.connection = None
        kind = await asyncio.to_thread(_connection_type)
        public_only = bool(entry.created_by) and not self._private_addresses
        connection = kind(entry.name, McpServer.model_validate(entry.body), public_only)
        try:
            with self._operations.mcp("initialize", entry.name, connection.attributes()):
                await connection.open()
        except BaseException as exc:
            self._end(connection)
            if isinstance(exc, ToolError):
                place.failures += 1
                place.error = str(exc)
                place.not_before = time.monotonic() + min(2.0 ** (place.failures - 1), MAX_BACKOFF_S)
            raise
        place.connection, place.failures, place.error = connection, 0, ""
        return connection

    def _drop(self, key: tuple[str, str]) -> None:
        place = self._places.pop(key, None)
        if place is not None and place.connection is not None:
            self._end(place.connection)

    def _end(self, connection: "McpConnection") -> None:
        """Closes a connection in the background; its server's process may take seconds to end."""
        task = asyncio.get_running_loop().create_task(connection.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _heard(self, change: Change) -> None:
        """A server that was changed or removed is let go of at once: its process must not outlive the decision."""
        entry = change.after
        if entry.kind == KIND and self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._drop, (entry.tenant, entry.name))


def _connection_type() -> "type[McpConnection]":
    """Imports the mcp package: a second of CPU, off the event loop."""
    from spanledger.workflows.tools.mcp_connection import McpConnection

    # It logs every line of a server that is not JSON, each with a stack; what matters of it comes as an exception.
    logging.getLogger("mcp").setLevel(logging.CRITICAL)
    return McpConnection
