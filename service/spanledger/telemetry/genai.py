"""Spans and metrics of GenAI operations. Every helper ends its span whatever happens inside, and raises nothing new."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind

from spanledger.pricing import Usage
from spanledger.telemetry import ids, semconv
from spanledger.telemetry.errors import error_type, fail
from spanledger.telemetry.setup import Telemetry

_REQUEST_ATTRIBUTES = {
    "max_tokens": semconv.REQUEST_MAX_TOKENS,
    "max_completion_tokens": semconv.REQUEST_MAX_TOKENS,
    "temperature": semconv.REQUEST_TEMPERATURE,
    "top_p": semconv.REQUEST_TOP_P,
    "seed": semconv.REQUEST_SEED,
    "frequency_penalty": semconv.REQUEST_FREQUENCY_PENALTY,
    "presence_penalty": semconv.REQUEST_PRESENCE_PENALTY,
    "service_tier": semconv.REQUEST_SERVICE_TIER,
}
_REASONING_LEVELS = frozenset({"none", "minimal", "low", "medium", "high", "xhigh", "max", "default"})
_USAGE_ATTRIBUTES = (
    ("input_tokens", semconv.INPUT_TOKENS),
    ("output_tokens", semconv.OUTPUT_TOKENS),
    ("cache_read_input_tokens", semconv.CACHE_READ_INPUT_TOKENS),
    ("cache_write_input_tokens", semconv.CACHE_WRITE_INPUT_TOKENS),
    ("cache_write_1h_input_tokens", semconv.CACHE_WRITE_1H_INPUT_TOKENS),
    ("reasoning_output_tokens", semconv.REASONING_OUTPUT_TOKENS),
    ("audio_input_tokens", semconv.AUDIO_INPUT_TOKENS),
    ("audio_output_tokens", semconv.AUDIO_OUTPUT_TOKENS),
    ("image_input_tokens", semconv.IMAGE_INPUT_TOKENS),
    ("image_output_tokens", semconv.IMAGE_OUTPUT_TOKENS),
)
_DURATION_BUCKETS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_TOKEN_BUCKETS = tuple(float(4**i) for i in range(14))


@dataclass(frozen=True, slots=True)
class InferenceRequest:
    """One call of a model, as it is sent. `model` is the provider's name for it."""

    provider: str
    model: str
    operation: str = semconv.CHAT
    stream: bool = False
    attempt: int = 1
    parameters: Mapping[str, Any] = field(default_factory=dict)
    messages: Sequence[Mapping[str, Any]] = ()  # put on the span only if content is captured
    cache: bool = False  # a response cache is looked up first


@dataclass(frozen=True, slots=True)
class CacheSavings:
    """What an answer from a response cache did not use and cost; None = unknown."""

    usage: Usage
    usd: Decimal | None


@dataclass(frozen=True, slots=True)
class InferenceResult:
    """What came back, or what had come back before the call broke off."""

    usage: Usage
    usage_estimated: bool = False
    response_id: str = ""
    model: str = ""
    finish_reasons: Sequence[str] = ()
    service_tier: str = ""
    cost_usd: Decimal | None = None
    cost_source: str = ""  # provider | local
    messages: Sequence[Mapping[str, Any]] = ()


class Inference:
    """A running call of a model."""

    def __init__(self, span: Span, started: float) -> None:
        self.span = span
        self._started = started
        self.first_chunk_s: float | None = None
        self.answered: InferenceResult | None = None
        self.saved: CacheSavings | None = None

    def chunk(self) -> None:
        """A piece of the answer arrived; the first one stops the time to first chunk."""
        if self.first_chunk_s is None:
            self.first_chunk_s = time.perf_counter() - self._started

    def answer(self, answered: InferenceResult) -> None:
        """What the call came to. The last word wins."""
        self.answered = answered

    def from_cache(self, saved: CacheSavings) -> None:
        """A response cache answered; no provider was called."""
        self.saved = saved


class GenAI:
    """Makes the spans of workflows, nodes, model calls and tools."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._content = telemetry.capture_content
        self._tracer = telemetry.tracer("spanledger.workflows")
        meter = telemetry.meter("spanledger.workflows")
        self._duration = meter.create_histogram(
            semconv.METRIC_OPERATION_DURATION,
            unit="s",
            description="Duration of a GenAI operation",
            explicit_bucket_boundaries_advisory=_DURATION_BUCKETS,
        )
        self._first_chunk = meter.create_histogram(
            semconv.METRIC_TIME_TO_FIRST_CHUNK,
            unit="s",
            description="Time to the first chunk of a streamed answer",
            explicit_bucket_boundaries_advisory=_DURATION_BUCKETS,
        )
        self._tokens = meter.create_histogram(
            semconv.METRIC_TOKEN_USAGE,
            unit="{token}",
            description="Input and output tokens of a GenAI operation",
            explicit_bucket_boundaries_advisory=_TOKEN_BUCKETS,
        )

    @contextmanager
    def workflow(self, name: str) -> Iterator[Span]:
        """`invoke_workflow <name>`, around one message."""
        attributes = {semconv.OPERATION_NAME: semconv.INVOKE_WORKFLOW, semconv.WORKFLOW_NAME: name}
        with self._span(f"{semconv.INVOKE_WORKFLOW} {name}", SpanKind.INTERNAL, attributes) as span:
            yield span

    @contextmanager
    def node(self, name: str) -> Iterator[None]:
        """Work inside the span that the graph's instrumentation made for this node, which gets the node's name."""
        span = self._telemetry.graph_span()
        if span is None or not span.is_recording():
            yield
            return
        span.set_attribute(semconv.NODE_NAME, name)
        with trace.use_span(span, end_on_exit=False, record_exception=False, set_status_on_exception=False):
            yield

    @contextmanager
    def tool(self, name: str, call_id: str, description: str, arguments: str) -> Iterator["Tool"]:
        """`execute_tool <name>`; everything inside carries the tool's name."""
        attributes = {
            semconv.OPERATION_NAME: semconv.EXECUTE_TOOL,
            semconv.TOOL_NAME: name,
            semconv.TOOL_TYPE: "function",
            semconv.TOOL_CALL_ID: call_id,
            semconv.TOOL_DESCRIPTION: description,
        }
        if self._content:
            attributes[semconv.TOOL_CALL_ARGUMENTS] = arguments
        with ids.carry(tool=name), self._span(f"{semconv.EXECUTE_TOOL} {name}", SpanKind.INTERNAL, attributes) as span:
            yield Tool(span, self._content)

    @contextmanager
    def inference(self, request: InferenceRequest) -> Iterator[Inference]:
        """`chat <model>`: the leaf that the books count. What was answered is written also when the block fails."""
        attributes = _request_attributes(request)
        if self._content:
            attributes |= _words(request.parameters)
            attributes[semconv.INPUT_MESSAGES] = _content(request.messages)
        started = time.perf_counter()
        with self._span(f"{request.operation} {request.model}", SpanKind.CLIENT, attributes) as span:
            call = Inference(span, started)
            error = ""
            try:
                yield call
            except BaseException as exc:
                error = error_type(exc)
                raise
            finally:
                if call.answered is not None:
                    self._write(span, call.answered)
                if request.cache:
                    span.set_attributes(_cache_attributes(call.saved))
                if call.first_chunk_s is not None:
                    span.set_attribute(semconv.RESPONSE_TIME_TO_FIRST_CHUNK, call.first_chunk_s)
                self._measure(request, call, time.perf_counter() - started, error)

    @contextmanager
    def _span(self, name: str, kind: SpanKind, attributes: Mapping[str, Any]) -> Iterator[Span]:
        with self._tracer.start_as_current_span(
            name, kind=kind, attributes=attributes, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield span
            except BaseException as exc:
                fail(span, exc, self._content)
                raise

    def _write(self, span: Span, answered: InferenceResult) -> None:
        attributes: dict[str, Any] = {
            key: count for name, key in _USAGE_ATTRIBUTES if (count := getattr(answered.usage, name)) is not None
        }
        if answered.usage_estimated:
            attributes[semconv.USAGE_ESTIMATED] = True
        if answered.response_id:
            attributes[semconv.RESPONSE_ID] = answered.response_id
        if answered.model:
            attributes[semconv.RESPONSE_MODEL] = answered.model
        if answered.finish_reasons:
            attributes[semconv.RESPONSE_FINISH_REASONS] = list(answered.finish_reasons)
        if answered.service_tier:
            attributes[semconv.SERVICE_TIER] = answered.service_tier
        if answered.cost_usd is not None:
            attributes[semconv.COST_AMOUNT] = float(answered.cost_usd)
            attributes[semconv.COST_CURRENCY] = "USD"
            attributes[semconv.COST_SOURCE] = answered.cost_source
        if self._content and answered.messages:
            attributes[semconv.OUTPUT_MESSAGES] = _content(answered.messages)
        span.set_attributes(attributes)

    def _measure(self, request: InferenceRequest, call: Inference, duration_s: float, error: str) -> None:
        answered = call.answered
        labels: dict[str, Any] = {
            semconv.OPERATION_NAME: request.operation,
            semconv.PROVIDER_NAME: request.provider,
            semconv.REQUEST_MODEL: request.model,
        }
        if tenant := ids.current().tenant:
            labels[semconv.TENANT] = tenant
        if answered is not None and answered.model:
            labels[semconv.RESPONSE_MODEL] = answered.model
        if answered is not None:
            for kind, count in (("input", answered.usage.input_tokens), ("output", answered.usage.output_tokens)):
                if count is not None:
                    self._tokens.record(count, {**labels, semconv.TOKEN_TYPE: kind})
        if call.first_chunk_s is not None:
            self._first_chunk.record(call.first_chunk_s, labels)
        self._duration.record(duration_s, {**labels, semconv.ERROR_TYPE: error} if error else labels)


class Tool:
    """A running tool."""

    def __init__(self, span: Span, content: bool) -> None:
        self.span = span
        self._content = content

    def result(self, text: str) -> None:
        if self._content:
            self.span.set_attribute(semconv.TOOL_CALL_RESULT, text)

    def failed(self, error: BaseException) -> None:
        """The tool failed, and the failure goes back to the model instead of ending the workflow."""
        fail(self.span, error, self._content)


def _request_attributes(request: InferenceRequest) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        semconv.OPERATION_NAME: request.operation,
        semconv.PROVIDER_NAME: request.provider,
        semconv.REQUEST_MODEL: request.model,
        semconv.REQUEST_STREAM: request.stream,
        semconv.ATTEMPT: request.attempt,
    }
    for name, key in _REQUEST_ATTRIBUTES.items():
        value = request.parameters.get(name)
        if isinstance(value, int | float | str):
            attributes[key] = value
    choices, level = request.parameters.get("n"), request.parameters.get("reasoning_effort")
    if isinstance(choices, int) and choices != 1:
        attributes[semconv.REQUEST_CHOICE_COUNT] = choices
    if isinstance(level, str) and level in _REASONING_LEVELS:
        attributes[semconv.REQUEST_REASONING_LEVEL] = level
    return attributes


def _words(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What a caller may have written freely."""
    found: dict[str, Any] = {}
    if stop := parameters.get("stop"):
        found[semconv.REQUEST_STOP_SEQUENCES] = [stop] if isinstance(stop, str) else [str(s) for s in stop]
    if isinstance(level := parameters.get("reasoning_effort"), str):
        found[semconv.REQUEST_REASONING_LEVEL] = level
    return found


def _cache_attributes(saved: CacheSavings | None) -> dict[str, Any]:
    attributes: dict[str, Any] = {semconv.CACHE_HIT: saved is not None}
    if saved is None:
        return attributes
    for key, count in (
        (semconv.CACHE_SAVED_INPUT_TOKENS, saved.usage.input_tokens),
        (semconv.CACHE_SAVED_OUTPUT_TOKENS, saved.usage.output_tokens),
        (semconv.CACHE_SAVED_USD, None if saved.usd is None else format(saved.usd.normalize(), "f")),
    ):
        if count is not None:
            attributes[key] = count
    return attributes


def _content(messages: Sequence[Mapping[str, Any]]) -> str:
    """Chat messages in the conventions' form: a role and parts."""
    return json.dumps([{"role": m.get("role", ""), "parts": _parts(m)} for m in messages], default=str)


def _parts(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    content = message.get("content")
    if message.get("role") == "tool":
        return [{"type": "tool_call_response", "id": message.get("tool_call_id"), "result": content}]
    parts: list[dict[str, Any]] = []
    if isinstance(content, str) and content:
        parts.append({"type": "text", "content": content})
    elif content:
        parts.append({"type": "generic", "content": content})
    for call in message.get("tool_calls") or ():
        function = call.get("function") or {}
        parts.append(
            {
                "type": "tool_call",
                "id": call.get("id"),
                "name": function.get("name"),
                "arguments": function.get("arguments"),
            }
        )
    return parts
