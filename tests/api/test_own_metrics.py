"""What the door says of itself arrives in the tables like any other metric."""

from system import System

GAUGES = {"spool.size": "By", "lag": "s", "dead_letters": "{record}"}


def test_the_doors_own_figures_are_in_the_metric_tables(system: System) -> None:
    kind = {"Content_Type": "application/x-protobuf"}
    assert system.request("POST", "/v1/traces", b"\xff", system.otlp_port, **kind)[0] == 400
    system.post("/v1/flush", {})  # the door's processes have told their counts
    system.post("/v1/flush", {})  # and those were emitted
    query = """
        SELECT MetricName, MetricUnit FROM otel_metrics_gauge WHERE MetricName LIKE 'spanledger.ingest.%' GROUP BY ALL
    """
    units = dict(system.post("/v1/sql", {"query": query})["data"])
    assert units == {f"spanledger.ingest.{name}": unit for name, unit in GAUGES.items()}
    query = """
        SELECT MetricName, arrayStringConcat(mapValues(Attributes)) AS of, max(Value) AS value FROM otel_metrics_sum
        WHERE MetricName LIKE 'spanledger.%' AND AggregationTemporality = 2 AND IsMonotonic GROUP BY ALL
    """
    sums = {(name, of): value for name, of, value in system.post("/v1/sql", {"query": query})["data"]}
    health = system.request("GET", "/readyz")[2]["ingest"]
    assert 1 <= sums["spanledger.ingest.refused", "400"] <= health["answers"]["400"]
    assert 0 < sums["spanledger.ingest.accepted", "metrics"] <= health["accepted"]["metrics"]
    assert 0 < sums["spanledger.ingest.loaded", "metrics"] <= health["loaded"]["metrics"]
    assert sums["spanledger.telemetry.dropped", "spans"] == 0
