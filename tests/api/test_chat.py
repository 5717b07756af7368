"""Messages to conversations, as a client sees them and as the collector receives them."""

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from chat_service import ChatService
from otlp_sink import Sink, SpanRecord

IDS = {
    "spanledger.correlation.id",
    "gen_ai.conversation.id",
    "spanledger.message.id",
    "user.id",
    "gen_ai.workflow.name",
    "gen_ai.agent.name",
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChatService]:
    with ChatService(tmp_path_factory.mktemp("chat")) as running:
        yield running


@pytest.fixture
def client(service: ChatService) -> Iterator[httpx.Client]:
    service.flush().clear()
    with httpx.Client(base_url=service.url, timeout=30) as http:
        yield http


def send(client: httpx.Client, conversation: str, content: str, **more: Any) -> dict[str, Any]:
    response = client.post(f"/v1/conversations/{conversation}/messages", json={"content": content, **more})
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


def events_of(text: str) -> list[tuple[str, Any]]:
    found = []
    for block in text.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        found.append((fields.get("event", ""), json.loads(fields["data"])))
    return found


def calls(sink: Sink) -> list[SpanRecord]:
    return [span for span in sink.spans if span.attributes.get("gen_ai.operation.name") == "chat"]


def test_an_answer_says_who_answered_what_it_used_and_what_it_cost(service: ChatService, client: httpx.Client) -> None:
    body = send(client, "conv-fields", "hello there", user_id="user-1")

    assert body["conversation_id"] == "conv-fields"
    assert body["user_id"] == "user-1"
    assert body["workflow"] == "chat"
    assert body["provider"] == "offline"
    assert body["model"] == "small"
    assert body["finish_reason"] == "stop"
    assert body["content"]
    assert body["duration_ms"] > 0
    usage = body["usage"]
    assert usage["llm_calls"] == 1
    assert usage["failed_calls"] == 0
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"] > 0
    assert re.fullmatch(r"0\.\d+", usage["cost_usd"])
    assert usage["cost_state"] == "computed"
    assert usage["priced_share"] == 1.0


def test_one_trace_from_the_request_to_the_model(service: ChatService, client: httpx.Client) -> None:
    body = send(client, "conv-trace", "hello", user_id="user-2")
    sink = service.flush()

    assert {span.trace_id for span in sink.spans} == {body["trace_id"]}
    call = sink.one("chat small")
    assert sink.line(call) == [
        "POST /v1/conversations/{conversation_id}/messages",
        "invoke_workflow chat",
        "chat",
        "model",
        "chat small",
    ]
    assert [s.kind for s in sink.spans if s.name in {"chat small", "invoke_workflow chat"}] == [3, 1]
    assert call.attributes | {"gen_ai.response.id": "…"} == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "offline",
        "gen_ai.request.model": "small",
        "gen_ai.request.stream": False,
        "gen_ai.response.model": "small",
        "gen_ai.response.id": "…",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": body["usage"]["input_tokens"],
        "gen_ai.usage.output_tokens": body["usage"]["output_tokens"],
        "gen_ai.usage.cache_read.input_tokens": 0,
        "gen_ai.usage.cache_write.input_tokens": 0,
        "gen_ai.usage.reasoning.output_tokens": 0,
        "gen_ai.usage.cost.amount": float(body["usage"]["cost_usd"]),
        "gen_ai.usage.cost.currency": "USD",
        "gen_ai.usage.cost.source": "local",
        "gen_ai.conversation.id": "conv-trace",
        "gen_ai.workflow.name": "chat",
        "gen_ai.agent.name": "chat",
        "spanledger.message.id": body["message_id"],
        "spanledger.correlation.id": body["correlation_id"],
        "spanledger.attempt": 1,
        "user.id": "user-2",
    }
    assert call.resource["service.name"] == "spanledger"


def test_every_span_and_log_record_carries_the_ids(service: ChatService, client: httpx.Client) -> None:
    send(client, "conv-ids", "what is 3*4? also 5 km in miles", user_id="user-3", workflow="assistant")
    sink = service.flush()

    assert {name: span.attributes.keys() >= IDS for span in sink.spans for name in [span.name]} == dict.fromkeys(
        (span.name for span in sink.spans), True
    )
    assert sink.logs
    assert all(entry.attributes.keys() >= IDS for entry in sink.logs)
    assert {entry.trace_id for entry in sink.logs} == {sink.spans[0].trace_id}


def test_the_assistant_calls_its_tools_and_answers_with_what_they_found(
    service: ChatService, client: httpx.Client
) -> None:
    body = send(client, "conv-tools", "what is 12*7, and 10 km in miles?", workflow="assistant")
    sink = service.flush()

    assert "84" in body["content"]
    assert "6.213712 mi" in body["content"]
    assert body["usage"]["llm_calls"] == 2
    nodes = [s.attributes["spanledger.node.name"] for s in sink.spans if "spanledger.node.name" in s.attributes]
    assert sorted(nodes) == ["model", "model", "tools"]
    for name in ("calculator", "convert_units"):
        tool = sink.one(f"execute_tool {name}")
        assert sink.line(tool)[-3:] == ["assistant", "tools", f"execute_tool {name}"]
        assert tool.attributes["gen_ai.tool.name"] == name
        assert tool.attributes["gen_ai.operation.name"] == "execute_tool"
    assert sum(s.attributes["gen_ai.usage.input_tokens"] for s in calls(sink)) == body["usage"]["input_tokens"]
    assert sum(s.attributes["gen_ai.usage.output_tokens"] for s in calls(sink)) == body["usage"]["output_tokens"]


def test_a_failing_tool_is_told_to_the_model_and_does_not_end_the_workflow(
    service: ChatService, client: httpx.Client
) -> None:
    body = send(client, "conv-toolfail", "what is 1/0?", workflow="assistant")
    tool = service.flush().one("execute_tool calculator")

    assert "division by zero" in body["content"]
    assert tool.status == 2
    assert tool.attributes["error.type"] == "invalid_arguments"


def test_a_streamed_answer_is_deltas_closed_by_the_message(service: ChatService, client: httpx.Client) -> None:
    response = client.post(
        "/v1/conversations/conv-sse/messages", json={"content": "tell me in 30 words", "stream": True}
    )

    assert response.headers["content-type"].startswith("text/event-stream")
    *deltas, (last, message) = events_of(response.text)
    assert {name for name, _ in deltas} == {"delta"}
    assert len(deltas) > 5
    assert last == "message"
    assert "".join(data["content"] for _, data in deltas) == message["content"]
    call = service.flush().one("chat small")
    assert call.attributes["gen_ai.request.stream"] is True
    assert call.attributes["gen_ai.response.time_to_first_chunk"] > 0
    assert call.attributes["gen_ai.usage.output_tokens"] == message["usage"]["output_tokens"]
    assert "spanledger.usage.estimated" not in call.attributes


def test_a_streamed_assistant_loops_through_its_tools(service: ChatService, client: httpx.Client) -> None:
    response = client.post(
        "/v1/conversations/conv-sse-tools/messages",
        json={"content": "what is 6*7?", "stream": True, "workflow": "assistant"},
    )

    _, message = events_of(response.text)[-1]
    assert "42" in message["content"]
    assert message["usage"]["llm_calls"] == len(calls(service.flush())) == 2


def test_a_conversation_remembers_and_its_prompts_grow(service: ChatService, client: httpx.Client) -> None:
    inputs = [send(client, "conv-memory", "and then?")["usage"]["input_tokens"] for _ in range(3)]

    assert inputs[0] < inputs[1] < inputs[2]


def test_a_conversation_may_change_its_workflow(service: ChatService, client: httpx.Client) -> None:
    first = send(client, "conv-switch", "what is 2*3?", workflow="assistant")
    second = send(client, "conv-switch", "thanks", workflow="chat")

    assert second["usage"]["input_tokens"] > first["usage"]["output_tokens"]


def test_messages_sent_at_once_to_one_conversation_are_answered_one_after_the_other(
    service: ChatService, client: httpx.Client
) -> None:
    async def burst() -> list[int]:
        async with httpx.AsyncClient(base_url=service.url, timeout=30) as http:
            import asyncio

            answers = await asyncio.gather(
                *(http.post("/v1/conversations/conv-burst/messages", json={"content": "same"}) for _ in range(5))
            )
            return [answer.json()["usage"]["input_tokens"] for answer in answers]

    inputs = service.do(burst())
    assert len(set(inputs)) == 5


@pytest.mark.parametrize("conversation", ["a/b", "50%25", "ä ö", "x" * 256, "'; DROP", "a\x00b", "..%2F"])
def test_any_id_works(service: ChatService, client: httpx.Client, conversation: str) -> None:
    from urllib.parse import quote

    assert send(client, quote(conversation, safe=""), "hi")["conversation_id"] == conversation
    sink = service.flush()
    assert {span.attributes["gen_ai.conversation.id"] for span in sink.spans} == {conversation}
    assert "POST /v1/conversations/{conversation_id}/messages" in {span.name for span in sink.spans}


def test_a_caller_may_bring_its_correlation_id_and_trace(service: ChatService, client: httpx.Client) -> None:
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    response = client.post(
        "/v1/conversations/conv-corr/messages",
        json={"content": "hi"},
        # Not sampled by the caller: usage is kept all the same.
        headers={"X-Correlation-ID": "order-4711", "traceparent": f"00-{trace_id}-b7ad6b7169203331-00"},
    )

    assert response.headers["x-correlation-id"] == response.json()["correlation_id"] == "order-4711"
    assert response.json()["trace_id"] == trace_id
    assert response.headers["traceresponse"].split("-")[1] == trace_id
    assert service.flush().one("chat small").trace_id == trace_id


@pytest.mark.parametrize("unusable", ["x" * 257, "tab\tinside"])
def test_an_unusable_correlation_id_is_replaced(client: httpx.Client, unusable: str) -> None:
    response = client.get("/v1/models", headers={"X-Correlation-ID": unusable})

    assert re.fullmatch(r"[0-9a-f-]{36}", response.headers["x-correlation-id"])


def test_content_stays_out_of_spans_and_logs(service: ChatService, client: httpx.Client) -> None:
    body = send(client, "conv-private", "my secret is zanzibar, what is 5*5?", workflow="assistant")
    sink = service.flush()

    told = json.dumps([span.attributes for span in sink.spans]) + json.dumps(
        [(entry.body, entry.attributes) for entry in sink.logs]
    )
    assert "zanzibar" not in told
    assert body["content"] not in told


def test_reads_leave_no_trace(service: ChatService, client: httpx.Client) -> None:
    response = client.get("/v1/models")

    assert response.status_code == 200
    assert service.flush().spans == []


def test_the_client_metrics_count_calls_and_tokens(service: ChatService, client: httpx.Client) -> None:
    send(client, "conv-metrics", "hello", model="offline/reasoner")
    metrics = service.flush().metrics

    labels, duration = next(
        (labels, point)
        for labels, point in metrics["gen_ai.client.operation.duration"]
        if labels["gen_ai.request.model"] == "reasoner"
    )
    assert labels["gen_ai.provider.name"] == "offline"
    assert duration.count == 1
    kinds = {
        labels["gen_ai.token.type"]
        for labels, _ in metrics["gen_ai.client.token.usage"]
        if labels["gen_ai.request.model"] == "reasoner"
    }
    assert kinds == {"input", "output"}
