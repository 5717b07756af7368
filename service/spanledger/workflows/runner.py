"""Runs workflows: one call per message, in one trace, with its ids on everything that happens inside."""

import asyncio
import logging
import time
import uuid
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from opentelemetry import trace

from spanledger.errors import BadRequest, SpanledgerError
from spanledger.pricing import PriceBook
from spanledger.settings import Settings
from spanledger.telemetry import GenAI, Telemetry, genai, ids
from spanledger.workflows.calls import Caller, CallRecord, Emit, Run
from spanledger.workflows.litellm_model import LiteLLM
from spanledger.workflows.model import LanguageModel, Message, ModelReply

WORKFLOWS = ("chat", "assistant")
_log = logging.getLogger(__name__)


class UnknownWorkflow(BadRequest):
    title = "Unknown workflow"
    status = 422
    error_type = "unknown_workflow"


@dataclass(frozen=True, slots=True)
class Turn:
    """A message to a conversation that we remember. An empty model is the default one."""

    conversation_id: str
    content: str
    user_id: str = ""
    workflow: str = "chat"
    model: str = ""
    fallbacks: tuple[str, ...] = ()
    stream: bool = False


@dataclass(frozen=True, slots=True)
class Completion:
    """A request whose caller remembers the conversation itself. `parameters` are OpenAI's, passed on."""

    messages: Sequence[Message]
    conversation_id: str = ""
    user_id: str = ""
    model: str = ""
    fallbacks: tuple[str, ...] = ()
    parameters: dict[str, Any] = field(default_factory=dict)
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


class Runner:
    """The workflows of one service. Belongs to one event loop."""

    def __init__(
        self, settings: Settings, telemetry: Telemetry, book: PriceBook, model: LanguageModel | None = None
    ) -> None:
        self._settings = settings
        self._telemetry = telemetry
        self._genai = GenAI(telemetry)
        self._model = model or LiteLLM(book)
        self._caller = Caller(self._model, self._genai, book)
        self._opening = asyncio.Lock()
        self._engine: _Engine | None = None
        self._running = 0
        self._turns: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()

    @property
    def in_flight(self) -> int:
        """Workflows that run now."""
        return self._running

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

        Messages to one conversation are answered one after the other. Raises UnknownWorkflow, UnknownModel, ModelError.
        """
        if turn.workflow not in WORKFLOWS:
            raise UnknownWorkflow(f"there is no workflow {turn.workflow[:100]!r}; there are {', '.join(WORKFLOWS)}")
        lock = self._turns.setdefault(turn.conversation_id, asyncio.Lock())
        async with lock:
            run = Run(self._models(turn.model, turn.fallbacks), stream=turn.stream, emit=emit)
            message = {"role": "user", "content": turn.content}
            return await self._run(turn.workflow, run, [message], turn.conversation_id, turn.user_id, True)

    async def complete(self, asked: Completion, emit: Emit = lambda chunk: None) -> Outcome:
        """Answers a request that brings its own history, by workflow `chat`. Raises UnknownModel, ModelError."""
        run = Run(
            self._models(asked.model, asked.fallbacks), parameters=asked.parameters, stream=asked.stream, emit=emit
        )
        messages = list(asked.messages)
        return await self._run("chat", run, messages, asked.conversation_id, asked.user_id, False)

    def _models(self, model: str, fallbacks: tuple[str, ...]) -> tuple[str, ...]:
        return (model or self._settings.default_model, *fallbacks)

    async def _run(
        self,
        workflow: str,
        run: Run,
        messages: list[Message],
        conversation_id: str,
        user_id: str,
        remember: bool,
    ) -> Outcome:
        engine = await self._ready()
        self._running += 1
        try:
            return await self._traced(engine, workflow, run, messages, conversation_id, user_id, remember)
        finally:
            self._running -= 1

    async def _traced(
        self,
        engine: "_Engine",
        workflow: str,
        run: Run,
        messages: list[Message],
        conversation_id: str,
        user_id: str,
        remember: bool,
    ) -> Outcome:
        started = time.perf_counter()
        known = {
            "conversation_id": conversation_id,
            "message_id": str(uuid.uuid4()),
            "user_id": user_id,
            "workflow": workflow,
            "agent": engine.agent(workflow),
        }
        request = trace.get_current_span()
        with ids.carry(**known) as carried:
            ids.stamp(request, carried)
            with self._genai.workflow(workflow) as span:
                _log.info("workflow started")
                try:
                    await engine.run(workflow, run, messages, conversation_id if remember else "")
                except BaseException as exc:
                    # Also on the request's span: with a refusal's 4xx or a stream's 200 that one would look well.
                    genai.fail(request, exc)
                    _log.warning("workflow failed: %s", _reason(exc))
                    raise
                _log.info("workflow completed")
            context = span.get_span_context()
        assert run.reply is not None
        last = run.records[-1]
        return Outcome(
            message_id=carried.message_id,
            conversation_id=conversation_id,
            user_id=user_id,
            correlation_id=carried.correlation_id,
            trace_id=trace.format_trace_id(context.trace_id) if context.is_valid else "",
            workflow=workflow,
            provider=last.provider,
            model=last.model,
            duration_ms=round((time.perf_counter() - started) * 1000, 3),
            reply=run.reply,
            calls=tuple(run.records),
        )

    async def _ready(self) -> "_Engine":
        if self._engine is None:
            async with self._opening:
                if self._engine is None:
                    self._engine = await _open_engine(self)
        return self._engine


def _reason(error: BaseException) -> str:
    if isinstance(error, asyncio.CancelledError):
        return "its caller went away"
    return str(error) if isinstance(error, SpanledgerError) else type(error).__qualname__


class _Engine:
    """The compiled graphs and their history."""

    def __init__(self, runner: Runner, graphs: Any, history: Any, saver: Any) -> None:
        caller, genai = runner._caller, runner._genai
        self._graphs = graphs
        self._history = history
        self._saver = saver
        self._remembering = {name: graphs.build(name, caller, genai, saver) for name in WORKFLOWS}
        self._forgetful = {name: graphs.build(name, caller, genai) for name in WORKFLOWS}

    def agent(self, workflow: str) -> str:
        agent: str = self._graphs.PLANS[workflow].agent
        return agent

    async def run(self, workflow: str, run: Run, messages: list[Message], thread_id: str) -> None:
        """Runs the graph; `thread_id` empty: nothing is remembered."""
        config: dict[str, Any] = {"run_name": workflow}
        if not thread_id:
            await self._forgetful[workflow].ainvoke({"messages": messages}, config, context=run)
            return
        config["configurable"] = {"thread_id": thread_id}
        # "exit": one checkpoint per message instead of one per step; what is cut off was not answered anyway.
        await self._remembering[workflow].ainvoke({"messages": messages}, config, context=run, durability="exit")
        await self._history.forget_older(self._saver, config)

    async def close(self) -> None:
        await self._history.close_history(self._saver)


async def _open_engine(runner: Runner) -> _Engine:
    def load() -> tuple[Any, Any]:
        runner._telemetry.instrument_langchain()
        from spanledger.workflows import graphs, history

        runner._settings.data_dir.mkdir(parents=True, exist_ok=True)
        return graphs, history

    graphs, history = await asyncio.to_thread(load)
    await runner._model.ready()
    saver = await history.open_history(runner._settings.data_dir)
    return _Engine(runner, graphs, history, saver)
