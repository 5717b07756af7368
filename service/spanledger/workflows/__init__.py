"""LangGraph workflows over any LiteLLM model, with an offline provider.

runner = Runner(settings, telemetry, load_book())
outcome = await runner.answer(Turn(Order(conversation_id="c-1", workflow="assistant"), "what is 12*7?"))
"""

from spanledger.workflows.engine import WORKFLOWS
from spanledger.workflows.run import Gate, Order, Step
from spanledger.workflows.runner import Completion, Outcome, Runner, Turn, UnknownWorkflow

__all__ = ["WORKFLOWS", "Completion", "Gate", "Order", "Outcome", "Runner", "Step", "Turn", "UnknownWorkflow"]
