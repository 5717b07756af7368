"""Telemetry of a small company's LLM services for the dashboards: a few days of it, written as raw spans by SQL.

One trace is one message with ten spans: server, workflow, two nodes, two model calls, a tool, an embedding and two HTTP
calls. It goes the way of all spans: otel_traces → view → settlement. Two tenants, three services, five chat models (one
without a price), failures, releases, prompts with versions, a batch that was delivered twice, impossible token counts.
"""

from datetime import datetime, timedelta
from pathlib import Path

from spanledger.ledger.ledger import Ledger
from spanledger.settings import Settings
from spanledger.store.client import Store

SPANS_PER_TRACE = 10
_STEP = 1_000_000
_DEARER = """
format: 1
prices:
  - provider: openai
    model: gpt-4o-mini
    usd_per_million_tokens: {input: 0.30, cache_read: 0.15, output: 1.20}
"""


def _sql(name: str) -> str:
    return (Path(__file__).parent / "demo" / f"{name}.sql").read_text()


def load(
    store: Store,
    data_dir: Path,
    traces: int,
    days: float,
    ended_at: datetime,
    users: int = 60,
    seed: str = "",
    settle: bool = True,
) -> None:
    """Writes `traces` messages of the `days` before `ended_at`, and what the Collector says of itself.

    settle: the real settlement reads the spans and keeps the books; otherwise SQL does both, quicker for millions.
    """
    spans = traces * SPANS_PER_TRACE
    end_ns = int(ended_at.timestamp()) * 1_000_000_000
    common = {"traces": float(traces), "days": days, "end_ns": end_ns, "users": users, "seed": seed}
    if not settle:
        store.command("DROP VIEW IF EXISTS genai_spans_mv")
    batches = [(first, min(_STEP, spans - first)) for first in range(0, spans, _STEP)]
    batches.append((0, min(spans, 200)))  # delivered twice: raw spans twice, books once
    for number, (first, count) in enumerate(batches):
        batch = f"{seed}{number}"
        store.command(_sql("spans"), {**common, "first": first, "count": count, "batch": batch})
        if not settle:
            store.command(_sql("canonical"), {"batch": batch})
            if number < len(batches) - 1:
                store.command(_sql("post"), {"batch": batch})
                store.command(_sql("tell"), {"batch": batch})
    store.command(_sql("logs"))
    _metrics(store, int(ended_at.timestamp() - days * 86400), days)
    if settle:
        ledger = Ledger(store, Settings(data_dir=data_dir))
        ledger.settler.settle_now()
        dearer = data_dir / "dearer.yaml"
        dearer.write_text(_DEARER)
        ledger.reprice(ended_at - timedelta(hours=12), ended_at, dearer)
    else:
        store.command("TRUNCATE TABLE settle_queue")


def _metrics(store: Store, first_s: int, days: float) -> None:
    """The Collector's own figures, every ten minutes: queue, spool, refusals, two releases of it."""
    points = int(days * 144)
    gauges = [
        ("otelcol_exporter_queue_size", "{batches}", "30 + 25 * sin(number / 20)"),
        ("otelcol_exporter_queue_capacity", "{batches}", "1000"),
        ("spanledger.ingest.spool.size", "By", "4e6 + 3e6 * sin(number / 9)"),
    ]
    sums = [
        ("otelcol_receiver_refused_spans", "{spans}", "intDiv(number, 70) * 12"),
        ("otelcol_exporter_send_failed_spans", "{spans}", "intDiv(number, 90) * 5"),
        ("spanledger.telemetry.dropped", "{items}", "intDiv(number, 110) * 3"),
    ]
    for table, metrics in (("gauge", gauges), ("sum", sums)):
        extra = ", AggregationTemporality, IsMonotonic" if table == "sum" else ""
        values = ", 2, true" if table == "sum" else ""
        for name, unit, amount in metrics:
            store.command(
                f"""
                INSERT INTO otel_metrics_{table} (ServiceName, MetricName, MetricUnit, Attributes, ResourceAttributes,
                    StartTimeUnix, TimeUnix, Value{extra})
                SELECT 'collector', {{name:String}}, {{unit:String}}, map('exporter', 'clickhouse'),
                    map('service.name', 'collector',
                        'service.version', if(number < {points} - 90, '0.160.0', '0.161.0')),
                    toDateTime64({first_s}, 9), toDateTime64({first_s}, 9) + toIntervalMinute(10 * number),
                    toFloat64({amount}){values}
                FROM numbers({points})
                """,
                {"name": name, "unit": unit},
            )
