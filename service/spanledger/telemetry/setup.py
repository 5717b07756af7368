"""Sets telemetry up and takes it down. Nothing global is touched but logging."""

import logging
import os
import threading
import time
import uuid
import warnings
from collections.abc import Callable, Mapping
from typing import Any, Literal

from fastapi import FastAPI
from opentelemetry import context as otel
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.metrics import CallbackOptions, Meter, NoOpMeterProvider, Observation
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.trace import NoOpTracerProvider, Span, Tracer

import spanledger
from spanledger.telemetry import semconv
from spanledger.telemetry.changes import OnlyChanges
from spanledger.telemetry.listening import Listener, ListeningToRecords, ListeningToSpans
from spanledger.telemetry.logs import OtlpHandler
from spanledger.telemetry.lost import LostSpan
from spanledger.telemetry.otlp import Door, OtlpLogs, OtlpSpans
from spanledger.telemetry.outbox import Outbox, Resender
from spanledger.telemetry.processors import (
    CAN_WAIT,
    QUEUE_SIZE,
    CountedMetrics,
    IdsOnLogs,
    IdsOnSpans,
    LogQueue,
    SpanQueue,
    Tally,
)
from spanledger.telemetry.sampling import KeepUsage
from spanledger.telemetry.tenants import TenantLogs, TenantMetrics, TenantSpans

EXPORT_TIMEOUT_S = 5.0  # of one batch with its retries; then it counts as dropped
METRIC_INTERVAL_MS = 60_000
# Combinations of labels of one histogram; beyond it they are one, `otel.metric.overflow`. Callers choose names of
# models, and every series is collected every minute for good: the SDK's 2,000 would cost a second each time.
MAX_SERIES = 300
GRAPH_SCOPE = "openinference.instrumentation.langchain"
MAX_ATTRIBUTE_CHARS = 65_536  # longer attribute values are cut

Part = Literal["spans", "books"]  # of what waits to be sent

_log = logging.getLogger(__name__)


class Telemetry:
    """The emission of one service. Made by `start` or `off`."""

    def __init__(self, providers: "_Providers | None", capture_content: bool, seal_secret: str = "") -> None:
        self.capture_content = capture_content
        self.seal_secret = seal_secret
        self._providers = providers
        self._undo: list[Callable[[], None]] = []
        self._graph_span: Callable[[], Span | None] | None = None

    @property
    def on(self) -> bool:
        return self._providers is not None

    def tracer(self, name: str) -> Tracer:
        provider = self._providers.traces if self._providers else NoOpTracerProvider()
        return provider.get_tracer(name, spanledger.__version__, schema_url=semconv.SCHEMA_URL)

    def meter(self, name: str) -> Meter:
        provider = self._providers.metrics if self._providers else NoOpMeterProvider()
        return provider.get_meter(name, spanledger.__version__, schema_url=semconv.SCHEMA_URL)

    def event(
        self,
        name: str,
        body: str,
        attributes: Mapping[str, Any],
        *,
        warning: bool = False,
        at_ns: int = 0,
        can_wait: bool = False,
    ) -> None:
        """A log record with an event name, in the current trace; `at_ns` 0: now. `can_wait`: for some seconds, for
        other records to be exported with. Never raises."""
        if self._providers is None:
            return
        context = otel.get_current()
        self._providers.logs.get_logger("spanledger.events").emit(
            LogRecord(
                timestamp=at_ns or time.time_ns(),
                observed_timestamp=time.time_ns(),
                context=otel.set_value(CAN_WAIT, True, context) if can_wait else context,
                severity_number=SeverityNumber.WARN if warning else SeverityNumber.INFO,
                severity_text="WARN" if warning else "INFO",
                body=body,
                attributes=dict(attributes),
                event_name=name,
            )
        )

    def listen(self, listener: Listener) -> None:
        """From now on `listener` sees spans start and end, and log records with an event name, as they happen."""
        if self._providers is not None:
            self._providers.listen(listener)

    def lost_span(self, lost: LostSpan) -> None:
        """Emits a span of an earlier process, which had started it and could not end it."""
        if self._providers is not None:
            self._providers.lost_span(lost)

    def dropped(self) -> dict[str, int]:
        """What was lost since the start: spans, log records, exports of metrics."""
        if self._providers is None:
            return {"spans": 0, "logs": 0, "metric_exports": 0}
        return {name: tally.dropped for name, tally in self._providers.tallies.items()}

    def waiting_bytes(self) -> int:
        """What waits on disk for an endpoint that is away."""
        resender = self._providers.resender if self._providers else None
        return resender.waiting if resender is not None else 0

    def instrument_app(self, app: FastAPI) -> None:
        """A server span for every request of `app`. Call it before the first request."""
        if self._providers is None:
            return
        # The stable HTTP names; the instrumentation's default is still those from before.
        os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http")
        from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

        FastAPIInstrumentor.instrument_app(
            app,
            tracer_provider=self._providers.traces,
            meter_provider=self._providers.metrics,
            exclude_spans=["receive", "send"],
        )
        self._undo.append(lambda: FastAPIInstrumentor.uninstrument_app(app))

    def graph_callbacks(self) -> list[Any]:
        """What LangGraph calls back to make the spans of a run; for the config of runs. Imports langchain."""
        if self._providers is None:
            return []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of third parties, at import
            from spanledger.telemetry import graph
        tracer = graph.tracer_of(self.tracer(GRAPH_SCOPE), self.capture_content)
        self._graph_span = tracer.current_span
        return [tracer]

    def graph_span(self) -> Span | None:
        """The span of the LangGraph node in which we are; it is not the current one, for callbacks cannot attach it."""
        return self._graph_span() if self._graph_span else None

    def flush(self, timeout_s: float = EXPORT_TIMEOUT_S, *, only: Part | None = None) -> bool:
        """Sends what waits, and metrics, which otherwise are measured once a minute; False if it did not all go out in
        time. `only`: `spans` and log records; what the `books` need, of which requests that only read are no part.
        Blocks."""
        if self._providers is None:
            return True
        providers, before = self._providers, sum(self.dropped().values())
        return _within(timeout_s, lambda: providers.flush(only)) and sum(self.dropped().values()) == before

    def shutdown(self, timeout_s: float = EXPORT_TIMEOUT_S) -> None:
        """Sends what waits, for at most `timeout_s`; the rest counts as dropped. Blocks. A second call does nothing."""
        while self._undo:
            self._undo.pop()()
        if self._providers is None or self._providers.closed:
            return
        self._providers.closed = True
        logging.getLogger().removeHandler(self._providers.handler)
        if not _within(timeout_s, self._providers.shutdown):
            _log.warning("telemetry could not be delivered within %.1f s", timeout_s)
        if self._providers.resender is not None:
            self._providers.resender.close(timeout_s)
        for tally in self._providers.tallies.values():
            tally.close()


def off() -> Telemetry:
    """No spans, no metrics, no OTLP logs."""
    return Telemetry(None, capture_content=False)


def start(
    endpoint: str,
    *,
    service_name: str = "spanledger",
    capture_content: bool = False,
    instance: str = "",
    token: str = "",
    seal_secret: str = "",
    outbox: Outbox | None = None,
) -> Telemetry:
    """Telemetry that exports to the OTLP/HTTP base URL `endpoint`, e.g. http://127.0.0.1:4318.

    `instance` names this process among all of its service, `service.instance.id`; `token` is what the endpoint wants as
    `Authorization: Bearer`; `seal_secret` seals the entries of the audit trail; `outbox` is where spans and log records
    wait that the endpoint does not take (metrics are cumulative: the next export repairs a lost one).
    """
    named = (endpoint.rstrip("/"), service_name, instance or uuid.uuid4().hex)
    providers = _Providers(*named, token, outbox, capture_content)
    return Telemetry(providers, capture_content, seal_secret)


class _Providers:
    def __init__(
        self, endpoint: str, service_name: str, instance: str, token: str, outbox: Outbox | None, capture_content: bool
    ) -> None:
        headers = {"authorization": f"Bearer {token}"} if token else None
        resource = Resource.create(
            {
                "service.name": service_name,
                "service.version": spanledger.__version__,
                semconv.SERVICE_INSTANCE_ID: instance,
            }
        )
        self._listeners: list[ListeningToSpans] = []
        self.tallies = {name: Tally(QUEUE_SIZE) for name in ("spans", "logs", "metric_exports")}
        self.closed = False
        self.resender: Resender | None = None
        if outbox is not None:
            self.resender = Resender(outbox, endpoint, headers or {}, EXPORT_TIMEOUT_S, self._lost)

        def door() -> Door:
            return Door(endpoint, headers or {}, EXPORT_TIMEOUT_S, self.resender)

        self.traces = TracerProvider(
            sampler=KeepUsage(),
            resource=resource,
            shutdown_on_exit=False,
            span_limits=SpanLimits(max_attribute_length=MAX_ATTRIBUTE_CHARS),
        )
        self.traces.add_span_processor(IdsOnSpans())
        self._spans = SpanQueue(TenantSpans(OtlpSpans(door())), self.tallies["spans"])
        self.traces.add_span_processor(self._spans)

        self.logs = LoggerProvider(resource=resource, shutdown_on_exit=False)
        self.logs.add_log_record_processor(IdsOnLogs())
        self._records = LogQueue(TenantLogs(OtlpLogs(door())), self.tallies["logs"])
        self.logs.add_log_record_processor(self._records)
        self.handler = OtlpHandler(self.logs, capture_content)
        logging.getLogger().addHandler(self.handler)
        if logging.getLogger("spanledger").level == logging.NOTSET:
            logging.getLogger("spanledger").setLevel(logging.INFO)

        figures = OTLPMetricExporter(endpoint=f"{endpoint}/v1/metrics", headers=headers, timeout=EXPORT_TIMEOUT_S)
        counted = CountedMetrics(OnlyChanges(TenantMetrics(figures), _counts_exports), self.tallies["metric_exports"])
        reader = PeriodicExportingMetricReader(
            counted, export_interval_millis=METRIC_INTERVAL_MS, cardinality_limits={Histogram: MAX_SERIES}
        )
        self.metrics = MeterProvider(metric_readers=[reader], resource=resource, shutdown_on_exit=False)
        report_dropped(self.metrics.get_meter("spanledger.telemetry", spanledger.__version__), self._dropped)

    def listen(self, listener: Listener) -> None:
        spans = ListeningToSpans(listener)
        self._listeners.append(spans)
        self.traces.add_span_processor(spans)
        self.logs.add_log_record_processor(ListeningToRecords(listener))

    def lost_span(self, lost: LostSpan) -> None:
        span = lost.readable(self.traces.resource)
        for processor in (self._spans, *self._listeners):
            processor.on_end(span)

    def _dropped(self, _: CallbackOptions) -> list[Observation]:
        return [Observation(tally.dropped, {"signal": name}) for name, tally in self.tallies.items()]

    def _lost(self, signal: str, items: int) -> None:
        """The endpoint refused for good what had waited on disk."""
        self.tallies["spans" if signal == "traces" else signal].lose(items)

    def flush(self, only: Part | None) -> None:
        if only == "books":
            self._spans.flush_urgent()
            self._records.flush_urgent()
            return
        self.traces.force_flush()
        self.logs.force_flush()
        if only is None:
            self.metrics.force_flush()

    def shutdown(self) -> None:
        self.traces.shutdown()
        self.logs.shutdown()
        self.metrics.shutdown()


def report_dropped(meter: Meter, dropped: Callable[[CallbackOptions], list[Observation]]) -> None:
    """Registers the counter of spans, log records and metrics that did not reach the endpoint."""
    meter.create_observable_counter(
        "spanledger.telemetry.dropped", [dropped], "{item}", "Lost on the way to the endpoint"
    )


def _counts_exports(name: str, attributes: Mapping[str, Any]) -> bool:
    """Whether a series counts what our own exports of metrics cause at the OTLP door."""
    return name.startswith("spanledger.ingest.") and attributes.get("signal") == "metrics"


def _within(timeout_s: float, work: Callable[[], Any]) -> bool:
    """Whether `work` ended in time; otherwise it continues on its daemon thread."""
    thread = threading.Thread(target=work, name="telemetry-flush", daemon=True)
    thread.start()
    thread.join(timeout_s)
    return not thread.is_alive()


__all__ = ["Part", "Telemetry", "off", "start"]
