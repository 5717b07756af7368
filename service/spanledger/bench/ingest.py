"""How fast the OTLP door is: sustained rate with all views live, beside it the machine's limit; latency, memory, disk.

A real `spanledger up` on a data folder of its own gets `traffic` from another process. The limit is what ClickHouse
does with the same bytes from a file, with no door and no views, in the same run.
"""

import json
import os
import platform
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from spanledger.bench.traffic import Body, Plan
from spanledger.ingest import decode, records, spool
from spanledger.ingest.feed import FileFeed, Load
from spanledger.store import migrate
from spanledger.store.client import open_embedded

_SPANS_PER_REQUEST = 512
_LIMIT_SPANS = 400_000
_FILES_PER_BATCH = 4


def run(seconds: float = 60.0, paced_seconds: float = 30.0, other_seconds: float = 15.0) -> dict[str, Any]:
    """All figures as one JSON-ready dictionary; takes about four minutes."""
    folder = Path(tempfile.mkdtemp(prefix="spanledger-bench-"))
    try:
        figures: dict[str, Any] = {"machine": _machine()}
        figures["limit"] = _limit(folder)
        with _System(folder / "paced") as system:
            _paced(system, 2_000, 6.0)  # warms everything up
            figures["paced"] = _paced(system, 20_000, paced_seconds)
        figures["disk"] = _disk(folder / "paced")
        with _System(folder / "flood", patient=False) as system:
            _flood(system, "http", 3.0)
            figures["http"] = _flood(system, "http", seconds)
            figures["share_of_limit"] = round(figures["http"]["spans_per_s"] / figures["limit"]["spans_per_s"], 2)
            for protocol in ("grpc", "json"):
                figures[protocol] = _flood(system, protocol, other_seconds)
            figures["peak_memory_mib"] = system.peak_memory_mib()
        return figures
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _machine() -> dict[str, Any]:
    return {"cpus": os.cpu_count(), "python": platform.python_version(), "load_1m": round(os.getloadavg()[0], 2)}


class _System:
    """A `spanledger up` and what the kernel knows about its processes. If not `patient`, it is killed at the end."""

    def __init__(self, data_dir: Path, patient: bool = True) -> None:
        self._patient = patient
        self._ports = [_free_port() for _ in range(3)]
        names = ("--port", "--otlp-http-port", "--otlp-grpc-port")
        flags = [text for name, port in zip(names, self._ports, strict=True) for text in (name, str(port))]
        command = [sys.executable, "-m", "spanledger.cli", "up", "--data-dir", str(data_dir), *flags]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self._ports[0]}", timeout=900)

    def __enter__(self) -> "_System":
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("ready"):
                return self
        raise RuntimeError(f"spanledger up ended with {self._process.wait()}")

    def __exit__(self, *_: object) -> None:
        self.client.close()
        if self._patient:
            self._process.terminate()
        else:
            self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def endpoint(self, protocol: str) -> str:
        return f"127.0.0.1:{self._ports[2]}" if protocol == "grpc" else f"http://127.0.0.1:{self._ports[1]}"

    def health(self) -> dict[str, Any]:
        state: dict[str, Any] = self.client.get("/readyz").json()
        return state

    def loaded(self) -> int:
        """Spans that are in ClickHouse, views included."""
        return int(self.health()["ingest"]["loaded"]["traces"])

    def settled(self) -> int:
        """Spans that settlement has looked at."""
        return int(self.health()["settlement"]["spans"])

    def settle(self) -> float:
        """Waits until everything is loaded and settled; seconds."""
        started = time.monotonic()
        self.client.post("/v1/flush").raise_for_status()
        return time.monotonic() - started

    def processes(self) -> dict[str, int]:
        """Process ids by role."""
        children = Path(f"/proc/{self._process.pid}/task").glob("*/children")
        door = {int(pid) for listing in children for pid in listing.read_text().split()}
        return {"main": self._process.pid, **{f"door_{number}": pid for number, pid in enumerate(sorted(door))}}

    def cpu_seconds(self) -> dict[str, float]:
        return {role: _cpu_seconds(pid) for role, pid in self.processes().items()}

    def peak_memory_mib(self) -> dict[str, int]:
        return {role: _status_kib(pid, "VmHWM") // 1024 for role, pid in self.processes().items()}

    def memory_mib(self) -> int:
        """What all its processes hold now."""
        return sum(_status_kib(pid, "VmRSS") for pid in self.processes().values()) // 1024


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _status_kib(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _sender(plan: Plan) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "spanledger.bench.traffic", json.dumps(asdict(plan))]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _flood(system: _System, protocol: str, seconds: float) -> dict[str, Any]:
    """As fast as the door takes it; the clock runs until everything is in ClickHouse, views included."""
    plan = Plan(system.endpoint(protocol), protocol, seconds, seed=time.time_ns() % 10**9)
    cpu_before, loaded_before, settled_before = system.cpu_seconds(), system.loaded(), system.settled()
    with _sender(plan) as sender, _Watch(system) as watch:
        output, _ = sender.communicate()
        sent = json.loads(output)
        acked_s = watch.elapsed()
        while system.loaded() - loaded_before < sent["spans"]:
            time.sleep(0.02)
        loaded_s = watch.elapsed()
    spent = {role: cpu - cpu_before.get(role, 0.0) for role, cpu in system.cpu_seconds().items()}
    return {
        "spans": sent["spans"],
        "bytes_per_span": round(sent["bytes"] / sent["spans"]),
        "refused_requests": sent["refused"],
        "acknowledged_per_s": round(sent["spans"] / acked_s),
        "spans_per_s": round(sent["spans"] / loaded_s),
        "ack_ms": _percentiles(sent["ack_ms"]),
        "loaded_behind_s": round(loaded_s - acked_s, 2),
        "settled_meanwhile_per_s": round((system.settled() - settled_before) / loaded_s),
        "cpu_us_per_span": {role: round(cpu / sent["spans"] * 1e6, 2) for role, cpu in spent.items()},
        "memory_mib": {"first_half": watch.first_half(), "second_half": watch.second_half()},
    }


class _Watch:
    """Samples memory while something runs."""

    def __init__(self, system: _System) -> None:
        self._system = system
        self._stopped = threading.Event()
        self._samples: list[int] = []
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "_Watch":
        self._started = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def elapsed(self) -> float:
        return time.monotonic() - self._started

    def first_half(self) -> int:
        return max(self._samples[: len(self._samples) // 2 + 1])

    def second_half(self) -> int:
        return max(self._samples[len(self._samples) // 2 :])

    def _run(self) -> None:
        while not self._stopped.wait(0.25):
            self._samples.append(self._system.memory_mib())
        self._samples.append(self._system.memory_mib())


def _paced(system: _System, spans_per_s: int, seconds: float) -> dict[str, Any]:
    """At an even rate: how long an acknowledgement takes, and until the API shows an acknowledged trace."""
    plan = Plan(system.endpoint("http"), "http", seconds, spans_per_s, seed=time.time_ns() % 10**9)
    rng = random.Random(plan.seed + 1)
    probe = Body(rng, 4)
    visible: list[float] = []
    with _sender(plan) as sender, httpx.Client(base_url=system.endpoint("http")) as door:
        time.sleep(2.0)
        until = time.monotonic() + seconds - 4.0
        while time.monotonic() < until:
            visible.append(_probe(system, door, probe.fresh(rng)))
            time.sleep(0.1)
        output, _ = sender.communicate()
    sent = json.loads(output)
    return {
        "asked_per_s": spans_per_s,
        "spans_per_s": round(sent["spans"] / seconds),
        "refused_requests": sent["refused"],
        "ack_ms": _percentiles(sent["ack_ms"]),
        "visible_ms": _percentiles(visible),
        "settlement_behind_s": round(system.settle(), 2),
    }


def _probe(system: _System, door: httpx.Client, body: bytes) -> float:
    """Milliseconds from an acknowledgement until the API shows the whole trace."""
    span = ExportTraceServiceRequest.FromString(body).resource_spans[0].scope_spans[0].spans[0]
    door.post("/v1/traces", content=body, headers={"Content-Type": "application/x-protobuf"}).raise_for_status()
    acknowledged = time.perf_counter()
    while True:
        answer = system.client.get(f"/v1/traces/{span.trace_id.hex()}")
        if answer.status_code == 200 and len(answer.json()["spans"]) == 4:
            return (time.perf_counter() - acknowledged) * 1000


def _percentiles(values: list[float]) -> dict[str, float]:
    if len(values) < 2:
        return {"count": len(values)}
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return {"p50": round(cuts[49], 1), "p99": round(cuts[98], 1), "max": round(max(values), 1), "count": len(values)}


def _limit(folder: Path) -> dict[str, Any]:
    """ClickHouse alone: decode and insert the same bytes from files, no views. In a process of its own."""
    command = [sys.executable, "-m", "spanledger.bench.ingest", str(folder)]
    figures: dict[str, Any] = json.loads(subprocess.check_output(command, text=True))
    return figures


def _measure_limit(folder: Path) -> dict[str, Any]:
    store = open_embedded(folder / "limit")
    for migration in migrate.files("migrations"):
        if migration.name.endswith("otel_traces"):
            store.command(migration.statement)
    segments, size = _write_segments(folder, _LIMIT_SPANS)
    best = float("inf")
    for attempt in range(3):
        started = time.perf_counter()
        for number in range(0, len(segments), _FILES_PER_BATCH):
            batch = f"{attempt}-{number}"
            paths = segments[number : number + _FILES_PER_BATCH]
            FileFeed(store).insert(Load(decode.TARGETS["traces"][0], paths, batch, batch))
        best = min(best, time.perf_counter() - started)
    store.close()
    return {"spans_per_s": round(_LIMIT_SPANS / best), "bytes_per_span": round(size / _LIMIT_SPANS)}


def _write_segments(folder: Path, spans: int) -> tuple[list[Path], int]:
    rng = random.Random(3)
    bodies = [Body(rng, _SPANS_PER_REQUEST) for _ in range(16)]
    segments: list[Path] = []
    size = written = 0
    while written < spans:
        path = folder / f"limit-{len(segments)}.seg"
        with path.open("wb") as file:
            while written < spans and file.tell() < spool.SEGMENT_BYTES:
                body = rng.choice(bodies).fresh(rng)
                file.writelines(records.frame(body, time.time_ns() // 1_000_000, ""))
                written += _SPANS_PER_REQUEST
                size += len(body)
        segments.append(path)
    return segments, size


def _disk(data_dir: Path) -> dict[str, Any]:
    """Bytes on disk per span, all tables together and each by itself, after merges."""
    store = open_embedded(data_dir)
    filled = "SELECT name FROM system.tables WHERE database = 'default' AND total_rows > 0"
    for (table,) in store.query(filled):
        store.command(f"OPTIMIZE TABLE {table} FINAL")
    spans = store.scalar("SELECT count() FROM otel_traces")
    sizes = "SELECT table, sum(bytes_on_disk) FROM system.parts WHERE active AND database = 'default' GROUP BY 1"
    per_table: dict[str, int] = dict(store.query(sizes))
    columns = store.query(
        "SELECT table || '.' || column, sum(column_bytes_on_disk) AS size FROM system.parts_columns "
        "WHERE active AND database = 'default' GROUP BY 1 ORDER BY size DESC LIMIT 15"
    )
    store.close()
    return {
        "spans": spans,
        "bytes_per_span": round(sum(per_table.values()) / spans, 1),
        "tables": {name: round(size / spans, 2) for name, size in sorted(per_table.items(), key=lambda item: -item[1])},
        "columns": {name: round(size / spans, 2) for name, size in columns},
    }


if __name__ == "__main__":
    print(json.dumps(_measure_limit(Path(sys.argv[1]))))
