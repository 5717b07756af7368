"""The tools of a service: which a run may be offered, and how one is run: permitted, checked, timed, traced."""

import asyncio
import contextlib
import contextvars
import inspect
import logging
import re
import threading
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Protocol, cast

from spanledger.errors import SpanledgerError, public_message
from spanledger.telemetry import GenAI, Telemetry, audit, semconv
from spanledger.workflows.run import Order
from spanledger.workflows.tool import Tool, ToolError
from spanledger.workflows.tools.builtin import BUILTIN
from spanledger.workflows.tools.grants import Grants, Verdict

MAX_RESULT_CHARS = 65_536
MAX_ABANDONED = 32  # runs of one tool that timed out and still hold a thread
_ALLOWED = Verdict(True)
_NAME = re.compile(r"[\w.-]{1,64}")
UNKNOWN = "unknown"  # the name of every tool that a model made up, in what is recorded
_log = logging.getLogger(__name__)


class Servers(Protocol):
    """Where tools come from that are not here."""

    def names(self, tenant: str) -> list[str]:
        """The servers that a tenant has."""
        ...

    async def tools(self, tenant: str, server: str) -> Sequence[Tool]:
        """The tools of one server. Raises ToolError when it cannot be reached."""
        ...


class Toolbox:
    """One per service; belongs to its event loop."""

    def __init__(
        self, telemetry: Telemetry, genai: GenAI, grants: Grants | None = None, servers: Servers | None = None
    ) -> None:
        self._telemetry = telemetry
        self._genai = genai
        self._grants = grants
        self._servers = servers
        self._abandoned: dict[str, list[threading.Thread]] = {}  # runs after their time-out
        self.builtin = {tool.name: tool for tool in BUILTIN}

    def has_tool(self, tenant: str, name: str) -> bool:
        """Whether the name is a tool's, or belongs to a server that the tenant has."""
        return name in self.builtin or self._server_of(tenant, name) != ""

    def names(self, tenant: str) -> list[str]:
        """What may be named without asking any server: the tools that are here, and `server.*` of each server."""
        servers = self._servers.names(tenant) if self._servers is not None else []
        return [*self.builtin, *(f"{server}.*" for server in servers)]

    async def pick(self, tenant: str, names: Sequence[str]) -> tuple[list[Tool], list[str]]:
        """The tools of these names, `server.*` being all of a server; and the names behind which there is none now."""
        found: dict[str, Tool] = {}
        missing: list[str] = []
        for name in names:
            some = await self._named(tenant, name)
            found |= {tool.name: tool for tool in some}
            if not some:
                missing.append(name)
        return list(found.values()), missing

    def verdict(self, tool: str, order: Order) -> Verdict:
        """Whether the run may use the tool."""
        return self._grants.decide(tool, order.principal, order.user_id) if self._grants is not None else _ALLOWED

    def name_of(self, tools: Mapping[str, Tool], requested: str) -> str:
        """The name under which a call is recorded. A model's own words are content."""
        if requested in tools:
            return tools[requested].name
        return requested if self._telemetry.capture_content and _NAME.fullmatch(requested) else UNKNOWN

    async def call(self, tools: Mapping[str, Tool], call: Mapping[str, Any], order: Order) -> tuple[str, str]:
        """Runs the requested tool. Returns its result and the type of its error, "" if it succeeded.

        A failure is reported to the model, which can try again; it never ends the workflow. `tools` are those offered,
        by the names shown to the model.
        """
        function = call.get("function") or {}
        requested, arguments = str(function.get("name") or ""), str(function.get("arguments") or "")
        tool = tools.get(requested)
        name, description = self.name_of(tools, requested), tool.description if tool else ""
        with self._genai.tool(name, str(call.get("id") or ""), description, arguments) as running:
            if tool is not None:
                running.span.set_attributes({semconv.TOOL_TYPE: tool.kind, **tool.attributes})
            try:
                if tool is None:
                    raise ToolError(f"there is no tool {requested[:100]!r}", "unknown_tool")
                content = await self._permitted(tool, arguments, order)
            except SpanledgerError as exc:
                running.failed(exc)
                content = f"error: {public_message(exc)}"
                failure = exc.error_type if isinstance(exc, ToolError) else type(exc).__name__
            else:
                failure = ""
            running.result(content)
        return content, failure

    async def _permitted(self, tool: Tool, arguments: str, order: Order) -> str:
        verdict = self.verdict(tool.name, order)
        if not verdict.allowed:
            self._tell("denied", tool, verdict.reason)
            raise ToolError(f"{tool.name} may not be used here: {verdict.reason}", "permission_denied")
        try:
            given = await tool.arguments(arguments)
        except ToolError as exc:
            self._tell("failed", tool, exc.error_type)
            raise
        return await self._run(tool, given, verdict.timeout_s or tool.timeout_s)

    async def _run(self, tool: Tool, given: dict[str, Any], timeout_s: float) -> str:
        limit = asyncio.timeout(timeout_s)
        try:
            async with limit:
                if inspect.iscoroutinefunction(tool.run):
                    text = await cast(Awaitable[str], tool.run(**given))
                else:
                    text = await self._on_thread(tool, given)
        except SpanledgerError:
            raise
        except Exception as exc:  # a tool is foreign code: whatever it raises is its failure, not the workflow's
            if limit.expired():
                raise ToolError(f"{tool.name} did not answer within {timeout_s:g} s", "timeout") from exc
            _log.exception("tool %s failed", tool.name)
            raise ToolError(f"{tool.name} failed", type(exc).__qualname__) from exc
        return text if len(text) <= MAX_RESULT_CHARS else f"{text[:MAX_RESULT_CHARS]}… (cut off)"

    async def _on_thread(self, tool: Tool, given: dict[str, Any]) -> str:
        """On a thread of its own, so that one that hangs holds neither a pool's place nor the end of the process."""
        hanging = self._abandoned[tool.name] = [t for t in self._abandoned.get(tool.name, ()) if t.is_alive()]
        if len(hanging) >= MAX_ABANDONED:
            raise ToolError(f"{tool.name} still hangs in {len(hanging)} earlier runs", "unavailable")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[str] = loop.create_future()
        context = contextvars.copy_context()

        def work() -> None:
            try:
                outcome: tuple[Any, BaseException | None] = (context.run(tool.run, **given), None)
            except BaseException as exc:  # noqa: BLE001 — it is raised where the result is awaited
                outcome = (None, exc)
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(_settle, done, *outcome)

        thread = threading.Thread(target=work, name=f"tool-{tool.name}", daemon=True)
        thread.start()
        try:
            return await done
        except asyncio.CancelledError:
            hanging.append(thread)
            raise

    async def _named(self, tenant: str, name: str) -> list[Tool]:
        if name in self.builtin:
            return [self.builtin[name]]
        server = self._server_of(tenant, name)
        if not server or self._servers is None:
            return []
        try:
            tools = await self._servers.tools(tenant, server)
        except ToolError as exc:
            _log.warning("the tools of %s are not offered: %s", server, exc)
            return []
        return [tool for tool in tools if name in (tool.name, f"{server}.*")]

    def _server_of(self, tenant: str, name: str) -> str:
        server, dot, _ = name.partition(".")
        return server if dot and self._servers is not None and server in self._servers.names(tenant) else ""

    def _tell(self, outcome: str, tool: Tool, reason: str) -> None:
        audit.record(self._telemetry, audit.SECURITY, "tool.use", outcome, target=f"tool/{tool.name}", reason=reason)


def _settle(done: "asyncio.Future[str]", text: str, error: BaseException | None) -> None:
    if done.cancelled():
        return
    if error is None:
        done.set_result(text)
    else:
        done.set_exception(error)
