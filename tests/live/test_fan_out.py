"""Spans of another replica, fanned out by a Collector, in the stream of this one."""

import os
import time
from collections.abc import Iterator
from typing import Any

import pytest

from otlp_make import trace_request
from spanledger.live.fanned import Fanned
from sse import Reader
from system import WITHOUT_CHAT, System

PATH = "/v1/live/v1/traces"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    running = System(tmp_path_factory.mktemp("replica") / "data", roles=WITHOUT_CHAT).start(
        SPANLEDGER_CANARY_INTERVAL_S="0"
    )
    yield running
    assert running.stop() == 0


def run_of(conversation: str, **resource: Any) -> bytes:
    """A run with one call of a model, as another process of the service exports it."""
    ids = {"gen_ai.conversation.id": conversation, "spanledger.message.id": f"m-{conversation}"}
    at, top = time.time_ns(), os.urandom(8)
    call = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.usage.input_tokens": 7,
        "gen_ai.usage.output_tokens": 2,
        "gen_ai.response.finish_reasons": ["stop"],
    }
    return trace_request(
        {
            "name": "chat gpt",
            "parent_span_id": top,
            "start_time_unix_nano": at + 1_000,
            "end_time_unix_nano": at + 2_000,
            "attributes": {**ids, **call},
        },
        {
            "name": "invoke_workflow chat",
            "span_id": top,
            "start_time_unix_nano": at,
            "end_time_unix_nano": at + 3_000,
            "attributes": {**ids, "gen_ai.operation.name": "invoke_workflow"},
        },
        resource={"service.name": "spanledger", "service.instance.id": "another-1", **resource},
    ).SerializeToString()


def post(api: System, body: bytes) -> int:
    return api.request("POST", PATH, body, Content_Type="application/x-protobuf")[0]


def test_another_replicas_runs_are_told_here_and_stored_elsewhere(api: System) -> None:
    with Reader(api.port, "/v1/events?conversation_id=conv-fanned") as reader:
        assert post(api, run_of("conv-fanned")) == 200
        told = reader.until_type("workflow_completed")
    api.post("/v1/flush", {})

    assert [event.type for event in told] == ["workflow_started", "model_response", "workflow_completed"]
    assert told[1].data["finish_reason"] == "stop"
    assert told[2].data["tokens"] == 9
    assert api.request("GET", "/v1/conversations/conv-fanned")[0] == 404


def test_other_services_and_other_tenants_are_not_told(api: System) -> None:
    with Reader(api.port, "/v1/events?type=workflow_completed") as reader:
        assert post(api, run_of("conv-shop", **{"service.name": "shop"})) == 200
        assert post(api, run_of("conv-theirs", **{"spanledger.tenant": "theirs"})) == 200
        assert post(api, run_of("conv-ours")) == 200
        told = reader.until_type("workflow_completed")

    assert [event.data["conversation_id"] for event in told] == ["conv-ours"]


@pytest.mark.parametrize("body", [b"not protobuf", b"\x0a\xff\xff\xff\xff\x0f"])
def test_what_is_no_otlp_is_refused(api: System, body: bytes) -> None:
    assert post(api, body) == 400


def told_tenants(sender: str, *, resource: str = "", span: str = "") -> set[str]:
    """The tenants of the events of a span that names tenants itself."""
    own = {"spanledger.tenant": span} if span else {}
    body = trace_request(
        {"attributes": {"gen_ai.operation.name": "chat", **own}},
        resource={"service.name": "spanledger", **({"spanledger.tenant": resource} if resource else {})},
    )
    return {event.tenant for event in Fanned("spanledger", "this-one").events(body, sender)}


def test_what_a_key_sends_belongs_to_its_tenant_whatever_the_spans_say() -> None:
    assert told_tenants("default", span="theirs") == {"default"}
    assert told_tenants("default", resource="theirs") == {"default"}
    assert told_tenants("ours", resource="theirs", span="others") == {"ours"}
    assert told_tenants("ours") == {"ours"}


def test_the_operator_sends_for_every_tenant() -> None:
    assert told_tenants("", span="theirs") == {"theirs"}
    assert told_tenants("", resource="theirs") == {"theirs"}
    assert told_tenants("") == {"default"}


def test_a_process_does_not_tell_its_own_spans_twice() -> None:
    body = trace_request(
        {"attributes": {"gen_ai.operation.name": "chat"}},
        resource={"service.name": "spanledger", "service.instance.id": "this-one"},
    )

    assert Fanned("spanledger", "this-one").events(body, "") == []
    assert len(Fanned("spanledger", "another").events(body, "")) == 1
