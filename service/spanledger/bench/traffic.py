"""Makes OTLP traffic: realistic traces whose ids are new in every request, sent as fast or as evenly as asked.

A trace has four spans (server, workflow, model call, tool) with 15 to 20 attributes, about 700 bytes a span. Bodies
are cut open at their ids once; each request joins the pieces with fresh ids, so that the sender costs little.

Run as a module it is one sending process: `python -m spanledger.bench.traffic '<Plan as JSON>'` prints counts as JSON.
"""

import base64
import http.client
import json
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import urlsplit

import grpc
from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

SPANS_PER_TRACE = 4
_TEMPLATES = 24
_RESOURCE = {
    "service.name": "chat-service",
    "service.version": "1.2.3",
    "telemetry.sdk.language": "python",
    "telemetry.sdk.name": "opentelemetry",
    "telemetry.sdk.version": "1.45.2",
    "deployment.environment.name": "prod",
}


@dataclass(frozen=True)
class Plan:
    """What one sending process does. `spans_per_s` 0 is as fast as it goes."""

    endpoint: str  # of OTLP/HTTP, or host:port for gRPC
    protocol: str = "http"  # http | json | grpc
    seconds: float = 10.0
    spans_per_s: float = 0.0
    spans_per_request: int = 512
    connections: int = 3
    seed: int = 1


@dataclass
class Sent:
    """What a sending process did; `spans` and `bytes` are those acknowledged."""

    spans: int = 0
    requests: int = 0
    refused: int = 0
    bytes: int = 0
    ack_ms: list[float] = field(default_factory=list)


class Body:
    """One request, cut open at its ids."""

    def __init__(self, rng: random.Random, spans: int, as_json: bool = False) -> None:
        ids = _Ids(rng)
        request = _request(rng, spans, ids)
        data = _json(request) if as_json else request.SerializeToString()
        marks = ids.marks(as_json)
        self._pieces: list[bytes] = []
        self._cuts: list[int] = []  # which id stands between two pieces
        position = 0
        for start, index in sorted(_occurrences(data, marks)):
            self._pieces.append(data[position:start])
            self._cuts.append(index)
            position = start + len(marks[index])
        self._pieces.append(data[position:])
        self._kinds = [(length, text or as_json) for length, text in ids.kinds]
        self.spans = spans

    def fresh(self, rng: random.Random) -> bytes:
        """The body with ids that never occurred."""
        ids = [rng.randbytes(length) for length, _ in self._kinds]
        ids = [new.hex().encode() if text else new for new, (_, text) in zip(ids, self._kinds, strict=True)]
        out = [b""] * (2 * len(self._cuts) + 1)
        out[0::2] = self._pieces
        out[1::2] = [ids[index] for index in self._cuts]
        return b"".join(out)


class _Ids:
    """The ids of a request: bytes on spans, hexadecimal text in attributes."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._values: list[bytes] = []
        self.kinds: list[tuple[int, bool]] = []  # (bytes, whether it is text)

    def binary(self, length: int) -> bytes:
        return self._new(length, False)

    def text(self, length: int) -> str:
        return self._new(length, True).hex()

    def marks(self, as_json: bool) -> list[bytes]:
        """What each id looks like in the encoded request."""
        pairs = zip(self._values, self.kinds, strict=True)
        return [value.hex().encode() if text or as_json else value for value, (_, text) in pairs]

    def _new(self, length: int, text: bool) -> bytes:
        self.kinds.append((length, text))
        self._values.append(self._rng.randbytes(length))
        return self._values[-1]


def _occurrences(data: bytes, marks: list[bytes]) -> Iterator[tuple[int, int]]:
    for index, mark in enumerate(marks):
        start = data.find(mark)
        while start >= 0:
            yield start, index
            start = data.find(mark, start + len(mark))


def _request(rng: random.Random, spans: int, ids: _Ids) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add()
    _fill(resource_spans.resource.attributes, _RESOURCE)
    scope_spans = resource_spans.scope_spans.add()
    scope_spans.scope.name, scope_spans.scope.version = "opentelemetry.instrumentation.genai", "1.3"
    now = time.time_ns()
    for number in range(0, spans, SPANS_PER_TRACE):
        trace_id, root = ids.binary(16), ids.binary(8)
        conversation, message = f"conversation-{ids.text(6)}", f"message-{ids.text(8)}"
        shared = {"gen_ai.conversation.id": conversation, "user.id": f"user-{rng.randrange(5000)}"}
        shared |= {"spanledger.message.id": message, "spanledger.correlation.id": message}
        for position in range(min(SPANS_PER_TRACE, spans - number)):
            span_id = root if position == 0 else ids.binary(8)
            name, kind, own = _span(rng, position, conversation, ids)
            start = now - rng.randrange(10**9)
            span = scope_spans.spans.add(trace_id=trace_id, span_id=span_id, name=name, kind=kind, flags=257)
            span.parent_span_id = b"" if position == 0 else root
            span.start_time_unix_nano, span.end_time_unix_nano = start, start + rng.randrange(10**9)
            _fill(span.attributes, shared | own)
    return request


def _span(rng: random.Random, position: int, conversation: str, ids: _Ids) -> tuple[str, Any, dict[str, Any]]:
    if position == 0:
        return "POST /v1/conversations/{conversation_id}/messages", 2, {
            "http.request.method": "POST",
            "http.route": "/v1/conversations/{conversation_id}/messages",
            "http.response.status_code": 200,
            "url.path": f"/v1/conversations/{conversation}/messages",
            "url.scheme": "http",
            "server.address": "chat.example.com",
            "server.port": 443,
            "network.protocol.version": "1.1",
            "client.address": f"10.0.{rng.randrange(256)}.{rng.randrange(256)}",
            "user_agent.original": "python-httpx/0.28.1",
            "thread.id": rng.randrange(10**6),
            "thread.name": "MainThread",
        }  # fmt: skip
    if position == 2:
        return "chat gpt-4o-mini", 3, {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o-mini",
            "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
            "gen_ai.response.id": f"chatcmpl-{ids.text(12)}",
            "gen_ai.response.finish_reasons": ["stop"],
            "gen_ai.usage.input_tokens": rng.randrange(1, 4000),
            "gen_ai.usage.output_tokens": rng.randrange(1, 900),
            "gen_ai.usage.cache_read.input_tokens": 0,
            "gen_ai.usage.reasoning.output_tokens": 0,
            "gen_ai.request.temperature": 0.7,
            "gen_ai.request.max_tokens": 1024,
            "gen_ai.response.time_to_first_chunk": rng.random(),
            "server.address": "api.openai.com",
            "server.port": 443,
        }  # fmt: skip
    workflow = position == 1
    return "invoke_workflow assistant" if workflow else "execute_tool clock", 1, {
        "gen_ai.operation.name": "invoke_workflow" if workflow else "execute_tool",
        "gen_ai.workflow.name": "assistant",
        "gen_ai.agent.name": "assistant",
        "gen_ai.tool.name": "" if workflow else "clock",
        "gen_ai.tool.call.id": f"call_{ids.text(8)}",
        "openinference.span.kind": "CHAIN" if workflow else "TOOL",
        "session.id": conversation,
        "metadata": json.dumps({"langgraph_node": "model", "langgraph_step": 3, "thread_id": conversation}),
        "code.function.name": "spanledger.workflows.run",
        "thread.id": rng.randrange(10**6),
        "thread.name": "MainThread",
    }  # fmt: skip


def _fill(target: Any, values: dict[str, Any]) -> None:
    for key, value in values.items():
        holder = target.add(key=key).value
        match value:
            case int():
                holder.int_value = value
            case float():
                holder.double_value = value
            case list():
                for item in value:
                    holder.array_value.values.add(string_value=item)
            case _:
                holder.string_value = value


def _json(request: ExportTraceServiceRequest) -> bytes:
    document = json_format.MessageToDict(request, use_integers_for_enums=True)
    for span in document["resourceSpans"][0]["scopeSpans"][0]["spans"]:
        for name in ("traceId", "spanId", "parentSpanId"):
            if name in span:
                span[name] = base64.b64decode(span[name]).hex()
    return json.dumps(document, separators=(",", ":")).encode()


def send(plan: Plan) -> Sent:
    """Sends by the plan from this process."""
    rng = random.Random(plan.seed)
    bodies = [Body(rng, plan.spans_per_request, plan.protocol == "json") for _ in range(_TEMPLATES)]
    lanes = [_Lane(plan, bodies, random.Random(plan.seed * 1000 + number)) for number in range(plan.connections)]
    pace = _Pace(plan)
    threads = [threading.Thread(target=lane.run, args=(pace,)) for lane in lanes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    total = Sent()
    for lane in lanes:
        for name in ("spans", "requests", "refused", "bytes", "ack_ms"):
            setattr(total, name, getattr(total, name) + getattr(lane.sent, name))
    return total


class _Pace:
    """Gives each request its time to be sent; all lanes share it."""

    def __init__(self, plan: Plan) -> None:
        self._started = time.monotonic()
        self._end = self._started + plan.seconds
        self._interval = plan.spans_per_request / plan.spans_per_s if plan.spans_per_s else 0.0
        self._count = 0
        self._guard = threading.Lock()

    def wait(self) -> bool:
        """Returns when the next request is due; False when time is up."""
        with self._guard:
            self._count += 1
            due = self._started + self._count * self._interval
        if due >= self._end or time.monotonic() >= self._end:
            return False
        time.sleep(max(0.0, due - time.monotonic()))
        return True


class _Lane:
    """One connection."""

    def __init__(self, plan: Plan, bodies: list[Body], rng: random.Random) -> None:
        self._plan = plan
        self._bodies = bodies
        self._rng = rng
        self.sent = Sent()

    def run(self, pace: _Pace) -> None:
        export, close = _grpc_client(self._plan) if self._plan.protocol == "grpc" else _http_client(self._plan)
        while pace.wait():
            body = self._rng.choice(self._bodies)
            data = body.fresh(self._rng)
            before = time.perf_counter()
            accepted = export(data)
            self.sent.ack_ms.append((time.perf_counter() - before) * 1000)
            self.sent.requests += 1
            if accepted:
                self.sent.spans += body.spans
                self.sent.bytes += len(data)
            else:
                self.sent.refused += 1
        close()


def _http_client(plan: Plan) -> tuple[Callable[[bytes], bool], Callable[[], None]]:
    address = urlsplit(plan.endpoint)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
    kind = "application/json" if plan.protocol == "json" else "application/x-protobuf"

    def export(data: bytes) -> bool:
        connection.request("POST", "/v1/traces", data, {"Content-Type": kind})
        response = connection.getresponse()
        response.read()
        return response.status == 200

    return export, connection.close


def _grpc_client(plan: Plan) -> tuple[Callable[[bytes], bool], Callable[[], None]]:
    channel = grpc.insecure_channel(plan.endpoint, options=[("grpc.max_send_message_length", -1)])
    call = channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")

    def export(data: bytes) -> bool:
        try:
            call(data, timeout=60)
        except grpc.RpcError:
            return False
        return True

    return export, channel.close


if __name__ == "__main__":
    print(json.dumps(asdict(send(Plan(**json.loads(sys.argv[1]))))))
