"""Idempotency keys, what limits leave, ids of responses, and the text of an answer read again."""

import json
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import pytest

from guarded import Caller
from system import System
from tenants import ask, own_tenant


@pytest.fixture(scope="module")
def tenant(system: System) -> Iterator[Caller]:
    with own_tenant(system) as caller:
        yield caller


@pytest.fixture
def name() -> str:
    return f"r-{uuid.uuid4().hex[:10]}"


def post(caller: Caller, path: str, body: Any, **headers: str) -> tuple[int, dict[str, str], Any]:
    given = {"Content-Type": "application/json", **caller.headers, **headers}
    status, got, answer = caller.system.request("POST", path, json.dumps(body).encode(), **given)
    return status, {key.lower(): value for key, value in got.items()}, answer


def calls(caller: Caller, conversation: str) -> int:
    caller.flush()
    found: int = caller.get("conversations", conversation)["usage"]["llm_calls"]
    return found


def test_the_same_key_and_request_are_answered_once(tenant: Caller, name: str) -> None:
    path, key = f"/v1/conversations/{name}/messages", f"k-{name}"
    status, headers, first = post(tenant, path, {"content": "hello", "user_id": "ann"}, Idempotency_Key=key)
    assert status == 200
    assert "idempotency-replayed" not in headers
    status, headers, again = post(tenant, path, {"user_id": "ann", "content": "hello"}, Idempotency_Key=key)
    assert (status, headers["idempotency-replayed"], again) == (200, "true", first)
    status, _, problem = post(tenant, path, {"content": "hello!", "user_id": "ann"}, Idempotency_Key=key)
    assert (status, problem["title"]) == (422, "Idempotency key reused")
    elsewhere = f"/v1/conversations/{name}-2/messages"
    assert post(tenant, elsewhere, {"content": "hello", "user_id": "ann"}, Idempotency_Key=key)[0] == 422
    assert calls(tenant, name) == 1


def test_requests_at_the_same_time_share_one_run(tenant: Caller, name: str) -> None:
    path = f"/v1/conversations/{name}/messages"
    with ThreadPoolExecutor(5) as pool:
        found = list(
            pool.map(lambda _: post(tenant, path, {"content": "all at once"}, Idempotency_Key=f"k-{name}"), range(5))
        )
    assert {status for status, _, _ in found} == {200}
    assert len({answer["message_id"] for _, _, answer in found}) == 1
    assert calls(tenant, name) == 1


def test_a_refused_request_is_not_kept(tenant: Caller, name: str) -> None:
    path = f"/v1/conversations/{name}/messages"
    body = {"content": "hi", "workflow": "no-such-workflow"}
    assert [post(tenant, path, body, Idempotency_Key=f"k-{name}")[0] for _ in range(2)] == [422, 422]
    assert post(tenant, path, {"content": "hi"}, Idempotency_Key=f"k-{name}")[0] == 200


def test_a_key_belongs_to_its_tenant(system: System, tenant: Caller, name: str) -> None:
    body = {"messages": [{"role": "user", "content": "hello"}]}
    _, _, first = post(tenant, "/v1/chat/completions", body, Idempotency_Key=name)
    _, headers, again = post(tenant, "/v1/chat/completions", body, Idempotency_Key=name)
    assert headers["idempotency-replayed"] == "true"
    assert again == first
    with own_tenant(system) as other:
        status, headers, answer = post(other, "/v1/chat/completions", body, Idempotency_Key=name)
        assert status == 200
        assert "idempotency-replayed" not in headers
        assert answer["id"] != first["id"]


def test_a_key_with_a_stream_is_refused(tenant: Caller, name: str) -> None:
    body = {"messages": [{"role": "user", "content": "hello"}], "stream": True}
    status, _, problem = post(tenant, "/v1/chat/completions", body, Idempotency_Key=name)
    assert (status, "streamed" in problem["detail"]) == (422, True)


OPENAI = {
    "chat/completions": {"messages": [{"role": "user", "content": "hello"}]},
    "responses": {"input": "hello"},
    "completions": {"prompt": "hello"},
    "embeddings": {"input": "hello", "model": "offline/embed"},
}


@pytest.mark.parametrize("path", OPENAI)
def test_openais_paths_answer_the_same_key_once(tenant: Caller, name: str, path: str) -> None:
    asked = {**OPENAI[path], "user": name}
    status, _, first = post(tenant, f"/v1/{path}", asked, Idempotency_Key=name)
    assert status == 200
    _, headers, again = post(tenant, f"/v1/{path}", asked, Idempotency_Key=name)
    assert (headers["idempotency-replayed"], again) == ("true", first)
    assert post(tenant, f"/v1/{path}", {**asked, "user": "other"}, Idempotency_Key=name)[0] == 422
    tenant.flush()
    assert tenant.get("usage", user=name)["usage"]["llm_calls"] == 1


def test_a_success_tells_what_the_limits_leave(system: System, name: str) -> None:
    with own_tenant(system) as tenant:
        body = {"messages": [{"role": "user", "content": "hello"}]}
        assert not any(header.startswith("x-ratelimit") for header in post(tenant, "/v1/chat/completions", body)[1])
        limit = {"scope": "tenant", "requests_per_minute": 50, "tokens_per_day": 100_000}
        assert tenant.call("PUT", f"/v1/limits/{name}", limit)[0] == 200
        _, headers, answer = post(tenant, "/v1/chat/completions", body)
        assert (headers["x-ratelimit-limit-requests"], headers["x-ratelimit-remaining-requests"]) == ("50", "49")
        assert headers["x-ratelimit-limit-tokens"] == "100000"
        left = 100_000 - int(headers["x-ratelimit-remaining-tokens"])
        assert left >= answer["usage"]["total_tokens"]
        assert headers["x-ratelimit-reset-requests"].endswith("s")
        _, headers, _ = post(tenant, f"/v1/conversations/{name}/messages", {"content": "hi"})
        assert headers["x-ratelimit-remaining-requests"] == "48"
        _, headers, _ = post(tenant, "/v1/chat/completions", {**body, "stream": True})
        assert headers["x-ratelimit-remaining-requests"] == "47"
        for number, (path, asked) in enumerate(OPENAI.items()):
            assert post(tenant, f"/v1/{path}", asked)[1]["x-ratelimit-remaining-requests"] == str(46 - number)
        _, headers, _ = post(tenant, "/v1/completions", {"prompt": "hello", "stream": True})
        assert headers["x-ratelimit-remaining-requests"] == "42"
        assert tenant.call("DELETE", f"/v1/limits/{name}")[0] == 204


@pytest.mark.parametrize("settled", [False, True])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses"])
def test_feedback_and_evaluations_take_the_id_of_a_response(tenant: Caller, path: str, settled: bool) -> None:
    asked = "hello" if path == "/v1/responses" else [{"role": "user", "content": "hello"}]
    body = {"input" if path == "/v1/responses" else "messages": asked}
    _, _, answer = post(tenant, path, body)
    if settled:  # the books know it by their own means
        tenant.flush()
    subject = f"/v1/messages/{quote(answer['id'], safe='')}"
    status, given = tenant.call("POST", f"{subject}/feedback", {"rating": 1})
    assert status == 202, given
    tenant.flush()
    assert tenant.get("messages", given["message_id"], "feedback")["score"] == 1.0
    assert tenant.get("messages", answer["id"], "feedback")["score"] == 1.0
    rule = {"check": {"kind": "length", "min": 1}}
    assert tenant.call("PUT", "/v1/evaluators/says-something", rule)[0] == 200
    evaluated = {"evaluators": ["says-something"], "answer": "hello"}
    assert tenant.call("POST", f"{subject}/evaluations", evaluated)[0] == 200
    assert tenant.call("POST", "/v1/messages/chatcmpl-nobodys/feedback", {"rating": 1})[0] == 404


def test_the_words_of_a_message_can_be_read_again(tenant: Caller, name: str) -> None:
    first = ask(tenant, name, "What is a ledger?")
    second = ask(tenant, name, "And a journal?")
    for sent, words in ((first, "What is a ledger?"), (second, "And a journal?")):
        found = tenant.get("messages", sent["message_id"])
        assert (found["question"], found["content"]) == (words, sent["content"])


def test_a_jobs_answer_can_be_read(tenant: Caller) -> None:
    status, job = tenant.call("POST", "/v1/jobs", {"content": "What is a ledger?"})
    assert status == 202
    assert job["answer"] is None
    while (found := tenant.get("jobs", job["job_id"]))["state"] in ("waiting", "running"):
        tenant.flush()
    assert found["state"] == "succeeded"
    assert found["answer"]
