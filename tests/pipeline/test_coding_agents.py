"""Coding agents report their calls and tools as log records: from the door to the books, each once."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from otlp_make import attributes, fill, trace_request
from system import WITHOUT_CHAT, System

SECOND = 10**9
START = time.time_ns() - 60 * SECOND
SECRET = "what nobody asked to keep twice"
CLAUDE = {"session.id": "s1", "user.email": "a@b.c", "user.id": "3f9c", "model": "claude-sonnet-4-5"}
CODEX = {"conversation.id": "c1", "user.account_id": "acc", "model": "gpt-5-codex"}
QWEN = {"session.id": "qs", "prompt_id": "qs########1", "model": "qwen3-coder-plus"}
GEMINI = {"model": "gemini-2.5-flash", "prompt_id": "g1", "user.email": "g@h.i"}
DONE = {"event.name": "codex.sse_event", "event.kind": "response.completed"}
_CALLS = """
SELECT conversation_id, user_id, provider, model, sum(llm_calls), sum(failed_calls), sum(input_tokens),
       sum(cache_read_input_tokens), sum(cache_write_input_tokens), sum(output_tokens), sum(reasoning_output_tokens),
       toFloat64(sum(claimed_usd))
FROM ledger WHERE kind = 'call' AND service = 'SERVICE' GROUP BY ALL HAVING sum(llm_calls + failed_calls) > 0
ORDER BY ALL"""


def records(service: str, *said: tuple[str, dict[str, Any], dict[str, Any]], **resource: Any) -> bytes:
    """Log records a second apart: body, attributes, and what else a record has."""
    request = ExportLogsServiceRequest()
    of_resource = request.resource_logs.add()
    attributes(of_resource.resource.attributes, {"service.name": service} | resource)
    scope = of_resource.scope_logs.add()
    scope.scope.name = "events"
    for number, (body, values, rest) in enumerate(said):
        record = scope.log_records.add(time_unix_nano=START + number * SECOND, **rest)
        fill(record.body, body)
        attributes(record.attributes, values)
    return request.SerializeToString()


def calls(system: System, service: str) -> list[list[Any]]:
    rows: list[list[Any]] = system.post("/v1/sql", {"query": _CALLS.replace("SERVICE", service)})["data"]
    return rows


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    system = System(tmp_path_factory.mktemp("agents") / "data", roles=WITHOUT_CHAT).start()
    yield system
    assert system.stop() == 0


def claude(kind: str, **values: Any) -> tuple[str, dict[str, Any], dict[str, Any]]:
    return f"claude_code.{kind}", {"event.name": kind, "prompt.id": "p1"} | CLAUDE | values, {}


def request_of(number: int, **values: Any) -> tuple[str, dict[str, Any], dict[str, Any]]:
    used = {"input_tokens": "2", "output_tokens": "120", "cache_read_tokens": "3000", "cache_creation_tokens": "700"}
    more = {"cost_usd": "0.005", "duration_ms": "1500", "request_id": f"req_{number}"}
    return claude("api_request", **used | more | values)


def test_claude_code_with_what_its_cache_served_and_its_own_cost(system: System) -> None:
    body = records(
        "claude-code",
        claude("user_prompt", prompt=SECRET),
        request_of(1),
        claude("tool_result", tool_name="Bash", success="true", duration_ms="20", tool_input=SECRET),
        request_of(2, cost_usd="0.002"),
        claude("api_error", error="Overloaded", status_code="529"),
    )
    for _ in range(2):  # what is sent again changes nothing
        system.export(body, "logs")
    owner = ["s1", "a@b.c", "anthropic", "claude-sonnet-4-5"]
    assert calls(system, "claude-code") == [[*owner, 2, 1, 7404, 6000, 1400, 240, 0, 0.007]]
    tools = "SELECT tool, sum(tool_calls) FROM ledger WHERE kind = 'tool' AND service = 'claude-code' GROUP BY ALL"
    assert system.post("/v1/sql", {"query": tools})["data"] == [["Bash", 1]]
    kept = f"SELECT count() FROM otel_traces WHERE position(toString(SpanAttributes), '{SECRET}') > 0"
    assert system.post("/v1/sql", {"query": kept})["data"] == [[0]]


def test_codex_counts_what_is_complete(system: System) -> None:
    used = {"input_token_count": "1000", "output_token_count": "60", "cached_token_count": "512"}
    body = records(
        "codex_cli_rs",
        ("", DONE | CODEX | used | {"reasoning_token_count": "20", "tool_token_count": "1060"}, {}),
        ("", DONE | CODEX | {"event.kind": "response.output_item.done"}, {}),
    )
    system.export(body, "logs")
    assert calls(system, "codex_cli_rs") == [["c1", "acc", "openai", "gpt-5-codex", 1, 0, 1000, 512, 0, 60, 20, 0]]


def test_gemini_cli_whose_thoughts_its_total_tells(system: System) -> None:
    used = {"input_token_count": 1000, "output_token_count": 20, "cached_content_token_count": 100}
    totals = {"thoughts_token_count": 30, "tool_token_count": 0, "total_token_count": 1050}
    body = ("", {"event.name": "gemini_cli.api_response"} | GEMINI | used | totals | {"response_text": SECRET}, {})
    system.export(records("gemini-cli", body, **{"session.id": "gs"}), "logs")
    assert calls(system, "gemini-cli") == [
        ["gs", "g@h.i", "gcp.gemini", "gemini-2.5-flash", 1, 0, 1000, 100, 0, 50, 30, 0]
    ]


def qwen(kind: str, **values: Any) -> tuple[str, dict[str, Any], dict[str, Any]]:
    return f"what it says for people: {SECRET}", {"event.name": f"qwen-code.{kind}"} | QWEN | values, {}


def test_qwen_code_with_a_subagent_failures_and_tools(system: System) -> None:
    used = {"input_token_count": 1600, "output_token_count": 180, "cached_content_token_count": 500}
    used |= {"thoughts_token_count": 50, "total_token_count": 1780, "duration_ms": 4210}
    body = records(
        "qwen-code",
        qwen("user_prompt", prompt_length=3, prompt=SECRET),
        qwen("api_request", request_text=SECRET),
        qwen("api_response", response_id="chatcmpl-q1", response_text=SECRET, **used),
        qwen("api_error", error_message="429", error_type="RateLimitError", status_code=429, duration_ms=100),
        qwen("api_response", response_id="chatcmpl-q2", subagent_name="reviewer", **used),
        qwen("tool_call", function_name="read_file", function_args=SECRET, success=True, status="success"),
        qwen("tool_call", function_name="run_shell_command", success=False, status="error", error=SECRET),
        qwen("api_cancel", model_name="qwen3-coder-plus"),
    )
    system.export(body, "logs")
    assert calls(system, "qwen-code") == [["qs", "", "", "qwen3-coder-plus", 2, 1, 3200, 1000, 0, 360, 100, 0]]
    agents = (
        "SELECT agent, sum(llm_calls) FROM ledger WHERE kind = 'call' AND service = 'qwen-code' GROUP BY 1 ORDER BY 1"
    )
    assert system.post("/v1/sql", {"query": agents})["data"] == [["qwen-code", 1], ["reviewer", 1]]
    assert tools(system, "qwen-code") == [["read_file", 1, 0], ["run_shell_command", 1, 1]]
    kept = f"SELECT count() FROM otel_traces WHERE position(toString(SpanAttributes), '{SECRET}') > 0"
    assert system.post("/v1/sql", {"query": kept})["data"] == [[0]]


def tools(system: System, service: str) -> list[list[Any]]:
    query = f"""SELECT tool, sum(tool_calls), sum(failed_tool_calls) FROM ledger
                WHERE kind = 'tool' AND service = '{service}' GROUP BY ALL ORDER BY ALL"""
    rows: list[list[Any]] = system.post("/v1/sql", {"query": query})["data"]
    return rows


@pytest.mark.parametrize("place", ["the tool", "its step", "what is around it", "what never comes"])
def test_a_tool_of_a_record_counts_once(system: System, place: str) -> None:
    """The record of a tool may belong to any span of its trace, and to one that is never sent."""
    service, trace = f"claude {place}", place.encode().ljust(16)[:16]
    ids = {
        name: name.encode().ljust(8)[:8] for name in ("what is around it", "the tool", "its step", "what never comes")
    }
    ids["what never comes"] = b"\xfe" * 8
    time = {"start_time_unix_nano": START, "end_time_unix_nano": START + SECOND}
    spans: list[dict[str, Any]] = [
        {"name": "claude_code.interaction", "span_id": ids["what is around it"]}
        | {"attributes": {"span.type": "interaction"} | CLAUDE},
        {"name": "claude_code.tool", "span_id": ids["the tool"], "parent_span_id": ids["what is around it"]}
        | {"attributes": {"span.type": "tool", "tool_name": "Bash"} | CLAUDE},
        {"name": "claude_code.tool.execution", "span_id": ids["its step"], "parent_span_id": ids["the tool"]}
        | {"attributes": {"span.type": "tool.execution"} | CLAUDE},
    ]
    if place != "what never comes":
        request = trace_request(*(span | time for span in spans), trace_id=trace, resource={"service.name": service})
        request.resource_spans[0].scope_spans[0].scope.name = "com.anthropic.claude_code.tracing"
        system.export(request.SerializeToString())
    text, said, _ = claude("tool_result", tool_name="Bash", success="false", duration_ms="900")
    body = records(service, (text, said, {"trace_id": trace, "span_id": ids[place]}))
    system.export(body, "logs")
    assert tools(system, service) == [["Bash", 1, int(place == "what never comes")]]


def test_a_call_that_a_span_reports_too_is_one(system: System) -> None:
    trace, span = b"\7" * 16, b"\7" * 8
    used = {"gen_ai.usage.input_tokens": 900, "gen_ai.usage.output_tokens": 30}
    spans = {"name": "handle_responses", "span_id": span, "attributes": used}
    system.export(trace_request(spans, trace_id=trace, resource={"service.name": "codex_exec"}).SerializeToString())
    said = DONE | CODEX | {"input_token_count": "900", "output_token_count": "30", "reasoning_token_count": "5"}
    system.export(records("codex_exec", ("", said, {"trace_id": trace, "span_id": span})), "logs")
    assert calls(system, "codex_exec") == [["c1", "acc", "openai", "gpt-5-codex", 1, 0, 900, 0, 0, 30, 5, 0]]


def test_a_span_with_the_request_of_an_event_is_one_call_with_it(system: System) -> None:
    used = {"input_tokens": 2, "output_tokens": 120, "cache_read_tokens": 3000, "cache_creation_tokens": 700}
    said = {"span.type": "llm_request", "gen_ai.response.id": "req_9", "request_id": "req_9"} | CLAUDE | used
    request = trace_request(
        {"name": "claude_code.llm_request", "attributes": said, "start_time_unix_nano": START}
        | {"end_time_unix_nano": START + SECOND},
        resource={"service.name": "claude-code-desktop"},
    )
    request.resource_spans[0].scope_spans[0].scope.name = "com.anthropic.claude_code.tracing"
    system.export(request.SerializeToString())
    system.export(records("claude-code-desktop", request_of(9, duration_ms="900")), "logs")
    assert [row[4:10] for row in calls(system, "claude-code-desktop")] == [[1, 0, 3702, 3000, 700, 120]]


def test_an_event_cannot_speak_for_our_own_service(system: System) -> None:
    used = {"input_token_count": "70", "output_token_count": "7", "spanledger.import.at_ms": "1"}
    system.export(records("outsider", ("", DONE | CODEX | used, {})), "logs")
    query = "SELECT ScopeName, mapContains(SpanAttributes, 'spanledger.import.at_ms') FROM otel_traces"
    assert system.post("/v1/sql", {"query": query + " WHERE ServiceName = 'outsider'"})["data"] == [["codex.events", 0]]


def test_the_books_balance_with_them(system: System) -> None:
    report = system.get("audit")
    assert report["balanced"], report["differences"]
