"""Which variant a user gets: weighted rendezvous hashing.

Every variant draws a number u from (experiment's salt, its own name, user); the smallest waiting time −ln(u)/weight
wins, which happens with a probability in proportion to its weight. The draw of one variant does not depend on the
others, so a changed weight moves users only into the variant that gained (or out of the one that lost), and no more of
them than it must; a new variant takes its share from each of the others; the order of the variants means nothing.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_RANGE = 2**64


@dataclass(frozen=True, slots=True)
class Variant:
    """`overrides`: what it decides of a run, by the names of Order's fields; none: the run as it would be anyway."""

    name: str
    weight: float
    overrides: Mapping[str, Any] = field(default_factory=dict)


def assigned(salt: str, variants: Sequence[Variant], unit: str) -> Variant:
    """The variant of `unit` (a user, else a conversation). At least one weight must be above zero."""
    return min((v for v in variants if v.weight > 0), key=lambda v: -math.log(_draw(salt, v.name, unit)) / v.weight)


def _draw(salt: str, variant: str, unit: str) -> float:
    """Even between 0 and 1, both excluded."""
    text = json.dumps([salt, variant, unit]).encode()
    number = int.from_bytes(hashlib.sha256(text).digest()[:8])
    return min((number + 0.5) / _RANGE, 1 - 2**-53)
