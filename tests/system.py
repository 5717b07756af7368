"""A running `spanledger up` for tests: a process of its own with its own data folder and ports."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import preloaded

WITHOUT_CHAT = "ingest,settle,api"  # roles of a system that starts in half of the time: no models are loaded


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class System:
    """Started by `start`, which returns once it printed `ready`; ended by `stop` or `kill`."""

    def __init__(self, data_dir: Path, **flags: Any) -> None:
        self.data_dir = data_dir
        self.port, self.otlp_port = free_port(), free_port()
        given = {"port": self.port, "otlp_http_port": self.otlp_port, "otlp_grpc_port": 0, **flags}
        self.flags = [f"--{name.replace('_', '-')}={value}" for name, value in given.items()]
        self.prefix: list[str] = []  # a command that runs ours
        self.program = ["-m", "spanledger.cli", "up"]  # as Python's arguments
        self.preloaded = True  # False: a process that imports its modules itself, for tests of start-up
        self.migrated = True  # False: a new data folder begins without a schema
        self.timeout_s = 60.0  # of a request
        self.start_s = 180.0  # until it is ready; a busy machine takes its time
        self.process: subprocess.Popen[str] | preloaded.Process | None = None
        self.printed: list[str] = []  # by the latest process

    def start(self, **environ: str) -> "System":
        self.launch(**environ)
        assert self.process is not None
        told = self.wait_ready(self.start_s)
        assert told, f"not ready after {self.start_s:.0f} s, last said {self.printed[-1:]}: {self.stderr()}"
        assert self.is_ready, f"it ended with {self.process.wait(30)}: {self.stderr()}"
        return self

    def launch(self, **environ: str) -> None:
        """Starts the process and does not wait for it."""
        is_new = not self.data_dir.exists() and not any("clickhouse-url" in flag for flag in self.flags)
        if is_new and self.preloaded and self.migrated:
            preloaded.migrate(self.data_dir)
        with self._stderr.open("a") as errors:
            arguments, env = [*self.program, f"--data-dir={self.data_dir}", *self.flags], {**os.environ, **environ}
            if self.preloaded and not self.prefix and "LD_PRELOAD" not in environ:
                self.process = preloaded.start(arguments, env, errors.fileno())
            else:
                self.process = subprocess.Popen(
                    [*self.prefix, sys.executable, *arguments],
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    text=True,
                    env=env,
                )
        self._told, self.printed = threading.Event(), []
        self._reader = threading.Thread(target=_read, args=(self.process, self.printed, self._told), daemon=True)
        self._reader.start()

    def wait_ready(self, timeout: float) -> bool:
        """Whether it printed `ready`, or ended, in time."""
        return self._told.wait(timeout)

    @property
    def is_ready(self) -> bool:
        return any(line.startswith("ready") for line in self.printed)

    def stop(self) -> int:
        """SIGTERM, then the exit code."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        code = self.process.wait(self.timeout_s)
        self._reader.join(30)
        return code

    @property
    def _stderr(self) -> Path:
        return self.data_dir.parent / f"{self.data_dir.name}.stderr"

    def stderr(self) -> str:
        return self._stderr.read_text()

    def request(
        self, method: str, target: str, body: bytes | None = None, port: int | None = None, **headers: str
    ) -> tuple[int, dict[str, str], Any]:
        """Status, headers (lower case) and body, parsed when it is JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=self.timeout_s)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, target, body, named)
            response = connection.getresponse()
            raw, got = response.read(), {name.lower(): value for name, value in response.getheaders()}
        finally:
            connection.close()
        kind = got.get("content-type", "").split(";")[0]
        is_json = kind.endswith("json") and not kind.endswith("ndjson")
        return response.status, got, json.loads(raw) if is_json else raw

    def get(self, *segments: str, **params: Any) -> Any:
        """The body of GET /v1/segments…; anything but 200 fails the test."""
        path = "/v1/" + "/".join(quote(segment, safe="") for segment in segments)
        named = {name.rstrip("_"): value for name, value in params.items()}
        status, _, body = self.request("GET", path + (f"?{urlencode(named)}" if named else ""))
        assert status == 200, body
        return body

    def post(self, path: str, body: Any) -> Any:
        status, _, answer = self.request("POST", path, json.dumps(body).encode(), Content_Type="application/json")
        assert status == 200, answer
        return answer

    def export(self, body: bytes, signal_name: str = "traces", content_type: str = "application/x-protobuf") -> None:
        """Sends OTLP and waits until it is loaded and settled."""
        status, _, answer = self.request("POST", f"/v1/{signal_name}", body, self.otlp_port, Content_Type=content_type)
        assert status == 200, answer
        self.flush()

    def flush(self, only: str = "books") -> None:
        """What was sent or emitted is in the books; with `spans`, what is told of requests that only read, too."""
        self.post(f"/v1/flush?only={only}", {})


def _read(process: "subprocess.Popen[str] | preloaded.Process", lines: list[str], told: threading.Event) -> None:
    """Collects what one process prints, to its end."""
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            lines.append(line.rstrip())
            if line.startswith("ready"):
                told.set()
    told.set()
