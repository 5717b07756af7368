"""The workflows as LangGraph graphs.

    chat        START → model → END
    assistant   START → model ⇄ tools, until the model answers in words → END

Importing this imports langgraph (1 s of CPU): only the runner does, for the first message or right after `ready`.
"""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import Command

from spanledger.telemetry import GenAI
from spanledger.workflows.calls import Caller, Run
from spanledger.workflows.model import Message
from spanledger.workflows.tools import TOOLS, Tool, ToolError, call_tool

MAX_TOOL_ROUNDS = 8  # then the model must answer without tools


class State(TypedDict):
    """What the checkpointer keeps of a conversation: its messages in OpenAI's format, oldest first."""

    messages: Annotated[list[Message], operator.add]


@dataclass(frozen=True, slots=True)
class Plan:
    """A workflow: its agent, the tools it offers the model, and what it tells the model first."""

    agent: str
    tools: tuple[Tool, ...] = ()
    instructions: str = ""


PLANS = {
    "chat": Plan(agent="chat"),
    "assistant": Plan(
        agent="assistant",
        tools=TOOLS,
        instructions="You are a helpful assistant. Use the tools for arithmetic, unit conversion and the time.",
    ),
}


def build(name: str, caller: Caller, genai: GenAI, checkpointer: Any = None) -> Any:
    """The compiled graph of workflow `name`; without a checkpointer it remembers nothing."""
    plan = PLANS[name]
    graph = StateGraph(State, context_schema=Run)
    graph.add_node("model", _model_node(plan, caller, genai), destinations=("tools", END) if plan.tools else (END,))
    graph.add_edge(START, "model")
    if plan.tools:
        graph.add_node("tools", _tools_node(plan, genai))
        graph.add_edge("tools", "model")
    return graph.compile(checkpointer=checkpointer, name=name)


def _model_node(plan: Plan, caller: Caller, genai: GenAI) -> Callable[..., Any]:
    async def model(state: State, runtime: Runtime[Run]) -> Command[str]:
        order = runtime.context.order
        with genai.node("model"):
            offered = plan.tools if _rounds(state["messages"]) < MAX_TOOL_ROUNDS else ()
            parameters = {"tools": [tool.schema for tool in offered]} if offered else {}
            reply = await caller.ask(
                runtime.context, prompt(order.instructions or plan.instructions, state["messages"]), parameters
            )
        message = kept(reply.message)
        goes_on = bool(offered and message.get("tool_calls"))
        return Command(update={"messages": [message]}, goto="tools" if goes_on else END)

    return model


def _tools_node(plan: Plan, genai: GenAI) -> Callable[..., Any]:
    known = {tool.name: tool for tool in plan.tools}

    async def run_tools(state: State) -> dict[str, list[Message]]:
        with genai.node("tools"):
            calls = state["messages"][-1].get("tool_calls") or ()
            return {"messages": [_run_tool(known, call, genai) for call in calls]}

    return run_tools


def _run_tool(known: dict[str, Tool], call: dict[str, Any], genai: GenAI) -> Message:
    """The tool's message. A failure is told to the model, which can do better; it does not end the workflow."""
    function = call.get("function") or {}
    name, arguments = str(function.get("name") or ""), str(function.get("arguments") or "")
    call_id = str(call.get("id") or "")
    tool = known.get(name)
    with genai.tool(name, call_id, tool.description if tool else "", arguments) as running:
        try:
            if tool is None:
                raise ToolError(f"there is no tool {name[:100]!r}")
            content = call_tool(tool, arguments)
        except ToolError as exc:
            running.failed(exc)
            content = f"error: {exc}"
        running.result(content)
    return {"role": "tool", "tool_call_id": call_id, "name": name, "content": content}


def prompt(instructions: str, messages: Sequence[Message]) -> list[Message]:
    """What the model sees: the instructions, the earlier exchanges that came to an answer, the current one.

    A question that failed or was broken off stays out of the next prompts: it may be the reason why it failed, and an
    unanswered tool call makes providers refuse the whole conversation.
    """
    starts = [i for i, message in enumerate(messages) if message["role"] == "user"]
    exchanges = [messages[a:b] for a, b in zip(starts, [*starts[1:], len(messages)], strict=True)]
    answered = [e for e in exchanges[:-1] if e[-1]["role"] == "assistant" and not e[-1].get("tool_calls")]
    seen = messages[: starts[0]] if starts else messages
    seen = [*seen, *(message for exchange in (*answered, *exchanges[-1:]) for message in exchange)]
    return [{"role": "system", "content": instructions}, *seen] if instructions else seen


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
