"""Running tools: time limits, threads that hang, schemas from elsewhere."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from spanledger import telemetry
from spanledger.telemetry import GenAI
from spanledger.workflows import Order
from spanledger.workflows.tools import Tool, Toolbox, ToolError
from spanledger.workflows.tools.toolbox import MAX_ABANDONED, MAX_RESULT_CHARS

ANYTHING = {"type": "object", "properties": {}}


def tool(run: Callable[..., Any], name: str = "tried", timeout_s: float = 30.0, schema: Any = ANYTHING) -> Tool:
    return Tool(name, "", schema, run, timeout_s=timeout_s)


def run(*tools: Tool, name: str = "tried", arguments: str = "{}", box: Toolbox | None = None) -> tuple[str, str]:
    off = telemetry.off()
    toolbox = box or Toolbox(off, GenAI(off))
    call = {"id": "1", "function": {"name": name, "arguments": arguments}}
    return asyncio.run(toolbox.call({t.wire_name: t for t in tools}, call, Order()))


def test_a_tool_that_blocks_is_left_alone_after_its_time() -> None:
    leave = threading.Event()
    try:
        content, failure = run(tool(lambda: str(leave.wait(30)), timeout_s=0.05))
    finally:
        leave.set()

    assert content == "error: tried did not answer within 0.05 s"
    assert failure == "timeout"


def test_a_name_that_a_model_made_up_is_recorded_only_where_content_is() -> None:
    off, on = telemetry.off(), telemetry.Telemetry(None, capture_content=True)
    tools = {"tried": tool(str)}
    for name, silent, told in (
        ("tried", "tried", "tried"),
        ("rm_rf", "unknown", "rm_rf"),
        ("tell bob's diagnosis", "unknown", "unknown"),
        ("", "unknown", "unknown"),
    ):
        assert Toolbox(off, GenAI(off)).name_of(tools, name) == silent
        assert Toolbox(on, GenAI(on)).name_of(tools, name) == told


def test_a_tool_that_awaits_is_cancelled_after_its_time() -> None:
    cancelled = []

    async def wait() -> str:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise
        return ""

    assert run(tool(wait, timeout_s=0.05))[1] == "timeout"
    assert cancelled == [True]


def test_runs_that_hang_are_not_piled_up_for_ever() -> None:
    leave = threading.Event()
    off = telemetry.off()
    box = Toolbox(off, GenAI(off))
    hanging = tool(lambda: str(leave.wait(30)), timeout_s=0.001)
    try:
        failures = [run(hanging, box=box)[1] for _ in range(MAX_ABANDONED + 1)]
    finally:
        leave.set()

    assert failures == ["timeout"] * MAX_ABANDONED + ["unavailable"]


def test_whatever_a_tool_raises_is_its_failure() -> None:
    def fail() -> str:
        raise KeyError("inside")

    def stop() -> str:
        raise TimeoutError("its own")

    assert run(tool(fail)) == ("error: tried failed", "KeyError")
    assert run(tool(stop)) == ("error: tried failed", "TimeoutError")


def test_a_long_result_is_cut() -> None:
    content, failure = run(tool(lambda: "x" * (MAX_RESULT_CHARS + 1)))

    assert (len(content), failure) == (MAX_RESULT_CHARS + len("… (cut off)"), "")


@pytest.mark.parametrize(
    ("schema", "arguments", "failure"),
    [
        ({"type": "object", "$ref": "http://127.0.0.1:9/schema"}, "{}", "invalid_schema"),
        ({"type": "object", "$ref": "#/$defs/none"}, "{}", "invalid_schema"),
        ({"type": 7}, "{}", "invalid_schema"),
        ({"type": "object", "properties": {"a": {"pattern": "(x+x+)+y"}}}, '{"a": "' + "x" * 64 + '"}', ""),
        ({"type": "object", "properties": {"a": {"enum": ["b"]}}}, '{"a": "c"}', "invalid_arguments"),
        (ANYTHING, '{"a": NaN}', ""),
        (ANYTHING, "[" * 100_000, "invalid_arguments"),
        (ANYTHING, "[" * 60_000, "invalid_arguments"),
    ],
)
def test_schemas_and_arguments_from_elsewhere(schema: Any, arguments: str, failure: str) -> None:
    assert run(tool(lambda **_: "done", schema=schema), arguments=arguments)[1] == failure


@pytest.mark.parametrize(
    ("name", "wire"),
    [("clock", "clock"), ("server.tool", "server__tool"), ("a" * 64, "a" * 64)],
)
def test_names_as_providers_allow_them(name: str, wire: str) -> None:
    assert tool(lambda: "", name).wire_name == wire


def test_names_that_providers_do_not_allow_stay_apart() -> None:
    odd = [tool(lambda: "", name).wire_name for name in ("s.größe", "s.gr_e", "s.a b", "s.a_b", "s." + "x" * 90)]

    assert len(set(odd)) == len(odd)
    assert all(len(wire) <= 64 and wire.replace("_", "").replace("-", "").isascii() for wire in odd)


def test_arguments_are_an_object() -> None:
    with pytest.raises(ToolError):
        asyncio.run(tool(lambda: "").arguments("7"))
