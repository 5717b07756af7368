"""Synthetic traffic in which everything varies that varies in life: no two traces are alike.

Traces of 3 to 40 spans with 1 to 12 model calls; models, users, tokens, costs, ids, times, the order of attributes and
which of them are missing are drawn anew for each. Half of the calls are reported twice, by two instrumentations.
"""

import random
import time
from collections.abc import Iterator
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from spanledger.bench.workload import fill

_MODELS = (
    *(("openai", name) for name in ("gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-4.1-mini", "o3-mini", "gpt-5-mini")),
    *(("anthropic", name) for name in ("claude-sonnet-4-5", "claude-haiku-4-5", "claude-3-5-haiku-20241022")),
    *(("gcp.vertex_ai", name) for name in ("gemini-2.5-pro", "gemini-2.5-flash")),
    ("mistral_ai", "mistral-large-latest"),
    ("nobody", "model-without-a-price"),
)
_SCOPES = ("opentelemetry.instrumentation.genai", "app.telemetry", "opentelemetry.instrumentation.openai_v2")
_USERS = 20_000
_SERVICES = 12
_MISSING = 0.15  # of the attributes that may be missing
_PER_REQUEST = 512  # spans
_HOUR_NS = 3_600_000_000_000


def bodies(spans: int, seed: int = 1) -> Iterator[tuple[bytes, int]]:
    """Requests of at least `spans` spans together, and the number of spans in each."""
    rng = random.Random(f"{seed} {time.time_ns()}")
    sent = 0
    while sent < spans:
        request, count = ExportTraceServiceRequest(), 0
        while count < _PER_REQUEST:
            count += _Trace(rng, request).spans
        yield request.SerializeToString(), count
        sent += count


class _Trace:
    """Writes one trace into a request."""

    def __init__(self, rng: random.Random, request: ExportTraceServiceRequest) -> None:
        self._rng = rng
        self._id = rng.randbytes(16)
        self._now = time.time_ns() - rng.randrange(_HOUR_NS)
        resource = request.resource_spans.add()
        service = {"service.name": f"service-{rng.randrange(_SERVICES)}", "service.version": f"1.{rng.randrange(9)}.0"}
        fill(resource.resource.attributes, service)
        self._scopes = {}
        for name in (*_SCOPES, "openinference.instrumentation.langchain", "http"):
            self._scopes[name] = resource.scope_spans.add()
            self._scopes[name].scope.name = name
        self.spans = 0
        self._write()

    def _write(self) -> None:
        rng = self._rng
        context = {
            "gen_ai.conversation.id": f"conversation-{rng.getrandbits(64):x}",
            "user.id": f"user-{rng.randrange(_USERS)}",
            "spanledger.message.id": f"msg_{rng.getrandbits(64):x}",
        }
        root = self._span("http", f"POST /v{rng.randrange(4)}/chat", None, context | {"http.route": "/chat"})
        workflow = {"gen_ai.operation.name": "invoke_workflow", "gen_ai.workflow.name": f"flow-{rng.randrange(20)}"}
        top = self._span(_SCOPES[0], "invoke_workflow", root, workflow)
        calls, size = rng.randint(1, 12), rng.randint(3, 40)
        for _ in range(calls):
            self._call(top)
            if self.spans >= size:
                return
        while self.spans < size:
            self._other(top)

    def _call(self, parent: Span) -> None:
        rng = self._rng
        provider, model = rng.choice(_MODELS)
        tokens_in, tokens_out = rng.randint(1, 30_000), rng.randint(1, 4_000)
        identity = f"chatcmpl-{rng.getrandbits(96):x}"
        inner: dict[str, Any] = self._maybe(
            {
                "gen_ai.response.model": model,
                "gen_ai.response.id": identity,
                "gen_ai.response.finish_reasons": [rng.choice(("stop", "tool_calls", "length"))],
                "gen_ai.usage.cache_read.input_tokens": rng.randint(0, tokens_in),
                "gen_ai.usage.reasoning.output_tokens": rng.randint(0, tokens_out),
                "gen_ai.request.temperature": round(rng.random(), 2),
                "gen_ai.request.max_tokens": rng.choice((512, 1024, 4096)),
                "gen_ai.response.time_to_first_chunk": round(rng.random(), 3),
                "gen_ai.usage.cost": round(rng.random() / 50, 6),
                "server.address": f"api.{provider}.com",
                "server.port": 443,
                "enduser.id": f"user-{rng.randrange(_USERS)}",
            }
        )
        inner |= {"gen_ai.operation.name": "chat", "gen_ai.provider.name": provider, "gen_ai.request.model": model}
        inner |= {"gen_ai.usage.input_tokens": tokens_in, "gen_ai.usage.output_tokens": tokens_out}
        if rng.random() < 0.5:
            outer: dict[str, Any] = {
                "openinference.span.kind": "LLM",
                "llm.model_name": model,
                "llm.provider": provider,
            }
            outer |= {"llm.token_count.prompt": tokens_in, "llm.token_count.completion": tokens_out}
            outer |= self._maybe({"llm.token_count.total": tokens_in + tokens_out, "langgraph.node": "model"})
            parent = self._span("openinference.instrumentation.langchain", "ChatModel", parent, outer)
        self._span(rng.choice(_SCOPES), f"chat {model}", parent, inner, failed=rng.random() < 0.02)

    def _other(self, parent: Span) -> None:
        rng = self._rng
        match rng.randrange(4):
            case 0:
                tool = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": f"tool-{rng.randrange(30)}"}
                self._span(_SCOPES[0], "execute_tool", parent, tool | self._maybe({"gen_ai.tool.call.id": "call_1"}))
            case 1:
                agent = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": f"agent-{rng.randrange(30)}"}
                self._span(_SCOPES[0], "invoke_agent", parent, agent)
            case _:
                request: dict[str, Any] = {
                    "http.request.method": rng.choice(("GET", "POST")),
                    "server.address": "db.internal",
                }
                request |= {"http.response.status_code": rng.choice((200, 200, 404)), "server.port": 5432}
                self._span("http", request["http.request.method"], parent, request)

    def _maybe(self, attributes: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in attributes.items() if self._rng.random() >= _MISSING}

    def _span(
        self, scope: str, name: str, parent: Span | None, attributes: dict[str, Any], failed: bool = False
    ) -> Span:
        rng = self._rng
        span = self._scopes[scope].spans.add(name=name, kind=Span.SPAN_KIND_INTERNAL, flags=257)
        span.trace_id, span.span_id = self._id, rng.randbytes(8)
        if parent is not None:
            span.parent_span_id = parent.span_id
        self._now += rng.randrange(50_000_000)
        span.start_time_unix_nano = self._now
        span.end_time_unix_nano = self._now + rng.randrange(1_000_000, 5_000_000_000)
        if failed:
            span.status.code, span.status.message = Status.STATUS_CODE_ERROR, "RateLimitError: slow down"
        items = list(attributes.items())
        rng.shuffle(items)
        fill(span.attributes, dict(items))
        self.spans += 1
        return span
