"""One system as several processes over one server: door and settlement, chat, API, each with its role."""

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from otlp_make import trace_request
from spanledger import settings
from spanledger.errors import SettingsError
from spanledger.runtime.checks import check_roles
from spanledger.store.client import Store
from system import WITHOUT_CHAT, System

TIMEOUT_S = 60.0
TRACES, GROWN = 40, 25
CALL = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.usage.input_tokens": 8,
    "gen_ai.usage.output_tokens": 2,
    "gen_ai.conversation.id": "growing",
    "user.id": "grower",
}


@dataclass(frozen=True)
class Apart:
    """Parts in processes of their own; both that settle have an API, to ask them."""

    door: System
    chat: System
    api: System


@pytest.fixture(scope="module")
def apart(server_url: str, remote: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apart]:
    folder = tmp_path_factory.mktemp("apart")
    made = Apart(
        System(folder / "door", clickhouse_url=server_url, roles=WITHOUT_CHAT),
        System(folder / "chat", clickhouse_url=server_url, roles="chat"),
        System(folder / "api", clickhouse_url=server_url, roles="settle,api"),
    )
    all_ = (made.door, made.chat, made.api)
    often = {"SPANLEDGER_SETTLE_INTERVAL_MS": "20"}
    try:
        made.door.start(**often)
        made.chat.start(SPANLEDGER_OTLP_ENDPOINT=f"http://127.0.0.1:{made.door.otlp_port}")
        made.api.start(**often)
        yield made
    finally:
        codes = [each.stop() for each in reversed(all_) if each.process is not None]
    assert codes == [0, 0, 0]
    assert not any("Traceback" in each.stderr() for each in all_)


def test_parts_that_run_apart_make_one_system(apart: Apart) -> None:
    said = apart.chat.post("/v1/conversations/apart/messages", {"content": "hello", "user_id": "ada"})
    booked = _booked(apart.api, said["message_id"])
    assert booked["usage"]["total_tokens"] == said["usage"]["total_tokens"] > 0
    assert booked["usage"]["cost_usd"] == said["usage"]["cost_usd"]
    assert apart.api.get("audit")["balanced"]
    assert apart.api.request("POST", "/v1/conversations/apart/messages", b"{}")[0] in (404, 405)
    assert apart.chat.request("GET", "/v1/usage")[0] == 404
    assert {each.request("GET", "/readyz")[0] for each in (apart.chat, apart.api)} == {200}


def test_two_processes_that_settle_one_server_count_every_call_once(apart: Apart, remote: Store) -> None:
    """Traces that grow call by call while both look at them."""
    traces = [os.urandom(16) for _ in range(TRACES)]
    ends, grown = time.monotonic() + TIMEOUT_S, 0
    while grown < GROWN or not all(_settlement(each)["runs"] for each in (apart.door, apart.api)):
        assert time.monotonic() < ends, "one of them never found anything to settle"
        request = trace_request()
        for trace in traces:
            told = {**CALL, "gen_ai.response.id": f"{trace.hex()}-{grown}"}
            request.MergeFrom(trace_request({"attributes": told}, trace_id=trace))
        body, port = request.SerializeToString(), apart.door.otlp_port
        assert apart.door.request("POST", "/v1/traces", body, port, Content_Type="application/x-protobuf")[0] == 200
        grown += 1
    apart.door.post("/v1/flush", {})
    _until_settled(remote)
    calls = TRACES * grown
    for table in ("ledger", "message_usage", "conversation_usage", "user_usage_1h"):
        sums = f"SELECT sum(llm_calls), sum(input_tokens), sum(output_tokens) FROM {table} WHERE user_id = 'grower'"
        assert remote.query(sums) == [(calls, 8 * calls, 2 * calls)], table
    assert remote.scalar("SELECT sum(llm_calls) FROM usage_1m WHERE service = 'test'") == calls
    assert apart.api.get("audit")["balanced"]
    assert [_settlement(each)["failures"] for each in (apart.door, apart.api)] == [0, 0]


def _settlement(part: System) -> dict[str, int]:
    said: dict[str, int] = part.request("GET", "/readyz")[2]["settlement"]
    return said


def _until_settled(store: Store) -> None:
    """Both settlers' work: what one has in hand may be posted twice until it is through and has said so."""
    pause, ends = threading.Event(), time.monotonic() + TIMEOUT_S
    queued = "SELECT trace_id FROM settle_queue GROUP BY tenant, trace_id HAVING sum(pending) != 0 LIMIT 1"
    while store.query("SELECT 1 FROM settle_work LIMIT 1") or store.query(queued):
        assert time.monotonic() < ends, "traces are left in the queue"
        pause.wait(0.05)


def _booked(api: System, message_id: str) -> dict[str, dict[str, object]]:
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        status, _, body = api.request("GET", f"/v1/messages/{message_id}")
        if status == 200 and body["usage"]["llm_calls"]:
            found: dict[str, dict[str, object]] = body
            return found
        assert time.monotonic() < deadline, body


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"roles": "api,web"}, "'web' is none; there are ingest, settle, chat, api"),
        ({"roles": "api"}, "give a server with --clickhouse-url"),
        ({"roles": "chat,api", "clickhouse_url": "http://127.0.0.1:1/x"}, "SPANLEDGER_OTLP_ENDPOINT"),
    ],
)
def test_roles_that_cannot_work_are_refused(flags: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        check_roles(settings.load({}, **flags))
