"""What people decided: prompts, profiles, agents, experiments, budgets …, each by name and in versions."""

from spanledger.registry.registry import FILE, Change, Entry, Registry

__all__ = ["FILE", "Change", "Entry", "Registry"]
