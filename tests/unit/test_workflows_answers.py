"""The parts between a provider and a conversation: chunks put together, prompts chosen, errors mapped."""

from typing import Any

import pytest

from spanledger.workflows.assembly import assembled
from spanledger.workflows.graphs import PLANS, kept, prompt
from spanledger.workflows.litellm_errors import mapped
from spanledger.workflows.model import ModelError, UnknownModel


def chunk(delta: dict[str, Any], index: int = 0, finish: str | None = None) -> dict[str, Any]:
    return {"id": "c-1", "model": "m", "choices": [{"index": index, "delta": delta, "finish_reason": finish}]}


def test_text_and_reasoning_are_joined_per_choice() -> None:
    body = assembled(
        [
            chunk({"role": "assistant", "reasoning_content": "hm "}),
            chunk({"content": "a"}, index=1),
            chunk({"reasoning_content": "yes", "content": "b"}),
            chunk({"content": "c"}, finish="stop"),
            chunk({}, index=1, finish="length"),
            {"id": "c-1", "choices": [], "usage": {}},
        ]
    )

    assert body == {
        "object": "chat.completion",
        "id": "c-1",
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "bc", "reasoning_content": "hm yes"},
                "finish_reason": "stop",
            },
            {"index": 1, "message": {"role": "assistant", "content": "a"}, "finish_reason": "length"},
        ],
    }


def test_tool_calls_are_joined_by_their_index() -> None:
    body = assembled(
        [
            chunk({"tool_calls": [{"index": 0, "id": "x", "function": {"name": "f", "arguments": '{"a"'}}]}),
            chunk({"tool_calls": [{"index": 1, "id": "y", "function": {"name": "g", "arguments": "{}"}}]}),
            chunk({"tool_calls": [{"index": 0, "function": {"arguments": ": 1}"}}]}),
        ]
    )

    assert kept(body["choices"][0]["message"]) == {
        "role": "assistant",
        "content": "",
        "tool_calls": [
            {"id": "x", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}},
            {"id": "y", "type": "function", "function": {"name": "g", "arguments": "{}"}},
        ],
    }


def test_nothing_received_is_no_choice() -> None:
    assert assembled([]) == {"object": "chat.completion", "choices": []}


def test_exchanges_without_an_answer_stay_out_of_the_prompt() -> None:
    call = {"role": "assistant", "content": "", "tool_calls": [{"id": "t"}]}
    history: list[Any] = [
        {"role": "user", "content": "answered"},
        {"role": "assistant", "content": "yes"},
        {"role": "user", "content": "failed"},
        {"role": "user", "content": "broken off in its tools"},
        call,
        {"role": "user", "content": "now"},
        call,
        {"role": "tool", "content": "result"},
    ]

    assert prompt("", history) == [*history[:2], *history[5:]]
    assert prompt(PLANS["assistant"].instructions, history)[0]["role"] == "system"


class Failure(Exception):
    """Something like litellm's exceptions."""

    def __init__(self, message: str, status_code: Any = None, **more: Any) -> None:
        super().__init__(message)
        self.message = message
        self.status_code = status_code
        self.llm_provider = "acme"
        for name, value in more.items():
            setattr(self, name, value)


@pytest.mark.parametrize(
    ("status_code", "status", "retryable"),
    [(429, 429, True), (500, 502, True), (503, 502, True), (529, 502, True), (400, 400, False), (422, 400, False)],
)
def test_statuses_of_providers(status_code: int, status: int, retryable: bool) -> None:
    error = mapped(Failure("litellm.APIError: AcmeException - it broke\nTraceback …", status_code))

    assert isinstance(error, ModelError)
    assert str(error) == "it broke"
    assert (error.error_type, error.status, error.retryable) == (str(status_code), status, retryable)


@pytest.mark.parametrize(("said", "seconds"), [("3", 3.0), ("0", 0.0), ("-1", None), ("soon", None), ("", None)])
def test_retry_after(said: str, seconds: float | None) -> None:
    error = mapped(Failure("slow down", 429, litellm_response_headers={"retry-after": said}))

    assert isinstance(error, ModelError)
    assert error.retry_after_s == seconds


@pytest.mark.parametrize(
    "failure", [Failure("key sk-1 is wrong", 401), Failure("no", 403), Failure("Missing credentials: api_key", 500)]
)
def test_refused_credentials_are_not_quoted_and_not_tried_again(failure: Failure) -> None:
    error = mapped(failure)

    assert isinstance(error, ModelError)
    assert (error.status, error.retryable) == (502, False)
    assert "sk-1" not in str(error)
    assert "acme" in str(error)


def connection_error(cause: Exception) -> Exception:
    """As LiteLLM makes it of whatever its own code raises."""
    raised = type("APIConnectionError", (Failure,), {})(f"APIConnectionError: {cause}", 500)
    raised.__context__ = cause
    return raised


@pytest.mark.parametrize("failure", [TypeError("at /srv/app: 'int' object"), KeyError("secret"), IndexError("x[3]")])
@pytest.mark.parametrize("wrapped", [connection_error, lambda cause: cause])
def test_what_breaks_in_a_client_is_not_told_in_its_words(failure: Exception, wrapped: Any) -> None:
    error = mapped(wrapped(failure))

    assert isinstance(error, ModelError)
    assert (error.status, error.retryable) == (502, False)
    assert type(failure).__name__ in str(error)
    assert str(failure) not in str(error)


def test_a_provider_that_cannot_be_reached_is_said_to_be() -> None:
    error = mapped(connection_error(ConnectionRefusedError("10.0.0.7:11434 refused")))

    assert isinstance(error, ModelError)
    assert str(error) == "acme cannot be reached"
    assert error.retryable


def test_advice_on_settings_of_litellm_is_left_out() -> None:
    said = "acme does not support parameters: ['x']. To drop these, set `litellm.drop_params=True` or for proxy:"

    assert str(mapped(Failure(said, 400))) == "acme does not support parameters: ['x']."


def test_what_broke_inside_a_stream_is_told_not_its_wrapping() -> None:
    error = mapped(Failure("wrapped", 503, original_exception=Failure("the reason", 500)))

    assert str(error) == "the reason"


def test_a_model_that_nobody_has() -> None:
    not_found = type("NotFoundError", (Failure,), {})

    assert isinstance(mapped(not_found("there is no such model", 404)), UnknownModel)
