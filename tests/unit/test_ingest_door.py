"""The door as its senders meet it: real HTTP and gRPC clients against real worker processes."""

import gzip
import os
import socket
import threading
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import pytest
import zstandard
from google.rpc import error_details_pb2, status_pb2
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter

from otlp_make import log_request, trace_request
from spanledger.errors import SettingsError
from spanledger.ingest.service import Ingest
from spanledger.settings import Settings
from spanledger.store.client import Store

PROTOBUF = {"Content-Type": "application/x-protobuf"}
JSON = {"Content-Type": "application/json"}
LIMIT = 1_000_000


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(
        data_dir=tmp_path_factory.mktemp("door"),
        otlp_http_port=free_port(),
        otlp_grpc_port=free_port(),
        max_body_bytes=LIMIT,
    )


@pytest.fixture(scope="module")
def ingest(store: Store, options: Settings) -> Iterator[Ingest]:
    opened = Ingest(options, store)
    opened.start()
    yield opened
    opened.stop()


@pytest.fixture
def client(ingest: Ingest) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=ingest.endpoint) as opened:
        yield opened


def arrived(ingest: Ingest, store: Store, trace_id: bytes, table: str = "otel_traces") -> int:
    assert ingest.flush(30)
    count: int = store.scalar(f"SELECT count() FROM {table} WHERE TraceId = {{id:String}}", {"id": trace_id.hex()})
    return count


def test_what_is_acknowledged_arrives(client: httpx.Client, ingest: Ingest, store: Store) -> None:
    trace_id = os.urandom(16)
    body = trace_request({}, {}, trace_id=trace_id).SerializeToString()
    answer = client.post("/v1/traces", content=body, headers=PROTOBUF)
    assert (answer.status_code, answer.content, answer.headers["Content-Type"]) == (200, b"", "application/x-protobuf")
    assert arrived(ingest, store, trace_id) == 2


COMPRESSIONS = {
    "identity": lambda body: body,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}


@pytest.mark.parametrize("encoding", COMPRESSIONS)
def test_compressed_bodies(encoding: str, client: httpx.Client, ingest: Ingest, store: Store) -> None:
    trace_id = os.urandom(16)
    body = COMPRESSIONS[encoding](trace_request({}, trace_id=trace_id).SerializeToString())
    answer = client.post("/v1/traces", content=body, headers=PROTOBUF | {"Content-Encoding": encoding})
    assert answer.status_code == 200
    assert arrived(ingest, store, trace_id) == 1


def test_a_log_record_in_json(client: httpx.Client, ingest: Ingest, store: Store) -> None:
    trace_id = os.urandom(16)
    record = {"traceId": trace_id.hex(), "body": {"stringValue": "hello"}, "timeUnixNano": "1700000000000000000"}
    document = {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}
    answer = client.post("/v1/logs", json=document)
    assert (answer.status_code, answer.json()) == (200, {})
    assert arrived(ingest, store, trace_id, "otel_logs") == 1


@pytest.mark.parametrize("exporter", ["http", "http+gzip", "grpc", "grpc+gzip"])
def test_the_real_exporters(exporter: str, ingest: Ingest, options: Settings, store: Store) -> None:
    grpc_endpoint = f"127.0.0.1:{options.otlp_grpc_port}"
    built: dict[str, SpanExporter] = {
        "http": HttpExporter(f"{ingest.endpoint}/v1/traces"),
        "http+gzip": HttpExporter(f"{ingest.endpoint}/v1/traces", compression=Compression.Gzip),
        "grpc": GrpcExporter(grpc_endpoint, insecure=True),
        "grpc+gzip": GrpcExporter(grpc_endpoint, insecure=True, compression=grpc.Compression.Gzip),
    }
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(built[exporter]))
    with provider.get_tracer("t").start_as_current_span("real", attributes={"n": 1}) as span:
        trace_id = span.get_span_context().trace_id
    for other in built.values():
        other.shutdown()
    assert arrived(ingest, store, trace_id.to_bytes(16, "big")) == 1


def test_invalid_spans_are_counted_and_the_others_stored(client: httpx.Client, ingest: Ingest, store: Store) -> None:
    trace_id = os.urandom(16)
    request = trace_request({}, {"span_id": b""}, {"trace_id": b"\0" * 16}, trace_id=trace_id)
    answer = client.post("/v1/traces", content=request.SerializeToString(), headers=PROTOBUF)
    partial = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert (answer.status_code, partial.rejected_spans) == (200, 2)
    assert "trace id" in partial.error_message
    assert arrived(ingest, store, trace_id) == 1


def test_partial_success_in_json(client: httpx.Client) -> None:
    span = {"traceId": "", "spanId": "00" * 8, "name": "x"}
    answer = client.post("/v1/traces", json={"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})
    assert answer.status_code == 200
    assert answer.json()["partialSuccess"]["rejectedSpans"] == "1"


@pytest.mark.parametrize("headers", [PROTOBUF, JSON], ids=["protobuf", "json"])
def test_a_malformed_body_is_told_so_in_its_own_encoding(headers: dict[str, str], client: httpx.Client) -> None:
    answer = client.post("/v1/traces", content=b"\x0a\xff\xff\xff", headers=headers)
    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == headers["Content-Type"]
    if headers is PROTOBUF:
        status = status_pb2.Status.FromString(answer.content)
        code, message = status.code, status.message
    else:
        code, message = answer.json()["code"], answer.json()["message"]
    assert code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert "OTLP" in message


def test_a_truncated_body_is_malformed_wherever_it_is_cut(client: httpx.Client) -> None:
    body = trace_request({"attributes": {"key": "value", "list": ["a", "b"]}}).SerializeToString()
    statuses = {
        client.post("/v1/traces", content=body[:end], headers=PROTOBUF).status_code for end in range(1, len(body))
    }
    assert statuses == {400}


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/v1/traces", PROTOBUF, 405),
        ("PUT", "/v1/logs", JSON, 405),
        ("POST", "/", PROTOBUF, 404),
        ("POST", "/v1/profiles", PROTOBUF, 404),
        ("POST", "/v1/traces", {"Content-Type": "text/plain"}, 415),
        ("POST", "/v1/traces", {}, 415),
        ("POST", "/v1/traces", PROTOBUF | {"Content-Encoding": "br"}, 415),
        ("POST", "/v1/traces", PROTOBUF | {"Content-Encoding": "gzip"}, 400),
    ],
)
def test_what_is_not_otlp(method: str, path: str, headers: dict[str, str], status: int, client: httpx.Client) -> None:
    answer = client.request(method, path, content=b"not compressed", headers=headers)
    assert answer.status_code == status
    if status == 405:
        assert answer.headers["Allow"] == "POST"


@pytest.mark.parametrize("headers", [PROTOBUF, JSON, PROTOBUF | {"Content-Encoding": "gzip"}])
def test_an_empty_body_is_a_success_without_content(headers: dict[str, str], client: httpx.Client) -> None:
    content = gzip.compress(b"") if "Content-Encoding" in headers else b""
    assert client.post("/v1/metrics", content=content, headers=headers).status_code == 200


def chunks(size: int) -> Iterator[bytes]:
    for _ in range(size // 10_000):
        yield b"\0" * 10_000


def test_a_body_over_the_limit_is_refused_with_and_without_a_length(client: httpx.Client) -> None:
    told = client.post("/v1/traces", content=b"\0" * (LIMIT + 1), headers=PROTOBUF)
    untold = client.post("/v1/traces", content=chunks(LIMIT * 2), headers=PROTOBUF)
    assert (told.status_code, untold.status_code) == (413, 413)
    assert str(LIMIT) in status_pb2.Status.FromString(told.content).message


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
def test_a_decompression_bomb_is_refused(encoding: str, client: httpx.Client) -> None:
    bomb = COMPRESSIONS[encoding](b"\0" * 500_000_000)
    started = time.monotonic()
    answer = client.post("/v1/traces", content=bomb, headers=PROTOBUF | {"Content-Encoding": encoding})
    assert answer.status_code == 413
    assert time.monotonic() - started < 1.0


def test_grpc_answers_with_status_codes(options: Settings, ingest: Ingest, store: Store) -> None:
    trace_id = os.urandom(16)
    name = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
    assert ingest.flush(30)  # its counts, too
    before = Counter(ingest.health()["answers"])
    with grpc.insecure_channel(f"127.0.0.1:{options.otlp_grpc_port}") as channel:
        export = channel.unary_unary(name)
        assert export(trace_request({}, trace_id=trace_id).SerializeToString()) == b""
        partial = export(trace_request({"span_id": b"x"}).SerializeToString())
        with pytest.raises(grpc.RpcError) as malformed:
            export(b"\x0a\xff\xff\xff")
        with pytest.raises(grpc.RpcError) as too_big:
            export(b"\0" * (LIMIT + 1))
        with pytest.raises(grpc.RpcError) as bomb:
            export(b"\0" * (LIMIT * 100), compression=grpc.Compression.Gzip)
        with pytest.raises(grpc.RpcError) as unknown:
            channel.unary_unary("/no.such.Service/Export")(b"")
    assert ExportTraceServiceResponse.FromString(partial).partial_success.rejected_spans == 1
    assert malformed.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert too_big.value.code() == bomb.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert unknown.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert arrived(ingest, store, trace_id) == 1
    assert Counter(ingest.health()["answers"]) - before == {"200": 2, "400": 1, "413": 2}


@pytest.mark.slow
def test_a_grpc_client_may_ask_every_ten_seconds_whether_we_are_there(options: Settings, ingest: Ingest) -> None:
    """The shortest that Go's clients allow; a server sends those away that ask more often than it likes."""
    name = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
    asking = [("grpc.keepalive_time_ms", 10_000), ("grpc.keepalive_permit_without_calls", 1)]
    unlimited = ("grpc.http2.max_pings_without_data", 0)
    states: list[grpc.ChannelConnectivity] = []
    sent_away = threading.Event()

    def note(state: grpc.ChannelConnectivity) -> None:
        states.append(state)
        if states[-2:] == [grpc.ChannelConnectivity.READY, state]:
            sent_away.set()

    with grpc.insecure_channel(f"127.0.0.1:{options.otlp_grpc_port}", options=[*asking, unlimited]) as channel:
        channel.subscribe(note)
        export = channel.unary_unary(name)
        assert export(trace_request({}).SerializeToString()) == b""
        assert not sent_away.wait(65), states
        assert export(trace_request({}).SerializeToString()) == b""


def test_the_spool_bound_is_told_before_acknowledging(store: Store, tmp_path: Path) -> None:
    small = Settings(data_dir=tmp_path, otlp_http_port=0, otlp_grpc_port=free_port(), spool_max_bytes=10)
    ingest = Ingest(small, store)
    ingest.start()
    try:
        body = trace_request({}).SerializeToString()
        answer = httpx.post(f"{ingest.endpoint}/v1/traces", content=body, headers=PROTOBUF)
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
        status = status_pb2.Status.FromString(answer.content)
        retry = error_details_pb2.RetryInfo()
        assert status.code == grpc.StatusCode.UNAVAILABLE.value[0]
        assert status.details[0].Unpack(retry)
        assert retry.retry_delay.seconds > 0
        in_json = httpx.post(f"{ingest.endpoint}/v1/logs", json=_json_log())
        assert in_json.json()["details"][0]["retryDelay"].endswith("s")
        with grpc.insecure_channel(f"127.0.0.1:{small.otlp_grpc_port}") as channel:
            name = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
            with pytest.raises(grpc.RpcError) as refused:
                channel.unary_unary(name)(body)
        assert refused.value.code() == grpc.StatusCode.UNAVAILABLE
        details = dict(refused.value.trailing_metadata())["grpc-status-details-bin"]
        assert status_pb2.Status.FromString(details).details[0].Unpack(retry)
    finally:
        ingest.stop()


def _json_log() -> object:
    return {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": {"stringValue": "x" * 100}}]}]}]}


def test_a_half_sent_request_does_not_keep_others_waiting(client: httpx.Client, options: Settings) -> None:
    stalled = [socket.create_connection(("127.0.0.1", options.otlp_http_port)) for _ in range(50)]
    try:
        for number, connection in enumerate(stalled):
            head = b"POST /v1/traces HTTP/1.1\r\nHost: x\r\n"
            whole = head + b"Content-Type: application/x-protobuf\r\nContent-Length: 1000\r\n\r\nabc"
            connection.sendall(head if number % 2 else whole)
        assert client.post("/v1/traces", content=b"", headers=PROTOBUF).status_code == 200
    finally:
        for connection in stalled:
            connection.close()


def test_a_dead_worker_is_replaced_and_what_it_acknowledged_arrives(
    client: httpx.Client, ingest: Ingest, store: Store, options: Settings
) -> None:
    trace_id = os.urandom(16)
    restarts = ingest.health()["worker_restarts"]
    for _ in range(20):
        body = trace_request({}, trace_id=trace_id).SerializeToString()
        assert client.post("/v1/traces", content=body, headers=PROTOBUF).status_code == 200
    for pid in ingest.worker_pids():
        os.kill(pid, 9)
    # The listening socket outlives the worker: the next connection waits for the new one.
    answer = httpx.post(f"{ingest.endpoint}/v1/logs", content=b"", headers=PROTOBUF, timeout=20)
    assert answer.status_code == 200
    assert arrived(ingest, store, trace_id) == 20
    assert ingest.health()["worker_restarts"] > restarts


def test_a_port_in_use_is_named(store: Store, tmp_path: Path, options: Settings, ingest: Ingest) -> None:
    taken = Settings(data_dir=tmp_path, otlp_http_port=options.otlp_http_port, otlp_grpc_port=0)
    with pytest.raises(SettingsError, match=f"{options.otlp_http_port}.*--otlp-http-port"):
        Ingest(taken, store).start()
    taken = Settings(data_dir=tmp_path, otlp_http_port=0, otlp_grpc_port=options.otlp_grpc_port)
    with pytest.raises(SettingsError, match=f"{options.otlp_grpc_port}.*--otlp-grpc-port"):
        Ingest(taken, store).start()


def test_health_counts_what_went_through(client: httpx.Client, ingest: Ingest) -> None:
    body = trace_request({}, {"span_id": b""}).SerializeToString()
    before = ingest.health()
    client.post("/v1/traces", content=body, headers=PROTOBUF)
    client.post("/v1/traces", content=b"\xff", headers=PROTOBUF)
    assert ingest.flush(30)
    deadline = time.monotonic() + 10
    while (health := ingest.health())["answers"].get("400", 0) == before["answers"].get("400", 0):
        assert time.monotonic() < deadline
    assert health["accepted"]["traces"] - before["accepted"].get("traces", 0) == 1
    assert health["rejected"]["traces"] - before["rejected"].get("traces", 0) == 1
    assert health["loaded"]["traces"] - before["loaded"].get("traces", 0) == 1
    assert (health["workers_alive"], health["spool_bytes"], health["lag_ms"]) == (1, 0, 0)


def test_a_listener_to_loads_that_fails_does_not_stop_them(ingest: Ingest, store: Store) -> None:
    heard: list[str] = []

    def listener(signal: str) -> None:
        heard.append(signal)
        raise RuntimeError("listener at fault")

    ingest.on_loaded(listener)
    for _ in range(2):
        trace_id = os.urandom(16)
        answer = ingest.submit("logs", log_request("x", trace_id).SerializeToString(), PROTOBUF["Content-Type"])
        assert answer.ok
        assert arrived(ingest, store, trace_id, "otel_logs") == 1
    assert heard.count("logs") >= 2
