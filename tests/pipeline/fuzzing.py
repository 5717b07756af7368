"""Sends damaged bodies among good ones, and expects that only the damaged ones notice."""

import base64
import json
import os
import random
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AGGREGATION_TEMPORALITY_CUMULATIVE

import otlp_mutate
from otlp_make import log_request, trace_request

Send = Callable[[str, bytes, str], int]  # signal, body, content type → HTTP status
_LANES = 4
PROTOBUF, JSON = "application/x-protobuf", "application/json"

_ATTRIBUTES = {
    "gen_ai.operation.name": "chat",
    "gen_ai.usage.input_tokens": 12,
    "gen_ai.request.temperature": 0.7,
    "gen_ai.response.finish_reasons": ["stop"],
    "nested": {"a": [1, {"b": b"\x00"}]},
    "flag": True,
}


def seeds() -> list[tuple[str, bytes, str]]:
    """Good bodies to damage: (signal, body, content type)."""
    traces = trace_request({"attributes": _ATTRIBUTES}, {"name": "second", "trace_state": "a=b"})
    span = traces.resource_spans[0].scope_spans[0].spans[0]
    span.events.add(name="e", time_unix_nano=5).attributes.add(key="x").value.int_value = 1
    span.links.add(trace_id=os.urandom(16), span_id=os.urandom(8))
    logs = log_request({"message": "hi", "n": [1, None]}, os.urandom(16), severity_number=9)
    found: list[tuple[str, bytes, str]] = []
    for signal, request in (("traces", traces), ("logs", logs), ("metrics", metric_request())):
        found.append((signal, request.SerializeToString(), PROTOBUF))
        document = json_format.MessageToDict(request)
        _hex_ids(document)
        found.append((signal, json.dumps(document).encode(), JSON))
    return found


def metric_request() -> ExportMetricsServiceRequest:
    """One point of every kind, with an exemplar."""
    request = ExportMetricsServiceRequest()
    scope = request.resource_metrics.add().scope_metrics.add()
    when = {"start_time_unix_nano": 1, "time_unix_nano": 2}
    gauge = scope.metrics.add(name="gauge", unit="s").gauge.data_points.add(as_double=0.5, **when)
    gauge.attributes.add(key="k").value.array_value.values.add().string_value = "v"
    gauge.exemplars.add(as_int=3, trace_id=os.urandom(16), span_id=os.urandom(8))
    total = scope.metrics.add(name="sum").sum
    total.is_monotonic, total.aggregation_temporality = True, AGGREGATION_TEMPORALITY_CUMULATIVE
    total.data_points.add(as_int=7, **when)
    buckets = {"bucket_counts": [1, 2], "explicit_bounds": [0.1]}
    scope.metrics.add(name="histogram").histogram.data_points.add(count=3, sum=1.5, **buckets, **when)
    wide = scope.metrics.add(name="exponential").exponential_histogram.data_points.add(count=3, scale=2, **when)
    wide.positive.bucket_counts.extend([1, 0, 2])
    quantiles = scope.metrics.add(name="summary").summary.data_points.add(count=2, sum=3.0, **when).quantile_values
    quantiles.add(quantile=0.5, value=1.0)
    return request


def _hex_ids(node: Any) -> None:
    for key, value in list(node.items() if isinstance(node, dict) else enumerate(node)):
        if key in {"traceId", "spanId", "parentSpanId"}:
            node[key] = base64.b64decode(value).hex()
        elif isinstance(value, dict | list):
            _hex_ids(value)


def storm(send: Send, count: int, rng: random.Random) -> tuple[set[str], Counter[int]]:
    """Sends `count` damaged bodies, a good one after every tenth; returns the good span ids and the other statuses."""
    bodies = seeds()
    good: set[str] = set()
    statuses: Counter[int] = Counter()
    for number in range(count):
        signal, body, content_type = rng.choice(bodies)
        damage = otlp_mutate.protobuf if content_type == PROTOBUF else otlp_mutate.as_json
        statuses[send(signal, damage(body, rng), content_type)] += 1
        if number % 10 == 0:
            span_id = rng.randbytes(8)
            assert send("traces", trace_request({"span_id": span_id}).SerializeToString(), PROTOBUF) == 200
            good.add(span_id.hex())
    return good, statuses


def storms(send: Send, count: int, rng: random.Random) -> tuple[set[str], Counter[int]]:
    """`storm` from several threads at once, `count` in all."""
    seeds_of_lanes = [rng.getrandbits(64) for _ in range(_LANES)]
    with ThreadPoolExecutor(_LANES) as pool:
        lanes = list(pool.map(lambda seed: storm(send, count // _LANES, random.Random(seed)), seeds_of_lanes))
    return set().union(*(good for good, _ in lanes)), sum((statuses for _, statuses in lanes), Counter())
