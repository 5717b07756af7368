"""What callers get for input that cannot be used: the right status, one shape, nothing of the inside."""

import json
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from chat_service import ChatService

MESSAGES = "/v1/conversations/conv/messages"
COMPLETIONS = "/v1/chat/completions"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChatService]:
    with ChatService(tmp_path_factory.mktemp("errors")) as running:

        @running.app.get("/boom")
        def boom() -> None:
            raise RuntimeError("the inside: /etc/secret")

        yield running


@pytest.fixture
def client(service: ChatService) -> Iterator[httpx.Client]:
    service.flush().clear()
    with httpx.Client(base_url=service.url, timeout=30) as http:
        yield http


def check(response: httpx.Response, status: int, *words: str) -> dict[str, Any]:
    """It is a problem of that status whose detail has the words."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body.keys() >= {"type", "title", "status", "detail", "correlation_id"}
    assert body["status"] == status
    assert body["correlation_id"] == response.headers["x-correlation-id"]
    for word in words:
        assert word in body["detail"], body["detail"]
    assert "Traceback" not in response.text
    return body


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"content": ""}, 422, ["body.content", "empty"]),
        ({"content": " \n\t"}, 422, ["body.content", "empty"]),
        ({}, 422, ["body.content", "required"]),
        ({"content": 7}, 422, ["body.content", "string"]),
        ({"content": "x", "workflow": "nope"}, 422, ["nope", "chat, assistant"]),
        ({"content": "x", "model": "nope"}, 422, ["nope", "offline/small"]),
        ({"content": "x", "model": "offline/nope"}, 422, ["offline/nope", "offline/small"]),
        ({"content": "x", "model": ""}, 422, ["body.model"]),
        ({"content": "x", "user_id": ""}, 422, ["body.user_id"]),
        ({"content": "x", "user_id": "u" * 257}, 422, ["body.user_id", "256"]),
        ({"content": "x", "straem": True}, 422, ["body.straem"]),
        ({"content": "x", "fallbacks": ["a"] * 6}, 422, ["body.fallbacks"]),
        ({"content": "x" * 1_000_000}, 413, ["1,000,000", "524,288"]),
        ({"content": "ä" * 300_000}, 413, ["600,000"]),
        ([], 422, ["body"]),
        ("text", 422, ["body"]),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_message_that_cannot_be_used(
    client: httpx.Client, body: Any, status: int, words: list[str], stream: bool
) -> None:
    if isinstance(body, dict):
        body = body | {"stream": stream}
    check(client.post(MESSAGES, json=body), status, *words)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"{", 400),
        (b'{"content": "x"', 400),
        (b"\xff\xfe", 400),
        (b'{"content": "\\ud800"}', 422),
        (b'{"content": "\xff"}', 400),
        (b"[" * 100_000, 413),
        (b'{"content": ' + b"9" * 10_000 + b"}", 400),
        (b"x" * (8 * 1024 * 1024 + 1), 413),
    ],
)
def test_a_body_that_is_not_json(client: httpx.Client, body: bytes, status: int) -> None:
    check(client.post(MESSAGES, content=body, headers={"content-type": "application/json"}), status)


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_a_body_that_does_not_call_itself_json(client: httpx.Client, content_type: str) -> None:
    response = client.post(MESSAGES, content=b'{"content": "x"}', headers={"content-type": content_type})

    check(response, 415, "application/json")


@pytest.mark.parametrize("path", ["%ff", "a%C3", "%ed%a0%80"])
def test_an_id_that_is_not_utf8(client: httpx.Client, path: str) -> None:
    check(client.post(f"/v1/conversations/{path}/messages", json={"content": "x"}), 400, "UTF-8")


def test_an_id_that_is_too_long(client: httpx.Client) -> None:
    check(client.post(f"/v1/conversations/{'x' * 257}/messages", json={"content": "x"}), 422, "256")


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/nope", "/v1/conversations//messages", "/V1/models", "/v1/usage/"])
def test_an_unknown_route(client: httpx.Client, path: str) -> None:
    check(client.post(path, json={}), 404, path)


def test_a_wrong_method(client: httpx.Client) -> None:
    response = client.put("/v1/models")

    check(response, 405, "PUT")
    assert response.headers["allow"] == "GET"


def test_an_unexpected_error_says_nothing_of_the_inside_and_is_logged(
    service: ChatService, client: httpx.Client
) -> None:
    response = client.get("/boom", headers={"X-Correlation-ID": "find-me"})
    sink = service.flush()

    body = check(response, 500, "correlation id")
    assert body["correlation_id"] == "find-me"
    assert "secret" not in response.text
    (entry,) = [entry for entry in sink.logs if entry.severity == "ERROR"]
    assert entry.attributes["spanledger.correlation.id"] == "find-me"
    assert "the inside" in entry.attributes["exception.stacktrace"]


def test_rejected_messages_call_no_model_and_later_ones_are_not_disturbed(
    service: ChatService, client: httpx.Client
) -> None:
    client.post(MESSAGES, json={"content": ""})
    client.post(MESSAGES, json={"content": "x", "model": "nope"})
    client.post(MESSAGES, json={"content": "x" * 1_000_000})
    assert service.flush().named("chat small") == []

    assert client.post(MESSAGES, json={"content": "fine"}).json()["usage"]["input_tokens"] == 8


@pytest.mark.parametrize(
    "body",
    [
        {"messages": []},
        {"messages": [{"content": "no role"}]},
        {"messages": "text"},
        {},
        {"messages": [{"role": "user", "content": "x"}], "stream_options": 7},
        {"messages": [{"role": "user", "content": "x"}], "fallbacks": "offline/small"},
    ],
)
def test_a_completion_that_cannot_be_used_is_also_an_openai_error(client: httpx.Client, body: Any) -> None:
    problem = check(client.post(COMPLETIONS, json=body), 422)

    assert problem["error"]["message"] == problem["detail"]
    assert problem["error"]["type"] == "invalid_request_error"


def test_ids_from_openai_clients_are_checked_too(client: httpx.Client) -> None:
    asked: dict[str, Any] = {"messages": [{"role": "user", "content": "x"}]}

    check(client.post(COMPLETIONS, json=asked, headers={"X-Conversation-ID": "x" * 257}), 422, "256")


@pytest.mark.parametrize(
    "more",
    [
        {"metadata": {"user_id": "\ud800"}},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "\udfff"}]}]},
        {"tools": [{"type": "function", "function": {"name": "\udc00"}}]},
    ],
)
def test_half_characters_are_refused_wherever_they_are(client: httpx.Client, more: dict[str, Any]) -> None:
    asked = json.dumps({"messages": [{"role": "user", "content": "x"}]} | more)

    check(client.post(COMPLETIONS, content=asked, headers={"content-type": "application/json"}), 422, "Unicode")


def test_a_client_that_breaks_off_its_request_hurts_nobody(service: ChatService, client: httpx.Client) -> None:
    address = urlsplit(service.url)
    with socket.create_connection((address.hostname or "", address.port or 0)) as raw:
        raw.sendall(b"POST " + MESSAGES.encode() + b' HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"cont')

    assert client.get("/v1/models").status_code == 200
    assert [entry for entry in service.flush().logs if entry.severity == "ERROR"] == []
