"""`x-ratelimit-…`: the remaining amounts of the limits of a run, in the headers that OpenAI's clients read."""

from datetime import datetime
from math import ceil

from spanledger.access.gate import Left
from spanledger.runtime.services import Services
from spanledger.workflows import Order


def headers(services: Services, order: Order) -> dict[str, str]:
    """Of requests a minute and tokens a day, each by the limit that has the least left; none without limits."""
    if services.books is None:
        return {}
    gate = services.platform.access.gate
    now = gate.now()
    fields: dict[str, str] = {}
    for kind, left in gate.left(order).items():
        fields[f"x-ratelimit-limit-{kind}"] = str(left.allowed)
        fields[f"x-ratelimit-remaining-{kind}"] = str(left.remaining)
        fields[f"x-ratelimit-reset-{kind}"] = _duration(left, now)
    return fields


def _duration(left: Left, now: datetime) -> str:
    """As OpenAI writes it: `6m0s`, `21h3m12s`."""
    seconds = max(0, ceil((left.resets_at - now).total_seconds()))
    hours, minutes = seconds // 3600, seconds % 3600 // 60
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "") + f"{seconds % 60}s"
