"""`spanledger up` from outside: what it refuses, what it announces, how it stops and what a kill does not lose."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from otlp_make import trace_request
from system import System, free_port

NO_OTLP = ("--otlp-http-port", "0", "--otlp-grpc-port", "0")


def _refused(*flags: str, data_dir: Path) -> str:
    """stderr of an `up` that must not start."""
    done = subprocess.run(
        [sys.executable, "-m", "spanledger.cli", "up", "--data-dir", str(data_dir), *flags],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.mark.parametrize("flag", ["--port", "--otlp-http-port", "--otlp-grpc-port"])
def test_a_port_in_use_is_named_with_its_flag_before_anything_is_written(tmp_path: Path, flag: str) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        ports = {"--port": free_port(), "--otlp-http-port": free_port(), "--otlp-grpc-port": 0, flag: taken}
        message = _refused(*(f"{name}={port}" for name, port in ports.items()), data_dir=tmp_path / "data")
    assert f"port {taken} cannot be used" in message
    assert f"give another {flag}" in message
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_an_open_host_without_keys_is_refused(tmp_path: Path, host: str) -> None:
    assert "there are no keys" in _refused("--host", host, data_dir=tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_a_data_folder_has_one_owner(system: System) -> None:
    message = _refused(
        "--port", str(free_port()), "--otlp-http-port", "0", "--otlp-grpc-port", "0", data_dir=system.data_dir
    )
    assert system.process is not None
    assert f"is in use by process {system.process.pid}; stop it or choose another --data-dir" in message


def test_settings_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    assert "port must be between 0 and 65535" in _refused("--port", "70000", data_dir=tmp_path)
    assert "cannot be used" in _refused(
        "--port", "0", "--otlp-http-port", "0", "--otlp-grpc-port", "0", data_dir=Path("/proc/x")
    )


def test_it_announces_itself_while_it_runs_and_stops_clean(tmp_path: Path) -> None:
    system = System(tmp_path / "data")
    system.preloaded = False
    began = time.monotonic()
    system.start()
    ready = re.match(r"ready in (\d+\.\d) s: ", system.printed[-1])
    assert ready, system.printed
    assert float(ready[1]) == pytest.approx(time.monotonic() - began, rel=0.25, abs=0.2)  # its imports are counted
    assert f"http://127.0.0.1:{system.port}" in system.printed[-1]
    assert f"http://127.0.0.1:{system.otlp_port}" in system.printed[-1]
    info = json.loads((system.data_dir / "run.json").read_text())
    assert system.process is not None
    assert (info["pid"], info["api_url"]) == (system.process.pid, f"http://127.0.0.1:{system.port}")
    assert system.stop() == 0
    assert not (system.data_dir / "run.json").exists()
    assert "Traceback" not in system.stderr()


def _send(system: System, span: dict[str, Any], trace_id: bytes = b"") -> None:
    body = trace_request(span, trace_id=trace_id or os.urandom(16)).SerializeToString()
    assert system.request("POST", "/v1/traces", body, system.otlp_port, Content_Type="application/x-protobuf")[0] == 200


def _spans(system: System, trace_id: bytes) -> list[Any]:
    query = f"SELECT SpanName FROM otel_traces WHERE TraceId = '{trace_id.hex()}' ORDER BY SpanName"
    place = ["--data-dir", str(system.data_dir)]
    done = subprocess.run(
        [sys.executable, "-m", "spanledger.cli", "sql", query, "--format", "json", *place],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    rows: list[Any] = json.loads(done.stdout)["data"]
    return rows


def test_what_was_acknowledged_survives_a_kill_and_is_there_once(tmp_path: Path) -> None:
    system = System(tmp_path / "data")
    system.preloaded = False
    system.start()
    trace_id = os.urandom(16)
    for number in range(20):
        _send(system, {"name": f"span-{number:02}"}, trace_id)
    system.kill()
    system.start()
    system.flush()
    assert _spans(system, trace_id) == [[f"span-{number:02}"] for number in range(20)]
    assert system.stop() == 0
    assert _spans(system, trace_id) == [[f"span-{number:02}"] for number in range(20)]  # also with nobody running


def test_without_an_api_the_other_commands_say_so(tmp_path: Path) -> None:
    system = System(tmp_path / "data", port=0).start()
    done = subprocess.run(
        [sys.executable, "-m", "spanledger.cli", "sql", "SELECT 1", "--data-dir", str(system.data_dir)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert "without an HTTP API; start it with --port" in done.stderr
    assert system.stop() == 0
