"""How fast the OTLP door is: sustained rate with all views live, beside it the machine's limit; latency, memory, disk.

A real `spanledger up` on a data folder of its own gets `traffic` from other processes. The limit is what ClickHouse
does with the same bytes from files, with no door and no views, in the same run. Figures come as JSON on stdout, what is
going on on stderr.
"""

import os
import platform
import shutil
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from spanledger.bench import arrival, sender, stages, steps
from spanledger.bench.sender import Plan, sending
from spanledger.bench.system import System, Watch
from spanledger.bench.traffic import Body
from spanledger.bench.workload import SPANS_PER_TRACE
from spanledger.store.client import Store, open_embedded

_PACE = 20_000  # spans/s of the test of freshness
_PACED_REQUEST = 512  # spans, as an SDK's batch
_PROBES = 2  # that ask for acknowledged traces at the same time
_POLL_S = 0.05  # between two questions for a trace that is not there yet
_LOAD_TIMEOUT_S = 600.0
_SETTLE_TIMEOUT_S = 240.0
_TELL_EVERY_S = 5.0


def run(
    seconds: float = 60.0,
    paced_seconds: float = 25.0,
    other_seconds: float = 10.0,
    roles: str = "",
    book_spans: int = 100_000,
) -> dict[str, Any]:
    """All figures as one JSON-ready dictionary; takes about five minutes. `roles` as `up` takes them, empty for all."""
    folder = Path(tempfile.mkdtemp(prefix="spanledger-bench-"))
    try:
        figures: dict[str, Any] = {"machine": _machine()}
        _say("the machine's limit, and each stage by itself")
        (folder / "stages").mkdir()
        figures |= stages.measure(folder / "stages")
        shutil.rmtree(folder / "stages")
        figures["freshness"], figures["disk"] = _paced_run(folder / "paced", paced_seconds, roles)
        shutil.rmtree(folder / "paced")
        figures |= _flood_run(folder / "flood", seconds, other_seconds, roles)
        shutil.rmtree(folder / "flood")
        figures["books"] = _arrivals(folder, book_spans, roles)
        figures["share_of_limit"] = round(figures["http"]["spans_per_s"] / figures["limit"]["spans_per_s"], 2)
        figures["machine"]["load_1m_after"] = round(os.getloadavg()[0], 2)
        return figures
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _arrivals(folder: Path, spans: int, roles: str) -> dict[str, Any]:
    """Of each kind of traffic, until it stands in the books."""
    figures = {}
    for shape in steps.counted("until it stands in the books", arrival.SHAPES, "kinds of traffic"):
        _say(f"{shape} traffic: {spans} spans until they stand in the books")
        figures[shape] = arrival.measure(folder / shape, shape, spans, roles)
        shutil.rmtree(folder / shape)
    return figures


def _say(text: str) -> None:
    steps.note(f"bench ingest: {text}")


def _machine() -> dict[str, Any]:
    return {"cpus": os.cpu_count(), "python": platform.python_version(), "load_1m_before": round(os.getloadavg()[0], 2)}


def _paced_run(data_dir: Path, seconds: float, roles: str) -> tuple[dict[str, Any], dict[str, Any]]:
    with System(data_dir, roles=roles) as system:
        _say("warming up")
        _paced(system, 2_000, 6.0)
        _say(f"{_PACE} spans/s for {seconds:.0f} s: freshness")
        freshness = _paced(system, _PACE, seconds)
        freshness |= settled(system)
    _say("bytes on disk after merges")
    return freshness, _disk(data_dir)


def settled(system: System) -> dict[str, float]:
    """Waits until all is settled, but not for ever, and says how far it is."""
    started = shown_at = time.monotonic()
    while (left := system.unsettled()) and time.monotonic() < started + _SETTLE_TIMEOUT_S:
        if time.monotonic() >= shown_at:
            _say(f"settling what is left: {left} traces")
            shown_at += _TELL_EVERY_S
        time.sleep(0.2)
    return {"settled_after_s": round(time.monotonic() - started, 1), "unsettled_traces": left}


def _flood_run(data_dir: Path, seconds: float, other_seconds: float, roles: str) -> dict[str, Any]:
    with System(data_dir, patient=False, roles=roles) as system:
        _say("warming up")
        sent = _flood(system, "http", 3.0)["spans"]
        figures: dict[str, Any] = {}
        for protocol, duration in (("http", seconds), ("grpc", other_seconds), ("json", other_seconds)):
            _say(f"{protocol}: as fast as it goes for {duration:.0f} s")
            figures[protocol] = _flood(system, protocol, duration)
            sent += figures[protocol]["spans"]
    _say("counting what is in the tables")
    figures["counted"] = {"accepted": sent} | _counted(data_dir)
    return figures


def _flood(system: System, protocol: str, seconds: float) -> dict[str, Any]:
    """As fast as the door takes it; the clock runs until everything is in ClickHouse, views included."""
    plan = Plan(system.endpoint(protocol), protocol, seconds)
    cpu_before, loaded_before, settled_before = system.cpu_seconds(), system.loaded(), system.settled()
    with sending(plan) as process, Watch(system.memory_mib) as memory:
        sent = sender.report(process)
        acked_s = memory.elapsed()
        _wait_loaded(system, loaded_before + sent.spans)
        loaded_s = memory.elapsed()
    cpu = {role: seconds - cpu_before.get(role, 0.0) for role, seconds in system.cpu_seconds().items()}
    cpu["sender"] = sent.cpu_seconds
    settled = system.settled() - settled_before
    return {
        "spans": sent.spans,
        "bytes_per_span": round(sent.bytes / sent.spans),
        "refused_requests": sent.refused,
        "acknowledged_per_s": round(sent.spans / acked_s),
        "spans_per_s": round(sent.spans / loaded_s),
        "ack_ms": percentiles(sent.ack_ms),
        "loaded_behind_s": round(loaded_s - acked_s, 2),
        "settled_meanwhile_per_s": round(settled / loaded_s),
        "cpu_us_per_span": {role: round(spent / sent.spans * 1e6, 2) for role, spent in cpu.items()},
        "memory_mib": {"first_half": memory.first_half(), "second_half": memory.second_half()},
    }


def _wait_loaded(system: System, spans: int) -> None:
    deadline = time.monotonic() + _LOAD_TIMEOUT_S
    while system.loaded() < spans:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{spans - system.loaded()} acknowledged spans were not loaded in {_LOAD_TIMEOUT_S} s")
        time.sleep(0.25)  # asking costs something too


def _paced(system: System, spans_per_s: int, seconds: float) -> dict[str, Any]:
    """At an even rate: how long an acknowledgement takes, and until the API shows an acknowledged trace."""
    plan = Plan(system.endpoint("http"), "http", seconds, spans_per_s, _PACED_REQUEST)
    settled_before, cpu_before = system.settled(), sum(system.cpu_seconds().values())
    with sending(plan) as process:
        time.sleep(2.0)
        until = time.monotonic() + seconds - 3.0
        with ThreadPoolExecutor(_PROBES) as probes:
            visible = [ms for each in probes.map(lambda _: _probe(system, until), range(_PROBES)) for ms in each]
        sent = sender.report(process)
    return {
        "asked_per_s": spans_per_s,
        "spans_per_s": round(sent.spans / sent.seconds),
        "refused_requests": sent.refused,
        "ack_ms": percentiles(sent.ack_ms),
        "visible_ms": percentiles(visible),
        "settled_per_s": round((system.settled() - settled_before) / sent.seconds),
        "cores_used": round((sum(system.cpu_seconds().values()) - cpu_before) / sent.seconds, 2),
    }


def _probe(system: System, until: float) -> list[float]:
    """How long one trace after the other took to be visible, until a moment."""
    visible: list[float] = []
    with httpx.Client(base_url=system.endpoint("http"), timeout=60) as door, system.new_client() as api:
        while time.monotonic() < until:
            visible.append(_until_visible(door, api))
            time.sleep(0.05)
    return visible


def _until_visible(door: httpx.Client, api: httpx.Client) -> float:
    """Milliseconds from an acknowledgement until the API shows the whole trace."""
    body, trace_id = Body.single()
    door.post("/v1/traces", content=body, headers={"Content-Type": "application/x-protobuf"}).raise_for_status()
    acknowledged = time.perf_counter()
    while True:
        answer = api.get(f"/v1/traces/{trace_id}")
        if answer.status_code == 200 and len(answer.json()["spans"]) == SPANS_PER_TRACE:
            return (time.perf_counter() - acknowledged) * 1000
        time.sleep(_POLL_S)


def percentiles(values: list[float]) -> dict[str, float]:
    """p50, p95, p99, the highest, and of how many."""
    if len(values) < 2:
        return {"count": len(values)}
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    figures = {f"p{cut}": round(cuts[cut - 1], 1) for cut in (50, 95, 99)}
    return figures | {"max": round(max(values), 1), "count": len(values)}


def _counted(data_dir: Path) -> dict[str, int]:
    """Spans in the raw table, and each once in the table of the books."""
    store = open_embedded(data_dir)
    loaded = int(store.scalar("SELECT count() FROM otel_traces WHERE ServiceName = 'chat-service'"))
    once = int(store.scalar("SELECT count() FROM genai_spans FINAL WHERE service = 'chat-service'"))
    store.close()
    return {"loaded": loaded, "once": once}


def _disk(data_dir: Path) -> dict[str, Any]:
    """Bytes on disk per span, all tables together and each by itself, after merges."""
    store = open_embedded(data_dir)
    for table in _filled(store):
        store.command(f"OPTIMIZE TABLE {table} FINAL")
    spans = store.scalar("SELECT count() FROM otel_traces")
    sizes = "SELECT table, sum(bytes_on_disk) FROM system.parts WHERE active AND database = 'default' GROUP BY 1"
    per_table: dict[str, int] = dict(store.query(sizes))
    columns = store.query(
        "SELECT table || '.' || column, sum(column_bytes_on_disk) AS size FROM system.parts_columns "
        "WHERE active AND database = 'default' GROUP BY 1 ORDER BY size DESC LIMIT 40"
    )
    store.close()
    return {
        "spans": spans,
        "bytes_per_span": round(sum(per_table.values()) / spans, 1),
        "tables": {name: round(size / spans, 2) for name, size in sorted(per_table.items(), key=lambda item: -item[1])},
        "columns": {name: round(size / spans, 2) for name, size in columns},
    }


def _filled(store: Store) -> list[str]:
    rows = store.query("SELECT name FROM system.tables WHERE database = 'default' AND total_rows > 0")
    return [name for (name,) in rows]
