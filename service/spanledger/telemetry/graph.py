"""OpenInference's LangChain tracer for the runs of our own graphs. Imports langchain.

It writes a graph's whole state (the conversation so far, as JSON) on every span, and only then drops it if content is
not wanted: most of what emission cost. Here, without content, a span of the graph is its name, kind and outcome.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackManager
from langchain_core.runnables.config import var_child_runnable_config
from openinference.instrumentation import OITracer, TraceConfig
from openinference.instrumentation.langchain._tracer import OpenInferenceTracer
from openinference.semconv.trace import OpenInferenceSpanKindValues, SpanAttributes
from opentelemetry import trace
from opentelemetry.trace import Span, Tracer

from spanledger.telemetry import errors, semconv

_CHAIN = OpenInferenceSpanKindValues.CHAIN.value
_NOT_ERRORS = ("Command(", "ParentCommand(", "GraphInterrupt(")  # how LangGraph steers, as OpenInference has it


class GraphTracer(OpenInferenceTracer):  # type: ignore[misc]
    """Runs of a graph and its nodes. A node's span has the node's name from its start.

    With content it is OpenInference's own; without, a callback makes or ends a span and nothing else: LangChain's
    record of a run (a pydantic model with all its inputs and outputs) is not kept either.
    """

    run_inline = True  # or each callback is sent through a thread: 4 hops, 0.5 ms a message

    def __init__(self, plain: Tracer, masking: Tracer, content: bool) -> None:
        """`masking` hides what must not be captured; `plain` makes spans that carry no content."""
        super().__init__(masking, separate_trace_from_runtime_context=False)
        self.plain, self.content = plain, content
        self._spans_by_run: dict[UUID, Span] = {}  # the original takes a lock around what one instruction does

    def current_span(self) -> Span | None:
        """The span of the node in which we are; it is not the current one, for callbacks cannot attach it."""
        config = var_child_runnable_config.get()
        manager = config.get("callbacks") if isinstance(config, dict) else None
        run_id = manager.parent_run_id if isinstance(manager, BaseCallbackManager) else None
        return self._spans_by_run.get(run_id) if run_id is not None else None

    def on_chain_start(
        self,
        serialized: Any,
        inputs: Any,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        metadata: Mapping[str, Any] | None = None,
        name: str | None = None,
        **more: Any,
    ) -> Any:
        if self.content:
            known: dict[str, Any] = {"parent_run_id": parent_run_id, "metadata": metadata, "name": name, **more}
            return super().on_chain_start(serialized, inputs, run_id=run_id, **known)
        self._start(run_id, parent_run_id, name or "chain", metadata or {})
        return None

    def on_chain_end(self, outputs: Any, *, run_id: UUID, **more: Any) -> Any:
        if self.content:
            return super().on_chain_end(outputs, run_id=run_id, **more)
        self._end(run_id)
        return None

    def on_chain_error(self, error: BaseException, *, run_id: UUID, **more: Any) -> Any:
        steering = repr(error).startswith(_NOT_ERRORS)
        span = self._spans_by_run.get(run_id)
        if span is not None and not steering:
            errors.fail(span, error, self.content)
        if self.content:
            return super().on_chain_error(error, run_id=run_id, **more)
        self._end(run_id)
        return None

    def _end(self, run_id: UUID) -> None:
        span = self._spans_by_run.pop(run_id, None)
        if span is not None:
            span.end()

    def _start_trace(self, run: Any) -> None:
        if not self.content:  # a model or tool of LangChain's: what it says must pass the tracer that masks content
            super()._start_trace(run)
            return
        self.run_map[str(run.id)] = run
        self._start(run.id, run.parent_run_id, run.name, (run.extra or {}).get("metadata") or {})

    def _start(self, run_id: UUID, parent_run_id: UUID | None, name: str, metadata: Mapping[str, Any]) -> None:
        parent = self._spans_by_run.get(parent_run_id) if parent_run_id else None
        span_attributes: dict[str, Any] = {SpanAttributes.OPENINFERENCE_SPAN_KIND: _CHAIN}
        if metadata.get("langgraph_node") == name:
            span_attributes[semconv.NODE_NAME] = name
        self._spans_by_run[run_id] = self.plain.start_span(
            name,
            context=trace.set_span_in_context(parent) if parent is not None else None,
            attributes=span_attributes,
            record_exception=False,
            set_status_on_exception=False,
        )


def tracer_of(plain: Tracer, content: bool) -> GraphTracer:
    """A tracer whose spans carry content only if `content` says so."""
    hide = not content
    config = TraceConfig(hide_inputs=hide, hide_outputs=hide, hide_llm_invocation_parameters=hide)
    return GraphTracer(plain, OITracer(plain, config=config), content)
