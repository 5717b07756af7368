"""The compiled graphs and their history: what a message needs of LangGraph and LiteLLM, loaded by `open_engine`."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from spanledger.telemetry import Telemetry
from spanledger.workflows.memory import MESSAGE_ID
from spanledger.workflows.model import LanguageModel, Message
from spanledger.workflows.parts import Parts
from spanledger.workflows.run import Run

WORKFLOWS = ("chat", "assistant", "rag", "evaluation", "analysis")


class Engine:
    """Runs workflows. Made by `open_engine`; belongs to one event loop."""

    def __init__(self, parts: Parts, graphs: ModuleType, history: ModuleType, saver: Any, callbacks: Sequence[Any]):
        self._graphs = graphs
        self._history = history
        self._saver = saver
        self._callbacks = list(callbacks)
        self._remembering = {name: graphs.build(name, parts, saver) for name in WORKFLOWS}
        self._forgetful = {name: graphs.build(name, parts) for name in WORKFLOWS}

    def agent(self, workflow: str) -> str:
        """The agent of a workflow's plan."""
        agent: str = self._graphs.PLANS[workflow].agent
        return agent

    async def run(self, workflow: str, run: Run, messages: list[Message], thread_id: str) -> None:
        """Runs the graph; `thread_id` empty: nothing is remembered."""
        config: dict[str, Any] = {"run_name": workflow, "callbacks": self._callbacks}
        if not thread_id:
            run.order = replace(run.order, memory={})  # its caller remembers, and sent what the model should see
            await self._forgetful[workflow].ainvoke({"messages": messages}, config, context=run)
            return
        config["configurable"] = {"thread_id": thread_id}
        messages = [{**message, MESSAGE_ID: run.order.message_id} for message in messages]
        # "exit": one checkpoint per message instead of one per step; what is cut off was not answered anyway.
        await self._remembering[workflow].ainvoke({"messages": messages}, config, context=run, durability="exit")
        await self._history.forget_older(self._saver, config)

    async def remembered(self, thread_id: str) -> list[Message]:
        """What is remembered of a conversation, oldest first."""
        found = await self._saver.aget_tuple({"configurable": {"thread_id": thread_id}})
        return [] if found is None else list(found.checkpoint["channel_values"].get("messages") or ())

    async def close(self) -> None:
        await self._history.close_history(self._saver)


async def open_engine(data_dir: Path, telemetry: Telemetry, model: LanguageModel, parts: Parts) -> Engine:
    """Loads LangGraph and the model's library (seconds of CPU) on a thread, then opens the history in `data_dir`."""

    def load() -> tuple[ModuleType, ModuleType, list[Any]]:
        from spanledger.workflows import graphs, history

        data_dir.mkdir(parents=True, exist_ok=True)
        return graphs, history, telemetry.graph_callbacks()

    graphs, history, callbacks = await asyncio.to_thread(load)
    await model.ready()
    return Engine(parts, graphs, history, await history.open_history(data_dir), callbacks)
