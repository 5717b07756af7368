"""LangGraph workflows over any LiteLLM model, with an offline provider.

runner = Runner(settings, telemetry, load_book())
outcome = await runner.answer(Turn("conversation-1", "what is 12*7?", workflow="assistant"))
"""

from spanledger.workflows.runner import WORKFLOWS, Completion, Outcome, Runner, Turn, UnknownWorkflow

__all__ = ["WORKFLOWS", "Completion", "Outcome", "Runner", "Turn", "UnknownWorkflow"]
