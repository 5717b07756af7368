"""One connection to an MCP server. Imports the mcp package (a second of CPU).

The connection lives in a task of its own, because the task that opens an MCP session must also close it. It ends when
it is closed, when the server goes away, or when a request fails because of it; the next caller opens a new one.
"""

import asyncio
import contextvars
import json
import logging
import math
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx2
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CONNECTION_CLOSED, INVALID_REQUEST, CallToolResult, Implementation

import spanledger
from spanledger.telemetry import semconv
from spanledger.workflows.tool import Tool, ToolError
from spanledger.workflows.tools.addresses import PublicOnly
from spanledger.workflows.tools.mcp_config import McpServer
from spanledger.workflows.tools.stderr import Stderr

MAX_TOOLS = 128  # of one server
MAX_TOOL_NAME = 128
MAX_DESCRIPTION = 4096
MAX_SCHEMA_CHARS = 65_536
RELIST_S = 60.0  # a server's tools may change while it runs
_MAX_PAGES = 20
_MAX_READ_S = 3600.0  # of an HTTP answer; the time limit of a tool ends it earlier
_log = logging.getLogger(__name__)


class McpConnection:
    """Open it with `open`. Belongs to the event loop on which it was opened."""

    def __init__(self, name: str, server: McpServer, public_only: bool = False) -> None:
        self.name = name
        self._public_only = public_only  # a tenant that names an address must not reach our network
        self._server = server
        self._stderr = Stderr(name) if server.command else None
        self._over = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._client: Client | None = None
        self._tools: list[Tool] = []
        self._listed_at = 0.0

    @property
    def usable(self) -> bool:
        return self._client is not None and not self._over.is_set()

    @property
    def protocol_version(self) -> str:
        return self._client.protocol_version if self._client is not None else ""

    def attributes(self) -> dict[str, str | int]:
        """What a span about this server says of it."""
        known: dict[str, str | int] = {semconv.MCP_SERVER: self.name}
        if self._server.command:
            known[semconv.NETWORK_TRANSPORT] = "pipe"
        else:
            parts = urlsplit(self._server.url)
            known |= {semconv.NETWORK_TRANSPORT: "tcp", semconv.SERVER_ADDRESS: parts.hostname or ""}
            known[semconv.SERVER_PORT] = parts.port or (443 if parts.scheme == "https" else 80)
        if self.protocol_version:
            known[semconv.MCP_PROTOCOL_VERSION] = self.protocol_version
        return known

    async def open(self) -> None:
        """Returns when the server has introduced itself and its tools. Raises ToolError."""
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # A context of its own: it outlives the request that was the first to need it.
        self._task = asyncio.get_running_loop().create_task(
            self._live(ready), name=f"mcp-{self.name}", context=contextvars.Context()
        )
        try:
            await ready
        except asyncio.CancelledError:
            self._over.set()
            raise

    async def close(self) -> None:
        """Ends the session, and the server's process if it has one."""
        self._over.set()
        if self._task is not None:
            await asyncio.wait({self._task})

    async def tools(self) -> list[Tool]:
        """The server's tools under their full names, `server.tool`. Raises ToolError."""
        if time.monotonic() - self._listed_at > RELIST_S:
            with self._failing("tools/list"):
                await self._list(self._usable_client())
        return self._tools

    async def call(self, tool: str, arguments: Mapping[str, Any]) -> str:
        """Runs one of the server's tools. Raises ToolError."""
        with self._failing(f"tool {tool}"):
            result = await self._usable_client().call_tool(tool, dict(arguments))
        text = _text(result)
        if result.is_error:
            raise ToolError(text or f"{self.name}.{tool} failed", "tool_error")
        return text

    def _usable_client(self) -> Client:
        if self._client is None or self._over.is_set():
            raise ToolError(f"server {self.name} has gone away", "connection_closed")
        return self._client

    @contextmanager
    def _failing(self, what: str) -> Any:
        """Makes every error of the protocol a ToolError; one that means the connection's end ends it."""
        try:
            yield
        except ToolError:
            raise
        except MCPError as exc:
            if exc.code in (CONNECTION_CLOSED, INVALID_REQUEST):  # the latter is how HTTP says that a session is over
                self._over.set()
                raise ToolError(f"server {self.name} went away during {what}", "connection_closed") from exc
            raise ToolError(f"server {self.name} refused {what}: {_line(exc)}", str(exc.code)) from exc
        except Exception as exc:
            self._over.set()
            _log.warning("server %s: %s failed (%s)", self.name, what, type(exc).__qualname__)
            _log.debug("server %s: %s failed: %s", self.name, what, _line(exc))  # it may quote the tool's output
            raise ToolError(f"server {self.name} did not do {what}", type(exc).__qualname__) from exc

    async def _live(self, ready: "asyncio.Future[None]") -> None:
        limit = self._server.connect_timeout_s
        try:
            with anyio.CancelScope(deadline=anyio.current_time() + limit) as scope:
                async with Client(
                    self._transport(), client_info=Implementation(name="spanledger", version=spanledger.__version__)
                ) as client:
                    self._client = client
                    await self._list(client)
                    scope.deadline = math.inf
                    if not ready.done():
                        ready.set_result(None)
                    await self._over.wait()
            if scope.cancelled_caught:
                self._fail(ready, f"it did not introduce itself within {limit:g} s")
        except Exception as exc:  # noqa: BLE001 — whatever a foreign server does, it costs its tools alone
            if ready.done():
                _log.warning("the connection to server %s ended: %s", self.name, _line(exc))
            self._fail(ready, _line(exc))
        finally:
            self._over.set()
            self._fail(ready, "it was closed")
            if self._stderr is not None:
                self._stderr.close()

    def _fail(self, ready: "asyncio.Future[None]", why: str) -> None:
        """Fails all waiters for the connection."""
        if ready.done():
            return
        stderr_tail = self._stderr.tail() if self._stderr is not None else ""
        shown = "it cannot be reached" if self._public_only else why
        stderr = f"; its standard error: {stderr_tail}" if stderr_tail else ""
        _log.warning("server %s cannot be used: %s%s", self.name, why, stderr)
        ready.set_exception(ToolError(f"server {self.name} cannot be used: {shown}", "unreachable"))

    @asynccontextmanager
    async def _transport(self) -> AsyncIterator[Any]:
        """The server's streams, the one that we read noticing its end."""
        server = self._server
        if server.command:
            assert self._stderr is not None
            command = StdioServerParameters(
                command=server.command, args=server.args, env=server.env, cwd=server.cwd or None
            )
            async with stdio_client(command, errlog=self._stderr.file) as (read, write):
                yield _Noticing(read, self._over), write
            return
        timeout = httpx2.Timeout(server.connect_timeout_s, read=_MAX_READ_S)
        public = self._public_only
        transport = PublicOnly() if public else None
        async with (
            httpx2.AsyncClient(
                headers=server.headers,
                timeout=timeout,
                transport=transport,
                trust_env=not public,
                follow_redirects=False,
            ) as http,
            streamable_http_client(server.url, http_client=http) as (read, write),
        ):
            yield _Noticing(read, self._over), write

    async def _list(self, client: Client) -> None:
        found: dict[str, Tool] = {}
        cursor = None
        for _ in range(_MAX_PAGES):
            page = await client.list_tools(cursor=cursor, cache_mode="bypass")
            for tool in page.tools:
                if self._is_usable(tool.name, tool.input_schema) and len(found) < MAX_TOOLS:
                    found[tool.name] = self._tool(tool.name, tool.description or "", tool.input_schema)
            cursor = page.next_cursor
            if cursor is None:
                break
        self._tools = list(found.values())
        self._listed_at = time.monotonic()

    def _is_usable(self, name: str, schema: Mapping[str, Any]) -> bool:
        usable = 0 < len(name) <= MAX_TOOL_NAME and name.isprintable() and len(json.dumps(schema)) <= MAX_SCHEMA_CHARS
        if not usable:
            _log.warning("server %s: tool %r is left out: its name or schema is too long", self.name, name[:80])
        return usable

    def _tool(self, name: str, description: str, schema: Mapping[str, Any]) -> Tool:
        async def run(**arguments: Any) -> str:
            return await self.call(name, arguments)

        return Tool(
            name=f"{self.name}.{name}",
            description=description[:MAX_DESCRIPTION],
            parameters=schema,
            run=run,
            source=self.name,
            kind="extension",
            timeout_s=self._server.timeout_s,
            attributes={semconv.MCP_METHOD_NAME: "tools/call", **self.attributes()},
        )


class _Noticing:
    """A stream that tells when it has ended."""

    def __init__(self, stream: Any, over: asyncio.Event) -> None:
        self._stream = stream
        self._over = over

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __aiter__(self) -> "_Noticing":
        return self

    async def __anext__(self) -> Any:
        try:
            return await self._stream.__anext__()
        except StopAsyncIteration:
            self._over.set()
            raise

    async def __aenter__(self) -> "_Noticing":
        await self._stream.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> Any:
        self._over.set()
        return await self._stream.__aexit__(*error)


def _text(result: CallToolResult) -> str:
    """What a model can read of a result; pictures and sound are named."""
    texts = []
    for block in result.content:
        if block.type == "text":
            texts.append(block.text)
        elif block.type in ("image", "audio"):
            texts.append(f"[{block.type} {block.mime_type}, {len(block.data)} characters of base64]")
        else:
            texts.append(f"[{block.type}]")
    if not texts and result.structured_content is not None:
        with suppress(TypeError, ValueError):
            texts.append(json.dumps(result.structured_content))
    return "\n".join(texts)


def _line(error: BaseException) -> str:
    """The first line of the first error inside."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    lines = str(error).splitlines()
    return (lines[0] if lines else type(error).__qualname__)[:300]
