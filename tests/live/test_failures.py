"""Every way in which a call can fail, in the wire formats of three providers: its spans end, with what was billed."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from test_lost import hang

from chat_service import ChatService
from mixed_provider import Providers
from otlp_sink import Sink, SpanRecord
from provider_emulator import Emulator
from system import System

_numbers = itertools.count(1)
PROVIDERS = ("openai", "anthropic", "gemini")


@pytest.fixture(scope="module")
def providers() -> Iterator[Providers]:
    with Providers() as running, pytest.MonkeyPatch.context() as patch:
        for name, value in running.environ.items():
            patch.setenv(name, value)
        yield running


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, providers: Providers) -> Iterator[ChatService]:
    with ChatService(tmp_path_factory.mktemp("failures")) as running:
        yield running


@pytest.fixture
def client(service: ChatService) -> Iterator[httpx.Client]:
    service.flush().clear()
    with httpx.Client(base_url=service.url, timeout=60) as http:
        yield http


def model(provider: str, behaviour: str) -> str:
    return f"{provider}/{'claude-' if provider == 'anthropic' else ''}{behaviour}-{next(_numbers)}"


def ask(client: httpx.Client, name: str, stream: bool) -> httpx.Response:
    body = {"content": "count to five", "model": name, "stream": stream}
    return client.post(f"/v1/conversations/{name.replace('/', '-')}/messages", json=body)


def calls(sink: Sink) -> list[SpanRecord]:
    return [span for span in sink.spans if span.attributes.get("gen_ai.operation.name") == "chat"]


def outcome(span: SpanRecord) -> tuple[int, str, int | None, int | None, bool]:
    """Status, error type, input and output tokens, whether those were counted by us."""
    said = span.attributes
    return (
        span.status,
        said.get("error.type", ""),
        said.get("gen_ai.usage.input_tokens"),
        said.get("gen_ai.usage.output_tokens"),
        said.get("spanledger.usage.estimated", False),
    )


def the_run_failed(sink: Sink, error_type: str) -> None:
    for name in ("model", "invoke_workflow chat"):
        span = sink.one(name)
        assert (span.status, span.attributes["error.type"]) == (2, error_type), name
    # The request's own says its HTTP status where that is an error of the server.
    assert sink.one("POST /v1/conversations/{conversation_id}/messages").status == 2


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("behaviour", "error_type", "tries", "status"),
    [("broken", "500", 3, 502), ("limited", "429", 1, 429)],
)
def test_a_call_that_was_never_served_says_why_and_bills_nothing(
    service: ChatService,
    client: httpx.Client,
    providers: Providers,
    provider: str,
    stream: bool,
    behaviour: str,
    error_type: str,
    tries: int,
    status: int,
) -> None:
    name = model(provider, behaviour)
    response = ask(client, name, stream)
    sink = service.flush()

    assert response.status_code == status
    assert len(providers.of(name.partition("/")[2])) == tries
    assert [outcome(call) for call in calls(sink)] == [(2, error_type, None, None, False)] * tries
    the_run_failed(sink, error_type)
    assert service.runner.in_flight == 0


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_stream_that_is_cut_off_bills_what_was_heard(
    service: ChatService, client: httpx.Client, provider: str
) -> None:
    response = ask(client, model(provider, "cut"), stream=True)
    sink = service.flush()

    assert response.status_code == 200
    assert "event: error" in response.text
    (call,) = calls(sink)
    status, error_type, read, written, _ = outcome(call)
    assert status == 2
    assert error_type
    assert (read or 0) > 0
    assert written is not None
    the_run_failed(sink, error_type)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_client_that_leaves_in_the_middle_is_billed_for_what_it_had(
    service: ChatService, client: httpx.Client, providers: Providers, provider: str
) -> None:
    name = model(provider, "hangs")
    body = {"content": "count to five", "model": name, "stream": True}
    with client.stream("POST", f"/v1/conversations/{name.replace('/', '-')}/messages", json=body) as response:
        lines = response.iter_lines()
        while "data" not in next(lines):
            pass
    sink = service.flush()

    (call,) = calls(sink)
    status, error_type, read, written, _ = outcome(call)
    assert (status, error_type) == (2, "cancelled")
    assert (read or 0) > 0
    assert written is not None
    the_run_failed(sink, "cancelled")
    assert service.runner.in_flight == 0


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("stream", [False, True])
def test_a_retry_that_is_answered_bills_once(
    service: ChatService, client: httpx.Client, providers: Providers, provider: str, stream: bool
) -> None:
    name = model(provider, "flaky")
    ask(client, name, stream)
    sink = service.flush()

    served = providers.of(name.partition("/")[2])[-1]
    refused, answered = calls(sink)
    assert outcome(refused) == (2, "429", None, None, False)
    assert outcome(answered) == (0, "", served.input_tokens, served.output_tokens, False)
    assert sink.one("invoke_workflow chat").status == 0


@pytest.mark.slow
def test_a_shutdown_in_the_middle_of_a_request_ends_its_spans(tmp_path: Path) -> None:
    with Emulator() as emulator:
        environ = {"OPENAI_BASE_URL": emulator.base_url, "OPENAI_API_KEY": "sk-test"}
        system = System(tmp_path / "data").start(SPANLEDGER_CANARY_INTERVAL_S="0", **environ)
        streaming = hang(system, "conv-shutdown")
        assert system.stop() == 0  # after ten seconds of patience
        streaming.close()

        system.start(SPANLEDGER_CANARY_INTERVAL_S="0", **environ)
        system.flush()
        (message,) = system.get("conversations", "conv-shutdown", "messages")["items"]
        spans = system.get("traces", message["trace_id"])["spans"]
        assert system.stop() == 0

    assert (message["status"], message["error_type"]) == ("error", "cancelled")
    assert message["usage"]["llm_calls"] == 1
    assert message["usage"]["output_tokens"] == 4
    names = {span["name"] for span in spans}
    assert {"chat hangs", "model", "invoke_workflow chat"} <= names
    assert json.dumps(spans).count("abandoned") == 0
