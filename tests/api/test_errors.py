"""What callers get for input that cannot be used: the right status, one shape, nothing of the inside."""

import json
import logging
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from chat_service import ChatService
from spanledger.errors import BadRequest, EngineError, SchemaError, SettingsError, SpanledgerError, public_message

MESSAGES = "/v1/conversations/conv/messages"
COMPLETIONS = "/v1/chat/completions"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChatService]:
    with ChatService(tmp_path_factory.mktemp("errors")) as running:

        @running.app.get("/boom")
        def boom() -> None:
            raise RuntimeError("the inside: /etc/secret")

        @running.app.get("/broken/{kind}")
        def broken(kind: str) -> None:
            raise PRIVATE[kind]("Code: 60. DB::Exception: Unknown table default.x at /srv/data (UNKNOWN_TABLE)")

        yield running


# Errors whose messages are for the log and the operator's terminal.
PRIVATE: dict[str, type[SpanledgerError]] = {kind.__name__: kind for kind in (EngineError, SchemaError, SettingsError)}


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


@pytest.mark.parametrize("kind", PRIVATE)
def test_words_of_the_engine_and_of_this_machine_are_told_to_the_log_alone(
    service: ChatService, client: httpx.Client, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        response = client.get(f"/broken/{kind}")

    check(response, PRIVATE[kind].status, "the log says")
    assert "/srv/data" not in response.text
    assert "Exception" not in response.text
    assert "/srv/data" in caplog.text


def test_every_way_to_a_caller_hears_the_same() -> None:
    assert "/srv" not in public_message(EngineError("Code: 1. /srv"))
    assert public_message(KeyError("/srv")) == "an error inside (KeyError); the log holds it"
    assert public_message(BadRequest("name it")) == "name it"


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


USER = {"role": "user", "content": "x"}
SHAPES: dict[str, Any] = {  # by where the error must be said to be
    "body.messages.0": {"messages": [{"role": "user"}]},
    "body.messages.0.content": {"messages": [{"role": "user", "content": 5}]},
    "body.messages.0.content.0": {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
    "body.messages.0.content.0.text": {"messages": [{"role": "user", "content": [{"type": "text", "text": 5}]}]},
    "body.messages.0.content.1": {
        "messages": [{"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "image_url"}]}]
    },
    "body.messages.0.tool_calls": {"messages": [{"role": "assistant", "tool_calls": 5}]},
    "body.messages.0.tool_calls.0": {"messages": [{"role": "assistant", "tool_calls": [{"id": "a"}]}]},
    "body.messages.0.tool_call_id": {"messages": [{"role": "tool", "content": "x", "tool_call_id": 5}]},
    "body.tools": {"messages": [USER], "tools": "x"},
    "body.tools.0": {"messages": [USER], "tools": [{"type": "function"}]},
    "body.tools.0.type": {"messages": [USER], "tools": [{}]},
    "body.tools.0.function.name": {"messages": [USER], "tools": [{"type": "function", "function": {"name": 5}}]},
    "body.tools.0.function.parameters.properties": {
        "messages": [USER],
        "tools": [{"type": "function", "function": {"name": "a", "parameters": {"properties": 5}}}],
    },
    "body.tool_choice": {"messages": [USER], "tool_choice": 5},
    "body.functions": {"messages": [USER], "functions": 5},
    "body.response_format": {"messages": [USER], "response_format": {"type": "json_schema"}},
    "body.response_format.json_schema.schema": {
        "messages": [USER],
        "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": 5}},
    },
    "body.logit_bias.7": {"messages": [USER], "logit_bias": {"7": 101}},
    "body.seed": {"messages": [USER], "seed": 2**64},
    "body.max_tokens": {"messages": [USER], "max_tokens": 10**30},
    "body.parallel_tool_calls": {"messages": [USER], "parallel_tool_calls": "perhaps"},
    "body.web_search_options": {"messages": [USER], "web_search_options": 5},
    "body.reasoning_effort": {"messages": [USER], "reasoning_effort": 5},
    "body.prediction": {"messages": [USER], "prediction": 5},
}


@pytest.mark.parametrize("where", SHAPES)
def test_a_completion_of_another_shape_is_refused_with_its_place(client: httpx.Client, where: str) -> None:
    problem = check(client.post(COMPLETIONS, json={"model": "offline/small"} | SHAPES[where]), 422)

    assert {told.partition(": ")[0] for told in problem["detail"].split("; ")} == {where}


ITEMS: dict[str, Any] = {
    "body.input.0": {"input": [{}]},
    "body.input.0.content": {"input": [{"role": "user", "content": 5}]},
    "body.input.0.content.0.type": {"input": [{"role": "user", "content": [{"type": "zz"}]}]},
    "body.input.0.type": {"input": [{"type": "item_reference", "id": "x"}]},
    "body.input.1": {"input": [{"role": "user", "content": "x"}, {"type": "function_call"}]},
    "body.input.0.output": {"input": [{"type": "function_call_output", "call_id": "a", "output": 5}]},
    "body.tools.0": {"input": "x", "tools": [{"type": "function"}]},
    "body.tools.0.type": {"input": "x", "tools": [{"type": "image_generation"}]},
    "body.text": {"input": "x", "text": 5},
    "body.text.format.type": {"input": "x", "text": {"format": {}}},
    "body.reasoning": {"input": "x", "reasoning": 5},
    "body.include": {"input": "x", "include": 5},
    "body.service_tier": {"input": "x", "service_tier": 5},
    "body.max_output_tokens": {"input": "x", "max_output_tokens": 10**30},
    "body.store": {"input": "x", "store": "perhaps"},
}


@pytest.mark.parametrize("where", ITEMS)
def test_a_response_of_another_shape_is_refused_with_its_place(client: httpx.Client, where: str) -> None:
    problem = check(client.post("/v1/responses", json={"model": "offline/small"} | ITEMS[where]), 422)

    assert {told.partition(": ")[0] for told in problem["detail"].split("; ")} == {where}


@pytest.mark.parametrize("more", [{"conversation": {}}, {"previous_response_id": ""}, {"prompt": {"id": "x"}}])
def test_what_needs_answers_that_are_kept_is_never_dropped(client: httpx.Client, more: dict[str, Any]) -> None:
    check(client.post("/v1/responses", json={"input": "x", **more}), 422, "kept between requests")


@pytest.mark.parametrize(
    ("path", "body", "detail"),
    [
        ("/v1/completions", {"prompt": 5}, "body.prompt"),
        ("/v1/completions", {"prompt": [[1, 2]]}, "body.prompt"),
        (COMPLETIONS, {"messages": [USER], "stop": ["a"] * 5}, "body.stop"),
    ],
)
def test_the_place_of_an_error_holds_no_names_of_validators(
    client: httpx.Client, path: str, body: dict[str, Any], detail: str
) -> None:
    problem = check(client.post(path, json=body), 422, detail)

    assert "function" not in problem["detail"]
    assert "list[" not in problem["detail"]
    assert " at 0x" not in problem["detail"]


SCHEMAS: list[dict[str, Any]] = [
    {"required": ["a", "b"], "properties": {"a": {"type": ["string", "null"]}, "b": True}},
    {"required": ["a"], "properties": {"a": {"enum": "x"}}},
    {"required": ["a"]},
]


@pytest.mark.parametrize("schema", SCHEMAS)
def test_schemas_of_tools_that_models_take_are_taken(client: httpx.Client, schema: dict[str, Any]) -> None:
    tool = {"type": "function", "function": {"name": "find_it", "parameters": schema}}
    body = {"model": "offline/small", "messages": [{"role": "user", "content": "find_it please"}], "tools": [tool]}
    answer = client.post(COMPLETIONS, json=body)

    assert answer.status_code == 200, answer.text
    (call,) = answer.json()["choices"][0]["message"]["tool_calls"]
    assert set(json.loads(call["function"]["arguments"])) == set(schema["required"])


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
