"""Checks, before a Collector starts, that its ClickHouse fits its exporter; says what to do where it does not.

The exporter itself only finds out with the first batch and then tries for ever. Environment as for gateway.yaml, and
SPANLEDGER_CLICKHOUSE_HTTP (default http://127.0.0.1:8123). Standard library only; exit 0 or 1.
"""

import http.client
import os
import sys
import urllib.error
import urllib.request

EXPORTER = "0.161.0"
# What the exporter of that version inserts.
EXPECTED = {
    "otel_traces": """
        Timestamp TraceId SpanId ParentSpanId TraceState SpanName SpanKind ServiceName
        ResourceAttributes ScopeName ScopeVersion SpanAttributes Duration StatusCode StatusMessage
        Events.Timestamp Events.Name Events.Attributes Links.TraceId Links.SpanId Links.TraceState
        Links.Attributes
    """.split(),
    "otel_logs": """
        Timestamp TraceId SpanId TraceFlags SeverityText SeverityNumber ServiceName Body
        ResourceSchemaUrl ResourceAttributes ScopeSchemaUrl ScopeName ScopeVersion ScopeAttributes
        LogAttributes EventName
    """.split(),
    "otel_metrics_gauge": """
        ResourceAttributes ResourceSchemaUrl ScopeName ScopeVersion ScopeAttributes
        ScopeDroppedAttrCount ScopeSchemaUrl ServiceName MetricName MetricDescription MetricUnit
        Attributes StartTimeUnix TimeUnix Value Flags Exemplars.FilteredAttributes
        Exemplars.TimeUnix Exemplars.Value Exemplars.SpanId Exemplars.TraceId
    """.split(),
    "otel_metrics_sum": """
        ResourceAttributes ResourceSchemaUrl ScopeName ScopeVersion ScopeAttributes
        ScopeDroppedAttrCount ScopeSchemaUrl ServiceName MetricName MetricDescription MetricUnit
        Attributes StartTimeUnix TimeUnix Value Flags Exemplars.FilteredAttributes
        Exemplars.TimeUnix Exemplars.Value Exemplars.SpanId Exemplars.TraceId AggregationTemporality
        IsMonotonic
    """.split(),
    "otel_metrics_histogram": """
        ResourceAttributes ResourceSchemaUrl ScopeName ScopeVersion ScopeAttributes
        ScopeDroppedAttrCount ScopeSchemaUrl ServiceName MetricName MetricDescription MetricUnit
        Attributes StartTimeUnix TimeUnix Count Sum BucketCounts ExplicitBounds
        Exemplars.FilteredAttributes Exemplars.TimeUnix Exemplars.Value Exemplars.SpanId
        Exemplars.TraceId Flags Min Max AggregationTemporality
    """.split(),
    "otel_metrics_exponential_histogram": """
        ResourceAttributes ResourceSchemaUrl ScopeName ScopeVersion ScopeAttributes
        ScopeDroppedAttrCount ScopeSchemaUrl ServiceName MetricName MetricDescription MetricUnit
        Attributes StartTimeUnix TimeUnix Count Sum Scale ZeroCount PositiveOffset
        PositiveBucketCounts NegativeOffset NegativeBucketCounts Exemplars.FilteredAttributes
        Exemplars.TimeUnix Exemplars.Value Exemplars.SpanId Exemplars.TraceId Flags Min Max
        AggregationTemporality
    """.split(),
    "otel_metrics_summary": """
        ResourceAttributes ResourceSchemaUrl ScopeName ScopeVersion ScopeAttributes
        ScopeDroppedAttrCount ScopeSchemaUrl ServiceName MetricName MetricDescription MetricUnit
        Attributes StartTimeUnix TimeUnix Count Sum ValueAtQuantiles.Quantile ValueAtQuantiles.Value
        Flags
    """.split(),
}

_MIGRATE = "run `spanledger migrate --clickhouse-url http://spanledger_admin:…@host:8123/{database}`"


def main() -> int:
    address = os.environ.get("SPANLEDGER_CLICKHOUSE_HTTP", "http://127.0.0.1:8123")
    database = os.environ.get("SPANLEDGER_CLICKHOUSE_DATABASE", "spanledger")
    user = os.environ.get("SPANLEDGER_CLICKHOUSE_INGEST_USER", "spanledger_ingest")
    password = os.environ.get("SPANLEDGER_CLICKHOUSE_INGEST_PASSWORD", "")
    headers = {"X-ClickHouse-User": user, "X-ClickHouse-Key": password}
    problems = []
    for table, wanted in EXPECTED.items():
        sql = f"SELECT name FROM system.columns WHERE database = '{database}' AND table = '{table}'"
        try:
            request = urllib.request.Request(address, sql.encode(), headers)
            with urllib.request.urlopen(request, timeout=10) as answer:
                found = set(answer.read().decode().split())
        except urllib.error.HTTPError as exc:
            return _fail([_refused(exc, user)])
        except ValueError:
            return _fail([f"SPANLEDGER_CLICKHOUSE_HTTP must look like http://host:8123, not {address!r}"])
        except (OSError, http.client.HTTPException) as exc:
            return _fail([f"ClickHouse at {address} cannot be reached ({exc}); is it running, is the address right?"])
        problems += _compare(table, set(wanted), found, database)
    if problems:
        return _fail(problems)
    print(f"ClickHouse has what the exporter {EXPORTER} writes: {len(EXPECTED)} tables in {database}")
    return 0


def _compare(table: str, wanted: set[str], found: set[str], database: str) -> list[str]:
    fix = _MIGRATE.format(database=database)
    if not found:
        return [f"table {database}.{table} is missing, or the user must not see it; {fix}"]
    missing = sorted(wanted - found)
    if missing:
        return [
            f"table {database}.{table} lacks {', '.join(missing)}, which the exporter {EXPORTER} writes: the schema is "
            f"older than the Collector or was not made by Spanledger; {fix}, or use the Collector of "
            "collector/builder.yaml"
        ]
    return []


def _refused(exc: urllib.error.HTTPError, user: str) -> str:
    try:
        text = exc.read().decode(errors="replace").splitlines()[0][:300]
    except (OSError, http.client.HTTPException, IndexError):  # the native port hangs up at once, often before its words
        text = str(exc.reason)
    if exc.headers.get("X-ClickHouse-Exception-Code") in {"194", "516"}:
        return (
            f"user {user} was refused: wrong password; set SPANLEDGER_CLICKHOUSE_INGEST_PASSWORD to the same value "
            f"for the Collector and for the server (clickhouse/server/users.d/spanledger.xml) ({text})"
        )
    if "is for clickhouse-client program" in text or not any(name.startswith("X-ClickHouse") for name in exc.headers):
        return f"give the server's HTTP port (8123) in SPANLEDGER_CLICKHOUSE_HTTP, not its native one ({text})"
    return f"ClickHouse refused: {text}"


def _fail(problems: list[str]) -> int:
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
