"""Runs workflows: one call per message, in one trace, with its ids on everything that happens inside."""

import asyncio
import contextlib
import logging
import time
import uuid
import weakref
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace

from opentelemetry import context as otel
from opentelemetry import trace

from spanledger.errors import BadRequest, SpanledgerError, telemetry_message
from spanledger.pricing import PriceBook
from spanledger.settings import Settings
from spanledger.telemetry import GenAI, Telemetry, errors, ids, semconv
from spanledger.telemetry.operations import Operations
from spanledger.workflows.calls import Caller
from spanledger.workflows.engine import WORKFLOWS, Engine, open_engine
from spanledger.workflows.history_file import holds
from spanledger.workflows.litellm_model import LiteLLM
from spanledger.workflows.model import LanguageModel, Message, ModelReply
from spanledger.workflows.parts import Parts
from spanledger.workflows.retriever import Retriever
from spanledger.workflows.run import CallRecord, Emit, Gate, Hit, Order, Run, Step
from spanledger.workflows.tools import Toolbox

_log = logging.getLogger(__name__)


class UnknownWorkflow(BadRequest):
    title = "Unknown workflow"
    status = 422
    error_type = "unknown_workflow"


@dataclass(frozen=True, slots=True)
class Turn:
    """A message to a conversation that we remember."""

    order: Order
    content: str
    stream: bool = False


@dataclass(frozen=True, slots=True)
class Completion:
    """A request whose caller remembers the conversation itself."""

    order: Order
    messages: Sequence[Message]
    stream: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a message came to. `calls` are all attempts in order; provider and model are those of the last answer."""

    message_id: str
    conversation_id: str
    user_id: str
    correlation_id: str
    trace_id: str
    workflow: str
    provider: str
    model: str
    duration_ms: float
    reply: ModelReply
    calls: tuple[CallRecord, ...]
    order: Order  # as it was made: agent, prompt version, variant …
    sources: tuple[Hit, ...] | None  # what was looked up; None: the workflow looks nothing up


class Runner:
    """The workflows of one service. Belongs to one event loop.

    `steps` complete the order, one after the other; `gates` then allow or refuse it. `say` tells a person
    that the workflows are being loaded, which the first message waits for; `loaded` is called when they are.
    """

    def __init__(
        self,
        settings: Settings,
        telemetry: Telemetry,
        book: PriceBook,
        model: LanguageModel | None = None,
        *,
        genai: GenAI | None = None,
        steps: Sequence[Step] = (),
        gates: Sequence[Gate] = (),
        toolbox: Toolbox | None = None,
        retriever: Retriever | None = None,
        say: Callable[[str], None] = lambda text: None,
        loaded: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings = settings
        self._telemetry = telemetry
        self._genai = genai or GenAI(telemetry)
        self._model = model or LiteLLM(book, settings.model_timeout_s)
        self._steps = tuple(steps)
        self._gates = tuple(gates)
        caller = Caller(self._model, self._genai, book)
        self._parts = Parts(caller, self._genai, toolbox or Toolbox(telemetry, self._genai), retriever)
        self._say, self._loaded = say, loaded
        self._operations = Operations(telemetry)
        self._opening = asyncio.Lock()
        self._engine: Engine | None = None
        self._running: Counter[str] = Counter()  # by tenant
        self._turns: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()

    @property
    def in_flight(self) -> int:
        """Workflows that run now."""
        return self._running.total()

    def in_flight_of(self, tenant: str) -> int:
        """Those of one tenant."""
        return self._running[tenant]

    @property
    def is_loaded(self) -> bool:
        """Whether a message need not wait for LiteLLM and LangGraph."""
        return self._engine is not None

    async def warm(self) -> None:
        """Loads LiteLLM, LangGraph and the history (seconds of CPU). Messages that come earlier wait for the same."""
        await self._ready()

    async def close(self) -> None:
        async with self._opening:
            engine, self._engine = self._engine, None
            if engine is not None:
                await engine.close()
                await self._model.close()

    async def answer(self, turn: Turn, emit: Emit = lambda chunk: None) -> Outcome:
        """Answers a message within its conversation; `emit` gets the model's chunks when the turn streams.

        Messages to one conversation are answered one after the other. Raises UnknownWorkflow, UnknownModel, ModelError,
        and what steps and gates raise.
        """
        thread = f"{turn.order.principal.tenant}/{turn.order.conversation_id}"
        lock = self._turns.setdefault(thread, asyncio.Lock())
        async with lock:
            message = {"role": "user", "content": turn.content}
            return await self._run(turn.order, [message], turn.stream, emit, thread)

    async def complete(self, completion: Completion, emit: Emit = lambda chunk: None) -> Outcome:
        """Answers a request that brings its own history. Raises as `answer` does."""
        return await self._run(completion.order, list(completion.messages), completion.stream, emit, "")

    async def check(self, order: Order) -> None:
        """Raises what a run of it would be refused for: unknown workflow, agent, profile or prompt. Loads nothing."""
        await self._completed(order)

    @contextlib.asynccontextmanager
    async def admitted(self, order: Order) -> AsyncIterator[Run]:
        """Around work that is no workflow (embeddings, documents): the same gates, the same ids on everything.

        What it calls belongs into `records` of the run. Raises what gates raise.
        """
        await self._model.ready()
        run = Run(order)
        with ids.carry(**order.ids()) as carried:
            request = trace.get_current_span()
            ids.stamp(request, carried)
            try:
                async with self._gated(run):
                    yield run
            except BaseException as exc:
                errors.fail(request, exc)
                raise

    @contextlib.asynccontextmanager
    async def _gated(self, run: Run) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as gates:
            for gate in self._gates:
                await gates.enter_async_context(gate.admit(run.order, run))
            yield

    async def remembered(self, tenant: str, conversation_id: str) -> list[Message]:
        """What is remembered of a conversation, oldest first, questions with their MESSAGE_ID; nothing for one that is
        not ours."""
        thread = f"{tenant}/{conversation_id}"
        if self._engine is None and not await asyncio.to_thread(holds, self._settings.data_dir, thread):
            return []
        return await (await self._ready()).remembered(thread)

    async def _run(self, requested: Order, messages: list[Message], stream: bool, emit: Emit, thread: str) -> Outcome:
        """`thread` empty: nothing is remembered."""
        started = time.perf_counter()
        engine = await self._ready()
        request = trace.get_current_span()
        self._running[requested.principal.tenant] += 1
        try:
            with ids.carry(**requested.ids()):
                try:
                    order = await self._decided(requested, engine)
                    with ids.carry(**order.ids()) as carried:
                        ids.stamp(request, carried)
                        run, trace_id = await self._admitted(engine, order, messages, stream, emit, thread)
                except BaseException as exc:
                    # Also on the request's span: with a refusal's 4xx or a stream's 200 that one would look well.
                    errors.fail(request, exc)
                    raise
            return _outcome(order, run, carried.correlation_id, trace_id, started)
        finally:
            self._running[requested.principal.tenant] -= 1

    async def _decided(self, requested: Order, engine: Engine) -> Order:
        """The order with everything decided: by its caller, by the steps, by our defaults."""
        order = await self._completed(replace(requested, message_id=requested.message_id or str(uuid.uuid4())))
        return replace(
            order,
            agent=order.agent or engine.agent(order.workflow),
            model=order.model or self._settings.default_model,
        )

    async def _completed(self, order: Order) -> Order:
        """By the steps, and with a workflow that there is."""
        for step in self._steps:
            decided = step(order)
            order = decided if isinstance(decided, Order) else await decided
        workflow = order.workflow or "chat"
        if workflow not in WORKFLOWS:
            raise UnknownWorkflow(f"there is no workflow {workflow[:100]!r}; there are {', '.join(WORKFLOWS)}")
        return replace(order, workflow=workflow)

    async def _admitted(
        self, engine: Engine, order: Order, messages: list[Message], stream: bool, emit: Emit, thread: str
    ) -> tuple[Run, str]:
        """The finished run and its trace id."""
        run = Run(order, messages=messages, stream=stream, emit=emit)
        async with self._gated(run):
            agent = self._operations.agent(order.agent) if order.agent_id else contextlib.nullcontext()
            with self._genai.workflow(order.workflow) as span:
                # A span is exported at its end: of a run that ends with the process, this is what remains.
                self._telemetry.event(semconv.WORKFLOW_STARTED, "workflow started", {})
                with agent:
                    run.context = otel.get_current()
                    try:
                        await engine.run(order.workflow, run, messages, thread)
                    except BaseException as exc:
                        _log.warning("workflow failed: %s", _reason(exc))
                        raise
                self._telemetry.event(semconv.WORKFLOW_COMPLETED, "workflow completed", {})
                context = span.get_span_context()
        return run, trace.format_trace_id(context.trace_id) if context.is_valid else ""

    async def _ready(self) -> Engine:
        if self._engine is None:
            async with self._opening:
                if self._engine is None:
                    self._engine = await self._opened()
        return self._engine

    async def _opened(self) -> Engine:
        self._say("loading the workflows and the model library for the first message; it waits some seconds, once")
        started = time.monotonic()
        engine = await open_engine(self._settings.data_dir, self._telemetry, self._model, self._parts)
        self._loaded()
        self._say(f"workflows loaded in {time.monotonic() - started:.1f} s")
        return engine


def _outcome(order: Order, run: Run, correlation_id: str, trace_id: str, started: float) -> Outcome:
    assert run.reply is not None
    last = run.records[-1]
    return Outcome(
        message_id=order.message_id,
        conversation_id=order.conversation_id,
        user_id=order.user_id,
        correlation_id=correlation_id,
        trace_id=trace_id,
        workflow=order.workflow,
        provider=last.provider,
        model=last.model,
        duration_ms=round((time.perf_counter() - started) * 1000, 3),
        reply=run.reply,
        calls=tuple(run.records),
        order=order,
        sources=None if run.hits is None else tuple(run.hits),
    )


def _reason(error: BaseException) -> str:
    if isinstance(error, asyncio.CancelledError):
        return "its caller went away"
    return telemetry_message(error) if isinstance(error, SpanledgerError) else type(error).__qualname__
