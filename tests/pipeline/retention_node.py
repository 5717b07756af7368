"""A process of its own for test_retention.py: loads spans, looks at them some days later, says what is left as JSON."""

import json
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from otlp_make import log_request, trace_request
from spanledger.erasure.retention import Retention
from spanledger.ingest.service import Ingest
from spanledger.ledger.ledger import Ledger
from spanledger.settings import Settings
from spanledger.store import migrate
from spanledger.store.client import Store, open_embedded
from spanledger.store.registry import Registry

WORDS = "words-that-age"
PROTOBUF = "application/x-protobuf"


def main(data_dir: Path, days_later: float, kept: dict[str, float]) -> dict[str, Any]:
    settings = Settings(data_dir=data_dir, **kept)  # type: ignore[arg-type]
    store, registry = open_embedded(data_dir), Registry(data_dir)
    migrate.migrate(store)
    ingest = Ingest(settings, store)
    ingest.start(listen=False)
    ledger = Ledger(store, settings)
    _send(ingest)
    ledger.settler.settle_now()
    before = _figures(store)
    removed = Retention(settings, store, ledger, registry).look(datetime.now(UTC) + timedelta(days=days_later))
    report = ledger.audit()
    told = {
        "same_figures": _figures(store) == before,
        "balanced": report.balanced,
        "differences": [str(one) for one in report.differences[:3]],
        "days": len(removed.days),
        "tables": sorted(removed.partitions),
        "rows": {
            table: store.scalar(f"SELECT count() FROM {table}")
            for table in ("otel_traces", "otel_logs", "otel_metrics_gauge", "genai_spans")
        },
        "texts": _texts(store),
    }
    ingest.stop()
    registry.close()
    store.close()
    return told


def _send(ingest: Ingest) -> None:
    trace = os.urandom(16)
    usage = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", "gen_ai.usage.input_tokens": 1000}
    told_in_text = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "gpt-4o",
        "output.value": json.dumps({"text": WORDS, "usage": {"prompt_tokens": 50, "completion_tokens": 7}}),
    }
    spans = trace_request(
        {
            "name": "chat",
            "attributes": {
                **usage,
                "gen_ai.usage.output_tokens": 9,
                "input.value": WORDS,
                "langfuse.observation.input": json.dumps({"service_tier": WORDS}),
                "url.full": f"https://api.example.com/count_tokens?text={WORDS}",
            },
        },
        {"name": "chat", "attributes": told_in_text},
        trace_id=trace,
    )
    assert ingest.submit("traces", spans.SerializeToString(), PROTOBUF).ok
    assert ingest.submit("logs", log_request(WORDS, trace, time_unix_nano=1).SerializeToString(), PROTOBUF).ok
    metric = {
        "resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": "m", "gauge": {"dataPoints": [{"asInt": 1}]}}]}]}]
    }
    assert ingest.submit("metrics", json.dumps(metric).encode(), "application/json").ok
    assert ingest.flush(60)


def _figures(store: Store) -> Any:
    return store.query("SELECT sum(llm_calls), sum(input_tokens), sum(output_tokens), sum(cost_usd) FROM ledger")


def _texts(store: Store) -> int:
    spans = "SELECT countIf(position(toString(SpanAttributes), {words:String}) > 0) FROM otel_traces"
    logs = "SELECT countIf(position(Body, {words:String}) > 0) FROM otel_logs"
    return sum(int(store.scalar(sql, {"words": WORDS}) or 0) for sql in (spans, logs))


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), float(sys.argv[2]), json.loads(sys.argv[3])), default=str))
