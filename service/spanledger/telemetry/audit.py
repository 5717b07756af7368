"""Events that are not spans: decisions, refusals and changes, as log records with an event name."""

from collections.abc import Mapping
from typing import Final

from spanledger.telemetry.setup import Telemetry

AUDIT: Final = "spanledger.audit"  # somebody changed or read something
SECURITY: Final = "spanledger.security"  # something was refused, or failed validation
LIMIT_EXCEEDED: Final = "spanledger.limit_exceeded"
HEALTH: Final = "spanledger.health"

Value = str | int | float | bool


def record(telemetry: Telemetry, event: str, action: str, outcome: str, **facts: Value) -> None:
    """Writes one entry of the audit trail: `action` like `prompt.put`, `outcome` `allowed|denied|failed`.

    `facts` become attributes `spanledger.<event's last word>.<name>`; ids of the request come by themselves.
    """
    prefix = event
    attributes: Mapping[str, Value] = {
        f"{prefix}.action": action,
        f"{prefix}.outcome": outcome,
        **{f"{prefix}.{name}": value for name, value in facts.items()},
    }
    telemetry.event(event, f"{action}: {outcome}", attributes, warning=outcome != "allowed")
