"""One trace of a chat service as its instrumentations write it, without content: what benchmarks send.

Eight spans (HTTP server, workflow, two model calls, a tool, two databases, HTTP client) of 15 to 20 attributes, about
660 bytes each. Ids, times and users come from `Marks`, which the sender overwrites.
"""

import json
import random
from collections.abc import Iterator
from typing import Any, Protocol

from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, Span

SPANS_PER_TRACE = 8
RESOURCE = {
    "service.name": "chat-service",
    "service.version": "1.2.3",
    "service.instance.id": "chat-service-7d9c5b7f4-x2x9k",
    "telemetry.sdk.language": "python",
    "telemetry.sdk.name": "opentelemetry",
    "telemetry.sdk.version": "1.45.2",
    "deployment.environment.name": "prod",
}
SCOPE = ("opentelemetry.instrumentation.genai", "1.3")
_MODELS = (("openai", "gpt-4o-mini", "gpt-4o-mini-2024-07-18"), ("anthropic", "claude-sonnet-4-5", "claude-sonnet-4-5"))


class Marks(Protocol):
    """Values that differ from trace to trace; equal names give equal values."""

    def id(self, name: str, length: int) -> bytes: ...

    def text(self, name: str, length: int) -> str: ...

    def user(self) -> str: ...

    def time(self, number: int) -> int: ...


def trace(rng: random.Random, marks: Marks) -> ScopeSpans:
    """One message: a request, its workflow, and what that calls."""
    spans = ScopeSpans()
    for number, (name, kind, parent, attributes) in enumerate(_spans(rng, marks)):
        span = spans.spans.add(name=name, kind=kind, flags=257)
        span.trace_id, span.span_id = marks.id("trace", 16), marks.id(f"span{number}", 8)
        if parent is not None:
            span.parent_span_id = marks.id(f"span{parent}", 8)
        span.start_time_unix_nano = marks.time(number)
        span.end_time_unix_nano = marks.time(2 * SPANS_PER_TRACE - 1 - number)
        fill(span.attributes, attributes)
    return spans


def _spans(rng: random.Random, marks: Marks) -> Iterator[tuple[str, "Span.SpanKind.ValueType", int | None, Any]]:
    context = {
        "gen_ai.conversation.id": marks.text("conversation", 16),
        "user.id": marks.user(),
        "spanledger.message.id": f"msg_{marks.text('message', 12)}",
    }
    thread = {"thread.id": 140_000_000_000_000 + rng.randrange(4096) * 4096, "thread.name": "asyncio_0"}
    model = rng.choice(_MODELS)
    route = "/v1/conversations/{conversation_id}/messages"
    yield f"POST {route}", Span.SPAN_KIND_SERVER, None, context | _http_server(rng, route) | thread
    yield "invoke_workflow assistant", Span.SPAN_KIND_INTERNAL, 0, context | _workflow() | thread
    yield "SELECT chat.messages", Span.SPAN_KIND_CLIENT, 1, _database(rng, "postgresql", 5432) | thread
    yield f"chat {model[1]}", Span.SPAN_KIND_CLIENT, 1, context | _call(rng, marks, model, "0", "tool_calls")
    yield "POST", Span.SPAN_KIND_CLIENT, 3, _http_client(rng, model[0]) | thread
    yield "execute_tool search", Span.SPAN_KIND_INTERNAL, 1, context | _tool(marks) | thread
    yield "GET", Span.SPAN_KIND_CLIENT, 5, _database(rng, "redis", 6379) | thread
    yield f"chat {model[1]}", Span.SPAN_KIND_CLIENT, 1, context | _call(rng, marks, model, "1", "stop")


def _http_server(rng: random.Random, route: str) -> dict[str, Any]:
    return {
        "http.request.method": "POST",
        "http.route": route,
        "http.response.status_code": 200,
        "http.request.body.size": rng.randrange(200, 4000),
        "url.path": "/v1/conversations/-/messages",
        "url.scheme": "https",
        "server.address": "chat.example.com",
        "server.port": 443,
        "network.peer.address": f"10.0.{rng.randrange(256)}.{rng.randrange(256)}",
        "network.peer.port": rng.randrange(1024, 65536),
        "client.address": f"203.0.113.{rng.randrange(256)}",
        "user_agent.original": "Mozilla/5.0 (X11; Linux x86_64)",
    }


def _workflow() -> dict[str, Any]:
    return {
        "gen_ai.operation.name": "invoke_workflow",
        "gen_ai.workflow.name": "assistant",
        "gen_ai.agent.name": "assistant",
        "openinference.span.kind": "CHAIN",
        "metadata": json.dumps({"langgraph_step": 3, "langgraph_node": "model"}),
        "code.function.name": "assistant.run",
        "code.file.path": "/srv/chat/assistant.py",
        "code.line.number": 118,
        "chat.channel": "web",
        "chat.plan": "business",
    }


def _call(
    rng: random.Random, marks: Marks, model: tuple[str, str, str], which: str, finish_reason: str
) -> dict[str, Any]:
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": model[0],
        "gen_ai.request.model": model[1],
        "gen_ai.response.model": model[2],
        "gen_ai.response.id": f"chatcmpl-{marks.text('response' + which, 14)}",
        "gen_ai.response.finish_reasons": [finish_reason],
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 1000,
        "gen_ai.usage.cache_read.input_tokens": 64,
        "gen_ai.request.temperature": 0.7,
        "gen_ai.request.max_tokens": 1024,
        "gen_ai.response.time_to_first_chunk": round(rng.random(), 3),
        "server.address": f"api.{model[0]}.com",
        "server.port": 443,
    }


def _http_client(rng: random.Random, provider: str) -> dict[str, Any]:
    return {
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "http.request.resend_count": 0,
        "http.request.body.size": rng.randrange(2000, 40_000),
        "http.response.body.size": rng.randrange(500, 9000),
        "url.full": f"https://api.{provider}.com/v1/chat/completions",
        "url.scheme": "https",
        "url.template": "/v1/chat/completions",
        "server.address": f"api.{provider}.com",
        "server.port": 443,
        "network.protocol.name": "http",
        "network.protocol.version": "1.1",
        "network.peer.address": f"104.18.{rng.randrange(256)}.{rng.randrange(256)}",
        "user_agent.original": "OpenAI/Python 2.8.0",
    }


def _tool(marks: Marks) -> dict[str, Any]:
    return {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "search",
        "gen_ai.tool.type": "function",
        "gen_ai.tool.description": "Searches the knowledge base.",
        "gen_ai.tool.call.id": f"call_{marks.text('tool_call', 12)}",
        "gen_ai.workflow.name": "assistant",
        "gen_ai.agent.name": "assistant",
        "openinference.span.kind": "TOOL",
        "code.function.name": "tools.search",
        "chat.channel": "web",
        "chat.plan": "business",
    }


def _database(rng: random.Random, system: str, port: int) -> dict[str, Any]:
    return {
        "db.system.name": system,
        "db.namespace": "chat",
        "db.collection.name": "messages",
        "db.operation.name": "SELECT" if port == 5432 else "GET",
        "db.query.summary": "SELECT chat.messages" if port == 5432 else "GET session",
        "db.query.text": "SELECT role, body FROM chat.messages WHERE conversation_id = $1"
        if port == 5432
        else "GET chat:session:?",
        "db.response.returned_rows": rng.randrange(40),
        "db.client.connection.pool.name": f"{system}-main",
        "server.address": f"{system}.internal",
        "network.peer.address": f"10.1.{rng.randrange(8)}.{rng.randrange(256)}",
        "network.peer.port": port,
        "network.transport": "tcp",
        "peer.service": system,
    }


def fill(target: Any, values: dict[str, Any]) -> None:
    for key, value in values.items():
        holder = target.add(key=key).value
        match value:
            case bool():
                holder.bool_value = value
            case int():
                holder.int_value = value
            case float():
                holder.double_value = value
            case list():
                for item in value:
                    holder.array_value.values.add(string_value=item)
            case _:
                holder.string_value = value
