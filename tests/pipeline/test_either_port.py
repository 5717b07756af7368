"""Exporters that are pointed at the port of the other protocol, as many SDKs are by default."""

from pathlib import Path

import grpc
import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter

from otlp_make import trace_request
from system import WITHOUT_CHAT, System, free_port


def send_three(exporter: SpanExporter) -> None:
    provider = TracerProvider(resource=Resource({"service.name": "default-exporter"}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    attributes = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o-mini", "gen_ai.conversation.id": "g"}
    usage = {"gen_ai.usage.input_tokens": 11, "gen_ai.usage.output_tokens": 5}
    for _ in range(3):
        with provider.get_tracer("t").start_as_current_span("chat", attributes={**attributes, **usage}):
            pass
    provider.shutdown()


def test_both_protocols_reach_the_books_on_both_ports(tmp_path: Path) -> None:
    grpc_port = free_port()
    system = System(tmp_path / "data", roles=WITHOUT_CHAT, otlp_grpc_port=grpc_port).start()
    for port in (system.otlp_port, grpc_port):
        send_three(GrpcExporter(endpoint=f"http://127.0.0.1:{port}", insecure=True))
        send_three(HttpExporter(endpoint=f"http://127.0.0.1:{port}/v1/traces"))
        send_three(HttpExporter(endpoint=f"http://127.0.0.1:{port}//v1/traces"))  # an address that ended with a slash
        assert system.request("POST", "/v1/traces", b"", port, Content_Type="application/json")[0] == 200
        assert system.request("POST", "/v1/traces", b"", port, Host="evil.example")[0] == 421
    system.flush()
    assert system.get("conversations", "g")["usage"]["total_tokens"] == 6 * 48
    assert system.stop() == 0


def test_without_a_grpc_listener_the_client_is_told_which_setting_to_use(tmp_path: Path) -> None:
    system = System(tmp_path / "data", roles=WITHOUT_CHAT).start()
    with grpc.insecure_channel(f"127.0.0.1:{system.otlp_port}") as channel, pytest.raises(grpc.RpcError) as refused:
        TraceServiceStub(channel).Export(trace_request({"name": "x"}), timeout=20)
    assert "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf" in str(refused.value)
    assert system.stop() == 0
