"""collector/live.yaml in a real Collector: a copy of the spans reaches the stream of a replica, ClickHouse or not."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn

from otlp_make import trace_request
from real_collector import Collector, skip_without_collector
from spanledger import telemetry
from spanledger.api.app import create_app
from spanledger.live import Live
from spanledger.pricing import load_book
from spanledger.runtime.services import Services
from spanledger.settings import Settings
from spanledger.workflows import Runner
from sse import Reader


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """The API of a replica that runs nothing itself."""
    settings, emission = Settings(data_dir=tmp_path), telemetry.off()
    runner = Runner(settings, emission, load_book())
    app = create_app(Services(settings, emission, runner, live=Live("spanledger")))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        server.should_exit = True
        thread.join(30)


def test_the_fan_out_feeds_a_replicas_stream(tmp_path: Path, port: int) -> None:
    skip_without_collector()
    body = trace_request(
        {"name": "invoke_workflow chat", "attributes": {"gen_ai.operation.name": "invoke_workflow", "user.id": "u-1"}},
        resource={"service.name": "spanledger", "service.instance.id": "another-1"},
    ).SerializeToString()
    collector = Collector(tmp_path / "collector", None, SPANLEDGER_LIVE=f"http://127.0.0.1:{port}/v1/live")
    collector.start("gateway.yaml", "live.yaml")
    try:
        with Reader(port) as reader:
            assert collector.send("traces", "application/x-protobuf", body) == 200
            told = reader.until_type("workflow_completed")
    finally:
        collector.kill()

    assert [event.type for event in told] == ["workflow_started", "workflow_completed"]
