"""Versioned settings that decide a run: agents, prompts, profiles, models, experiments.

Each is an entry of the registry and a step of the order (workflows/order.py). The first that decides a field wins:
request > agent > experiment's variant > profile > preferences > defaults.
"""

from spanledger.configuration.agents import Agent, Agents, NewAgent
from spanledger.configuration.assignment import Variant, assigned
from spanledger.configuration.experiments import Experiment, Experiments, UnusableExperiment
from spanledger.configuration.models import ModelRegistry
from spanledger.configuration.profiles import Profiles
from spanledger.configuration.prompts import Prompt, Prompts

__all__ = [
    "Agent",
    "Agents",
    "Experiment",
    "Experiments",
    "ModelRegistry",
    "NewAgent",
    "Profiles",
    "Prompt",
    "Prompts",
    "UnusableExperiment",
    "Variant",
    "assigned",
]
