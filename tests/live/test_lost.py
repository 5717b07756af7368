"""A process that dies in the middle of runs: what the next one makes of them."""

import contextlib
import http.client
import json
from pathlib import Path
from typing import Any

from opentelemetry.trace import use_span

from provider_emulator import Emulator
from spanledger import telemetry
from spanledger.ingest.service import Ingest
from spanledger.live.lost import mark_lost
from spanledger.settings import Settings
from spanledger.store.client import Store
from spanledger.telemetry import GenAI
from sse import Reader
from system import System, free_port

CONVERSATION = "conv-lost"


def hang(system: System, conversation: str) -> contextlib.ExitStack:
    """A message whose provider never finishes, once its answer has begun; close it to leave."""
    connection = http.client.HTTPConnection("127.0.0.1", system.port, timeout=60)
    body = {"content": "count to five", "model": "openai/hangs", "stream": True, "user_id": "user-lost"}
    connection.request(
        "POST",
        f"/v1/conversations/{conversation}/messages",
        json.dumps(body),
        {"Content-Type": "application/json"},
    )
    response = connection.getresponse()
    while "three" not in response.readline().decode():
        pass
    client = contextlib.ExitStack()
    client.callback(connection.close)
    client.callback(response.close)
    return client


def test_runs_that_a_killed_process_left_end_as_abandoned(tmp_path: Path) -> None:
    with Emulator() as emulator:
        provider = {"OPENAI_BASE_URL": emulator.base_url, "OPENAI_API_KEY": "sk-test"}
        system = System(tmp_path / "data").start(SPANLEDGER_CANARY_INTERVAL_S="0", **provider)
        with Reader(system.port, "/v1/events?user_id=user-lost") as reader:
            streaming = hang(system, CONVERSATION)
            started = next(event for event in reader.until_type("workflow_started") if event.type == "workflow_started")
            assert system.get("realtime")["in_flight_workflows"] == 1
            system.flush()
            system.kill()
        streaming.close()

        system.start(SPANLEDGER_CANARY_INTERVAL_S="0", **provider)
        try:
            resumed = f"/v1/events?user_id=user-lost&last_event_id={started.id}"
            with Reader(system.port, resumed) as again:
                told = again.until_type("workflow_failed")
            system.flush()
            message = system.get("messages", started.data["message_id"])
            spans = system.get("traces", started.data["trace_id"])["spans"]
            in_flight = system.get("realtime")["in_flight_workflows"]
        finally:
            assert system.stop() == 0

    failed = next(event.data for event in told if event.type == "workflow_failed")
    assert failed["error"]["type"] == "abandoned"
    assert failed["priority"] == "high"
    assert failed["trace_id"] == started.data["trace_id"]
    assert failed["span_id"] == started.data["span_id"]  # what had happened inside finds its parent
    assert in_flight == 0
    assert message["status"] == "abandoned"
    assert message["conversation_id"] == CONVERSATION
    assert [span["name"] for span in spans] == ["invoke_workflow chat"]


class Heard:
    """A listener to telemetry that keeps the spans that ended."""

    failures = 0

    def __init__(self) -> None:
        self.ended_spans: list[Any] = []

    def started(self, span: Any, known: Any) -> None:
        pass

    def ended(self, span: Any) -> None:
        self.ended_spans.append(span)

    def recorded(self, record: Any) -> None:
        pass


def test_a_lost_run_is_ended_once_and_only_by_its_own_node(store: Store, data_dir: Path) -> None:
    ingest = Ingest(Settings(data_dir=data_dir, otlp_http_port=free_port(), otlp_grpc_port=0), store)
    ingest.start()
    try:
        before = telemetry.start(ingest.endpoint, instance="nodeA-1")
        with telemetry.ids.carry(tenant="lost-tenant", message_id="m-lost", workflow="chat"):
            span = before.tracer("test").start_span("invoke_workflow chat")  # it never ends
            with use_span(span):
                before.event("spanledger.workflow_started", "workflow started", {})
        with GenAI(before).workflow("whole"):
            before.event("spanledger.workflow_started", "workflow started", {})
        before.shutdown()

        after, heard = telemetry.start(ingest.endpoint, instance="nodeA-2"), Heard()
        after.listen(heard)
        found = []
        for node, instance in (("nodeA", "nodeA-1"), ("nodeB", "nodeB-1"), ("nodeA", "nodeA-2"), ("nodeA", "nodeA-3")):
            assert after.flush()
            assert ingest.flush(30)
            found.append(mark_lost(store, after, "spanledger", node, instance))
        after.shutdown()
    finally:
        ingest.stop()

    assert found == [0, 0, 1, 0]
    (ended,) = heard.ended_spans
    assert ended.context.span_id == span.get_span_context().span_id
    assert ended.attributes["spanledger.message.id"] == "m-lost"
    assert ended.attributes["spanledger.tenant"] == "lost-tenant"
    assert ended.attributes["error.type"] == "abandoned"
