"""What a run is told before it starts: prompts, profiles, users' preferences and names for models.

Each is a versioned entry of the registry and a step of the order (workflows/order.py). Who decides first, decides:
request > agent > experiment's variant > profile > preferences > defaults.
"""

from spanledger.prompts.models import ModelRegistry
from spanledger.prompts.profiles import Profiles
from spanledger.prompts.prompts import Prompt, Prompts

__all__ = ["ModelRegistry", "Profiles", "Prompt", "Prompts"]
