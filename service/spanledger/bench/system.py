"""A `spanledger up` of its own for a benchmark, and the kernel's figures of its processes."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from spanledger.settings import NO_SETTINGS_FILE

_UNSETTLED = (
    "SELECT count() FROM (SELECT trace_id FROM settle_queue GROUP BY tenant, trace_id HAVING sum(pending) != 0)"
)
_UNSETTLED_OF_SENDERS = """
SELECT count() FROM (SELECT tenant, trace_id FROM settle_queue GROUP BY tenant, trace_id HAVING sum(pending) != 0)
WHERE (tenant, trace_id) NOT IN (SELECT tenant, trace_id FROM genai_spans WHERE startsWith(service, 'spanledger'))
"""


class System:
    """Context manager; ready inside the block. If not `patient`, it is killed at the end instead of drained. `roles` as
    `up` takes them, empty for all."""

    def __init__(self, data_dir: Path, patient: bool = True, roles: str = "") -> None:
        self._patient = patient
        self._ports = [_free_port() for _ in range(3)]
        names = ("--port", "--otlp-http-port", "--otlp-grpc-port")
        flags = [text for name, port in zip(names, self._ports, strict=True) for text in (name, str(port))]
        flags += ["--roles", roles] if roles else []
        command = [sys.executable, "-m", "spanledger.cli", "up", "--data-dir", str(data_dir), *flags]
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=os.environ | NO_SETTINGS_FILE
        )
        self.client = self.new_client()

    def __enter__(self) -> "System":
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("ready"):
                return self
        raise RuntimeError("`spanledger up` did not start; run it by hand to see why")

    def __exit__(self, *_: object) -> None:
        self.client.close()
        if self._patient:
            self._process.terminate()
        else:
            self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def new_client(self) -> httpx.Client:
        """A connection of its own to the API."""
        return httpx.Client(base_url=f"http://127.0.0.1:{self._ports[0]}", timeout=900)

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

    def unsettled(self) -> int:
        """Traces that wait for settlement; what the loader has not taken yet counts as one."""
        answer = self.client.post("/v1/sql", json={"query": _UNSETTLED}).raise_for_status()
        return int(answer.json()["data"][0][0]) + int(self.health()["ingest"]["lag_ms"] > 0)

    def is_settled(self) -> bool:
        """Whether no trace of a sender waits for settlement. The query that is sure of it costs CPU and makes spans of
        the service itself, so it runs only when neither loading nor settlement lags."""
        return self.health()["lag_ms"] == 0 and self._unsettled_of_senders() == 0

    def _unsettled_of_senders(self) -> int:
        """Traces that wait for settlement, without those of the service itself."""
        answer = self.client.post("/v1/sql", json={"query": _UNSETTLED_OF_SENDERS}).raise_for_status()
        return int(answer.json()["data"][0][0])

    def processes(self) -> dict[str, int]:
        """Process ids by role."""
        door = sorted(_descendants(self._process.pid))
        return {"main": self._process.pid, **{f"door_{number}": pid for number, pid in enumerate(door)}}

    def cpu_seconds(self) -> dict[str, float]:
        return {role: _cpu_seconds(pid) for role, pid in self.processes().items()}

    def memory_mib(self) -> int:
        """What all its processes hold now."""
        return sum(resident_kib(pid) for pid in self.processes().values()) // 1024


def _descendants(pid: int) -> set[int]:
    """Processes below a process; none if it is gone."""
    found: set[int] = set()
    for listing in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in map(int, listing.read_text().split()):
                found |= {child} | _descendants(child)
    return found


class Watch:
    """Samples a figure while something runs."""

    def __init__(self, sample: Callable[[], int], every_s: float = 0.25) -> None:
        self._sample = sample
        self._every_s = every_s
        self._stopped = threading.Event()
        self._samples: list[int] = []
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Watch":
        self._started = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def elapsed(self) -> float:
        return time.monotonic() - self._started

    def peak(self) -> int:
        """The highest so far."""
        return max(self._samples, default=0)

    def first_half(self) -> int:
        """The highest of the first half."""
        return max(self._samples[: len(self._samples) // 2 + 1])

    def second_half(self) -> int:
        return max(self._samples[len(self._samples) // 2 :])

    def _run(self) -> None:
        while not self._stopped.wait(self._every_s):
            self._samples.append(self._sample())
        self._samples.append(self._sample())


def _cpu_seconds(pid: int) -> float:
    """0 of a process that has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_kib(pid: int) -> int:
    """0 of a process that has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmRSS")), 0)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
