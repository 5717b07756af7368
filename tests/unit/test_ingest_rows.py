"""Row for row: random requests through the door against a decoder that shares nothing with it."""

import itertools
import math
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

import otlp_random
from exporter_rows import log_rows, metric_rows, trace_rows
from otlp_make import fill
from spanledger.ingest.decode import TARGETS
from spanledger.ingest.service import Ingest
from spanledger.settings import Settings
from spanledger.store.client import Store

PROTOBUF = "application/x-protobuf"
_runs = itertools.count(1)


def examples(count: int) -> settings:
    return settings(max_examples=count, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)


@pytest.fixture(scope="module")
def ingest(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ingest]:
    opened = Ingest(Settings(data_dir=tmp_path_factory.mktemp("rows")), store)
    opened.start(listen=False)
    yield opened
    opened.stop()


def mark(resources: Any) -> str:
    """Makes the rows of this request findable: a tenant of its own."""
    tenant = f"rows-{next(_runs)}"
    for holder in resources:
        kept = [item for item in holder.resource.attributes if item.key != "spanledger.tenant"]
        del holder.resource.attributes[:]
        holder.resource.attributes.extend(kept)
        fill(holder.resource.attributes.add(key="spanledger.tenant").value, tenant)
    return tenant


def rows_of(store: Store, table: str, tenant: str) -> list[dict[str, Any]]:
    (target,) = (target for targets in TARGETS.values() for target in targets if target.table == table)
    chosen = [name for name in target.columns if name not in {"Tenant", "Batch", "ReceivedAt"}]
    shown = ", ".join(f"{_exact(name)} AS `{name}`" for name in chosen)
    return store.dicts(f"SELECT {shown} FROM {table} WHERE Tenant = {{tenant:String}}", {"tenant": tenant})


def _exact(name: str) -> str:
    if name.startswith(("Events.Time", "Exemplars.Time")):
        return f"arrayMap(t -> toUnixTimestamp64Nano(t), `{name}`)"
    if name in {"Timestamp", "StartTimeUnix", "TimeUnix"}:
        return f"toUnixTimestamp64Nano(`{name}`)"
    return f"`{name}`"


def comparable(row: dict[str, Any]) -> str:
    """Independent of the order of columns and map entries; NaN equals itself."""
    return repr(sorted((key, _plain(value)) for key, value in row.items()))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return sorted(value.items())
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float) and math.isnan(value):
        return "NaN"
    return value


def same(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    assert sorted(map(comparable, found)) == sorted(map(comparable, expected))


def unique_keys(message: Any) -> None:
    """A map column shows one of several equal keys, and OTLP forbids them: keep the first."""
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        children = list(value) if field.is_repeated else [value]
        if field.message_type.name == "KeyValue":
            kept = {item.key: item for item in reversed(children)}
            copies = [type(item).FromString(item.SerializeToString()) for item in reversed(list(kept.values()))]
            del value[:]
            value.extend(copies)
            children = list(value)
        for child in children:
            unique_keys(child)


def submit(ingest: Ingest, signal: str, request: Any) -> None:
    answer = ingest.submit(signal, request.SerializeToString(), PROTOBUF)
    assert (answer.status, answer.rejected) == (200, 0), answer
    assert ingest.flush(60)


@examples(40)
@given(request=otlp_random.requests(ExportTraceServiceRequest))
def test_traces(ingest: Ingest, store: Store, request: ExportTraceServiceRequest) -> None:
    unique_keys(request)
    tenant = mark(request.resource_spans)
    submit(ingest, "traces", request)
    same(rows_of(store, "otel_traces", tenant), list(trace_rows(request)))


@examples(30)
@given(request=otlp_random.requests(ExportLogsServiceRequest))
def test_logs(ingest: Ingest, store: Store, request: ExportLogsServiceRequest) -> None:
    unique_keys(request)
    tenant = mark(request.resource_logs)
    submit(ingest, "logs", request)
    same(rows_of(store, "otel_logs", tenant), list(log_rows(request)))


@examples(25)
@given(request=otlp_random.requests(ExportMetricsServiceRequest))
def test_metrics(ingest: Ingest, store: Store, request: ExportMetricsServiceRequest) -> None:
    unique_keys(request)
    tenant = mark(request.resource_metrics)
    submit(ingest, "metrics", request)
    expected: dict[str, list[dict[str, Any]]] = {target.table: [] for target in TARGETS["metrics"]}
    for table, row in metric_rows(request):
        expected[table].append(row)
    for table, rows in expected.items():
        same(rows_of(store, table, tenant), rows)


@pytest.mark.slow
@examples(3000)
@given(data=st.data())
def test_many(ingest: Ingest, store: Store, data: st.DataObject) -> None:
    request = data.draw(otlp_random.requests(ExportTraceServiceRequest))
    unique_keys(request)
    tenant = mark(request.resource_spans)
    submit(ingest, "traces", request)
    same(rows_of(store, "otel_traces", tenant), list(trace_rows(request)))
