"""Settlement leaves out a trace above the limit of spans, records an anomaly for it, and settles all other traces."""

from pathlib import Path

import pytest

from ledger_rows import land_calls
from spanledger.ledger import giants
from spanledger.ledger.ledger import Ledger
from spanledger.settings import Settings
from spanledger.store.client import Store

LAND = """
    INSERT INTO otel_traces (Timestamp, TraceId, SpanId, SpanName, ServiceName, Duration, SpanAttributes, Tenant)
    SELECT now64(9), {trace:String}, concat({from:String}, toString(number)), 'chat', 'shop', 1000,
        map('gen_ai.operation.name', 'chat', 'gen_ai.provider.name', 'openai', 'gen_ai.request.model', 'gpt-4o-mini',
            'gen_ai.response.id', concat({trace:String}, {from:String}, toString(number)),
            'gen_ai.usage.input_tokens', '100', 'gen_ai.usage.output_tokens', '7'),
        {tenant:String}
    FROM numbers({spans:UInt64})
"""


def land(store: Store, tenant: str, trace: str, spans: int, part: str = "") -> None:
    store.command(LAND, {"tenant": tenant, "trace": trace, "spans": spans, "from": part})


def calls(store: Store, tenant: str) -> dict[str, int]:
    rows = store.query(
        "SELECT trace_id, toInt64(sum(llm_calls)) FROM ledger WHERE tenant = {tenant:String} GROUP BY trace_id",
        {"tenant": tenant},
    )
    return dict(rows)


def test_settlement_leaves_out_the_trace_and_settles_the_others(store: Store, data_dir: Path, tenant: str) -> None:
    land(store, tenant, f"{tenant}-giant", giants.MOST_SPANS + 1)
    land_calls(store, tenant, 3)
    ledger = Ledger(store, Settings(data_dir=data_dir))
    ledger.settler.settle_now()
    assert calls(store, tenant) == {f"{tenant}-{number}": 1 for number in range(3)}
    named = store.query(
        "SELECT trace_id, field, kind, reason FROM anomalies WHERE tenant = {tenant:String}", {"tenant": tenant}
    )
    reason = "250001 spans; a trace of more than 250000 is not settled"
    assert named == [(f"{tenant}-giant", "trace", "too_large", reason)]
    open_ = "SELECT count() FROM (SELECT 1 FROM settle_queue WHERE tenant = {tenant:String} GROUP BY trace_id HAVING "
    assert store.scalar(open_ + "sum(pending) != 0)", {"tenant": tenant}) == 0


def test_spans_above_the_limit_are_not_posted_and_audit_reports_them(
    store: Store, data_dir: Path, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(giants, "MOST_SPANS", 50)
    ledger = Ledger(store, Settings(data_dir=data_dir))
    land(store, tenant, f"{tenant}-a", 40)
    land(store, tenant, f"{tenant}-b", 5)
    ledger.settler.settle_now()
    land(store, tenant, f"{tenant}-a", 40, part="more")
    # The small trace grows too; the large one is not read as a possible copy.
    land(store, tenant, f"{tenant}-b", 5, part="other")
    ledger.settler.settle_now()
    assert calls(store, tenant) == {f"{tenant}-a": 40, f"{tenant}-b": 10}
    report = ledger.audit(tenant=tenant)
    assert [(one.level, one.key["trace_id"], one.note) for one in report.differences] == [
        ("ledger", f"{tenant}-a", "80 spans; a trace of more than 50 is not settled")
    ]

    monkeypatch.setattr(giants, "MOST_SPANS", 100)
    land(store, tenant, f"{tenant}-a", 1, part="last")
    ledger.settler.settle_now()
    assert calls(store, tenant) == {f"{tenant}-a": 81, f"{tenant}-b": 10}
    assert ledger.audit(tenant=tenant).balanced


def test_a_batch_of_many_spans_is_settled_whole(
    store: Store, data_dir: Path, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(giants, "FEW", 10)
    ledger = Ledger(store, Settings(data_dir=data_dir))
    for number in range(3):
        land(store, tenant, f"{tenant}-{number}", 8)
    ledger.settler.settle_now()
    assert calls(store, tenant) == {f"{tenant}-{number}": 8 for number in range(3)}
