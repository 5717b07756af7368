"""What was just written is answered, and every answer of figures says how fresh it is."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from otlp_make import trace_request
from spanledger.stats.times import parse_time
from system import System


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    running = System(tmp_path_factory.mktemp("fresh") / "data").start()
    yield running
    assert running.stop() == 0


def export(system: System, conversation: str) -> None:
    """One call of another application, acknowledged and not waited for."""
    now = time.time_ns()
    attributes = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o-mini", "user.id": conversation}
    attributes |= {"gen_ai.conversation.id": conversation}
    usage = {"gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 7}
    span = {"start_time_unix_nano": now - 10**6, "end_time_unix_nano": now, "attributes": {**attributes, **usage}}
    body = trace_request(span).SerializeToString()
    assert system.request("POST", "/v1/traces", body, system.otlp_port, Content_Type="application/x-protobuf")[0] == 200


def test_a_reply_is_found_by_its_id_at_once_and_says_the_same(system: System) -> None:
    for number in range(3):
        reply = system.post(f"/v1/conversations/c{number}/messages", {"content": "hello", "user_id": "ann"})
        found = system.get("messages", reply["message_id"])
        assert found["state"] in {"settled", "pending"}
        assert (found["trace_id"], found["user_id"], found["usage"]) == (reply["trace_id"], "ann", reply["usage"])


def test_what_was_acknowledged_is_answered_and_not_unknown(system: System) -> None:
    for number in range(3):
        export(system, f"foreign-{number}")
        found = system.get("conversations", f"foreign-{number}", wait="settled")
        assert found["usage"]["total_tokens"] == 17


def test_who_waits_reads_his_own_writes(system: System) -> None:
    for number in range(1, 4):
        export(system, "waiting")
        assert system.get("users", "waiting", "usage", wait="settled")["usage"]["total_tokens"] == 17 * number
        assert system.get("usage", wait="settled", user="waiting")["usage"]["llm_calls"] == number


def test_answers_of_figures_say_how_fresh_they_are(system: System) -> None:
    export(system, "dated")
    for path in ("/v1/usage", "/v1/users/dated/usage", "/v1/conversations/dated", "/v1/realtime", "/v1/conversations"):
        status, headers, answer = system.request("GET", path + "?wait=settled")
        assert (status, int(headers["x-books-lag"]) >= 0) == (200, True), path
        if "as_of" in answer:
            assert abs(parse_time(answer["as_of"]) - time.time_ns()) < 60 * 10**9
    assert "as_of" in system.get("usage")


def test_an_unknown_id_is_still_unknown(system: System) -> None:
    assert system.request("GET", "/v1/messages/never")[0] == 404
    assert system.request("GET", "/v1/conversations/never")[0] == 404
    assert system.request("GET", "/v1/usage?wait=forever")[0] == 422


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "hello"}]}),
        ("/v1/responses", {"input": "hello"}),
        ("/v1/completions", {"prompt": "hello"}),
    ],
)
def test_an_answer_is_found_by_the_id_that_openais_clients_get(system: System, path: str, asked: Any) -> None:
    answer = system.post(path, {"model": "offline/small", "user": "finder", **asked})
    pending = system.get("messages", answer["id"])
    settled = system.get("messages", answer["id"], wait="settled")
    assert pending["message_id"] == settled["message_id"] != answer["id"]
    assert (settled["state"], settled["user_id"], settled["usage"]["llm_calls"]) == ("settled", "finder", 1)
    status, _, _ = system.request("GET", f"/v1/messages/{answer['id'][:-1]}/evaluations")
    assert status == 404
    assert system.get("messages", answer["id"], "evaluations")["message_id"] == settled["message_id"]
