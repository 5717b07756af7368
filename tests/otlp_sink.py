"""A real OTLP/HTTP receiver for tests: keeps what exporters send, and answers as it is told to."""

import gzip
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue


@dataclass
class SpanRecord:
    """A received span, its ids in hex."""

    name: str
    kind: int
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, Any]
    status: int  # 0 unset, 1 ok, 2 error
    description: str
    events: list[str]
    scope: str
    resource: dict[str, Any]
    duration_ns: int


@dataclass
class LogEntry:
    body: str
    severity: str
    trace_id: str
    span_id: str
    attributes: dict[str, Any]
    scope: str


@dataclass
class Sink:
    """Use it as a context manager; `endpoint` is what `telemetry.start` wants."""

    status: int = 200  # of every answer
    spans: list[SpanRecord] = field(default_factory=list)
    logs: list[LogEntry] = field(default_factory=list)
    metrics: dict[str, list[Any]] = field(default_factory=dict)
    requests: int = 0

    def __enter__(self) -> Self:
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                sink.requests += 1
                if sink.status == 200:
                    sink._take(self.path, body)
                self.send_response(sink.status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def clear(self) -> None:
        self.spans.clear()
        self.logs.clear()
        self.metrics.clear()

    def named(self, name: str) -> list[SpanRecord]:
        return [span for span in self.spans if span.name == name]

    def one(self, name: str) -> SpanRecord:
        (span,) = self.named(name)
        return span

    def parent(self, span: SpanRecord) -> SpanRecord | None:
        return next((other for other in self.spans if other.span_id == span.parent_id), None)

    def line(self, span: SpanRecord) -> list[str]:
        """The names from the root to the span."""
        names = [span.name]
        above = self.parent(span)
        while above is not None:
            names.insert(0, above.name)
            above = self.parent(above)
        return names

    def _take(self, path: str, body: bytes) -> None:
        if path == "/v1/traces":
            self._take_spans(ExportTraceServiceRequest.FromString(body))
        elif path == "/v1/logs":
            self._take_logs(ExportLogsServiceRequest.FromString(body))
        else:
            for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                for scope in resource.scope_metrics:
                    for metric in scope.metrics:
                        points = getattr(metric, metric.WhichOneof("data")).data_points
                        self.metrics[metric.name] = [(_dict(p.attributes), p) for p in points]

    def _take_spans(self, request: ExportTraceServiceRequest) -> None:
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    self.spans.append(
                        SpanRecord(
                            name=span.name,
                            kind=span.kind,
                            trace_id=span.trace_id.hex(),
                            span_id=span.span_id.hex(),
                            parent_id=span.parent_span_id.hex(),
                            attributes=_dict(span.attributes),
                            status=span.status.code,
                            description=span.status.message,
                            events=[event.name for event in span.events],
                            scope=scope.scope.name,
                            resource=_dict(resource.resource.attributes),
                            duration_ns=span.end_time_unix_nano - span.start_time_unix_nano,
                        )
                    )

    def _take_logs(self, request: ExportLogsServiceRequest) -> None:
        for resource in request.resource_logs:
            for scope in resource.scope_logs:
                for record in scope.log_records:
                    self.logs.append(
                        LogEntry(
                            body=record.body.string_value,
                            severity=record.severity_text,
                            trace_id=record.trace_id.hex(),
                            span_id=record.span_id.hex(),
                            attributes=_dict(record.attributes),
                            scope=scope.scope.name,
                        )
                    )


def _dict(pairs: Any) -> dict[str, Any]:
    found: list[KeyValue] = list(pairs)
    return {pair.key: _value(pair.value) for pair in found}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    return getattr(value, kind) if kind else None
