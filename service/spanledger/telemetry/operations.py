"""Spans of what surrounds the calls of models: agents, retrieval, documents, MCP; and decisions, as events of the span
in which they were made."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind

from spanledger.telemetry import semconv
from spanledger.telemetry.errors import fail
from spanledger.telemetry.setup import Telemetry

MAX_OPTIONS = 50  # named in a decision: servers may have many tools, and each decision lists them


class Operations:
    """Makes the spans. Each ends whatever happens inside, and says what failed."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._tracer = telemetry.tracer("spanledger.platform")
        self.content = telemetry.capture_content

    @contextmanager
    def span(self, name: str, attributes: Mapping[str, Any], kind: SpanKind = SpanKind.INTERNAL) -> Iterator[Span]:
        with self._tracer.start_as_current_span(
            name, kind=kind, attributes=attributes, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield span
            except BaseException as exc:
                fail(span, exc)
                raise

    @contextmanager
    def agent(self, name: str) -> Iterator[Span]:
        """`invoke_agent <name>`; id and version come by themselves, as on every span below."""
        attributes = {semconv.OPERATION_NAME: semconv.INVOKE_AGENT, semconv.AGENT_NAME: name}
        with self.span(f"{semconv.INVOKE_AGENT} {name}", attributes) as span:
            yield span

    @contextmanager
    def mcp(self, method: str, server: str, attributes: Mapping[str, Any]) -> Iterator[Span]:
        """A request to an MCP server that is no tool call: those are the tool's own span."""
        named = {semconv.MCP_METHOD_NAME: method, semconv.MCP_SERVER: server, **attributes}
        with self.span(f"{method} {server}", named, SpanKind.CLIENT) as span:
            yield span


def decided(kind: str, choice: Sequence[str], reason: str, options: Sequence[str] = (), **facts: str | int) -> None:
    """Notes on the current span what was chosen and why. `reason` is a word, never content."""
    attributes: dict[str, Any] = {
        semconv.DECISION_KIND: kind,
        semconv.DECISION_CHOICE: list(choice),
        semconv.DECISION_REASON: reason,
        semconv.DECISION_OPTIONS: list(options[:MAX_OPTIONS]),
        **{f"{semconv.DECISION}.{name}": value for name, value in facts.items()},
    }
    trace.get_current_span().add_event(semconv.DECISION, attributes)
