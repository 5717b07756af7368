"""The reading half of the HTTP API, over spans that were sent to the door like any application would."""

import json
import os
import time
import uuid
from decimal import Decimal
from typing import Any

import pytest

from otlp_make import log_request, trace_request
from system import System

SECOND = 1_000_000_000


@pytest.fixture
def name() -> str:
    """A name that no other test uses, for ids and services."""
    return f"reads-{uuid.uuid4().hex[:12]}"


def call(model: str = "gpt-4o-mini", **fields: Any) -> dict[str, Any]:
    """An inference span as current instrumentations send it."""
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": model,
        "gen_ai.response.model": model,
        "gen_ai.response.id": f"resp-{uuid.uuid4().hex}",
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 100,
        **fields.pop("attributes", {}),
    }
    return {"name": f"chat {model}", "kind": 3, "attributes": attributes, **fields}


class Talk:
    """Two answered messages and a failed one of a conversation, sent as three traces with a tool run and a log line."""

    def __init__(self, system: System, name: str) -> None:
        self.conversation, self.user, self.service = f"{name}/c%d", f"{name} ü", name
        self.correlation = f"correlation-{name}"
        self.traces = [os.urandom(16) for _ in range(3)]
        self.started = (time.time_ns() // SECOND - 60) * SECOND
        for number, trace_id in enumerate(self.traces):
            body = self._request(number, trace_id)
            system.export(body)
        system.export(self._request(0, self.traces[0]))  # a retry of the sender: everything twice
        log = log_request("found it", self.traces[0], severity_text="INFO", time_unix_nano=self.started)
        system.export(log.SerializeToString(), "logs")

    def _request(self, number: int, trace_id: bytes) -> bytes:
        root, at = bytes([number + 1] * 8), self.started + number * 10 * SECOND
        ids = {
            "gen_ai.conversation.id": self.conversation,
            "user.id": self.user,
            "spanledger.message.id": f"{self.service}-m{number}",
            "spanledger.correlation.id": self.correlation,
            "gen_ai.workflow.name": "assistant",
        }
        times = {"start_time_unix_nano": at, "end_time_unix_nano": at + 2 * SECOND}
        workflow = {"gen_ai.operation.name": "invoke_workflow"}
        spans = [
            {"name": "assistant", "span_id": root, "attributes": ids | workflow, **times},
            call(
                span_id=bytes([number + 11] * 8),
                parent_span_id=root,
                attributes={**ids, "gen_ai.response.id": f"{self.service}-{number}"},
                **times,
            ),
            {
                "name": "execute_tool search",
                "span_id": bytes([number + 21] * 8),
                "parent_span_id": root,
                "attributes": {**ids, "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"},
                **times,
            },
        ]
        if number == 2:
            spans[0]["status"] = {"code": 2, "message": "gave up"}
            spans[1]["status"] = {"code": 2, "message": "timed out"}
            spans[1]["attributes"] = {
                key: value
                for key, value in spans[1]["attributes"].items()
                if "usage" not in key and "response" not in key
            } | {"error.type": "TimeoutError"}
        return trace_request(*spans, trace_id=trace_id, resource={"service.name": self.service}).SerializeToString()


@pytest.fixture(scope="module")
def talk(system: System) -> Talk:
    return Talk(system, f"reads-{uuid.uuid4().hex[:12]}")


def test_conversation_counts_each_call_and_message_once(system: System, talk: Talk) -> None:
    found = system.get("conversations", talk.conversation)
    assert (found["conversation_id"], found["user_id"], found["status"]) == (talk.conversation, talk.user, "active")
    assert found["message_count"] == 5  # three questions, two answers
    usage = found["usage"]
    assert (usage["llm_calls"], usage["failed_calls"]) == (2, 1)
    assert (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]) == (2000, 200, 2200)
    assert usage["cost_usd"] == "0.00042"  # 2 × (1000 × 0.15 + 100 × 0.60) / 1M
    assert (usage["cost_state"], usage["priced_share"]) == ("computed", 1.0)


def test_messages_of_a_conversation_and_by_id(system: System, talk: Talk) -> None:
    items = system.get("conversations", talk.conversation, "messages")["items"]
    assert [m["message_id"] for m in items] == [f"{talk.service}-m{n}" for n in range(3)]
    assert [m["status"] for m in items] == ["ok", "ok", "error"]
    for item in items:
        found = system.get("messages", item["message_id"])
        assert {name: found[name] for name in item} == item
        assert found["state"] == "settled"
    first = items[0]
    assert first["trace_id"] == talk.traces[0].hex()
    assert (first["workflow"], first["providers"], first["models"]) == ("assistant", ["openai"], ["gpt-4o-mini"])
    assert (first["tools"], first["duration_ms"]) == (["search"], 2000.0)
    assert first["usage"]["cost_usd"] == "0.00021"


def test_user_usage_by_hour_and_day(system: System, talk: Talk) -> None:
    for bucket in ("hour", "day"):
        found = system.get("users", talk.user, "usage", bucket=bucket)
        assert found["user_id"] == talk.user
        assert found["usage"]["total_tokens"] == 2200
        assert sum(b["usage"]["total_tokens"] for b in found["buckets"]) == 2200


@pytest.mark.parametrize("dimension", ["model", "user", "conversation", "workflow", "service", "status", "provider"])
def test_every_level_has_the_same_sums(system: System, talk: Talk, dimension: str) -> None:
    found = system.get("usage", service=talk.service, group_by=f"{dimension},operation", bucket="minute")
    assert found["usage"]["cost_usd"] == "0.00042"
    for rows in (found["groups"], found["buckets"]):
        assert sum(Decimal(row["usage"]["cost_usd"]) for row in rows) == Decimal("0.00042")
        assert sum(row["usage"]["llm_calls"] for row in rows) == 2


def test_usage_of_any_window_is_exact(system: System, talk: Talk) -> None:
    def total(start: int, end: int) -> int:
        window = {"from_": _time(talk.started + start), "to": _time(talk.started + end)}
        calls: int = system.get("usage", service=talk.service, **window)["usage"]["llm_calls"]
        return calls

    assert total(0, 1) == 1
    assert total(1, 10 * SECOND) == 0
    assert total(1, 10 * SECOND + 1) == 1
    assert total(-3600 * SECOND, 3600 * SECOND) == 2


def _time(nanoseconds: int) -> str:
    seconds, rest = divmod(nanoseconds, SECOND)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest:09}Z"


def test_tools_are_a_dimension(system: System, talk: Talk) -> None:
    groups = system.get("usage", service=talk.service, group_by="tool")["groups"]
    assert {g["tool"]: g["tool_calls"] for g in groups} == {"": 0, "search": 3}


def test_trace_has_every_span_once_with_its_usage(system: System, talk: Talk) -> None:
    found = system.get("traces", talk.traces[0].hex())
    assert found["correlation_id"] == talk.correlation
    assert [s["name"] for s in found["spans"]] == ["assistant", "chat gpt-4o-mini", "execute_tool search"]
    root, model, tool = found["spans"]
    assert (root["parent_span_id"], model["parent_span_id"]) == (None, root["span_id"])
    assert (model["kind"], model["duration_ms"], model["status"]) == ("Client", 2000.0, "unset")
    assert model["attributes"]["gen_ai.usage.input_tokens"] == "1000"
    assert (root["usage"], tool["usage"]) == (None, None)
    assert model["usage"]["cost_usd"] == found["usage"]["cost_usd"] == "0.00021"
    assert [(log["body"], log["severity"]) for log in found["logs"]] == [("found it", "INFO")]


def test_error_spans_say_what_happened(system: System, talk: Talk) -> None:
    found = system.get("traces", talk.traces[2].hex())
    failed = found["spans"][1]
    assert (failed["status"], failed["status_message"], failed["error_type"]) == ("error", "timed out", "TimeoutError")
    assert (failed["usage"]["failed_calls"], failed["usage"]["llm_calls"]) == (1, 0)


def test_correlation_joins_its_traces(system: System, talk: Talk) -> None:
    found = system.get("correlations", talk.correlation)
    assert set(found["trace_ids"]) == {t.hex() for t in talk.traces}
    assert len(found["spans"]) == 9
    assert found["usage"]["cost_usd"] == "0.00042"


def test_conversations_are_listed_in_pages_with_filters(system: System, name: str) -> None:
    for number in range(3):
        ids = {"gen_ai.conversation.id": f"{name}-{number}", "user.id": name}
        system.export(trace_request(call(attributes=ids)).SerializeToString())
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = system.get("conversations", user_id=name, limit=2, **cursor)
        seen += [item["conversation_id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert seen == [f"{name}-{number}" for number in (2, 1, 0)]
    assert system.get("conversations", user_id=name, to="2020-01-01")["items"] == []


def test_realtime_sees_what_just_ended(system: System, name: str) -> None:
    before = system.get("realtime", window=3600)  # nothing leaves it meanwhile
    now = time.time_ns()
    times = {"start_time_unix_nano": now - 250_000_000, "end_time_unix_nano": now}
    system.export(trace_request(call(attributes={"gen_ai.conversation.id": name}, **times)).SerializeToString())
    after = system.get("realtime", window=3600)
    assert after["calls"] == before["calls"] + 1
    assert after["tokens"] == before["tokens"] + 1100
    assert after["latency_ms"]["p99"] >= 250.0
    assert after["active_conversations"] >= 1
    assert after["in_flight_workflows"] == 0


def test_ids_in_upper_case_are_the_same(system: System) -> None:
    trace_id, span_id = os.urandom(16), os.urandom(8)
    system.export(trace_request({**call(), "span_id": span_id}, trace_id=trace_id).SerializeToString())
    upper = trace_id.hex().upper()
    assert system.get("traces", upper)["trace_id"] == trace_id.hex()
    assert system.get("traces", upper, any="true")["trace_id"] == trace_id.hex()
    assert system.get("find", id=upper)["path"] == f"/traces/{trace_id.hex()}"
    assert system.get("traces", upper, "spans", span_id.hex().upper())["span_id"] == span_id.hex()


def test_another_tenants_spans_are_nowhere(system: System, name: str) -> None:
    trace_id = os.urandom(16)
    ids = {"gen_ai.conversation.id": name, "user.id": name, "spanledger.correlation.id": name}
    foreign = {"service.name": name, "spanledger.tenant": "somebody else"}
    system.export(trace_request(call(attributes=ids), trace_id=trace_id, resource=foreign).SerializeToString())
    for path in (f"/v1/conversations/{name}", f"/v1/traces/{trace_id.hex()}", f"/v1/correlations/{name}"):
        assert system.request("GET", path)[0] == 404
    assert system.get("users", name, "usage")["usage"]["llm_calls"] == 0
    assert system.get("usage", service=name)["usage"]["llm_calls"] == 0
    assert system.get("conversations", user_id=name)["items"] == []
    rows = system.post("/v1/sql", {"query": f"SELECT count() FROM otel_traces WHERE ServiceName = '{name}'"})
    assert rows["data"] == [[0]]
    mine = {"query": f"SELECT count() FROM otel_traces WHERE ServiceName = '{name}'", "all_tenants": True}
    assert system.post("/v1/sql", mine)["data"] == [[1]]  # who runs the machine sees it


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/v1/messages/none", 404, "there is no message 'none'"),
        ("/v1/conversations/none", 404, "there is no conversation 'none'"),
        ("/v1/conversations/none/messages", 404, "there is no conversation"),
        ("/v1/traces/none", 404, "there is no trace 'none'"),
        ("/v1/correlations/none", 404, "there is no trace with correlation id"),
        ("/v1/nothing", 404, "there is no /v1/nothing"),
        ("/v1/conversations?from=yesterday", 422, "write it like 2026-11-21T07:00:00Z"),
        ("/v1/conversations?from=2026-02-02&to=2026-01-01", 422, "later than"),
        ("/v1/conversations?limit=0", 422, "query.limit: Input should be greater than or equal to 1"),
        ("/v1/conversations?limit=many", 422, "query.limit: Input should be a valid integer"),
        ("/v1/conversations?cursor=nonsense", 422, "cursor"),
        ("/v1/conversations?colour=red", 422, "parameter 'colour' is unknown here; these are: from, to, "),
        ("/v1/users/ann/usage?bucket=week", 422, "'hour' or 'day'"),
        ("/v1/usage?bucket=century", 422, "'minute', 'hour'"),
        ("/v1/usage?group_by=model,colour", 422, "group_by: 'colour' is not a dimension; these are: provider"),
        ("/v1/usage?colour=red", 422, "parameter 'colour' is unknown here"),
        (f"/v1/messages?{'&'.join(f'attr.k{n}=1' for n in range(21))}", 422, "at most 20 different attr.<key>"),
        ("/v1/realtime?window=-1", 422, "query.window: Input should be greater than or equal to 1"),
        ("/v1/conversations/%ff", 400, "UTF-8"),
        ("/v1/conversations?user_id=%ff", 400, "UTF-8"),
        ("/v1/messages?user=ann%C3", 400, "UTF-8"),
        ("/v1/conversations?limit=5&limit=7", 422, "parameter 'limit' can be given once here, not 2 times"),
        ("/v1/messages?sort=cost&user=a&user=b&sort=time", 422, "parameter 'sort' can be given once here"),
        ("/v1/usage?bucket=day&bucket=day&from=-1d", 422, "parameter 'bucket' can be given once here"),
        ("/v1/explain?user=ann&from=-1d&from=-2d", 422, "parameter 'from' can be given once here"),
        ("/v1/messages?min_cost=2&max_cost=1.5", 422, "min_cost=2 is more than max_cost=1.5"),
        ("/v1/messages?min_duration_ms=7&max_duration_ms=6", 422, "min_duration_ms=7 is more than max_duration_ms=6"),
        ("/v1/spans?min_duration_ms=7&max_duration_ms=6", 422, "is more than max_duration_ms=6"),
        ("/v1/usage?bucket=week&from=-30d&tz=localtime", 422, "tz='localtime' is not a time zone"),
        ("/v1/usage?bucket=week&from=-30d&tz=Factory", 422, "tz='Factory' is not a time zone"),
        ("/v1/messages?status=failed", 422, "query.status: Input should be 'ok', 'error' or 'abandoned'"),
        ("/v1/messages?cost_state=free", 422, "'billed', 'computed', 'estimated', 'unpriced' or 'mixed'"),
        ("/v1/spans?status=ok&status=failed", 422, "query.status: Input should be 'ok', 'error' or 'unset'"),
        ("/v1/usage?status=unset", 422, "query.status: Input should be 'ok', 'error' or ''"),
        (f"/v1/conversations/{'x' * 257}", 422, "at most 256 characters"),
    ],
)
def test_what_cannot_be_answered_is_a_problem_that_says_why(system: System, path: str, status: int, says: str) -> None:
    got, headers, body = system.request("GET", path, X_Correlation_ID="my-own-id")
    assert got == status
    assert headers["content-type"] == "application/problem+json"
    assert says in body["detail"]
    assert body["status"] == status
    assert body["title"]
    assert body["correlation_id"] == headers["x-correlation-id"] == "my-own-id"


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b'{"query": "DROP TABLE ledger"}', 422, "only reading"),
        (b'{"query": "SELECT\\n*\\nFRO ledger"}', 422, "(line 3, col 5)"),
        (b'{"query": ""}', 422, "empty"),
        (b'{"query": "SELECT 1", "format": "xml"}', 422, "'json', 'csv' or 'pretty'"),
        (b"{", 400, "not JSON"),
        (b"{}", 422, "query"),
        (b'{"query": "SELECT 1", "tenant": "x"}', 422, "tenant"),
    ],
)
def test_sql_refuses_with_a_reason(system: System, body: bytes, status: int, says: str) -> None:
    got, _, answer = system.request("POST", "/v1/sql", body, Content_Type="application/json")
    assert (got, says in answer["detail"]) == (status, True)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{}", "start and end: needed here"),
        (b'{"start": "2026-11-21"}', "end: needed here"),
        (b'{"start": "soon", "end": "now"}', "start='soon' is not a time"),
        (b'{"start": "2026-11-21", "end": "2026-11-20"}', "start='2026-11-21' is later than end='2026-11-20'"),
    ],
)
def test_a_repricing_that_cannot_be_done_says_why_in_its_own_words(system: System, body: bytes, says: str) -> None:
    got, _, answer = system.request("POST", "/v1/reprice", body, Content_Type="application/json")
    assert (got, says in answer["detail"]) == (422, True), answer


def test_sql_reads_the_same_books(system: System, talk: Talk) -> None:
    query = f"SELECT sum(cost_usd), sum(llm_calls) FROM usage_1m WHERE service = '{talk.service}'"
    assert system.post("/v1/sql", {"query": query})["data"] == [["0.00042", 2]]


def test_audit_finds_the_books_balanced(system: System, talk: Talk) -> None:
    found = system.get("audit")
    assert found["differences"] == []
    assert found["balanced"]
    assert found["checked"]["spans"] >= 9


def test_health_and_canary(system: System) -> None:
    assert system.request("GET", "/healthz")[0] == 200
    canary = system.post("/v1/canary", {})
    assert canary["ok"], canary
    status, _, ready = system.request("GET", "/readyz")
    assert (status, ready["status"], ready["problems"]) == (200, "ready", [])
    assert ready["canary"] == canary
    assert ready["spool_bytes"] >= 0
    assert json.dumps(ready["lag_ms"])
