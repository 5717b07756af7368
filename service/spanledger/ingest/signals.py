"""The three OTLP signals: their message types, paths and tables."""

from dataclasses import dataclass
from typing import Any, Literal, cast

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

Name = Literal["traces", "logs", "metrics"]


@dataclass(frozen=True)
class Signal:
    """One OTLP signal. `items` is what the spec counts: spans, log records, data points."""

    name: Name
    path: str
    request: type[Message]
    rejected_field: str  # of ExportXPartialSuccess, in JSON spelling
    grpc_service: str
    items: str

    @property
    def descriptor(self) -> Descriptor:
        return cast(Descriptor, self.request.DESCRIPTOR)


def _grpc_name(module: Any) -> str:
    service: str = next(iter(module.DESCRIPTOR.services_by_name.values())).full_name
    return service


TRACES = Signal(
    "traces",
    "/v1/traces",
    trace_service_pb2.ExportTraceServiceRequest,
    "rejectedSpans",
    _grpc_name(trace_service_pb2),
    "spans",
)
LOGS = Signal(
    "logs",
    "/v1/logs",
    logs_service_pb2.ExportLogsServiceRequest,
    "rejectedLogRecords",
    _grpc_name(logs_service_pb2),
    "log records",
)
METRICS = Signal(
    "metrics",
    "/v1/metrics",
    metrics_service_pb2.ExportMetricsServiceRequest,
    "rejectedDataPoints",
    _grpc_name(metrics_service_pb2),
    "data points",
)
SIGNALS: dict[str, Signal] = {signal.name: signal for signal in (TRACES, LOGS, METRICS)}
BY_PATH: dict[str, Signal] = {signal.path: signal for signal in SIGNALS.values()}
