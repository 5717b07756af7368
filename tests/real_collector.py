"""The real OpenTelemetry Collector with our configurations, for tests: built by `make collector`."""

import http.client
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from real_server import ROOT, Server
from system import free_port

BINARY = ROOT / "build" / "collector" / "spanledger-collector"


def skip_without_collector() -> None:
    if not BINARY.exists():
        why = "run `make collector` first (minutes)" if shutil.which("go") else "no Go to build it with"
        pytest.skip(f"no Collector at build/collector: {why}")


class Collector:
    """A gateway in front of a server, or of none. `start` returns when its health check says that it serves."""

    def __init__(self, data_dir: Path, server: Server | None, **environ: str) -> None:
        self.data_dir = data_dir
        self.http_port, self.grpc_port, self.metrics_port = free_port(), free_port(), free_port()
        self._health_port = free_port()
        self.environ = {
            "SPANLEDGER_COLLECTOR_DATA": str(data_dir),
            "SPANLEDGER_COLLECTOR_HTTP": f"127.0.0.1:{self.http_port}",
            "SPANLEDGER_COLLECTOR_GRPC": f"127.0.0.1:{self.grpc_port}",
            "SPANLEDGER_COLLECTOR_HEALTH": f"127.0.0.1:{self._health_port}",
            "SPANLEDGER_COLLECTOR_METRICS_PORT": str(self.metrics_port),
            # Without a server: a port on which nobody is, as when it is away.
            "SPANLEDGER_CLICKHOUSE_NATIVE": f"tcp://127.0.0.1:{server.tcp_port if server else free_port()}",
            "SPANLEDGER_CLICKHOUSE_INGEST_PASSWORD": server.password("ingest") if server else "none",
            **environ,
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.log = data_dir.parent / f"{data_dir.name}.log"

    def start(self, *configs: str) -> "Collector":
        """With these configurations laid over each other, or the gateway's alone."""
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [str(BINARY), *(f"--config={ROOT / 'collector' / name}" for name in configs or ("gateway.yaml",))],
                stdout=log,
                stderr=log,
                env={**os.environ, **self.environ},
            )
        deadline = time.monotonic() + 30
        while not self._healthy():
            assert self.process.poll() is None, f"the Collector ended: {self.log.read_text()[-2000:]}"
            assert time.monotonic() < deadline, self.log.read_text()[-2000:]
        return self

    def _healthy(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self._health_port, timeout=1)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def send(self, signal_name: str, content_type: str, body: bytes) -> int:
        """The status that the sender is told."""
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=30)
        try:
            connection.request("POST", f"/v1/{signal_name}", body, {"Content-Type": content_type})
            response = connection.getresponse()
            response.read()
            return response.status
        finally:
            connection.close()

    def metric(self, name: str) -> float:
        """The sum of one of its own metrics over all labels; 0 when it has none yet."""
        connection = http.client.HTTPConnection("127.0.0.1", self.metrics_port, timeout=5)
        try:
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
        finally:
            connection.close()
        lines = [line for line in text.splitlines() if line.startswith(name) and line[len(name)] in "{ "]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)

    def stop(self) -> None:
        """SIGTERM: what is queued stays on disk."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(60)
            self.process = None
