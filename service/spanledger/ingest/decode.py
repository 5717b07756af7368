"""The loading queries: ClickHouse reads the spool's protobuf itself. Text and schema live in `clickhouse/ingest/`."""

from dataclasses import dataclass
from functools import lru_cache

from spanledger import resources

# ClickHouse types of the messages in otlp.proto. `kind` says which field of the oneof was sent.
_SCALAR_FIELDS = "string_value String, bool_value Bool, int_value Int64, double_value Float64"
_SCALAR_KINDS = "'no' = 0, 'string_value' = 1, 'bool_value' = 2, 'int_value' = 3, 'double_value' = 4, 'bytes_value' = 7"
_SCALAR = f"Tuple(kind Enum8({_SCALAR_KINDS}), {_SCALAR_FIELDS}, bytes_value String)"
_ANY = (
    f"Tuple(kind Enum8({_SCALAR_KINDS}, 'array_value' = 5), {_SCALAR_FIELDS}, "
    f"array_value Tuple(values Array({_SCALAR})), bytes_value String)"
)
_ATTRIBUTES = f"Array(Tuple(key String, value {_ANY}))"
_RESOURCE = f"Tuple(attributes {_ATTRIBUTES})"
_EVENT = f"Tuple(time_unix_nano UInt64, name String, attributes {_ATTRIBUTES})"
_LINK = f"Tuple(trace_id String, span_id String, trace_state String, attributes {_ATTRIBUTES})"
_SPAN = (
    "Tuple(trace_id String, span_id String, trace_state String, parent_span_id String, name String, kind Int32, "
    f"start_time_unix_nano UInt64, end_time_unix_nano UInt64, attributes {_ATTRIBUTES}, "
    f"events Array({_EVENT}), links Array({_LINK}), status Tuple(message String, code Int32))"
)
_SCOPE_SPANS = f"Tuple(scope Tuple(name String, version String), spans Array({_SPAN}))"
_LOG_RECORD = (
    "Tuple(time_unix_nano UInt64, observed_time_unix_nano UInt64, severity_number Int32, severity_text String, "
    f"body {_ANY}, attributes {_ATTRIBUTES}, flags UInt32, trace_id String, span_id String, event_name String)"
)
_SCOPE_LOGS = (
    f"Tuple(scope Tuple(name String, version String, attributes {_ATTRIBUTES}), "
    f"log_records Array({_LOG_RECORD}), schema_url String)"
)
_NUMBER = "kind Enum8('no' = 0, 'as_double' = {double}, 'as_int' = 6), as_double Float64, as_int Int64"
_EXEMPLARS = (
    f"Array(Tuple(time_unix_nano UInt64, {_NUMBER.format(double=3)}, span_id String, trace_id String, "
    f"filtered_attributes {_ATTRIBUTES}))"
)
_POINT = f"start_time_unix_nano UInt64, time_unix_nano UInt64, attributes {_ATTRIBUTES}, flags UInt32"
_SAMPLED = f"{_POINT}, exemplars {_EXEMPLARS}"
_TOTALS = "count UInt64, sum Float64, min Float64, max Float64"
_BUCKETS = "Tuple(offset Int64, bucket_counts Array(UInt64))"
_METRIC_KINDS = {
    "gauge": f"data_points Array(Tuple({_SAMPLED}, {_NUMBER.format(double=4)}))",
    "sum": (
        f"data_points Array(Tuple({_SAMPLED}, {_NUMBER.format(double=4)})), "
        "aggregation_temporality Int64, is_monotonic Bool"
    ),
    "histogram": (
        f"data_points Array(Tuple({_SAMPLED}, {_TOTALS}, bucket_counts Array(UInt64), "
        "explicit_bounds Array(Float64))), aggregation_temporality Int64"
    ),
    "exponential_histogram": (
        f"data_points Array(Tuple({_SAMPLED}, {_TOTALS}, scale Int64, zero_count UInt64, "
        f"positive {_BUCKETS}, negative {_BUCKETS})), aggregation_temporality Int64"
    ),
    "summary": (
        f"data_points Array(Tuple({_POINT}, count UInt64, sum Float64, "
        "quantile_values Array(Tuple(quantile Float64, value Float64))))"
    ),
}
_META = "received_at_ms UInt64, tenant String"


@dataclass(frozen=True)
class Target:
    """A table that a signal is loaded into."""

    table: str
    message: str
    structure: str
    columns: tuple[str, ...]
    kind: str = ""  # of a metric's points


_TRACE_COLUMNS = (
    *("Timestamp", "TraceId", "SpanId", "ParentSpanId", "TraceState", "SpanName", "SpanKind", "ServiceName"),
    *("ResourceAttributes", "ScopeName", "ScopeVersion", "SpanAttributes", "Duration", "StatusCode", "StatusMessage"),
    *("Events.Timestamp", "Events.Name", "Events.Attributes"),
    *("Links.TraceId", "Links.SpanId", "Links.TraceState", "Links.Attributes", "Tenant", "Batch", "ReceivedAt"),
)
_LOG_COLUMNS = (
    *("Timestamp", "TraceId", "SpanId", "TraceFlags", "SeverityText", "SeverityNumber", "ServiceName", "Body"),
    *("ResourceSchemaUrl", "ResourceAttributes", "ScopeSchemaUrl", "ScopeName", "ScopeVersion", "ScopeAttributes"),
    *("LogAttributes", "EventName", "Tenant", "Batch", "ReceivedAt"),
)
_POINT_COLUMNS = (
    *("ResourceAttributes", "ResourceSchemaUrl", "ScopeName", "ScopeVersion", "ScopeAttributes"),
    *("ScopeDroppedAttrCount", "ScopeSchemaUrl", "ServiceName", "MetricName", "MetricDescription", "MetricUnit"),
    *("Attributes", "StartTimeUnix", "TimeUnix", "Flags", "Tenant", "Batch", "ReceivedAt"),
)
_EXEMPLAR_COLUMNS = (
    *("Exemplars.FilteredAttributes", "Exemplars.TimeUnix", "Exemplars.Value"),
    *("Exemplars.SpanId", "Exemplars.TraceId"),
)
_TOTAL_COLUMNS = (*_EXEMPLAR_COLUMNS, "Count", "Sum", "Min", "Max", "AggregationTemporality")
_KIND_COLUMNS: dict[str, tuple[str, ...]] = {
    "gauge": (*_EXEMPLAR_COLUMNS, "Value"),
    "sum": (*_EXEMPLAR_COLUMNS, "Value", "AggregationTemporality", "IsMonotonic"),
    "histogram": (*_TOTAL_COLUMNS, "BucketCounts", "ExplicitBounds"),
    "exponential_histogram": (
        *(*_TOTAL_COLUMNS, "Scale", "ZeroCount", "PositiveOffset", "PositiveBucketCounts"),
        *("NegativeOffset", "NegativeBucketCounts"),
    ),
    "summary": ("Count", "Sum", "ValueAtQuantiles.Quantile", "ValueAtQuantiles.Value"),
}


def _metrics_target(kind: str) -> Target:
    metric = f"Tuple(name String, description String, unit String, {kind} Tuple({_METRIC_KINDS[kind]}))"
    scope = f"Tuple(name String, version String, attributes {_ATTRIBUTES}, dropped_attributes_count UInt32)"
    return Target(
        f"otel_metrics_{kind}",
        "Metrics",
        f"resource_metrics Array(Tuple(resource {_RESOURCE}, scope_metrics Array(Tuple(scope {scope}, "
        f"metrics Array({metric}), schema_url String)), schema_url String)), {_META}",
        (*_POINT_COLUMNS, *_KIND_COLUMNS[kind]),
        kind,
    )


TARGETS: dict[str, tuple[Target, ...]] = {
    "traces": (
        Target(
            "otel_traces",
            "Traces",
            f"resource_spans Array(Tuple(resource {_RESOURCE}, scope_spans Array({_SCOPE_SPANS}))), {_META}",
            _TRACE_COLUMNS,
        ),
    ),
    "logs": (
        Target(
            "otel_logs",
            "Logs",
            f"resource_logs Array(Tuple(resource {_RESOURCE}, scope_logs Array({_SCOPE_LOGS}), schema_url String)), "
            f"{_META}",
            _LOG_COLUMNS,
        ),
    ),
    "metrics": tuple(map(_metrics_target, _METRIC_KINDS)),
}


@lru_cache(maxsize=1)
def schema() -> str:
    """The protobuf schema that the queries read the spool with."""
    return (resources.folder("clickhouse") / "ingest" / "otlp.proto").read_text()


@lru_cache(maxsize=16)
def _query(table: str) -> str:
    folder = resources.folder("clickhouse") / "ingest"
    return (folder / "values.sql").read_text() + (folder / f"{table}.sql").read_text()


def quoted(text: str) -> str:
    """A ClickHouse string literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


@dataclass(frozen=True)
class Source:
    """Where the rows come from: a table function, the settings it needs, and what ends the statement."""

    table_function: str
    settings: str
    ending: str = ""


@dataclass(frozen=True)
class Insert:
    """What is inserted. `missing_only` is a condition on the rows, `settings` go with the insert.

    The token is fresh each time; it only spares ClickHouse to compare the blocks with earlier ones.
    """

    target: Target
    batch: str
    token: str
    missing_only: str = ""
    settings: str = ""


# Tables that replace or sum do so when they merge: to do it for each new part too would cost half of the views' time.
# Compiling expressions of a batch takes longer than they do. Views in parallel would be quicker, too, but then a trace
# could stand in the queue before its spans can be read (docs/decisions/0003-queue-as-a-ledger.md).
_QUICK = "optimize_on_insert = 0, compile_expressions = 0"


def insert(wanted: Insert, source: Source) -> str:
    """The statement that loads a batch into one table and, through the views, into all below it."""
    target = wanted.target
    columns = ", ".join(f"`{name}`" for name in target.columns)
    settings = f"insert_deduplication_token = {quoted(wanted.token)}, {_QUICK}"
    if wanted.settings:
        settings += ", " + wanted.settings
    rows = f"SELECT {columns} FROM ({_select(target, source, wanted.batch)})"
    if wanted.missing_only:
        rows += f" WHERE {wanted.missing_only}"
    return f"INSERT INTO {target.table} ({columns}) SETTINGS {settings}\n{rows}\n{_reading(source)}"


def check(target: Target, source: Source) -> str:
    """A query that reads and converts everything and returns nothing of it."""
    return f"SELECT count() FROM ({_select(target, source, '')}) WHERE NOT ignore(*) {_reading(source)}"


def check_insert(target: Target, source: Source) -> str:
    """The same as an insert that goes nowhere, for a source that is sent along."""
    rows = f"SELECT ignore(*) FROM ({_select(target, source, '')})"
    return f"INSERT INTO FUNCTION null('x UInt8') {rows} {_reading(source)}"


def _select(target: Target, source: Source, batch: str) -> str:
    return _query(target.table).replace("'BATCH'", quoted(batch)).replace("SOURCE", source.table_function)


def _reading(source: Source) -> str:
    # The branches of values.sql cost less than picking out the values that each of them is for.
    fixed = (
        "input_format_protobuf_oneof_presence = 1, output_format_json_escape_forward_slashes = 0, "
        "short_circuit_function_evaluation = 'disable'"
    )
    return f"SETTINGS {fixed}, {source.settings} {source.ending}"
