"""100 % of served calls carry usage, whatever happened to them, and the books equal the providers' own log."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest
from mixed_load import differences, plan, send_all, told, usage_on_the_wire

from mixed_provider import Providers
from system import System


@pytest.mark.parametrize("count", [120, pytest.param(5_000, marks=pytest.mark.slow)])
def test_the_books_equal_the_providers_log(tmp_path: Path, count: int) -> None:
    sent = plan(count)
    few = count < 1_000  # many meet the machine's own pauses, which are not the provider's
    with Providers() as providers:
        system = System(tmp_path / "data").start(
            SPANLEDGER_CANARY_INTERVAL_S="0", SPANLEDGER_MODEL_TIMEOUT_S="12" if few else "40", **providers.environ
        )
        try:
            statuses = asyncio.run(send_all(system, sent, 16 if few else 32))
            system.timeout_s = 600
            system.flush()
            books = told(system)
            usage = system.get("usage")["usage"]
            statements = system.get("usage", group_by="provider,status")
            in_flight = system.get("realtime")["in_flight_workflows"]
            dropped = system.request("GET", "/readyz")[2]["telemetry_dropped"]
            runs = system.post("/v1/sql", {"query": RUNS})["data"]
            audit = system.get("audit")
        finally:
            assert system.stop() == 0

    assert differences(sent, providers, books) == []
    wire = usage_on_the_wire(providers)
    assert (usage["llm_calls"], usage["failed_calls"]) == (wire["served"], wire["failed"])
    counted = [call for calls in books.values() for call in calls if call.served]
    assert usage["input_tokens"] == sum(call.input_tokens or 0 for call in counted)
    assert usage["output_tokens"] == sum(call.output_tokens or 0 for call in counted)
    said = [call for call in counted if not call.estimated and not call.error_type]
    assert sum(call.input_tokens or 0 for call in said) == wire["input_tokens"]
    assert sum(call.output_tokens or 0 for call in said) == wire["output_tokens"]
    assert usage["cost_usd"] == f"{wire['billed_usd'].normalize():f}"
    assert {group["provider"] for group in statements["groups"]} == {"openai", "anthropic", "gcp.gemini"}
    assert audit["balanced"], audit["differences"]
    assert in_flight == 0
    assert dropped == {"spans": 0, "logs": 0, "metric_exports": 0}
    # Every message is one run that ended, with a status, and with the error's type where it failed.
    ended = Counter((status, error != "") for status, error in runs)
    assert sum(ended.values()) == count
    assert set(ended) <= {("ok", False), ("unset", False), ("error", True)}
    assert ended["error", True] == count - statuses[200] + sum(s.behaviour == "cut" for s in sent)


RUNS = """
SELECT status, error_type FROM genai_spans FINAL
WHERE startsWith(span_name, 'invoke_workflow') AND startsWith(conversation_id, 'load-')
LIMIT 100000
"""
