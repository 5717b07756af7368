"""The processors that docs/erasure.md adds to a Collector: hashes and keys of one's own."""

import re
from pathlib import Path

from doc_blocks import ROOT, blocks
from otlp_make import trace_request
from otlp_sink import Sink
from real_collector import Collector, skip_without_collector

AROUND = """
extensions:
  health_check: {endpoint: "${env:SPANLEDGER_COLLECTOR_HEALTH}"}
receivers:
  otlp: {protocols: {http: {endpoint: "${env:SPANLEDGER_COLLECTOR_HTTP}"}}}
exporters:
  otlp_http: {endpoint: "${env:SINK}", sending_queue: {enabled: false}}
service:
  extensions: [health_check]
  telemetry: {metrics: {level: none}}
  pipelines:
    traces: {receivers: [otlp], processors: [redaction/hashed, transform/keys], exporters: [otlp_http]}
    logs: {receivers: [otlp], processors: [redaction/hashed, transform/keys], exporters: [otlp_http]}
"""


def test_the_processors_of_the_docs_hash_addresses_and_delete_keys(tmp_path: Path) -> None:
    skip_without_collector()
    shown = next(one.text for one in blocks(ROOT / "docs" / "erasure.md") if one.text.startswith("processors:"))
    config = tmp_path / "collector.yaml"
    config.write_text(shown + AROUND)
    values = {
        "customer.name": "Ann",
        "http.request.header.cookie": "c",
        "note": "write to ann@example.org",
        "kept": "1",
    }
    body = trace_request({"name": "masked", "attributes": values}).SerializeToString()
    with Sink() as sink:
        collector = Collector(tmp_path / "data", None, SINK=sink.endpoint, REDACTION_KEY="k" * 32).start(str(config))
        try:
            assert collector.send("traces", "application/x-protobuf", body) == 200
        finally:
            collector.stop()
        attributes = sink.one("masked").attributes
    assert attributes.keys() == {"note", "kept"}
    assert re.fullmatch(r"write to [0-9a-f]{64}", attributes["note"])
