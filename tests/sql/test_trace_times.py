"""Grafana's ClickHouse plugin finds a trace as its query builder asks for it."""

from datetime import UTC, datetime, timedelta

from captures import all_captures
from otlp_rows import COLUMNS, rows
from spanledger.store.client import Store

_BUILDER = """
WITH {trace:String} AS trace_id,
    (SELECT min(Start) FROM otel_traces_trace_id_ts WHERE TraceId = trace_id) AS trace_start,
    (SELECT max(End) + 1 FROM otel_traces_trace_id_ts WHERE TraceId = trace_id) AS trace_end
SELECT SpanId AS spanID, multiply(Duration, 0.000001) AS duration,
    if(StatusCode IN ('Error', 'STATUS_CODE_ERROR'), 2, 0) AS statusCode
FROM otel_traces WHERE TraceId = trace_id AND Timestamp >= trace_start AND Timestamp <= trace_end
ORDER BY spanID
"""


def test_the_query_builder_finds_every_span_of_a_trace(store: Store, tenant: str) -> None:
    content_type, body = next(capture.bodies[0] for capture in all_captures() if capture.bodies)
    row = next(iter(rows(body, content_type, tenant)))
    began = datetime(2026, 3, 29, 0, 59, 59, 999_999, tzinfo=UTC)
    trace = f"{tenant}-trace"
    sent = [
        {**row, "TraceId": trace, "SpanId": f"s{i}", "Timestamp": began + timedelta(minutes=i), "Duration": 250_000,
         "StatusCode": "Error" if i else "Ok"}
        for i in range(3)
    ]  # fmt: skip
    store.insert("otel_traces", COLUMNS, [[one[name] for name in COLUMNS] for one in sent])
    found = store.query(_BUILDER, {"trace": trace})
    assert [tuple(one) for one in found] == [("s0", 0.25, 0), ("s1", 0.25, 2), ("s2", 0.25, 2)]
