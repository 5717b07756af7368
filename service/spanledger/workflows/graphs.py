"""The workflows as LangGraph graphs.

    chat        START → model ⇄ tools → END; offers no tools unless its agent has some
    assistant   the same with the built-in tools
    rag         START → retrieve → model ⇄ tools → END
    evaluation  as chat; evaluators run here, so that their calls are distinguishable

Each node notes what it decided, and why, on its span. Importing this imports langgraph (1 s of CPU): only the runner
does, for the first message or right after `ready`.
"""

import asyncio
import logging
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, NotRequired, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import Command

from spanledger.errors import BadRequest, telemetry_message
from spanledger.telemetry.operations import decided
from spanledger.workflows import memory
from spanledger.workflows.memory import MESSAGE_ID, Summary
from spanledger.workflows.model import Message, ModelError
from spanledger.workflows.parts import Parts
from spanledger.workflows.run import Hit, Run
from spanledger.workflows.tools import BUILTIN, Tool, Toolbox

_log = logging.getLogger(__name__)
MAX_TOOL_ROUNDS = 8  # then the model must answer without tools
TOP_K = 4  # passages that a question brings along


class State(TypedDict):
    """What the checkpointer keeps of a conversation: its messages in OpenAI's format, oldest first, questions with
    the id of their message; and the summary of the older ones, if the memory is of that kind."""

    messages: Annotated[list[Message], operator.add]
    summary: NotRequired[Summary]


@dataclass(frozen=True, slots=True)
class Plan:
    """A workflow: its agent, the tools it offers, what it tells the model first, whether it looks things up."""

    agent: str
    tools: tuple[str, ...] = ()
    instructions: str = ""
    retrieves: bool = False


PLANS = {
    "chat": Plan(agent="chat"),
    "assistant": Plan(
        agent="assistant",
        tools=tuple(tool.name for tool in BUILTIN),
        instructions="You are a helpful assistant. Use the tools for arithmetic, unit conversion and the time.",
    ),
    "rag": Plan(
        agent="rag",
        instructions="Answer from the passages below. If they do not hold the answer, say so.",
        retrieves=True,
    ),
    "evaluation": Plan(agent="judge"),
    "analysis": Plan(agent="analyst"),
}


def build(name: str, parts: Parts, checkpointer: Any = None) -> Any:
    """The compiled graph of workflow `name`; without a checkpointer it remembers nothing."""
    plan = PLANS[name]
    graph = StateGraph(State, context_schema=Run)
    graph.add_node("model", _model_node(plan, parts), destinations=("tools", END))
    graph.add_node("tools", _tools_node(parts))
    graph.add_edge("tools", "model")
    if plan.retrieves:
        graph.add_node("retrieve", _retrieve_node(parts))
        graph.add_edge(START, "retrieve")
        graph.add_edge("retrieve", "model")
    else:
        graph.add_edge(START, "model")
    return graph.compile(checkpointer=checkpointer, name=name)


def _model_node(plan: Plan, parts: Parts) -> Callable[..., Any]:
    async def model(state: State, runtime: Runtime[Run]) -> Command[str]:
        run = runtime.context
        with parts.genai.node("model"):
            await _equip(plan, parts.toolbox, run)
            may_call = _rounds(state["messages"]) < MAX_TOOL_ROUNDS
            offered = run.tools if may_call else {}
            parameters = {"tools": [tool.schema for tool in offered.values()]} if offered else {}
            summary = await _remember(parts, run, state)
            view = memory.view(run.order.memory, state["messages"], summary)
            if view.left_out:
                decided("memory", (run.order.memory["kind"],), "older_left_out", exchanges=view.left_out)
            instruction_parts = (
                run.order.instructions or plan.instructions,
                run.order.guidance,
                memory.summary_text(summary),
            )
            instructions = _with_passages("\n\n".join(filter(None, instruction_parts)), run.hits)
            reply = await parts.caller.ask(run, prompt(instructions, view.messages), parameters)
            message = kept(reply.message)
            goes_on = bool(offered and message.get("tool_calls"))
            _note_branch(parts.toolbox, message, offered, goes_on, may_call)
        update: dict[str, Any] = {"messages": [message]} | ({"summary": summary} if summary else {})
        return Command(update=update, goto="tools" if goes_on else END)

    return model


async def _remember(parts: Parts, run: Run, state: State) -> Summary | None:
    """The summary of the older exchanges, with those in it that have become old: one more call of the same message."""
    if run.order.memory.get("kind") != "summary":
        return None
    summary = state.get("summary")
    older = memory.to_fold(run.order.memory, state["messages"], summary)
    if not older:
        return summary
    aside = replace(run, order=replace(run.order, parameters={}, cache=False), stream=False)
    try:
        parameters = {"max_tokens": memory.SUMMARY_TOKENS}
        reply = await parts.caller.ask(aside, memory.request(summary, older), parameters)
    except ModelError as exc:
        warning = "the older part of the conversation could not be summarised, so it is sent as it is: %s"
        _log.warning(warning, telemetry_message(exc))
        return summary
    decided("memory", ("summary",), "older_summarised", exchanges=len(older))
    return memory.folded(summary, older, str(reply.message.get("content") or ""))


async def _equip(plan: Plan, toolbox: Toolbox, run: Run) -> None:
    """Finds the tools of the run, once."""
    if run.tools is not None:
        return
    names = plan.tools if run.order.tools is None else run.order.tools
    tools, missing = await toolbox.pick(run.order.principal.tenant, names)
    run.tools = {tool.wire_name: tool for tool in tools}
    if missing:
        decided("tool", (), "unavailable", missing)


def _note_branch(toolbox: Toolbox, message: Message, offered: dict[str, Tool], goes_on: bool, may_call: bool) -> None:
    options = [tool.name for tool in offered.values()]
    if goes_on:
        called = [str((call.get("function") or {}).get("name")) for call in message["tool_calls"]]
        decided("tool", [toolbox.name_of(offered, name) for name in called], "model_asked", options)
    elif not may_call:
        decided("branch", ("answer",), "tool_rounds_used_up")
    else:
        decided("branch", ("answer",), "model_answered" if offered else "no_tools_offered", options)


def _tools_node(parts: Parts) -> Callable[..., Any]:
    async def run_tools(state: State, runtime: Runtime[Run]) -> dict[str, list[Message]]:
        run = runtime.context
        with parts.genai.node("tools"):
            calls = state["messages"][-1].get("tool_calls") or ()
            # Together: a model that asks for several tools at once does not need one for the other.
            return {"messages": await asyncio.gather(*(_run_tool(parts.toolbox, call, run) for call in calls))}

    return run_tools


async def _run_tool(toolbox: Toolbox, call: dict[str, Any], run: Run) -> Message:
    """The tool's message."""
    tools = run.tools or {}
    content, failure = await toolbox.call(tools, call, run.order)
    name = str((call.get("function") or {}).get("name") or "")
    if failure:
        decided("tool", (toolbox.name_of(tools, name),), f"failed:{failure}")
    return {"role": "tool", "tool_call_id": str(call.get("id") or ""), "name": name, "content": content}


def _retrieve_node(parts: Parts) -> Callable[..., Any]:
    async def retrieve(state: State, runtime: Runtime[Run]) -> dict[str, list[Message]]:
        run = runtime.context
        with parts.genai.node("retrieve"):
            if parts.retriever is None:
                raise BadRequest("this service keeps no documents, which workflow rag needs")
            run.hits = await parts.retriever.search(run, _question(state["messages"]), TOP_K)
            found = list(dict.fromkeys(hit.document_id for hit in run.hits))
            decided("retrieval", found, "nearest_passages" if found else "nothing_found", hits=len(run.hits))
        return {"messages": []}

    return retrieve


def _question(messages: Sequence[Message]) -> str:
    """The text of the last message."""
    content = messages[-1].get("content") if messages else ""
    if isinstance(content, list):
        return " ".join(str(part.get("text") or "") for part in content if isinstance(part, dict))
    return str(content or "")


def _with_passages(instructions: str, hits: Sequence[Hit] | None) -> str:
    if hits is None:
        return instructions
    passages = [f"[{number}] {hit.name}\n{hit.text}" for number, hit in enumerate(hits, 1)]
    return "\n\n".join((instructions, *(passages or ["(no passage was found)"])))


def prompt(instructions: str, messages: Sequence[Message]) -> list[Message]:
    """What the model sees: the instructions, the earlier exchanges that came to an answer, the current one."""
    head, answered, current = memory.exchanges(messages)
    seen = [*head, *(message for exchange in answered for message in exchange.messages), *current]
    sent = [{k: v for k, v in message.items() if k != MESSAGE_ID} for message in seen]
    return [{"role": "system", "content": instructions}, *sent] if instructions else sent


def kept(message: Message) -> Message:
    """The parts of an answer that belong into the next prompt."""
    found: Message = {"role": "assistant", "content": message.get("content") or ""}
    if message.get("tool_calls"):
        found["tool_calls"] = [{k: v for k, v in call.items() if k != "index"} for call in message["tool_calls"]]
    return found


def _rounds(messages: Sequence[Message]) -> int:
    """How often tools were called since the last question."""
    rounds = 0
    for message in reversed(messages):
        if message["role"] == "user":
            break
        rounds += bool(message.get("tool_calls"))
    return rounds
