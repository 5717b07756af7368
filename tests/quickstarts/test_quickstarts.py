"""Each page of docs/quickstart, run with the real package against a provider emulator: the call comes out in the books.

Pages whose packages are not in the environment of the tests need `make quickstarts`, which builds one for each.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest

from provider_emulator import USAGE, Emulator
from quickstarts.runner import PageRun, pins, programs
from real_collector import skip_without_collector
from system import System, free_port

# US dollars per million tokens, from the providers' lists: input, output.
LIST_PRICES = {
    "gpt-4o-mini": (Decimal("0.15"), Decimal("0.60")),
    "claude-haiku-4-5": (Decimal("1"), Decimal("5")),
    "gemini-2.5-flash": (Decimal("0.30"), Decimal("2.50")),
}


@dataclass(frozen=True)
class Expected:
    """What a page's program does, as the books must show it."""

    provider: str = "openai"
    model: str = "gpt-4o-mini"
    user: str = "ada"
    conversation: bool = True  # whether its spans name one


PAGES = {
    "openai-python": Expected(),
    "anthropic": Expected("anthropic", "claude-haiku-4-5"),
    "langchain": Expected(),
    "llamaindex": Expected(),
    "crewai": Expected(),
    "pydantic-ai": Expected(),
    "openai-agents": Expected(),
    "google-adk": Expected("gcp.gemini", "gemini-2.5-flash"),
    "zero-code": Expected(conversation=False),
    "litellm-proxy": Expected(),
    "openai-node": Expected(),
    "vercel-ai": Expected(),
}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        started = System(tmp_path_factory.mktemp("quickstarts") / "data", otlp_grpc_port=free_port()).start()
        yield started
        assert started.stop() == 0


@contextmanager
def started(page: str, folder: Path, system: System, emulator: Emulator) -> Iterator[PageRun]:
    """The page with its servers ended at the end."""
    run = PageRun(page, folder, system, emulator.base_url.removesuffix("/v1"))
    try:
        yield run
    finally:
        run.close()


def wait_for_spans(system: System, service: str, calls: int) -> None:
    """Senders that live on, as a proxy does, send their spans some seconds after a call."""
    deadline = time.monotonic() + 60
    while True:
        system.flush()
        seen = system.get("usage", service=service)["usage"]["llm_calls"]
        if seen >= calls or time.monotonic() > deadline:
            return


@pytest.mark.parametrize("page", PAGES)
def test_a_page_runs_and_its_calls_are_in_the_books(page: str, running: System, tmp_path: Path) -> None:
    if programs(page) is None:
        pytest.skip(f"no environment for {page}: run `make quickstarts`")
    expected = PAGES[page]
    with Emulator() as emulator, started(page, tmp_path, running, emulator) as run:
        printed = run.run(lambda: wait_for_spans(running, page, len(emulator.seen)))
    calls = len(emulator.seen)
    assert calls >= 1, printed
    running.flush()
    filters = {"service": page, **({"conversation": page} if expected.conversation else {})}
    usage = running.get("usage", **filters)["usage"]
    rates = LIST_PRICES[expected.model]
    cost = (USAGE["prompt_tokens"] * rates[0] + USAGE["completion_tokens"] * rates[1]) / 1_000_000 * calls
    assert usage["llm_calls"] == calls
    assert (usage["input_tokens"], usage["output_tokens"]) == (
        calls * USAGE["prompt_tokens"],
        calls * USAGE["completion_tokens"],
    )
    assert (usage["cost_state"], Decimal(usage["cost_usd"])) == ("computed", cost)
    (group,) = running.get("usage", **filters, group_by="provider,model,user")["groups"]
    assert (group["provider"], group["model"], group["user"]) == (expected.provider, expected.model, expected.user)
    assert "five" in printed
    assert "spanledger trace" not in printed


def test_spanledger_as_base_url_is_measured(running: System, tmp_path: Path) -> None:
    page = "openai-base-url"
    with Emulator() as nobody, started(page, tmp_path, running, nobody) as run:
        printed = run.run(lambda: running.flush())
    running.flush()
    usage = running.get("usage", conversation=page, user="ada")["usage"]
    assert nobody.seen == []
    assert (usage["llm_calls"], usage["cost_state"]) == (1, "computed")
    assert f"total: 1 calls, {usage['input_tokens']} in + {usage['output_tokens']} out" in printed
    assert usage["input_tokens"] > 0 < usage["output_tokens"]


def test_a_collector_in_front_passes_every_span_on(running: System, tmp_path: Path) -> None:
    skip_without_collector()
    if programs("openai-python") is None:
        pytest.skip("no environment for openai-python: run `make quickstarts`")
    folders = tmp_path / "front", tmp_path / "app"
    for folder in folders:
        folder.mkdir()
    with (
        Emulator() as emulator,
        started("collector", folders[0], running, emulator) as front,
        started("openai-python", folders[1], running, emulator) as app,
    ):
        front.run(lambda: None)
        app.environ |= {
            "OTEL_EXPORTER_OTLP_ENDPOINT": front.address(4318),
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=behind-collector",
        }
        app.run(lambda: running.flush())
    (row,) = running.post("/v1/sql", {"query": BEHIND_COLLECTOR})["data"]
    assert row == ["gpt-4o-mini", "21"]


BEHIND_COLLECTOR = """
SELECT SpanAttributes['llm.model_name'], SpanAttributes['llm.token_count.prompt'] FROM otel_traces
WHERE ResourceAttributes['deployment.environment.name'] = 'behind-collector'
"""


@pytest.mark.parametrize("page", PAGES)
def test_a_page_says_what_it_ran_with(page: str) -> None:
    text = (Path(__file__).parents[2] / "docs" / "quickstart" / f"{page}.md").read_text()
    assert [f"{package} {pinned}" for package, pinned in pins(page).items() if f"{package} {pinned}" not in text] == []
