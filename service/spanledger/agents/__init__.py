"""Named agents over the workflows: what an agent is, and how an order becomes its run."""

from spanledger.agents.agent import KIND, Agent, Agents, NewAgent

__all__ = ["KIND", "Agent", "Agents", "NewAgent"]
