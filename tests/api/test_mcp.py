"""Tools of MCP servers, over stdio and streamable HTTP: a real small server that does well and misbehaves."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from calling_provider import CallingProvider
from platform_calls import call, events, key, named, ok, say, spans
from system import System, free_port

MODEL = "openai/caller"
SERVER = str(Path(__file__).parents[1] / "mcp_server.py")
STDIO = {"command": sys.executable, "args": [SERVER, "stdio"], "env": {"SMALL_SECRET": "s3cret"}}
PATIENT = {"connect_timeout_s": 60}
DEADLINE_S = 60.0


@pytest.fixture(scope="module")
def provider() -> Iterator[CallingProvider]:
    with CallingProvider() as running:
        yield running


@pytest.fixture(scope="module")
def web() -> Iterator["WebServer"]:
    server = WebServer(free_port())
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory, provider: CallingProvider, web: "WebServer") -> Iterator[System]:
    running = System(tmp_path_factory.mktemp("mcp") / "data").start(**provider.environ)
    ok(running, "PUT", "/v1/mcp-servers/small", {**STDIO, **PATIENT, "timeout_s": 20})
    ok(running, "PUT", "/v1/mcp-servers/web", {"url": web.url, "headers": {"X-Key": "hidden"}, **PATIENT})
    ok(running, "PUT", "/v1/agents/user", {"workflow": "assistant", "model": MODEL, "tools": ["small.*", "web.*"]})
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.stderr()


class WebServer:
    """The small server as a process that listens."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}/mcp"

    def start(self) -> None:
        command = [sys.executable, SERVER, "http", str(self.port)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(self._answers)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def _answers(self) -> bool:
        try:
            httpx.get(self.url)
        except httpx.TransportError:
            return False
        return True


def until(condition: Any) -> None:
    """Looks again and again, for what happens in another process."""
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, "it does not come true"
        time.sleep(0.05)


def ask(system: System, tool: str, **arguments: Any) -> dict[str, Any]:
    wanted = {"tool": tool.replace(".", "__"), "arguments": json.dumps(arguments)}
    return say(system, f"mcp-{tool}", json.dumps(wanted), agent="user", user_id="ann")


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"


@pytest.mark.parametrize(("server", "transport"), [("small", "pipe"), ("web", "tcp")])
def test_a_servers_tool_runs(system: System, provider: CallingProvider, server: str, transport: str) -> None:
    answer = ask(system, f"{server}.add", a=2, b=40)

    assert answer["content"] == "42"
    offered = {tool["function"]["name"] for tool in provider.prompts[-1]["tools"]}
    assert {f"{server}__add", f"{server}__hang"} <= offered
    span = named(spans(system, answer["trace_id"]), f"execute_tool {server}.add")
    assert (span["role"], span["tool"], span["status"]) == ("tool", f"{server}.add", "unset")
    about = span["attributes"]
    assert about["mcp.method.name"] == "tools/call"
    assert about["spanledger.mcp.server"] == server
    assert about["network.transport"] == transport
    assert about["gen_ai.tool.type"] == "extension"
    assert about["mcp.protocol.version"]


def test_the_tools_of_servers_are_listed_and_counted(system: System) -> None:
    ask(system, "small.add", a=1, b=1)
    system.flush()

    listed = {tool["name"]: tool for tool in ok(system, "GET", "/v1/tools")["items"]}

    assert listed["small.add"]["source"] == "small"
    assert listed["small.add"]["timeout_s"] == 20
    assert listed["small.add"]["parameters"]["required"] == ["a", "b"]
    usage = ok(system, "GET", "/v1/tools/small.add/usage")
    assert usage["runs"]["calls"] == listed["small.add"]["runs"]["calls"] > 0


def test_a_server_gets_its_environment_and_nothing_of_ours(system: System) -> None:
    assert ask(system, "small.secret", note="")["content"] == "s3cret"


def test_secrets_are_not_shown(system: System) -> None:
    shown = json.dumps(ok(system, "GET", "/v1/mcp-servers"))

    assert "SMALL_SECRET" in shown
    assert "X-Key" in shown
    assert "s3cret" not in shown
    assert "hidden" not in shown


def test_arguments_are_checked_before_they_reach_the_server(system: System) -> None:
    answer = ask(system, "small.add", a="two")

    assert answer["content"].startswith("error: the arguments of small.add do not fit")


def test_a_tool_that_fails_is_told_to_the_model(system: System) -> None:
    answer = ask(system, "small.fail", note="x")

    assert answer["content"].startswith("error: ")
    span = named(spans(system, answer["trace_id"]), "execute_tool small.fail")
    assert (span["status"], span["error_type"]) == ("error", "tool_error")


def test_a_huge_result_is_cut(system: System) -> None:
    assert len(ask(system, "small.huge", note="")["content"]) < 70_000


def test_a_tool_that_hangs_ends_after_its_time(system: System) -> None:
    ok(system, "PUT", "/v1/tool-grants/web.hang", {"timeout_s": 0.3})

    answer = ask(system, "web.hang", note="x")

    assert answer["content"] == "error: web.hang did not answer within 0.3 s"
    span = named(spans(system, answer["trace_id"]), "execute_tool web.hang")
    assert span["error_type"] == "timeout"
    assert ask(system, "web.secret", note="")["content"] == "nothing", "the server goes on serving"


def test_a_denied_user_does_not_reach_the_server(system: System) -> None:
    ok(system, "PUT", "/v1/tool-grants/web.*", {"deny": {"users": ["mallory"]}})
    wanted = json.dumps({"tool": "web__add", "arguments": '{"a": 1, "b": 2}'})

    answer = say(system, "mcp-denied", wanted, agent="user", user_id="mallory")

    assert "may not be used here" in answer["content"]
    told = [e for e in events(system, "spanledger.security") if e.get("user.id") == "mallory"]
    assert [e["spanledger.security.target"] for e in told] == ["tool/web.add"]


@pytest.mark.parametrize("server", ["small", "web"])
def test_a_server_that_dies_costs_its_tool_and_is_connected_again(system: System, web: WebServer, server: str) -> None:
    before = int(ask(system, f"{server}.process", note="")["content"])

    answer = ask(system, f"{server}.crash", note="x")

    assert f"server {server} went away" in answer["content"]
    span = named(spans(system, answer["trace_id"]), f"execute_tool {server}.crash")
    assert (span["status"], span["error_type"]) == ("error", "connection_closed")
    until(lambda: not alive(before))
    if server == "web":
        web.stop()
        assert ask(system, "web.process", note="")["content"].startswith("error: there is no tool"), "it is not offered"
        unavailable = ok(system, "GET", "/v1/tools")["unavailable"]
        assert [one["server"] for one in unavailable] == ["web"]
        web.start()
        until(lambda: ok(system, "POST", "/v1/mcp-servers/web/check")["ok"])
    after = int(ask(system, f"{server}.process", note="")["content"])
    assert after != before


def test_connecting_is_a_span_of_the_request_that_needed_it(system: System) -> None:
    ok(system, "PUT", "/v1/mcp-servers/absent", {"command": "/nowhere/at/all"})
    ok(system, "PUT", "/v1/agents/lost", {"workflow": "assistant", "model": MODEL, "tools": ["absent.*", "clock"]})

    answer = say(system, "mcp-absent", '{"tool": "clock", "arguments": "{}"}', agent="lost")

    assert "UTC" in answer["content"]
    found = spans(system, answer["trace_id"])
    span = named(found, "initialize absent")
    assert (span["status"], span["error_type"]) == ("error", "unreachable")
    decided = ok(system, "GET", f"/v1/agents/lost/decisions?trace_id={answer['trace_id']}")["items"]
    assert ("unavailable", ["absent.*"]) in [(d["reason"], d["options"]) for d in decided]


@pytest.mark.parametrize(
    "body",
    [
        {"command": "false"},
        {"command": "cat"},
        {"command": "echo", "args": ["not json"]},
        {"url": "http://127.0.0.1:9/"},
    ],
)
def test_a_server_that_is_none(system: System, body: dict[str, Any]) -> None:
    ok(system, "PUT", "/v1/mcp-servers/none", {**body, "connect_timeout_s": 1})

    checked = ok(system, "POST", "/v1/mcp-servers/none/check")

    assert checked["ok"] is False
    assert "server none cannot be used" in checked["detail"]
    assert ok(system, "GET", "/v1/mcp-servers/none")["error"] == checked["detail"]


def test_a_removed_server_ends(system: System) -> None:
    ok(system, "PUT", "/v1/mcp-servers/short", {**STDIO, **PATIENT})
    ok(
        system,
        "PUT",
        "/v1/agents/short",
        {"workflow": "assistant", "model": MODEL, "tools": ["short.process", "clock"]},
    )
    wanted = json.dumps({"tool": "short__process", "arguments": '{"note": ""}'})
    pid = int(say(system, "mcp-short", wanted, agent="short")["content"])

    ok(system, "DELETE", "/v1/mcp-servers/short")

    until(lambda: not alive(pid))
    assert "there is no tool" in say(system, "mcp-short", wanted, agent="short")["content"]
    assert call(system, "POST", "/v1/mcp-servers/short/check")[0] == 404


def test_commands_are_for_the_operator(system: System) -> None:
    acme = key(system, "acme", "admin")

    status, problem = call(system, "PUT", "/v1/mcp-servers/evil", STDIO, **acme)

    assert (status, problem["title"]) == (403, "Refused")
    told = [
        e
        for e in events(system, "spanledger.security", "acme", **acme)
        if e["spanledger.security.action"] == "mcp_server.put"
    ]
    assert [e["spanledger.security.outcome"] for e in told] == ["denied"]
    assert ok(system, "PUT", "/v1/mcp-servers/fine", {"url": "http://127.0.0.1:9/"}, **acme)["name"] == "fine"
    assert "fine" not in {server["name"] for server in ok(system, "GET", "/v1/mcp-servers")["items"]}


def test_a_page_that_is_resolved_to_this_machine_registers_no_command(system: System) -> None:
    assert call(system, "PUT", "/v1/mcp-servers/evil", STDIO, Host="evil.example:8000")[0] == 421


@pytest.mark.parametrize(
    ("name", "body", "status"),
    [
        ("a.b", {"url": "http://127.0.0.1:9/"}, 422),
        ("x", {}, 422),
        ("x", {"url": "http://127.0.0.1:9/", "command": "cat"}, 422),
        ("x", {"url": "file:///etc/passwd"}, 422),
        ("x", {"url": "http://user:pw@127.0.0.1/"}, 422),
        ("x", {"url": "http://127.0.0.1:9/", "headers": {"a": "b\r\nc: d"}}, 422),
        ("x", {"url": "http://127.0.0.1:9/", "headers": {"Authorization": "Bearer …"}}, 422),
        ("x", {"command": "cat\x00"}, 422),
        ("x", {"command": "cat", "env": {"A=B": "c"}}, 422),
    ],
)
def test_servers_that_make_no_sense(system: System, name: str, body: dict[str, Any], status: int) -> None:
    assert call(system, "PUT", f"/v1/mcp-servers/{name}", body)[0] == status
