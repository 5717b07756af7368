"""The door's workers, started while other parts of the process start."""

import urllib.request
from pathlib import Path

import pytest

from otlp_make import trace_request
from spanledger.ingest.supervisor import Supervisor
from spanledger.settings import Settings
from system import free_port


def test_a_worker_keeps_the_folder_when_the_working_directory_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the engine's library does while it is loaded; the data folder is a relative path by default."""
    for folder in ("here", "elsewhere"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for signal in ("traces", "logs", "metrics", "dead"):
        (tmp_path / "here" / "data" / "spool" / signal).mkdir(parents=True)
    settings = Settings(data_dir=Path("data"), otlp_http_port=free_port(), otlp_grpc_port=0)
    supervisor = Supervisor(settings, 1, lambda segment: None)
    monkeypatch.chdir(tmp_path / "elsewhere")
    supervisor.start()
    try:
        body = trace_request({}).SerializeToString()
        request = urllib.request.Request(
            f"{supervisor.endpoint}/v1/traces", body, {"Content-Type": "application/x-protobuf"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert answer.status == 200
    finally:
        supervisor.stop(5.0)
    assert not list((tmp_path / "elsewhere").iterdir())
