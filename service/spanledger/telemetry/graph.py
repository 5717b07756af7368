"""OpenInference's LangChain tracer, told what not to do. Imports langchain.

It writes a graph's whole state (the conversation so far, as JSON) on every span, and only then drops it if content is
not wanted: most of what emission cost. Here, without content, a span of the graph is its name, kind, step and outcome.
"""

from typing import Any

from langchain_core.tracers.base import BaseTracer
from openinference.instrumentation.langchain._tracer import OpenInferenceTracer
from openinference.semconv.trace import OpenInferenceSpanKindValues, SpanAttributes
from opentelemetry import trace
from opentelemetry.trace import Span, StatusCode, Tracer

from spanledger.telemetry import genai, semconv

_CHAIN = OpenInferenceSpanKindValues.CHAIN.value
_NOT_ERRORS = ("Command(", "ParentCommand(", "GraphInterrupt(")  # how LangGraph steers, as OpenInference has it


class GraphTracer(OpenInferenceTracer):  # type: ignore[misc]
    """Runs of a graph and its nodes. A node's span has the node's name from its start."""

    content: bool
    plain: Tracer
    run_inline = True  # or each callback is sent through a thread: 4 hops, 0.5 ms a message

    def _start_trace(self, run: Any) -> None:
        if self.content and not _node(run):
            super()._start_trace(run)
            return
        self.run_map[str(run.id)] = run
        parent = self._spans_by_run.get(run.parent_run_id) if run.parent_run_id else None
        node = _node(run)
        span = self.plain.start_span(
            run.name,
            context=trace.set_span_in_context(parent) if parent is not None else None,
            attributes={semconv.NODE_NAME: node} if node else None,
            record_exception=False,
            set_status_on_exception=False,
        )
        self._spans_by_run[run.id] = span

    def _end_trace(self, run: Any) -> None:
        if self.content:
            super()._end_trace(run)
            return
        self.run_map.pop(str(run.id), None)
        span: Span | None = self._spans_by_run.pop(run.id, None)
        if span is None:
            return
        span.set_attribute(SpanAttributes.OPENINFERENCE_SPAN_KIND, _CHAIN)
        if (step := _metadata(run).get("langgraph_step")) is not None:
            span.set_attribute("langgraph.step", step)
        if run.error is None or run.error.startswith(_NOT_ERRORS):
            span.set_status(StatusCode.OK)
        span.end()

    def on_chain_error(self, error: BaseException, *args: Any, **kwargs: Any) -> Any:
        span = self._spans_by_run.get(kwargs["run_id"])
        if span is not None and not repr(error).startswith(_NOT_ERRORS):
            genai.fail(span, error)
        if self.content:
            return super().on_chain_error(error, *args, **kwargs)
        # Past OpenInference, which would put the whole stack on every span that the error passes.
        return BaseTracer.on_chain_error(self, error, *args, **kwargs)


def _metadata(run: Any) -> dict[str, Any]:
    return (run.extra or {}).get("metadata") or {}


def _node(run: Any) -> str:
    """The node of the graph that this run is, if it is one."""
    node = _metadata(run).get("langgraph_node")
    return node if isinstance(node, str) and node == run.name else ""
