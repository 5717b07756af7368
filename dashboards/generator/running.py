"""Dashboards for the people on duty: Pipeline health, Real time."""

from dataclasses import replace

from generator.model import Column, Dashboard
from generator.parts import ANNOTATIONS, GREEN, NONE, RED, SECONDS, SHARE, TENANT, UNPRICED, USD, YELLOW, Maker

_LAG = ((None, GREEN), (5, YELLOW), (30, RED))
_BALANCE = (
    Column(name="level", title="Level"),
    Column(name="against", title="Compared with"),
    Column(name="total_tokens", title="Tokens"),
    Column(name="calls_difference", title="Calls: difference"),
    Column(name="tokens_difference", title="Tokens: difference"),
    Column(name="cost_difference_usd", title="Cost: difference", unit=USD, decimals=15),
    Column(name="messages_difference", title="Messages: difference"),
    Column(name="imbalanced", hidden=True),
)
# The Collector's own metrics (its internal telemetry over OTLP), and metrics of other senders with these names.
QUEUES = ("otelcol_exporter_queue_size", "otelcol_exporter_queue_capacity")
SPOOLS = ("spanledger.ingest.spool.size",)
LOSSES = (
    "otelcol_receiver_refused_spans",
    "otelcol_exporter_enqueue_failed_spans",
    "otelcol_exporter_send_failed_spans",
    "otelcol_processor_dropped_spans",
    "spanledger.ingest.refused",
    "spanledger.telemetry.dropped",
)


def pipeline() -> Dashboard:
    variables = (TENANT,)
    make = Maker(variables)
    quantiles = {"p50_s": "p50", "p95_s": "p95", "p99_s": "p99"}
    panels = [
        make.number("Traces waiting for the books", "settlement", "waiting_traces"),
        make.number("Oldest waiting span", "settlement", "oldest_waiting_s", SECONDS, thresholds=_LAG),
        make.number("Since the last entry", "settlement", "since_last_entry_s", SECONDS),
        make.number(
            "Do the books balance?",
            "balance",
            "sum(imbalanced) AS imbalanced_levels",
            thresholds=NONE,
            words={"0": "yes"},
            description="Rollups that differ; `spanledger audit` computes the ledger again from the spans",
        ),
        make.number("Calls without a price", "usage_total", "unpriced_share", SHARE, thresholds=UNPRICED, decimals=2),
        make.number(
            "Values that cannot be",
            "anomalies_over_time",
            "sum(spans) AS spans",
            description="Spans with an anomaly: the bad value counts as unknown",
        ),
        make.series(
            "Spans received", "received_over_time", "spans_per_s", "cps", stacked=True, description="Repeats included"
        ),
        make.lines("From a span's end to its receipt", "ingest_lag_over_time", quantiles, SECONDS),
        make.series("Ledger entries by reason", "entries_over_time", "entries", stacked=True, bars=True),
        make.series("Anomalies", "anomalies_over_time", "spans", stacked=True, bars=True, may_be_empty=True),
        make.series(
            "Queues of the Collector",
            "pipeline_gauges",
            "value",
            given={"names": QUEUES},
            description="Batches; empty without a Collector",
        ),
        make.series(
            "Spool",
            "pipeline_gauges",
            "value",
            "bytes",
            given={"names": SPOOLS},
            description="Bytes acknowledged and not loaded yet",
        ),
        make.series("Refused, dropped, not sent", "pipeline_counters", "value", given={"names": LOSSES}, bars=True),
        make.series(
            "Calls without a price by model",
            "usage_over_time",
            "unpriced_share",
            SHARE,
            where="unpriced_share > 0",
            given={"by": "model"},
            may_be_empty=True,
        ),
        make.table("Levels of the books", "balance", width=24, height=6, look=_BALANCE),
    ]
    return Dashboard(
        uid="spanledger-pipeline",
        title="Pipeline health",
        description="Whether everything arrives, is priced and balances",
        panels=panels,
        variables=variables,
        annotations=ANNOTATIONS,
        refresh="30s",
    )


def realtime() -> Dashboard:
    variables = (TENANT,)
    make = Maker(variables)
    panels = [
        make.number("Calls", "realtime", "llm_calls"),
        make.number("Failed", "realtime", "failed_calls", thresholds=NONE),
        make.number("Tokens", "realtime", "input_tokens + output_tokens AS tokens"),
        make.number("Cost", "realtime", "cost_usd", USD, decimals=4),
        make.number("Duration, p95", "realtime", "ifNotFinite(latency_ns[2], 0) / 1e9 AS p95_s", SECONDS),
        make.number("Active conversations", "realtime", "active_conversations"),
        make.lines("Calls per second", "recent_over_time", {"calls_per_s": "calls"}, "cps"),
        make.lines(
            "Tokens per second",
            "recent_over_time",
            {"input_tokens_per_s": "input", "output_tokens_per_s": "output"},
            "cps",
        ),
        make.lines("Cost", "recent_over_time", {"cost_usd": "cost"}, USD, bars=True),
        make.lines("Failed calls", "recent_over_time", {"failed_calls": "failed"}, bars=True),
        make.table("Latest messages", "messages", width=24, height=11, given={"limit": 30}),
    ]
    panels = [replace(p, least_interval="5s") if p.kind == "timeseries" else p for p in panels]
    return Dashboard(
        uid="spanledger-realtime",
        title="Real time",
        description="The last minutes, as they settle",
        panels=panels,
        variables=variables,
        span="now-15m",
        refresh="5s",
    )
