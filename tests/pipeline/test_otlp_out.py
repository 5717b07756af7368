"""A copy of the raw spans, sent through the door of another tenant, makes equal books there."""

import json
from pathlib import Path
from typing import Any

from captures import all_captures
from spanledger.books.entries import DIMS, MEASURES
from spanledger.ingest.service import Ingest
from spanledger.ledger.ledger import Ledger
from spanledger.settings import Settings
from spanledger.stats import otlp_out
from spanledger.store.client import Store


def book(store: Store, tenant: str) -> set[tuple[Any, ...]]:
    dims = [dim if dim != "started_at_ns" else "toUnixTimestamp64Nano(started_at)" for dim in DIMS if dim != "tenant"]
    sums = ", ".join(f"toString(sum({measure}))" for measure in MEASURES)
    sql = f"SELECT {', '.join(dims)}, {sums} FROM ledger WHERE tenant = {{tenant:String}} GROUP BY ALL"
    return set(store.query(sql, {"tenant": tenant}))


def test_a_copy_makes_equal_books(store: Store, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, otlp_http_port=0, otlp_grpc_port=0)
    ingest, ledger = Ingest(settings, store), Ledger(store, settings)
    ingest.start(listen=False)
    try:
        for capture in all_captures():
            for content_type, body in capture.bodies:
                assert ingest.submit("traces", body, content_type, tenant="out-of").accepted
        assert ingest.flush(120)
        ledger.settler.settle_now()
        count = 0
        for request, _, spans in otlp_out.requests(store, "out-of"):
            assert ingest.submit("traces", json.dumps(request).encode(), "application/json", tenant="into").accepted
            count += spans
        assert ingest.flush(120)
        ledger.settler.settle_now()
    finally:
        ingest.stop()
    sql = "SELECT uniqExact(TraceId, SpanId) FROM otel_traces WHERE Tenant = 'out-of'"
    assert count == store.scalar(sql) > 500
    original = book(store, "out-of")
    assert len(original) > 300
    assert book(store, "into") == original
