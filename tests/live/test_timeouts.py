"""Providers that take a request and never answer: the call ends in time, says so, and bills nothing."""

from collections.abc import Iterator

import httpx
import pytest
from test_failures import PROVIDERS, ask, calls, model, outcome, providers, the_run_failed

from chat_service import ChatService
from mixed_provider import Providers

__all__ = ["providers"]


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory, providers: Providers) -> Iterator[ChatService]:
    with ChatService(tmp_path_factory.mktemp("timeouts"), model_timeout_s=0.5) as running:
        yield running


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("stream", [False, True])
def test_a_call_that_is_never_answered_times_out(
    impatient: ChatService, providers: Providers, provider: str, stream: bool
) -> None:
    impatient.flush().clear()
    name = model(provider, "mute")
    with httpx.Client(base_url=impatient.url, timeout=60) as client:
        response = ask(client, name, stream)
    sink = impatient.flush()

    assert response.status_code == 504
    # A request whose time is over before the provider has read it is not in the provider's log.
    assert 1 <= len(providers.of(name.partition("/")[2])) <= 3
    assert [outcome(call) for call in calls(sink)] == [(2, "timeout", None, None, False)] * 3
    the_run_failed(sink, "timeout")
    assert impatient.runner.in_flight == 0
